//! What the whole-system tests and the benches stand on: the built binary as a real process,
//! people who talk to it over HTTP, and photos made on the spot; and the proofs of the article.
//!
//! Nothing here looks inside the program: it knows the HTTP API, the settings' names, and for
//! audits the files of the data directory.

mod api;
#[path = "../article/mod.rs"]
pub mod article;
mod audit;
mod browser;
mod eventually;
mod person;
pub mod photo;
mod server;
pub mod servers;

pub use api::{Api, Reply};
pub use audit::Stored;
pub use browser::browser_script;
pub use eventually::eventually;
pub use person::{Person, PhotoPost, unique};
pub use server::{Exit, Server, Setup, binary};
