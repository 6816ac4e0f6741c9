//! The rows with the most edges.

use futures::future::join_all;
use sea_orm::ConnectionTrait;

use super::Edge;
use super::table::Direction;
use crate::db::statement;
use crate::error::Result;
use crate::id::{Id, shard_of_id_sql};
use crate::shard::Read;

impl Read {
    /// The rows, from `since` on, that the most edges point to, with these counts, at most `limit`. For jobs:
    /// costs a query on every database, over the counts of all rows since then.
    ///
    /// # Errors
    /// Those of the databases; see [`Completeness`](crate::shard::Completeness).
    pub async fn most_linked<E: Edge>(&self, since: Id<E::To>, limit: u64) -> Result<Vec<(Id<E::To>, u64)>> {
        let sql = format!(
            "SELECT near_id, count FROM tripod_edge_count WHERE near_id >= $1 AND kind = $2 AND direction = $3 \
             AND count > 0 AND {} IN (SELECT shard FROM tripod_shard WHERE state = 'active') \
             ORDER BY count DESC, near_id DESC LIMIT $4",
            shard_of_id_sql("near_id")
        );
        let sql_limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let queries = self.shards().databases().iter().map(|database| {
            let values = [since.into(), E::NAME.into(), (Direction::In as i16).into(), sql_limit.into()];
            let query = statement(database.reader(), &sql, values);
            async move { database.reader().query_all_raw(query).await }
        });
        let mut most: Vec<(Id<E::To>, i64)> = Vec::new();
        for row in self.answered(join_all(queries).await)?.into_iter().flatten() {
            most.push((Id::from_raw(row.try_get_by_index(0)?), row.try_get_by_index(1)?));
        }
        most.sort_unstable_by_key(|(id, count)| std::cmp::Reverse((*count, *id)));
        most.truncate(limit as usize);
        Ok(most.into_iter().map(|(id, count)| (id, u64::try_from(count).unwrap_or_default())).collect())
    }
}
