//! Explore: the posts with the most recent likes, then all others. One list for everyone, made by a job each
//! minute, so that a request asks one database for it.

use std::collections::{HashMap, HashSet};

use axum::extract::State;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use tripod::access::{Unchecked, Viewer};
use tripod::id::{Id, Shard};
use tripod::queue::{JobRun, Run};
use tripod::shard::{Keyset, List, Position, Read};
use tripod::web::{Json, Page, PageQuery};
use tripod::{App, BoxError, Job, Result};

use crate::entity::ranking::{self, Ranked, RankedPost, RankingId};
use crate::entity::{Like, PostId, post};
use crate::tags::{self, PostByTag};
use crate::views::{self, PostView};

/// Ranked posts.
const RANKED: usize = 1_000;
/// The newest posts, which are looked at for likes and tags.
const NEWEST: u64 = 1_000;
/// The age of posts that are looked at for likes if they are not yet ranked.
const WINDOW_MS: u64 = 3 * 24 * 3_600_000;
/// The time after which a like counts half.
const HALF_LIFE_MS: f64 = 6.0 * 3_600_000.0;
/// A post with a lower score is not ranked any more.
const LEAST: f64 = 0.01;
/// Tags that rise.
const RISING: usize = 20;
/// The time for which a ranking is kept for those who read on in it.
const KEPT_MS: u64 = 3_600_000;

/// A place in explore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After this many posts of a ranking.
    Ranked(RankingId, usize),
    /// After this post, among those that the ranking does not have; 0 stands for no ranking.
    Other(RankingId, PostId),
}

impl Position for Place {
    fn numbers(self) -> Vec<i64> {
        match self {
            Self::Ranked(ranking, count) => vec![ranking.raw(), count as i64],
            Self::Other(ranking, post) => vec![ranking.raw(), 0, post.raw()],
        }
    }

    fn from_numbers(numbers: &[i64]) -> Option<Self> {
        match numbers {
            [ranking, count] => Some(Self::Ranked(Id::from_raw(*ranking), usize::try_from(*count).ok()?)),
            [ranking, 0, post] => Some(Self::Other(Id::from_raw(*ranking), Id::from_raw(*post))),
            _ => None,
        }
    }
}

type Posts = List<Place, Unchecked<post::Model>>;

/// Explore as the viewer may see it.
pub async fn list(app: &App, viewer: Viewer, page: PageQuery) -> Result<Page<PostView>> {
    let read = app.cached().available();
    page.fill(|part| part_of(&read, part), |posts| views::posts(app, &read, viewer, posts)).await
}

async fn part_of(read: &Read, part: Keyset<Place>) -> Result<Posts> {
    let ranking = match part.after {
        None => latest(read).await?,
        Some(Place::Ranked(ranking, _) | Place::Other(ranking, _)) => find(read, ranking).await?,
    };
    let (id, posts) = ranking.map_or((Id::from_raw(0), Vec::new()), |row| (row.id, row.content.posts));
    let after = match part.after {
        None => Place::Ranked(id, 0),
        Some(after) => after,
    };
    match after {
        Place::Ranked(_, count) if count < posts.len() => {
            let ids: Vec<PostId> =
                posts.iter().skip(count).take(part.limit as usize).map(|ranked| ranked.post).collect();
            let end = count + ids.len();
            let place = |post: &Unchecked<post::Model>| {
                let rank = ids.iter().position(|id| *id == post.peek().id).unwrap_or_default();
                Place::Ranked(id, count + rank + 1)
            };
            let rows = read.find_many(&ids).await?;
            let items = rows.into_iter().map(|post| (place(&post), post)).collect();
            Ok(List { items, next: Some(Place::Ranked(id, end)) })
        }
        Place::Ranked(..) => others(read, id, &posts, part, None).await,
        Place::Other(_, post) => others(read, id, &posts, part, Some(post)).await,
    }
}

/// The posts that the ranking does not have, newest first. Costs a query on every database.
async fn others(
    read: &Read,
    ranking: RankingId,
    ranked: &[RankedPost],
    part: Keyset<Place>,
    after: Option<PostId>,
) -> Result<Posts> {
    let ranked: HashSet<PostId> = ranked.iter().map(|ranked| ranked.post).collect();
    let keyset = Keyset { after, ..Keyset::newest(part.limit) };
    let List { items, next } = read.list_all::<post::Entity>(keyset).await?;
    let items = items.into_iter().filter(|(id, _)| !ranked.contains(id));
    let items = items.map(|(id, post)| (Place::Other(ranking, id), post)).collect();
    Ok(List { items, next: next.map(|id| Place::Other(ranking, id)) })
}

/// The shard of all rankings.
fn home() -> Shard {
    Shard::of_text("ranking")
}

/// The latest ranking; `None` before the first.
pub async fn latest(read: &Read) -> Result<Option<ranking::Model>> {
    let newest = ranking::Entity::find().select_only().column(ranking::Column::Id);
    let newest = newest.filter(ranking::Column::Id.is_not_null()).order_by_desc(ranking::Column::Id);
    let newest: Option<RankingId> = newest.into_tuple().one(read.shards().reader(home())).await?;
    match newest {
        Some(id) => find(read, id).await,
        None => Ok(None),
    }
}

/// A ranking; `None` if it is not kept any more: whoever reads on in it goes on with all posts.
async fn find(read: &Read, id: RankingId) -> Result<Option<ranking::Model>> {
    if id.shard() != home() {
        return Ok(None);
    }
    Ok(read.find(id).await?.map(Unchecked::into_inner_unchecked))
}

/// Ranks posts by their recent likes, and tags by how much they are used now. Everyone has the same ranking;
/// visibility decides about each post when it is read.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(name = "rank", retries = 3)]
pub struct Rank {}

impl Run<App> for Rank {
    async fn run(&mut self, app: &App, _: &JobRun) -> Result<(), BoxError> {
        let read = app.primary();
        let now_ms = app.shards.clock().now_ms();
        let previous = latest(&read).await?;
        let newest = read.clone().available().list_all::<post::Entity>(Keyset::newest(NEWEST)).await?;
        let newest: Vec<post::Model> =
            newest.into_items().into_iter().map(Unchecked::into_inner_unchecked).collect();
        let content = Ranked {
            posts: rank_posts(&read, previous.as_ref(), &newest, now_ms).await?,
            tags: rank_tags(&read, &newest).await?,
        };
        // Nothing has happened: those who read on do so in the same ranking.
        if previous.is_some_and(|previous| previous.content == content) {
            return Ok(());
        }
        let row = ranking::ActiveModel { content: Set(content), ..Default::default() };
        let write = app.write(home(), move |tx| async move {
            let old = ranking::Entity::find().filter(ranking::Column::Id.lt(oldest(now_ms)));
            for old in old.all(tx.connection_without_invalidation()).await? {
                tx.delete(old.id).await?;
            }
            tx.insert(row).await
        });
        write.await?;
        Ok(())
    }
}

/// The least id of a ranking that is kept.
fn oldest(now_ms: u64) -> RankingId {
    Id::first_at(now_ms.saturating_sub(KEPT_MS))
}

/// Adds what each post has been liked since the previous ranking to what is left of its score.
async fn rank_posts(
    read: &Read,
    previous: Option<&ranking::Model>,
    newest: &[post::Model],
    now_ms: u64,
) -> Result<Vec<RankedPost>> {
    let passed_ms =
        previous.map_or(0, |row| now_ms.saturating_sub(row.id.created_at().timestamp_millis() as u64));
    let decay = 0.5f64.powf(passed_ms as f64 / HALF_LIFE_MS);
    let before: HashMap<PostId, RankedPost> =
        previous.iter().flat_map(|row| &row.content.posts).map(|ranked| (ranked.post, *ranked)).collect();
    let liked =
        read.most_linked::<Like>(Id::first_at(now_ms.saturating_sub(WINDOW_MS)), RANKED as u64).await?;
    let mut ids: Vec<PostId> = before.keys().copied().chain(newest.iter().map(|post| post.id)).collect();
    ids.extend(liked.into_iter().map(|(id, _)| id));
    ids.sort_unstable();
    ids.dedup();
    let likes = read.source_counts::<Like>(&ids).await?;
    let mut ranked: Vec<RankedPost> = ids
        .into_iter()
        .map(|post| {
            let likes = likes.get(&post).copied().unwrap_or_default();
            let (known, left) =
                before.get(&post).map_or((0, 0.0), |ranked| (ranked.likes, ranked.score * decay));
            RankedPost { post, likes, score: left + likes.saturating_sub(known) as f64 }
        })
        .filter(|ranked| ranked.score >= LEAST)
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.post.cmp(&a.post)));
    ranked.truncate(RANKED);
    Ok(ranked)
}

/// The tags of the newest posts, by how often they have them there, measured against how often at all.
async fn rank_tags(read: &Read, newest: &[post::Model]) -> Result<Vec<String>> {
    let mut used: HashMap<String, HashSet<i64>> = HashMap::new();
    for post in newest {
        for tag in tags::tags(post) {
            // Of one person each tag counts once.
            used.entry(tag).or_default().insert(post.author_id.raw());
        }
    }
    let names: Vec<&str> = used.keys().map(String::as_str).collect();
    let total = read.index_counts::<PostByTag>(&names).await?;
    let score =
        |name: &str, now: usize| now as f64 / (total.get(name).copied().unwrap_or(1) as f64 + 10.0).sqrt();
    let mut scored: Vec<(f64, String)> =
        used.iter().map(|(name, people)| (score(name, people.len()), name.clone())).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Ok(scored.into_iter().take(RISING).map(|(_, name)| name).collect())
}

/// The posts with the most recent likes, then all others, newest first.
#[utoipa::path(get, path = "/explore", tag = "search", operation_id = "getExplore", params(PageQuery),
    security((), ("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn get_explore(
    State(app): State<App>,
    viewer: Viewer,
    page: PageQuery,
) -> Result<Json<Page<PostView>>> {
    list(&app, viewer, page).await.map(Json)
}
