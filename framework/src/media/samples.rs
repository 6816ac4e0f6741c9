//! Pictures for tests, generated in code so that each byte of interest is known.
//!
//! Invariant: deterministic; nothing is read from disk and no random numbers are used.

use std::io::Cursor;

use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageBuffer, ImageFormat, Rgb, RgbImage, Rgba};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// The colours of [`quarters`]: top left, top right, bottom left, bottom right.
pub(super) const QUARTERS: [[u8; 3]; 4] = [[220, 30, 30], [30, 200, 30], [30, 30, 220], [240, 240, 240]];

/// Four quarters of different colours, which distinguish upright from all seven other orientations.
pub(super) fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(QUARTERS[usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2)])
    })
}

/// Gradients and a fine pattern, so that every part of the file carries information.
pub(super) fn texture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let fine = ((x * 7) ^ (y * 13)) % 32;
        Rgb([(x * 200 / width + fine) as u8, (y * 200 / height + fine) as u8, (x + y) as u8])
    })
}

pub(super) fn jpeg(width: u32, height: u32, progressive: bool) -> Vec<u8> {
    jpeg_of(&texture(width, height), progressive)
}

pub(super) fn jpeg_of(picture: &RgbImage, progressive: bool) -> Vec<u8> {
    encode(picture, ColorType::Rgb, (picture.width(), picture.height()), progressive)
}

/// Four inks, as Photoshop stores them (inverted); all of them at `ink`.
pub(super) fn jpeg_cmyk(width: u32, height: u32, ink: u8) -> Vec<u8> {
    encode(&vec![ink; (width * height * 4) as usize], ColorType::Cmyk, (width, height), false)
}

pub(super) fn jpeg_gray(width: u32, height: u32, level: u8) -> Vec<u8> {
    encode(&vec![level; (width * height) as usize], ColorType::Luma, (width, height), false)
}

fn encode(pixels: &[u8], color: ColorType, size: (u32, u32), progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_progressive(progressive);
    encoder.encode(pixels, size.0 as u16, size.1 as u16, color).unwrap();
    bytes
}

/// Inserts segments after SOI: each is a marker's second byte and its data.
pub(super) fn with_segments(jpeg: &[u8], segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    for (marker, data) in segments {
        bytes.extend([0xFF, *marker]);
        bytes.extend((data.len() as u16 + 2).to_be_bytes());
        bytes.extend(data);
    }
    bytes.extend(&jpeg[2..]);
    bytes
}

/// APP1 with the orientation (1 to 8), a GPS directory and the text `SECRETGPS`.
pub(super) fn exif(orientation: u16) -> (u8, Vec<u8>) {
    let mut data = b"Exif\0\0".to_vec();
    data.extend(tiff(orientation));
    (0xE1, data)
}

/// The TIFF structure inside EXIF, big-endian: IFD0 at 8 with two entries, then the GPS IFD.
pub(super) fn tiff(orientation: u16) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let [high, low] = orientation.to_be_bytes();
    let gps_ifd = 8 + 2 + 2 * 12 + 4_u32;
    let text_at = gps_ifd + 2 + 2 * 12 + 4;
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    tiff.extend(entry(0x0112, 3, 1, [high, low, 0, 0]));
    tiff.extend(entry(0x8825, 4, 1, gps_ifd.to_be_bytes()));
    tiff.extend([0, 0, 0, 0, 0, 2]);
    tiff.extend(entry(0x0001, 2, 2, *b"N\0\0\0")); // GPSLatitudeRef
    tiff.extend(entry(0x0012, 2, 10, text_at.to_be_bytes())); // GPSMapDatum
    tiff.extend([0; 4]);
    tiff.extend(b"SECRETGPS\0");
    tiff
}

/// APP2 with an ICC profile in one part.
pub(super) fn icc(profile: &[u8]) -> (u8, Vec<u8>) {
    (0xE2, [b"ICC_PROFILE\0\x01\x01", profile].concat())
}

/// What a camera stores for `upright` when it records `orientation`, by the EXIF standard's table (CIPA
/// DC-008, tag 0x0112) and not by the code under test.
pub(super) fn stored(upright: &RgbImage, orientation: u16) -> RgbImage {
    let (width, height) = upright.dimensions();
    let (right, bottom) = (width - 1, height - 1);
    let size = if orientation >= 5 { (height, width) } else { (width, height) };
    RgbImage::from_fn(size.0, size.1, |x, y| {
        let (x, y) = match orientation {
            1 => (x, y),
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (right - y, x),
            7 => (right - y, bottom - x),
            8 => (y, bottom - x),
            _ => unreachable!(),
        };
        *upright.get_pixel(x, y)
    })
}

/// Pixel (x, y) has alpha 255 in its left half and 0 in its right half.
pub(super) fn png_rgba(width: u32, height: u32) -> Vec<u8> {
    let picture = ImageBuffer::from_fn(width, height, |x, y| {
        Rgba([200, (y * 5) as u8, 40, if x < width / 2 { 255 } else { 0 }])
    });
    png_of(picture.into())
}

pub(super) fn png_rgb16(width: u32, height: u32) -> Vec<u8> {
    let picture = ImageBuffer::<Rgb<u16>, _>::from_pixel(width, height, Rgb([51_400, 128, 129]));
    png_of(picture.into())
}

/// Transparent black RGBA: a tiny file.
pub(super) fn png_of_zeros(width: u32, height: u32) -> Vec<u8> {
    png_of(DynamicImage::new_rgba8(width, height))
}

pub(super) fn png_of(picture: DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A PNG that claims a size in its only chunk, and has no pixels.
pub(super) fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0DIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(b"\0\0\0\0IEND\xAE\x42\x60\x82");
    bytes
}

pub(super) fn webp_lossless(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = texture(width, height);
    WebPEncoder::new_lossless(&mut bytes).encode(&picture, width, height, ExtendedColorType::Rgb8).unwrap();
    bytes
}
