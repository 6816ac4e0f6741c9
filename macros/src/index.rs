//! `#[derive(Index)]`: an index, its name, the entity whose rows it has, and the function that names a row's
//! keys.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

use crate::attr::{Grammar, Options};
use crate::errors::Errors;
use crate::name;

const GRAMMAR: Grammar = Grammar {
    attribute: "index",
    usage: r#"`#[index(name = "note_by_word", of = note::Entity, keys = words)]`"#,
    options: &[
        ("name", r#"name = "note_by_word""#),
        ("of", "of = note::Entity"),
        ("keys", "keys = words"),
        ("prefixes", "prefixes = true"),
    ],
};

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::read(input, &GRAMMAR, &mut errors);
    let plain = name::refuse_generics(input, "an index", &mut errors);
    if !matches!(&input.data, Data::Struct(data) if matches!(data.fields, Fields::Unit)) {
        let sentence = format!("an index is only a name and its keys: write `struct {};`", input.ident);
        errors.at(&input.ident, sentence);
    }
    options.require(&["name", "of", "keys"], &mut errors);
    let name = options.text("name", &mut errors);
    if let Some(name) = name {
        name::check(name, 40, false, &mut errors);
    }
    let of = options.ty("of", &mut errors);
    let keys = options.path("keys", &mut errors);
    let prefixes = options.flag("prefixes", &mut errors).unwrap_or(false);

    let report = errors.report();
    // After a mistake too, so that no error reports a missing impl; but without its types an impl would
    // only mislead.
    let (Some(of), Some(keys), true) = (of, keys, plain) else { return report.unwrap_or_default() };
    let ident = &input.ident;
    let name = name.map_or_else(String::new, syn::LitStr::value);
    quote! {
        #report
        #[automatically_derived]
        impl ::tripod::index::Index for #ident {
            type Rows = #of;
            const NAME: &'static str = #name;
            const PREFIXES: bool = #prefixes;
            fn keys(
                row: &<#of as ::tripod::__private::sea_orm::EntityTrait>::Model,
            ) -> ::std::vec::Vec<::std::string::String> {
                #keys(row)
            }
        }
    }
}
