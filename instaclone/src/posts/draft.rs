//! A new post as it is sent: a form that is read part by part, whose pictures are processed at once.

use sha2::{Digest, Sha256};
use tripod::media::Processed;
use tripod::web::body::Multipart;
use tripod::web::{Problem, TextFields};
use tripod::{App, Error, Result};
use utoipa::ToSchema;

/// Maximum photos in a post.
const MOST_PHOTOS: usize = 10;
/// Maximum parts in the form: a photo and its alt each, and a few more.
const MOST_PARTS: usize = 2 * MOST_PHOTOS + 4;
/// Maximum characters in a caption.
pub(super) const CAPTION: usize = 2_200;
/// Maximum characters in a photo's text alternative.
const ALT: usize = 1_000;
/// Maximum characters in a location.
const LOCATION: usize = 100;
/// Maximum bytes in a text part: enough for the longest text, and not much more.
const TEXT_BYTES: usize = 4 * CAPTION;

/// The parts of a new post.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the form; it is read part by part")]
pub struct NewPost {
    /// 1 to 10 JPEG, PNG or WebP files; repeat the part for each.
    #[schema(value_type = Vec<String>, format = Binary, min_items = 1, max_items = 10)]
    photo: Vec<u8>,
    /// At most 2,200 characters.
    #[schema(max_length = 2200, nullable = false)]
    caption: Option<String>,
    /// What each photo shows, in the order of the photos; repeat the part for each.
    #[schema(max_items = 10, nullable = false)]
    alt: Option<Vec<String>>,
    /// At most 100 characters.
    #[schema(max_length = 100, nullable = false)]
    location: Option<String>,
    /// A filter's name. So far only `original` exists.
    #[schema(pattern = "^(original)?$", nullable = false)]
    filter: Option<String>,
}

/// A new post as it was sent: pictures are processed, and nothing is stored.
#[derive(Default)]
pub struct Draft {
    pub(super) pictures: Vec<Processed>,
    pub(super) alts: Vec<String>,
    /// As typed.
    pub caption: String,
    pub(super) location: Option<String>,
    digests: Vec<[u8; 32]>,
    fields: TextFields,
    /// Why the first invalid picture was refused.
    refused: Option<Error>,
}

impl Draft {
    /// Reads a form to its end, even if one of its pictures is refused, so that the typed text is not
    /// lost. [`Draft::check`] reports the errors of the parts.
    pub async fn read(&mut self, app: &App, Multipart(mut parts): Multipart) -> Result<(), Problem> {
        let (mut photos, mut count) = (0, 0);
        while let Some(part) = parts.next_field().await? {
            let name = part.name().unwrap_or_default().to_owned();
            if count == MOST_PARTS {
                return Err(Problem::invalid("", format!("the form may have {MOST_PARTS} parts at most")));
            }
            count += 1;
            let unnamed = part.file_name() == Some("");
            let bytes = part.bytes().await?;
            // Browsers send this if no file was chosen.
            if name == "photo" && unnamed && bytes.is_empty() {
                continue;
            }
            self.digests.push(
                Sha256::new()
                    .chain_update(name.as_bytes())
                    .chain_update([0])
                    .chain_update(&bytes)
                    .finalize()
                    .into(),
            );
            match name.as_str() {
                "photo" if self.refused.is_some() => {}
                "photo" if photos == MOST_PHOTOS => {
                    let detail = format!("may be sent {MOST_PHOTOS} times at most");
                    self.refused = Some(Error::invalid_field("photo", detail));
                }
                "photo" => {
                    match app.pictures.process(bytes).await {
                        Ok(picture) => self.pictures.push(picture),
                        Err(error) if error.is_invalid() || error.is_unsupported() => {
                            self.refused = Some(error.at_field(format!("photo[{photos}]")));
                        }
                        Err(error) => return Err(error.into()),
                    }
                    photos += 1;
                }
                "caption" => self.caption = self.fields.text("caption", text(&name, &bytes)?, 0..=CAPTION),
                "alt" if self.alts.len() == MOST_PHOTOS => {
                    self.fields.refuse("alt", format!("may be sent {MOST_PHOTOS} times at most"));
                }
                "alt" => {
                    let field = format!("alt[{}]", self.alts.len());
                    self.alts.push(self.fields.text(&field, text(&name, &bytes)?, 0..=ALT));
                }
                "location" => {
                    let location = self.fields.text("location", text(&name, &bytes)?, 0..=LOCATION);
                    self.location = Some(location).filter(|location| !location.is_empty());
                }
                "filter" if matches!(text(&name, &bytes)?, "" | "original") => {}
                "filter" => self.fields.refuse("filter", "must be original: there are no other filters yet"),
                _ => self.fields.refuse(
                    &name,
                    "is not a part of a post; those are photo, caption, alt, location and filter",
                ),
            }
        }
        Ok(())
    }

    /// Checks that the draft can be published.
    ///
    /// # Errors
    /// The refusal of the first invalid picture, or the errors of all other parts.
    pub fn check(&mut self) -> Result<()> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        let mut fields = std::mem::take(&mut self.fields);
        if self.pictures.is_empty() {
            fields.refuse("photo", "must be sent at least once, as a file");
        }
        // A page has a field for each possible photo; empty ones are ignored.
        let described = self.alts.iter().rposition(|alt| !alt.is_empty()).map_or(0, |last| last + 1);
        if described > self.pictures.len() {
            fields.refuse("alt", "must not be sent more often than photo");
        }
        fields.check()?;
        self.alts.resize(self.pictures.len(), String::new());
        Ok(())
    }

    /// The hash of each part, to tell a repeat from another post.
    pub fn digests(&self) -> impl Iterator<Item = &[u8]> {
        self.digests.iter().map(<[u8; 32]>::as_slice)
    }

    /// The typed text, for a form that is shown again: files can't be put into a form.
    pub fn without_pictures(&self) -> Self {
        Self {
            alts: self.alts.clone(),
            caption: self.caption.clone(),
            location: self.location.clone(),
            ..Self::default()
        }
    }

    /// The typed description of the photo at this index.
    pub fn alt(&self, index: usize) -> &str {
        self.alts.get(index).map_or("", String::as_str)
    }

    /// Whether any photo but the first has a description.
    pub fn describes_several(&self) -> bool {
        self.alts.iter().skip(1).any(|alt| !alt.is_empty())
    }

    /// The typed location.
    pub fn location(&self) -> &str {
        self.location.as_deref().unwrap_or_default()
    }
}

fn text<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Problem> {
    if bytes.len() > TEXT_BYTES {
        return Err(Problem::invalid(name, format!("must have at most {TEXT_BYTES} bytes")));
    }
    std::str::from_utf8(bytes).map_err(|_| Problem::malformed(format!("The part {name} is not UTF-8.")))
}
