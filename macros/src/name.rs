//! Names that are stored in tables and queues, and so outlive the types that carry them.

use syn::{DeriveInput, LitStr};

use crate::errors::Errors;

/// Reports a name that is not 1 to `longest` of a-z, 0-9, `_` and, if `dots`, `.`.
pub(crate) fn check(name: &LitStr, longest: usize, dots: bool, errors: &mut Errors) {
    let text = name.value();
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_') || (dots && byte == b'.');
    if text.is_empty() || text.len() > longest || !text.bytes().all(fits) {
        let letters = if dots { "a-z, 0-9, `_` and `.`" } else { "a-z, 0-9 and `_`" };
        errors.at(name, format!("a name is 1 to {longest} of {letters}"));
    }
}

/// Reports generic parameters; returns whether there are none.
pub(crate) fn refuse_generics(input: &DeriveInput, what: &str, errors: &mut Errors) -> bool {
    let none = input.generics.params.is_empty();
    if !none {
        errors.at(&input.generics, format!("{what} takes no parameters: its name stands for one type"));
    }
    none
}
