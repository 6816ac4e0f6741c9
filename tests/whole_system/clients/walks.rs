//! The product path in a generated client: two people, photos, a follow, the feed to its end, a like, a
//! comment, a problem, and logging out.

use std::process::Command;

use tripod_tests::Server;

use super::tools::{Tools, output};
use super::{committed, document};

#[tokio::test]
async fn the_typescript_client_walks_the_product_path() {
    let (tools, server) = (Tools::installed(), Server::start().await);
    let (directory, document) = document().await;
    let to = directory.path();
    tools.openapi_typescript(&document, &to.join("api.d.ts"));
    for file in ["typescript/walk.ts", "typescript/tsconfig.json", "package.json"] {
        let file = committed(file);
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
    std::os::unix::fs::symlink(tools.node_modules(), to.join("node_modules")).unwrap();
    // Checks the types, and writes nothing if one is wrong.
    output(tools.node("tsc").arg("--project").arg(to));
    let walked = output(Command::new("node").arg(to.join("out/walk.js")).arg(origin(&server)));
    assert_eq!(walked.trim(), "walked");
}

#[tokio::test]
async fn the_python_client_walks_the_product_path() {
    let (tools, server) = (Tools::installed(), Server::start().await);
    let (directory, document) = document().await;
    tools.openapi_python_client(&document, &directory.path().join("instaclone_client"));
    let mut walk = tools.python("python");
    walk.env("PYTHONPATH", directory.path()).arg(committed("python/walk.py")).arg(origin(&server));
    assert_eq!(output(&mut walk).trim(), "walked");
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_printed() {
    let server = Server::start().await;
    let (_directory, document) = document().await;
    let served = server.api().get("~/openapi.json").await;
    let printed = String::from_utf8(std::fs::read(document).unwrap()).unwrap();
    assert_eq!(String::from_utf8(served.bytes).unwrap().trim(), printed.trim());
}

fn origin(server: &Server) -> String {
    format!("http://{}", server.address())
}
