//! Placeholders: a few pixels to show until a picture has loaded, as a PNG in a `data:` URI.
//!
//! Invariant: shorter than [`MAX_CHARACTERS`], so that a page of fifty pictures grows by at most 20 kB.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use super::resize::resize;
use crate::error::{Error, Result};

/// The longest URI, in characters.
const MAX_CHARACTERS: usize = 400;

/// The longer side, in pixels. 8 x 8 pixels of noise take 382 characters.
const SIDE_PIXELS: u32 = 8;

/// Makes the `data:` URI of a PNG with the aspect ratio of `picture`.
pub(super) fn data_uri(picture: &RgbImage) -> Result<String> {
    let longer = picture.width().max(picture.height());
    let side = |length: u32| (length * SIDE_PIXELS.min(longer) + longer / 2).div_euclid(longer);
    let (width, height) = (side(picture.width()).max(1), side(picture.height()).max(1));
    let tiny = resize(picture, width, height)?;
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::NoFilter)
        .write_image(&tiny, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| Error::internal("cannot encode a placeholder").because(error))?;
    let uri = format!("data:image/png;base64,{}", STANDARD.encode(png));
    debug_assert!(uri.len() < MAX_CHARACTERS);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn decoded(uri: &str) -> RgbImage {
        let png = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        image::load_from_memory(&png).unwrap().into_rgb8()
    }

    #[test]
    fn noise_is_the_worst_case_and_still_short() {
        let mut state = 1_u32;
        let noise = RgbImage::from_fn(8, 8, |_, _| {
            Rgb([(); 3].map(|()| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }))
        });
        let uri = data_uri(&noise).unwrap();
        assert!(uri.len() < MAX_CHARACTERS, "{} characters", uri.len());
        assert_eq!(decoded(&uri), noise);
    }

    #[test]
    fn the_shape_is_kept() {
        for (width, height, expected) in
            [(320, 240, (8, 6)), (100, 320, (3, 8)), (320, 1, (8, 1)), (2, 1, (2, 1)), (1, 1, (1, 1))]
        {
            let picture = RgbImage::from_pixel(width, height, Rgb([10, 20, 30]));
            let tiny = decoded(&data_uri(&picture).unwrap());
            assert_eq!(tiny.dimensions(), expected);
            assert_eq!(tiny.get_pixel(0, 0).0, [10, 20, 30]);
        }
    }
}
