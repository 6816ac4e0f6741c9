//! Request bodies, bounded in size and in time.
//!
//! Size: [`limit`] sets the maximum of a route, and the innermost one applies. The extractors answer
//! 413, before the first byte if `Content-Length` is already too large. Time: the server ends every body
//! that comes too slowly, and the extractors answer 408.

mod delayed_eof;
mod min_rate;

use std::error::Error as StdError;
use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State, multipart::MultipartError};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError};
use tokio::sync::Semaphore;
use tower::util::MapRequestLayer;

use super::problem::Problem;
pub use min_rate::Stalled;
pub(crate) use min_rate::{MinRate, MinRateBody, Upload};

/// The maximum size of a body in bytes, if no [`limit`] is set.
pub const DEFAULT_LIMIT_BYTES: usize = 64 * 1024;

/// The maximum size of a body in bytes on a route that takes files, if no [`limit`] is set: enough for
/// ten photos from a phone.
pub const UPLOAD_LIMIT_BYTES: usize = 64 << 20;

#[derive(Clone, Copy)]
struct Limit(usize);

/// A layer that allows bodies of up to `bytes` on the routes below it. The innermost one applies, so a
/// route may raise the limit of the router around it. Put one with [`DEFAULT_LIMIT_BYTES`] around all
/// routes.
///
/// It also bounds axum's own extractors, which answer in plain text.
pub fn limit(bytes: usize) -> MapRequestLayer<impl Fn(Request) -> Request + Clone> {
    MapRequestLayer::new(move |mut request: Request| {
        request.extensions_mut().insert(Limit(bytes));
        DefaultBodyLimit::max(bytes).apply(&mut request);
        request
    })
}

/// The memory that all uploads of a process may use while they arrive.
#[derive(Clone, Debug)]
pub struct UploadBudget(Arc<Semaphore>);

/// Mebibytes for all uploads together, and for one without `Content-Length`.
const BUDGET_MIB: usize = 1_024;
const UNANNOUNCED_MIB: u64 = 64;

impl Default for UploadBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_MIB)))
    }
}

/// Middleware for routes that take large bodies: reserves the announced size from the budget until the
/// reply is made, and answers 503 if the budget is exhausted.
pub async fn budgeted(
    State(UploadBudget(budget)): State<UploadBudget>,
    request: Request,
    next: Next,
) -> Response {
    let announced = request.body().size_hint().upper();
    let mib = announced.map_or(UNANNOUNCED_MIB, |bytes| bytes.div_ceil(1 << 20).max(1));
    // More than the whole budget is left to the size limit to refuse.
    let mib = mib.min(BUDGET_MIB as u64) as u32;
    match budget.try_acquire_many_owned(mib) {
        Ok(_held) => next.run(request).await,
        Err(_) => Problem::unavailable(5).into_response(),
    }
}

/// The request with its limit applied to its body; 413 if the announced size is larger.
fn bounded(mut request: Request) -> Result<Request, Problem> {
    let limit = request.extensions().get().map_or(DEFAULT_LIMIT_BYTES, |Limit(bytes)| *bytes);
    if request.body().size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    DefaultBodyLimit::max(limit).apply(&mut request);
    Ok(request)
}

fn too_large(limit: usize) -> Problem {
    let size = match limit {
        mib if mib.is_multiple_of(1 << 20) => format!("{} MiB", mib >> 20),
        kib if kib.is_multiple_of(1 << 10) => format!("{} KiB", kib >> 10),
        bytes => format!("{bytes} bytes"),
    };
    Problem::too_large(format!("The body is larger than the {size} taken here."))
}

/// Extractor: the whole body as bytes. Answers 413 over the limit, 408 if it came too slowly, and 400 if
/// it ended early.
#[derive(Clone, Debug)]
pub struct BodyBytes(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for BodyBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let body = bounded(request)?.into_limited_body();
        let collected = body.collect().await.map_err(|error| unread(&error))?;
        Ok(Self(collected.to_bytes()))
    }
}

/// Extractor: the parts of a form with files, read one by one with axum's extractor, but with problems
/// for errors. `?` turns errors of its fields into problems.
#[derive(Debug)]
pub struct Multipart(pub axum::extract::Multipart);

impl<S: Send + Sync> FromRequest<S> for Multipart {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let request = bounded(request)?.map(delayed_eof::DelayedEof::wrap);
        let form = axum::extract::Multipart::from_request(request, state).await;
        form.map(Self)
            .map_err(|_| Problem::unsupported("The body must be multipart/form-data with a boundary."))
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        match unread(&error) {
            problem if problem.status != 400 => problem,
            _ if error.status() == 413 => Problem::too_large("The body is larger than is taken here."),
            _ => Problem::malformed(format!("The form cannot be read: {}.", error.body_text())),
        }
    }
}

/// The problem for a body that could not be read to its end.
fn unread(error: &(dyn StdError + 'static)) -> Problem {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Problem::too_large("The body is larger than is taken here.");
        }
        if error.is::<Stalled>() {
            return stalled();
        }
        cause = error.source();
    }
    Problem::malformed("The body ended early.")
}

/// The problem for a body that came too slowly.
pub(crate) fn stalled() -> Problem {
    Problem::timed_out("The body came too slowly; send it again.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::post};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tower::ServiceExt;

    async fn status(router: &Router, path: &str, body: axum::body::Body) -> u16 {
        let request = Request::post(path).header("content-type", "multipart/form-data; boundary=b");
        router.clone().oneshot(request.body(body).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn uploads_past_the_budget_are_told_to_come_back() {
        let budget = UploadBudget(Arc::new(Semaphore::new(3)));
        let _held = budget.0.clone().try_acquire_many_owned(2).unwrap();
        let router: Router = Router::new()
            .route("/up", post(|BodyBytes(body): BodyBytes| async move { body.len().to_string() }))
            .layer(axum::middleware::from_fn_with_state(budget.clone(), budgeted))
            .layer(limit(4 << 20));
        assert_eq!(status(&router, "/up", vec![0; 1 << 20].into()).await, 200);
        assert_eq!(status(&router, "/up", vec![0; (1 << 20) + 1].into()).await, 503);
        assert_eq!(budget.0.available_permits(), 1, "the budget was not returned");
    }

    /// The form's bytes and its end arrive together at the second poll. It happens when they come from
    /// another thread between the handler's first poll and its next.
    #[tokio::test]
    async fn a_form_that_arrives_whole_between_two_polls_is_read() {
        let mut frames = vec![Frame::data(Bytes::from_static(
            b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n",
        ))];
        let mut polls = 0;
        let late = futures::stream::poll_fn(move |_context| {
            polls += 1;
            match polls {
                1 => std::task::Poll::Pending,
                _ => std::task::Poll::Ready(frames.pop().map(Ok::<_, std::io::Error>)),
            }
        });
        let router: Router = Router::new().route(
            "/form",
            post(async |Multipart(mut form): Multipart| -> Result<String, Problem> {
                Ok(form.next_field().await?.unwrap().text().await?)
            }),
        );
        assert_eq!(status(&router, "/form", axum::body::Body::new(StreamBody::new(late))).await, 200);
    }

    #[tokio::test]
    async fn the_innermost_limit_holds_for_every_extractor_and_both_framings() {
        let parts = async |Multipart(mut form): Multipart| -> Result<String, Problem> {
            let mut text = String::new();
            while let Some(field) = form.next_field().await? {
                text = field.text().await?;
            }
            Ok(text)
        };
        let router: Router = Router::new()
            .route("/small", post(async |BodyBytes(bytes): BodyBytes| bytes.len().to_string()))
            .route("/large", post(async |_: BodyBytes| ()).layer(limit(1000)))
            .route("/form", post(parts))
            .layer(limit(300));
        let unsized_body = |bytes: Vec<u8>| {
            let frame = Ok::<_, std::io::Error>(Frame::data(Bytes::from(bytes)));
            axum::body::Body::new(StreamBody::new(futures::stream::iter([frame])))
        };
        let form = |bytes: usize| {
            let head = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
            format!("{head}{}\r\n--b--\r\n", "x".repeat(bytes)).into_bytes()
        };
        for (path, bytes, expected) in [
            ("/small", vec![0; 300], 200),
            ("/small", vec![0; 301], 413),
            ("/large", vec![0; 1000], 200),
            ("/large", vec![0; 1001], 413),
            ("/form", form(10), 200),
            ("/form", form(300), 413),
            ("/form", b"--b\r\n".to_vec(), 400),
        ] {
            assert_eq!(status(&router, path, bytes.clone().into()).await, expected, "{path} sized");
            assert_eq!(status(&router, path, unsized_body(bytes)).await, expected, "{path} chunked");
        }
    }
}
