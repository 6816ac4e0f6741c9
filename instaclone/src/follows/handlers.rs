//! Follow, unfollow, and who follows whom.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::Tripod;
use tripod::access::Viewer;
use tripod::graph::EdgePage;
use tripod::web::{Filling, Json, Page, PageQuery, Path, Problem, Query, Rule, SignedIn, after_link};

use super::Follow;
use crate::accounts::account::AccountId;
use crate::accounts::{Author, People, both_exist, existing, nobody};
use crate::likes::Like;
use crate::posts::post::PostId;

/// People one can follow. A feed is built from their lists, so the number is bounded; Instagram's
/// own bound is the same.
const MOST_FOLLOWED: u64 = 7_500;
/// Follows and unfollows of one account.
const FOLLOWS: Rule = Rule::new("follow", 200, 3_600);

/// Follow somebody.
#[utoipa::path(put, path = "/users/{id}/follow", tag = "follows", operation_id = "followUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You follow them."),
              (status = 422, description = "It is you, or you follow too many.", body = Problem, content_type = "application/problem+json")))]
pub async fn follow(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<AccountId>,
) -> Result<StatusCode, Problem> {
    tripod.limits.take(FOLLOWS, tripod::web::Payer::Account(me.0.account)).await?;
    let them = existing(&tripod, me.viewer(), id).await?;
    let me: AccountId = me.account();
    if them == me {
        return Err(Problem::invalid("id", "is you: nobody follows themselves"));
    }
    let followed = tripod.graph.target_counts::<Follow>(&[me]).await?;
    let is_new = tripod.graph.targets_among::<Follow>(me, &[them]).await?.is_empty();
    if is_new && followed.values().any(|count| *count >= MOST_FOLLOWED) {
        return Err(Problem::invalid(
            "id",
            format!("can't be followed: you follow {MOST_FOLLOWED} people already"),
        ));
    }
    tripod.graph.connect::<Follow>(me, them).await?;
    if !both_exist(&tripod, me, them).await? {
        tripod.graph.disconnect::<Follow>(me, them).await?;
        return Err(nobody());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Unfollow somebody.
#[utoipa::path(delete, path = "/users/{id}/follow", tag = "follows", operation_id = "unfollowUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You do not follow them.")))]
pub async fn unfollow(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<AccountId>,
) -> Result<StatusCode, Problem> {
    tripod.limits.take(FOLLOWS, tripod::web::Payer::Account(me.0.account)).await?;
    let them = existing(&tripod, me.viewer(), id).await?;
    let me: AccountId = me.account();
    tripod.graph.disconnect::<Follow>(me, them).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who follows somebody, newest first.
#[utoipa::path(get, path = "/users/{id}/followers", tag = "follows", operation_id = "listFollowers",
    params(("id" = AccountId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Author>)))]
pub async fn list_followers(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Author>>, Problem> {
    let page = query.by_link()?;
    let them = existing(&tripod, viewer, id).await?;
    page_of_people(&tripod, viewer, page, PeopleList::FollowersOf(them)).await
}

/// Whom somebody follows, newest first.
#[utoipa::path(get, path = "/users/{id}/following", tag = "follows", operation_id = "listFollowing",
    params(("id" = AccountId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Author>)))]
pub async fn list_following(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Author>>, Problem> {
    let page = query.by_link()?;
    let them = existing(&tripod, viewer, id).await?;
    page_of_people(&tripod, viewer, page, PeopleList::FollowedBy(them)).await
}

/// A list of people at the ends of edges, newest edge first.
#[derive(Clone, Copy)]
pub enum PeopleList {
    /// Who follows this person.
    FollowersOf(AccountId),
    /// Whom this person follows.
    FollowedBy(AccountId),
    /// Who likes this post.
    Liking(PostId),
}

/// A page of those people of a list that the viewer sees.
pub async fn page_of_people(
    tripod: &Tripod,
    viewer: Viewer,
    page: EdgePage,
    list: PeopleList,
) -> Result<Json<Page<Author>>, Problem> {
    let mut filling = Filling::new(page.limit, page.after);
    while let Some((after, limit)) = filling.wants() {
        let page = EdgePage { after, limit };
        let links = match list {
            PeopleList::FollowersOf(person) => tripod.graph.sources::<Follow>(person, page).await?,
            PeopleList::FollowedBy(person) => tripod.graph.targets::<Follow>(person, page).await?,
            PeopleList::Liking(post) => tripod.graph.sources::<Like>(post, page).await?,
        };
        let seen = People::load(tripod, viewer, links.iter().map(|link| link.id)).await?;
        let next = links.last().map(|last| (last.version, last.id.raw()));
        let people = links
            .iter()
            .filter_map(|link| Some(((link.version, link.id.raw()), seen.get(link.id).cloned()?)));
        filling.add(people, next.filter(|_| links.len() as u64 == limit));
    }
    Ok(Json(filling.into_page(after_link)))
}
