//! Databases whose servers do not answer when a process starts: it starts without them, and takes them in when
//! they answer and are as they should be.

use std::sync::Arc;
use std::time::Duration;

use super::clock_check;
use super::schema_check::check_tables;
use crate::config::Config;
use crate::db::{Database, Migration, check_schema};
use crate::error::{Error, Result};
use crate::shard::{Shards, Table};

/// The pause between two looks at a server.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The checks that every database must pass before it is used.
pub(super) struct Checks {
    pub(super) app: &'static str,
    pub(super) migrations: Vec<Migration>,
    pub(super) tables: Vec<Table>,
    pub(super) config: Arc<Config>,
}

/// Opens all databases that answer, and a handle on each other one.
///
/// # Errors
/// Those of [`Database::open`]; unavailable only if no server answers.
pub(super) async fn open(config: &Config) -> Result<Vec<Database>> {
    let (mut databases, mut why) = (Vec::new(), None);
    for url in config.database_urls() {
        match Database::open(&url, &config.database).await {
            Ok(database) => databases.push(database),
            Err(error) if error.is_unavailable() => {
                let database = Database::absent(&url, &config.database)?;
                tracing::error!(
                    database = database.name(),
                    error = error.chain(),
                    "starting without a database: its shards are refused until it answers"
                );
                databases.push(database);
                why.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match why {
        Some(error) if databases.iter().all(Database::is_absent) => Err(error),
        _ => Ok(databases),
    }
}

impl Checks {
    /// Takes in each absent database when it answers, for as long as the shards exist.
    pub(super) fn admit_later(self, shards: &Shards) {
        let checks = Arc::new(self);
        let absent = shards.databases().iter().enumerate().filter(|(_, database)| database.is_absent());
        for (index, _) in absent {
            tokio::spawn(checks.clone().admit(shards.clone(), index));
        }
    }

    async fn admit(self: Arc<Self>, shards: Shards, index: usize) {
        let database = shards.databases()[index].name();
        let mut told = String::new();
        while let Err(error) = self.try_to_admit(&shards, index).await {
            let why = error.chain();
            if why != told && !error.is_unavailable() {
                tracing::error!(database, error = why, "a database that answers again can't be used");
                told = why;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
        tracing::info!(database, "a database that did not answer at start is used from now on");
    }

    async fn try_to_admit(&self, shards: &Shards, index: usize) -> Result<()> {
        let Self { app, migrations, tables, config } = self;
        let urls = config.database_urls();
        let url = urls.get(index).ok_or_else(|| Error::internal("a database has no address"))?;
        let checked = Database::open(url, &config.database).await?;
        let admitted = async {
            check_schema(&checked, migrations, app).await?;
            check_tables(std::slice::from_ref(&checked), tables).await?;
            clock_check::check_against(&checked, shards, tables, config.trust_clock).await?;
            shards.admit(index, &checked).await
        };
        let admitted = admitted.await;
        checked.close().await?;
        admitted
    }
}
