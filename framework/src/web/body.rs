//! Request bodies, bounded in size and in time.
//!
//! Size: [`limit`] sets the maximum of a route, and the innermost one applies. The extractors answer
//! 413, before the first byte if `Content-Length` is already too large. Time: the server ends every body
//! that comes too slowly, and the extractors answer 408.

mod min_rate;
mod paced;
mod spool;

use std::error::Error as StdError;

use axum::RequestExt;
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError};
use tower::util::MapRequestLayer;

use super::Exhausted;
use super::problem::Problem;
pub use min_rate::Stalled;
pub(crate) use min_rate::{MinRate, MinRateBody, Upload};
use paced::{Pace, Paced};
use spool::NotKept;
pub use spool::{Spool, spooled};

/// The maximum size of a body in bytes, if no [`limit`] is set.
pub const DEFAULT_LIMIT_BYTES: usize = 64 * 1024;

/// The maximum size of a body in bytes on a route that takes files, if no [`limit`] is set: enough for
/// ten photos of 10 MB, and a little more.
pub const UPLOAD_LIMIT_BYTES: usize = 128 << 20;

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

/// The limit of this request's body, in bytes.
fn limit_of(request: &Request) -> usize {
    request.extensions().get().map_or(DEFAULT_LIMIT_BYTES, |Limit(bytes)| *bytes)
}

/// The request with its limit applied to its body; 413 if the announced size is larger.
fn bounded(mut request: Request) -> Result<Request, Problem> {
    let limit = limit_of(&request);
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
/// for errors, and with a bound on the head of a part.
#[derive(Debug)]
pub(crate) struct Multipart {
    form: axum::extract::Multipart,
    pace: Pace,
}

/// A part of a form.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name, which may have any length; empty if it has none.
    pub(crate) name: String,
    /// Whether it is a file field for which no file was chosen.
    pub(crate) is_no_file: bool,
    pub(crate) bytes: Bytes,
}

impl Multipart {
    /// The next part, read to its end.
    pub(crate) async fn next_part(&mut self) -> Result<Option<Part>, Problem> {
        // The parser keeps no more of an error of the body than that there was one.
        self.read_part().await.map_err(|error| self.pace.failure().unwrap_or_else(|| error.into()))
    }

    async fn read_part(&mut self) -> Result<Option<Part>, MultipartError> {
        self.pace.begin_head();
        let Some(field) = self.form.next_field().await? else { return Ok(None) };
        self.pace.end_head();
        let name = field.name().unwrap_or_default().to_owned();
        let is_unnamed = field.file_name() == Some("");
        let bytes = field.bytes().await?;
        // This is how browsers send a file field without a file.
        Ok(Some(Part { name, is_no_file: is_unnamed && bytes.is_empty(), bytes }))
    }
}

impl<S: Send + Sync> FromRequest<S> for Multipart {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = bounded(request)?.into_parts();
        let (body, pace) = Paced::wrap(body);
        let request = Request::from_parts(parts, body);
        let form = axum::extract::Multipart::from_request(request, state).await;
        form.map(|form| Self { form, pace })
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
        if let Some(exhausted) = error.downcast_ref::<Exhausted>() {
            return (*exhausted).into();
        }
        if let Some(failure) = error.downcast_ref::<NotKept>() {
            tracing::warn!(%failure, cause = failure.source(), "an upload was refused");
            return Problem::unavailable(5);
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
            post(async |mut form: Multipart| -> Result<String, Problem> {
                Ok(String::from_utf8(form.next_part().await?.unwrap().bytes.into()).unwrap())
            }),
        );
        assert_eq!(status(&router, "/form", axum::body::Body::new(StreamBody::new(late))).await, 200);
    }

    #[tokio::test]
    async fn the_innermost_limit_holds_for_every_extractor_and_both_framings() {
        let parts = async |mut form: Multipart| -> Result<String, Problem> {
            let mut text = String::new();
            while let Some(field) = form.next_part().await? {
                text = String::from_utf8(field.bytes.into()).unwrap();
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
