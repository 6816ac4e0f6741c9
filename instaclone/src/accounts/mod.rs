//! Accounts: sign up, log in and out, one's own profile and those of others.

pub mod account;
mod avatar;
pub mod credential;
mod erase;
mod me;
mod people;
mod session;
mod sign_up;
mod user;
pub mod username;

pub use avatar::*;
pub use erase::EraseAccount;
pub use me::*;
pub use people::{Author, People};
pub use session::*;
pub use sign_up::*;
pub use user::*;
