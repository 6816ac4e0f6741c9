//! Tests of whole uploads: the renditions are upright, small and free of metadata.

use super::*;
use crate::media::samples::{self, QUARTERS};

fn decode_jpeg(rendition: &Rendition) -> RgbImage {
    let picture = image::load_from_memory(&rendition.bytes).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (rendition.width, rendition.height));
    picture
}

fn is_near(found: [u8; 3], expected: [u8; 3], by: u8) -> bool {
    found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= by)
}

/// The second bytes of all markers outside of scans.
fn markers(jpeg: &[u8]) -> Vec<u8> {
    let (mut markers, mut position) = (Vec::new(), 2);
    while position < jpeg.len() {
        assert_eq!(jpeg[position], 0xFF, "at {position}");
        let marker = jpeg[position + 1];
        markers.push(marker);
        position += 2;
        if marker == 0xD9 {
            break;
        }
        position += usize::from(jpeg[position]) << 8 | usize::from(jpeg[position + 1]);
        if marker == 0xDA {
            while jpeg[position] != 0xFF || matches!(jpeg[position + 1], 0 | 0xD0..=0xD7) {
                position += 1;
            }
        }
    }
    assert_eq!(position, jpeg.len(), "bytes after the end");
    markers
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[test]
fn all_eight_orientations_come_out_upright() {
    let upright = samples::quarters(1_120, 840);
    for orientation in 1..=8 {
        let jpeg = samples::jpeg_of(&samples::stored(&upright, orientation), false);
        let upload = samples::with_segments(&jpeg, &[samples::exif(orientation)]);
        let processed = process(&upload, &DEFAULT_WIDTHS).unwrap();
        assert_eq!((processed.width, processed.height), (1_080, 810), "orientation {orientation}");
        let widths: Vec<_> = processed.renditions.iter().map(|rendition| rendition.width).collect();
        assert_eq!(widths, DEFAULT_WIDTHS);
        for rendition in &processed.renditions {
            let picture = decode_jpeg(rendition);
            let (right, bottom) = (rendition.width - 11, rendition.height - 11);
            let corners = [(10, 10), (right, 10), (10, bottom), (right, bottom)];
            for ((x, y), color) in corners.into_iter().zip(QUARTERS) {
                let found = picture.get_pixel(x, y).0;
                assert!(is_near(found, color, 6), "orientation {orientation}: {found:?} {color:?}");
            }
        }
    }
}

#[test]
fn no_metadata_reaches_a_rendition() {
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let upload = samples::with_segments(
        &samples::jpeg(1_200, 900, false),
        &[
            samples::exif(1),
            (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>SECRETXMP</x:xmpmeta>".to_vec()),
            samples::icc(&p3),
            (0xED, b"Photoshop 3.0\08BIM SECRETIPTC".to_vec()),
            (0xFE, b"SECRETCOMMENT".to_vec()),
        ],
    );
    let upload = [&upload[..], b"SECRETTRAILER"].concat();
    assert!(contains(&upload, b"SECRETGPS") && contains(&upload, b"SECRETTRAILER"));
    for rendition in process(&upload, &DEFAULT_WIDTHS).unwrap().renditions {
        // APP0 is JFIF, which states no more than that this is a JPEG.
        let foreign: Vec<_> = markers(&rendition.bytes)
            .into_iter()
            .filter(|marker| matches!(marker, 0xE1..=0xEF | 0xFE))
            .collect();
        assert!(foreign.is_empty(), "{foreign:02X?}");
        for what in [&b"SECRET"[..], b"Exif", b"ICC_PROFILE", b"http", b"Photoshop", b"8BIM"] {
            assert!(!contains(&rendition.bytes, what), "{}", String::from_utf8_lossy(what));
        }
    }
}

#[test]
fn a_display_p3_photo_is_converted() {
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let color = image::Rgb([128, 179, 102]);
    let jpeg = samples::jpeg_of(&RgbImage::from_pixel(400, 300, color), false);
    let plain = decode_jpeg(&process(&jpeg, &DEFAULT_WIDTHS).unwrap().renditions[0]);
    assert!(is_near(plain.get_pixel(9, 9).0, [128, 179, 102], 3));
    let upload = samples::with_segments(&jpeg, &[samples::icc(&p3)]);
    let converted = decode_jpeg(&process(&upload, &DEFAULT_WIDTHS).unwrap().renditions[0]);
    assert!(is_near(converted.get_pixel(9, 9).0, [112, 181, 92], 4));
}

#[test]
fn every_kind_of_picture_is_processed() {
    for upload in [
        samples::jpeg(700, 500, true),
        samples::jpeg_gray(700, 500, 90),
        samples::jpeg_cmyk(700, 500, 90),
        samples::png_rgba(700, 500),
        samples::png_rgb16(700, 500),
        samples::webp_lossless(700, 500),
    ] {
        let processed = process(&upload, &DEFAULT_WIDTHS).unwrap();
        assert_eq!((processed.width, processed.height), (700, 500));
        assert_eq!(processed.renditions.len(), 3);
        assert!(processed.placeholder.starts_with("data:image/png;base64,"));
        assert!(processed.placeholder.len() < 400);
    }
    let gray =
        decode_jpeg(&process(&samples::jpeg_gray(700, 500, 90), &DEFAULT_WIDTHS).unwrap().renditions[1]);
    assert!(is_near(gray.get_pixel(9, 9).0, [90; 3], 2));
}

#[test]
fn a_rendition_is_never_larger_than_the_upload_nor_made_twice() {
    assert_eq!(sizes((4_032, 3_024), &DEFAULT_WIDTHS), [(1_080, 810), (640, 480), (320, 240)]);
    assert_eq!(sizes((500, 400), &DEFAULT_WIDTHS), [(500, 400), (320, 256)]);
    assert_eq!(sizes((640, 480), &DEFAULT_WIDTHS), [(640, 480), (320, 240)]);
    assert_eq!(sizes((1, 1), &DEFAULT_WIDTHS), [(1, 1)]);
    // Very tall is bound by its height, very wide by its width.
    assert_eq!(sizes((1_000, 16_000), &DEFAULT_WIDTHS), [(270, 4_320), (160, 2_560), (80, 1_280)]);
    assert_eq!(sizes((16_384, 1), &DEFAULT_WIDTHS), [(1_080, 1), (640, 1), (320, 1)]);
}

#[test]
fn what_is_no_picture_is_refused_with_a_sentence() {
    for upload in [&b""[..], b"GIF89a", b"<svg>", b"<html>", b"\0\0\0\x18ftypheic", b"%PDF-1.7"] {
        assert!(process(upload, &DEFAULT_WIDTHS).unwrap_err().is_unsupported());
    }
    assert!(process(b"\xFF\xD8\xFF", &DEFAULT_WIDTHS).unwrap_err().is_invalid());
}
