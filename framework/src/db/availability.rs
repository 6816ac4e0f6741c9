//! Tracks whether a database server responds, so that no call waits for a server that is known to be
//! down.
//!
//! A call that is slow, or fails as calls to a dead server do, triggers a probe on a separate
//! connection. While the probes fail, new calls are refused at once and running calls are cancelled.
//! Connections opened before the last failure are not used again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{ConnectOptions, Connection, Executor};
use sea_orm::{DbErr, RuntimeErr};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::is_broken;

/// A call that takes this long triggers a probe.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// The timeout of a probe, whose query does no work.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two probes of a server that is down.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Connections are renewed after this long, which also bounds what a backend accumulates.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

#[derive(Clone, Debug)]
pub(super) struct Availability(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    options: PgConnectOptions,
    /// How long one statement may take.
    deadline: Duration,
    down: watch::Sender<bool>,
    probing: AtomicBool,
    /// When a call last failed, in milliseconds since `start()`, plus one; 0 is never.
    broken_ms: AtomicU64,
}

/// The origin of [`Inner::broken_ms`].
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

impl Availability {
    pub(super) fn new(name: &str, options: PgConnectOptions, deadline: Duration) -> Self {
        start();
        Self(Arc::new(Inner {
            name: name.to_owned(),
            options,
            deadline,
            down: watch::Sender::new(false),
            probing: AtomicBool::new(false),
            broken_ms: AtomicU64::new(0),
        }))
    }

    pub(super) fn is_down(&self) -> bool {
        *self.0.down.borrow()
    }

    /// Whether a connection of this age may be used.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        let broken_ms = self.0.broken_ms.load(Ordering::Relaxed);
        let opened_ms = start().elapsed().saturating_sub(age).as_millis() as u64;
        age < MAX_CONNECTION_AGE && (broken_ms == 0 || opened_ms >= broken_ms)
    }

    /// Whether a call that failed with this error may succeed on another connection, if repeating it is
    /// harmless.
    pub(super) fn is_worth_repeating(&self, error: &DbErr) -> bool {
        is_broken(error) && !self.is_down()
    }

    /// Runs a call unless the server is down, and cancels it if the server goes down meanwhile.
    pub(super) async fn guard<T>(&self, call: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let result = match self.bounded(self.0.deadline, call).await {
            Ok(result) => result,
            Err(why) => Err(DbErr::Conn(RuntimeErr::Internal(why))),
        };
        if result.as_ref().is_err_and(is_broken) {
            self.suspect();
        }
        result
    }

    /// Runs any call to the server, with a deadline.
    ///
    /// # Errors
    /// Why the call was cancelled, as a sentence.
    pub(super) async fn bounded<T>(
        &self,
        deadline: Duration,
        call: impl Future<Output = T>,
    ) -> Result<T, String> {
        let gone = || format!("{} is down", self.0.name);
        if self.is_down() {
            return Err(gone());
        }
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            result = &mut call => return Ok(result),
            () = tokio::time::sleep(SUSPECT_AFTER) => self.probe(),
        }
        let mut down = self.0.down.subscribe();
        tokio::select! {
            biased;
            result = &mut call => Ok(result),
            _ = down.wait_for(|down| *down) => Err(gone()),
            () = tokio::time::sleep(deadline.saturating_sub(SUSPECT_AFTER)) => {
                // The connection's next user would read the rest of the answer.
                self.suspect();
                Err(format!("{} took longer than {} s", self.0.name, deadline.as_secs()))
            }
        }
    }

    /// Marks older connections as unusable and probes the server, after a connection has failed.
    fn suspect(&self) {
        let now_ms = start().elapsed().as_millis() as u64 + 1;
        self.0.broken_ms.fetch_max(now_ms, Ordering::Relaxed);
        self.probe();
    }

    fn probe(&self) {
        if !self.0.probing.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().probe_until_up());
        }
    }

    async fn probe_until_up(self) {
        while let Err(error) = self.answers().await {
            if !self.0.down.send_replace(true) {
                tracing::error!(database = %self.0.name, %error, "the database is down: its shards are refused until it answers");
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
        self.0.probing.store(false, Ordering::Release);
        if self.0.down.send_replace(false) {
            tracing::info!(database = %self.0.name, "the database answers again");
        }
    }

    async fn answers(&self) -> Result<(), sea_orm::sqlx::Error> {
        let asked = async {
            let mut connection: PgConnection = self.0.options.connect().await?;
            connection.execute("SELECT 1").await?;
            connection.close().await
        };
        match tokio::time::timeout(PROBE_TIMEOUT, asked).await {
            // A refusal is an answer, except from a server that is starting or stopping.
            Ok(Err(sea_orm::sqlx::Error::Database(refusal)))
                if !refusal.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")) =>
            {
                Ok(())
            }
            Ok(answered) => answered,
            Err(_) => Err(sea_orm::sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }
}
