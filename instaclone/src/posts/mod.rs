//! Posts: one to ten photos with a caption.

mod create;
mod draft;
mod handlers;
mod photo;
pub mod post;
mod present;
mod remove;

pub use create::*;
pub use draft::{Draft, name_file};
pub use handlers::*;
pub use photo::{Photo, Unstored};
pub use present::*;
pub use remove::{ErasePost, remove};
