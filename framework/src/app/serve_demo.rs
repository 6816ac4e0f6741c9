//! `serve --demo`: fills an empty service with data, then serves it.
//!
//! The app provides the data ([`AppBuilder::demo`]). The stores are opened on a clock that the seeding
//! moves through the past, so that ids carry the times of the data. The data takes the usual path, jobs
//! included: they run before the service reports that it is ready. A service that has data is left as it
//! is. An interrupted seeding leaves a marker, and the next start reports it instead of continuing with
//! partial data.

use sea_orm::ConnectionTrait;

use super::builder::AppBuilder;
use super::catalogue::Catalogue;
use super::context::{App, Services};
use super::demo::{Demo, SeededDemo, UnfinishedMarker};
use super::instance_lock::{InstanceLock, create_directory};
use super::start::{self, Access};
use crate::config::Config;
use crate::db::statement;
use crate::error::{Error, Result};
use crate::id::Clock;
use crate::shard::Table;

/// Seeds the service and serves it.
pub(super) async fn serve<S: Send + Sync + 'static>(
    mut builder: AppBuilder<S>,
    config: Config,
) -> Result<()> {
    let seeder = builder.demo.take().ok_or_else(|| {
        Error::configuration(format!("{} has no demo: start it without --demo", builder.name))
    })?;
    let instance_lock = InstanceLock::of_files(&config)?;
    create_directory(&config.data_dir)?;
    let marker = UnfinishedMarker::of(&config);
    let end_ms = Clock::system().now_ms();
    let clock = Clock::manual(end_ms.saturating_sub(seeder.span.as_millis() as u64));
    let (services, mut agreement) = start::open(&builder, config.clone(), clock, Access::Serve).await?;
    agreement.check(builder.name).await?;
    require_empty(&builder.catalogue, &services, &marker).await?;
    // Report an address that is in use before the seeding, not after it.
    drop(start::bind(&config).await?);

    marker.create()?;
    let app = App::new(services.clone(), (builder.open)(services).await?);
    let demo = Demo::new(app.clone(), end_ms);
    let lines = (seeder.run)(demo)
        .await
        .map_err(|error| Error::internal("the demo cannot be made").because(error))?;
    start::close(&app, builder.close.as_ref()).await?;
    drop(app);

    let started = start::start_locked(builder, config, Clock::system(), Access::Serve, instance_lock).await?;
    start::serve(started, true, Some(SeededDemo::new(lines, marker))).await
}

/// Requires an empty service: no row in any of the app's own tables.
async fn require_empty(catalogue: &Catalogue, services: &Services, marker: &UnfinishedMarker) -> Result<()> {
    let data = services.config.data_dir.display();
    let names: Vec<&str> = services.shards.databases().iter().map(|database| database.name()).collect();
    if marker.exists() {
        return Err(Error::configuration(format!(
            "an earlier --demo was cut short and has left half of its data: delete {} and {}, then start it again, \
             or set data_dir (TRIPOD_DATA_DIR) to a new directory",
            data,
            names.join(", ")
        )));
    }
    for database in services.shards.databases() {
        for Table { name: table, .. } in &catalogue.tables {
            let any = statement(database.reader(), &format!("SELECT 1 FROM \"{table}\" LIMIT 1"), []);
            if database.reader().query_one_raw(any).await?.is_some() {
                return Err(Error::configuration(format!(
                    "--demo fills an empty service only, and {} has data already (table {table:?}): start it without \
                     --demo, or set data_dir (TRIPOD_DATA_DIR) to a new directory",
                    database.name()
                )));
            }
        }
    }
    Ok(())
}
