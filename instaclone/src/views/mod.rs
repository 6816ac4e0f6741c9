//! What a viewer sees: accounts, posts and comments, as replies and pages show them. Views are built
//! from rows that a policy has allowed; each presenter loads a page's facts in a fixed number of
//! queries.

mod account;
mod comment;
mod post;

pub use account::{User, account, authors};
pub use comment::{CommentView, comments};
pub use post::{PostView, post, posts};
