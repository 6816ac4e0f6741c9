//! `#[derive(Job)]`: the name that a job is queued under and how often it is retried.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput};

use crate::attr::{Grammar, Options};
use crate::errors::Errors;
use crate::name;

const GRAMMAR: Grammar = Grammar {
    attribute: "job",
    usage: r#"`#[job(name = "share_post")]`"#,
    options: &[
        ("name", r#"name = "share_post""#),
        ("retries", "retries = 8"),
        ("lane", r#"lane = "mail""#),
        ("unique", "unique = post"),
        ("unique_while_waiting", "unique_while_waiting = post"),
    ],
};

/// The default number of retries.
const RETRIES: u32 = 8;
/// More than anyone intends: a job that failed fifty times is broken.
const MOST_RETRIES: u32 = 50;

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::read(input, &GRAMMAR, &mut errors);
    let plain = name::refuse_generics(input, "a job", &mut errors);
    if matches!(input.data, Data::Union(_)) {
        errors.at(&input.ident, "a job is a struct or an enum: serde can't read a union back");
    }
    options.require(&["name"], &mut errors);
    let name = options.text("name", &mut errors);
    if let Some(name) = name {
        name::check(name, 80, true, &mut errors);
    }
    let retries = Literal::u32_unsuffixed(retries(&options, &mut errors));
    let lane = options.text("lane", &mut errors);
    if let Some(lane) = lane {
        name::check(lane, 40, false, &mut errors);
    }
    let lane = lane.map(|lane| quote!(const LANE: &'static str = #lane;));
    let unique = unique(&options, &mut errors);

    let report = errors.report();
    // After a mistake too, so that no error reports a missing impl.
    if !plain {
        return report.unwrap_or_default();
    }
    let ident = &input.ident;
    let name = name.map_or_else(String::new, syn::LitStr::value);
    quote! {
        #report
        #[automatically_derived]
        impl ::tripod::queue::Job for #ident {
            const NAME: &'static str = #name;
            const RETRIES: u32 = #retries;
            #lane
            #unique
        }
    }
}

/// The field whose text makes a job unique.
fn unique(options: &Options, errors: &mut Errors) -> Option<TokenStream> {
    let until_done = options.field("unique", errors);
    let while_waiting = options.field("unique_while_waiting", errors);
    if let (Some(_), Some(second)) = (until_done, while_waiting) {
        errors.at(second, "a job is unique while it waits, or until it is done: keep one");
    }
    let (field, unique) = match (until_done, while_waiting) {
        (Some(field), _) => (field, quote!(UntilDone)),
        (None, field) => (field?, quote!(WhileWaiting)),
    };
    Some(quote! {
        fn unique(&self) -> ::core::option::Option<::tripod::queue::Unique> {
            ::core::option::Option::Some(::tripod::queue::Unique::#unique(
                ::std::string::ToString::to_string(&self.#field),
            ))
        }
    })
}

fn retries(options: &Options, errors: &mut Errors) -> u32 {
    let Some(written) = options.integer("retries", errors) else { return RETRIES };
    match written.base10_parse() {
        Ok(number) if number <= MOST_RETRIES => number,
        _ => {
            errors.at(written, format!("`retries` is from 0 to {MOST_RETRIES}"));
            RETRIES
        }
    }
}
