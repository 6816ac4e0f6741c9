//! Connections shared between the web processes.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "pooling",
    of_2011: "PgBouncer",
    here: "pooled connections that work through transaction pooling",
    state: State::NotYet("there is no PostgreSQL yet, so nothing to pool"),
};
