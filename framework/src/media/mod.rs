//! Pictures that strangers send, made safe to show; and the store that keeps them.
//!
//! The way of an upload: [`Processor::process`] sniffs the bytes ([`Format`]), reads the header
//! without allocating, waits for its share of memory, decodes, turns upright, converts to sRGB,
//! makes a few JPEG renditions and a placeholder; [`MediaStore::put`] keeps each under a random
//! [`MediaKey`]. A picture that the program drew itself goes the same way from its pixels on
//! ([`Processor::process_drawn`]).
//!
//! Invariants:
//! - No byte of an upload is stored or served: every rendition is encoded anew from pixels.
//! - Nothing is allocated for pixels before the header's dimensions have passed the limits.
//! - Renditions carry no metadata: no EXIF, XMP, ICC profile, comment or thumbnail.
//! - What [`MediaStore::put`] acknowledged survives a loss of power, and is never changed.
//!
//! `media` never touches HTTP or who may see a picture. Only [`Uploads`] knows of a database: files
//! and the row that refers to them come and go together.

mod color;
mod decode;
mod decode_jpeg;
mod format;
mod header;
mod key;
mod picture;
mod placeholder;
mod processor;
mod rendition;
mod store;
mod store_directory;
mod store_s3;
mod upload;

#[cfg(test)]
mod samples;

pub use format::Format;
pub use header::{MAX_DECODE_BYTES, MAX_SIDE_PIXELS};
pub use key::MediaKey;
pub use picture::{Picture, PictureFile};
pub use processor::{Bounds, Processor};
pub use rendition::{DEFAULT_WIDTHS, Processed, Rendition, Timings, process};
pub use store::MediaStore;
pub use store_s3::PresignedPut;
pub use upload::{DeleteUpload, Upload, Uploads};
