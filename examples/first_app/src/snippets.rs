//! Temporary: what the guide shows, compiled.
#![allow(dead_code)]
use crate::entity::*;
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tripod::media::MediaKey;
use tripod::queue::{Job, JobRun, Lane, Run, Unique};
use tripod::testing::{Backing, LONG, TestApp};
use tripod::{App, Result};

#[derive(Serialize, Deserialize)]
struct SendMail {
    account: GardenerId,
}
impl Job for SendMail {
    const NAME: &'static str = "send_mail";
    const RETRIES: u32 = 8;
    const LANE: &'static str = "mail";

    fn unique(&self) -> Option<Unique> {
        Some(Unique::WhileWaiting(self.account.to_string()))
    }
}
impl Run<App> for SendMail {
    async fn run(&mut self, _: &App, attempt: &JobRun) -> anyhow::Result<()> {
        attempt.checkpoint(self).await?;
        anyhow::ensure!(!attempt.shutdown().is_cancelled(), "the process is shutting down");
        Ok(())
    }
}
#[derive(Serialize, Deserialize, tripod::Job)]
#[job(name = "sweep")]
struct Sweep {}
impl Run<App> for Sweep {
    async fn run(&mut self, _: &App, _: &JobRun) -> anyhow::Result<()> {
        Ok(())
    }
}
fn built() -> tripod::app::AppBuilder {
    App::builder("club", "1.0.0")
        .lane(Lane::new("mail").workers(2).per_second(10).priority(-1))
        .job::<SendMail>()
        .job::<Sweep>()
        .schedule("0 3 * * *", || Sweep {})
}
async fn picture(app: App, me: GardenerId, bytes: axum::body::Bytes, alt: String) -> Result<CuttingId> {
    let picture = app.pictures.process(bytes).await?;
    let (mut pictures, upload) = app.store_pictures(me, [(picture, alt)]).await?;
    let row =
        cutting::ActiveModel { gardener_id: Set(me), photo: Set(pictures.remove(0)), ..Default::default() };
    let id = app
        .write(me, move |tx| async move {
            tx.keep(upload).await?;
            tx.insert(row).await
        })
        .await?;
    let key = MediaKey::random("pdf")?;
    let upload = app.uploads.begin(me, vec![key.clone()]).await?;
    app.media.put(&key, vec![1u8].into()).await?;
    let url = app.media.presign_get(&key, Duration::from_secs(300)).await?;
    let put = app.media.presign_put(&key, "image/jpeg", 48_123, Duration::from_secs(300)).await?;
    let _ = (url, put.url, put.headers);
    app.write(me, move |tx| async move {
        tx.keep(upload).await?;
        let job = tx.enqueue_after(SendMail { account: me }, Duration::from_secs(3_600)).await?;
        tx.cancel(job).await?;
        tx.update(id, |cutting| cutting.caption = String::new()).await?;
        tx.update_where(id, |cuttings| {
            sea_orm::QueryFilter::filter(cuttings, sea_orm::ColumnTrait::eq(&cutting::Column::Private, true))
        })
        .await?;
        let row = tx.find_for_update(id).await?.unwrap().into_inner_unchecked();
        tx.delete_files(row.photo.keys()?).await?;
        tx.delete_with_edges(id).await?;
        tx.release_name("x", me).await?;
        tx.connect::<Follow>(me, me).await?;
        tx.remove_edges(me).await?;
        tx.close_sessions(me).await?;
        Ok(())
    })
    .await?;
    Ok(id)
}
#[tokio::test]
async fn the_clock_and_jobs() {
    let club = TestApp::start_on(built(), Backing::embedded()).await;
    let me = tripod::id::Id::<gardener::Entity>::from_raw(1 << 30);
    let enqueue = async || {
        club.app()
            .write(me, move |tx| async move { tx.enqueue(SendMail { account: me }).await })
            .await
            .unwrap()
    };
    assert_eq!(enqueue().await, enqueue().await);
    println!("ran {}", club.run_jobs().await);
    club.clock().advance(LONG);
    println!("ran {}", club.run_jobs().await);
    let _ = || {
        Backing::servers(vec!["postgres://test@127.0.0.1/club".to_owned()], ())
            .with_redis("redis://127.0.0.1/9")
    };
}
