//! The app: what a product tells Tripod of itself, and the roles every app gets.
//!
//! [`App`] collects entities, edges, timelines, jobs, migrations and routes; [`App::run`] reads
//! the command line and the settings and plays the role asked for. [`Tripod`] is the handle that
//! handlers and jobs are given. Nothing here knows a product.

mod builder;
mod context;
mod demo;
mod http;
mod openapi;
mod pages;
mod role;
mod sole;
mod start;

pub use builder::App;
pub use context::{Parts, Tripod};
pub use demo::Demo;
pub use pages::{Asked, Pages, ProblemPage};
