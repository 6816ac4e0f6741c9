//! The home feed, with the posts of followed people.

use axum::extract::State;
use tripod::access::{Unchecked, Viewer};
use tripod::web::{Json, Page, PageQuery, SignedIn};
use tripod::{App, Result};

use crate::entity::{AccountId, Mute, post};
use crate::views::{self, PostView};

// ANCHOR: home
/// The posts of the people that the account follows and does not mute, and its own, newest first. Leaves out
/// the data of a database that is down.
pub async fn home(app: &App, me: AccountId, page: PageQuery) -> Result<Page<PostView>> {
    let (read, viewer) = (app.cached().available(), Viewer::from(me));
    let present = |posts: Vec<Unchecked<post::Model>>| async {
        let authors: Vec<AccountId> = posts.iter().map(|post| post.peek().author_id).collect();
        let (muted, posts) = tokio::try_join!(
            read.targets_among::<Mute>(me, &authors),
            views::posts(app, &read, viewer, posts),
        )?;
        let shown = authors.iter().zip(posts).map(|(author, post)| post.filter(|_| !muted.contains(author)));
        Ok(shown.collect())
    };
    page.fill(|part| read.timeline::<post::Entity>(me, part), present).await
}
// ANCHOR_END: home

/// The posts of the people you follow, and your own, newest first.
#[utoipa::path(get, path = "/feed", tag = "feed", operation_id = "getFeed", params(PageQuery), security(("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn get_feed(State(app): State<App>, me: SignedIn, page: PageQuery) -> Result<Json<Page<PostView>>> {
    home(&app, me.id(), page).await.map(Json)
}
