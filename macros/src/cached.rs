//! `#[derive(Cached)]`: the name, version and maximum age of a type's cached values.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Fields, LitStr};

use crate::attr::{Grammar, Options};
use crate::errors::Errors;
use crate::{model, name};

const GRAMMAR: Grammar = Grammar {
    attribute: "cached",
    usage: r#"`#[cached(ttl = "10m")]`"#,
    options: &[
        ("ttl", r#"ttl = "10m""#),
        ("name", r#"name = "note""#),
        ("version", "version = 2"),
        ("view", "view = NoteView"),
    ],
};

/// A day: an older value is not a cached value but a copy.
const LONGEST_TTL_SECONDS: u64 = 86_400;

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    if model::is_copy(input) {
        return TokenStream::new();
    }
    let mut errors = Errors::default();
    let options = Options::read(input, &GRAMMAR, &mut errors);
    let plain = name::refuse_generics(input, "a cached type", &mut errors);
    if matches!(input.data, Data::Union(_)) {
        errors.at(&input.ident, "a cached type is a struct or an enum: serde can't read a union back");
    }
    options.require(&["ttl"], &mut errors);
    let ttl = options.text("ttl", &mut errors).map_or(0, |text| seconds(text, &mut errors));
    let name = match options.text("name", &mut errors) {
        Some(name) => {
            name::check(name, 40, false, &mut errors);
            name.value()
        }
        None => table_name(input).unwrap_or_else(|| {
            if let Some(attribute) = options.attribute().filter(|_| !options.has("name")) {
                errors.at(attribute, "there is no table to be named after: add `name = \"note\"`");
            }
            String::new()
        }),
    };
    let view = match options.has("view") {
        true => options.ty("view", &mut errors).map(ToTokens::to_token_stream),
        false => None,
    };
    let view = view.unwrap_or_else(|| quote!(()));
    let version = Literal::u64_unsuffixed(fingerprint(input, revision(&options, &mut errors)));

    let report = errors.report();
    // After a mistake too, so that no error reports a missing impl.
    if !plain {
        return report.unwrap_or_default();
    }
    let ident = &input.ident;
    let ttl = Literal::u64_unsuffixed(ttl);
    let codec = codec(input);
    quote! {
        #report
        #[automatically_derived]
        impl ::tripod::cache::Cached for #ident {
            const NAME: &'static str = #name;
            const VERSION: u64 = #version;
            const TTL: ::core::time::Duration = ::core::time::Duration::from_secs(#ttl);
            type View = #view;
            #codec
        }
    }
}

/// How values are serialized. A `Model` uses structs of its own, field by field: if it were `Serialize`
/// itself, a row could be sent to someone who may not see it.
fn codec(input: &DeriveInput) -> TokenStream {
    let fields = match &input.data {
        Data::Struct(data) if input.ident == "Model" => match &data.fields {
            Fields::Named(fields) => Some(&fields.named),
            _ => None,
        },
        _ => None,
    };
    let Some(fields) = fields else {
        return quote! {
            fn encode(&self) -> ::tripod::__private::serde_json::Result<::std::vec::Vec<u8>> {
                ::tripod::__private::serde_json::to_vec(self)
            }
            fn decode(json: &[u8]) -> ::tripod::__private::serde_json::Result<Self> {
                ::tripod::__private::serde_json::from_slice(json)
            }
        };
    };
    let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    quote! {
        fn encode(&self) -> ::tripod::__private::serde_json::Result<::std::vec::Vec<u8>> {
            #[derive(::tripod::__private::serde::Serialize)]
            #[serde(crate = "::tripod::__private::serde")]
            struct Stored<'a> {
                #(#names: &'a #types,)*
            }
            let Self { #(#names),* } = self;
            ::tripod::__private::serde_json::to_vec(&Stored { #(#names),* })
        }
        fn decode(json: &[u8]) -> ::tripod::__private::serde_json::Result<Self> {
            #[derive(::tripod::__private::serde::Deserialize)]
            #[serde(crate = "::tripod::__private::serde")]
            struct Stored {
                #(#names: #types,)*
            }
            let Stored { #(#names),* } = ::tripod::__private::serde_json::from_slice(json)?;
            ::core::result::Result::Ok(Self { #(#names),* })
        }
    }
}

/// Parses a duration such as "30s", "10m", "1h" or "1d".
fn seconds(text: &LitStr, errors: &mut Errors) -> u64 {
    let value = text.value();
    let unit = value.chars().last().and_then(|unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    });
    let count = unit.and_then(|_| value[..value.len() - 1].parse::<u64>().ok());
    match unit.zip(count).and_then(|(unit, count)| count.checked_mul(unit)) {
        Some(seconds @ 2..=LONGEST_TTL_SECONDS) => seconds,
        _ => {
            errors.at(text, "`ttl` is from 2 seconds to a day, as a number and s, m, h or d: `\"10m\"`");
            0
        }
    }
}

fn revision(options: &Options, errors: &mut Errors) -> u64 {
    let Some(written) = options.integer("version", errors) else { return 0 };
    written.base10_parse().unwrap_or_else(|_| {
        errors.at(written, "`version` is a whole number: `version = 2`");
        0
    })
}

/// The table name given to sea-orm.
fn table_name(input: &DeriveInput) -> Option<String> {
    let mut table = None;
    for attribute in input.attrs.iter().filter(|attr| attr.path().is_ident("sea_orm")) {
        // sea-orm reports malformed attributes.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("table_name") {
                table = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if let Ok(value) = meta.value() {
                value.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    table
}

/// A different number for each shape: a hash (FNV-1a) of the fields' names and types, and of the version
/// that is written for changes they do not show.
fn fingerprint(input: &DeriveInput, revision: u64) -> u64 {
    let mut shape = String::new();
    let mut add = |fields: &syn::Fields| {
        for field in fields {
            let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            shape.push_str(&format!("{name}:{};", field.ty.to_token_stream()));
        }
        // Separates one variant's fields from the next one's.
        shape.push('|');
    };
    match &input.data {
        Data::Struct(data) => add(&data.fields),
        Data::Enum(data) => data.variants.iter().for_each(|variant| add(&variant.fields)),
        Data::Union(_) => {}
    }
    if let Data::Enum(data) = &input.data {
        shape.extend(data.variants.iter().map(|variant| format!("{}|", variant.ident)));
    }
    // The compiler decides how tokens are spaced.
    shape.retain(|c| !c.is_whitespace());
    shape.push_str(&revision.to_string());
    shape.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
