//! Decodes JPEG with the decoder's own interface: `image` runs it in a lenient mode that fills
//! undecodable parts with grey and reports success.
//!
//! Invariant: a JPEG is refused unless its scan has data for all the pixels of its header. Even the
//! strict mode takes an end marker before the last row to mean that the rest is empty. That is what a
//! header with a false size looks like, and so does a truncated upload with an end marker added. Without
//! the marker, the decoder runs out of bytes and reports it. For a progressive JPEG this applies to the
//! first scan; if a later scan is short, the picture is softer, as it is while loading.

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::decoded::{Decoded, corrupt, disagrees, image, orientation};
use super::header::jpeg::{self, Extent};
use super::header::{Header, MAX_SIDE_PIXELS};
use crate::error::Result;

/// Replaces the end marker: the decoder reads up to eight bytes ahead, and the last rows of a picture
/// can take fewer if they are all white. A code of only ones is unassigned (T.81, annex C), so nothing
/// can be decoded from these bytes. Each 0xFF is followed by its stuffed zero.
const READ_AHEAD: [u8; 16] = [0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0];

/// Decodes to grey or RGB. CMYK is converted to RGB with the simple formula.
pub(super) fn decode_jpeg(bytes: &[u8], header: &Header) -> Result<Decoded> {
    let extent = jpeg::extent(bytes)?;
    if extent.first_scan_end == extent.end && !extent.is_progressive {
        return decode_whole(&without_mark(bytes, extent), header);
    }
    // The decoder needs the markers between the scans.
    if extent.is_progressive {
        let first_scan = without_mark(bytes, extent);
        let (mut decoder, mut pixels) = open(&first_scan, header)?;
        // There always is an error, as no marker follows the scan. This kind means only that; any other
        // means a code that is wrong or missing.
        match decoder.decode_into(&mut pixels) {
            Ok(()) | Err(DecodeErrors::FormatStatic(_)) => {}
            Err(error) => return Err(corrupt(error)),
        }
    }
    decode_whole(&bytes[..extent.end + 2], header)
}

/// The file up to the end of its first scan, without an end marker.
fn without_mark(bytes: &[u8], extent: Extent) -> Vec<u8> {
    [&bytes[..extent.first_scan_end], &READ_AHEAD].concat()
}

fn decode_whole(bytes: &[u8], header: &Header) -> Result<Decoded> {
    let (mut decoder, mut pixels) = open(bytes, header)?;
    decoder.decode_into(&mut pixels).map_err(corrupt)?;
    // The profile of a CMYK file describes inks, but the pixels are RGB now.
    let inks = matches!(decoder.input_colorspace(), Some(ColorSpace::CMYK | ColorSpace::YCCK));
    Ok(Decoded {
        pixels: image(header, pixels)?,
        orientation: decoder.exif().map_or(Orientation::NoTransforms, |exif| orientation(exif)),
        icc_profile: decoder.icc_profile().filter(|_| !inks),
    })
}

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// A decoder that has read the headers, and a buffer for the pixels.
fn open<'a>(bytes: &'a [u8], header: &Header) -> Result<(Decoder<'a>, Vec<u8>)> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE_PIXELS as usize)
        .set_max_height(MAX_SIDE_PIXELS as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(corrupt)?;
    if decoder.dimensions() != Some((header.width as usize, header.height as usize)) {
        return Err(disagrees());
    }
    let is_gray = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let out = if is_gray { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    let pixels = vec![0; header.width as usize * header.height as usize * out.num_components()];
    Ok((decoder, pixels))
}
