//! Large bodies: they wait in a file until they are complete, so that a slow client holds no memory.
//!
//! What has arrived is charged to the client's account and network, not what it announced. A complete
//! body is read into memory once there is room for it.

use std::io::{self, SeekFrom};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limit_of;
use crate::config::Config;
use crate::web::auth::{SignedIn, network};
use crate::web::{Budget, Held, RateLimitKey};

/// The part that one account, or one network, may have of what arrives.
const SHARE: u64 = 4;
/// How many uploads may arrive at once, and how many of one account or network.
const UPLOADS: u64 = 512;
const UPLOADS_OF_CLIENT: u64 = 64;
/// A body of up to this size is never in a file, in bytes.
const SMALL_BYTES: usize = 64 * 1024;
/// The size of the pieces in which a file is read, in bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes per permit of memory, so that any budget fits the semaphore's `u32`.
const PERMIT_BYTES: u64 = 64 * 1024;
/// How long a complete upload waits for memory.
const WAIT: Duration = Duration::from_secs(10);

/// Where large bodies wait. Clones share its limits.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    uploads: Budget,
    arriving: Budget,
    memory: Arc<Semaphore>,
    permits: u32,
}

/// Why a body could not be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    #[error(
        "an upload cannot be kept in a file: free space in data_dir, or give this program the right to write there"
    )]
    File(#[from] io::Error),
    #[error("the memory for uploads is in use")]
    Memory,
}

impl Spool {
    /// Keeps bodies in the data directory, within the configured limits.
    pub fn of(config: &Config) -> Self {
        let uploads = &config.uploads;
        let share = |all: u64, share: u64| if config.limits { share } else { all };
        let permits = u32::try_from(uploads.memory_bytes / PERMIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self(Arc::new(Shared {
            directory: config.data_dir.clone(),
            uploads: Budget::new(UPLOADS, share(UPLOADS, UPLOADS_OF_CLIENT)),
            arriving: Budget::new(
                uploads.arriving_bytes,
                share(uploads.arriving_bytes, uploads.arriving_bytes / SHARE),
            ),
            memory: Arc::new(Semaphore::new(permits as usize)),
            permits,
        }))
    }

    /// Receives a body to its end.
    async fn receive(
        &self,
        body: Body,
        limit: usize,
        clients: Vec<RateLimitKey>,
    ) -> Result<Whole, axum::BoxError> {
        let upload = self.0.uploads.take(clients.clone(), 1)?;
        let mut arrived = self.0.arriving.take(clients, 0)?;
        let (mut bytes, mut start, mut file) = (0, BytesMut::new(), None);
        let mut body = Limited::new(body, limit);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            arrived.add(data.len() as u64)?;
            bytes += data.len() as u64;
            if file.is_none() && start.len() + data.len() <= SMALL_BYTES {
                start.extend_from_slice(&data);
                continue;
            }
            let file = match &mut file {
                Some(file) => file,
                none => none.insert(self.create(&start).await.map_err(NotKept::File)?),
            };
            file.write_all(&data).await.map_err(NotKept::File)?;
        }
        if let Some(file) = &mut file {
            file.flush().await.map_err(NotKept::File)?;
            file.seek(SeekFrom::Start(0)).await.map_err(NotKept::File)?;
            start.clear();
        }
        Ok(Whole { bytes, start: start.freeze(), file, _charged: (upload, arrived) })
    }

    /// A file without a name, which vanishes with this process, that begins with `start`.
    async fn create(&self, start: &[u8]) -> io::Result<File> {
        let directory = self.0.directory.clone();
        let created = tokio::task::spawn_blocking(move || {
            // On servers nothing else needs the directory.
            std::fs::create_dir_all(&directory)?;
            tempfile::tempfile_in(&directory)
        });
        let mut file = File::from_std(created.await.map_err(io::Error::other)??);
        file.write_all(start).await?;
        Ok(file)
    }

    /// Memory for a body of so many bytes.
    async fn room(&self, bytes: u64) -> Result<OwnedSemaphorePermit, NotKept> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX).min(self.0.permits);
        let room = timeout(WAIT, self.0.memory.clone().acquire_many_owned(permits)).await;
        room.map_err(|_| NotKept::Memory)?.map_err(|_| NotKept::Memory)
    }
}

/// A body that has arrived.
struct Whole {
    bytes: u64,
    start: Bytes,
    file: Option<File>,
    _charged: (Held, Held),
}

impl Whole {
    /// Its content in pieces.
    fn pieces(self) -> BoxStream<'static, Result<Bytes, axum::BoxError>> {
        let start = self.start.clone();
        let rest = stream::try_unfold(self, async |mut whole| {
            let Some(file) = &mut whole.file else { return Ok(None) };
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            match file.read_buf(&mut piece).await.map_err(NotKept::File)? {
                0 => Ok(None),
                _ => Ok(Some((piece.freeze(), whole))),
            }
        });
        stream::iter((!start.is_empty()).then_some(Ok(start))).chain(rest).boxed()
    }
}

/// Middleware for routes that take large bodies: the handler reads the body once it has arrived, and the
/// memory for it is kept until the reply is made. A body that is not read is not received either.
pub async fn spooled(State(spool): State<Spool>, request: Request, next: Next) -> Response {
    let account = request.extensions().get().map(|SignedIn(session)| RateLimitKey::Account(session.account));
    let clients: Vec<RateLimitKey> = account.into_iter().chain(network(&request).map(Into::into)).collect();
    let limit = limit_of(&request);
    let memory = Arc::new(Mutex::new(None));
    let kept = memory.clone();
    let request = request.map(|body| {
        let hint = body.size_hint();
        let content = async move {
            let whole = spool.receive(body, limit, clients).await?;
            let room = spool.room(whole.bytes).await?;
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
            Ok::<_, axum::BoxError>(whole.pieces())
        };
        Body::new(Spooled { hint, content: stream::once(content).try_flatten().boxed() })
    });
    let response = next.run(request).await;
    drop(memory);
    response
}

/// A body that is received when it is first polled.
struct Spooled {
    hint: SizeHint,
    content: BoxStream<'static, Result<Bytes, axum::BoxError>>,
}

impl http_body::Body for Spooled {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.content.poll_next_unpin(context).map_ok(Frame::data)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::MultipartForm;
    use crate::web::body::{BodyBytes, limit};
    use axum::http::StatusCode;
    use axum::{Router, middleware::from_fn_with_state, routing::post};
    use std::collections::HashMap;
    use tokio::sync::{Notify, mpsc};
    use tower::ServiceExt;

    fn spool(arriving: u64, share: u64, permits: u32) -> (Spool, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool(Arc::new(Shared {
            directory: directory.path().join("data"),
            uploads: Budget::new(2, 2),
            arriving: Budget::new(arriving, share),
            memory: Arc::new(Semaphore::new(permits as usize)),
            permits,
        }));
        (spool, directory)
    }

    fn router(spool: &Spool, limited_to: usize) -> Router {
        let echo = async |BodyBytes(body): BodyBytes| body;
        Router::new()
            .route("/echo", post(echo))
            .route("/deaf", post(async || "deaf"))
            .route("/form", post(async |_: MultipartForm<HashMap<String, String>>| ()))
            .layer(from_fn_with_state(spool.clone(), spooled))
            .layer(limit(limited_to))
    }

    async fn send(router: &Router, path: &str, body: impl Into<Body>) -> (StatusCode, Bytes) {
        let request = Request::post(path).body(body.into()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes())
    }

    fn unannounced(pieces: mpsc::UnboundedReceiver<Bytes>) -> Body {
        let pieces = stream::unfold(pieces, async |mut pieces| {
            pieces.recv().await.map(|piece| (Ok::<_, io::Error>(piece), pieces))
        });
        Body::from_stream(pieces)
    }

    #[tokio::test]
    async fn a_body_of_any_size_arrives_whole_and_leaves_nothing() {
        let (spool, directory) = spool(8 << 20, 8 << 20, 128);
        let router = router(&spool, 4 << 20);
        for size in [0, 1, SMALL_BYTES, SMALL_BYTES + 1, PIECE_BYTES, 3 << 20] {
            let sent: Bytes = (0..size).map(|index| (index % 251) as u8).collect();
            let (status, echoed) = send(&router, "/echo", sent.clone()).await;
            assert!(status == 200 && echoed == sent, "{size}: {status}");
        }
        assert_eq!(send(&router, "/echo", vec![0; (4 << 20) + 1]).await.0, 413);
        assert_eq!((spool.0.arriving.held(), spool.0.uploads.held()), (0, 0));
        assert_eq!(spool.0.memory.available_permits(), 128);
        assert_eq!(std::fs::read_dir(directory.path().join("data")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_arrived_is_charged_and_not_what_was_announced() {
        let (spool, _directory) = spool(1 << 20, 1 << 20, 128);
        let router = router(&spool, 64 << 20);
        let (more, pieces) = mpsc::unbounded_channel();
        let slow = tokio::spawn({
            let router = router.clone();
            async move { send(&router, "/echo", unannounced(pieces)).await.0 }
        });
        more.send(Bytes::from(vec![0; 1000])).unwrap();
        while spool.0.arriving.held() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(send(&router, "/echo", vec![0; 1 << 19]).await.0, 200);
        assert_eq!(send(&router, "/echo", vec![0; 1 << 20]).await.0, 503);
        drop(more);
        assert_eq!(slow.await.unwrap(), 200);
        assert_eq!(send(&router, "/echo", vec![0; 1 << 20]).await.0, 200);
    }

    #[tokio::test]
    async fn one_client_has_its_share_and_is_told_so() {
        let (spool, _directory) = spool(1 << 20, 1 << 18, 128);
        let (router, address) =
            (router(&spool, 64 << 20), "203.0.113.9:5".parse::<std::net::SocketAddr>().unwrap());
        let mut request = Request::post("/echo").body(Body::from(vec![0; 1 << 19])).unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(address));
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), 429);
        assert_eq!(send(&router, "/echo", vec![0; 1 << 19]).await.0, 200, "of nobody");
        // A form's parser would hide why.
        let part = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n".to_vec();
        let form = Request::post("/form").header("content-type", "multipart/form-data; boundary=b");
        let mut form = form.body(Body::from([part, vec![0; 1 << 19]].concat())).unwrap();
        form.extensions_mut().insert(axum::extract::ConnectInfo(address));
        assert_eq!(router.oneshot(form).await.unwrap().status(), 429);
    }

    #[tokio::test]
    async fn an_endless_body_ends_at_the_limit_and_an_unread_one_is_not_received() {
        let (spool, _directory) = spool(1 << 30, 1 << 30, 128);
        let router = router(&spool, 1 << 20);
        let endless =
            || Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[0; 4096]))));
        assert_eq!(send(&router, "/echo", endless()).await.0, 413);
        assert_eq!(send(&router, "/deaf", endless()).await.0, 200);
        assert_eq!(spool.0.arriving.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_complete_upload_waits_for_memory_and_not_for_ever() {
        let (spool, _directory) = spool(8 << 20, 8 << 20, 8);
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (entered.clone(), leave.clone());
        let slow = async move |BodyBytes(_): BodyBytes| {
            tell.notify_one();
            wait.notified().await;
        };
        let slow = Router::new().route("/slow", post(slow)).layer(from_fn_with_state(spool.clone(), spooled));
        let router = router(&spool, 4 << 20).merge(slow.layer(limit(4 << 20)));
        let first = tokio::spawn({
            let router = router.clone();
            async move { send(&router, "/slow", vec![0; 512 << 10]).await.0 }
        });
        entered.notified().await;
        assert_eq!(send(&router, "/echo", vec![0; 1]).await.0, 503);
        leave.notify_one();
        assert_eq!(first.await.unwrap(), 200);
        assert_eq!(send(&router, "/echo", vec![0; 1]).await.0, 200);
    }

    #[tokio::test]
    async fn a_full_disk_is_503() {
        let (spool, _directory) = spool(8 << 20, 8 << 20, 128);
        let nowhere = Spool(Arc::new(Shared {
            directory: "/proc/nowhere".into(),
            uploads: spool.0.uploads.clone(),
            arriving: spool.0.arriving.clone(),
            memory: spool.0.memory.clone(),
            permits: 128,
        }));
        let router = router(&nowhere, 4 << 20);
        let (status, said) = send(&router, "/echo", vec![0; 1 << 20]).await;
        assert_eq!(status, 503, "{said:?}");
        assert_eq!(send(&router, "/echo", vec![0; 1000]).await.0, 200, "a small one needs no file");
    }
}
