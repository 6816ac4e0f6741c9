//! Suspension: an account that is hidden from everyone and can't log in, until it is restored.

use tripod::{App, Error, Result};

use crate::entity::AccountId;
use crate::visibility::no_account;

/// Suspends an account, or restores it. A suspended account is logged out everywhere.
#[cfg(test)]
pub async fn set(app: &App, account: AccountId, suspended: bool) -> Result<()> {
    let set = app.write(account, move |tx| async move {
        tx.update(account, |account| account.suspended = suspended).await?.ok_or_else(no_account)?;
        if suspended { tx.close_sessions(account).await } else { Ok(()) }
    });
    set.await
}

/// Refuses a log-in to a suspended account, after its password was right, and closes its session.
pub(super) async fn refuse(app: &App, account: AccountId) -> Result<()> {
    let found = app.primary().find(account).await?.ok_or_else(no_account)?;
    if !found.peek().suspended {
        return Ok(());
    }
    app.write(account, move |tx| async move { tx.close_sessions(account).await }).await?;
    Err(Error::forbidden("This account is suspended."))
}
