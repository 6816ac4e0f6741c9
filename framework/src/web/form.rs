//! Extracts the fields of an HTML form into a type.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::Problem;
use super::body::BodyBytes;
use super::json::field_at_fault;

/// The fields of a form that a page sends as `application/x-www-form-urlencoded`.
///
/// Answers 415 (another content type), 413 (over the route's limit), 408 (too slow), 400 (malformed) or 422
/// (fields that do not fit `T`, with `errors`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let BodyBytes(bytes) =
            BodyBytes::from_request(Request::from_parts(parts.clone(), body), state).await?;
        let request = Request::from_parts(parts, bytes.into());
        match axum::Form::from_request(request, state).await {
            Ok(axum::Form(fields)) => Ok(Self(fields)),
            Err(rejection) if rejection.status() == 415 => {
                Err(Problem::unsupported("The content type must be application/x-www-form-urlencoded."))
            }
            Err(rejection) => Err(field_at_fault(&rejection)
                .unwrap_or_else(|| Problem::malformed("The form is not one of this page."))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::post};
    use tower::ServiceExt;

    #[derive(serde::Deserialize)]
    struct Fields {
        text: String,
    }

    #[tokio::test]
    async fn a_form_is_read_and_what_is_none_is_a_problem() {
        let router: Router = Router::new()
            .route("/", post(async |Form(fields): Form<Fields>| fields.text))
            .layer(super::super::body::limit(100));
        let form = "application/x-www-form-urlencoded";
        for (kind, body, status) in [
            (form, "text=a+b%26", 200),
            (form, "other=1", 422),
            (form, "text=a&text=b", 422),
            ("text/plain", "text=a", 415),
            (form, &"x".repeat(101), 413),
        ] {
            let request =
                Request::post("/").header("content-type", kind).body(axum::body::Body::from(body.to_owned()));
            let response = router.clone().oneshot(request.unwrap()).await.unwrap();
            assert_eq!(response.status(), status, "{body:.20}");
            assert_eq!(response.extensions().get::<Problem>().is_some(), status != 200);
        }
    }
}
