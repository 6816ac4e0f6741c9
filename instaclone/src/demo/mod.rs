//! `--demo`: people, photos that the program draws itself, and their comments.
//!
//! [`plan`] decides what happens; this module carries it out through the same code as requests: photos
//! through the processor, posts with their fan-out, follows and likes as edges. The actions of one time
//! window run concurrently, so that thousands of them do not take long.

mod captions;
mod draw;
mod people;
mod plan;
mod remarks;

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::ActiveValue::Set;
use tiny_skia::Pixmap;
use tripod::app::Demo;
use tripod::id::Shard;
use tripod::media::{Picture, Upload};
use tripod::{App, BoxError};

use crate::accounts;
use crate::entity::post::{self, Photos};
use crate::entity::{AccountId, CommentId, Follow, Like, PostId, account, comment, credential};
use crate::mentions;
use people::PEOPLE;
use plan::{Act, Plan};

pub use plan::SPAN;

/// The password of every demo account, printed when the demo starts.
const PASSWORD: &str = "tripod-demo";
/// Photos processed concurrently: one is drawn while another waits for the disk.
const PHOTOS_AT_ONCE: usize = 4;
/// Concurrent writes, which share commits.
const WRITES_AT_ONCE: usize = 32;
/// Actions within this time run concurrently.
const WINDOW: Duration = Duration::from_secs(2 * 3600);

/// Fills an empty service.
pub async fn fill(demo: Demo) -> Result<Vec<(&'static str, String)>, BoxError> {
    let (plan, progress) = (Plan::new(), Progress::new()?);
    let people = sign_up(&demo, &progress).await?;
    let photos = draw_photos(&demo.app, &progress, &plan, &people).await?;
    happen(&demo, &progress, &plan, photos, &people).await?;
    progress.bar.finish_and_clear();
    Ok(vec![("name", PEOPLE[0].username.to_owned()), ("password", PASSWORD.to_owned())])
}

/// A stored photo, and the upload that its post keeps.
type Photo = (Picture, Upload);

/// Draws and stores the photos of all posts, in order.
async fn draw_photos(
    app: &App,
    progress: &Progress,
    plan: &Plan,
    people: &[AccountId],
) -> Result<Vec<Vec<Photo>>, BoxError> {
    let drawings = plan.posts.iter().flat_map(|post| {
        post.drawings.iter().map(|drawing| draw_photo(app.clone(), people[post.author], *drawing))
    });
    let drawings: Vec<_> = drawings.collect();
    progress.begin("photos", drawings.len());
    let mut photos = side_by_side(progress, PHOTOS_AT_ONCE, drawings).await?.into_iter();
    Ok(plan.posts.iter().map(|post| photos.by_ref().take(post.drawings.len()).collect()).collect())
}

async fn draw_photo(app: App, author: AccountId, drawing: draw::Drawing) -> Result<Photo, BoxError> {
    let drawn = tokio::task::spawn_blocking(move || drawing.draw()).await?;
    store(&app, author.shard(), drawn.pixels, drawn.alt).await
}

async fn store(app: &App, shard: Shard, pixels: Pixmap, alt: String) -> Result<Photo, BoxError> {
    let (width, height) = (pixels.width(), pixels.height());
    let processed = app.pictures.process_drawn(width, height, pixels.take()).await?;
    Ok(app.store_picture(shard, processed, alt).await?)
}

/// Creates the accounts, with their pictures, in the first two days.
async fn sign_up(demo: &Demo, progress: &Progress) -> Result<Vec<AccountId>, BoxError> {
    progress.begin("people", PEOPLE.len());
    let password = demo.app.passwords.hash(PASSWORD.to_owned()).await?;
    let mut ids = Vec::new();
    for (index, person) in PEOPLE.iter().enumerate() {
        demo.move_to(SPAN.saturating_sub(Duration::from_secs(index as u64 * 4_021)));
        let (hair, skin) = (person.hair, person.skin);
        let drawn = tokio::task::spawn_blocking(move || draw::avatar(hair, skin, index as u64)).await?;
        let shard = Shard::of_text(person.username);
        let (avatar, upload) = store(&demo.app, shard, drawn, String::new()).await?;
        let row = account::ActiveModel {
            username: Set(person.username.to_owned()),
            full_name: Set(person.full_name.to_owned()),
            bio: Set(person.bio.to_owned()),
            avatar: Set(Some(avatar)),
            post_count: Set(0),
            is_private: Set(false),
            suspended: Set(false),
            ..Default::default()
        };
        let credential =
            credential::ActiveModel { email: Set(None), sign_up_key: Set(None), ..Default::default() };
        let password = password.clone();
        let made = demo.app.write(shard, move |tx| async move {
            tx.keep(upload).await?;
            accounts::claim(&tx, person.username, row, credential, password).await
        });
        ids.push(made.await?);
        progress.step();
    }
    Ok(ids)
}

/// Carries out all actions, one time window after another. Ids are generated one by one, so that each has
/// its own time; their rows are created concurrently.
async fn happen(
    demo: &Demo,
    progress: &Progress,
    plan: &Plan,
    mut photos: Vec<Vec<Photo>>,
    people: &[AccountId],
) -> Result<(), BoxError> {
    progress.begin("their weeks", plan.acts.len());
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
                    let id: PostId = demo.app.shards.generate_id(author)?;
                    made[index] = Some(id);
                    new_posts.push((
                        id,
                        author,
                        plan.posts[index].caption,
                        std::mem::take(&mut photos[index]),
                    ));
                }
                Act::Comment(person, index, text) => {
                    let post = made[index].ok_or("a comment comes before its post")?;
                    new_comments.push((demo.app.shards.generate_id(post)?, post, people[person], text));
                }
                Act::Follow(reader, author) => edges.push((people[reader], Either::Person(people[author]))),
                Act::Like(person, index) => {
                    let post = made[index].ok_or("a like comes before its post")?;
                    edges.push((people[person], Either::Post(post)));
                }
            }
        }
        let work = new_posts.into_iter().map(|new| post(demo.app.clone(), new)).collect();
        side_by_side(progress, WRITES_AT_ONCE, work).await?;
        let work = new_comments.into_iter().map(|new| comment(demo.app.clone(), new)).collect();
        side_by_side(progress, WRITES_AT_ONCE, work).await?;
        let work = edges.into_iter().map(|(from, to)| connect(demo.app.clone(), from, to)).collect();
        side_by_side(progress, WRITES_AT_ONCE, work).await?;
        acts = later;
    }
    demo.move_to(Duration::ZERO);
    Ok(())
}

/// Runs all futures on all cores, at most `at_once` concurrently. Returns the results in order.
async fn side_by_side<F, T>(progress: &Progress, at_once: usize, work: Vec<F>) -> Result<Vec<T>, BoxError>
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: Send + 'static,
{
    let (mut waiting, mut running, mut done) = (work.into_iter(), VecDeque::new(), Vec::new());
    loop {
        running.extend(waiting.by_ref().take(at_once - running.len()).map(tokio::spawn));
        let Some(next) = running.pop_front() else { return Ok(done) };
        done.push(next.await??);
        progress.step();
    }
}

/// The target of an edge.
enum Either {
    Person(AccountId),
    Post(PostId),
}

async fn connect(app: App, from: AccountId, to: Either) -> Result<(), BoxError> {
    match to {
        Either::Person(author) => app.connect::<Follow>(from, author).await?,
        Either::Post(post) => app.connect::<Like>(from, post).await?,
    };
    Ok(())
}

async fn post(
    app: App,
    (id, author, (caption, location), photos): (PostId, AccountId, captions::Caption, Vec<Photo>),
) -> Result<(), BoxError> {
    let (photos, uploads): (Vec<Picture>, Vec<Upload>) = photos.into_iter().unzip();
    let row = post::ActiveModel {
        id: Set(id),
        author_id: Set(author),
        caption: Set(caption.to_owned()),
        location: Set(Some(location.to_owned()).filter(|location| !location.is_empty())),
        photos: Set(Photos(photos)),
        comment_count: Set(0),
        audience: Set(post::Audience::Everyone),
        comments_from: Set(post::CommentsFrom::Everyone),
        entities: Set(Some(mentions::entities_of(&app, caption).await?)),
    };
    let post = app.write(author, move |tx| async move {
        for upload in uploads {
            tx.keep(upload).await?;
        }
        tx.update(author, |author| author.post_count += 1).await?;
        tx.insert(row).await.map(drop)
    });
    Ok(post.await?)
}

async fn comment(
    app: App,
    (id, post, author, text): (CommentId, PostId, AccountId, &'static str),
) -> Result<(), BoxError> {
    let row = comment::ActiveModel {
        id: Set(id),
        post_id: Set(post),
        author_id: Set(author),
        text: Set(text.to_owned()),
        parent_id: Set(None),
        reply_count: Set(0),
        entities: Set(Some(mentions::entities_of(&app, text).await?)),
    };
    let comment = app.write(post, move |tx| async move {
        tx.update(post, |post| post.comment_count += 1).await?;
        tx.insert(row).await.map(drop)
    });
    Ok(comment.await?)
}

/// The demo's progress: a bar on a terminal, otherwise one line per part.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new() -> Result<Self, BoxError> {
        let style = ProgressStyle::with_template("{msg:>12} {bar:32} {pos}/{len}")?;
        Ok(Self { bar: ProgressBar::new(0).with_style(style) })
    }

    /// Begins a part of the work with this many steps.
    fn begin(&self, what: &'static str, steps: usize) {
        if std::io::stderr().is_terminal() {
            self.bar.reset();
            self.bar.set_length(steps as u64);
            self.bar.set_message(what);
        } else {
            tracing::info!(what, steps, "filling the demo");
        }
    }

    fn step(&self) {
        self.bar.inc(1);
    }
}
