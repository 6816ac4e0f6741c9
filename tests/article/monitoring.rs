//! Knowing that something is wrong, and waking somebody.

use super::{Row, State};

pub(super) const ROW: Row = Row {
    name: "monitoring",
    of_2011: "Sentry, Munin, Pingdom, PagerDuty",
    here: "`telemetry`: sentry, Prometheus, blackbox exporter, Alertmanager with PagerDuty; an operators' page built in",
    state: State::NotYet(
        "there are health checks, logs and the figures of the cache, and no error reports or alerts",
    ),
};
