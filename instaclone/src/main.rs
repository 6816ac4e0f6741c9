//! instaclone: the complete Instagram, built on tripod.

mod accounts;
mod comments;
mod demo;
mod feed;
mod follows;
mod likes;
mod pages;
mod posts;
mod router;
mod saves;
mod schema;
mod text;

use std::process::ExitCode;

use tripod::App;

/// A reply is made of hundreds of small strings: the system's allocator took a sixth of the time of a
/// feed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // ANCHOR: app
    App::new("instaclone", env!("CARGO_PKG_VERSION"))
        .migrations(&schema::MIGRATIONS)
        .cached::<accounts::account::Entity>()
        .entity::<accounts::credential::Entity>()
        .entity::<accounts::username::Entity>()
        .entity::<comments::comment::Entity>()
        .cached::<posts::post::Entity>()
        .timeline::<posts::post::Entity>()
        .edge::<follows::Follow>()
        .edge::<likes::Like>()
        .edge::<saves::Save>()
        .job::<accounts::EraseAccount>()
        .job::<posts::ErasePost>()
        .routes(router::routes())
        .uploads(router::uploads())
        .pages(router::pages())
        .demo(demo::SPAN, demo::fill)
        .run()
        .await
    // ANCHOR_END: app
}
