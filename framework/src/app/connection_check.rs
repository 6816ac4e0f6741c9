//! Checks at start that the databases' servers have connections for this process, and for operators beside it.

use std::collections::BTreeMap;

use crate::config;
use crate::db::Database;
use crate::error::{Error, Result};

/// Connections per process and database beside the pools for reads and writes: the lock of the only process, and
/// the watch over the server.
const OTHERS: i64 = 2;
/// Connections that are left to operators: `psql`, `jobs`, a backup.
const OPERATORS: i64 = 10;

/// The connections that a process opens to a database at most.
fn per_database(settings: &config::Database) -> i64 {
    2 * i64::from(settings.connections) + OTHERS
}

/// Checks the servers of these databases.
///
/// # Errors
/// Configuration, if this process alone could take every connection of a server; any database error.
pub(super) async fn check(databases: &[Database], settings: &config::Database) -> Result<()> {
    let mut servers: BTreeMap<&str, Vec<&Database>> = BTreeMap::new();
    for database in databases {
        let server = database.name().rsplit_once('/').map_or(database.name(), |(server, _)| server);
        servers.entry(server).or_default().push(database);
    }
    for (server, databases) in servers {
        let Some(connections) = databases[0].server_connections().await? else { continue };
        let own = databases.len() as i64 * per_database(settings);
        if own + OPERATORS > connections.usable {
            return Err(Error::configuration(format!(
                "the server {server} has {} connections, and this process may open {own} ({} for each of its {} \
                 databases) while {OPERATORS} are left to operators: lower `connections` in [database], or raise \
                 max_connections",
                connections.usable,
                per_database(settings),
                databases.len()
            )));
        }
        let free = connections.usable - connections.open - OPERATORS;
        if own > free {
            tracing::warn!(
                server,
                own,
                open = connections.open,
                usable = connections.usable,
                "this process may open more connections than the server has left: lower `connections` in \
                 [database], start fewer processes, or raise max_connections"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Three processes on two databases of one server, as the book has them.
    #[test]
    fn the_documented_layout_fits_a_server_with_its_defaults() {
        let config: Config = toml::from_str(crate::config::DEFAULTS).unwrap();
        let usable = 100 - 3;
        assert!(3 * 2 * per_database(&config.database) + OPERATORS <= usable);
    }
}
