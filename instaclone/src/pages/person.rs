//! A person's profile with their photos, their followers and the people they follow.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use tripod::web::{Page, PageQuery, Path, Problem};

use super::context::PageContext;
use super::frame::page;
use crate::entity::account::Author;
use crate::views::{PostView, User};
use crate::visibility::no_account;
use crate::{accounts, blocks, close_friends, follows, mutes, posts};

/// Photos per page: rows of three.
const TILES: u16 = 30;

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    cx: PageContext,
    user: User,
    posts: Vec<PostView>,
    next: Option<String>,
}

/// A list of people under a heading.
#[derive(Template)]
#[template(path = "people.html")]
pub struct PeoplePage {
    cx: PageContext,
    heading: String,
    /// The page that the list belongs to.
    up: String,
    people: Vec<Author>,
    next: Option<String>,
}

impl PeoplePage {
    /// A page of a list.
    pub fn new(cx: PageContext, heading: String, up: String, list: Page<Author>) -> Self {
        Self { cx, heading, up, people: list.items, next: list.next }
    }
}

#[derive(Template)]
#[template(path = "follow.html")]
struct Follow {
    cx: PageContext,
    user: User,
}

async fn find(cx: &PageContext, username: &str) -> Result<User, Problem> {
    let found = accounts::with_name(&cx.app, cx.viewer(), username).await;
    // An invalid name belongs to no account.
    Ok(found.map_err(|error| if error.is_invalid() { no_account() } else { error })?)
}

pub async fn show(
    cx: PageContext,
    Path(username): Path<String>,
    query: PageQuery,
) -> Result<Response, Problem> {
    let user = find(&cx, &username).await?;
    let Page { items: posts, next } =
        posts::of_author(&cx.app, cx.viewer(), user.author.id, query.or_limit(TILES)).await?;
    page(&PersonPage { cx, user, posts, next })
}

pub async fn followers(
    cx: PageContext,
    Path(username): Path<String>,
    query: PageQuery,
) -> Result<Response, Problem> {
    let user = find(&cx, &username).await?.author;
    let list = follows::followers(&cx.app, cx.viewer(), user.id, query).await?;
    let heading = (cx.messages.followers_of)(&user.username);
    page(&PeoplePage::new(cx, heading, format!("/u/{}", user.username), list))
}

pub async fn following(
    cx: PageContext,
    Path(username): Path<String>,
    query: PageQuery,
) -> Result<Response, Problem> {
    let user = find(&cx, &username).await?.author;
    let list = follows::following(&cx.app, cx.viewer(), user.id, query).await?;
    let heading = (cx.messages.followed_by)(&user.username);
    page(&PeoplePage::new(cx, heading, format!("/u/{}", user.username), list))
}

pub async fn block(cx: PageContext, Path(username): Path<String>) -> Result<Response, Problem> {
    let (me, them) = (cx.my_id()?, find(&cx, &username).await?.author);
    blocks::set(&cx.app, me, them.id, true).await?;
    // Their profile is hidden from now on.
    Ok(Redirect::to("/settings/blocked").into_response())
}

pub async fn mute(cx: PageContext, Path(username): Path<String>) -> Result<Response, Problem> {
    let (me, them) = (cx.my_id()?, find(&cx, &username).await?.author);
    mutes::set(&cx.app, me, them.id, true).await?;
    Ok(cx.back(&format!("/u/{}", them.username), ""))
}

pub async fn unmute(cx: PageContext, Path(username): Path<String>) -> Result<Response, Problem> {
    let (me, them) = (cx.my_id()?, find(&cx, &username).await?.author);
    mutes::set(&cx.app, me, them.id, false).await?;
    Ok(cx.back(&format!("/u/{}", them.username), ""))
}

pub async fn add_close_friend(cx: PageContext, Path(username): Path<String>) -> Result<Response, Problem> {
    let (me, them) = (cx.my_id()?, find(&cx, &username).await?.author);
    close_friends::set(&cx.app, me, them.id, true).await?;
    Ok(cx.back(&format!("/u/{}", them.username), ""))
}

pub async fn remove_close_friend(cx: PageContext, Path(username): Path<String>) -> Result<Response, Problem> {
    let (me, them) = (cx.my_id()?, find(&cx, &username).await?.author);
    close_friends::set(&cx.app, me, them.id, false).await?;
    Ok(cx.back(&format!("/u/{}", them.username), ""))
}

pub async fn follow(cx: PageContext, Path(username): Path<String>) -> Result<Response, Problem> {
    set_followed(cx, username, true).await
}

pub async fn unfollow(cx: PageContext, Path(username): Path<String>) -> Result<Response, Problem> {
    set_followed(cx, username, false).await
}

async fn set_followed(cx: PageContext, username: String, followed: bool) -> Result<Response, Problem> {
    let (me, them) = (cx.my_id()?, find(&cx, &username).await?.author);
    follows::set(&cx.app, me, them.id, followed).await?;
    after_follow(cx, them).await
}

async fn after_follow(cx: PageContext, them: Author) -> Result<Response, Problem> {
    if !cx.wants_piece() {
        return Ok(cx.back(&format!("/u/{}", them.username), ""));
    }
    let user = find(&cx, &them.username).await?;
    page(&Follow { cx, user })
}

impl User {
    /// How many posts they have.
    fn post_count(&self) -> u64 {
        self.counts.posts.max(0) as u64
    }

    /// Whether the viewer follows them.
    fn is_followed(&self) -> bool {
        self.relationship.as_ref().is_some_and(|relationship| relationship.following)
    }

    /// Whether the viewer has asked to follow them.
    fn is_asked(&self) -> bool {
        self.relationship.as_ref().is_some_and(|relationship| relationship.requested)
    }

    /// Whether the viewer mutes them.
    fn is_muted(&self) -> bool {
        self.relationship.as_ref().is_some_and(|relationship| relationship.muting)
    }

    /// Whether they are one of the viewer's close friends.
    fn is_close(&self) -> bool {
        self.relationship.as_ref().is_some_and(|relationship| relationship.close_friend)
    }

    /// Whether their posts and lists are hidden from the viewer, who is someone else.
    fn is_closed(&self) -> bool {
        self.is_private && !self.is_followed()
    }

    /// Whether they follow the viewer.
    fn follows_back(&self) -> bool {
        self.relationship.as_ref().is_some_and(|relationship| relationship.followed_by)
    }
}
