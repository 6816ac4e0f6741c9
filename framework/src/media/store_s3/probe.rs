//! What is tried when a bucket is opened, so that a wrong setting is found at the start and not by
//! the first upload.

use bytes::Bytes;

use super::failure::Failure;
use super::{Bucket, read};
use crate::error::{Error, Result};
use crate::media::key::MediaKey;

const PROBE: &[u8] = b"probe";

impl Bucket {
    /// Lists, writes, reads and deletes.
    pub(super) async fn probe(&mut self) -> Result<()> {
        // A listing and not HEAD, whose refusals have no body and so no reason. The same permission
        // makes S3 say that a file is not there, instead of refusing to say.
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.address.bucket)
            .prefix(&self.address.prefix)
            .max_keys(1)
            .send()
            .await;
        listed.map_err(|error| Failure::from(error).configuration(&self.address, "s3:ListBucket"))?;
        let key = MediaKey::random("probe")?;
        let bytes = Bytes::from_static(PROBE);
        let mut written = self.write(&key, &bytes).await;
        if written.as_ref().is_err_and(Failure::is_unknown_header) {
            self.conditional = false;
            written = self.write(&key, &bytes).await;
        }
        // The repeat of an attempt whose reply was lost finds the file there.
        if let Err(failure) = written
            && !failure.is(412)
        {
            return Err(failure.configuration(&self.address, "s3:PutObject"));
        }
        let fetched = self.fetch(&key).await;
        let fetched = fetched.map_err(|failure| failure.configuration(&self.address, "s3:GetObject"))?;
        if read(fetched).await? != bytes {
            return Err(Error::configuration(format!(
                "the bucket {} at {} does not give back what is written to it: set media (TRIPOD_MEDIA) \
                 to another one",
                self.address.bucket,
                self.address.server()
            )));
        }
        let request = self.client.delete_object().bucket(&self.address.bucket).key(self.object(&key));
        let deleted = request.send().await;
        deleted.map_err(|error| Failure::from(error).configuration(&self.address, "s3:DeleteObject"))?;
        Ok(())
    }
}
