//! Collects every mistake in one input, so that one compilation shows them all.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Error;

/// The mistakes found so far, in order.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    /// Adds a mistake, shown at `place`.
    pub(crate) fn at(&mut self, place: impl ToTokens, sentence: impl Display) {
        self.push(Error::new_spanned(place, sentence));
    }

    /// Adds a mistake found by syn.
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// The mistakes as `compile_error!`s, if there are any.
    pub(crate) fn report(self) -> Option<TokenStream> {
        self.0.map(|errors| errors.to_compile_error())
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(written, name);
    known.iter().copied().min_by_key(distance).filter(|name| distance(name) <= 1 + written.len() / 4)
}

/// Suggests the probable name, or lists the existing ones: "did you mean `by`?".
pub(crate) fn suggest(written: &str, known: &[&str], what: &str) -> String {
    match (nearest(written, known), known) {
        (Some(name), _) => format!("did you mean `{name}`?"),
        (None, []) => format!("there are no {what}"),
        (None, [only]) => format!("there is only `{only}`"),
        (None, _) => format!("the {what} are {}", list(known)),
    }
}

/// "`a`, `b` and `c`".
fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
