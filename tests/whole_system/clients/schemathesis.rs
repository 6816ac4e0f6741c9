//! schemathesis: requests generated from the document, valid and invalid, alone and in sequences, with
//! checks of the replies. `tests/schemathesis` configures it for the service.

use std::path::Path;

use tripod_tests::Server;

use super::tools::{Tools, output};

/// How much is tried per operation: always the same in a run of the suite; with `FULL` more, and
/// different each time. The seed is in the output.
fn extent() -> Vec<&'static str> {
    match std::env::var_os("FULL") {
        None => vec!["--max-examples", "25", "--seed", "1"],
        Some(_) => vec!["--max-examples", "250"],
    }
}

#[tokio::test]
async fn the_service_keeps_to_its_document_for_somebody_who_is_signed_in() {
    keeps_to_its_document(&[], &[]).await;
}

#[tokio::test]
async fn the_service_keeps_to_its_document_for_strangers() {
    // They may not use most operations, which would otherwise cause a warning.
    keeps_to_its_document(&[("ANONYMOUS", "1")], &["--warnings", "off"]).await;
}

async fn keeps_to_its_document(variables: &[(&str, &str)], arguments: &[&str]) {
    let (tools, server) = (Tools::installed(), Server::start().await);
    // It stores files in its working directory.
    let directory = tempfile::tempdir().unwrap();
    for file in ["schemathesis.toml", "hooks.py"] {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis").join(file);
        std::fs::copy(committed, directory.path().join(file)).unwrap();
    }
    let origin = format!("http://{}", server.address());
    let mut run = tools.python("schemathesis");
    run.current_dir(directory.path())
        .args(["run", "--checks", "all", "--no-color"])
        .args(extent())
        .args(arguments)
        .arg(format!("{origin}/openapi.json"))
        .env("ORIGIN", &origin)
        .envs(variables.iter().copied());
    let report = output(&mut run);
    println!("{report}");
    assert!(!server.log().contains("panicked"), "a handler panicked: {}", server.log());
}
