//! The checks made when a bucket is opened, so that a wrong setting shows at start-up and not at the
//! first upload.

use bytes::Bytes;

use super::failure::Failure;
use super::{Bucket, read};
use crate::error::{Error, Result};
use crate::media::key::MediaKey;

const PROBE: &[u8] = b"probe";

impl Bucket {
    /// Lists, writes, reads and deletes.
    pub(super) async fn probe(&mut self) -> Result<()> {
        // A listing rather than HEAD, whose refusals have no body and so no reason. With the same
        // permission, S3 also reports a missing file as missing, rather than as forbidden.
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
        // A repeated attempt, after a lost reply, finds the file already there.
        if let Err(failure) = written
            && !failure.is(412)
        {
            return Err(failure.configuration(&self.address, "s3:PutObject"));
        }
        let fetched = self.fetch(&key, None).await;
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
