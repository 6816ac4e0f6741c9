//! A handler that replies with what it read, without asking whether the viewer may see it.

use tripod::access::Unchecked;
use tripod::web::Json;

#[derive(serde::Serialize)]
struct Note {
    text: String,
}

fn reply(note: Unchecked<Note>) -> axum::response::Response {
    axum::response::IntoResponse::into_response(Json(note))
}

fn main() {
    let _ = reply;
}
