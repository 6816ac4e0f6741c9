//! Posts: one to ten photos with a caption.

mod change;
mod create;
mod draft;
mod handlers;
mod lists;

pub use change::{Changed, change, remove, remove_own};
pub use create::{Uploader, publish};
pub use draft::NewPost;
pub use handlers::*;
pub use lists::of_author;
