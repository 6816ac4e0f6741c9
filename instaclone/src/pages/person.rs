//! A person's profile with their photos, whom they follow and who follows them.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use tripod::web::{Json, Page, PageQuery, Path, Problem, Query};

use super::frame::page;
use super::visit::Visit;
use crate::accounts::{self, Author, ByName, User};
use crate::follows;
use crate::posts::{self, PostView};

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

async fn find(v: &Visit, username: String) -> Result<User, Problem> {
    let found = accounts::find_user(State(v.tripod.clone()), v.viewer(), Query(ByName { username })).await;
    match found {
        Ok(Json(user)) => Ok(user),
        // A name that nobody can have is nobody's.
        Err(problem) if problem.status == 422 => Err(accounts::nobody()),
        Err(problem) => Err(problem),
    }
}

pub async fn show(
    v: Visit,
    Path(username): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let user = find(&v, username).await?;
    let (tripod, query) = (State(v.tripod.clone()), Query(query.or_limit(TILES)));
    let Json(Page { items: posts, next }) =
        posts::list_user_posts(tripod, v.viewer(), Path(user.author.id), query).await?;
    page(&PersonPage { v, user, posts, next })
}

pub async fn followers(
    v: Visit,
    Path(username): Path<String>,
    query: Query<PageQuery>,
) -> Result<Response, Problem> {
    let user = find(&v, username).await?.author;
    let list = follows::list_followers(State(v.tripod.clone()), v.viewer(), Path(user.id), query).await?;
    let heading = (v.words.followers_of)(&user.username);
    page(&PeoplePage::new(v, heading, format!("/u/{}", user.username), list.0))
}

pub async fn following(
    v: Visit,
    Path(username): Path<String>,
    query: Query<PageQuery>,
) -> Result<Response, Problem> {
    let user = find(&v, username).await?.author;
    let list = follows::list_following(State(v.tripod.clone()), v.viewer(), Path(user.id), query).await?;
    let heading = (v.words.followed_by)(&user.username);
    page(&PeoplePage::new(v, heading, format!("/u/{}", user.username), list.0))
}

pub async fn follow(v: Visit, Path(username): Path<String>) -> Result<Response, Problem> {
    let (me, them) = (v.signed_in()?, find(&v, username).await?.author);
    follows::follow(State(v.tripod.clone()), me, Path(them.id)).await?;
    after_follow(v, them).await
}

pub async fn unfollow(v: Visit, Path(username): Path<String>) -> Result<Response, Problem> {
    let (me, them) = (v.signed_in()?, find(&v, username).await?.author);
    follows::unfollow(State(v.tripod.clone()), me, Path(them.id)).await?;
    after_follow(v, them).await
}

async fn after_follow(v: Visit, them: Author) -> Result<Response, Problem> {
    if !v.wants_piece() {
        return Ok(v.back(&format!("/u/{}", them.username), ""));
    }
    let user = find(&v, them.username.to_string()).await?;
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
