//! The header of a PNG, and the check that its last chunk is there.
//!
//! Invariant: the cost is the maximum for the colour type, including a `tRNS` chunk.

use super::{Header, broken, cut_off};
use crate::error::Result;
use crate::media::format::Format;

pub(super) fn read(bytes: &[u8]) -> Result<Header> {
    // Eight bytes of signature, four of length, four of type, then IHDR's thirteen.
    let Some(header) = bytes.get(8..29) else { return Err(cut_off()) };
    if header[..8] != *b"\0\0\0\x0DIHDR" {
        return Err(broken("its first chunk is not IHDR"));
    }
    let width = number(&header[8..12]);
    let height = number(&header[12..16]);
    let (depth, color) = (header[16], header[17]);
    // Channels as the decoder outputs them: a palette becomes RGB; grey, RGB and palettes gain an alpha
    // channel if there is a tRNS chunk.
    let channels = match color {
        0 | 4 => 2,
        2 | 3 | 6 => 4,
        _ => return Err(broken("its colour type does not exist")),
    };
    let channel_bytes = if depth > 8 { 2 } else { 1 };
    ensure_complete(bytes)?;
    Ok(Header {
        format: Format::Png,
        width,
        height,
        decode_bytes: u64::from(width) * u64::from(height) * channels * channel_bytes,
    })
}

/// Walks the chunks to `IEND`. The decoder stops after the last row and would not notice its absence.
fn ensure_complete(bytes: &[u8]) -> Result<()> {
    let mut position = 8;
    loop {
        let Some(start) = bytes.get(position..position + 8) else { return Err(cut_off()) };
        // Twelve: the length, the type and the checksum.
        let next = position + 12 + number(&start[..4]) as usize;
        if next > bytes.len() {
            return Err(cut_off());
        }
        if start[4..] == *b"IEND" {
            return Ok(());
        }
        position = next;
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::samples;

    #[test]
    fn the_header_states_size_and_cost() {
        let header = read(&samples::png_rgba(30, 20)).unwrap();
        assert_eq!((header.width, header.height, header.decode_bytes), (30, 20, 30 * 20 * 4));
        let header = read(&samples::png_rgb16(30, 20)).unwrap();
        assert_eq!(header.decode_bytes, 30 * 20 * 8);
    }

    #[test]
    fn every_truncation_is_refused() {
        let png = samples::png_rgba(30, 20);
        for length in 8..png.len() {
            assert!(read(&png[..length]).unwrap_err().is_invalid(), "{length} bytes");
        }
    }
}
