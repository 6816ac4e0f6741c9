//! `#[derive(Edge)]`: a kind of edge, its name and the entities that it joins.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, Type};

use crate::attr::{Grammar, Options};
use crate::errors::Errors;
use crate::name;

const GRAMMAR: Grammar = Grammar {
    attribute: "edge",
    usage: r#"`#[edge(name = "like", from = account::Entity, to = post::Entity)]`"#,
    options: &[
        ("name", r#"name = "like""#),
        ("from", "from = account::Entity"),
        ("to", "to = post::Entity"),
        ("ends", "ends = (Follow, Request)"),
        ("sources", r#"sources = "cached""#),
    ],
};

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::read(input, &GRAMMAR, &mut errors);
    let plain = name::refuse_generics(input, "an edge", &mut errors);
    if !matches!(&input.data, Data::Struct(data) if matches!(data.fields, Fields::Unit)) {
        let sentence = format!("an edge is only a name and two ends: write `struct {};`", input.ident);
        errors.at(&input.ident, sentence);
    }
    options.require(&["name", "from", "to"], &mut errors);
    let name = options.text("name", &mut errors);
    if let Some(name) = name {
        name::check(name, 40, false, &mut errors);
    }
    let from = options.ty("from", &mut errors);
    let to = options.ty("to", &mut errors);
    let ends: Vec<&Type> = match options.ty("ends", &mut errors) {
        Some(Type::Tuple(kinds)) => kinds.elems.iter().collect(),
        kind => kind.into_iter().collect(),
    };
    let sources = options.text("sources", &mut errors);
    if let Some(sources) = sources.filter(|sources| sources.value() != "cached") {
        errors.at(sources, "`sources` can only be \"cached\": leave it out otherwise");
    }

    let report = errors.report();
    // After a mistake too, so that no error reports a missing impl; but without its types an impl would
    // only mislead.
    let (Some(from), Some(to), true) = (from, to, plain) else { return report.unwrap_or_default() };
    let ident = &input.ident;
    let name = name.map_or_else(String::new, syn::LitStr::value);
    let ends = (!ends.is_empty()).then(|| {
        quote! {
            const ENDS: &'static [&'static str] = &[#(::tripod::graph::ended_by::<_, Self, #ends>()),*];
        }
    });
    let caches_sources = sources.map(|_| {
        quote!(
            const CACHES_SOURCES: bool = true;
        )
    });
    quote! {
        #report
        #[automatically_derived]
        impl ::tripod::graph::Edge for #ident {
            type From = #from;
            type To = #to;
            const NAME: &'static str = #name;
            #ends
            #caches_sources
        }
    }
}
