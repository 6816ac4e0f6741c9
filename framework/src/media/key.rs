//! The name of a stored file: random, so that it can be neither guessed nor enumerated.
//!
//! Invariants: a key holds 160 bits from the operating system's random number generator, is never
//! derived from an id or an upload, and has no character with a meaning in paths or URLs.

use std::fmt;
use std::str::FromStr;

use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The number of hexadecimal digits in a key: 160 bits.
const DIGITS: usize = 40;

/// The maximum length of an extension, in characters.
const MAX_EXTENSION: usize = 8;

/// The random name of a stored file: 40 hexadecimal digits, a dot and an extension. The file never
/// changes, so copies may be cached for ever.
///
/// ```
/// use tripod::media::MediaKey;
///
/// let key = MediaKey::random("jpg")?;
/// assert_eq!(key.to_string().parse::<MediaKey>()?, key);
/// assert!("../../etc/passwd".parse::<MediaKey>().is_err());
/// # Ok::<(), tripod::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaKey(String);

impl MediaKey {
    /// How long a copy of a file may be cached: for ever, because the file of a key never changes.
    pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

    /// A new key for a file with this `extension` (`jpg`, without the dot).
    ///
    /// # Errors
    ///
    /// `is_internal` if `extension` is not one to eight lower-case letters and digits; `is_unavailable`
    /// if the operating system provides no random numbers.
    pub fn random(extension: &str) -> Result<Self> {
        if !is_extension(extension) {
            return Err(Error::internal(format!("{extension:?} cannot be a file's extension")));
        }
        let mut random = [0; DIGITS / 2];
        SysRng.try_fill_bytes(&mut random).map_err(|error| {
            Error::unavailable("the operating system gives no random numbers").because(error)
        })?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("{digits}.{extension}")))
    }

    /// Parses a key, such as one from a URL.
    ///
    /// # Errors
    ///
    /// `is_invalid` for everything that [`MediaKey::random`] could not have made, which includes every
    /// path.
    pub fn parse(text: &str) -> Result<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.split_once('.') {
            Some((digits, extension))
                if digits.len() == DIGITS && digits.bytes().all(is_digit) && is_extension(extension) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Error::invalid("this is not the name of a stored file")),
        }
    }

    /// The key as text, in the form that [`MediaKey::parse`] takes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The extension, without the dot.
    pub fn extension(&self) -> &str {
        &self.0[DIGITS + 1..]
    }

    /// The media type of the file, by its extension.
    pub fn content_type(&self) -> &'static str {
        match self.extension() {
            "jpg" => "image/jpeg",
            _ => "application/octet-stream",
        }
    }
}

fn is_extension(text: &str) -> bool {
    (1..=MAX_EXTENSION).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

impl fmt::Display for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MediaKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for MediaKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<MediaKey> for String {
    fn from(key: MediaKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_random_and_read_back() {
        let keys: HashSet<_> = (0..1_000).map(|_| MediaKey::random("jpg").unwrap()).collect();
        assert_eq!(keys.len(), 1_000);
        for key in keys {
            assert_eq!(key.extension(), "jpg");
            assert_eq!(MediaKey::parse(key.as_str()).unwrap(), key);
        }
        assert!(MediaKey::random("../x").unwrap_err().is_internal());
    }

    #[test]
    fn nothing_else_is_a_key() {
        let digits = "0123456789abcdef0123456789abcdef01234567";
        MediaKey::parse(&format!("{digits}.jpg")).unwrap();
        for text in [
            String::new(),
            "..".into(),
            "../../../../etc/passwd".into(),
            digits.into(),
            format!("{digits}."),
            format!("{digits}.jpg/.."),
            format!("{digits}.jpg\0"),
            format!("{digits}.jpg.php"),
            format!("{digits}.verylongext"),
            format!("{}.jpg", digits.to_uppercase()),
            format!("{}.jpg", &digits[1..]),
            format!("/{}.jpg", &digits[1..]),
            format!("%2e{}.jpg", &digits[3..]),
            format!("\u{FF11}{}.jpg", &digits[3..]),
        ] {
            assert!(MediaKey::parse(&text).unwrap_err().is_invalid(), "{text:?}");
        }
    }
}
