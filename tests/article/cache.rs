//! Objects kept in memory before the database.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "cache",
    of_2011: "Memcached, later leases",
    here: "`cache`: moka in front of Redis, leases, invalidation",
    state: State::NotYet("rows are read from their shard each time"),
};
