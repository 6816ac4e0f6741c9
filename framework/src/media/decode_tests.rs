//! Tests of decoding: false headers, truncated files, and every kind of pixel.

use image::{DynamicImage, GrayAlphaImage, ImageBuffer, Luma, LumaA};

use super::*;
use crate::media::header::jpeg;
use crate::media::samples;

fn decoded(bytes: &[u8]) -> Result<Decoded> {
    decode(bytes, &Header::read(bytes)?)
}

fn refused(bytes: &[u8]) -> String {
    let error = decoded(bytes).err().expect("it was accepted");
    assert!(error.is_invalid(), "{error:?}");
    error.to_string()
}

#[test]
fn a_jpeg_cut_off_anywhere_is_refused() {
    for progressive in [false, true] {
        let jpeg = samples::jpeg(96, 64, progressive);
        decoded(&jpeg).unwrap();
        for length in 3..jpeg.len() {
            refused(&jpeg[..length]);
        }
    }
}

/// An end marker alone does not make a picture complete.
#[test]
fn a_jpeg_cut_off_in_its_scan_is_refused_even_with_an_end_mark() {
    for progressive in [false, true] {
        let jpeg = samples::jpeg(320, 240, progressive);
        let scan = jpeg.windows(2).position(|two| two == [0xFF, 0xDA]).unwrap() + 14;
        // A later scan of a progressive JPEG may be short: the picture is then softer, not grey.
        let end = jpeg::extent(&jpeg).unwrap().first_scan_end;
        for length in (scan..end).step_by(97) {
            refused(&[&jpeg[..length], &[0xFF, 0xD9]].concat());
        }
    }
}

/// White rows take a byte or two each: the decoder's read-ahead must not be mistaken for truncation.
#[test]
fn a_plain_jpeg_is_not_taken_for_one_that_is_cut_off() {
    for (width, height) in [(1, 1), (8, 8), (16, 16), (16, 160), (17, 31), (200, 3), (500, 500)] {
        for level in [0, 127, 128, 255] {
            let plain = image::RgbImage::from_pixel(width, height, image::Rgb([level; 3]));
            decoded(&samples::jpeg_of(&plain, false)).unwrap();
            decoded(&samples::jpeg_of(&plain, true)).unwrap();
            decoded(&samples::jpeg_gray(width, height, level)).unwrap();
            decoded(&samples::jpeg_cmyk(width, height, level)).unwrap();
        }
    }
}

#[test]
fn what_follows_the_end_of_a_jpeg_is_ignored() {
    let jpeg = samples::jpeg(64, 48, false);
    let second = samples::jpeg(640, 480, false);
    for tail in [&b"SEFT trailer"[..], &second, b"<script>alert(1)</script>"] {
        assert_eq!(decoded(&[&jpeg, tail].concat()).unwrap().pixels.width(), 64);
    }
}

#[test]
fn a_png_or_webp_cut_off_anywhere_is_refused() {
    for whole in [samples::png_rgba(40, 30), samples::webp_lossless(40, 30)] {
        decoded(&whole).unwrap();
        for length in 12..whole.len() {
            refused(&whole[..length]);
        }
    }
}

/// Changes one byte after another: nothing panics, and no picture is larger than its header allows.
#[test]
fn a_flipped_byte_never_panics() {
    for whole in [
        samples::jpeg(48, 32, false),
        samples::jpeg(48, 32, true),
        samples::png_rgba(24, 16),
        samples::webp_lossless(24, 16),
    ] {
        for position in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x55;
            if let Err(error) = decoded(&bytes) {
                assert!(error.is_invalid() || error.is_unsupported(), "{position}: {error:?}");
            }
        }
    }
}

#[test]
fn bombs_are_refused_by_their_header() {
    assert!(refused(&samples::png_that_claims(60_000, 60_000)).contains("60000 x 60000"));
    assert!(refused(&samples::png_that_claims(16_000, 16_000)).contains("million"));
    assert!(refused(&samples::png_that_claims(0, 10)).contains("no pixels"));
    assert!(refused(&samples::png_that_claims(10, 10)).contains("damaged"));
}

#[test]
fn a_jpeg_whose_header_lies_is_refused() {
    for progressive in [false, true] {
        let mut jpeg = samples::jpeg(128, 96, progressive);
        let frame = [0xFF, if progressive { 0xC2 } else { 0xC0 }];
        let frame = jpeg.windows(2).position(|two| two == frame).unwrap();
        let mut claim = |height: u16, width: u16| {
            jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
            jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
            refused(&jpeg)
        };
        assert!(claim(65_535, 65_535).contains("65535 x 65535"));
        assert!(claim(0, 640).contains("no pixels"));
        // Sizes within the limits, but with pixels for only a part of the picture.
        for (height, width) in [(640, 640), (192, 128), (144, 128), (96, 256), (16_000, 500)] {
            assert!(claim(height, width).contains("damaged"));
        }
    }
}

#[test]
fn orientation_is_read_from_every_format_that_has_it() {
    let exif = samples::exif(6);
    let jpeg = samples::with_segments(&samples::jpeg(64, 48, false), &[exif]);
    assert_eq!(decoded(&jpeg).unwrap().orientation, Orientation::Rotate90);
    for broken in [&b"Exif\0\0"[..], b"Exif\0\0MM\0*\xFF\xFF\xFF\xFF", b"Exif\0\0II*\0\x08\0\0\0\xFF\xFF"] {
        let jpeg = samples::jpeg(64, 48, false);
        let jpeg = samples::with_segments(&jpeg, &[(0xE1, broken.to_vec())]);
        assert_eq!(decoded(&jpeg).unwrap().orientation, Orientation::NoTransforms);
    }
    assert_eq!(orientation(&samples::tiff(8)), Orientation::Rotate270);
    assert_eq!(orientation(&samples::tiff(9)), Orientation::NoTransforms);
}

#[test]
fn alpha_is_flattened_on_white() {
    let DynamicImage::ImageRgb8(rgb) = decoded(&samples::png_rgba(40, 30)).unwrap().pixels else {
        panic!("not RGB")
    };
    assert_eq!(rgb.get_pixel(0, 10).0, [200, 50, 40]);
    assert_eq!(rgb.get_pixel(39, 10).0, [255, 255, 255]);
    let half = GrayAlphaImage::from_pixel(3, 2, LumaA([100, 128]));
    let pixels = decoded(&samples::png_of(half.into())).unwrap().pixels;
    assert!(matches!(pixels, DynamicImage::ImageLuma8(_)));
    // (100 x 128 + 255 x 127) / 255
    assert_eq!(pixels.as_bytes(), [177; 6]);
}

#[test]
fn sixteen_bits_become_the_nearest_eight() {
    let pixels = decoded(&samples::png_rgb16(5, 4)).unwrap().pixels;
    assert_eq!(&pixels.as_bytes()[..3], [200, 0, 1]);
    let gray = ImageBuffer::<Luma<u16>, _>::from_pixel(5, 4, Luma([65_535]));
    assert_eq!(decoded(&samples::png_of(gray.into())).unwrap().pixels.as_bytes(), [255; 20]);
}

#[test]
fn gray_and_ink_jpegs_are_decoded() {
    let gray = decoded(&samples::jpeg_gray(40, 30, 90)).unwrap().pixels;
    assert!(matches!(&gray, DynamicImage::ImageLuma8(gray) if gray.get_pixel(7, 7).0 == [90]));
    let no_ink = decoded(&samples::jpeg_cmyk(40, 30, 0)).unwrap().pixels.into_rgb8();
    assert!(no_ink.get_pixel(7, 7).0.iter().all(|level| *level > 250));
    let all_ink = decoded(&samples::jpeg_cmyk(40, 30, 255)).unwrap().pixels.into_rgb8();
    assert!(all_ink.get_pixel(7, 7).0.iter().all(|level| *level < 5));
}
