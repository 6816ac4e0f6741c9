//! The frame header of a JPEG, and the walk over its segments to the end mark.
//!
//! Invariants: a JPEG without its EOI marker is refused, because the decoder would fill the rest with
//! grey and report success. So is one with more scans than a picture needs, because each scan costs a
//! pass over the whole picture however few bytes it has.

use super::{Header, broken, cut_off};
use crate::error::{Error, Result};
use crate::media::format::Format;

/// The maximum scans of a progressive JPEG: 10 is usual, optimisers use up to about 40.
const MAX_SCANS: usize = 64;

/// Reads up to the first scan.
pub(in crate::media) fn read(bytes: &[u8]) -> Result<Header> {
    let mut frame = None;
    for segment in Segments::new(bytes) {
        let Segment { marker, data, .. } = segment?;
        match marker {
            // Every SOFn; DHT (C4), JPG (C8) and DAC (CC) share their range.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                if frame.is_some() {
                    return Err(broken("it has two frame headers"));
                }
                frame = Some(Frame::read(marker, data)?);
            }
            0xDA => {
                let frame = frame.ok_or_else(|| broken("its frame header is missing"))?;
                let scan_components = data.first().copied().unwrap_or(0);
                return Ok(frame.header(scan_components, bytes.len()));
            }
            0xD9 => return Err(broken("it has no pixels")),
            _ => {}
        }
    }
    Err(cut_off())
}

/// The layout of a JPEG's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) struct Extent {
    /// The offset of the marker after the first scan.
    pub(in crate::media) first_scan_end: usize,
    /// The offset of the EOI marker. In nearly every camera's JPEG it equals `first_scan_end`.
    pub(in crate::media) end: usize,
    /// Whether the first pixels are rough and later scans refine them.
    pub(in crate::media) is_progressive: bool,
}

/// Walks all segments and scans to EOI. Data after EOI is ignored: phones append depth maps, a second
/// picture for HDR displays, or a video.
pub(in crate::media) fn extent(bytes: &[u8]) -> Result<Extent> {
    let (mut scans, mut most_scans, mut is_progressive) = (0, MAX_SCANS, false);
    let mut first_scan_end = None;
    for segment in Segments::new(bytes) {
        let Segment { marker, data, start } = segment?;
        if scans == 1 {
            first_scan_end.get_or_insert(start);
        }
        match marker {
            // Sequential: at most one scan per component, however they are interleaved.
            0xC0 | 0xC1 => most_scans = usize::from(data.get(5).copied().unwrap_or(0)).min(4),
            0xC2 => is_progressive = true,
            0xDA => {
                scans += 1;
                if scans > most_scans {
                    return Err(broken("it has more scans than a picture needs"));
                }
            }
            0xD9 => {
                let first_scan_end = first_scan_end.unwrap_or(start);
                return Ok(Extent { first_scan_end, end: start, is_progressive });
            }
            _ => {}
        }
    }
    Err(cut_off())
}

struct Frame {
    progressive: bool,
    width: u32,
    height: u32,
    components: u8,
    /// The number of coefficients in the whole picture, if the decoder keeps them.
    coefficients: u64,
}

impl Frame {
    /// SOFn: precision, height, width, count, then id, sampling and table of each component.
    fn read(marker: u8, data: &[u8]) -> Result<Self> {
        if !matches!(marker, 0xC0..=0xC2) {
            return Err(Error::unsupported(
                "this is a rare kind of JPEG (lossless, hierarchical or arithmetic); baseline and \
                 progressive ones are accepted",
            ));
        }
        let [_, h1, h2, w1, w2, components, rest @ ..] = data else { return Err(cut_off()) };
        let (width, height) = (u32::from_be_bytes([0, 0, *w1, *w2]), u16::from_be_bytes([*h1, *h2]));
        if !matches!(components, 1 | 3 | 4) || rest.len() != usize::from(*components) * 3 {
            return Err(broken("its frame header contradicts itself"));
        }
        let sampling = rest.chunks_exact(3).map(|component| (component[1] >> 4, component[1] & 15));
        let (mut across, mut down, mut blocks) = (1, 1, 0);
        for (h, v) in sampling {
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) {
                return Err(broken("its sampling factors do not exist"));
            }
            (across, down) = (across.max(h), down.max(v));
            blocks += u64::from(h) * u64::from(v);
        }
        let height = u32::from(height);
        let units = u64::from(width.div_ceil(8 * u32::from(across)))
            * u64::from(height.div_ceil(8 * u32::from(down)));
        Ok(Self {
            progressive: marker == 0xC2,
            width,
            height,
            components: *components,
            coefficients: units * blocks * 64,
        })
    }

    /// The decoder writes RGB or grey row by row, from a copy of the file. If the components come in
    /// several scans, it first keeps every coefficient, two bytes each.
    fn header(&self, scan_components: u8, file_bytes: usize) -> Header {
        let channels = if self.components == 1 { 1 } else { 3 };
        let pixels = u64::from(self.width) * u64::from(self.height);
        let kept = self.progressive || scan_components < self.components;
        Header {
            format: Format::Jpeg,
            width: self.width,
            height: self.height,
            decode_bytes: pixels * channels + if kept { self.coefficients * 2 } else { file_bytes as u64 },
        }
    }
}

/// A marker and its segment's data; for SOS, the scan header only, as the scan itself is skipped.
struct Segment<'a> {
    marker: u8,
    data: &'a [u8],
    /// The offset of the marker.
    start: usize,
}

struct Segments<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Segments<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 2 }
    }

    /// From `position`, moves past the next marker that is neither RST nor a stuffed 0xFF.
    fn seek_marker(&mut self) -> Option<u8> {
        loop {
            let offset = self.bytes.get(self.position..)?.iter().position(|byte| *byte == 0xFF)?;
            self.position += offset + 1;
            match *self.bytes.get(self.position)? {
                // A fill byte: the marker may follow.
                0xFF => {}
                0x00 | 0x01 | 0xD0..=0xD7 => self.position += 1,
                marker => {
                    self.position += 1;
                    return Some(marker);
                }
            }
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let marker = self.seek_marker()?;
        let start = self.position - 2;
        if marker == 0xD9 {
            return Some(Ok(Segment { marker, data: &[], start }));
        }
        let bytes = self.bytes.get(self.position..self.position + 2)?;
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        if length < 2 {
            return Some(Err(broken("a segment is shorter than its own length")));
        }
        let data = self.bytes.get(self.position + 2..self.position + length)?;
        self.position += length;
        Some(Ok(Segment { marker, data, start }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::samples;

    #[test]
    fn the_header_states_size_and_cost() {
        let jpeg = samples::jpeg(33, 20, false);
        let header = read(&jpeg).unwrap();
        assert_eq!((header.width, header.height), (33, 20));
        assert_eq!(header.decode_bytes, 33 * 20 * 3 + jpeg.len() as u64);
        // Progressive, 4:2:0: 3 x 2 units of six blocks of 64 coefficients of two bytes.
        let header = read(&samples::jpeg(33, 20, true)).unwrap();
        assert_eq!(header.decode_bytes, 33 * 20 * 3 + 3 * 2 * 6 * 64 * 2);
    }

    #[test]
    fn every_truncation_is_refused() {
        for progressive in [false, true] {
            let jpeg = samples::jpeg(64, 48, progressive);
            assert_eq!(extent(&jpeg).unwrap().end, jpeg.len() - 2);
            for length in 2..jpeg.len() {
                let error = extent(&jpeg[..length]).unwrap_err();
                assert!(error.is_invalid(), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_repeated_scan_is_refused() {
        let jpeg = samples::jpeg(64, 48, false);
        let scan = jpeg.windows(2).position(|two| two == [0xFF, 0xDA]).unwrap();
        let end = jpeg.len() - 2;
        let mut bomb = jpeg[..end].to_vec();
        for _ in 0..1_000 {
            bomb.extend_from_slice(&jpeg[scan..end]);
        }
        bomb.extend([0xFF, 0xD9]);
        let error = extent(&bomb).unwrap_err();
        assert!(error.to_string().contains("more scans"), "{error}");
    }
}
