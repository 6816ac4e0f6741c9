//! Accounts: signing up, logging in and out, your own profile and other people's.

mod avatar;
mod erase;
mod me;
mod session;
mod sign_up;
mod suspend;
mod users;

pub use avatar::*;
pub use erase::EraseAccount;
pub use me::*;
pub use session::*;
pub use sign_up::*;
#[cfg(test)]
pub use suspend::set as suspend;
pub use users::*;
