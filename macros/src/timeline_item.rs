//! `#[derive(TimelineItem)]`: the timeline that a row goes to, and the edge to its audience.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::attr::{Grammar, Options};
use crate::errors::Errors;
use crate::model::{self, Model};
use crate::name;

const GRAMMAR: Grammar = Grammar {
    attribute: "timeline",
    usage: r#"`#[timeline(name = "home", audience = Follow)]`"#,
    options: &[("name", r#"name = "home""#), ("audience", "audience = Follow")],
};

/// Whether the struct has the attribute with everything the impl needs; this derive reports its
/// mistakes.
pub(crate) fn is_implemented(input: &DeriveInput) -> bool {
    let mut errors = Errors::default();
    Options::read(input, &GRAMMAR, &mut errors).ty("audience", &mut errors).is_some()
}

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    if model::is_copy(input) {
        return TokenStream::new();
    }
    let mut errors = Errors::default();
    let options = Options::read(input, &GRAMMAR, &mut errors);
    let model = Model::read(input, &mut errors);
    options.require(&["name", "audience"], &mut errors);
    let name = options.text("name", &mut errors);
    if let Some(name) = name {
        name::check(name, 40, false, &mut errors);
    }
    let audience = options.ty("audience", &mut errors);

    let report = errors.report();
    // After a mistake too, so that no error reports a missing impl; but without an audience an impl
    // would only mislead.
    let (Some(audience), Some(_)) = (audience, model) else { return report.unwrap_or_default() };
    let name = name.map_or_else(String::new, syn::LitStr::value);
    quote! {
        #report
        #[automatically_derived]
        impl ::tripod::timeline::TimelineItem for Entity {
            type Audience = #audience;
            const TIMELINE: &'static str = #name;
        }
    }
}
