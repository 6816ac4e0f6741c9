//! The JPEGs that are shown in place of an upload: a few widths of one picture, largest first.
//!
//! Invariants: upright, sRGB, never larger than the upload, no two of the same size, and without
//! metadata of any kind. Calls are synchronous and keep a core busy: `Processor` bounds them.

use std::time::{Duration, Instant};

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use super::color::to_srgb;
use super::decode::decode;
use super::decoded::Decoded;
use super::header::Header;
use super::placeholder;
use super::resize::{resize, resize_gray};
use crate::error::{Error, Result};

/// The widths of renditions in pixels unless an app sets others, largest first: a phone's full width at
/// three pixels a point, a grid of two columns, and a grid of three.
pub const DEFAULT_WIDTHS: [u32; 3] = [1080, 640, 320];

/// A rendition is at most this many times as tall as its nominal width; taller pictures, such as
/// screenshots of whole pages, are fitted to that height instead.
const MAX_HEIGHT_RATIO: u32 = 4;

/// JPEG quality on libjpeg's scale of 1 to 100. Above about 85 a photo's size grows faster than
/// anybody sees; below about 75 edges show on phones.
const QUALITY: u8 = 82;

/// One JPEG of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The whole file, JPEG, without metadata.
    pub bytes: Vec<u8>,
}

/// How long each part of [`process`] took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Reading the header and decoding.
    pub decode: Duration,
    /// Scaling, turning upright, converting to sRGB, and the placeholder.
    pub resize: Duration,
    /// Encoding all renditions.
    pub encode: Duration,
}

/// What [`process`] makes of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processed {
    /// Width of the largest rendition in pixels, upright.
    pub width: u32,
    /// Height of the largest rendition in pixels, upright.
    pub height: u32,
    /// A `data:` URI of under 400 characters: a PNG of at most 8 x 8 pixels, for a page to show
    /// until a rendition has come.
    pub placeholder: String,
    /// At least one rendition, largest first, of different sizes.
    pub renditions: Vec<Rendition>,
    /// Where the time went.
    pub timings: Timings,
}

/// Makes renditions of an upload, fitted into each of these widths, which go from the largest to the
/// smallest. Takes tens to hundreds of milliseconds of a core and up to
/// [`MAX_DECODE_BYTES`](super::MAX_DECODE_BYTES) and the scaling of them: servers call
/// [`Processor::process`](super::Processor::process), which bounds both.
///
/// # Errors
///
/// `is_unsupported` for what is no JPEG, PNG or still WebP; `is_invalid` for one that is cut off,
/// damaged, too large, or lies about itself. Each sentence can be shown to who uploaded it.
///
/// ```
/// let error = tripod::media::process(b"GIF89a", &[1080, 320]).unwrap_err();
/// assert_eq!(error.to_string(), "this looks like a GIF; JPEG, PNG and WebP are accepted");
/// ```
pub fn process(bytes: &[u8], widths: &[u32]) -> Result<Processed> {
    process_with(bytes, &Header::read(bytes)?, widths)
}

/// As [`process`], of an upload whose header was read before.
pub(super) fn process_with(bytes: &[u8], header: &Header, widths: &[u32]) -> Result<Processed> {
    let start = Instant::now();
    let decoded = decode(bytes, header)?;
    render(decoded, start.elapsed(), widths)
}

/// As [`process`], of a picture that the program has drawn: its pixels, four bytes each, red,
/// green, blue and one that is not looked at.
pub(super) fn process_drawn(width: u32, height: u32, pixels: Vec<u8>, widths: &[u32]) -> Result<Processed> {
    let pixels = image::RgbaImage::from_raw(width, height, pixels)
        .ok_or_else(|| Error::internal("a drawn picture has fewer pixels than it says"))?;
    let pixels = DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(pixels).into_rgb8());
    let decoded = Decoded { pixels, orientation: Orientation::NoTransforms, icc_profile: None };
    render(decoded, Duration::ZERO, widths)
}

fn render(decoded: Decoded, decode: Duration, widths: &[u32]) -> Result<Processed> {
    let mut timings = Timings { decode, ..Timings::default() };
    let start = Instant::now();
    let sizes = sizes(upright_size(&decoded), widths);
    let mut pictures: Vec<RgbImage> = Vec::with_capacity(sizes.len());
    pictures.push(largest(decoded, sizes[0])?);
    for (width, height) in &sizes[1..] {
        let next_larger = &pictures[pictures.len() - 1];
        pictures.push(resize(next_larger, *width, *height)?);
    }
    let placeholder = placeholder::data_uri(&pictures[pictures.len() - 1])?;
    timings.resize = start.elapsed();

    let start = Instant::now();
    let renditions = pictures.iter().map(encode).collect::<Result<Vec<_>>>()?;
    timings.encode = start.elapsed();
    Ok(Processed { width: sizes[0].0, height: sizes[0].1, placeholder, renditions, timings })
}

/// Scales first, as turning and converting cost time by the pixel.
fn largest(decoded: Decoded, (width, height): (u32, u32)) -> Result<RgbImage> {
    let Decoded { pixels, orientation, icc_profile } = decoded;
    let (width, height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    let mut pixels = match pixels {
        same if (same.width(), same.height()) == (width, height) => same,
        DynamicImage::ImageLuma8(gray) => resize_gray(&gray, width, height)?.into(),
        other => resize(&other.into_rgb8(), width, height)?.into(),
    };
    pixels.apply_orientation(orientation);
    Ok(to_srgb(pixels, icc_profile.as_deref()))
}

/// Progressive, as a page then shows all of a picture early, and its tables fit it: both together
/// also make the file smaller by about a tenth.
fn encode(picture: &RgbImage) -> Result<Rendition> {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::with_capacity((width * height / 4) as usize);
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // The default takes one pixel of four, which makes coloured edges jagged.
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.set_progressive(true);
    encoder
        .encode(picture, width as u16, height as u16, ColorType::Rgb)
        .map_err(|error| Error::internal("cannot encode a rendition").because(error))?;
    Ok(Rendition { width, height, bytes })
}

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn upright_size(decoded: &Decoded) -> (u32, u32) {
    let (width, height) = (decoded.pixels.width(), decoded.pixels.height());
    if swaps_sides(decoded.orientation) { (height, width) } else { (width, height) }
}

/// The sizes of renditions of a picture of `width` x `height`: fitted into each width and
/// [`MAX_HEIGHT_RATIO`] times it, never larger than the picture, each size once.
fn sizes((width, height): (u32, u32), widths: &[u32]) -> Vec<(u32, u32)> {
    let mut sizes: Vec<_> = widths.iter().map(|most| fit(width, height, *most)).collect();
    sizes.dedup();
    sizes
}

fn fit(width: u32, height: u32, most: u32) -> (u32, u32) {
    let (most_width, most_height) = (most, most * MAX_HEIGHT_RATIO);
    let ratio =
        (f64::from(most_width) / f64::from(width)).min(f64::from(most_height) / f64::from(height)).min(1.0);
    let side = |length: u32| ((f64::from(length) * ratio).round() as u32).max(1);
    (side(width), side(height))
}

#[cfg(test)]
#[path = "rendition_tests.rs"]
mod tests;
