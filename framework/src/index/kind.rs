//! A kind of index: which rows it has, and which keys a row names.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityName, EntityTrait, IdenStatic, QueryFilter, QueryOrder, QuerySelect};

use super::maintain::IndexObserver;
use crate::error::Result;
use crate::id::{Id, Shard, shard_of_id_sql};
use crate::shard::{Sharded, Shards};

/// The bytes of a key that count: longer keys are cut off here, in entries and in lookups.
const KEY_BYTES: usize = 255;

/// An index: the rows of an entity by the keys that they name. Derived by [`crate::Index`].
pub trait Index: Send + Sync + 'static {
    /// The entity.
    type Rows: Sharded;
    /// The name in the tables, written by hand so that renaming the type loses no entry.
    const NAME: &'static str;
    /// Whether keys are found by their beginnings, too ([`Read::index_keys`](crate::shard::Read::index_keys)):
    /// keys that begin alike then live on the same shard.
    const PREFIXES: bool = false;

    /// The keys that a row names, in any order. They must depend on nothing but the row.
    fn keys(row: &<Self::Rows as EntityTrait>::Model) -> Vec<String>;
}

/// The keys that a row names, each once.
pub(super) type Keys = BTreeSet<String>;
/// The keys of rows, by the rows' ids.
pub(super) type KeysOfRows = HashMap<i64, Keys>;
type KeysOf = fn(Shards, Vec<i64>) -> BoxFuture<'static, Result<KeysOfRows>>;
type PageOfKeys = fn(Shards, usize, i64, u64) -> BoxFuture<'static, Result<Vec<(i64, Keys)>>>;

/// The registration of an index, without its type.
#[derive(Clone, Copy)]
pub struct IndexKind {
    pub(crate) name: &'static str,
    /// The table of the rows.
    pub(crate) table: &'static str,
    pub(super) prefixes: bool,
    pub(super) observe: fn(&Shards),
    /// The keys that these rows name now; rows that do not exist are left out.
    pub(super) keys_of: KeysOf,
    /// The next rows of a database after an id, with their keys.
    pub(super) page_of_keys: PageOfKeys,
}

impl IndexKind {
    /// The index, as its derive describes it.
    pub fn of<I: Index>() -> Self {
        Self {
            name: I::NAME,
            table: I::Rows::default().table_name(),
            prefixes: I::PREFIXES,
            observe: |shards| shards.observe::<I::Rows>(Arc::new(IndexObserver::<I>::new())),
            keys_of: |shards, ids| keys_of::<I>(shards, ids).boxed(),
            page_of_keys: |shards, database, after, limit| {
                page_of_keys::<I>(shards, database, after, limit).boxed()
            },
        }
    }

    /// The shard that holds the entries of a key.
    pub(super) fn place(&self, key: &str) -> Shard {
        place(self.prefixes, key)
    }
}

/// The keys that a row names, as they are stored.
pub(super) fn keys<I: Index>(row: &<I::Rows as EntityTrait>::Model) -> Keys {
    let keys = I::keys(row).into_iter().filter(|key| !key.is_empty());
    keys.map(|key| stored(&key).to_owned()).collect()
}

/// A key as it is stored: its first 255 bytes, in whole characters.
pub(super) fn stored(key: &str) -> &str {
    &key[..key.floor_char_boundary(KEY_BYTES)]
}

/// The shard that holds the entries of a key: that of its hash, or of the hash of its beginning.
pub(super) fn place(prefixes: bool, key: &str) -> Shard {
    Shard::of_text(if prefixes { beginning(key) } else { key })
}

/// The part of a key that determines its shard in an index by prefixes: the shortest beginning of at least
/// two bytes, which is two letters of ASCII, or one character of another script. Shorter ones would put much
/// of an index on one shard; with longer ones, a search would have to ask several.
pub(super) fn beginning(key: &str) -> &str {
    &key[..key.ceil_char_boundary(2)]
}

async fn keys_of<I: Index>(shards: Shards, ids: Vec<i64>) -> Result<KeysOfRows> {
    let ids: Vec<Id<I::Rows>> = ids.into_iter().map(Id::from_raw).collect();
    let queries = shards.by_database(&ids).into_iter().map(|(database, ids)| async move {
        let id = <I::Rows as Sharded>::ID;
        let rows = I::Rows::find().filter(id.is_in(ids)).all(database.reader()).await?;
        Result::<Vec<(i64, Keys)>>::Ok(rows.iter().map(with_keys::<I>).collect())
    });
    Ok(try_join_all(queries).await?.into_iter().flatten().collect())
}

async fn page_of_keys<I: Index>(
    shards: Shards,
    database: usize,
    after: i64,
    limit: u64,
) -> Result<Vec<(i64, Keys)>> {
    let id = <I::Rows as Sharded>::ID;
    let held = format!(
        "{} IN (SELECT shard FROM tripod_shard WHERE state = 'active')",
        shard_of_id_sql(id.as_str())
    );
    let rows = I::Rows::find().filter(id.gt(after)).filter(Expr::cust(held)).order_by_asc(id).limit(limit);
    let rows = rows.all(shards.databases()[database].reader()).await?;
    Ok(rows.iter().map(with_keys::<I>).collect())
}

fn with_keys<I: Index>(row: &<I::Rows as EntityTrait>::Model) -> (i64, Keys) {
    (I::Rows::id(row).raw(), keys::<I>(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_begin_alike_live_together() {
        for (key, begins) in [("", ""), ("a", "a"), ("ab", "ab"), ("abc", "ab"), ("日本", "日"), ("aé", "aé")]
        {
            assert_eq!(beginning(key), begins, "{key:?}");
        }
        assert_eq!(place(true, "paris"), place(true, "pancake"));
        assert_ne!(place(false, "paris"), place(false, "pancake"));
    }

    #[test]
    fn a_long_key_is_cut_between_characters() {
        assert_eq!(stored("short"), "short");
        let long = "é".repeat(200);
        assert_eq!(stored(&long), "é".repeat(127));
    }
}
