//! Files that hold people's data are for the service's user only, whatever its umask is.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tripod_tests::{Api, Person, Setup, eventually};

use crate::SOON;

/// The mode of a directory and of everything in it.
fn modes(path: &Path) -> BTreeMap<PathBuf, u32> {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    let mut modes = BTreeMap::from([(path.to_owned(), metadata.mode() & 0o7777)]);
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            // SQLite removes its log at the end of a process.
            let path = entry.unwrap().path();
            if path.exists() {
                modes.extend(self::modes(&path));
            }
        }
    }
    modes
}

fn assert_private(data: &Path) {
    let modes = modes(data);
    for (path, mode) in &modes {
        let private = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, private, "{}: {mode:o}", path.display());
    }
    let names: Vec<_> = modes.keys().filter_map(|path| path.file_name()?.to_str()).collect();
    for name in ["shard-0.db", "shard-0.db-wal", "shard-0.db-shm", "lock", "media", "incoming"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(names.iter().any(|name| name.ends_with(".jpg")), "no photo among {names:?}");
}

fn open_to_all(path: &Path) {
    for path in modes(path).into_keys() {
        let mode = if path.is_dir() { 0o777 } else { 0o666 };
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
}

/// A service that ends with its test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn files_are_private_with_any_umask_and_those_of_earlier_versions_become_so() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let program = Setup::embedded().command(place.path(), &free);
    for photo in ["first", "second"] {
        let mut command = Command::new("sh");
        command.arg("-c").arg("umask 000; exec \"$0\"").arg(program.get_program());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(place.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let service = Service(command.spawn().unwrap());
        let api = Api::new(format!("http://{free}"));
        eventually("it is ready", SOON, async || {
            let ready = api.request(reqwest::Method::GET, "~/readyz").send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        Person::sign_up(&api, photo).await.post_photo(photo).await;
        assert_private(&data);
        drop(service);
        open_to_all(&data);
    }
}
