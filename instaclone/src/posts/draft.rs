//! A new post as it is sent: a form whose texts are checked and whose photos are processed.

use axum::body::Bytes;
use serde::Deserialize;
use tripod::media::Processed;
use tripod::web::TextFields;
use tripod::{App, Result};
use utoipa::ToSchema;

use crate::entity::post::{Audience, CommentsFrom};

/// Maximum photos in a post.
const MOST_PHOTOS: usize = 10;
/// Maximum characters in a caption.
pub(super) const CAPTION: usize = 2_200;
/// Maximum characters in a photo's text alternative.
const ALT: usize = 1_000;
/// Maximum characters in a location.
const LOCATION: usize = 100;

/// The parts of a new post.
#[derive(Default, Deserialize, ToSchema)]
// `default` on the whole struct would put default values into the document, which generators of clients
// take for fields that must be sent.
#[serde(deny_unknown_fields)]
pub struct NewPost {
    /// 1 to 10 JPEG, PNG or WebP files; repeat the part for each.
    #[schema(value_type = Vec<String>, format = Binary, min_items = 1, max_items = 10, required)]
    #[serde(default)]
    photo: Vec<Bytes>,
    /// At most 2,200 characters.
    #[schema(value_type = Option<String>, max_length = 2200, nullable = false)]
    #[serde(default)]
    pub caption: String,
    /// What each photo shows, in the order of the photos; repeat the part for each.
    #[schema(value_type = Option<Vec<String>>, max_items = 10, nullable = false)]
    #[serde(default)]
    alt: Vec<String>,
    /// At most 100 characters.
    #[schema(max_length = 100, nullable = false)]
    location: Option<String>,
    /// Who may see it, of those who may see your posts: `everyone` or `close_friends`.
    #[schema(value_type = Option<Audience>, nullable = false)]
    #[serde(default)]
    pub(super) audience: Audience,
    /// Who may comment on it: `everyone`, `followers` or `nobody`.
    #[schema(value_type = Option<CommentsFrom>, nullable = false)]
    #[serde(default)]
    pub comments_from: CommentsFrom,
    /// A filter's name. So far only `original` exists.
    #[schema(pattern = "^(original)?$", nullable = false)]
    filter: Option<String>,
}

/// A new post's texts: checked, and as they are stored.
pub(super) struct Texts {
    pub(super) caption: String,
    pub(super) location: Option<String>,
    /// One per photo.
    pub(super) alts: Vec<String>,
}

impl NewPost {
    /// The texts as they are stored.
    ///
    /// # Errors
    /// Invalid, naming every field at fault.
    pub(super) fn texts(&self) -> Result<Texts> {
        let mut fields = TextFields::default();
        if self.photo.is_empty() {
            fields.refuse("photo", "must be sent at least once, as a file");
        }
        for (name, count) in [("photo", self.photo.len()), ("alt", self.alt.len())] {
            if count > MOST_PHOTOS {
                fields.refuse(name, format!("may be sent {MOST_PHOTOS} times at most"));
            }
        }
        let caption = fields.text("caption", &self.caption, 0..=CAPTION);
        let location = self.location.as_deref().map(|text| fields.text("location", text, 0..=LOCATION));
        let alts = self.alt.iter().enumerate();
        let mut alts: Vec<String> =
            alts.map(|(index, text)| fields.text(&format!("alt[{index}]"), text, 0..=ALT)).collect();
        // A page has a field for each possible photo; empty ones are ignored.
        let described = alts.iter().rposition(|alt| !alt.is_empty()).map_or(0, |last| last + 1);
        if described > self.photo.len() {
            fields.refuse("alt", "must not be sent more often than photo");
        }
        if self.filter.as_ref().is_some_and(|filter| filter != "original") {
            fields.refuse("filter", "must be original: there are no other filters yet");
        }
        fields.check()?;
        alts.resize(self.photo.len(), String::new());
        Ok(Texts { caption, location: location.filter(|location| !location.is_empty()), alts })
    }

    /// Processes the photos, one after another.
    ///
    /// # Errors
    /// The error of the first photo that is refused, at its field.
    pub(super) async fn pictures(&self, app: &App) -> Result<Vec<Processed>> {
        let mut pictures = Vec::new();
        for (index, photo) in self.photo.iter().enumerate() {
            let processed = app.pictures.process(photo.clone()).await;
            pictures.push(processed.map_err(|error| error.at_field(format!("photo[{index}]")))?);
        }
        Ok(pictures)
    }

    /// The typed description of the photo at this index.
    pub fn alt(&self, index: usize) -> &str {
        self.alt.get(index).map_or("", String::as_str)
    }

    /// Whether any photo but the first has a description.
    pub fn describes_several(&self) -> bool {
        self.alt.iter().skip(1).any(|alt| !alt.is_empty())
    }

    /// Whether it is to be for close friends only.
    pub fn is_for_close_friends(&self) -> bool {
        self.audience == Audience::CloseFriends
    }

    /// The typed location.
    pub fn location(&self) -> &str {
        self.location.as_deref().unwrap_or_default()
    }
}
