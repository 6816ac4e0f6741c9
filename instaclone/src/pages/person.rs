//! A person's profile with their photos, whom they follow and who follows them.

use askama::Template;
use axum::response::Response;
use tripod::web::{Page, PageQuery, Path, Problem};

use super::frame::page;
use super::visit::Visit;
use crate::views::{Author, PostView, User};
use crate::visibility::no_account;
use crate::{accounts, follows, posts};

/// Photos of a page: rows of three.
const TILES: u16 = 30;

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    v: Visit,
    user: User,
    posts: Vec<PostView>,
    next: Option<String>,
}

/// A list of people under a heading.
#[derive(Template)]
#[template(path = "people.html")]
pub struct PeoplePage {
    v: Visit,
    heading: String,
    /// The page that the list belongs to.
    up: String,
    people: Vec<Author>,
    next: Option<String>,
}

impl PeoplePage {
    /// A page of a list.
    pub fn new(v: Visit, heading: String, up: String, list: Page<Author>) -> Self {
        Self { v, heading, up, people: list.items, next: list.next }
    }
}

#[derive(Template)]
#[template(path = "follow.html")]
struct Follow {
    v: Visit,
    user: User,
}

async fn find(v: &Visit, username: &str) -> Result<User, Problem> {
    let found = accounts::with_name(&v.app, v.viewer(), username).await;
    // A name that nobody can have is nobody's.
    Ok(found.map_err(|error| if error.is_invalid() { no_account() } else { error })?)
}

pub async fn show(v: Visit, Path(username): Path<String>, query: PageQuery) -> Result<Response, Problem> {
    let user = find(&v, &username).await?;
    let Page { items: posts, next } =
        posts::of_author(&v.app, v.viewer(), user.author.id, query.or_limit(TILES)).await?;
    page(&PersonPage { v, user, posts, next })
}

pub async fn followers(
    v: Visit,
    Path(username): Path<String>,
    query: PageQuery,
) -> Result<Response, Problem> {
    let user = find(&v, &username).await?.author;
    let list = follows::followers(&v.app, v.viewer(), user.id, query).await?;
    let heading = (v.words.followers_of)(&user.username);
    page(&PeoplePage::new(v, heading, format!("/u/{}", user.username), list))
}

pub async fn following(
    v: Visit,
    Path(username): Path<String>,
    query: PageQuery,
) -> Result<Response, Problem> {
    let user = find(&v, &username).await?.author;
    let list = follows::following(&v.app, v.viewer(), user.id, query).await?;
    let heading = (v.words.followed_by)(&user.username);
    page(&PeoplePage::new(v, heading, format!("/u/{}", user.username), list))
}

pub async fn follow(v: Visit, Path(username): Path<String>) -> Result<Response, Problem> {
    set_followed(v, username, true).await
}

pub async fn unfollow(v: Visit, Path(username): Path<String>) -> Result<Response, Problem> {
    set_followed(v, username, false).await
}

async fn set_followed(v: Visit, username: String, followed: bool) -> Result<Response, Problem> {
    let (me, them) = (v.my_id()?, find(&v, &username).await?.author);
    follows::set(&v.app, me, them.id, followed).await?;
    after_follow(v, them).await
}

async fn after_follow(v: Visit, them: Author) -> Result<Response, Problem> {
    if !v.wants_piece() {
        return Ok(v.back(&format!("/u/{}", them.username), ""));
    }
    let user = find(&v, &them.username).await?;
    page(&Follow { v, user })
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

    /// Whether they follow the viewer.
    fn follows_back(&self) -> bool {
        self.relationship.as_ref().is_some_and(|relationship| relationship.followed_by)
    }
}
