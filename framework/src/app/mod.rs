//! The app: its declaration to Tripod, and the roles that every app has.
//!
//! [`AppBuilder`] collects entities, edges, jobs, migrations and routes. [`AppBuilder::run`] reads the
//! command line and the settings and runs the chosen role. [`App`] is the handle that handlers and jobs
//! receive. Nothing here depends on a particular app.

mod absent;
mod agreement;
mod audit;
mod builder;
mod catalogue;
pub(crate) mod clock_check;
mod connection_check;
mod context;
mod demo;
mod first_migration;
mod http;
mod indexes;
mod instance_lock;
mod jobs;
mod open_files;
mod openapi;
mod pages;
mod readiness;
mod role;
mod schema_check;
mod serve_demo;
pub(crate) mod start;

pub use crate::graph::EdgeKind;
pub use builder::AppBuilder;
#[cfg(any(test, feature = "testing"))]
pub(crate) use builder::{migrations, register_jobs};
pub use catalogue::{Catalogue, Registered};
pub use context::{App, Services};
pub use demo::Demo;
pub use pages::{RenderProblem, RequestHead, WebPages};
