//! User text: trimmed, in one Unicode form, bounded in length, and without control characters other than line
//! breaks and tabs.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, FieldError, Result};

/// Reads the text fields of one request and collects their errors, so that all are reported at once.
///
/// ```
/// use tripod::web::TextFields;
/// let mut fields = TextFields::default();
/// let caption = fields.text("caption", "  a cafe\u{301}\n", 0..=2_200);
/// let name = fields.line("name", "two\nlines", 1..=30);
/// assert_eq!(caption, "a caf\u{e9}");
/// let error = fields.check().unwrap_err();
/// assert_eq!(error.to_string(), "name must be one line");
/// ```
#[derive(Debug, Default)]
pub struct TextFields {
    errors: Vec<FieldError>,
}

impl TextFields {
    /// A text of several lines: trimmed, in Unicode form NFC, with a length within `characters`. Line
    /// breaks and tabs are allowed; other control characters are refused. A text in which nothing can be
    /// seen is empty.
    pub fn text(&mut self, field: &str, text: &str, characters: RangeInclusive<usize>) -> String {
        let mut text: String = text.trim().nfc().collect();
        if text.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
            text.clear();
        }
        let count = text.chars().count();
        if !characters.contains(&count) {
            self.refuse(field, length(&characters, count));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(field, "must not contain control characters");
        }
        text
    }

    /// A text like [`Self::text`], but of one line.
    pub fn line(&mut self, field: &str, text: &str, characters: RangeInclusive<usize>) -> String {
        let text = self.text(field, text, characters);
        if text.contains(['\n', '\r']) {
            self.refuse(field, "must be one line");
        }
        text
    }

    /// A new password: 8 to 200 characters of any kind, as [`Passwords`](super::Passwords) normalizes it.
    pub fn password(&mut self, field: &str, password: &str) {
        let (characters, count) = (8..=200, normalized_password(password).chars().count());
        if !characters.contains(&count) {
            self.refuse(field, length(&characters, count));
        }
    }

    /// Adds an error for a field, in words that follow its name.
    pub fn refuse(&mut self, field: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(field, detail));
    }

    /// Succeeds if every field is valid.
    ///
    /// # Errors
    /// Invalid, with an error for each invalid field.
    pub fn check(self) -> Result<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::invalid_fields(self.errors)) }
    }
}

/// Whether a character is drawn as nothing: Unicode's `Default_Ignorable_Code_Point`, and the empty braille
/// pattern.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A password as RFC 8265 prepares it (`OpaqueString`): other spaces become the ASCII space, and characters
/// have their composed form (NFC), so that a password is the same from every keyboard. The profile's list of
/// characters is not enforced: it would refuse those that Unicode has added since the list was made.
pub(super) fn normalized_password(password: &str) -> String {
    let is_space = |c| {
        matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
    };
    password.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc().collect()
}

/// Checks one text field that may have several lines; see [`TextFields::text`].
///
/// # Errors
/// Invalid, naming the field.
pub fn text_field(field: &str, text: &str, characters: RangeInclusive<usize>) -> Result<String> {
    let mut fields = TextFields::default();
    let text = fields.text(field, text, characters);
    fields.check().map(|()| text)
}

/// Checks one text field of a single line, such as a name; see [`TextFields::line`].
///
/// # Errors
/// Invalid, naming the field.
pub fn line_field(field: &str, text: &str, characters: RangeInclusive<usize>) -> Result<String> {
    let mut fields = TextFields::default();
    let text = fields.line(field, text, characters);
    fields.check().map(|()| text)
}

/// The error for a text of `count` characters, which is too short or too long.
fn length(characters: &RangeInclusive<usize>, count: usize) -> String {
    match (*characters.start(), *characters.end()) {
        (1, _) if count == 0 => "must not be empty".to_owned(),
        (0 | 1, most) => format!("must have at most {most} characters"),
        (least, usize::MAX) => format!("must have at least {least} characters"),
        (least, most) => format!("must have {least} to {most} characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_trimmed_and_normalised_and_counted_in_characters() {
        assert_eq!(text_field("a", " \u{1F600}\u{1F600} ", 1..=2).unwrap(), "\u{1F600}\u{1F600}");
        assert_eq!(
            text_field("a", "e\u{301}", 1..=1).unwrap(),
            "\u{e9}",
            "it is one character once composed"
        );
        assert_eq!(text_field("a", "one\n\ttwo", 0..=20).unwrap(), "one\n\ttwo");
        for (bad, says) in [
            ("", "must not be empty"),
            (" \n ", "must not be empty"),
            ("four", "must have at most 3 characters"),
            ("a\0b", "must not contain control characters"),
            ("a\u{1b}b", "must not contain control characters"),
            ("a\u{85}b", "must not contain control characters"),
        ] {
            let error = text_field("a", bad, 1..=3).unwrap_err();
            assert_eq!(error.to_string(), format!("a {says}"), "{bad:?}");
        }
    }

    #[test]
    fn a_text_in_which_nothing_can_be_seen_is_empty() {
        for unseen in
            ["\u{200b}", " \u{200b} \u{feff}\n\u{2060}", "\u{3164}\u{2800}", "\u{e0041}", "\u{ad}\u{fe0f}"]
        {
            assert_eq!(
                text_field("a", unseen, 1..=9).unwrap_err().to_string(),
                "a must not be empty",
                "{unseen:?}"
            );
            assert_eq!(text_field("a", unseen, 0..=9).unwrap(), "");
        }
        // Among others they have their uses: in emoji of families, between letters of Persian.
        for seen in ["\u{1f468}\u{200d}\u{1f469}", "\u{645}\u{6cc}\u{200c}\u{62e}", "a\u{200b}"] {
            assert_eq!(text_field("a", seen, 1..=9).unwrap(), seen);
        }
    }

    #[test]
    fn a_password_is_the_same_from_every_keyboard() {
        // RFC 8265, section 4.3, examples 2 and 4; then an e with its accent apart, as a Mac sends it.
        assert_eq!(normalized_password("correct\u{a0}horse\u{3000}battery"), "correct horse battery");
        assert_eq!(normalized_password("\u{3c0}\u{df}\u{e5} Jack"), "\u{3c0}\u{df}\u{e5} Jack");
        assert_eq!(normalized_password("cafe\u{301} A\u{30a}"), "caf\u{e9} \u{c5}");
        for kept in ["Correct Horse", " spaces stay ", "\u{fb01} is a ligature", "\u{1f9ff}\u{1faf6}"] {
            assert_eq!(normalized_password(kept), kept);
        }
        let mut fields = TextFields::default();
        fields.password("password", &"e\u{301}".repeat(7));
        assert!(fields.check().is_err(), "14 code points are 7 characters");
    }

    #[test]
    fn a_line_has_no_breaks() {
        assert_eq!(line_field("a", " one\n", 1..=3).unwrap(), "one");
        for bad in ["o\ne", "o\re"] {
            assert_eq!(line_field("a", bad, 1..=3).unwrap_err().to_string(), "a must be one line");
        }
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let mut fields = TextFields::default();
        fields.text("bio", &"x".repeat(151), 0..=150);
        fields.text("full_name", "a\0b", 0..=64);
        fields.text("caption", "two\nlines", 0..=10);
        let error = fields.check().unwrap_err();
        let fields: Vec<&str> = error.fields().iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["bio", "full_name"]);
    }
}
