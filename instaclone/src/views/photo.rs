//! A photo as clients see it.

use serde::Serialize;
use tripod::App;
use tripod::media::Picture;
use utoipa::ToSchema;

/// A photo.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Photo)]
pub struct PhotoView {
    /// The largest rendition, relative to the server unless absolute.
    pub url: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Its text alternative, for people who do not see it; may be empty.
    pub alt: String,
    /// A tiny picture as a `data:` URI, to show while the photo loads.
    pub placeholder: String,
    /// Renditions of the same aspect ratio, largest first.
    pub variants: Vec<Variant>,
}

/// A rendition of a photo.
#[derive(Debug, Serialize, ToSchema)]
pub struct Variant {
    /// Relative to the server unless absolute.
    pub url: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl PhotoView {
    pub(super) fn new(app: &App, picture: &Picture) -> Self {
        let variant = |file: &tripod::media::PictureFile| Variant {
            url: app.media_url(&file.key),
            width: file.width,
            height: file.height,
        };
        let variants: Vec<Variant> = picture.files.iter().map(variant).collect();
        let largest = variants.first();
        Self {
            url: largest.map(|variant| variant.url.clone()).unwrap_or_default(),
            width: largest.map_or(0, |variant| variant.width),
            height: largest.map_or(0, |variant| variant.height),
            alt: picture.alt.clone(),
            placeholder: picture.placeholder.clone(),
            variants,
        }
    }
}
