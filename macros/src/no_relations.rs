//! `#[derive(NoRelations)]`: what sea-orm requires of an entity without relations and hooks.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::errors::Errors;
use crate::model::{self, Model};

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    if model::is_copy(input) {
        return TokenStream::new();
    }
    let mut errors = Errors::default();
    let model = Model::read(input, &mut errors);
    if let Some(report) = errors.report() {
        return report;
    }
    let Some(_) = model else { return TokenStream::new() };
    quote! {
        /// No relations: rows of other entities may live on other shards.
        #[derive(Clone, Copy, Debug, ::sea_orm::EnumIter, ::sea_orm::DeriveRelation)]
        pub enum Relation {}

        #[automatically_derived]
        impl ::sea_orm::ActiveModelBehavior for ActiveModel {}
    }
}
