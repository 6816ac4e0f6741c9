//! Posting: the photos are processed and stored, and only then does the post commit, together with its
//! fan-out.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sea_orm::ActiveValue::Set;
use tripod::web::{Once, Problem, RateLimit, SignedIn};
use tripod::{App, Result};

use super::draft::{NewPost, Texts};
use crate::entity::post::{self, Photos};
use crate::entity::{AccountId, PostId, account};
use crate::mentions;

/// Uploads per account.
const UPLOADS: RateLimit = RateLimit::new("upload", 60, 3_600);

/// Extractor of a signed-in account that is within its limit of uploads. It comes before the body, so that
/// no body is read in vain.
pub struct Uploader(pub SignedIn);

impl FromRequestParts<App> for Uploader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let me = SignedIn::from_request_parts(parts, app).await?;
        app.limits.check(UPLOADS, me.id::<account::Entity>()).await?;
        Ok(Self(me))
    }
}

/// Publishes a post: the row, its files and its author's count are one transaction.
pub async fn publish(app: &App, me: AccountId, once: &Once, new: &NewPost) -> Result<PostId> {
    let Texts { caption, location, alts } = new.texts()?;
    let publish = async {
        let pictures = new.pictures(app).await?;
        let (photos, upload) = app.store_pictures(me, pictures.into_iter().zip(alts)).await?;
        let entities = mentions::entities_of(app, &caption).await?;
        let row = post::ActiveModel {
            author_id: Set(me),
            caption: Set(caption),
            location: Set(location),
            photos: Set(Photos(photos)),
            comment_count: Set(0),
            audience: Set(new.audience),
            comments_from: Set(new.comments_from),
            entities: Set(Some(entities)),
            ..Default::default()
        };
        let publish = once.write(me, move |tx| async move {
            tx.update(me, |author| author.post_count += 1).await?;
            tx.keep(upload).await?;
            tx.insert(row).await
        });
        publish.await
    };
    once.earlier_or(me, publish).await
}
