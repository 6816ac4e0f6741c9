//! Copies of the databases, to read from and to come back from.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "replicas",
    of_2011: "master-replica Postgres and Redis, EBS snapshots",
    here: "replica reads that see your own writes; backup, restore and a drill that proves it",
    state: State::NotYet("there are no replicas, and no role backs up or restores"),
};
