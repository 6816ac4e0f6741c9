//! Whether this process can serve requests, and what is down.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::context::App;
use crate::media::MediaStore;
use crate::redis::Redis;
use crate::shard::Shards;
use crate::web::Problem;

/// How long an answer is given again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The latest answer. It is worked out once a second at most, however many ask, and by a task of its own:
/// who asks and leaves neither stops it nor starts another.
#[derive(Clone, Default)]
pub(super) struct Readiness(Arc<Mutex<Option<(Instant, Answer)>>>);

type Answer = Shared<BoxFuture<'static, Option<State>>>;

#[derive(Clone)]
struct State {
    is_ready: bool,
    /// What does not answer, and why.
    down: Vec<String>,
    is_redis_up: Option<bool>,
}

impl Readiness {
    /// 200 or 503, with what is down.
    pub(super) async fn of<S: Send + Sync + 'static>(&self, app: &App<S>) -> Response {
        let answer = {
            let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*latest {
                Some((begun, answer)) if begun.elapsed() < MAX_AGE || answer.peek().is_none() => {
                    answer.clone()
                }
                _ => {
                    let look = look(app.shards.clone(), app.media.clone(), app.redis.clone());
                    let answer = tokio::spawn(look).map(Result::ok).boxed().shared();
                    *latest = Some((Instant::now(), answer.clone()));
                    answer
                }
            }
        };
        match answer.await {
            Some(state) => state.into_response(),
            None => Problem::internal().into_response(),
        }
    }
}

/// A process is ready if it can do useful work, which takes one database. What else is down is said and
/// not held against it: other processes could not do more.
async fn look(shards: Shards, media: MediaStore, redis: Option<Redis>) -> State {
    let (databases, media) = futures::future::join(shards.ping(), media.check()).await;
    let mut down = Vec::new();
    for (database, answer) in &databases {
        if let Err(error) = answer {
            tracing::warn!(database = database.name(), error = error.chain(), "a database does not answer");
            down.push(format!("database: {error}"));
        }
    }
    let is_ready = down.len() < databases.len();
    if let Err(error) = media {
        tracing::warn!(error = error.chain(), "the media store does not answer");
        down.push(format!("media: {error}"));
    }
    State { is_ready, down, is_redis_up: redis.map(|redis| redis.is_up()) }
}

impl IntoResponse for State {
    fn into_response(self) -> Response {
        if !self.is_ready {
            let mut problem = Problem::unavailable(1);
            problem.detail = self.down.join("; ");
            return problem.into_response();
        }
        let mut state = serde_json::json!({"ready": true});
        if !self.down.is_empty() {
            state["down"] = self.down.into();
        }
        if let Some(is_up) = self.is_redis_up {
            state["redis"] = is_up.into();
        }
        Json(state).into_response()
    }
}
