//! `#[derive(Sharded)]`: the column that determines a row's shard, and an entity's registration with an
//! app.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, DeriveInput, Ident};

use crate::attr::{Grammar, Options};
use crate::errors::Errors;
use crate::model::{self, Column, Model};
use crate::timeline_item;

const GRAMMAR: Grammar = Grammar {
    attribute: "sharded",
    usage: "`#[sharded(by = author_id)]` or `#[sharded(text = name)]`",
    options: &[("by", "by = author_id"), ("text", "text = name")],
};

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    if model::is_copy(input) {
        return TokenStream::new();
    }
    let mut errors = Errors::default();
    let options = Options::read(input, &GRAMMAR, &mut errors);
    let model = Model::read(input, &mut errors);
    check_options(&options, &mut errors);
    let Some(model) = model else { return errors.report().unwrap_or_default() };

    let owner = options.field("by", &mut errors).and_then(|field| model.find(field, &mut errors));
    let owner = owner.and_then(|column| refuse_option(column, &mut errors));
    let text_field = options.field("text", &mut errors);
    let text = text_field.and_then(|field| model.find(field, &mut errors));
    let (by_owner, by_text) = (options.has("by"), options.has("text"));
    if by_owner {
        check_id(input, &model, &mut errors);
    }
    if by_text && !by_owner {
        check_text(input, &model, text_field.zip(text), &mut errors);
        refuse_beside_a_text(input, &mut errors);
    }

    let report = errors.report();
    // After a mistake any column will do: the impl exists only so that no error reports it missing.
    let Some(any) = model.columns.first() else { return report.unwrap_or_default() };
    let sharded = (by_owner || !by_text).then(|| by_owner_impl(model.id(), owner, any));
    let text_sharded = (by_text || !by_owner).then(|| by_text_impl(&model, text, any));
    let registered = registered_impl(input, sharded.is_none());
    let not_a_reply = not_a_reply();
    quote!(#report #sharded #text_sharded #registered #not_a_reply)
}

/// Rejects a `Model` that is `Serialize`, because it could be sent to someone who may not see it. For
/// such a type both impls apply and the compiler can't choose; its error shows the trait's name.
fn not_a_reply() -> TokenStream {
    quote! {
        const _: () = {
            trait AModelIsNotSerialize_MakeRepliesOfViews<A> {
                fn check() {}
            }
            impl<T: ?::core::marker::Sized> AModelIsNotSerialize_MakeRepliesOfViews<()> for T {}
            #[allow(dead_code, non_camel_case_types)]
            struct IsSerialize;
            impl<T: ?::core::marker::Sized + ::tripod::__private::serde::Serialize>
                AModelIsNotSerialize_MakeRepliesOfViews<IsSerialize> for T
            {
            }
            let _ = <Model as AModelIsNotSerialize_MakeRepliesOfViews<_>>::check;
        };
    }
}

/// Registers the entity with everything that is derived for it: the other derives are on the same
/// struct, with their attributes.
fn registered_impl(input: &DeriveInput, by_text: bool) -> TokenStream {
    let added = match by_text {
        true => quote!(catalogue.add_text_sharded::<Self>();),
        false => {
            let cached = attribute(input, "cached").map(|_| quote!(catalogue.add_cached::<Self>();));
            let timeline =
                timeline_item::is_implemented(input).then(|| quote!(catalogue.add_timeline::<Self>();));
            quote!(catalogue.add_sharded::<Self>(); #cached #timeline)
        }
    };
    quote! {
        #[automatically_derived]
        impl ::tripod::app::Registered for Entity {
            fn register(catalogue: &mut ::tripod::app::Catalogue) {
                #added
            }
        }
    }
}

fn attribute<'a>(input: &'a DeriveInput, name: &str) -> Option<&'a Attribute> {
    input.attrs.iter().find(|attribute| attribute.path().is_ident(name))
}

/// Rows found by a text have no id, which caching and timelines need.
fn refuse_beside_a_text(input: &DeriveInput, errors: &mut Errors) {
    if let Some(cached) = attribute(input, "cached") {
        errors.at(cached, "rows are cached by their ids, and a row that is found by a text has none");
    }
    if let Some(timeline) = attribute(input, "timeline") {
        errors.at(timeline, "timelines hold ids, and a row that is found by a text has none");
    }
}

fn by_owner_impl(id: Option<&Column>, owner: Option<&Column>, any: &Column) -> TokenStream {
    let id_variant = &id.unwrap_or(any).variant;
    let owner_variant = &owner.unwrap_or(any).variant;
    let owner_type = match owner {
        Some(Column { ty, .. }) => quote!(<#ty as ::tripod::id::IdOf>::Entity),
        None => quote!(Entity),
    };
    let (row, body) = match id {
        Some(Column { field, .. }) => {
            // With the field's span, an `id` that is not an `Id` is reported at its declaration.
            let row = Ident::new("row", field.span());
            (quote!(#row), quote!(#row.#field))
        }
        None => (quote!(_), quote!(::core::unreachable!())),
    };
    quote! {
        #[automatically_derived]
        impl ::tripod::shard::Sharded for Entity {
            type Owner = #owner_type;
            const ID: Column = Column::#id_variant;
            const OWNER: Column = Column::#owner_variant;
            fn id(#row: &Model) -> ::tripod::id::Id<Self> {
                #body
            }
        }
    }
}

fn by_text_impl(model: &Model, text: Option<&Column>, any: &Column) -> TokenStream {
    let shard = &model.columns.iter().find(|column| column.field == "shard").unwrap_or(any).variant;
    let text = &text.unwrap_or(any).variant;
    quote! {
        #[automatically_derived]
        impl ::tripod::shard::TextSharded for Entity {
            const SHARD: Column = Column::#shard;
            const TEXT: Column = Column::#text;
        }
    }
}

fn check_options(options: &Options, errors: &mut Errors) {
    match (options.has("by"), options.place("text")) {
        (true, Some(text)) => {
            errors.at(text, "a row lives with its owner (`by`) or by its text (`text`): keep one");
        }
        (false, None) => {
            if let Some(attribute) = options.attribute() {
                errors.at(attribute, "say what decides where a row lives: `by = author_id` or `text = name`");
            }
        }
        _ => {}
    }
}

fn check_id(input: &DeriveInput, model: &Model, errors: &mut Errors) {
    let Some(id) = model.id() else {
        errors.at(
            &input.ident,
            "add `#[sea_orm(primary_key, auto_increment = false)] id: Id<Entity>`: a row's id says where it lives",
        );
        return;
    };
    match &id.primary_key {
        None => errors
            .at(id.field, "`id` is the primary key: add `#[sea_orm(primary_key, auto_increment = false)]`"),
        Some(word) if id.auto_increment != Some(false) => {
            errors.at(word, "ids are generated before the row is written, not by the database: add `auto_increment = false`");
        }
        Some(_) => {}
    }
    // A row is claimed under its id before the id is visible: with a longer key, two rows could have the
    // same id.
    for column in model.columns.iter().filter(|column| column.field != id.field) {
        if let Some(word) = &column.primary_key {
            errors.at(word, "`id` alone is the primary key, or two rows could have the same id");
        }
    }
}

fn refuse_option<'a>(owner: &'a Column<'a>, errors: &mut Errors) -> Option<&'a Column<'a>> {
    if owner.type_name().as_deref() != Some("Option") {
        return Some(owner);
    }
    errors.at(owner.ty, "a row without an owner would live nowhere: this can't be an `Option`");
    None
}

/// The primary key must be `(shard, text)`.
fn check_text(input: &DeriveInput, model: &Model, text: Option<(&Ident, &Column)>, errors: &mut Errors) {
    let Some(shard) = model.columns.iter().find(|column| column.field == "shard") else {
        errors.at(
            &input.ident,
            "add `#[sea_orm(primary_key, auto_increment = false)] shard: i16` before the text: \
             it is first in the primary key",
        );
        return;
    };
    if shard.type_name().as_deref() != Some("i16") {
        errors.at(shard.ty, "`shard` is an `i16`: there are 8192 shards");
    }
    let Some((named, text)) = text else { return };
    if text.field == shard.field {
        errors.at(named, "`text` names the text, not the shard that is worked out from it");
        return;
    }
    for column in [shard, text] {
        if column.primary_key.is_none() {
            let sentence = format!(
                "the primary key is `(shard, {})`: add `#[sea_orm(primary_key, auto_increment = false)]`",
                text.field
            );
            errors.at(column.field, sentence);
        }
    }
    let place = |wanted: &Column| model.columns.iter().position(|column| column.field == wanted.field);
    if place(shard) > place(text) {
        errors
            .at(shard.field, format!("`shard` is first in the primary key: move it above `{}`", text.field));
    }
    for column in model.columns.iter().filter(|column| ![shard.field, text.field].contains(&column.field)) {
        if let Some(word) = &column.primary_key {
            errors.at(word, format!("the primary key is `(shard, {})` alone: one row a text", text.field));
        }
    }
}
