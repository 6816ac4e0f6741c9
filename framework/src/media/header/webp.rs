//! The header of a WebP: its chunks, and the size that each one states.
//!
//! Invariants: the file holds one picture, and the canvas states the same size as the picture. The
//! decoder trusts the picture's own size when it allocates, so a canvas of 1 x 1 around a picture of
//! 16,383 x 16,383 would pass a check of the canvas alone.

use super::{Header, broken, cut_off};
use crate::error::{Error, Result};
use crate::media::format::Format;

/// Bytes per pixel of a lossy picture: 1.5 of YUV and 3 of RGB, rounded up.
const LOSSY: u64 = 5;
/// The same with alpha: 4 of RGBA, 1 of alpha and 4 that a lossless alpha plane is decoded through.
const LOSSY_ALPHA: u64 = 11;
/// Bytes per pixel of a lossless picture: decoded as RGBA, then copied to RGB.
const LOSSLESS: u64 = 8;

pub(super) fn read(bytes: &[u8]) -> Result<Header> {
    let Some(size) = bytes.get(4..8) else { return Err(cut_off()) };
    let end = 8 + number(size) as usize;
    if end > bytes.len() {
        return Err(cut_off());
    }
    let (mut canvas, mut picture, mut alpha) = (None, None, false);
    let mut position = 12;
    while position + 8 <= end {
        let start = position + 8;
        let length = number(&bytes[position + 4..start]) as usize;
        let Some(data) = bytes[..end].get(start..start + length) else { return Err(cut_off()) };
        let stated = match &bytes[position..position + 4] {
            b"VP8X" => {
                canvas = Some(extended(data)?);
                None
            }
            b"VP8 " => Some((lossy(data)?, false)),
            b"VP8L" => Some((lossless(data)?, true)),
            b"ANIM" | b"ANMF" => return Err(animated()),
            b"ALPH" => {
                alpha = true;
                None
            }
            _ => None,
        };
        if stated.is_some() && picture.is_some() {
            return Err(broken("it holds two pictures"));
        }
        picture = picture.or(stated);
        // Chunks are padded to an even length.
        position = start + length + length % 2;
    }
    let Some(((width, height), is_lossless)) = picture else { return Err(cut_off()) };
    if canvas.is_some_and(|canvas| canvas != (width, height)) {
        return Err(broken("its canvas and its picture differ in size"));
    }
    let pixel_bytes = match (is_lossless, alpha) {
        (true, _) => LOSSLESS,
        (false, true) => LOSSY_ALPHA,
        (false, false) => LOSSY,
    };
    let decode_bytes = u64::from(width) * u64::from(height) * pixel_bytes;
    Ok(Header { format: Format::Webp, width, height, decode_bytes })
}

fn animated() -> Error {
    Error::unsupported("this looks like an animated WebP; JPEG, PNG and still WebP are accepted")
}

/// VP8X: a byte of flags, three reserved, then width - 1 and height - 1 of three bytes each.
fn extended(data: &[u8]) -> Result<(u32, u32)> {
    let Some(data) = data.get(..10) else { return Err(cut_off()) };
    if data[0] & 0b10 != 0 {
        return Err(animated());
    }
    Ok((number(&data[4..7]) + 1, number(&data[7..10]) + 1))
}

/// VP8 (RFC 6386, 9.1): three bytes of tag, the start code, then 14 bits each, with 2 of scaling.
fn lossy(data: &[u8]) -> Result<(u32, u32)> {
    let Some(data) = data.get(..10) else { return Err(cut_off()) };
    if data[3..6] != [0x9D, 0x01, 0x2A] {
        return Err(broken("it does not start with a key frame"));
    }
    Ok((number(&data[6..8]) & 0x3FFF, number(&data[8..10]) & 0x3FFF))
}

/// VP8L: a signature byte, then width - 1 and height - 1 of 14 bits each.
fn lossless(data: &[u8]) -> Result<(u32, u32)> {
    let Some(data) = data.get(..5) else { return Err(cut_off()) };
    if data[0] != 0x2F {
        return Err(broken("its lossless signature is missing"));
    }
    let bits = number(&data[1..5]);
    Ok(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::samples;

    #[test]
    fn the_header_states_size_and_cost() {
        let header = read(&samples::webp_lossless(30, 20)).unwrap();
        assert_eq!((header.width, header.height, header.decode_bytes), (30, 20, 30 * 20 * 8));
    }

    #[test]
    fn every_truncation_is_refused() {
        let webp = samples::webp_lossless(30, 20);
        for length in 12..webp.len() {
            assert!(read(&webp[..length]).unwrap_err().is_invalid(), "{length} bytes");
        }
    }

    #[test]
    fn a_canvas_that_lies_is_refused() {
        let mut body = b"WEBPVP8X\x0A\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        body.extend(b"VP8L\x05\0\0\0\x2F\xFF\xFF\xFF\x0F\0");
        let mut webp = b"RIFF".to_vec();
        webp.extend((body.len() as u32).to_le_bytes());
        webp.extend(&body);
        let error = read(&webp).unwrap_err();
        assert!(error.to_string().contains("differ in size"), "{error}");
    }

    #[test]
    fn an_animation_is_refused_as_such() {
        let webp = b"RIFF\x16\0\0\0WEBPVP8X\x0A\0\0\0\x02\0\0\0\0\0\0\0\0\0";
        assert!(read(webp).unwrap_err().is_unsupported());
    }
}
