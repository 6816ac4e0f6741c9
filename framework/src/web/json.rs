//! Typed input and output: `Json`, `Query` and `Path`, whose errors are problems.
//!
//! Input that does not parse is 400, with the position. Input that parses but does not fit its type is
//! 422, with the field. A problem never repeats a value from the input: it may be a password.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::{HeaderMap, HeaderValue, header, request::Parts};
use axum::response::{IntoResponse, Response};
use headers::{ContentType, HeaderMapExt, Mime};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;
use std::error::Error as StdError;

use super::body::BodyBytes;
use super::objects_only::ObjectsOnly;
use super::problem::Problem;
use crate::error::{Error, FieldError};

/// A JSON body: an extractor for requests, and a response for replies.
///
/// Answers 415 (the content type is not JSON), 413 (over the route's limit), 408 (too slow), 400 (not
/// JSON) or 422 (not a `T`, with `errors`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported("The content type must be application/json."));
        }
        let BodyBytes(bytes) = BodyBytes::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// Enough for most replies, so that their buffer need not grow.
const EXPECTED_BYTES: usize = 16 << 10;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut json = Vec::with_capacity(EXPECTED_BYTES);
        match serde_json::to_writer(&mut json, &self.0).map(|()| json) {
            Ok(json) => {
                let json_type = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, json_type)], json).into_response()
            }
            Err(error) => {
                let error = Error::internal("a reply does not serialise").because(error);
                Problem::from(error).into_response()
            }
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.typed_get::<ContentType>().is_some_and(|content_type| {
        let kind = Mime::from(content_type);
        kind.type_() == "application"
            && (kind.subtype() == "json" || kind.suffix().is_some_and(|suffix| suffix == "json"))
    })
}

/// Parses JSON as the extractor does, for input from elsewhere, such as a part of a form.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value = deserialize(bytes).map_err(|(path, error)| match error.classify() {
        Category::Data => Problem::invalid_fields(vec![field_error(&path, &error.to_string())]),
        _ => malformed(&error),
    })?;
    if let Some(marked) = mark_nul(bytes)
        && let Err((field, _)) = deserialize::<T>(&marked)
    {
        // The message of `TextFields`, which refuses NUL among other control characters.
        return Err(Problem::invalid(field, "must not contain control characters"));
    }
    Ok(value)
}

/// The value, or the path of the field at fault and its error.
fn deserialize<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, (String, serde_json::Error)> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(ObjectsOnly::new(&mut json))
        .map_err(|error| (field_path(error.path()), error.into_inner()))?;
    json.end().map_err(|error| (String::new(), error))?;
    Ok(value)
}

/// Returns the JSON with each NUL in a string replaced by bytes that are not UTF-8, if there is one.
/// Only strings that the type reads are decoded, so these bytes are an error in a field of the type, and
/// are skipped in a field that it ignores. PostgreSQL can't store NUL, and JSON can contain it only as
/// an escape.
fn mark_nul(json: &[u8]) -> Option<Vec<u8>> {
    const ESCAPE: &[u8] = b"\\u0000";
    let mut marked: Option<Vec<u8>> = None;
    for at in json.windows(ESCAPE.len()).enumerate().filter(|(_, window)| *window == ESCAPE).map(|(at, _)| at)
    {
        // After another backslash this is plain text.
        if json[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0 {
            marked.get_or_insert_with(|| json.to_vec())[at..at + ESCAPE.len()].fill(0xff);
        }
    }
    marked
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    Problem::malformed(format!("The body is not JSON: {what} at line {line}, column {column}."))
}

/// The path of a field; empty for the whole value.
pub(super) fn field_path(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    if path == "." { String::new() } else { path }
}

/// Rewrites serde's message so that it follows the name of the field at this [`field_path`].
pub(super) fn field_error(path: &str, sentence: &str) -> FieldError {
    let sentence = sentence.rsplit_once(" at line ").map_or(sentence, |(sentence, _)| sentence);
    // Serde reports a missing field at its parent; here it becomes an error of the field.
    for (start, detail) in [
        ("missing field `", "is required"),
        ("duplicate field `", "is given more than once"),
        ("unknown field `", "is not known here"),
    ] {
        if let Some((name, _)) = sentence.strip_prefix(start).and_then(|rest| rest.split_once('`')) {
            let named = path == name || path.ends_with(&format!(".{name}"));
            let field = match (named && start.starts_with("unknown"), path) {
                (true, path) => path.to_owned(),
                (false, "") => name.to_owned(),
                (false, path) => format!("{path}.{name}"),
            };
            return FieldError::new(field, detail);
        }
    }
    FieldError::new(path, in_words(sentence))
}

fn in_words(sentence: &str) -> String {
    // Messages of numbers and booleans that are parsed from text, as in a query string.
    match sentence {
        "invalid digit found in string"
        | "cannot parse integer from empty string"
        | "number too large to fit in target type"
        | "number too small to fit in target type" => return "must be a whole number within bounds".into(),
        "invalid float literal" | "cannot parse float from empty string" => return "must be a number".into(),
        "provided string was not `true` or `false`" => return "must be true or false".into(),
        _ => {}
    }
    let expected = sentence.rsplit_once(", expected ").map(|(_, expected)| expected);
    match expected {
        Some(kind) if sentence.starts_with("unknown variant") => format!("must be {kind}"),
        Some(kind) if sentence.starts_with("invalid ") => match kind {
            "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
                "must be a whole number within bounds".into()
            }
            "f32" | "f64" => "must be a number".into(),
            "a sequence" => "must be a list".into(),
            "a map" => "must be an object".into(),
            "unit" => "must be null".into(),
            kind if kind.starts_with("struct ") => "must be an object".into(),
            kind => format!("must be {kind}"),
        },
        _ => sentence.to_owned(),
    }
}

/// The query string as a `T`. Answers 422, naming the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(field_at_fault(&rejection)
                .unwrap_or_else(|| Problem::invalid("", "the query string is not understood"))),
        }
    }
}

/// The problem of the field because of which axum could not extract a query string or a form.
pub(super) fn field_at_fault(rejection: &(dyn StdError + 'static)) -> Option<Problem> {
    type Fault = serde_path_to_error::Error<serde::de::value::Error>;
    let mut cause = rejection;
    let fault = loop {
        match cause.downcast_ref::<Fault>() {
            Some(fault) => break fault,
            None => cause = cause.source()?,
        }
    };
    let (path, sentence) = (field_path(fault.path()), fault.inner().to_string());
    Some(Problem::invalid_fields(vec![field_error(&path, &sentence)]))
}

/// The name of the path's parameter, if it has exactly one.
async fn only_parameter(parts: &mut Parts, state: &(impl Send + Sync)) -> Option<String> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let mut names = parameters.iter().map(|(name, _)| name.to_owned());
    names.next().filter(|_| names.next().is_none())
}

/// The parameters of the path as a `T`. Answers 400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // No store can hold NUL, so there is nothing at such an address.
        if parts.uri.path().contains("%00") {
            return Err(Problem::malformed("The address contains a NUL character."));
        }
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status().is_server_error() => {
                let error = Error::internal("a handler asks for parameters its path lacks");
                Err(error.because(rejection).into())
            }
            Err(PathRejection::FailedToDeserializePathParams(failed)) => {
                let named = match failed.kind() {
                    ErrorKind::ParseErrorAtKey { key, .. } | ErrorKind::DeserializeError { key, .. } => {
                        Some(key.clone())
                    }
                    _ => only_parameter(parts, state).await,
                };
                let part = named.map_or("A part of".to_owned(), |name| format!("The {name} in"));
                Err(Problem::malformed(format!("{part} the address is not of the form it must have.")))
            }
            Err(_) => Err(Problem::malformed("A part of the address is not of the form it must have.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, routing::get, routing::post};
    use http_body_util::BodyExt;
    use serde::Deserialize;
    use serde_json::Value;
    use tower::ServiceExt;

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        alt: String,
    }

    #[derive(Debug, Deserialize, Serialize)]
    struct Outer {
        name: String,
        #[serde(default)]
        size: u8,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Deserialize)]
    struct Page {
        limit: u8,
    }

    async fn send(request: axum::http::request::Builder, body: impl Into<Body>) -> (u16, Value) {
        let router: Router = Router::new()
            .route("/", post(async |Json(body): Json<Outer>| Json(body)))
            .route("/page", get(async |Query(page): Query<Page>| Json(page.limit)))
            .route("/{id}", get(async |Path(id): Path<u64>| Json(id)));
        let response = router.oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (status, problem) = (response.status().as_u16(), response.status().as_u16() >= 400);
        let content_type = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(content_type == "application/problem+json", problem);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn post_json(content_type: &str, body: impl Into<Body>) -> (u16, Value) {
        send(Request::post("/").header("content-type", content_type), body).await
    }

    #[tokio::test]
    async fn json_in_is_json_out_under_any_json_type() {
        for content_type in ["application/json", "application/JSON; charset=utf-8", "application/a+json"] {
            let (status, body) = post_json(content_type, r#"{"name":"\u0001é\\u0000"}"#).await;
            assert_eq!((status, body["name"].as_str()), (200, Some("\u{1}é\\u0000")), "{content_type}");
        }
        for content_type in ["text/json", "application/jsonp", "application/+json", ""] {
            assert_eq!(post_json(content_type, r#"{"name":"a"}"#).await.0, 415, "{content_type}");
        }
    }

    #[tokio::test]
    async fn a_nul_is_refused_where_it_would_be_read() {
        for (body, field) in [
            (r#"{"name":"a\\\u0000"}"#, "name"),
            (r#"{"name":"a","inner":[{"alt":"\u0000"}]}"#, "inner[0].alt"),
            (r#"{"name":"a","more":"\u0000","inner":[{"alt":"b\u0000\u0000"}]}"#, "inner[0].alt"),
        ] {
            let (status, problem) = post_json("application/json", body).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &field.into()), "{body} {problem}");
            assert_eq!(problem["errors"][0]["detail"], "must not contain control characters", "{body}");
        }
        for body in
            [r#"{"name":"a","more":"\u0000"}"#, r#"{"more":{"b":["\u0000",{"c":"\u0000"}]},"name":"a"}"#]
        {
            let (status, reply) = post_json("application/json", body).await;
            assert_eq!((status, &reply["name"]), (200, &"a".into()), "{body} {reply}");
        }
        let (status, problem) = post_json("application/json", r#"{"name":"\u0000"} x"#).await;
        assert_eq!(status, 400, "{problem}");
    }

    #[tokio::test]
    async fn what_is_not_json_is_400_and_says_where() {
        let deep = format!(r#"{{"other":{}"#, "[".repeat(10_000));
        for body in ["{\n x", "", r#"{"name":"a"} x"#, r#"{"name":"a"}{"#, &deep, r#"{"name":1e999}"#] {
            let (status, problem) = post_json("application/json", body.to_owned()).await;
            assert_eq!(status, 400, "{body:.20} {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(" line "), "{problem}");
        }
        let (_, problem) = post_json("application/json", "{\n x").await;
        assert!(problem["detail"].as_str().unwrap().contains("line 2, column 2"), "{problem}");
        assert_eq!(post_json("application/json", b"{\"name\":\"\xff\"}".to_vec()).await.0, 400);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_422_and_names_the_field_but_not_the_value() {
        for (body, field, detail) in [
            ("{}", "name", "is required"),
            (r#"{"name":5}"#, "name", "must be a string"),
            (r#"{"name":"a","name":"b"}"#, "name", "is given more than once"),
            (r#"{"name":"a","size":4711}"#, "size", "must be a whole number within bounds"),
            (r#"{"name":"a","size":"4711, expected x"}"#, "size", "must be a whole number within bounds"),
            (r#"{"name":"a","inner":[{"alt":"a"},{}]}"#, "inner[1].alt", "is required"),
            (r#"{"name":"a","inner":[{"alt":"a","b":4711}]}"#, "inner[0].b", "is not known here"),
            (r#"{"name":"a","inner":[{"alt":{"alt":1}}]}"#, "inner[0].alt", "must be a string"),
            (r#"{"name":"a","inner":{}}"#, "inner", "must be a list"),
            ("7", "", "must be an object"),
        ] {
            let (status, problem) = post_json("application/json", body).await;
            assert_eq!(status, 422, "{body} {problem}");
            assert_eq!(problem["errors"][0]["field"], field, "{body} {problem}");
            assert_eq!(problem["errors"][0]["detail"], detail, "{body} {problem}");
            assert!(!problem.to_string().contains("4711"), "{problem}");
        }
    }

    #[tokio::test]
    async fn a_query_names_its_field_and_a_path_is_malformed() {
        assert_eq!(send(Request::get("/page?limit=7"), "").await, (200, Value::from(7)));
        for query in ["", "?limit=x", "?limit=", "?limit=300", "?limit=1&limit=2"] {
            let (status, problem) = send(Request::get(format!("/page{query}")), "").await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &"limit".into()), "{query} {problem}");
        }
        let (_, problem) = send(Request::get("/page?limit=x"), "").await;
        assert_eq!(problem["errors"][0]["detail"], "must be a whole number within bounds", "{problem}");
        assert_eq!(send(Request::get("/page?limit=%00"), "").await.0, 422);
        assert_eq!(send(Request::get("/7"), "").await, (200, Value::from(7)));
        for path in ["/x", "/-7", "/99999999999999999999", "/%ff", "/%00", "/7%00"] {
            assert_eq!(send(Request::get(path), "").await.0, 400, "{path}");
        }
        let (_, problem) = send(Request::get("/x"), "").await;
        assert_eq!(problem["detail"], "The id in the address is not of the form it must have.");
    }
}
