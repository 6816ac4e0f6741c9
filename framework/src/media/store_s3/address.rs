//! The address of a bucket and its credentials: parses the setting `s3://…` and the usual variables.

use std::fmt;

use aws_credential_types::Credentials;

use crate::error::{Error, Result};

/// The prefix of a location that is a bucket.
pub(in crate::media) const SCHEME: &str = "s3://";

const FORM: &str = "write media (TRIPOD_MEDIA) like \
    s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1, where all but the bucket may \
    be left out";

const DEFAULT_REGION: &str = "us-east-1";

/// A bucket with its credentials; nothing else is read from the environment.
pub(super) struct Address {
    pub(super) bucket: String,
    /// The prefix of every key: empty, or ending in a slash.
    pub(super) prefix: String,
    /// The server; if `None`, Amazon's for the region.
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
    pub(super) credentials: Credentials,
}

impl Address {
    /// Parses a location that begins with [`SCHEME`]; `variable` returns the environment's variables.
    pub(super) fn parse(location: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let wrong = |what: &str| Error::configuration(format!("the address of the bucket {what}: {FORM}"));
        let rest = location.strip_prefix(SCHEME).ok_or_else(|| wrong("does not begin with s3://"))?;
        let name = rest.split(['/', '?']).next().unwrap_or_default();
        if rest.contains('@') || name.contains(':') {
            // Not repeated here: the part before an @ may be a secret, and errors are logged.
            return Err(Error::configuration(
                "the address of the bucket has an @ or a : in it: take credentials out of it and set \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() {
            return Err(wrong("names no bucket"));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !bucket.chars().all(is_plain) {
            return Err(wrong(&format!("has {bucket:?} where the bucket's name should be")));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(is_plain);
        if !prefix.is_empty() && !prefix.split('/').all(is_segment) {
            return Err(wrong(&format!(
                "has the prefix {prefix:?}; take letters, digits, and . - _ / between"
            )));
        }
        let (mut endpoint, mut region) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decoded(value).ok_or_else(|| wrong(&format!("has {value:?} for {name}")))?;
            let slot = match name {
                "endpoint" => &mut endpoint,
                "region" => &mut region,
                _ => return Err(wrong(&format!("says {name:?}, which is neither endpoint nor region"))),
            };
            if value.is_empty() || slot.replace(value).is_some() {
                return Err(wrong(&format!("must say {name} once, with a value, or not at all")));
            }
        }
        let endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = &endpoint {
            let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            if !host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')) {
                return Err(wrong(&format!("has the endpoint {url:?}, which is no http:// or https:// URL")));
            }
        }
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let region = region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let secret = |name: &str| {
            variable(name).ok_or_else(|| {
                Error::configuration(format!(
                    "the bucket {bucket} needs a key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
                     {name} is not set"
                ))
            })
        };
        let credentials = Credentials::new(
            secret("AWS_ACCESS_KEY_ID")?,
            secret("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            endpoint,
            region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            credentials,
        })
    }

    /// The server's name in errors.
    pub(super) fn server(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("Amazon S3 in {}", self.region),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{} at {}", self.bucket, self.prefix, self.server())
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hidden")];

    fn parse(location: &str, variables: &[(&str, &str)]) -> Result<Address> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Address::parse(location, &variable)
    }

    #[test]
    fn an_address_says_where_the_bucket_is() {
        let whole = parse("s3://photos/a/b/?endpoint=http://127.0.0.1:9000/&region=eu-west-1", &KEY).unwrap();
        assert_eq!((whole.bucket.as_str(), whole.prefix.as_str()), ("photos", "a/b/"));
        assert_eq!(whole.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(whole.region, "eu-west-1");
        let encoded = parse("s3://photos?endpoint=https%3A%2F%2Fs3.example", &KEY).unwrap();
        assert_eq!(encoded.endpoint.as_deref(), Some("https://s3.example"));
        assert_eq!((encoded.prefix.as_str(), encoded.region.as_str()), ("", "us-east-1"));
        let regions = [("AWS_REGION", "eu-north-1"), ("AWS_DEFAULT_REGION", "eu-south-1"), KEY[0], KEY[1]];
        assert_eq!(parse("s3://photos", &regions).unwrap().region, "eu-north-1");
        assert_eq!(parse("s3://photos", &regions[1..]).unwrap().region, "eu-south-1");
        let session = [("AWS_SESSION_TOKEN", "token"), KEY[0], KEY[1]];
        assert_eq!(parse("s3://photos", &session).unwrap().credentials.session_token(), Some("token"));
        assert!(!format!("{whole:?}").contains("hidden"));
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong_and_how_to_write_it() {
        for (location, says) in [
            ("s3://", "names no bucket"),
            ("s3:///prefix", "names no bucket"),
            ("s3://pho tos", "pho tos"),
            ("s3://photos/../x", "prefix"),
            ("s3://photos//x", "prefix"),
            ("s3://photos?regoin=x", "\"regoin\", which is neither endpoint nor region"),
            ("s3://photos?region=", "region once, with a value"),
            ("s3://photos?region=a&region=b", "region once"),
            ("s3://photos?endpoint=127.0.0.1:9000", "127.0.0.1:9000"),
            ("s3://photos?endpoint=http://", "no http:// or https:// URL"),
            ("s3://photos?region=%zz", "%zz"),
        ] {
            let error = parse(location, &KEY).unwrap_err();
            assert!(error.is_configuration());
            let sentence = error.to_string();
            assert!(sentence.contains(says) && sentence.contains(FORM), "{location}: {sentence}");
        }
        let error = parse("s3://id:hidden@photos", &KEY).unwrap_err().to_string();
        assert!(error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains("hidden"), "{error}");
    }

    #[test]
    fn a_missing_key_is_named_with_the_variables_to_set() {
        for (variables, missing) in [
            (vec![], "AWS_ACCESS_KEY_ID is not set"),
            (vec![KEY[1]], "AWS_ACCESS_KEY_ID is not set"),
            (vec![KEY[0]], "AWS_SECRET_ACCESS_KEY is not set"),
            (vec![KEY[0], ("AWS_SECRET_ACCESS_KEY", "")], "AWS_SECRET_ACCESS_KEY is not set"),
        ] {
            let error = parse("s3://photos", &variables).unwrap_err();
            assert!(error.is_configuration() && error.to_string().contains(missing), "{error}");
        }
    }
}
