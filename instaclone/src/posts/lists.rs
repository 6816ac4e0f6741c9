//! Lists of posts, newest first.

use tripod::access::Viewer;
use tripod::web::{Page, PageQuery};
use tripod::{App, Result};

use crate::entity::{AccountId, post};
use crate::views::{self, PostView};
use crate::visibility;

/// The posts of a person.
pub async fn of_author(
    app: &App,
    viewer: Viewer,
    author: AccountId,
    page: PageQuery,
) -> Result<Page<PostView>> {
    let read = app.cached();
    let account = visibility::account(&read, viewer, author).await?;
    if !visibility::shows_posts(&read, viewer, &account).await? {
        return page.empty();
    }
    page.fill(|part| read.list::<post::Entity>(author, part), |posts| views::posts(app, &read, viewer, posts))
        .await
}
