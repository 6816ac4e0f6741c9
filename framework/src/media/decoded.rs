//! The output of decoders: pixels as stored in the file, or an error.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};

use super::header::{Header, broken};
use crate::error::{Error, Result};

/// A picture as stored: not yet upright, not yet sRGB.
pub(super) struct Decoded {
    /// `ImageLuma8` or `ImageRgb8`, never anything else.
    pub(super) pixels: DynamicImage,
    /// The rotation or reflection that makes the picture upright (EXIF tag 0x0112).
    pub(super) orientation: Orientation,
    /// The ICC profile, if the file has one; not validated.
    pub(super) icc_profile: Option<Vec<u8>>,
}

/// Some programs write JPEG's prefix before the TIFF header in other formats too.
pub(super) fn orientation(exif: &[u8]) -> Orientation {
    Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
        .unwrap_or(Orientation::NoTransforms)
}

/// A grey or an RGB image, depending on the number of samples.
pub(super) fn image(header: &Header, pixels: Vec<u8>) -> Result<DynamicImage> {
    let (width, height) = (header.width, header.height);
    match pixels.len() / (width as usize * height as usize) {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        3 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
        _ => None,
    }
    .ok_or_else(disagrees)
}

pub(super) fn disagrees() -> Error {
    broken("its pixels are not what its header says")
}

pub(super) fn corrupt(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid("the picture is damaged or incomplete, so please send it again").because(source)
}
