//! What people write: how long it may be and what it may not contain.

use tripod::web::{FieldError, Problem};

/// Checks the texts of one request and collects what is wrong with each field.
#[derive(Default)]
pub struct Texts {
    errors: Vec<FieldError>,
}

impl Texts {
    /// A text of at most `longest` characters, trimmed.
    pub fn take(&mut self, field: &str, text: &str, longest: usize) -> String {
        let text = text.trim();
        if text.chars().count() > longest {
            self.refuse(field, format!("must have at most {longest} characters"));
        }
        // Line breaks and tabs are how people write; other control characters are no text.
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(field, "must not contain control characters");
        }
        text.to_owned()
    }

    /// Says what is wrong with a field.
    pub fn refuse(&mut self, field: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(field, detail));
    }

    /// Whether all is well.
    ///
    /// # Errors
    /// 422 with every field at fault.
    pub fn check(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(self.errors)) }
    }
}

/// A user name as it is stored: lower-cased, `[a-z0-9._]{1,30}`.
pub fn username(texts: &mut Texts, text: &str) -> String {
    let name = text.trim().to_ascii_lowercase();
    let fits = (1..=30).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_'));
    if !fits {
        texts.refuse("username", "must have 1 to 30 of the characters a-z, 0-9, '.' and '_'");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for good in ["a", "Kevin", "a.b_c9", &"x".repeat(30)] {
            let mut texts = Texts::default();
            assert_eq!(username(&mut texts, good), good.to_lowercase());
            texts.check().unwrap();
        }
        // The Kelvin sign lower-cases to k and the dotless i looks like an i: neither is one.
        for bad in ["", " ", "a b", "ä", "\u{212A}evin", "kev\u{131}n", "a\0", "a\u{200b}b", &"x".repeat(31)]
        {
            let mut texts = Texts::default();
            username(&mut texts, bad);
            assert_eq!(texts.check().unwrap_err().status, 422, "{bad:?} was taken");
        }
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let mut texts = Texts::default();
        texts.take("bio", &"x".repeat(151), 150);
        texts.take("full_name", "a\0b", 64);
        texts.take("caption", "two\nlines", 10);
        let problem = texts.check().unwrap_err();
        let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["bio", "full_name"]);
    }
}
