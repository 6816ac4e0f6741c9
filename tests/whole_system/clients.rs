//! Clients that others generate: the OpenAPI document is taken as it is, without a warning; what is
//! made of it has the names that a person would give; and it works against the service.
//!
//! The generators are pinned and installed once into the target directory (`tests/clients/install`).
//! What they make goes with the test.

mod names;
mod schemathesis;
mod tools;
mod walks;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tripod_tests::Setup;

/// The document as the program prints it, in a file of a directory of its own.
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
