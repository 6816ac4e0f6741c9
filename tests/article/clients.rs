//! What people hold in their hands.

use reqwest::Method;
use reqwest::header::ACCEPT;

use super::{Row, State};
use crate::{Reply, Server};

pub(super) const ROW: Row = Row {
    name: "clients",
    of_2011: "the iOS app",
    here: "the web app (installable), and clients generated from OpenAPI",
    state: State::InPart(
        || Box::pin(prove()),
        "installing the web app on a phone, and clients in Swift and Kotlin that are compiled (they are \
         generated and their names checked; those in TypeScript and Python are used by tests/clients)",
    ),
};

async fn prove() -> String {
    let server = Server::start().await;
    let page = Reply::to(server.api().request(Method::GET, "~/").header(ACCEPT, "text/html")).await;
    let html = String::from_utf8_lossy(&page.bytes);
    assert_eq!(page.status, 200, "the page at /: {html}");
    let kind = page.header("content-type");
    assert!(kind.starts_with("text/html"), "the page at / is {kind}");
    assert!(form_to(&html, "/login"), "no form to log in at /: {html}");

    let document = server.api().get("~/openapi.json").await.expect(200);
    let version = document["openapi"].as_str().unwrap_or_default();
    assert!(version.starts_with("3.1"), "openapi.json says {version:?}");
    let items = document["paths"].as_object().into_iter().flatten().map(|(_, item)| item);
    let operations = items.filter_map(|item| item.as_object()).flatten();
    let operations = operations.filter(|(_, operation)| operation["operationId"].is_string());
    assert!(operations.count() >= 28, "operations are missing, or have no id");
    "A browser gets a page at / with a form to log in, and /openapi.json describes every operation, \
     each with its id, for generators."
        .to_owned()
}

/// Whether a form with a field for a password is sent to this path.
fn form_to(html: &str, path: &str) -> bool {
    html.split("<form").skip(1).any(|rest| {
        let form = rest.split("</form>").next().unwrap_or_default();
        let tag = form.split('>').next().unwrap_or_default();
        tag.contains(&format!("action=\"{path}\"")) && form.contains("type=\"password\"")
    })
}
