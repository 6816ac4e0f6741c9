//! The files that pages load: the style sheet, scripts and icons, embedded in the binary.
//!
//! A file's address contains a hash of its content, so that browsers may cache it for ever, and a new
//! version is loaded at once.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use tripod::web::{Path, Problem, hash_text};

/// A file, with its hash in its address.
struct Asset {
    name: &'static str,
    path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files: [(&str, &str, &[u8]); 8] = [
        ("style.css", "text/css; charset=utf-8", include_bytes!("assets/style.css")),
        ("forms.js", SCRIPT, include_bytes!("assets/forms.js")),
        ("more.js", SCRIPT, include_bytes!("assets/more.js")),
        ("transitions.js", SCRIPT, include_bytes!("assets/transitions.js")),
        ("composer.js", SCRIPT, include_bytes!("assets/composer.js")),
        ("icons.svg", PICTURE, include_bytes!("assets/icons.svg")),
        ("mark.svg", PICTURE, include_bytes!("assets/mark.svg")),
        ("app.webmanifest", "application/manifest+json", include_bytes!("assets/app.webmanifest")),
    ];
    let asset = |(name, content_type, bytes): (&'static str, _, &'static [u8])| {
        let hash = hash_text(bytes);
        let path = match name.rsplit_once('.') {
            Some((stem, extension)) => format!("/assets/{stem}.{}.{extension}", &hash[..16]),
            None => format!("/assets/{name}.{}", &hash[..16]),
        };
        Asset { name, path, content_type, bytes }
    };
    files.into_iter().map(asset).collect()
});

/// The address of a file; empty if there is no such file.
pub fn path(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.path)
}

/// Serves a file by its address.
pub async fn serve(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&name));
    found
        .map(|asset| reply(asset, "public, max-age=31536000, immutable"))
        .ok_or_else(|| Problem::absent("There is no such file."))
}

/// The icon that browsers request by themselves, at a fixed address.
pub async fn favicon() -> Result<Response, Problem> {
    let mark = ASSETS.iter().find(|asset| asset.name == "mark.svg");
    mark.map(|asset| reply(asset, "public, max-age=86400"))
        .ok_or_else(|| Problem::absent("There is no such file."))
}

fn reply(asset: &'static Asset, kept: &'static str) -> Response {
    let kept = HeaderValue::from_static(kept);
    let content_type = HeaderValue::from_static(asset.content_type);
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, kept)], asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_an_address_of_its_own_and_the_scripts_are_small() {
        let mut paths: Vec<&str> = ASSETS.iter().map(|asset| path(asset.name)).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), ASSETS.len());
        assert!(paths.iter().all(|path| path.starts_with("/assets/")), "{paths:?}");
        let scripts = ASSETS.iter().filter(|asset| asset.content_type == SCRIPT);
        let bytes: usize = scripts.map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 20_000, "the scripts have {bytes} bytes");
    }
}
