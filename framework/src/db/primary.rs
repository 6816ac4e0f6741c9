//! Asks a server whether it is a primary that takes writes, and which history of writes it continues.

use std::sync::Arc;

use sea_orm::sqlx::{self, PgConnection, Row as _};
use tokio::time::Instant;

/// What a server says about itself.
#[derive(Clone, Debug)]
pub(super) struct Primary {
    /// Whether it takes writes. A standby does not, and neither does a primary that was demoted or set to
    /// be read-only.
    pub(super) is_writable: bool,
    /// Identifies the cluster, its timeline and the database: a promoted standby begins a new timeline, as
    /// does a restored backup. `None` if the server does not say, as a standby and some services.
    pub(super) history: Option<Arc<str>>,
    /// Its clock, in milliseconds since the Unix epoch, and when it was read.
    pub(super) clock: (u64, Instant),
}

const STATE: &str = "SELECT NOT (pg_is_in_recovery() OR current_setting('transaction_read_only')::bool), \
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// The timeline in the last checkpoint would be that from before the promotion.
const HISTORY: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE \
    (SELECT system_identifier::text FROM pg_control_system()) || '/' || \
    left(pg_walfile_name(pg_current_wal_lsn()), 8) || '/' || current_database() END";

impl Primary {
    pub(super) async fn ask(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let asked = Instant::now();
        let state = sqlx::raw_sql(STATE).fetch_one(&mut *connection).await?;
        // It read its clock at some time in between.
        let clock = (state.try_get::<i64, _>(1)?.max(0) as u64, asked + asked.elapsed() / 2);
        let history = match sqlx::raw_sql(HISTORY).fetch_one(&mut *connection).await {
            Ok(row) => row.try_get::<Option<String>, _>(0)?.map(Arc::from),
            // Some services that speak PostgreSQL's protocol have no write-ahead log to ask about.
            Err(sqlx::Error::Database(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { is_writable: state.try_get(0)?, history, clock })
    }
}
