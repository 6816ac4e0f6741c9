//! Opens a PostgreSQL database, on a server or through a pooler in transaction mode. Reads and writes
//! have separate bounded pools, so that neither can hold up the other.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Postgres, Row as _};

use super::address::Address;
use super::availability::Availability;
use super::connections::Connections;
use super::primary::Primary;
use crate::config;
use crate::error::{Error, Result};

/// The oldest server version that is tested.
const MIN_VERSION: i32 = 150_000;
/// Maximum locks that a process holds at once, each on its own connection.
const LOCKS: u32 = 4;
/// Statements prepared on two connections in turn: a pooler that mixes them up fails on the second
/// connection, unless it hands out its connections in rotation.
const POOLER_ROUNDS: usize = 8;

/// The connections to a server, and its availability.
pub(super) struct Opened {
    pub(super) reads: Connections<Postgres>,
    pub(super) writes: Connections<Postgres>,
    /// For migrations and locks, which are few.
    pub(super) pool: PgPool,
    pub(super) server: Availability,
}

/// The connections to a server that may not answer. Every call is refused until it is admitted.
pub(super) fn prepare(address: &Address, settings: &config::Database) -> Opened {
    let (wait, options) = (settings.wait(), address.pooled.clone().disable_statement_logging());
    let server = Availability::new(&address.name, address.pooled.clone(), settings.statement());
    let connections =
        || Connections::new(options.clone(), Some(server.clone()), settings.connections as usize, wait);
    let (reads, writes) = (connections(), connections());
    let pool = PgPoolOptions::new()
        .max_connections(LOCKS)
        .acquire_timeout(wait)
        .test_before_acquire(false)
        // The pool has no task that visits idle connections, for the reason given in sqlite.rs: it has no
        // idle connections.
        .idle_timeout(None)
        .max_lifetime(None)
        .after_release(|_, _| Box::pin(async { Ok(false) }))
        .connect_lazy_with(options);
    Opened { reads, writes, pool, server }
}

/// Checks a server, and what is in front of it.
pub(super) async fn check(address: &Address, settings: &config::Database) -> Result<Primary> {
    let wait = settings.wait();
    let primary = check_server(&address.name, &address.pooled, wait).await?;
    check_pooler(&address.name, &address.pooled, wait).await?;
    Ok(primary)
}

/// One connection outside any pool, for checks.
async fn connect(name: &str, options: &PgConnectOptions, wait: Duration) -> Result<PgConnection> {
    match tokio::time::timeout(wait, options.connect()).await {
        Ok(connected) => connected.map_err(|error| refused(name, error)),
        Err(_) => Err(refused(name, sqlx::Error::PoolTimedOut)),
    }
}

async fn check_server(name: &str, options: &PgConnectOptions, wait: Duration) -> Result<Primary> {
    let mut connection = connect(name, options, wait).await?;
    let asked =
        sqlx::raw_sql("SELECT current_setting('server_version_num')::int, current_setting('server_version')")
            .fetch_one(&mut connection);
    let row = tokio::time::timeout(wait, asked)
        .await
        .map_err(|_| refused(name, sqlx::Error::PoolTimedOut))?
        .map_err(|error| refused(name, error))?;
    let failed = |error| refused(name, error);
    let (number, version): (i32, String) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    if number < MIN_VERSION {
        return Err(Error::configuration(format!(
            "the database {name} runs on PostgreSQL {version}, and 15 or later is needed: upgrade its server"
        )));
    }
    let asked = Primary::ask(&mut connection);
    let primary = tokio::time::timeout(wait, asked)
        .await
        .map_err(|_| refused(name, sqlx::Error::PoolTimedOut))?
        .map_err(failed)?;
    if !primary.is_writable {
        return Err(Error::unavailable(format!(
            "the database {name} takes no writes: its server is a standby, or read-only; give the primary's \
             address, or promote the standby"
        )));
    }
    connection.close().await.map_err(failed)?;
    Ok(primary)
}

/// Checks that a pooler keeps prepared statements. Every statement is prepared under a name. A pooler
/// that does not track names uses the same name of two clients on one server connection, or sends a
/// client's name to a server connection on which it was never prepared.
async fn check_pooler(name: &str, options: &PgConnectOptions, wait: Duration) -> Result<()> {
    let checked = async {
        let mut clients = [connect(name, options, wait).await?, connect(name, options, wait).await?];
        for round in 0..POOLER_ROUNDS {
            let sql = format!("SELECT {round} + $1::int");
            for client in &mut clients {
                let asked = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(1).fetch_one(client).await;
                asked.map_err(|error| refused(name, error))?;
            }
        }
        for client in clients {
            client.close().await.map_err(|error| refused(name, error))?;
        }
        Ok(())
    };
    tokio::time::timeout(wait, checked).await.map_err(|_| refused(name, sqlx::Error::PoolTimedOut))?
}

/// Explains why a database can't be used and how its operator can fix that.
fn refused(name: &str, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    let mend = match code.as_str() {
        "28000" | "28P01" => "refuses this user or password: correct them in its address",
        "3D000" => "does not exist: create it with CREATE DATABASE",
        "42501" => {
            "gives this user too few rights: it must own the database, or may CREATE in its schema public"
        }
        "53300" => "has no connection left: lower `connections` in [database], or raise its max_connections",
        "42P05" | "26000" => {
            "is behind a pooler that does not keep prepared statements: PgBouncer does from 1.21 on, with \
             max_prepared_statements above 0; upgrade it, or give the address of the server itself"
        }
        "08P01" => "or the pooler before it refuses how we connect: see the cause",
        _ => match &error {
            sqlx::Error::Tls(_) => "does not speak TLS as its address asks: see sslmode in it",
            sqlx::Error::Io(io) if io.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()) => {
                "does not prove who it is: see sslmode and sslrootcert in its address"
            }
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => {
                "does not answer: start it, or correct its host and port"
            }
            _ => "can't be used: see the cause",
        },
    };
    let sentence = format!("the database {name} {mend}");
    let is_away = matches!(&error, sqlx::Error::Io(io) if !io.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()))
        || matches!(error, sqlx::Error::PoolTimedOut)
        || code == "53300"
        || code.starts_with("57P");
    match is_away {
        true => Error::unavailable(sentence).because(error),
        false => Error::configuration(sentence).because(error),
    }
}
