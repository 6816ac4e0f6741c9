//! The cost of decoding a picture, read from its header before anything is allocated.
//!
//! Invariants: nothing here allocates in proportion to what a header claims. The parsers are our own, so
//! that a picture's memory use is known before any decoder sees a byte of it; the decoders' own limits
//! are best effort (the documentation of `image::Limits` says so). A file that ends before its format's
//! end mark is refused, because decoders fill the missing part with grey.

pub(super) mod jpeg;
mod png;
mod webp;

use super::format::Format;
use crate::error::{Error, Result};

/// The longest accepted side of a picture, in pixels. WebP's own limit is 16,383; the longest panoramas
/// from current phones are about 16,000.
pub const MAX_SIDE_PIXELS: u32 = 16_384;

/// The maximum memory for decoding one picture, in bytes. 160 MiB is 55 million pixels of baseline JPEG
/// less the file itself, which fits a phone's 50-megapixel mode. It leaves room for a small picture
/// beside it in the default budget of 192 MiB, which keeps the total within 256 MiB.
pub const MAX_DECODE_BYTES: u64 = 160 << 20;

/// The format, size and cost of a picture, as stated in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The file's format.
    pub(super) format: Format,
    /// Columns as stored, in pixels, before any orientation is applied.
    pub(super) width: u32,
    /// Rows as stored, in pixels.
    pub(super) height: u32,
    /// An upper bound on the decoder's peak allocation, output included, in bytes.
    pub(super) decode_bytes: u64,
}

impl Header {
    /// Reads the header and checks it against [`MAX_SIDE_PIXELS`] and [`MAX_DECODE_BYTES`].
    ///
    /// # Errors
    ///
    /// `is_unsupported` if the format is not accepted; `is_invalid` if the header is broken, cut off or
    /// false, or exceeds a limit.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let format = Format::sniff(bytes)?;
        let header = match format {
            Format::Jpeg => jpeg::read(bytes)?,
            Format::Png => png::read(bytes)?,
            Format::Webp => webp::read(bytes)?,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 {
            return Err(Error::invalid("the picture has no pixels"));
        }
        if width > MAX_SIDE_PIXELS || height > MAX_SIDE_PIXELS {
            return Err(Error::invalid(format!(
                "the picture is {width} x {height} pixels; at most {MAX_SIDE_PIXELS} a side are \
                 accepted"
            )));
        }
        if self.decode_bytes > MAX_DECODE_BYTES {
            // A limit in pixels helps the user most, and it depends on how this file is stored.
            let pixels = u64::from(width) * u64::from(height);
            let most = MAX_DECODE_BYTES as f64 / (self.decode_bytes as f64 / pixels as f64) / 1e6;
            return Err(Error::invalid(format!(
                "the picture is {width} x {height} pixels; at most {most:.0} million in all are \
                 accepted of a file like this"
            )));
        }
        Ok(())
    }
}

/// The error for a file that ends before its format says it does.
pub(super) fn cut_off() -> Error {
    Error::invalid("the picture is cut off: its end is missing, so please send it again")
}

/// The error for a file that contradicts itself or its format.
pub(super) fn broken(what: &str) -> Error {
    Error::invalid(format!("the picture is broken: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::samples;
    use crate::testing::fuzz::fuzz;

    fn header(width: u32, height: u32, bytes_per_pixel: u64) -> Header {
        let decode_bytes = u64::from(width) * u64::from(height) * bytes_per_pixel;
        Header { format: Format::Png, width, height, decode_bytes }
    }

    #[test]
    fn a_header_of_any_bytes_is_read_or_refused() {
        let photos = [
            samples::with_segments(
                &samples::jpeg(40, 30, false),
                &[samples::exif(6), samples::icc(b"profile")],
            ),
            samples::jpeg(40, 30, true),
            samples::jpeg_cmyk(16, 16, 9),
            samples::png_rgba(30, 20),
            samples::png_rgb16(8, 8),
            samples::webp_lossless(30, 20),
        ];
        let corpus: Vec<&[u8]> = photos.iter().map(Vec::as_slice).collect();
        let words: [&[u8]; 12] = [
            b"\xff\xd8",
            b"\xff\xc0",
            b"\xff\xc2",
            b"\xff\xda",
            b"\xff\xd9",
            b"IHDR",
            b"IDAT",
            b"IEND",
            b"RIFF",
            b"WEBPVP8 ",
            b"VP8X",
            b"ANMF",
        ];
        fuzz(&corpus, &words, |input| match Header::read(input) {
            Ok(header) => {
                assert!((1..=MAX_SIDE_PIXELS).contains(&header.width));
                assert!((1..=MAX_SIDE_PIXELS).contains(&header.height));
                assert!(header.decode_bytes <= MAX_DECODE_BYTES);
            }
            Err(error) => assert!(error.is_invalid() || error.is_unsupported(), "{error:?}"),
        });
    }

    #[test]
    fn limits_are_on_sides_and_on_memory() {
        header(8_160, 6_120, 3).check().unwrap(); // a 50-megapixel phone
        header(16_384, 1, 3).check().unwrap();
        let error = header(60_000, 60_000, 3).check().unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains("60000 x 60000 pixels; at most 16384 a side"));
        let error = header(16_384, 16_384, 4).check().unwrap_err();
        assert!(error.to_string().contains("at most 42 million"), "{error}");
        assert!(header(0, 5, 3).check().unwrap_err().to_string().contains("no pixels"));
    }
}
