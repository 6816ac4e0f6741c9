//! Detects a file's format from its first bytes alone.
//!
//! Invariant: the file name and the Content-Type that a client sent are never consulted, because the
//! uploader controls both.

use crate::error::{Error, Result};

/// An accepted picture format. [`Format::sniff`] refuses everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (ITU-T T.81), baseline or progressive, also as the first picture of an Ultra HDR file.
    Jpeg,
    /// PNG; for an animated one, the default image, which every decoder shows.
    Png,
    /// WebP, lossy or lossless. Animated files are refused later, from the header.
    Webp,
}

/// The `ftyp` brands of HEIC and HEIF files (ISO/IEC 23008-12, annexes B and C).
const HEIC_BRANDS: [&[u8; 4]; 10] =
    [b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"];

impl Format {
    /// Detects the format from the first bytes of a file.
    ///
    /// # Errors
    ///
    /// `is_unsupported` if the format is not accepted; the message names what the bytes look like, if
    /// that is known.
    pub fn sniff(bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            return Ok(Self::Jpeg);
        }
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Ok(Self::Png);
        }
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Ok(Self::Webp);
        }
        Err(Error::unsupported(match looks_like(bytes) {
            Some("a HEIC photo") => {
                "this looks like a HEIC photo; JPEG, PNG and WebP are accepted (on an iPhone, \
                 Settings > Camera > Formats > Most Compatible makes JPEGs)"
                    .to_owned()
            }
            Some(name) => format!("this looks like {name}; JPEG, PNG and WebP are accepted"),
            None => "this is no picture that can be read; JPEG, PNG and WebP are accepted".into(),
        }))
    }
}

/// The name, with its article, of an unsupported format.
fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("an empty file");
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        let brand = bytes.get(8..12)?;
        return Some(match brand {
            b"avif" | b"avis" => "an AVIF picture",
            _ if HEIC_BRANDS.iter().any(|known| *known == brand) => "a HEIC photo",
            _ => "a video",
        });
    }
    let magic: [(&[u8], &str); 11] = [
        (b"GIF8", "a GIF"),
        (b"II*\0", "a TIFF or a camera's raw file"),
        (b"MM\0*", "a TIFF or a camera's raw file"),
        (b"%PDF-", "a PDF"),
        (b"BM", "a BMP"),
        (b"8BPS", "a Photoshop document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1A\x45\xDF\xA3", "a video"),
        (b"\0\0\0\x0CJXL ", "a JPEG XL picture"),
        (b"\xFF\x0A", "a JPEG XL picture"),
        (b"\0\0\x01\0", "an icon"),
    ];
    if let Some((_, name)) = magic.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(name);
    }
    // Markup may begin with a byte order mark, white space, a declaration or comments: look for the
    // element anywhere near the start, as browsers do.
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_lowercase();
    if start.contains("<svg") {
        Some("an SVG drawing")
    } else if start.contains("<html") || start.contains("<!doctype") || start.contains("<script") {
        Some("a web page")
    } else if !start.contains(['\0', '\u{FFFD}']) {
        Some("text")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_formats_are_told_by_their_first_bytes() {
        assert_eq!(Format::sniff(b"\xFF\xD8\xFF\xE0").unwrap(), Format::Jpeg);
        assert_eq!(Format::sniff(b"\x89PNG\r\n\x1a\n").unwrap(), Format::Png);
        assert_eq!(Format::sniff(b"RIFF\0\0\0\0WEBPVP8 ").unwrap(), Format::Webp);
    }

    #[test]
    fn what_is_refused_is_named() {
        let cases: [(&[u8], &str); 14] = [
            (b"", "an empty file"),
            (b"GIF89a", "a GIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0", "Most Compatible"),
            (b"\0\0\0\x18ftypavif\0\0\0\0", "an AVIF"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'><script>", "an SVG"),
            (b"\xEF\xBB\xBF<?xml version='1.0'?><!-- x --><SVG>", "an SVG"),
            (b"  <!DOCTYPE html><html>", "a web page"),
            (b"%PDF-1.7", "a PDF"),
            (b"II*\0", "a TIFF"),
            (b"MM\0*", "a TIFF"),
            (b"hello, world", "text"),
            (b"\0\x01\x02\x03", "no picture"),
        ];
        for (bytes, name) in cases {
            let error = Format::sniff(bytes).unwrap_err();
            assert!(error.is_unsupported());
            assert!(error.to_string().contains(name), "{error} does not name {name}");
            assert!(error.to_string().contains("JPEG, PNG and WebP are accepted"), "{error}");
        }
    }
}
