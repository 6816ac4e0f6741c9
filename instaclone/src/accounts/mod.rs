//! Accounts: sign up, log in and out, one's own profile and those of others.

mod avatar;
mod erase;
mod me;
mod session;
mod sign_up;
mod users;

pub use avatar::*;
pub use erase::EraseAccount;
pub use me::*;
pub use session::*;
pub use sign_up::*;
pub use users::*;
