//! Presigned URLs: links to one file that carry their own permission, for clients without credentials.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;

use super::Bucket;
use crate::error::{Error, Result};
use crate::media::key::MediaKey;

/// A request that lets anyone who has it put one file, once: PUT `url` with these `headers`.
///
/// Length and type are signed: the server refuses a body of another length or type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedPut {
    /// Where to send the file.
    pub url: String,
    /// The headers to send with it, as names and values.
    pub headers: Vec<(String, String)>,
}

impl Bucket {
    pub(in crate::media) async fn presign_get(&self, key: &MediaKey, expires: Duration) -> Result<String> {
        let request = self.client.get_object().bucket(&self.address.bucket).key(self.object(key));
        let signed = request.presigned(valid_for(expires)?).await.map_err(unsigned)?;
        Ok(signed.uri().to_owned())
    }

    pub(in crate::media) async fn presign_put(
        &self,
        key: &MediaKey,
        content_type: &str,
        length: u64,
        expires: Duration,
    ) -> Result<PresignedPut> {
        let length = i64::try_from(length)
            .map_err(|error| Error::invalid("no file is as long as that").because(error))?;
        let signed = self
            .client
            .put_object()
            .bucket(&self.address.bucket)
            .key(self.object(key))
            .content_type(content_type)
            .content_length(length)
            // Without it, anyone who has the link could replace the file for as long as the link is
            // valid.
            .set_if_none_match(self.condition())
            .presigned(valid_for(expires)?)
            .await
            .map_err(unsigned)?;
        let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PresignedPut { url: signed.uri().to_owned(), headers })
    }
}

fn valid_for(expires: Duration) -> Result<PresigningConfig> {
    let wrong = || Error::invalid("a link is valid for at least a second and at most a week");
    if expires < Duration::from_secs(1) {
        return Err(wrong());
    }
    PresigningConfig::expires_in(expires).map_err(|error| wrong().because(error))
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("a link could not be signed").because(error)
}
