//! Uploads: in the end both a row and its files exist, or neither.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::conformance::Stores;
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::media::{MediaKey, Upload};
use crate::testing::eventually;

/// Longer than an upload may take.
const LATER: Duration = Duration::from_secs(3_601);

fn shard() -> Shard {
    Shard::of_text("author")
}

/// Two files that are registered and stored.
async fn upload(stores: &Stores) -> (Vec<MediaKey>, Upload) {
    let keys: Vec<MediaKey> = (0..2).map(|_| MediaKey::random("jpg").unwrap()).collect();
    let upload = stores.uploads.begin(shard(), keys.clone()).await.unwrap();
    for key in &keys {
        stores.media.put(key, key.to_string().into()).await.unwrap();
    }
    (keys, upload)
}

/// The row's transaction, which commits, or fails after keeping the files.
async fn keep(stores: &Stores, upload: Upload, shard: Shard, fail: bool) -> Result<()> {
    let kept = stores.shards.write(shard, move |tx| async move {
        tx.keep(upload).await?;
        if fail { Err(Error::invalid("on purpose")) } else { Ok(()) }
    });
    kept.await
}

async fn are_there(stores: &Stores, keys: &[MediaKey]) -> bool {
    let mut found = 0;
    for key in keys {
        found += usize::from(stores.media.get(key).await.unwrap().is_some());
    }
    assert!(found == 0 || found == keys.len() || stores.queue.waiting().await.unwrap().len() == 1);
    found > 0
}

async fn are_deleted(stores: &Stores, keys: &[MediaKey]) {
    eventually("the files are deleted", async || (!are_there(stores, keys).await).then_some(())).await;
    stores.idle().await;
}

/// A committed row keeps its files, however much time passes.
pub async fn files_that_are_kept_stay(stores: &Stores) {
    let (keys, upload) = upload(stores).await;
    let _worker = stores.work();
    keep(stores, upload, shard(), false).await.unwrap();
    assert!(stores.queue.waiting().await.unwrap().is_empty(), "a job is left");
    stores.clock.advance(LATER);
    stores.idle().await;
    assert!(are_there(stores, &keys).await);
}

/// As after a crash: the upload is neither kept nor dropped.
pub async fn files_without_a_row_are_deleted_in_the_end(stores: &Stores) {
    let (crashed, upload) = upload(stores).await;
    std::mem::forget(upload);
    let _worker = stores.work();
    stores.clock.advance(Duration::from_secs(3_500));
    assert!(are_there(stores, &crashed).await);
    stores.clock.advance(LATER);
    are_deleted(stores, &crashed).await;
}

/// The files of a dropped upload, or of one whose transaction is rolled back, are deleted at once: the
/// clock stands still.
pub async fn files_of_a_refused_row_are_deleted_at_once(stores: &Stores) {
    let _worker = stores.work();
    let (kept, upload_of_kept) = upload(stores).await;
    let (given_up, upload_given_up) = upload(stores).await;
    let (undone, upload_undone) = upload(stores).await;
    drop(upload_given_up);
    assert!(keep(stores, upload_undone, shard(), true).await.unwrap_err().is_invalid());
    for keys in [&given_up, &undone] {
        eventually("they are deleted", async || (!are_there(stores, keys).await).then_some(())).await;
    }
    keep(stores, upload_of_kept, shard(), false).await.unwrap();
    assert!(are_there(stores, &kept).await, "files of another upload were deleted");
    stores.idle().await;
    assert!(are_there(stores, &kept).await, "nor later");
}

/// A caller that is gone before the commit, such as a client that hangs up, gets no reply; the row is
/// still written and keeps its files.
pub async fn a_caller_who_goes_away_takes_no_files_along(stores: &Stores) {
    let (keys, upload) = upload(stores).await;
    let _worker = stores.work();
    let (began, begun) = oneshot::channel();
    let (go_on, gone) = oneshot::channel::<()>();
    let write = stores.shards.write(shard(), move |tx| async move {
        tx.keep(upload).await?;
        began.send(()).expect("the test waits for this");
        let _ = gone.await;
        Ok(())
    });
    tokio::select! {
        biased;
        _ = write => panic!("the write was not dropped half-way"),
        _ = begun => {}
    }
    drop(go_on);
    stores.idle().await;
    stores.clock.advance(LATER);
    stores.idle().await;
    assert!(are_there(stores, &keys).await);
}

/// Files whose deletion may have begun can't get a row any more.
pub async fn a_row_that_comes_too_late_is_refused(stores: &Stores) {
    let (misplaced, upload_of_misplaced) = upload(stores).await;
    let (late, upload_of_late) = upload(stores).await;
    let elsewhere = Shard::of_text("somebody on another shard");
    assert!(keep(stores, upload_of_misplaced, elsewhere, false).await.unwrap_err().is_internal());
    let _worker = stores.work();
    eventually("they are deleted", async || (!are_there(stores, &misplaced).await).then_some(())).await;
    assert!(are_there(stores, &late).await, "files were deleted while their row may still be written");
    stores.clock.advance(LATER);
    are_deleted(stores, &late).await;
    assert!(keep(stores, upload_of_late, shard(), false).await.unwrap_err().is_unavailable());
}
