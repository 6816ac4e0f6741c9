//! A failed request to the bucket: the server's answer, if any, and what it means.

use std::error::Error as StdError;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::address::Address;
use crate::error::Error;

/// A request that failed after all its attempts.
#[derive(Debug)]
pub(super) struct Failure {
    /// The status of the last answer; `None` without an answer.
    status: Option<u16>,
    /// S3's error code, such as `NoSuchKey`. HEAD requests get none.
    code: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> From<SdkError<E>> for Failure {
    fn from(error: SdkError<E>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        Self { status, code, source: error.into() }
    }
}

impl Failure {
    /// Whether the server answered with this status.
    pub(super) fn is(&self, status: u16) -> bool {
        self.status == Some(status)
    }

    /// Whether the file does not exist. A missing bucket is a different error.
    pub(super) fn is_no_such_key(&self) -> bool {
        self.code == "NoSuchKey"
    }

    /// Whether the server refused, rather than failed or did not respond.
    pub(super) fn is_refusal(&self) -> bool {
        self.status.is_some_and(|status| (400..500).contains(&status))
    }

    /// Whether the server does not support conditional writes.
    pub(super) fn is_unknown_header(&self) -> bool {
        self.is(501) || self.code == "NotImplemented"
    }

    /// The error of a request while the app runs: `what` follows "the media store cannot be".
    pub(super) fn unavailable(self, what: &str) -> Error {
        let sentence = match (self.status, self.code.as_str()) {
            (None, _) => format!("the media store cannot be {what}: it does not answer"),
            (Some(status), "") => format!("the media store cannot be {what}: it answers {status}"),
            (Some(status), code) => format!("the media store cannot be {what}: it answers {status} {code}"),
        };
        Error::unavailable(sentence).because(self.source)
    }

    /// The error of a request while the store is opened, for the operator. `permission` is the one that
    /// the request needs.
    pub(super) fn configuration(self, address: &Address, permission: &str) -> Error {
        let (bucket, server) = (&address.bucket, address.server());
        let media = "media (TRIPOD_MEDIA)";
        let sentence = match (self.status, self.code.as_str()) {
            (None, _) => format!(
                "{server} does not answer for the bucket {bucket}: start it, or set the endpoint in {media} \
                 to where it is"
            ),
            (_, "InvalidAccessKeyId" | "NotSignedUp" | "SignatureDoesNotMatch")
            | (_, "InvalidToken" | "ExpiredToken") => format!(
                "{server} does not take the key for the bucket {bucket} ({}): set AWS_ACCESS_KEY_ID, \
                 AWS_SECRET_ACCESS_KEY and, for a temporary one, AWS_SESSION_TOKEN anew",
                self.code
            ),
            (_, "RequestTimeTooSkewed") => format!(
                "{server} has another time than this machine and so refuses the bucket {bucket}: set the \
                 clock"
            ),
            (Some(301 | 307), _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => format!(
                "the bucket {bucket} is not in the region {} of {server}: set the region in {media}",
                address.region
            ),
            (Some(403), _) => format!(
                "this key may not use the bucket {bucket} at {server}: give it {permission}, or set {media} \
                 to a bucket of yours"
            ),
            (Some(404), _) => {
                format!("there is no bucket {bucket} at {server}: create it, or set {media} to another one")
            }
            (Some(status), code) => format!(
                "{server} cannot be used for the bucket {bucket}, it answers {status} {code}: mend it, or \
                 set {media} to another one"
            ),
        };
        Error::configuration(sentence).because(self.source)
    }
}
