//! Tracks whether a database server responds and takes writes, so that no call waits for a server that is
//! known to be down, and whether another server has taken its place.
//!
//! A call that is slow, or fails as calls to a dead or demoted server do, triggers a probe on a separate
//! connection. While the probes fail, new calls are refused at once and running calls are cancelled. While
//! they reach a server that takes no writes, writes are refused at once.
//!
//! After a failover, open connections may still lead to the old primary, which answers them. A watch
//! therefore opens a new connection every few seconds and compares the server's
//! [history](super::primary) with the one before. If it differs, connections opened earlier are not used
//! again, and whoever [follows](Availability::history) the history drops what was read from the old one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{ConnectOptions, Connection};
use sea_orm::{DbErr, RuntimeErr};
use tokio::sync::watch;
use tokio::time::Instant;

use super::primary::Primary;
use crate::error::is_broken;

/// A call that takes this long triggers a probe.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// The timeout of a probe, whose query does no work.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two probes of a server that is down or takes no writes.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// The pause between two looks at which server answers at the address.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Connections are renewed after this long, which also bounds what a backend accumulates.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

#[derive(Clone, Debug)]
pub(super) struct Availability(Arc<Inner>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// It answers, and takes no writes.
    ReadOnly,
    Down,
    /// It did not answer at start, and what it holds has not been checked yet.
    Absent,
}

/// What a server's address leads to, as far as is known.
pub(super) type History = Option<Arc<str>>;

#[derive(Debug)]
struct Inner {
    name: String,
    options: PgConnectOptions,
    /// How long one statement may take.
    deadline: Duration,
    state: watch::Sender<State>,
    history: watch::Sender<History>,
    /// The server's clock when it was last read, in milliseconds since the Unix epoch, and when that was.
    clock: Mutex<Option<(u64, Instant)>>,
    probing: AtomicBool,
    /// When connections were last retired, in milliseconds since `start()`, plus one; 0 is never.
    retired_ms: AtomicU64,
}

/// The origin of [`Inner::retired_ms`].
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

impl Availability {
    /// Watches the server with these options. Until it is [admitted](Self::admit), every call is refused.
    pub(super) fn new(name: &str, options: PgConnectOptions, deadline: Duration) -> Self {
        start();
        let this = Self(Arc::new(Inner {
            name: name.to_owned(),
            options,
            deadline,
            state: watch::Sender::new(State::Absent),
            history: watch::Sender::new(None),
            clock: Mutex::new(None),
            probing: AtomicBool::new(false),
            retired_ms: AtomicU64::new(0),
        }));
        tokio::spawn(Self::watch(Arc::downgrade(&this.0)));
        this
    }

    /// Lets calls reach the server, which was found to be `primary`.
    pub(super) fn admit(&self, primary: Primary) {
        let state = self.learn(primary);
        self.0.state.send_replace(state);
        if state != State::Up {
            self.probe();
        }
    }

    /// What is known about the server; `None` if it was not admitted.
    pub(super) fn primary(&self) -> Option<Primary> {
        let clock = (*self.0.clock.lock().unwrap_or_else(|broken| broken.into_inner()))?;
        Some(Primary { is_writable: self.is_writable(), history: self.0.history.borrow().clone(), clock })
    }

    /// Whether the server was not [admitted](Self::admit) yet.
    pub(super) fn is_absent(&self) -> bool {
        *self.0.state.borrow() == State::Absent
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(*self.0.state.borrow(), State::Down | State::Absent)
    }

    /// Whether the server answers and takes writes.
    pub(super) fn is_writable(&self) -> bool {
        *self.0.state.borrow() == State::Up
    }

    /// The history that the server continues, and its changes.
    pub(super) fn history(&self) -> watch::Receiver<History> {
        self.0.history.subscribe()
    }

    /// The time by the server's clock, in milliseconds since the Unix epoch.
    pub(super) fn clock_ms(&self) -> Option<u64> {
        let (ms, read) = (*self.0.clock.lock().unwrap_or_else(|broken| broken.into_inner()))?;
        Some(ms + read.elapsed().as_millis() as u64)
    }

    /// A number that rises whenever earlier connections are retired.
    pub(super) fn generation(&self) -> u64 {
        self.0.retired_ms.load(Ordering::Acquire)
    }

    /// Whether a connection of this age may be used.
    pub(super) fn is_fresh(&self, age: Duration) -> bool {
        let retired_ms = self.generation();
        let opened_ms = start().elapsed().saturating_sub(age).as_millis() as u64;
        age < MAX_CONNECTION_AGE && (retired_ms == 0 || opened_ms >= retired_ms)
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
        if let Err(error) = &result {
            self.observe(error);
        }
        result
    }

    /// Takes note of a call's error: it may show that no earlier connection can be used.
    pub(super) fn observe(&self, error: &DbErr) {
        if is_broken(error) {
            self.suspect();
        }
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
        let mut state = self.0.state.subscribe();
        tokio::select! {
            biased;
            result = &mut call => Ok(result),
            _ = state.wait_for(|state| *state == State::Down) => Err(gone()),
            () = tokio::time::sleep(deadline.saturating_sub(SUSPECT_AFTER)) => {
                // The connection's next user would read the rest of the answer.
                self.suspect();
                Err(format!("{} took longer than {} s", self.0.name, deadline.as_secs()))
            }
        }
    }

    /// Retires older connections and probes the server, after a connection has failed.
    fn suspect(&self) {
        self.retire();
        self.probe();
    }

    /// Marks the connections opened so far as unusable.
    fn retire(&self) {
        let now_ms = start().elapsed().as_millis() as u64 + 1;
        self.0.retired_ms.fetch_max(now_ms, Ordering::AcqRel);
    }

    fn probe(&self) {
        if !self.0.probing.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().probe_until_up());
        }
    }

    async fn probe_until_up(self) {
        loop {
            let state = match self.ask().await {
                Ok(None) => State::Up,
                Ok(Some(primary)) => self.learn(primary),
                Err(error) => {
                    self.turn(State::Down, Some(&error));
                    State::Down
                }
            };
            if state == State::Up {
                break;
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
        self.turn(State::Up, None);
        self.0.probing.store(false, Ordering::Release);
    }

    /// Looks from time to time at which server new connections reach.
    async fn watch(inner: Weak<Inner>) {
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let Some(this) = inner.upgrade().map(Self) else { return };
            // If it does not answer, calls find out.
            if !this.is_absent()
                && !this.0.probing.load(Ordering::Acquire)
                && let Ok(Some(primary)) = this.ask().await
                && this.learn(primary) != State::Up
            {
                this.probe();
            }
        }
    }

    /// Takes note of which server answers.
    fn learn(&self, primary: Primary) -> State {
        *self.0.clock.lock().unwrap_or_else(|broken| broken.into_inner()) = Some(primary.clock);
        if !primary.is_writable {
            self.turn(State::ReadOnly, None);
            return State::ReadOnly;
        }
        let known = self.0.history.borrow().clone();
        if primary.history.is_some() && primary.history != known {
            if known.is_some() {
                tracing::warn!(database = %self.0.name, "another server has taken the place of the database's: its connections are opened again, and what was cached is dropped");
            }
            // First: whoever follows the history must get no connection to the old server afterwards.
            self.retire();
            self.0.history.send_replace(primary.history);
        }
        State::Up
    }

    fn turn(&self, state: State, why: Option<&sea_orm::sqlx::Error>) {
        let database = self.0.name.as_str();
        let before = self.0.state.send_replace(state);
        match (before, state) {
            (before, state) if before == state => {}
            (_, State::Up) => tracing::info!(database, "the database answers again, and takes writes"),
            (_, State::ReadOnly) => tracing::error!(
                database,
                "the database takes no writes: its server is a standby, or read-only; writes are refused until \
                 its address leads to a primary"
            ),
            (_, State::Down | State::Absent) => {
                let error = why.map(ToString::to_string).unwrap_or_default();
                tracing::error!(
                    database,
                    error,
                    "the database is down: its shards are refused until it answers"
                );
            }
        }
    }

    /// What the server says about itself on a new connection; `None` if it refuses the connection, which is
    /// an answer too.
    async fn ask(&self) -> Result<Option<Primary>, sea_orm::sqlx::Error> {
        let asked = async {
            let mut connection = self.0.options.connect().await?;
            let primary = Primary::ask(&mut connection).await?;
            connection.close().await?;
            Ok(Some(primary))
        };
        match tokio::time::timeout(PROBE_TIMEOUT, asked).await {
            // Except from a server that is starting or stopping.
            Ok(Err(sea_orm::sqlx::Error::Database(refusal)))
                if !refusal.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")) =>
            {
                Ok(None)
            }
            Ok(answered) => answered,
            Err(_) => Err(sea_orm::sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }
}
