//! Generated clients: generators accept the OpenAPI document without a warning, their clients have
//! natural names, and the clients work against the service.
//!
//! The generators are pinned and installed once into the target directory (`tests/clients/install`).
//! Their output is deleted with the test.

mod names;
mod schemathesis;
mod tools;
mod walks;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tripod_tests::Setup;

/// The document as printed by the program, in a file in its own directory.
async fn document() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let exit = Setup::embedded().run(directory.path(), &["openapi"]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, exit.stdout).unwrap();
    (directory, file)
}

/// A file of `tests/clients`.
fn committed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(path)
}
