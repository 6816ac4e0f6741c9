//! The one error of the framework: a sentence for people, a question for code, and the cause.
//!
//! `Error` is opaque: callers ask `is_*` and never match on a list that grows. Its sentence says
//! what happened, where, and how to mend it. HTTP status codes are not decided here but in `web`.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of everything in the framework that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in a sentence, with the cause kept as its source.
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
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invalid,
    Unsupported,
    Conflict,
    Configuration,
    Unavailable,
    Unconfirmed,
    Overloaded,
    Internal,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $make:ident, $ask:ident, $kind:ident;)*) => {
        impl Error {
            $(
                $(#[$doc])*
                pub fn $make(message: impl Into<String>) -> Self {
                    Self { kind: Kind::$kind, message: message.into(), source: None }
                }

                #[doc = concat!("Whether this was made by [`Error::", stringify!($make), "`].")]
                pub fn $ask(&self) -> bool {
                    self.kind == Kind::$kind
                }
            )*
        }
    };
}

kinds! {
    /// Input that can never be accepted as it is.
    invalid, is_invalid, Invalid;
    /// Input of a type that is not handled at all, such as a file that is no photo.
    unsupported, is_unsupported, Unsupported;
    /// The input was fine, but what is stored stands against it.
    conflict, is_conflict, Conflict;
    /// The program is set up wrongly; only its operator can mend it.
    configuration, is_configuration, Configuration;
    /// A store does not answer, or not in time; the same call may succeed later.
    unavailable, is_unavailable, Unavailable;
    /// A store went away before it said whether a write was made: it may have been.
    unconfirmed, is_unconfirmed, Unconfirmed;
    /// A bound was reached; the caller should slow down and try again.
    overloaded, is_overloaded, Overloaded;
    /// A fault of the program or of its data.
    internal, is_internal, Internal;
}

impl Error {
    /// Keeps `source` as the cause of this error.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error once more, for another of those who waited for what failed.
    pub(crate) fn shared(error: Arc<Self>) -> Self {
        Self { kind: error.kind, message: error.message.clone(), source: Some(Box::new(error)) }
    }

    /// The sentence and every cause below it, for logs and terminals.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let sentence = error.to_string();
            if !text.contains(&sentence) {
                text = format!("{text}: {sentence}");
            }
            cause = error.source();
        }
        text
    }
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
                    Self::unavailable("two writes were in each other's way; try again")
                }
                Some("53100") => Self::unavailable("the database's disk is full"),
                Some("57014") => Self::unavailable("the database took too long"),
                _ => Self::internal("the database refused a statement"),
            },
        };
        made.because(error)
    }
}

/// The error of the driver below, if it is one.
fn driver_error(error: &sea_orm::DbErr) -> Option<&sea_orm::sqlx::Error> {
    use sea_orm::{DbErr, RuntimeErr};
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// The five characters by which PostgreSQL says what is wrong.
fn sql_state(error: &sea_orm::DbErr) -> Option<String> {
    driver_error(error)?.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Whether a database's connection is of no more use: it is closed, or its server is stopping
/// (57P..), has ended it (08...), or has become a standby that takes no writes (25006).
pub(crate) fn is_broken(error: &sea_orm::DbErr) -> bool {
    use sea_orm::sqlx::Error::{Io, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    match driver_error(error) {
        Some(Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | WorkerCrashed) => true,
        _ => sql_state(error)
            .is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "25006"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::unavailable("cannot write the photo").because(cause);
        assert!(error.is_unavailable() && !error.is_internal());
        assert_eq!(error.chain(), "cannot write the photo: disk on fire");
    }
}
