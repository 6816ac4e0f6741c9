//! Bringing a new version to every machine.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "deploys",
    of_2011: "Fabric: the same command on every machine, deploys in seconds",
    here: "rolling deploy with today's Fabric over ssh, no failed request",
    state: State::NotYet("there is no script that deploys"),
};
