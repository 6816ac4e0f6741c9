//! Schema names that read well in generated clients.
//!
//! A generic type's schema contains a copy of its parameter's schema, and generators make a separate
//! type of each copy (`PagePostItemsInner`). Here each copy is replaced by a reference to the schema it
//! equals, and `Page_Post` is renamed to `PostPage`.

use std::collections::BTreeMap;

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Schema};
use utoipa::openapi::{Components, Content, Ref, RefOr};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Renames the components, and replaces copies of components by references.
pub(super) fn name_components(components: &mut Components) {
    let known = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        parts(schema).into_iter().for_each(|part| refer(part, &known));
    }
    let named = std::mem::take(&mut components.schemas).into_iter();
    components.schemas = named.map(|(name, schema)| (in_words(&name), schema)).collect();
}

/// Does the same in an operation; `known` are the components before [`name_components`].
pub(super) fn name_in_operation(operation: &mut Operation, known: &Schemas) {
    let refer_in = |content: &mut RefOr<Content>| {
        if let RefOr::T(content) = content {
            content.schema.iter_mut().for_each(|schema| refer(schema, known));
        }
    };
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            parameter.schema.iter_mut().for_each(|schema| refer(schema, known));
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.values_mut().for_each(refer_in);
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.values_mut().for_each(refer_in);
        }
    }
}

/// Replaces copies of components by references, at any depth, and renames references.
fn refer(schema: &mut RefOr<Schema>, known: &Schemas) {
    if let RefOr::Ref(to) = schema {
        if let Some((start, name)) = to.ref_location.rsplit_once('/') {
            to.ref_location = format!("{start}/{}", in_words(name));
        }
    } else if let Some((name, _)) = known.iter().find(|(_, component)| *component == schema) {
        *schema = RefOr::Ref(Ref::from_schema_name(in_words(name)));
    } else {
        parts(schema).into_iter().for_each(|part| refer(part, known));
    }
}

/// The schemas nested in a schema.
fn parts(schema: &mut RefOr<Schema>) -> Vec<&mut RefOr<Schema>> {
    let RefOr::T(schema) = schema else { return vec![] };
    match schema {
        Schema::Array(array) => match &mut array.items {
            ArrayItems::RefOrSchema(items) => vec![items.as_mut()],
            ArrayItems::False => vec![],
        },
        Schema::Object(object) => {
            let rest = match object.additional_properties.as_deref_mut() {
                Some(AdditionalProperties::RefOr(values)) => Some(values),
                _ => None,
            };
            object.properties.values_mut().chain(rest).collect()
        }
        Schema::OneOf(of) => of.items.iter_mut().collect(),
        Schema::AllOf(of) => of.items.iter_mut().collect(),
        Schema::AnyOf(of) => of.items.iter_mut().collect(),
        // The enum is non-exhaustive: kinds that utoipa adds are left as they are.
        _ => vec![],
    }
}

/// Renames `Page_Post` to `PostPage`.
fn in_words(name: &str) -> String {
    name.rsplit('_').collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::OpenApi;

    use super::super::{About, finish};
    use crate::web::Page;

    #[derive(utoipa::ToSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Note {
        text: String,
    }

    #[utoipa::path(get, path = "/", responses((status = 200, description = "Notes.", body = Page<Note>)))]
    #[allow(dead_code, reason = "only its document is looked at")]
    fn list_notes() {}

    #[derive(OpenApi)]
    #[openapi(paths(list_notes))]
    struct Notes;

    #[test]
    fn a_copy_refers_to_what_it_is_a_copy_of_under_a_name_that_people_would_give() {
        let about = About { name: "notes", version: "1.0.0", license: None };
        let document = finish(Notes::openapi(), about);
        let document: Value = serde_json::to_value(&document).unwrap();
        let schemas = &document["components"]["schemas"];
        let names: Vec<&String> = schemas.as_object().unwrap().keys().collect();
        assert_eq!(names, ["FieldError", "Note", "NotePage", "Problem"]);
        let items = &schemas["NotePage"]["properties"]["items"]["items"];
        assert_eq!(*items, json!({"$ref": "#/components/schemas/Note"}));
        let content = &document["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"];
        assert_eq!(content["schema"], json!({"$ref": "#/components/schemas/NotePage"}));
    }
}
