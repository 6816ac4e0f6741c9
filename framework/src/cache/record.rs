//! What is under a key in Redis: a value, or that there is none, or who is about to write it.
//!
//! A record is text in front and the value's JSON behind, so that `redis-cli get` shows all of it:
//! one letter, 16 hexadecimal digits of a token, and of `v` and `a` also 16 of the server's
//! identity and twice 11 of times in milliseconds.
//!
//! | letter | means | the token is of |
//! | --- | --- | --- |
//! | `v` | a value | whoever may write the next one |
//! | `a` | there is none | the same |
//! | `l` | somebody loads it | the loader |
//! | `w` | somebody changes its row: fills are blocked | the writer |

/// Bytes of a token, of an identity.
const WORD: usize = 16;
const TIME: usize = 11;
/// Bytes before a value.
pub(super) const HEAD: usize = 1 + WORD + WORD + TIME + TIME;

/// A record, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'r> {
    Entry(StoredEntry<'r>),
    Loading,
    Blocked,
}

/// A value, or that there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredEntry<'r> {
    /// All up to the value, by which a script tells whether this record is still there.
    pub(super) head: &'r [u8],
    /// The server that it was written on; another one may have missed what came after.
    pub(super) identity: &'r str,
    pub(super) loaded_ms: u64,
    pub(super) fresh_until_ms: u64,
    /// JSON; nothing when there is no value.
    pub(super) value: Option<&'r [u8]>,
}

/// Reads a record; nothing when it is none of ours.
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

/// The record of a value, or of none.
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

/// A time as records hold it.
pub(super) fn time(ms: u64) -> String {
    format!("{ms:011x}")
}

/// A token that nobody else has.
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
