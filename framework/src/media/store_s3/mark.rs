//! The object that identifies a bucket, whatever its address.

use aws_sdk_s3::primitives::ByteStream;

use super::failure::Failure;
use super::{Bucket, read};
use crate::error::{Error, Result};

/// The name of the object, after the prefix.
const MARK: &str = "tripod-store";

impl Bucket {
    pub(in crate::media) async fn mark(&self) -> Result<Option<String>> {
        let request = self.client.get_object().bucket(&self.address.bucket).key(self.mark_key());
        match request.send().await.map_err(Failure::from) {
            Ok(object) => {
                let text = String::from_utf8(read(object).await?.into());
                text.map(Some).map_err(|error| {
                    Error::unavailable("the media store cannot be read: its mark is not text").because(error)
                })
            }
            Err(failure) if failure.is_no_such_key() => Ok(None),
            Err(failure) => Err(failure.unavailable("read")),
        }
    }

    /// Writes the mark if there is none.
    pub(in crate::media) async fn set_mark(&self, mark: &str) -> Result<()> {
        let request = self
            .client
            .put_object()
            .bucket(&self.address.bucket)
            .key(self.mark_key())
            .content_type("text/plain")
            .set_if_none_match(self.condition())
            .body(ByteStream::from(mark.as_bytes().to_vec()));
        match request.send().await.map_err(Failure::from) {
            Err(failure) if !failure.is(412) => Err(failure.unavailable("written to")),
            _ => Ok(()),
        }
    }

    fn mark_key(&self) -> String {
        format!("{}{MARK}", self.address.prefix)
    }
}
