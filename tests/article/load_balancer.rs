//! The balancers in front of the web processes.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "load_balancer",
    of_2011: "Elastic Load Balancer, 3 NGINX",
    here: "stateless `serve` processes behind nginx: readiness, draining, header timeouts",
    state: State::NotYet(
        "one process serves its clients itself, with readiness, draining and timeouts; nothing stands in front of several",
    ),
};
