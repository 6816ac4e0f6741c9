//! What all pages share: their headers, and the errors of a form.

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tripod::Error;
use tripod::web::{FieldError, Problem};

use super::messages::Messages;

/// What a page may load and do: only our own files, and pictures embedded in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CONTENT_SECURITY_POLICY, POLICY),
    // Kept for back navigation, otherwise revalidated; never stored in shared caches.
    (CACHE_CONTROL, "private, no-cache"),
    (VARY, "cookie, accept-language, prefer"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// The initial capacity of a page, so that a feed of 20 posts, 43 kB, is not copied while it grows.
const PAGE_BYTES: usize = 48 * 1024;

/// Renders a page.
pub fn page(template: &impl Template) -> Result<Response, Problem> {
    page_of(StatusCode::OK, template)
}

/// Renders a page with another status.
pub fn page_of(status: StatusCode, template: &impl Template) -> Result<Response, Problem> {
    let mut html = String::with_capacity(PAGE_BYTES);
    template
        .render_into(&mut html)
        .map_err(|error| Error::internal("a page can't be drawn").because(error))?;
    let headers = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    Ok((status, HeaderMap::from_iter(headers), html).into_response())
}

/// The errors of a form that is shown again.
#[derive(Default)]
pub struct FormErrors {
    problem: Option<Problem>,
}

/// API fields without a visible form field; their errors are shown for the form as a whole.
const UNSEEN: [&str; 4] = ["", "id", "cursor", "Idempotency-Key"];

impl FormErrors {
    /// The errors of a form whose input was refused; other problems are returned as errors.
    ///
    /// # Errors
    /// The problem, if different input would not fix it.
    pub fn of(refused: impl Into<Problem>) -> Result<Self, Problem> {
        let problem = refused.into();
        match problem.status {
            401 | 409 | 413 | 415 | 422 | 429 => Ok(Self { problem: Some(problem) }),
            _ => Err(problem),
        }
    }

    /// The status of the page that shows the form again.
    pub fn status(&self) -> StatusCode {
        let status = self.problem.as_ref().map_or(200, |problem| problem.status);
        StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    }

    fn errors(&self) -> &[FieldError] {
        self.problem.as_ref().map_or(&[], |problem| &problem.errors)
    }

    /// The error of a field, or of one of several fields with its name (`photo[2]`).
    pub fn field(&self, messages: &Messages, name: &str) -> Option<String> {
        let is_it = |error: &&FieldError| {
            let rest = error.field.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        self.errors().iter().find(is_it).map(|error| messages.say(&error.detail))
    }

    /// The error of the form as a whole, if no field is at fault.
    pub fn whole(&self, messages: &Messages) -> Option<String> {
        let problem = self.problem.as_ref()?;
        if let Some(error) = problem.errors.iter().find(|error| UNSEEN.contains(&error.field.as_str())) {
            return Some(messages.say(&error.detail));
        }
        problem.errors.is_empty().then(|| messages.say(&problem.detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::messages::ENGLISH;

    #[test]
    fn a_fault_stands_beside_its_field() {
        let errors =
            vec![FieldError::new("photo[1]", "is no picture"), FieldError::new("alt", "is too long")];
        let form_errors = FormErrors::of(Problem::invalid_fields(errors)).unwrap_or_default();
        assert_eq!(form_errors.field(&ENGLISH, "photo").as_deref(), Some("Is no picture"));
        assert_eq!(form_errors.field(&ENGLISH, "alt").as_deref(), Some("Is too long"));
        assert_eq!(form_errors.field(&ENGLISH, "al"), None);
        assert_eq!(form_errors.whole(&ENGLISH), None);
        assert_eq!(form_errors.status(), 422);
        let unseen = FormErrors::of(Problem::invalid("Idempotency-Key", "was used")).unwrap_or_default();
        assert_eq!(unseen.whole(&ENGLISH).as_deref(), Some("Was used"));
        assert!(FormErrors::of(Problem::internal()).is_err());
        let whole = FormErrors::of(Problem::conflict("It is taken.")).unwrap_or_default();
        assert_eq!(whole.whole(&ENGLISH).as_deref(), Some("It is taken."));
    }
}
