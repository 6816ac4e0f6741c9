//! Generated photos: small ones that differ, and a large one with all the metadata that must be removed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use image::{ExtendedColorType, ImageFormat, Rgb, RgbImage};

/// A small JPEG, different from all others of this run.
pub fn small() -> Vec<u8> {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    jpeg(64, 48, number)
}

/// A JPEG of this size; different numbers give different pictures.
pub fn jpeg(width: u32, height: u32, number: u32) -> Vec<u8> {
    encode(width, height, number, ImageFormat::Jpeg)
}

/// A PNG of this size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    encode(width, height, 0, ImageFormat::Png)
}

/// A WebP of this size.
pub fn webp(width: u32, height: u32) -> Vec<u8> {
    encode(width, height, 0, ImageFormat::WebP)
}

/// A JPEG of noise, which compresses badly: its renditions have megabytes.
pub fn noise(width: u32, height: u32) -> Vec<u8> {
    // Xorshift: any fixed sequence will do.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let pixels: Vec<u8> = (0..width as usize * height as usize * 3)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    write(&pixels, width, height, ImageFormat::Jpeg)
}

/// A phone's photo: 4,000 x 3,000 pixels, to be rotated right (EXIF orientation 6), with a location
/// (EXIF GPS), XMP, a colour profile's segment and a comment. Its stored top left quarter is red, which
/// is the top right one when upright; the rest is blue.
pub fn of_phone() -> &'static [u8] {
    static PHOTO: OnceLock<Vec<u8>> = OnceLock::new();
    PHOTO.get_or_init(|| {
        let (red, blue) = ([220, 30, 30].repeat(2_000), [30, 30, 220].repeat(2_000));
        let (upper, lower) = ([red, blue.clone()].concat(), blue.repeat(2));
        let pixels = [upper.repeat(1_500), lower.repeat(1_500)].concat();
        let plain = write(&pixels, 4_000, 3_000, ImageFormat::Jpeg);
        let (start, rest) = plain.split_at(2);
        let mut photo = start.to_vec();
        photo.extend(segment(0xe1, &exif()));
        photo.extend(segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>secret</x:xmpmeta>"));
        photo.extend(segment(0xe2, b"ICC_PROFILE\0\x01\x01no profile"));
        photo.extend(segment(0xfe, b"GPS 37.33N"));
        photo.extend(rest);
        photo
    })
}

/// The start of a PNG that claims these dimensions, with a correct checksum and no pixels.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&chunk);
    png.extend(crc32(&chunk).to_be_bytes());
    png.extend(b"\0\0\0\x01IDAT\0\0\0\0\0");
    png
}

fn encode(width: u32, height: u32, number: u32, format: ImageFormat) -> Vec<u8> {
    let [_, r, g, b] = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
    let pixels = RgbImage::from_fn(width, height, |x, y| {
        if x < width / 2 { Rgb([r, g, b]) } else { Rgb([(x % 251) as u8, (y % 241) as u8, number as u8]) }
    });
    write(&pixels, width, height, format)
}

/// Through a file: encoders that write to memory would be compiled here, unoptimised.
fn write(pixels: &[u8], width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    image::save_buffer_with_format(file.path(), pixels, width, height, ExtendedColorType::Rgb8, format)
        .expect("a picture can be encoded");
    std::fs::read(file.path()).expect("a file that was just written")
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).expect("a segment is short");
    [&[0xff, marker], &length.to_be_bytes()[..], content].concat()
}

/// A handmade TIFF block: the orientation, and a pointer to a GPS directory with a latitude.
fn exif() -> Vec<u8> {
    let mut tiff = b"Exif\0\0II\x2a\0".to_vec();
    tiff.extend(8_u32.to_le_bytes());
    tiff.extend(2_u16.to_le_bytes());
    tiff.extend(entry(0x0112, 3, 1, 6)); // Orientation: turn right by 90 degrees to view.
    tiff.extend(entry(0x8825, 4, 1, 38)); // GPSInfo: at byte 38.
    tiff.extend(0_u32.to_le_bytes());
    tiff.extend(2_u16.to_le_bytes());
    tiff.extend(entry(1, 2, 2, u32::from(b'N'))); // GPSLatitudeRef.
    tiff.extend(entry(2, 5, 3, 68)); // GPSLatitude: three rationals at byte 68.
    tiff.extend(0_u32.to_le_bytes());
    for part in [37_u32, 1, 19, 1, 54, 1] {
        tiff.extend(part.to_le_bytes());
    }
    tiff
}

fn entry(tag: u16, kind: u16, count: u32, value: u32) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}
