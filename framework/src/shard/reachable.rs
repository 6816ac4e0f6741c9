//! Lists that are worth having in part: from the databases that are up, without the rows of one that
//! is down, which come back with it.

use std::collections::HashMap;

use futures::future::join_all;
use sea_orm::{ColumnTrait, DbErr, QueryFilter};

use super::read::{in_order, merge};
use super::{Page, Sharded, Shards};
use crate::access::Unchecked;
use crate::error::{Error, Result};
use crate::id::Id;

/// Made by [`Shards::reachable`], so that leaving rows out is seen where it is done. Nothing that is
/// kept may be made from what it gives.
pub struct Reachable<'s>(pub(super) &'s Shards);

impl Reachable<'_> {
    /// As [`Shards::find_many`].
    ///
    /// # Errors
    /// Those of the databases; one that does not answer is left out while others do.
    pub async fn find_many<E: Sharded>(&self, ids: &[Id<E>]) -> Result<Vec<Unchecked<E::Model>>> {
        let queries = self
            .0
            .by_database(ids)
            .into_iter()
            .map(async |(database, ids)| E::find().filter(E::ID.is_in(ids)).all(database.reader()).await);
        let rows = answered(join_all(queries).await)?.into_iter().flatten();
        let mut found: HashMap<Id<E>, E::Model> = rows.map(|row| (E::id(&row), row)).collect();
        Ok(in_order::<E>(ids, &mut found))
    }

    /// As [`Shards::list_many`].
    ///
    /// # Errors
    /// As [`Self::find_many`].
    pub async fn list_many<E: Sharded>(
        &self,
        owners: &[Id<E::Owner>],
        page: Page<E>,
    ) -> Result<Vec<Unchecked<E::Model>>> {
        let queries = self.0.by_database(owners).into_iter().map(async |(database, owners)| {
            let rows = page.of(E::find().filter(E::OWNER.is_in(owners)));
            rows.all(database.reader()).await
        });
        Ok(merge::<E>(answered(join_all(queries).await)?, page.limit))
    }
}

/// What the databases gave that answered.
pub(super) fn answered<T>(answers: Vec<Result<T, DbErr>>) -> Result<Vec<T>> {
    in_part(answers.into_iter().map(|answer| answer.map_err(Error::from)).collect())
}

/// What was given of several answers, while any was.
pub(super) fn in_part<T>(answers: Vec<Result<T>>) -> Result<Vec<T>> {
    let (mut given, mut away) = (Vec::new(), None);
    for answer in answers {
        match answer {
            Ok(rows) => given.push(rows),
            Err(error) if error.is_unavailable() => away = Some(error),
            Err(error) => return Err(error),
        }
    }
    match away {
        Some(error) if given.is_empty() => Err(error),
        Some(error) => {
            tracing::warn!(
                error = error.chain(),
                "a list is without the rows of a database that does not answer"
            );
            Ok(given)
        }
        None => Ok(given),
    }
}
