//! Posting: the photos are processed and stored, and only then does the post commit, together with its
//! fan-out.

use sea_orm::ActiveValue::Set;
use tripod::web::{Once, RateLimit, RateLimitKey};
use tripod::{App, Error, Result};

use super::draft::Draft;
use crate::entity::post::{self, Photos};
use crate::entity::{AccountId, PostId};

/// Uploads per account.
const UPLOADS: RateLimit = RateLimit::new("upload", 60, 3_600);

/// Counts an upload against its account's limit.
pub async fn take_upload(app: &App, me: AccountId) -> Result<()> {
    app.limits.check(UPLOADS, RateLimitKey::Account(me.raw())).await
}

/// Publishes a checked draft: the post, its files and its author's count are one transaction.
pub async fn publish(app: &App, me: AccountId, once: &Once, draft: Draft) -> Result<PostId> {
    let publish = async {
        let (photos, upload) = app.store_pictures(me, draft.pictures.into_iter().zip(draft.alts)).await?;
        let row = post::ActiveModel {
            author_id: Set(me),
            caption: Set(draft.caption),
            location: Set(draft.location),
            photos: Set(Photos(photos)),
            comment_count: Set(0),
            ..Default::default()
        };
        let publish = once.write(me, move |tx| async move {
            let author = tx.update(me, |author| author.post_count += 1).await?;
            if author.is_none_or(|author| author.deleted) {
                return Err(Error::unauthenticated("The account has been deleted."));
            }
            tx.keep(upload).await?;
            tx.insert(row).await
        });
        publish.await
    };
    once.earlier_or(me, publish).await
}
