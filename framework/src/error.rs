//! The framework's only error type: a message for people, predicates for code, and the cause.
//!
//! `Error` is opaque: callers use the `is_*` predicates and never match on a growing list of variants.
//! Its message says what happened, where, and how to fix it. `web` maps errors to HTTP status codes.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The result of any framework function that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, for the app's own code that the framework runs, such as jobs: `?` converts every error type,
/// and `"a text".into()` makes one.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error message, with the cause as its source.
///
/// ```
/// let error = tripod::Error::invalid("the caption is longer than 2,200 characters");
/// assert!(error.is_invalid());
/// assert_eq!(error.to_string(), "the caption is longer than 2,200 characters");
/// ```
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    fields: Vec<FieldError>,
    retry_after_seconds: Option<u64>,
    #[source]
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invalid,
    Unsupported,
    Unauthenticated,
    Forbidden,
    Absent,
    Conflict,
    Limited,
    Configuration,
    Unavailable,
    Unconfirmed,
    Overloaded,
    Internal,
}

/// What is wrong with one field of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field's path, such as `photos[2].alt`; empty for the input as a whole.
    pub field: String,
    /// What is wrong with it, worded to follow the field's name.
    pub detail: String,
}

/// The text, or the start of it and an ellipsis if it has more than so many bytes.
pub(crate) fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('\u{2026}');
    }
    text
}

impl FieldError {
    /// An error about `field`. Both are shortened if they are very long: they may contain what a client
    /// sent.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: shortened(field.into(), 200), detail: shortened(detail.into(), 500) }
    }
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fields: Vec::new(), retry_after_seconds: None, source: None }
    }

    /// Input that can never be accepted unchanged.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// One invalid field of the input; `detail` follows the field's name.
    ///
    /// ```
    /// let error = tripod::Error::invalid_field("caption", "must have at most 2,200 characters");
    /// assert_eq!(error.to_string(), "caption must have at most 2,200 characters");
    /// assert_eq!(error.fields()[0].field, "caption");
    /// ```
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError::new(field, detail)])
    }

    /// Several invalid fields of the input.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let sentences = fields.iter().map(|error| format!("{} {}", error.field, error.detail));
        let sentences: Vec<String> = sentences.map(|sentence| sentence.trim().to_owned()).collect();
        Self { fields, ..Self::new(Kind::Invalid, sentences.join("; ")) }
    }

    /// Input of an unsupported type, such as a file that is not a photo.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// The request is not signed in, or its credentials are wrong.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, message)
    }

    /// The signed-in account may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// The item does not exist or the viewer may not see it; both get the same response.
    pub fn absent(message: impl Into<String>) -> Self {
        Self::new(Kind::Absent, message)
    }

    /// The input is valid, but conflicts with stored data.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// A rate limit is used up; the caller may retry after `retry_after_seconds`.
    pub fn limited(retry_after_seconds: u64) -> Self {
        let message = format!("Too many requests; try again in {retry_after_seconds} s.");
        Self { retry_after_seconds: Some(retry_after_seconds), ..Self::new(Kind::Limited, message) }
    }

    /// The program is misconfigured; only its operator can fix it.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Kind::Configuration, message)
    }

    /// A store does not respond in time; the same call may succeed later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// A store went away before it confirmed a write, which may have been applied.
    pub fn unconfirmed(message: impl Into<String>) -> Self {
        Self::new(Kind::Unconfirmed, message)
    }

    /// A capacity limit was reached; the caller should slow down and retry.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(Kind::Overloaded, message)
    }

    /// A fault in the program or its data.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Whether this is [`Error::invalid`], [`Error::invalid_field`] or [`Error::invalid_fields`].
    pub fn is_invalid(&self) -> bool {
        self.kind == Kind::Invalid
    }

    /// Whether this is [`Error::unsupported`].
    pub fn is_unsupported(&self) -> bool {
        self.kind == Kind::Unsupported
    }

    /// Whether this is [`Error::unauthenticated`].
    pub fn is_unauthenticated(&self) -> bool {
        self.kind == Kind::Unauthenticated
    }

    /// Whether this is [`Error::forbidden`].
    pub fn is_forbidden(&self) -> bool {
        self.kind == Kind::Forbidden
    }

    /// Whether this is [`Error::absent`].
    pub fn is_absent(&self) -> bool {
        self.kind == Kind::Absent
    }

    /// Whether this is [`Error::conflict`].
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    /// Whether this is [`Error::limited`].
    pub fn is_limited(&self) -> bool {
        self.kind == Kind::Limited
    }

    /// Whether this is [`Error::configuration`].
    pub fn is_configuration(&self) -> bool {
        self.kind == Kind::Configuration
    }

    /// Whether this is [`Error::unavailable`].
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Whether this is [`Error::unconfirmed`].
    pub fn is_unconfirmed(&self) -> bool {
        self.kind == Kind::Unconfirmed
    }

    /// Whether this is [`Error::overloaded`].
    pub fn is_overloaded(&self) -> bool {
        self.kind == Kind::Overloaded
    }

    /// Whether this is [`Error::internal`].
    pub fn is_internal(&self) -> bool {
        self.kind == Kind::Internal
    }

    /// Attributes this error to a field, with the message as the field's detail.
    ///
    /// ```
    /// let error = tripod::Error::unsupported("this looks like a GIF").at_field("photo[0]");
    /// assert!(error.is_unsupported() && error.fields()[0].field == "photo[0]");
    /// ```
    #[must_use]
    pub fn at_field(mut self, field: impl Into<String>) -> Self {
        self.fields = vec![FieldError::new(field, self.message.clone())];
        self
    }

    /// The invalid fields of an error from [`Error::invalid_field`], [`Error::invalid_fields`] or
    /// [`Error::at_field`].
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// Seconds after which the caller may retry, if known.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }
}

impl Error {
    /// Attaches `source` as the cause of this error.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A copy of an error, for another caller that waited on the call that failed.
    pub(crate) fn shared(error: Arc<Self>) -> Self {
        Self {
            kind: error.kind,
            message: error.message.clone(),
            fields: error.fields.clone(),
            retry_after_seconds: error.retry_after_seconds,
            source: Some(Box::new(error)),
        }
    }

    /// The message and every cause, for logs and terminals.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error's message and every cause.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let sentence = error.to_string();
        if !text.contains(&sentence) {
            text = format!("{text}: {sentence}");
        }
        cause = error.source();
    }
    text
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        use sea_orm::{DbErr, SqlErr};
        let made = match (&error, error.sql_err()) {
            (_, Some(SqlErr::UniqueConstraintViolation(_))) => {
                Self::conflict("a row with the same key exists")
            }
            (DbErr::ConnectionAcquire(_) | DbErr::Conn(_), _) => {
                Self::unavailable("the database does not answer")
            }
            _ if is_broken(&error) => Self::unavailable("the database's connection was lost"),
            _ => match sql_state(&error).as_deref() {
                Some("40001" | "40P01") => {
                    Self::unavailable("two writes conflicted with each other; try again")
                }
                Some("53100") => Self::unavailable("the database's disk is full"),
                Some("57014") => Self::unavailable("the database took too long"),
                _ => Self::internal("the database refused a statement"),
            },
        };
        made.because(error)
    }
}

/// Whether an error of the app's own code says that a store is away, so that the same call succeeds when it
/// is back. A statement that the database gave up after too long may never succeed.
pub(crate) fn is_store_away(error: &(dyn StdError + 'static)) -> bool {
    let (mut is_away, mut next) = (None, Some(error));
    while let Some(cause) = next {
        next = cause.source();
        if let Some(error) = cause.downcast_ref::<Error>() {
            is_away.get_or_insert(error.is_unavailable() || error.is_unconfirmed() || error.is_overloaded());
        }
        if let Some(error) = cause.downcast_ref::<sea_orm::DbErr>()
            && sql_state(error).as_deref() == Some("57014")
        {
            return false;
        }
    }
    is_away == Some(true)
}

/// The underlying driver error, if there is one.
fn driver_error(error: &sea_orm::DbErr) -> Option<&sea_orm::sqlx::Error> {
    use sea_orm::{DbErr, RuntimeErr};
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// The driver's error code: on PostgreSQL, the SQLSTATE.
fn sql_state(error: &sea_orm::DbErr) -> Option<String> {
    driver_error(error)?.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Whether a database connection is unusable: it is closed, its server is stopping (57P..) or has ended it
/// (08...), also because a transaction was idle for too long (25P03), or the server has become a standby that
/// takes no writes (25006).
pub(crate) fn is_broken(error: &sea_orm::DbErr) -> bool {
    use sea_orm::sqlx::Error::{Io, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    match driver_error(error) {
        Some(Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | WorkerCrashed) => true,
        _ => sql_state(error)
            .is_some_and(|code| ["08", "57P", "25P03", "25006"].iter().any(|start| code.starts_with(start))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_is_told_from_other_failures() {
        let away = || Error::unavailable("the database does not answer");
        assert!(is_store_away(&away()));
        assert!(is_store_away(&Error::shared(Arc::new(away()))));
        assert!(!is_store_away(&Error::internal("a fault").because(away())));
        assert!(!is_store_away(&std::io::Error::other("disk on fire")));
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::unavailable("cannot write the photo").because(cause);
        assert!(error.is_unavailable() && !error.is_internal());
        assert_eq!(error.chain(), "cannot write the photo: disk on fire");
    }
}
