//! Views: accounts, posts and comments as a viewer sees them, in replies and on pages. They are built
//! from rows that a policy has allowed. Each presenter loads the data of a page in a fixed number of
//! queries.

mod account;
mod comment;
mod entities;
mod post;

pub use account::{Person, User, account, authors, people};
pub use comment::{CommentView, comments};
pub use entities::{EntityKind, EntityView, entities, entities_of};
pub use post::{PostView, post, posts};
