//! Shards: rows are where their ids say, and nowhere else.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::ColumnTrait;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait};

use crate::conformance::{Author, Note, Stores, author, note};
use crate::error::{Error, Result};
use crate::id::{Id, Shard};
use crate::shard::{Keyset, Order};

fn new_note(author: Id<Author>, text: &str) -> note::ActiveModel {
    note::ActiveModel { author_id: Set(author), text: Set(text.to_owned()), ..Default::default() }
}

/// Inserts rows, finds them by one id and by many, and lists them by owner and across shards.
pub async fn rows_are_found_wherever_they_live(stores: &Stores) {
    let read = stores.primary();
    let mut notes = Vec::new();
    for n in 0..20 {
        let author = stores.author(&format!("author-{n}")).await;
        assert_eq!(author.shard(), Shard::of_text(&format!("author-{n}")));
        for text in ["one", "two", "three"] {
            stores.clock.advance(Duration::from_millis(1));
            notes.push((author, stores.note(author, text).await));
        }
    }
    let used: HashSet<_> =
        notes.iter().map(|(author, _)| stores.shards.database(author.shard()).name()).collect();
    assert_eq!(used.len(), stores.shards.databases().len(), "the rows are spread over every database");

    for (author, id) in &notes {
        assert_eq!(id.shard(), author.shard());
        let row = read.find(*id).await.unwrap().expect("a row that was inserted");
        assert_eq!(row.peek().author_id, *author);
    }
    let mut ids: Vec<Id<Note>> = notes.iter().map(|(_, id)| *id).collect();
    let mixed = [ids[7], Id::from_raw(12345), ids[3], ids[55], ids[0]];
    let found = read.find_many(&mixed).await.unwrap();
    let found: Vec<_> = found.iter().map(|row| row.peek().id).collect();
    assert_eq!(found, [ids[7], ids[3], ids[55], ids[0]], "not in the order requested, or with an unknown id");

    let (author, _) = notes[0];
    let first = read.list::<Note>(author, Keyset::newest(2)).await.unwrap();
    let texts: Vec<_> = first.items.iter().map(|(_, row)| row.peek().text.as_str()).collect();
    assert_eq!(texts, ["three", "two"]);
    let next = Keyset { after: first.next, ..Keyset::newest(2) };
    let rest = read.list::<Note>(author, next).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));

    ids.sort_unstable();
    ids.reverse();
    let mut walked = Vec::new();
    let mut keyset = Keyset::newest(7);
    loop {
        let rows = read.list_all::<Note>(keyset).await.unwrap();
        walked.extend(rows.items.iter().map(|(_, row)| row.peek().id));
        keyset.after = rows.next;
        if keyset.after.is_none() {
            break;
        }
    }
    assert_eq!(walked, ids, "a walk across shards did not return each row once, newest first");
}

/// Lists go either way, and a keyset walk meets each row once, even while rows are inserted and deleted.
pub async fn lists_are_walked_from_either_end(stores: &Stores) {
    let (a, b) = super::on_two_databases(stores).await;
    let mut ids = Vec::new();
    for n in 0..13 {
        stores.clock.advance(Duration::from_millis(1));
        ids.push((n % 2 == 0, stores.note(if n % 2 == 0 { a } else { b }, &n.to_string()).await));
    }
    let read = stores.primary();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for limit in [1, 3, 7, 20] {
            let (mut of_one, mut of_both, mut of_all) = (Vec::new(), Vec::new(), Vec::new());
            for (list, walked) in [(0, &mut of_one), (1, &mut of_both), (2, &mut of_all)] {
                let mut keyset = Keyset { after: None, limit, order };
                loop {
                    let part = match list {
                        0 => read.list::<Note>(a, keyset).await,
                        1 => read.list_many::<Note>(&[a, b], keyset).await,
                        _ => read.list_all::<Note>(keyset).await,
                    };
                    let part = part.unwrap();
                    assert!(part.items.iter().all(|(place, row)| *place == row.peek().id));
                    walked.extend(part.items.iter().map(|(place, _)| *place));
                    keyset.after = part.next;
                    if keyset.after.is_none() {
                        break;
                    }
                }
            }
            let all: Vec<Id<Note>> = ids.iter().map(|(_, id)| *id).collect();
            let one: Vec<Id<Note>> = ids.iter().filter(|(is_a, _)| *is_a).map(|(_, id)| *id).collect();
            assert_eq!((of_one, of_both, of_all), (one, all.clone(), all), "{order:?} by {limit}");
        }
        ids.reverse();
    }

    let some = read.list_where::<Note>(a, note::Column::Text.is_in(["4", "6", "7"]), Keyset::newest(9)).await;
    let some: Vec<String> = some.unwrap().items.iter().map(|(_, row)| row.peek().text.clone()).collect();
    assert_eq!(some, ["6", "4"], "one of them is another owner's");

    let first = read.list::<Note>(a, Keyset::oldest(2)).await.unwrap();
    let gone = first.items[1].0;
    let deleted = stores.shards.write(gone, move |tx| async move { tx.delete(gone).await });
    assert!(deleted.await.unwrap());
    let next = Keyset { after: first.next, ..Keyset::oldest(2) };
    let second = read.list::<Note>(a, next).await.unwrap();
    assert_eq!(second.items[0].1.peek().text, "4", "a list does not continue after a deleted row");
}

/// While a database is down, reads that accept partial results get the other databases' rows.
pub async fn rows_are_left_out_while_their_database_is_away(stores: &Stores) {
    let (here, there) = super::on_two_databases(stores).await;
    let (mine, theirs) = (stores.note(here, "here").await, stores.note(there, "there").await);
    let other = stores.reopened().await;
    other.shards.database(there.shard()).close().await.unwrap();
    for read in [other.primary(), other.cached()] {
        assert!(read.find(theirs).await.unwrap_err().is_unavailable());
        assert!(read.find_many(&[theirs, mine]).await.unwrap_err().is_unavailable());
        let all = Keyset::newest(9);
        assert!(read.list_many::<Note>(&[there, here], all).await.unwrap_err().is_unavailable());
        assert!(read.list_all::<Note>(all).await.unwrap_err().is_unavailable());

        let read = read.available();
        let ids = |rows: Vec<crate::access::Unchecked<note::Model>>| -> Vec<Id<Note>> {
            rows.iter().map(|row| row.peek().id).collect()
        };
        assert_eq!(ids(read.find_many(&[theirs, mine]).await.unwrap()), [mine]);
        assert_eq!(ids(read.list_many::<Note>(&[there, here], all).await.unwrap().into_items()), [mine]);
        assert_eq!(ids(read.list_all::<Note>(all).await.unwrap().into_items()), [mine]);
        assert!(read.find(theirs).await.unwrap_err().is_unavailable(), "a single row was left out silently");
        assert!(read.find_many(&[theirs]).await.unwrap_err().is_unavailable(), "no database responds");
        assert!(read.list::<Note>(there, all).await.unwrap_err().is_unavailable());
    }
}

/// A row can be written only on the shard of its owner and its id.
pub async fn a_row_on_the_wrong_shard_is_refused(stores: &Stores) {
    let author = stores.author("kevin").await;
    let elsewhere = Shard::new((author.shard().number() + 1) % 8192).unwrap();
    let row = new_note(author, "x");
    let refused = stores.shards.write(elsewhere, move |tx| async move { tx.insert(row).await });
    assert!(refused.await.unwrap_err().is_internal());
    let strange = stores.shards.generate_id::<Note>(elsewhere).unwrap();
    for shard in [elsewhere, author.shard()] {
        let row = note::ActiveModel { id: Set(strange), ..new_note(author, "x") };
        let refused = stores.shards.write(shard, move |tx| async move { tx.insert(row).await });
        assert!(refused.await.unwrap_err().is_internal());
    }
    let here = author.shard();
    let refused = [
        stores.shards.write(here, move |tx| async move { tx.find(strange).await.map(drop) }).await,
        stores.shards.write(here, move |tx| async move { tx.update(strange, |_| ()).await.map(drop) }).await,
        stores.shards.write(here, move |tx| async move { tx.delete(strange).await.map(drop) }).await,
    ];
    for refused in refused {
        assert!(refused.unwrap_err().is_internal());
    }
    assert!(stores.primary().list::<Note>(author, Keyset::newest(9)).await.unwrap().items.is_empty());
}

async fn delete(stores: &Stores, author: Id<Author>) {
    stores.shards.write(author, move |tx| async move { tx.delete(author).await }).await.unwrap();
}

/// A row needs its owner: nothing is written for one who is deleted, whoever writes it.
pub async fn nothing_is_written_for_an_owner_who_is_gone(stores: &Stores) {
    let (author, note) = (stores.author("leaving").await, stores.author("staying").await);
    let kept = stores.note(note, "kept").await;
    delete(stores, author).await;
    let row = new_note(author, "late");
    let refused = stores.shards.write(author, move |tx| async move { tx.insert(row).await });
    assert!(refused.await.unwrap_err().is_absent());
    let row = new_note(author, "late");
    let undone = stores.shards.write(author, move |tx| async move {
        let id =
            tx.insert(author::ActiveModel { name: Set("again".to_owned()), ..Default::default() }).await?;
        tx.delete(id).await?;
        tx.insert(note::ActiveModel { author_id: Set(id), ..row }).await
    });
    assert!(undone.await.unwrap_err().is_absent(), "the transaction itself has deleted the owner");
    let session = stores.shards.write(author, move |tx| async move { tx.open_session(author, "late").await });
    assert!(session.await.unwrap_err().is_absent());
    let all = stores.primary().list_all::<Note>(Keyset::newest(9)).await.unwrap();
    assert_eq!(all.items.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [kept]);
}

/// A row that a transaction relies on is not deleted until it ends.
pub async fn a_row_that_is_held_is_not_deleted(stores: &Stores) {
    for round in 0..20 {
        let author = stores.author(&format!("leaving {round}")).await;
        let notes = (0..6).map(|n| {
            let row = new_note(author, &format!("note {n}"));
            stores.shards.write(author, move |tx| async move { tx.insert(row).await })
        });
        let (written, ()) =
            futures::future::join(futures::future::join_all(notes), delete(stores, author)).await;
        let written = written.into_iter().filter_map(Result::ok).count();
        let left = stores.primary().list::<Note>(author, Keyset::newest(9)).await.unwrap().items.len();
        assert_eq!(left, written, "who deletes the owner finds every row in round {round}");
        let late = new_note(author, "late");
        let late = stores.shards.write(author, move |tx| async move { tx.insert(late).await });
        assert!(late.await.unwrap_err().is_absent());
    }
}

/// Nobody gets the name of one who is gone, and the name itself is kept nowhere.
pub async fn a_retired_name_is_forgotten_and_not_given_away(stores: &Stores) {
    let name = "rosemary";
    let author = stores.author(name).await;
    let claim = || stores.shards.write(author, move |tx| async move { tx.claim_name(name, author).await });
    claim().await.unwrap();
    let retire = || stores.shards.write(author, move |tx| async move { tx.retire_name(name, author).await });
    assert!(retire().await.unwrap());
    assert!(!retire().await.unwrap());
    assert!(claim().await.unwrap_err().is_conflict());
    assert_eq!(stores.primary().find_by_name::<Author>(name).await.unwrap(), None);
    // Another name of the same shard, and a name that is only released, may be claimed.
    let release = stores.shards.write(author, move |tx| async move {
        tx.connection().execute_unprepared("DELETE FROM tripod_retired_name").await?;
        tx.claim_name(name, author).await?;
        tx.release_name(name, author).await?;
        tx.claim_name(name, author).await
    });
    release.await.unwrap();
}

/// Two processes whose clocks agree generate the same ids, but claim different ones.
pub async fn two_processes_that_mint_alike_claim_different_ids(stores: &Stores) {
    let author = stores.author("kevin").await;
    let other = stores.reopened().await;
    // The manual clock stands still: both start at the same instant and sequence.
    stores.clock.advance(Duration::from_millis(1));
    let mut ids = Vec::new();
    for process in [stores, &other, stores, &other] {
        ids.push(process.note(author, "same instant").await);
    }
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 4, "{ids:?}");
    assert_eq!(stores.primary().find_many(&ids).await.unwrap().len(), 4);
}

/// A row whose id is already set is inserted under it once; a repeat is a conflict that changes nothing.
pub async fn a_reserved_id_is_claimed_once(stores: &Stores) {
    let author = stores.author("kevin").await;
    let reserved: Id<Note> = stores.shards.generate_id(author).unwrap();
    let claim = |text: &str| {
        let row = note::ActiveModel { id: Set(reserved), ..new_note(author, text) };
        stores.shards.write(author, move |tx| async move { tx.insert(row).await })
    };
    assert_eq!(claim("first").await.unwrap(), reserved);
    assert!(claim("second").await.unwrap_err().is_conflict());
    let row = stores.primary().find(reserved).await.unwrap().expect("the first one's row");
    assert_eq!(row.peek().text, "first");
    let generated = stores.note(author, "another").await;
    assert_ne!(generated, reserved);
}

/// A failed write leaves nothing behind, a conflict is reported as one, and a database refuses writes to
/// a shard that it no longer holds.
pub async fn a_write_is_all_or_nothing_and_fenced(stores: &Stores) {
    let author = stores.author("kevin").await;
    let row = new_note(author, "x");
    let undone = stores.shards.write(author, move |tx| async move {
        tx.insert(row).await?;
        Err::<(), _>(Error::conflict("on purpose"))
    });
    assert!(undone.await.unwrap_err().is_conflict());
    assert!(stores.primary().list::<Note>(author, Keyset::newest(9)).await.unwrap().items.is_empty());

    let moved = format!("UPDATE tripod_shard SET state = 'moved' WHERE shard = {}", author.shard().number());
    execute(stores, author, moved).await;
    let refused = stores.shards.write(author, move |tx| async move {
        note::Entity::delete_many().exec(tx.connection_without_invalidation()).await?;
        Ok(())
    });
    assert!(refused.await.unwrap_err().is_unavailable());
}

/// Runs SQL on an author's database that the framework never runs.
async fn execute(stores: &Stores, author: Id<Author>, sql: String) {
    let database = stores.shards.database(author.shard());
    let executed =
        database.write(move |transaction| async move { Ok(transaction.execute_unprepared(&sql).await?) });
    executed.await.unwrap();
}

/// Makes a note's update fail if it names one of these columns, even with an unchanged value.
async fn refuse_updates_of(stores: &Stores, author: Id<Author>, columns: &str) {
    let trigger = match stores.shards.database(author.shard()).reader().get_database_backend() {
        DbBackend::Postgres => format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'a column is written that is not changed'; END $$; \
             CREATE OR REPLACE TRIGGER refuse BEFORE UPDATE OF {columns} ON note \
             FOR EACH ROW EXECUTE FUNCTION refuse()"
        ),
        _ => format!(
            "DROP TRIGGER IF EXISTS refuse; \
             CREATE TRIGGER refuse BEFORE UPDATE OF {columns} ON note \
             BEGIN SELECT RAISE(ABORT, 'a column is written that is not changed'); END"
        ),
    };
    execute(stores, author, trigger).await;
}

/// An update writes the columns that differ, returns the changed row, and invalidates the cache.
pub async fn an_update_writes_what_differs(stores: &Stores) {
    let author = stores.author("kevin").await;
    let id = stores.note(author, "before").await;
    let cached =
        async || stores.cached().find(id).await.unwrap().expect("the row exists").peek().text.clone();
    let update = async |change: fn(&mut note::Model)| -> Result<Option<note::Model>> {
        stores
            .shards
            .write(author, move |tx| async move {
                let updated = tx.update(id, change).await?;
                let found = tx.find(id).await?.expect("the row exists");
                assert_eq!(updated.as_ref(), Some(found.peek()), "not what this transaction sees");
                Ok(updated)
            })
            .await
    };
    assert_eq!(cached().await, "before");

    refuse_updates_of(stores, author, "id, author_id").await;
    let updated = update(|row| row.text.push_str(" and after")).await.unwrap().expect("the row exists");
    let expected = note::Model { id, author_id: author, text: "before and after".to_owned() };
    assert_eq!(updated, expected);
    assert_eq!(stores.primary().find(id).await.unwrap().unwrap().peek(), &expected);
    assert_eq!(cached().await, "before and after");

    refuse_updates_of(stores, author, "id, author_id, text").await;
    update(|row| row.text.push('!')).await.expect_err("the trigger sees what is written");
    assert_eq!(
        update(|_| ()).await.unwrap(),
        Some(expected.clone()),
        "a change that changes nothing is written"
    );

    let moves: [fn(&mut note::Model); 2] =
        [|row| row.id = Id::from_raw(row.id.raw() + 1), |row| row.author_id = Id::from_raw(7)];
    for moved in moves {
        assert!(update(moved).await.unwrap_err().is_internal(), "a row was moved to another shard");
    }
    let nobody = Id::<Note>::from_raw(id.raw() + 1);
    let none = stores.shards.write(author, move |tx| async move {
        tx.update(nobody, |_| panic!("there is no row to change")).await
    });
    assert_eq!(none.await.unwrap(), None);
    assert_eq!(stores.primary().find(id).await.unwrap().unwrap().peek(), &expected);
    assert_eq!(cached().await, "before and after");
}

/// Concurrent updates of one row each see the result of the one before.
pub async fn updates_of_one_row_follow_each_other(stores: &Stores) {
    let author = stores.author("kevin").await;
    let id = stores.note(author, "").await;
    let updates = (0..20).map(|_| {
        stores.shards.write(author, move |tx| async move { tx.update(id, |row| row.text.push('x')).await })
    });
    let mut lengths: Vec<usize> = futures::future::join_all(updates)
        .await
        .into_iter()
        .map(|updated| updated.unwrap().expect("the row exists").text.len())
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, (1..=20).collect::<Vec<_>>());
    assert_eq!(stores.cached().find(id).await.unwrap().unwrap().peek().text.len(), 20);
}
