//! instaclone: a complete Instagram, built on Tripod.

mod accounts;
mod blocks;
mod close_friends;
mod comments;
mod demo;
mod entity;
mod explore;
mod feed;
mod follows;
mod likes;
mod mentions;
mod mutes;
mod pages;
mod posts;
mod relations;
mod router;
mod saves;
mod schema;
mod search;
mod tags;
#[cfg(test)]
mod tests;
mod views;
mod visibility;

use std::process::ExitCode;

use tripod::App;
use tripod::app::AppBuilder;
use tripod::web::{RateLimit, RequestLimits};

/// A reply is built from hundreds of small strings: the system allocator took a sixth of a feed's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The widths of renditions: a phone's full width at three pixels a point, which is what Instagram keeps; a
/// grid of two columns; and a grid of three.
const RENDITION_WIDTHS: [u32; 3] = [1080, 640, 320];

/// Maximum signed-in devices per person; one more logs out the oldest.
const SESSIONS_PER_ACCOUNT: u32 = 100;

/// Far more requests than people make and far fewer than a loop or a guesser does, with room for many people
/// who share a network.
const REQUEST_LIMITS: RequestLimits = RequestLimits {
    requests: RateLimit::new("requests", 1_200, 60),
    tokens: RateLimit::new("tokens", 6_000, 60),
    public: RateLimit::new("public", 6_000, 60),
    log_ins_by_name: RateLimit::new("log_ins_by_name", 20, 600),
    log_ins_from_elsewhere: RateLimit::new("log_ins_from_elsewhere", 100, 3_600),
    log_ins_of_network: RateLimit::new("log_ins_of_network", 60, 600),
};

// ANCHOR: app
fn app() -> AppBuilder {
    App::builder("instaclone", env!("CARGO_PKG_VERSION"))
        .license("MIT OR Apache-2.0", "MIT OR Apache-2.0")
        .migrations(&schema::MIGRATIONS)
        .entity::<entity::account::Entity>()
        .entity::<entity::credential::Entity>()
        .entity::<entity::username::Entity>()
        .entity::<entity::comment::Entity>()
        .entity::<entity::post::Entity>()
        .entity::<entity::ranking::Entity>()
        .index::<tags::PostByTag>()
        .index::<search::AccountByName>()
        .edge::<entity::Follow>()
        .edge::<entity::FollowRequest>()
        .edge::<entity::Block>()
        .edge::<entity::Mute>()
        .edge::<entity::CloseFriend>()
        .edge::<entity::Like>()
        .edge::<entity::CommentLike>()
        .edge::<entity::Save>()
        .job::<accounts::EraseAccount>()
        .job::<follows::AcceptRequests>()
        .job::<explore::Rank>()
        .schedule("* * * * *", || explore::Rank {})
        .routes(router::routes())
        .uploads(router::uploads())
        .pages(router::pages())
        .rendition_widths(&RENDITION_WIDTHS)
        .sessions_per_account(SESSIONS_PER_ACCOUNT)
        .request_limits(REQUEST_LIMITS)
        .demo(demo::SPAN, demo::fill)
}

#[tokio::main]
async fn main() -> ExitCode {
    app().run().await
}
// ANCHOR_END: app
