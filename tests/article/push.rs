//! Messages to phones.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "push",
    of_2011: "pyapns, more than a billion pushes",
    here: "`push`: APNs, FCM, Web Push",
    state: State::NotYet("no message leaves the process"),
};
