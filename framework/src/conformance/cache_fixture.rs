//! A cache region over notes, whose loads are counted and can be held up or made to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tokio::sync::watch;

use super::{Note, Stores, note};
use crate::cache::{Batch, Region, RegionConfig};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::shard::{Consistency, Shards};

/// How long the texts live. They are fresh for half of it, or a little less.
pub const TTL: Duration = Duration::from_secs(600);

/// The texts of notes, cached by one process.
#[derive(Clone)]
pub struct CacheFixture {
    /// The region that the texts are read through.
    pub region: Region<String>,
    stores: Stores,
    source: Arc<Source>,
}

struct Source {
    loads: AtomicUsize,
    failing: AtomicBool,
    held: watch::Sender<bool>,
}

impl CacheFixture {
    /// The fixture of this process. The fixtures of several processes hold the same texts.
    pub fn of(stores: &Stores) -> Self {
        Self::of_version(stores, 1)
    }

    /// The same, in another version of the program.
    pub fn of_version(stores: &Stores, version: u64) -> Self {
        let source = Arc::new(Source {
            loads: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            held: watch::Sender::new(false),
        });
        let (shards, loaded_from) = (stores.shards.clone(), source.clone());
        let config = RegionConfig { name: "fixture".to_owned(), version, ttl: TTL };
        let region = Region::new(stores.shards.cache(), config, move |ids| {
            let (shards, source) = (shards.clone(), loaded_from.clone());
            async move {
                source.loads.fetch_add(ids.len(), SeqCst);
                let found = source.load(&shards, &ids).await;
                vec![Batch { asked: ids, found }]
            }
        });
        Self { region, stores: stores.clone(), source }
    }

    /// The text of a note, through the cache.
    ///
    /// # Errors
    /// Any error of the loader.
    pub async fn text(&self, note: Id<Note>) -> Result<Option<String>> {
        Ok(self.region.get(note.raw()).await?.map(|text| (*text).clone()))
    }

    /// Changes a note's text in the database, as the framework's transactions do.
    ///
    /// # Errors
    /// Any database error.
    pub async fn write(&self, note: Id<Note>, text: &str) -> Result<()> {
        let (changed, text) = (self.region.changed(note.raw()), Expr::value(text));
        let written = self.stores.shards.write(note, move |tx| async move {
            tx.changes(changed);
            tx.update_where(note, |row| row.col_expr(note::Column::Text, text)).await
        });
        written.await.map(drop)
    }

    /// Changes a note's text and never reports the end of the change, like a process that dies in
    /// between.
    ///
    /// # Errors
    /// Any database error.
    pub async fn write_and_die(&self, note: Id<Note>, text: &str) -> Result<()> {
        self.write_after_and_die(note, text, async {}).await
    }

    /// The same, with another action before the commit.
    ///
    /// # Errors
    /// Any database error.
    pub async fn write_after_and_die(
        &self,
        note: Id<Note>,
        text: &str,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<()> {
        let _never_unblocked =
            self.stores.shards.cache().block_fills(vec![self.region.changed(note.raw())]).await;
        meanwhile.await;
        let text = Expr::value(text);
        let written = self.stores.shards.database(note.shard()).write(move |tx| async move {
            let update = note::Entity::update_many().filter(note::Column::Id.eq(note));
            update.col_expr(note::Column::Text, text).exec(&tx).await?;
            Ok(())
        });
        written.await
    }

    /// The number of keys requested from the loader so far.
    pub fn loads(&self) -> usize {
        self.source.loads.load(SeqCst)
    }

    /// Makes loads read the database and then pause, from now on.
    pub fn hold(&self) {
        self.source.held.send_replace(true);
    }

    /// Lets paused loads continue.
    pub fn release(&self) {
        self.source.held.send_replace(false);
    }

    /// Makes loads fail from now on, or succeed again.
    pub fn fail(&self, failing: bool) {
        self.source.failing.store(failing, SeqCst);
    }
}

impl Source {
    async fn load(&self, shards: &Shards, ids: &[i64]) -> Result<Vec<(i64, String)>> {
        if self.failing.load(SeqCst) {
            return Err(Error::unavailable("the loader is made to fail"));
        }
        let ids: Vec<Id<Note>> = ids.iter().map(|id| Id::from_raw(*id)).collect();
        let rows = shards.read(Consistency::Primary).find_many(&ids).await?;
        // The sender lives in `self`, so it can't be gone.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        Ok(rows.iter().map(|row| (row.peek().id.raw(), row.peek().text.clone())).collect())
    }
}
