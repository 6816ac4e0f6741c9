//! Decodes an upload to 8-bit pixels, grey or RGB, as stored in the file.
//!
//! Invariants: the header has passed its limits before, and the decoder's findings must agree with it. A
//! truncated or corrupt file is refused, never filled in. Rotating and converting to sRGB are left to
//! the caller, who does both on a smaller picture.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, Limits};

use super::decode_jpeg::decode_jpeg;
use super::decoded::{Decoded, corrupt, disagrees, image, orientation};
use super::format::Format;
use super::header::{Header, broken};
use crate::error::Result;

/// How much a decoder may allocate besides pixels: rows, and a PNG's metadata, which is compressed and
/// could expand a thousandfold. The largest ICC profiles of scanners and printers are 3 MiB.
const MAX_METADATA_BYTES: u64 = 16 << 20;

/// Decodes `bytes`, whose header was read before.
///
/// # Errors
///
/// `is_invalid` when the picture is truncated, corrupt, or differs from its header.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Decoded> {
    // The decoders are meant not to panic, but their assertions have fired on hostile files before.
    // Nothing outlives the call, so a panic leaves no inconsistent state.
    let decoded = catch_unwind(AssertUnwindSafe(|| match header.format {
        Format::Jpeg => decode_jpeg(bytes, header),
        Format::Png => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(MAX_METADATA_BYTES);
            decode_with(PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(corrupt)?, header)
        }
        Format::Webp => decode_with(WebPDecoder::new(Cursor::new(bytes)).map_err(corrupt)?, header),
    }));
    decoded.unwrap_or_else(|_| {
        tracing::error!(?header, bytes = bytes.len(), "a picture made its decoder panic");
        Err(broken("it cannot be decoded"))
    })
}

fn decode_with(mut decoder: impl ImageDecoder, header: &Header) -> Result<Decoded> {
    let color = decoder.color_type();
    if decoder.dimensions() != (header.width, header.height) || decoder.total_bytes() > header.decode_bytes {
        return Err(disagrees());
    }
    // Unreadable metadata is no reason to refuse a readable picture.
    let exif = decoder.exif_metadata().ok().flatten();
    let icc_profile = decoder.icc_profile().ok().flatten();
    let mut pixels = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut pixels).map_err(corrupt)?;
    if matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16) {
        narrow(&mut pixels);
    }
    let channels = usize::from(color.channel_count());
    if color.has_alpha() {
        flatten_on_white(&mut pixels, channels);
    }
    Ok(Decoded {
        pixels: image(header, pixels)?,
        orientation: exif.map_or(Orientation::NoTransforms, |exif| orientation(&exif)),
        icc_profile,
    })
}

/// Converts 16-bit samples to 8 bits, in place: a second buffer would double the peak.
fn narrow(pixels: &mut Vec<u8>) {
    for sample in 0..pixels.len() / 2 {
        let wide = u16::from_ne_bytes([pixels[sample * 2], pixels[sample * 2 + 1]]);
        // The nearest of 256 steps: 65,535 / 255 = 257.
        pixels[sample] = ((u32::from(wide) + 128) / 257) as u8;
    }
    pixels.truncate(pixels.len() / 2);
}

/// Removes the alpha channel, the last of `channels`, by blending with white; in place.
fn flatten_on_white(pixels: &mut Vec<u8>, channels: usize) {
    let colors = channels - 1;
    let count = pixels.len() / channels;
    for pixel in 0..count {
        let alpha = u32::from(pixels[pixel * channels + colors]);
        for color in 0..colors {
            let value = u32::from(pixels[pixel * channels + color]);
            pixels[pixel * colors + color] = ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    pixels.truncate(count * colors);
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
