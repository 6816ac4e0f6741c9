//! Makes untrusted uploaded pictures safe to show, and stores them.
//!
//! The path of an upload: [`Processor::process`] sniffs the bytes ([`Format`]), reads the header without
//! allocating, waits for its share of memory, decodes, applies the orientation, converts to sRGB, and
//! makes a few JPEG renditions and a placeholder. [`MediaStore::put`] stores each rendition under a
//! random [`MediaKey`]. A picture drawn by the program itself takes the same path from its pixels on
//! ([`Processor::process_drawn`]).
//!
//! Invariants:
//! - No byte of an upload is stored or served: every rendition is encoded again from pixels.
//! - No memory is allocated for pixels before the header's dimensions have passed the limits.
//! - Renditions carry no metadata: no EXIF, XMP, ICC profile, comment or thumbnail.
//! - Once [`MediaStore::put`] has acknowledged a file, it survives a loss of power and never changes.
//!
//! `media` knows nothing of HTTP or of who may see a picture. Only [`Uploads`] uses a database, so that
//! files and the row that refers to them are created and deleted together.

mod color;
mod decode;
mod decode_jpeg;
mod decoded;
mod format;
mod header;
mod key;
mod picture;
mod placeholder;
mod processor;
mod rendition;
mod resize;
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
