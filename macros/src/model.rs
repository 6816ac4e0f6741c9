//! What sea-orm's `DeriveEntityModel` derives from a `Model`: its columns and its primary key.

use heck::ToUpperCamelCase;
use syn::ext::IdentExt;
use syn::parse::Parse;
use syn::{Data, DeriveInput, Expr, Fields, Ident, LitBool, LitStr, Type};

use crate::errors::{Errors, suggest};
use crate::name;

/// A struct `Model` with named fields.
pub(crate) struct Model<'a> {
    /// The fields that have a column.
    pub(crate) columns: Vec<Column<'a>>,
}

/// A field and its column.
pub(crate) struct Column<'a> {
    pub(crate) field: &'a Ident,
    pub(crate) ty: &'a Type,
    /// The variant of the enum `Column`.
    pub(crate) variant: Ident,
    /// The word `primary_key`, if it is written.
    pub(crate) primary_key: Option<Ident>,
    pub(crate) auto_increment: Option<bool>,
}

/// Whether this is `ModelEx`, to which `#[sea_orm::model]` copies every derive of `Model`. The derived
/// code belongs to their one `Entity`, and comes from `Model`.
pub(crate) fn is_copy(input: &DeriveInput) -> bool {
    input.ident == "ModelEx"
}

impl<'a> Model<'a> {
    /// Reads the struct; `None` if it is something else.
    pub(crate) fn read(input: &'a DeriveInput, errors: &mut Errors) -> Option<Self> {
        let named = input.ident == "Model";
        if !named {
            errors.at(&input.ident, "this derive is for the struct `Model` of a sea-orm entity");
        }
        let plain = name::refuse_generics(input, "a `Model`", errors);
        let Data::Struct(data) = &input.data else {
            errors.at(&input.ident, "a `Model` is a struct: one field a column");
            return None;
        };
        let Fields::Named(fields) = &data.fields else {
            errors.at(&input.ident, "a `Model` has named fields: each is the name of a column");
            return None;
        };
        (named && plain).then(|| Self { columns: fields.named.iter().filter_map(Column::read).collect() })
    }

    /// The column of the field `id`.
    pub(crate) fn id(&self) -> Option<&Column<'a>> {
        self.columns.iter().find(|column| column.is_named("id"))
    }

    /// The column of a field that an option names.
    pub(crate) fn find(&self, field: &Ident, errors: &mut Errors) -> Option<&Column<'a>> {
        let name = field.unraw().to_string();
        let found = self.columns.iter().find(|column| column.is_named(&name));
        if found.is_none() {
            let names: Vec<String> =
                self.columns.iter().map(|column| column.field.unraw().to_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let hint = suggest(&name, &names, "columns");
            errors.at(field, format!("no field `{name}` has a column; {hint}"));
        }
        found
    }
}

impl<'a> Column<'a> {
    fn read(field: &'a syn::Field) -> Option<Self> {
        let ident = field.ident.as_ref()?;
        // sea-orm reports a field whose variant is no identifier, such as `_1`.
        let mut variant = syn::parse_str(&ident.unraw().to_string().to_upper_camel_case()).ok()?;
        let (mut primary_key, mut auto_increment, mut ignored) = (None, None, false);
        for attribute in field.attrs.iter().filter(|attr| attr.path().is_ident("sea_orm")) {
            // sea-orm reports malformed attributes.
            let _ = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("primary_key") {
                    primary_key = meta.path.get_ident().cloned();
                } else if meta.path.is_ident("auto_increment") {
                    auto_increment = Some(meta.value()?.parse::<LitBool>()?.value);
                } else if meta.path.is_ident("enum_name") {
                    variant = meta.value()?.parse::<LitStr>()?.parse()?;
                } else if meta.path.is_ident("ignore") {
                    ignored = true;
                } else if let Ok(value) = meta.value() {
                    Expr::parse(value)?;
                }
                Ok(())
            });
        }
        (!ignored).then_some(Self { field: ident, ty: &field.ty, variant, primary_key, auto_increment })
    }

    fn is_named(&self, name: &str) -> bool {
        self.field.unraw() == name
    }

    /// The last segment of the type's path: `Option` of `std::option::Option<i64>`.
    pub(crate) fn type_name(&self) -> Option<String> {
        let Type::Path(path) = self.ty else { return None };
        path.path.segments.last().map(|segment| segment.ident.to_string())
    }
}
