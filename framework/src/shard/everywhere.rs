//! Questions about no owner, asked of every database at once, and answered by those that are up.

use futures::future::join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, ExprTrait, IdenStatic, ModelTrait, QueryFilter, QueryOrder, QuerySelect};

use super::reachable::answered;
use super::{Page, Sharded, Shards, TextSharded, map, read};
use crate::access::Unchecked;
use crate::db::by_code_point;
use crate::error::Result;

/// Made by [`Shards::everywhere`], so that asking across shards is seen where it is done.
pub struct Everywhere<'s>(pub(super) &'s Shards);

impl Everywhere<'_> {
    /// The newest rows of all. A database's rows of shards that it does not hold active (left
    /// from a move, or not yet taken over) are not seen.
    ///
    /// # Errors
    /// Those of the databases; one that does not answer is left out while others do.
    pub async fn newest<E: Sharded>(&self, page: Page<E>) -> Result<Vec<Unchecked<E::Model>>> {
        let held = held(&format!("(({} >> 10) & 8191)", E::ID.as_str()));
        let queries = self
            .0
            .databases()
            .iter()
            .map(async |database| page.of(E::find().filter(held.clone())).all(database.reader()).await);
        Ok(read::merge::<E>(answered(join_all(queries).await)?, page.limit))
    }

    /// The rows whose text begins with `prefix`, in the order of their texts, `limit` at most. The
    /// table needs a [prefix index](crate::db::CreateTables::prefix_index) of the text: its key begins with
    /// the shard.
    ///
    /// # Errors
    /// Those of the databases; one that does not answer is left out while others do.
    pub async fn starting_with<E: TextSharded>(
        &self,
        prefix: &str,
        limit: u64,
    ) -> Result<Vec<Unchecked<E::Model>>> {
        // The plus keeps the shard out of the choice of an index: SQLite would seek once a shard, by
        // the primary key, and sort all it finds.
        let held = held(&format!("+{}", E::SHARD.as_str()));
        let queries = self.0.databases().iter().map(async |database| {
            let text = Expr::cust(by_code_point(database.reader().get_database_backend(), E::TEXT.as_str()));
            let rows = E::find().filter(held.clone()).filter(text.clone().gte(prefix));
            // U+10FFFF sorts behind every other character.
            let rows = rows.filter(text.clone().lt(format!("{prefix}\u{10FFFF}")));
            rows.order_by_asc(text).limit(limit).all(database.reader()).await
        });
        let mut rows: Vec<E::Model> = answered(join_all(queries).await)?.into_iter().flatten().collect();
        rows.sort_unstable_by_key(text::<E>);
        rows.truncate(limit as usize);
        Ok(rows.into_iter().map(Unchecked::new).collect())
    }
}

/// The text by which a row is found.
fn text<E: TextSharded>(row: &E::Model) -> Option<String> {
    match row.get(E::TEXT) {
        sea_orm::Value::String(text) => text,
        _ => None,
    }
}

/// Whether a row's shard, given as SQL, is one that its database holds active.
fn held(shard: &str) -> sea_orm::sea_query::SimpleExpr {
    Expr::cust(format!("{shard} IN (SELECT shard FROM tripod_shard WHERE state = '{}')", map::ACTIVE))
}
