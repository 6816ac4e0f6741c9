//! `--demo`: people, photos that the program draws itself, and what they say about them.
//!
//! [`plan`] decides what happens; this makes it so, by the ways that requests go: photos through
//! the processor, posts with their fan-out, follows and likes as edges. Each part is small, so
//! that thousands of them do not take long: what belongs to one hour is made side by side.

mod captions;
mod draw;
mod people;
mod plan;
mod remarks;

use std::collections::VecDeque;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use tiny_skia::Pixmap;
use tripod::app::Demo;
use tripod::id::Shard;
use tripod::web::Problem;
use tripod::{Tripod, shard::Claimed};

use crate::accounts::account::{self, AccountId};
use crate::accounts::credential;
use crate::comments::comment;
use crate::follows::Follow;
use crate::likes::Like;
use crate::posts::post::{self, Photos, PostId};
use crate::posts::{self, Photo, Unstored};
use crate::{accounts, comments};
use people::PEOPLE;
use plan::{Act, Plan};

pub use plan::SPAN;

/// Everybody's, and told to whoever starts the demo.
const PASSWORD: &str = "tripod-demo";
/// Photos under way at the same time: one is drawn while another waits for the disk.
const PHOTOS_AT_ONCE: usize = 4;
/// Writes under way at the same time, which share their commits.
const WRITES_AT_ONCE: usize = 32;
/// What happens within this time is made side by side.
const WINDOW: Duration = Duration::from_secs(2 * 3600);

/// Fills an empty service.
pub async fn fill(demo: Demo) -> anyhow::Result<Vec<(&'static str, String)>> {
    let plan = Plan::new();
    let photos = draw_photos(&demo, &plan).await?;
    let people = sign_up(&demo).await?;
    happen(&demo, &plan, photos, &people).await?;
    Ok(vec![("name", PEOPLE[0].username.to_owned()), ("password", PASSWORD.to_owned())])
}

/// Draws and stores the photos of all posts, in their order.
async fn draw_photos(demo: &Demo, plan: &Plan) -> anyhow::Result<Vec<Vec<Photo>>> {
    let drawings: Vec<_> = plan.posts.iter().flat_map(|post| post.drawings.iter().copied()).collect();
    demo.begin("photos", drawings.len());
    let work = drawings.into_iter().map(|drawing| draw_photo(demo.tripod.clone(), drawing)).collect();
    let mut photos = side_by_side(demo, PHOTOS_AT_ONCE, work).await?.into_iter();
    Ok(plan.posts.iter().map(|post| photos.by_ref().take(post.drawings.len()).collect()).collect())
}

async fn draw_photo(tripod: Tripod, drawing: draw::Drawing) -> anyhow::Result<Photo> {
    let drawn = tokio::task::spawn_blocking(move || drawing.draw()).await?;
    store(&tripod, drawn.pixels, drawn.alt).await
}

async fn store(tripod: &Tripod, pixels: Pixmap, alt: String) -> anyhow::Result<Photo> {
    let (width, height) = (pixels.width(), pixels.height());
    let processed = tripod.pictures.process_drawn(width, height, pixels.take()).await?;
    Ok(Unstored::new(processed, alt)?.put(tripod).await?)
}

/// The accounts, with their pictures, in the first two days.
async fn sign_up(demo: &Demo) -> anyhow::Result<Vec<AccountId>> {
    demo.begin("people", PEOPLE.len());
    let password_hash = demo.tripod.passwords.hash(PASSWORD.to_owned()).await?;
    let mut ids = Vec::new();
    for (index, person) in PEOPLE.iter().enumerate() {
        demo.move_to(SPAN.saturating_sub(Duration::from_secs(index as u64 * 4_021)));
        let (hair, skin) = (person.hair, person.skin);
        let drawn = tokio::task::spawn_blocking(move || draw::avatar(hair, skin, index as u64)).await?;
        let row = account::ActiveModel {
            username: Set(person.username.to_owned()),
            full_name: Set(person.full_name.to_owned()),
            bio: Set(person.bio.to_owned()),
            avatar: Set(Some(store(&demo.tripod, drawn, String::new()).await?)),
            post_count: Set(0),
            deleted: Set(false),
            ..Default::default()
        };
        let credential = credential::ActiveModel {
            email: Set(None),
            password_hash: Set(password_hash.clone()),
            sign_up_key: Set(None),
            ..Default::default()
        };
        let made = demo.tripod.shards.write(Shard::of_text(person.username), move |tx| {
            Box::pin(async move { accounts::claim(tx, person.username, row, credential).await })
        });
        ids.push(made.await.map_err(refused)?);
        demo.step();
    }
    Ok(ids)
}

/// Lets everything happen, a window of time after another. Ids are minted one by one, so that they
/// carry each its own time; what is made under them is made side by side.
async fn happen(
    demo: &Demo,
    plan: &Plan,
    mut photos: Vec<Vec<Photo>>,
    people: &[AccountId],
) -> anyhow::Result<()> {
    demo.begin("their weeks", plan.acts.len());
    let mut made: Vec<Option<PostId>> = vec![None; plan.posts.len()];
    let mut acts = plan.acts.as_slice();
    while let Some((first, _)) = acts.first() {
        let window = acts.iter().take_while(|(ago, _)| *first - *ago < WINDOW).count();
        let (now, later) = acts.split_at(window);
        let (mut new_posts, mut new_comments, mut edges) = (Vec::new(), Vec::new(), Vec::new());
        for (ago, act) in now {
            demo.move_to(*ago);
            match *act {
                Act::Post(index) => {
                    let author = people[plan.posts[index].author];
                    let id: PostId = demo.tripod.shards.mint(author.shard())?;
                    made[index] = Some(id);
                    new_posts.push((
                        id,
                        author,
                        plan.posts[index].caption,
                        std::mem::take(&mut photos[index]),
                    ));
                }
                Act::Comment(person, index, text) => {
                    let post =
                        made[index].ok_or_else(|| anyhow::anyhow!("a comment comes before its post"))?;
                    new_comments.push((demo.tripod.shards.mint(post.shard())?, post, people[person], text));
                }
                Act::Follow(reader, author) => edges.push((people[reader], Either::Person(people[author]))),
                Act::Like(person, index) => {
                    let post = made[index].ok_or_else(|| anyhow::anyhow!("a like comes before its post"))?;
                    edges.push((people[person], Either::Post(post)));
                }
            }
        }
        let work = new_posts.into_iter().map(|new| post(demo.tripod.clone(), new)).collect();
        side_by_side(demo, WRITES_AT_ONCE, work).await?;
        let work = new_comments.into_iter().map(|new| comment(demo.tripod.clone(), new)).collect();
        side_by_side(demo, WRITES_AT_ONCE, work).await?;
        let work = edges.into_iter().map(|(from, to)| connect(demo.tripod.clone(), from, to)).collect();
        side_by_side(demo, WRITES_AT_ONCE, work).await?;
        acts = later;
    }
    demo.move_to(Duration::ZERO);
    Ok(())
}

/// Does all of it, on all cores, so much at once. Gives what came of it, in order.
async fn side_by_side<F, T>(demo: &Demo, at_once: usize, work: Vec<F>) -> anyhow::Result<Vec<T>>
where
    F: Future<Output = anyhow::Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let (mut waiting, mut running, mut done) = (work.into_iter(), VecDeque::new(), Vec::new());
    loop {
        running.extend(waiting.by_ref().take(at_once - running.len()).map(tokio::spawn));
        let Some(next) = running.pop_front() else { return Ok(done) };
        done.push(next.await??);
        demo.step();
    }
}

/// What an edge points to.
enum Either {
    Person(AccountId),
    Post(PostId),
}

async fn connect(tripod: Tripod, from: AccountId, to: Either) -> anyhow::Result<()> {
    match to {
        Either::Person(author) => tripod.graph.connect::<Follow>(from, author).await?,
        Either::Post(post) => tripod.graph.connect::<Like>(from, post).await?,
    };
    Ok(())
}

async fn post(
    tripod: Tripod,
    (id, author, (caption, location), photos): (PostId, AccountId, captions::Caption, Vec<Photo>),
) -> anyhow::Result<()> {
    let row = post::ActiveModel {
        author_id: Set(author),
        caption: Set(caption.to_owned()),
        location: Set(Some(location.to_owned()).filter(|location| !location.is_empty())),
        photos: Set(Photos(photos)),
        comment_count: Set(0),
        ..Default::default()
    };
    new(posts::insert(&tripod, author, Some(id), row, None).await)
}

async fn comment(
    tripod: Tripod,
    (id, post, author, text): (comment::CommentId, PostId, AccountId, &'static str),
) -> anyhow::Result<()> {
    let row = comment::ActiveModel {
        post_id: Set(post),
        author_id: Set(author),
        text: Set(text.to_owned()),
        ..Default::default()
    };
    new(comments::insert(&tripod, post, Some(id), row).await)
}

fn new<E: tripod::shard::Sharded>(claimed: Result<Claimed<E>, Problem>) -> anyhow::Result<()> {
    match claimed.map_err(refused)? {
        Claimed::New(_) => Ok(()),
        Claimed::Before(_) => anyhow::bail!("an id of the demo was taken"),
    }
}

fn refused(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", problem.status, problem.detail)
}
