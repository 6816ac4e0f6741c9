//! Tests of the media store in a directory.

use super::*;
use crate::media::MediaStore;

/// A separate directory for each test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = MediaKey::random("test").unwrap();
        Self(std::env::temp_dir().join(format!("tripod-media-{name}")))
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut unread = vec![self.0.clone()];
        while let Some(directory) = unread.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { unread.push(path) } else { found.push(path) }
            }
        }
        found
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn what_is_put_is_got_until_it_is_deleted() {
    let scratch = Scratch::new();
    let store = MediaStore::open_directory(&scratch.0).await.unwrap();
    let key = MediaKey::random("jpg").unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None);
    store.put(&key, Bytes::from_static(b"pixels")).await.unwrap();
    store.put(&key, Bytes::from_static(b"pixels")).await.unwrap();
    let reopened = MediaStore::open_directory(&scratch.0).await.unwrap();
    assert_eq!(reopened.get(&key).await.unwrap().unwrap(), "pixels");
    let (first, second) = (&key.as_str()[..2], &key.as_str()[2..4]);
    assert_eq!(scratch.files(), [scratch.0.join(first).join(second).join(key.as_str())]);
    store.delete(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None);
    assert!(scratch.files().is_empty());
}

#[tokio::test]
async fn only_leftovers_of_a_crash_are_removed() {
    let scratch = Scratch::new();
    MediaStore::open_directory(&scratch.0).await.unwrap();
    let (old, young) = (scratch.0.join("incoming/old.part"), scratch.0.join("incoming/young.part"));
    fs::write(&young, "under way elsewhere").unwrap();
    let long_ago = SystemTime::now() - LEFTOVER_AGE - Duration::from_secs(60);
    File::create(&old).unwrap().set_modified(long_ago).unwrap();
    MediaStore::open_directory(&scratch.0).await.unwrap();
    assert_eq!(scratch.files(), [young]);
}

#[tokio::test]
async fn a_path_that_cannot_be_used_is_named() {
    let error = MediaStore::open_directory("/dev/null/media").await.unwrap_err();
    assert!(error.is_configuration());
    assert!(error.to_string().contains("/dev/null/media"), "{error}");
}

#[tokio::test]
async fn a_failed_put_leaves_nothing_and_the_check_tells() {
    let scratch = Scratch::new();
    let store = MediaStore::open_directory(&scratch.0).await.unwrap();
    store.check().await.unwrap();
    assert!(scratch.files().is_empty());
    // A file in place of the key's first directory: unlike permissions, this also stops root.
    let key = MediaKey::random("jpg").unwrap();
    let obstacle = scratch.0.join(&key.as_str()[..2]);
    fs::write(&obstacle, "").unwrap();
    assert!(store.put(&key, Bytes::from_static(b"x")).await.unwrap_err().is_unavailable());
    assert_eq!(scratch.files(), [obstacle]);
    fs::remove_dir_all(&scratch.0).unwrap();
    assert!(store.check().await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_directory_has_no_links() {
    let scratch = Scratch::new();
    let store = MediaStore::open(scratch.0.to_str().unwrap()).await.unwrap();
    let (key, expires) = (MediaKey::random("jpg").unwrap(), Duration::from_secs(60));
    let put = store.presign_put(&key, "image/jpeg", 1, expires).await.unwrap_err();
    for error in [store.presign_get(&key, expires).await.unwrap_err(), put] {
        assert!(error.is_configuration() && error.to_string().contains("TRIPOD_MEDIA"), "{error}");
    }
}

#[test]
fn a_full_disk_says_so() {
    let error = unavailable("written to", io::Error::from(ErrorKind::StorageFull));
    assert!(error.is_unavailable());
    assert!(error.to_string().contains("is full"), "{error}");
}
