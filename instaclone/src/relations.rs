//! What blocks, mutes and close friends have in common: an account's own lists of other people, which
//! nobody else sees.

use tripod::access::Viewer;
use tripod::graph::Edge;
use tripod::web::{Page, PageQuery, RateLimit};
use tripod::{App, Error, Result};

use crate::entity::{AccountId, account};
use crate::views::{self, Person};
use crate::visibility::{People, no_account};

/// Changes of these lists per account.
const CHANGES: RateLimit = RateLimit::new("relation", 500, 3_600);

/// Puts an account that exists on one of the account's lists, or removes it. Errors name the `parameter` that
/// says which account.
pub async fn set<E>(app: &App, me: AccountId, (parameter, them): (&str, AccountId), on: bool) -> Result<()>
where
    E: Edge<From = account::Entity, To = account::Entity>,
{
    app.limits.check(CHANGES, me).await?;
    if them == me {
        return Err(Error::invalid_field(parameter, "is you: choose someone else"));
    }
    // Whether it is visible does not matter: one who is blocked can block, too.
    app.cached().find(them).await?.ok_or_else(no_account)?;
    match on {
        true => app.connect::<E>(me, them).await.map(drop),
        false => app.disconnect::<E>(me, them).await.map(drop),
    }
}

/// One of the account's lists, the latest addition first.
pub async fn list<E>(app: &App, me: AccountId, page: PageQuery) -> Result<Page<Person>>
where
    E: Edge<From = account::Entity, To = account::Entity>,
{
    let (read, viewer) = (app.cached(), Viewer::from(me));
    let present = |ids: Vec<AccountId>| async {
        let people = People::load(&read, viewer, ids.iter().copied()).await?;
        views::people(app, &read, me, &people, ids).await
    };
    page.fill(|part| read.targets::<E>(me, part), present).await
}
