//! instaclone: a complete Instagram, built on Tripod.

mod accounts;
mod comments;
mod demo;
mod entity;
mod feed;
mod follows;
mod likes;
mod pages;
mod posts;
mod router;
mod saves;
mod schema;
mod views;
mod visibility;

use std::process::ExitCode;

use tripod::App;

/// A reply is built from hundreds of small strings: the system allocator took a sixth of a feed's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // ANCHOR: app
    App::builder("instaclone", env!("CARGO_PKG_VERSION"))
        .license("MIT OR Apache-2.0", "MIT OR Apache-2.0")
        .migrations(&schema::MIGRATIONS)
        .entity::<entity::account::Entity>()
        .entity::<entity::credential::Entity>()
        .entity::<entity::username::Entity>()
        .entity::<entity::comment::Entity>()
        .entity::<entity::post::Entity>()
        .edge::<entity::Follow>()
        .edge::<entity::Like>()
        .edge::<entity::Save>()
        .job::<accounts::EraseAccount>()
        .job::<posts::EraseComments>()
        .routes(router::routes())
        .uploads(router::uploads())
        .pages(router::pages())
        .demo(demo::SPAN, demo::fill)
        .run()
        .await
    // ANCHOR_END: app
}
