//! The web processes, and adding one to add capacity.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "application_servers",
    of_2011: "Django + Gunicorn on 25 machines",
    here: "axum on hyper; add a process to add capacity",
    state: State::NotYet("without Redis there is one process, and a second on the same data is refused"),
};
