//! The tools of the whole-system tests and the benches: the built binary as a real process, people who
//! use it over HTTP, generated photos, and the proofs of the article.
//!
//! This crate knows nothing of the program's internals: it uses the HTTP API, the names of settings and,
//! for audits, the databases and media files.

mod api;
#[path = "../article/mod.rs"]
pub mod article;
mod audit;
mod browser;
mod eventually;
mod pairing;
mod person;
pub mod photo;
mod server;
pub mod servers;
mod usage;

pub use api::{Api, Reply};
pub use audit::Stored;
pub use browser::browser_script;
pub use eventually::eventually;
pub use pairing::Pairing;
pub use person::{Person, PhotoPost, unique};
pub use server::{Exit, Server, Setup, binary, target};
pub use usage::{cpu_time, resident_bytes};
