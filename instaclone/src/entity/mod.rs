//! The entities, and the edges between them. Every other module builds on this one.

pub mod account;
pub mod comment;
pub mod credential;
pub mod entities;
pub mod post;
pub mod ranking;
pub mod username;

use tripod::Edge;

pub use account::AccountId;
pub use comment::CommentId;
pub use post::PostId;

/// One account follows another.
#[derive(Edge)]
#[edge(name = "follow", from = account::Entity, to = account::Entity)]
pub struct Follow;

/// One account asks to follow another, which is private.
#[derive(Edge)]
#[edge(name = "follow_request", from = account::Entity, to = account::Entity)]
pub struct FollowRequest;

// ANCHOR: block
/// An account sees nothing of another, and the other nothing of it.
#[derive(Edge)]
#[edge(name = "block", from = account::Entity, to = account::Entity, sources = "cached",
    ends = (Follow, FollowRequest, CloseFriend))]
pub struct Block;
// ANCHOR_END: block

/// An account leaves another's posts out of its feed. Nobody else learns of it.
#[derive(Edge)]
#[edge(name = "mute", from = account::Entity, to = account::Entity)]
pub struct Mute;

/// An account shows another the posts that are for close friends only.
#[derive(Edge)]
#[edge(name = "close_friend", from = account::Entity, to = account::Entity, sources = "cached")]
pub struct CloseFriend;

/// An account likes a post. Counted on the post's shard.
#[derive(Edge)]
#[edge(name = "like", from = account::Entity, to = post::Entity)]
pub struct Like;

/// An account likes a comment. Counted on the comment's shard.
#[derive(Edge)]
#[edge(name = "comment_like", from = account::Entity, to = comment::Entity)]
pub struct CommentLike;

/// An account keeps a post for later. It is visible to no one else, not even as a count.
#[derive(Edge)]
#[edge(name = "save", from = account::Entity, to = post::Entity)]
pub struct Save;
