//! What every page has in common: its headers, and the form_errors of a form.

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tripod::Error;
use tripod::web::{FieldError, Problem};

use super::messages::Messages;

/// What a page may load and do: our own files, and pictures that are in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CONTENT_SECURITY_POLICY, POLICY),
    // Kept for going back, asked for anew otherwise; never by a cache that several people share.
    (CACHE_CONTROL, "private, no-cache"),
    (VARY, "cookie, accept-language, prefer"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Draws a page.
pub fn page(template: &impl Template) -> Result<Response, Problem> {
    page_of(StatusCode::OK, template)
}

/// Draws a page with a status of its own.
pub fn page_of(status: StatusCode, template: &impl Template) -> Result<Response, Problem> {
    let html = template.render().map_err(|error| Error::internal("a page can't be drawn").because(error))?;
    let headers = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    Ok((status, HeaderMap::from_iter(headers), html).into_response())
}

/// What is wrong with a form that comes back to whoever sent it.
#[derive(Default)]
pub struct FormErrors {
    problem: Option<Problem>,
}

/// What the API calls fields that nobody sees in a form; what is wrong with them is said of the form.
const UNSEEN: [&str; 4] = ["", "id", "cursor", "Idempotency-Key"];

impl FormErrors {
    /// Of a form that was refused for what was put into it; other problems are passed on.
    ///
    /// # Errors
    /// The problem, when putting something else into the form does not mend it.
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

    /// What is wrong with a field, or with one of several of its name (`photo[2]`).
    pub fn field(&self, messages: &Messages, name: &str) -> Option<String> {
        let is_it = |error: &&FieldError| {
            let rest = error.field.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        self.errors().iter().find(is_it).map(|error| messages.say(&error.detail))
    }

    /// What is wrong with the form as a whole, where no field of it is at fault.
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
