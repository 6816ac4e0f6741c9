//! Questions about no owner, asked of every database at once.

use futures::future::try_join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{IdenStatic, QueryFilter};

use super::{Page, Sharded, Shards, map, read};
use crate::access::Unchecked;
use crate::error::Result;

/// Made by [`Shards::everywhere`], so that asking across shards is seen where it is done.
pub struct Everywhere<'s>(pub(super) &'s Shards);

impl Everywhere<'_> {
    /// The newest rows of all. A database's rows of shards that it does not hold active (left
    /// from a move, or not yet taken over) are not seen.
    ///
    /// # Errors
    /// Those of any of the databases.
    pub async fn newest<E: Sharded>(&self, page: Page<E>) -> Result<Vec<Unchecked<E::Model>>> {
        let queries = self.0.databases().iter().map(async |database| {
            let held = Expr::cust(format!(
                "(({} >> 10) & 8191) IN (SELECT shard FROM tripod_shard WHERE state = '{}')",
                E::ID.as_str(),
                map::ACTIVE
            ));
            page.of(E::find().filter(held)).all(database.reader()).await
        });
        Ok(read::merge::<E>(try_join_all(queries).await?, page.limit))
    }
}
