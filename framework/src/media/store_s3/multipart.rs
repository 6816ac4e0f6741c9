//! Large bodies in parts, a few at a time. A failed upload is aborted, so that its parts do not stay and
//! cost money.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::failure::Failure;
use super::{Bucket, timeouts};
use crate::media::key::MediaKey;

/// Longer bodies are sent in parts.
pub(super) const ABOVE_BYTES: usize = 16 * 1024 * 1024;
/// S3 requires parts of at least 5 MiB, except for the last, and allows 10,000.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts that are sent concurrently.
const PARTS_AT_ONCE: usize = 3;

/// An upload in progress.
struct Upload<'b> {
    bucket: &'b Bucket,
    object: String,
    id: String,
}

impl Bucket {
    pub(super) async fn write_parts(&self, key: &MediaKey, bytes: Bytes) -> Result<(), Failure> {
        let object = self.object(key);
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.address.bucket)
            .key(&object)
            .content_type(key.content_type())
            .cache_control(MediaKey::CACHE_CONTROL)
            .send()
            .await?;
        let upload = Upload { bucket: self, object, id: begun.upload_id.unwrap_or_default() };
        let outcome = upload.finish(bytes).await;
        if outcome.is_err() {
            upload.abort().await;
        }
        outcome
    }
}

impl Upload<'_> {
    async fn finish(&self, bytes: Bytes) -> Result<(), Failure> {
        let starts = (0..bytes.len()).step_by(PART_BYTES).zip(1..);
        let mut parts: Vec<CompletedPart> = stream::iter(starts)
            .map(|(start, number)| self.send(number, bytes.slice(start..bytes.len().min(start + PART_BYTES))))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .await?;
        parts.sort_unstable_by_key(|part| part.part_number);
        self.bucket
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket.address.bucket)
            .key(&self.object)
            .upload_id(&self.id)
            .set_if_none_match(self.bucket.condition())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await?;
        Ok(())
    }

    async fn send(&self, number: i32, bytes: Bytes) -> Result<CompletedPart, Failure> {
        let length = bytes.len() * PARTS_AT_ONCE;
        let sent = self
            .bucket
            .client
            .upload_part()
            .bucket(&self.bucket.address.bucket)
            .key(&self.object)
            .upload_id(&self.id)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(Builder::new().timeout_config(timeouts(length)))
            .send()
            .await?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
    }

    async fn abort(&self) {
        let bucket = &self.bucket.address.bucket;
        let request = self.bucket.client.abort_multipart_upload().bucket(bucket);
        let aborted = request.key(&self.object).upload_id(&self.id).send().await;
        // The put fails with its own error; a lifecycle rule of the bucket removes the rest.
        if let Err(failure) = aborted.map_err(Failure::from)
            && !failure.is(404)
        {
            let error = failure.unavailable("cleared of an upload");
            tracing::warn!(error = error.chain(), "parts of a file may stay in the bucket");
        }
    }
}
