//! Visibility: all policies of the product. Lists, counts and pages all use them.
//!
//! - A suspended account is hidden from everyone, and with it all that it has written.
//! - Two accounts of which one blocks the other are hidden from each other.
//! - The posts and the lists of a private account are for itself and its followers.
//! - A post for close friends is for its author and those whom the author counts among them.
//!
//! What is hidden is answered as if it did not exist. A comment is visible with its post and its author.

use tripod::access::{Policy, Unchecked, Viewer, Visible};
use tripod::id::{IdMap, IdSet};
use tripod::shard::Read;
use tripod::web::Rendered;
use tripod::{App, Error, Result};

use crate::entity::account::Author;
use crate::entity::post::Audience;
use crate::entity::{AccountId, Block, CloseFriend, CommentId, Follow, PostId, account, comment, post};

/// The accounts of a set that one viewer may see, and what else decides about their posts and comments: the
/// facts for a page.
pub struct People {
    seen: IdMap<account::Entity, Visible<account::Model>>,
    /// Those of the private accounts of the set that the viewer follows.
    followed: IdSet<account::Entity>,
    /// Those of the set that count the viewer among their close friends, if it was loaded for their posts.
    close: IdSet<account::Entity>,
}

impl People {
    /// Loads a set of accounts at once.
    pub async fn load(read: &Read, viewer: Viewer, ids: impl IntoIterator<Item = AccountId>) -> Result<Self> {
        Self::load_with(read, viewer, ids, &[]).await
    }

    /// Loads a set of accounts that the viewer blocks, for the list of them: in no other place does it see
    /// them.
    pub async fn load_blocked(read: &Read, viewer: Viewer, ids: &[AccountId]) -> Result<Self> {
        let is_active = |_: Viewer, account: &account::Model| !account.suspended;
        let accounts = read.find_many(ids).await?.into_iter();
        let seen = accounts.filter_map(|account| account.visible_to(viewer, &is_active));
        let seen = seen.map(|account| (account.id, account)).collect();
        Ok(Self { seen, followed: IdSet::default(), close: IdSet::default() })
    }

    /// Loads the authors of posts at once.
    pub async fn of_posts(read: &Read, viewer: Viewer, posts: &[Unchecked<post::Model>]) -> Result<Self> {
        let exclusive = posts.iter().filter(|post| post.peek().audience == Audience::CloseFriends);
        let exclusive: Vec<AccountId> = exclusive.map(|post| post.peek().author_id).collect();
        Self::load_with(read, viewer, posts.iter().map(|post| post.peek().author_id), &exclusive).await
    }

    async fn load_with(
        read: &Read,
        viewer: Viewer,
        ids: impl IntoIterator<Item = AccountId>,
        exclusive: &[AccountId],
    ) -> Result<Self> {
        let mut ids: Vec<AccountId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let accounts = read.find_many(&ids).await?;
        let public = accounts.iter().filter(|account| !account.peek().is_private);
        let public: IdSet<account::Entity> = public.map(|account| account.peek().id).collect();
        // Also those that do not exist, as the time of a reply must not tell these from private ones.
        let private: Vec<AccountId> = ids.iter().copied().filter(|id| !public.contains(id)).collect();
        // ANCHOR: facts
        // Nothing is asked for a viewer who is not signed in, nor about no one.
        let (hidden, followed, close) = tokio::try_join!(
            Hidden::load(read, viewer, &ids),
            read.targets_among::<Follow>(viewer.id(), &private),
            read.sources_among::<CloseFriend>(viewer.id(), exclusive),
        )?;
        // ANCHOR_END: facts
        let seen = accounts.into_iter().filter_map(|account| account.visible_to(viewer, &hidden));
        Ok(Self { seen: seen.map(|account| (account.id, account)).collect(), followed, close })
    }

    /// The author view of an account of the set, if the viewer may see it.
    pub fn author(&self, app: &App, id: AccountId) -> Option<&Rendered<Author>> {
        Some(self.seen.get(&id)?.view(app, Author::of))
    }

    /// Whether the viewer may see the posts of an account of the set that are for everyone, and its lists.
    pub fn may_see_posts_of(&self, viewer: Viewer, id: AccountId) -> bool {
        let Some(account) = self.seen.get(&id) else { return false };
        !account.is_private || self.followed.contains(&id) || viewer.is(id)
    }
}

// ANCHOR: posts
impl Policy<post::Model> for People {
    fn allows(&self, viewer: Viewer, post: &post::Model) -> bool {
        let author = post.author_id;
        let is_for_viewer = match post.audience {
            Audience::Everyone => true,
            Audience::CloseFriends => self.close.contains(&author) || viewer.is(author),
        };
        is_for_viewer && self.may_see_posts_of(viewer, author)
    }
}
// ANCHOR_END: posts

impl Policy<comment::Model> for People {
    fn allows(&self, _: Viewer, comment: &comment::Model) -> bool {
        self.seen.contains_key(&comment.author_id)
    }
}

/// The accounts of a set that block the viewer or are blocked by it.
struct Hidden(IdSet<account::Entity>);

impl Hidden {
    async fn load(read: &Read, viewer: Viewer, ids: &[AccountId]) -> Result<Self> {
        let (blocked, blocking) = tokio::try_join!(
            read.targets_among::<Block>(viewer.id(), ids),
            read.sources_among::<Block>(viewer.id(), ids),
        )?;
        Ok(Self(blocked.into_iter().chain(blocking).collect()))
    }
}

impl Policy<account::Model> for Hidden {
    fn allows(&self, _: Viewer, account: &account::Model) -> bool {
        !account.suspended && !self.0.contains(&account.id)
    }
}

/// The account with this id, if the viewer may see it.
pub async fn account(read: &Read, viewer: Viewer, id: AccountId) -> Result<Visible<account::Model>> {
    let ids = [id];
    let (hidden, found) = tokio::try_join!(Hidden::load(read, viewer, &ids), read.find(id))?;
    found.and_then(|account| account.visible_to(viewer, &hidden)).ok_or_else(no_account)
}

/// Whether the viewer may see the posts, the followers and the follows of an account that it may see.
pub async fn shows_posts(read: &Read, viewer: Viewer, account: &Visible<account::Model>) -> Result<bool> {
    if !account.is_private || viewer.is(account.id) {
        return Ok(true);
    }
    Ok(!read.targets_among::<Follow>(viewer.id(), &[account.id]).await?.is_empty())
}

/// An id that nothing has. The same is asked for what does not exist as for what is hidden, so that both take
/// the same time. As it is always this id, the answers are cached.
const NOTHING: i64 = 0;

/// The post with this id, if the viewer may see it.
pub async fn post(read: &Read, viewer: Viewer, id: PostId) -> Result<Visible<post::Model>> {
    let Some(found) = read.find(id).await? else {
        People::load(read, viewer, [AccountId::from_raw(NOTHING)]).await?;
        return Err(no_post());
    };
    let people = People::of_posts(read, viewer, std::slice::from_ref(&found)).await?;
    found.visible_to(viewer, &people).ok_or_else(no_post)
}

/// The comment with this id, if the viewer may see it, its post, and what it replies to.
pub async fn comment(read: &Read, viewer: Viewer, id: CommentId) -> Result<Visible<comment::Model>> {
    let hidden = |error: Error| if error.is_absent() { no_comment() } else { error };
    let found = read.find(id).await?;
    let of = found.as_ref().map_or(PostId::from_raw(NOTHING), |comment| comment.peek().post_id);
    post(read, viewer, of).await.map_err(hidden)?;
    let found = found.ok_or_else(no_comment)?;
    let parent = match found.peek().parent_id {
        Some(parent) => Some(read.find(parent).await?.ok_or_else(no_comment)?),
        None => None,
    };
    let authors =
        [Some(&found), parent.as_ref()].into_iter().flatten().map(|comment| comment.peek().author_id);
    let people = People::load(read, viewer, authors).await?;
    if parent.is_some_and(|parent| parent.visible_to(viewer, &people).is_none()) {
        return Err(no_comment());
    }
    found.visible_to(viewer, &people).ok_or_else(no_comment)
}

/// The error for an account that does not exist or is hidden from the viewer.
pub fn no_account() -> Error {
    Error::absent("There is nobody of this id or name.")
}

/// The error for a post that does not exist or is hidden from the viewer.
pub fn no_post() -> Error {
    Error::absent("There is no such post.")
}

/// The error for a comment that does not exist or is hidden from the viewer.
pub fn no_comment() -> Error {
    Error::absent("There is no such comment.")
}
