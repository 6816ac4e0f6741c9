//! The process's limit on open files: a connection takes one, and so do databases and uploads.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// What is open besides connections of clients and databases: logs, the listener, files being read.
const OTHERS: u64 = 256;

/// Raises the soft limit to the hard one, which is what it is for, and warns if that is too low for the
/// configured number of connections: further ones would wait unanswered instead of being refused.
pub(super) fn raise(config: &Config) {
    let needed = needed(config);
    let limits = getrlimit(Resource::Nofile);
    // No hard limit at all is more than any soft one.
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }) {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => tracing::warn!(
            limit,
            needed,
            "too few files may be open for http.connections: raise the hard limit (ulimit -Hn, or LimitNOFILE \
             in a systemd unit), or lower http.connections"
        ),
        limit => tracing::debug!(limit, needed, "open files"),
    }
}

fn needed(config: &Config) -> u64 {
    let per_database = u64::from(config.database.connections.max(config.database.readers)) * 2;
    u64::from(config.http.connections) + config.database_urls().len() as u64 * per_database + OTHERS
}
