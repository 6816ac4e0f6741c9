//! The records in Redis: a value, the absence of a value, or a mark that it is being loaded or changed.
//!
//! A record is text followed by the value's JSON, so that `redis-cli get` shows all of it. The text is
//! one letter and the 16 hexadecimal digits of a token. In `v` and `a` records, the server's identity
//! (16 digits) and two times in milliseconds (11 digits each) follow.
//!
//! | letter | means | the token belongs to |
//! | --- | --- | --- |
//! | `v` | a value | the process that may write the next value |
//! | `a` | there is no value | the same |
//! | `l` | a process is loading the value | the loader |
//! | `w` | the row is being changed: fills are blocked | the writer |

/// Length of a token and of an identity.
const WORD: usize = 16;
const TIME: usize = 11;
/// Length of the text before a value.
pub(super) const HEAD: usize = 1 + WORD + WORD + TIME + TIME;

/// A parsed record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'r> {
    Entry(StoredEntry<'r>),
    Loading,
    Blocked,
}

/// A value, or the absence of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredEntry<'r> {
    /// Everything before the value; scripts compare it to check that the record is unchanged.
    pub(super) head: &'r [u8],
    /// The server that the record was written on. Another server may have missed later invalidations.
    pub(super) identity: &'r str,
    pub(super) loaded_ms: u64,
    pub(super) fresh_until_ms: u64,
    /// JSON; `None` if there is no value.
    pub(super) value: Option<&'r [u8]>,
}

/// Parses a record; `None` if it is not in this format.
pub(super) fn read(bytes: &[u8]) -> Option<Record<'_>> {
    match bytes.first()? {
        b'l' => return Some(Record::Loading),
        b'w' => return Some(Record::Blocked),
        b'v' | b'a' => {}
        _ => return None,
    }
    let (head, value) = bytes.split_at_checked(HEAD)?;
    let text = str::from_utf8(head).ok()?;
    let (identity, times) = text.get(1 + WORD..)?.split_at_checked(WORD)?;
    let (loaded, fresh_until) = times.split_at_checked(TIME)?;
    Some(Record::Entry(StoredEntry {
        head,
        identity,
        loaded_ms: u64::from_str_radix(loaded, 16).ok()?,
        fresh_until_ms: u64::from_str_radix(fresh_until, 16).ok()?,
        value: (bytes[0] == b'v').then_some(value),
    }))
}

/// Encodes a value, or the absence of one.
pub(super) fn write(
    token: &str,
    identity: &str,
    loaded_ms: u64,
    fresh_until_ms: u64,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let letter = if value.is_some() { 'v' } else { 'a' };
    let mut record =
        format!("{letter}{token}{identity}{}{}", time(loaded_ms), time(fresh_until_ms)).into_bytes();
    record.extend_from_slice(value.unwrap_or_default());
    record
}

/// A time as encoded in records.
pub(super) fn time(ms: u64) -> String {
    format!("{ms:011x}")
}

/// A new random token.
pub(super) fn token() -> String {
    format!("{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let (token, identity) = (token(), "0123456789abcdef");
        for value in [Some(&b"{\"n\":1}"[..]), Some(b""), None] {
            let record = write(&token, identity, 1_800_000_000_000, 1_800_000_060_000, value);
            let Some(Record::Entry(entry)) = read(&record) else { panic!("{record:?}") };
            assert_eq!(entry.head, &record[..HEAD]);
            assert_eq!((entry.identity, entry.value), (identity, value));
            assert_eq!((entry.loaded_ms, entry.fresh_until_ms), (1_800_000_000_000, 1_800_000_060_000));
        }
    }

    #[test]
    fn what_another_program_wrote_is_none_of_ours() {
        for foreign in ["", "x", "v", "value", &"v".repeat(HEAD), &"vé".repeat(HEAD)] {
            assert_eq!(read(foreign.as_bytes()), None, "{foreign:?}");
        }
        assert_eq!(read(b"l0123456789abcdef"), Some(Record::Loading));
        assert_eq!(read(b"w0123456789abcdef"), Some(Record::Blocked));
    }
}
