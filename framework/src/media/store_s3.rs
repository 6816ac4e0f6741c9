//! A bucket as a media store, on Amazon S3 or any S3-compatible server.
//!
//! Invariants: an acknowledged write is durable by the server's contract. A write is conditional on its
//! key being unused, so that nothing is ever overwritten. Each request has deadlines for connecting, for
//! each attempt and for all attempts.

mod address;
mod failure;
mod mark;
mod multipart;
mod presigned;
mod probe;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use bytes::Bytes;

use address::Address;
pub(super) use address::SCHEME;
use failure::Failure;
pub use presigned::PresignedPut;

use super::key::MediaKey;
use crate::error::{Error, Result};

/// The three deadlines. Two attempts that hang and a third that is cut short must leave time for a reply
/// within `http.response_seconds`, or clients see a timeout instead of a message.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ATTEMPTS: u32 = 3;
/// The deadline of a readiness check, which runs often and must not block.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The slowest transfer that is accepted: a body extends the deadline of its attempt at this rate.
const MIN_BYTES_PER_SECOND: usize = 512 * 1024;

/// How many times a write is started while another write of the same key is in progress.
const MAX_CONFLICTS: u32 = 4;

pub(super) struct Bucket {
    client: Client,
    address: Address,
    /// Whether the server supports conditional writes.
    conditional: bool,
}

impl Bucket {
    pub(super) async fn open(location: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let address = Address::parse(location, variable)?;
        let mut bucket = Self { client: client(&address)?, address, conditional: true };
        bucket.probe().await?;
        Ok(bucket)
    }

    pub(super) async fn put(self: &Arc<Self>, key: &MediaKey, bytes: Bytes) -> Result<()> {
        let (bucket, key) = (Arc::clone(self), key.clone());
        // Spawned, so that it continues when the caller is gone, and can abort an upload that it has
        // begun.
        tokio::spawn(async move { bucket.put_until_confirmed(&key, bytes).await })
            .await
            .map_err(|error| Error::internal("the media store failed").because(error))?
    }

    async fn put_until_confirmed(&self, key: &MediaKey, bytes: Bytes) -> Result<()> {
        let mut pause = Duration::from_millis(50);
        let mut begun = 1;
        let failure = loop {
            match self.write(key, &bytes).await {
                Ok(()) => return Ok(()),
                // Another write of the key, such as our own earlier attempt, is in progress; S3 requires
                // a new request.
                Err(failure) if failure.is(409) && begun < MAX_CONFLICTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    begun += 1;
                }
                Err(failure) => break failure,
            }
        };
        // A refusal may answer the repeat of an attempt that succeeded but whose reply was lost: status
        // 412, or for a multipart upload that it does not exist. Keys are random, so the file was stored
        // by this put, or by an earlier one of the same bytes: that is success. The length is still
        // compared, to catch a caller's mistake.
        if !failure.is_refusal() {
            return Err(failure.unavailable("written to"));
        }
        match self.length(key).await? {
            Some(length) if length == bytes.len() as u64 => Ok(()),
            Some(_) => Err(Error::internal(format!("another file is kept under the key {key}"))),
            None => Err(failure.unavailable("written to")),
        }
    }

    async fn write(&self, key: &MediaKey, bytes: &Bytes) -> Result<(), Failure> {
        if bytes.len() > multipart::ABOVE_BYTES {
            return self.write_parts(key, bytes.clone()).await;
        }
        self.client
            .put_object()
            .bucket(&self.address.bucket)
            .key(self.object(key))
            .content_type(key.content_type())
            .cache_control(MediaKey::CACHE_CONTROL)
            .set_if_none_match(self.condition())
            .body(ByteStream::from(bytes.clone()))
            .customize()
            .config_override(Builder::new().timeout_config(timeouts(bytes.len())))
            .send()
            .await?;
        Ok(())
    }

    pub(super) async fn get(&self, key: &MediaKey) -> Result<Option<Bytes>> {
        match self.fetch(key, None).await {
            Ok(object) => read(object).await.map(Some),
            Err(failure) if failure.is_no_such_key() => Ok(None),
            Err(failure) => Err(failure.unavailable("read")),
        }
    }

    async fn fetch(&self, key: &MediaKey, range: Option<String>) -> Result<GetObjectOutput, Failure> {
        let request = self.client.get_object().bucket(&self.address.bucket).key(self.object(key));
        Ok(request.set_range(range).send().await?)
    }

    /// The length of the file under `key`, if it exists; an error if the bucket does not.
    pub(super) async fn known_length(&self, key: &MediaKey) -> Result<Option<u64>> {
        match self.length(key).await? {
            Some(length) => Ok(Some(length)),
            // Only the reply to GET says which of them is missing.
            None => self.get(key).await.map(|bytes| bytes.map(|bytes| bytes.len() as u64)),
        }
    }

    /// These bytes of the file under `key`.
    pub(super) async fn read(&self, key: &MediaKey, range: Range<u64>) -> Result<Bytes> {
        let asked = format!("bytes={}-{}", range.start, range.end - 1);
        let object = self.fetch(key, Some(asked)).await.map_err(|failure| failure.unavailable("read"))?;
        let bytes = read(object).await?;
        match bytes.len() as u64 == range.end - range.start {
            true => Ok(bytes),
            false => Err(Error::unavailable("the media store cannot be read: a file is shorter than it was")),
        }
    }

    pub(super) async fn delete(&self, key: &MediaKey) -> Result<()> {
        let sent =
            self.client.delete_object().bucket(&self.address.bucket).key(self.object(key)).send().await;
        match sent.map_err(Failure::from) {
            Ok(_) => Ok(()),
            // S3 reports success for a missing file; other servers report that it does not exist.
            Err(failure) if failure.is_no_such_key() => Ok(()),
            Err(failure) => Err(failure.unavailable("written to")),
        }
    }

    pub(super) async fn check(&self) -> Result<()> {
        let soon = TimeoutConfig::builder()
            .operation_attempt_timeout(CHECK_TIMEOUT / 2)
            .operation_timeout(CHECK_TIMEOUT);
        self.client
            .head_bucket()
            .bucket(&self.address.bucket)
            .customize()
            .config_override(Builder::new().timeout_config(soon.build()))
            .send()
            .await
            .map_err(|error| Failure::from(error).unavailable("reached"))?;
        Ok(())
    }

    /// The length of the file under `key`, if it exists.
    async fn length(&self, key: &MediaKey) -> Result<Option<u64>> {
        let sent = self.client.head_object().bucket(&self.address.bucket).key(self.object(key)).send().await;
        match sent.map_err(Failure::from) {
            Ok(head) => Ok(head.content_length.and_then(|length| u64::try_from(length).ok())),
            // The reply to HEAD has no body that could distinguish a missing bucket from a missing file.
            Err(failure) if failure.is(404) => Ok(None),
            Err(failure) => Err(failure.unavailable("read")),
        }
    }

    fn object(&self, key: &MediaKey) -> String {
        format!("{}{key}", self.address.prefix)
    }

    fn condition(&self) -> Option<String> {
        self.conditional.then(|| "*".to_owned())
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Reads the body of a reply, which the client's own deadlines do not cover.
async fn read(object: GetObjectOutput) -> Result<Bytes> {
    let length = object.content_length.and_then(|length| usize::try_from(length).ok());
    let broken = || Error::unavailable("the media store cannot be read: its reply breaks off");
    let body = tokio::time::timeout(attempt(length.unwrap_or_default()), object.body.collect()).await;
    let body = body.map_err(|late| broken().because(late))?.map_err(|error| broken().because(error))?;
    Ok(body.into_bytes())
}

fn client(address: &Address) -> Result<Client> {
    // Set explicitly: the process has no default crypto provider unless one is installed.
    let tls = Provider::Rustls(CryptoMode::Ring);
    let encrypted = address.endpoint.as_ref().is_none_or(|url| url.starts_with("https://"));
    let trusted = TrustStore::empty().with_native_roots(encrypted);
    let context = TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .map_err(|error| Error::internal("TLS cannot be set up").because(error))?;
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).tls_context(context);
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(address.region.clone()))
        .credentials_provider(address.credentials.clone())
        .http_client(http.build_https())
        .timeout_config(timeouts(0))
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        // Servers other than Amazon's reject the optional checksums.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &address.endpoint {
        config = config.endpoint_url(endpoint).force_path_style(true);
    }
    Ok(Client::from_conf(config.build()))
}

/// The deadline of one attempt that moves this many bytes.
fn attempt(bytes: usize) -> Duration {
    ATTEMPT_TIMEOUT + Duration::from_secs((bytes / MIN_BYTES_PER_SECOND) as u64)
}

fn timeouts(bytes: usize) -> TimeoutConfig {
    let attempt = attempt(bytes);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * 5 / 2)
        .build()
}
