//! Shards: rows are where their ids say, and nowhere else.

use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;

use crate::error::Error;
use crate::id::{Id, Shard};
use crate::shard::{Claimed, Page};
use crate::testing::{Note, Stores, note};

/// Insert, find by id, find many by ids, list by owner and across shards.
pub async fn rows_are_found_wherever_they_live(stores: &Stores) {
    let mut notes = Vec::new();
    for n in 0..20 {
        let author = stores.author(&format!("author-{n}")).await;
        assert_eq!(author.shard(), Shard::of_text(&format!("author-{n}")));
        for text in ["one", "two", "three"] {
            stores.clock.advance(std::time::Duration::from_millis(1));
            notes.push((author, stores.note(author, text).await));
        }
    }
    let used: std::collections::HashSet<_> =
        notes.iter().map(|(author, _)| stores.shards.database(author.shard()).name()).collect();
    assert_eq!(used.len(), stores.shards.databases().len(), "the rows are spread over every database");

    for (author, id) in &notes {
        assert_eq!(id.shard(), author.shard());
        let row = stores.shards.find(*id).await.unwrap().expect("a row that was inserted");
        assert_eq!(row.peek().author_id, *author);
    }
    let mut ids: Vec<Id<Note>> = notes.iter().map(|(_, id)| *id).collect();
    let mixed = [ids[7], Id::from_raw(12345), ids[3], ids[55], ids[0]];
    let found = stores.shards.find_many(&mixed).await.unwrap();
    let found: Vec<_> = found.iter().map(|row| row.peek().id).collect();
    assert_eq!(found, [ids[7], ids[3], ids[55], ids[0]], "in the order asked for, the unknown left out");

    let (author, _) = notes[0];
    let first = stores.shards.list::<Note>(author, Page::first(2)).await.unwrap();
    let texts: Vec<_> = first.iter().map(|row| row.peek().text.as_str()).collect();
    assert_eq!(texts, ["three", "two"]);
    let next = Page { before: Some(first[1].peek().id), limit: 2 };
    let rest = stores.shards.list::<Note>(author, next).await.unwrap();
    assert_eq!(rest.len(), 1);

    ids.sort_unstable();
    ids.reverse();
    let mut walked = Vec::new();
    let mut page = Page::first(7);
    loop {
        let rows = stores.shards.everywhere().newest::<Note>(page).await.unwrap();
        walked.extend(rows.iter().map(|row| row.peek().id));
        let Some(last) = rows.last() else { break };
        page.before = Some(last.peek().id);
    }
    assert_eq!(walked, ids, "a walk across shards meets each row once, newest first");
}

/// A row can't be written where its owner or its id does not live.
pub async fn a_row_on_the_wrong_shard_is_refused(stores: &Stores) {
    let author = stores.author("kevin").await;
    let elsewhere = Shard::new((author.shard().number() + 1) % 8192).unwrap();
    let row = move |id| note::ActiveModel { id: Set(id), author_id: Set(author), text: Set("x".to_owned()) };
    let refused = stores
        .shards
        .write::<_, Error, _>(elsewhere, move |tx| Box::pin(async move { tx.insert_new(row).await }))
        .await;
    assert!(refused.unwrap_err().is_internal());
    assert!(stores.shards.list::<Note>(author, Page::first(9)).await.unwrap().is_empty());
}

/// Two processes whose clocks agree mint the same ids; the rows' keys tell them apart.
pub async fn two_processes_that_mint_alike_claim_different_ids(stores: &Stores) {
    let author = stores.author("kevin").await;
    let other = stores.reopened().await;
    // The manual clock stands still: both begin at the same instant and sequence.
    stores.clock.advance(std::time::Duration::from_millis(1));
    let mut ids = Vec::new();
    for process in [stores, &other, stores, &other] {
        ids.push(process.note(author, "same instant").await);
    }
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 4, "{ids:?}");
    assert_eq!(stores.shards.find_many(&ids).await.unwrap().len(), 4);
}

/// A reserved id is used once, and a repeat finds what the first one made.
pub async fn a_reserved_id_is_claimed_once(stores: &Stores) {
    let author = stores.author("kevin").await;
    let reserved: Id<Note> = stores.shards.mint(author.shard()).unwrap();
    let claim = |text: &'static str| {
        stores.shards.write::<_, Error, _>(author.shard(), move |tx| {
            Box::pin(async move {
                tx.claim(Some(reserved), |id| note::ActiveModel {
                    id: Set(id),
                    author_id: Set(author),
                    text: Set(text.to_owned()),
                })
                .await
            })
        })
    };
    assert!(matches!(claim("first").await.unwrap(), Claimed::New(id) if id == reserved));
    assert!(matches!(claim("second").await.unwrap(), Claimed::Before(row) if row.text == "first"));
}

/// What fails leaves nothing behind, a conflict is told as one, and a shard that a database does
/// not hold any more refuses writes.
pub async fn a_write_is_all_or_nothing_and_fenced(stores: &Stores) {
    let author = stores.author("kevin").await;
    let undone = stores
        .shards
        .write::<(), Error, _>(author.shard(), move |tx| {
            Box::pin(async move {
                let row =
                    |id| note::ActiveModel { id: Set(id), author_id: Set(author), text: Set("x".to_owned()) };
                tx.insert_new::<Note, _>(row).await?;
                Err(Error::conflict("on purpose"))
            })
        })
        .await;
    assert!(undone.unwrap_err().is_conflict());
    assert!(stores.shards.list::<Note>(author, Page::first(9)).await.unwrap().is_empty());

    let database = stores.shards.database(author.shard()).clone();
    let moved = format!("UPDATE tripod_shard SET state = 'moved' WHERE shard = {}", author.shard().number());
    database
        .write::<_, Error, _>(move |transaction| {
            Box::pin(async move {
                use sea_orm::ConnectionTrait;
                transaction.execute_unprepared(&moved).await?;
                Ok(())
            })
        })
        .await
        .unwrap();
    let refused = stores
        .shards
        .write::<_, Error, _>(author.shard(), move |tx| {
            Box::pin(async move {
                note::Entity::delete_many().exec(tx.connection()).await?;
                Ok(())
            })
        })
        .await;
    assert!(refused.unwrap_err().is_unavailable());
}
