//! The OpenAPI document: the routes' own descriptions, completed with what all of them share.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, ContentBuilder, InfoBuilder, License, ObjectBuilder, OpenApi, PathItem, Ref, RefOr,
    Required, Response, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_swagger_ui::SwaggerUi;

mod schemas;

use super::builder::AppBuilder;
use super::context::App;
use crate::error::{Error, Result};
use crate::web::{FieldError, PROBLEM_JSON, Problem};

/// The app's entry in the document.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) license: Option<(&'static str, &'static str)>,
}

impl<S> AppBuilder<S> {
    pub(super) fn about(&self) -> About {
        About { name: self.name, version: self.version, license: self.license }
    }
}

/// The OpenAPI document of an app as JSON, without starting the app.
pub(super) fn document<S: Send + Sync + 'static>(app: AppBuilder<S>) -> Result<String> {
    let about = app.about();
    to_json(&finish(app.routes.merge(app.uploads).into_openapi(), about))
}

fn to_json(document: &OpenApi) -> Result<String> {
    document
        .to_pretty_json()
        .map_err(|error| Error::internal("the OpenAPI document can't be written").because(error))
}

/// The document and a page to browse it, both served from the binary.
pub(super) fn pages<S: Send + Sync + 'static>(document: OpenApi) -> Result<Router<App<S>>> {
    let json = to_json(&document)?;
    let serve = move || async move { ([(CONTENT_TYPE, "application/json")], json) };
    let page = SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json"));
    Ok(Router::new().route("/openapi.json", get(serve)).merge(page))
}

/// Adds what all routes share: the app's name and version, authentication, and the shape of errors.
pub(super) fn finish(mut document: OpenApi, About { name, version, license }: About) -> OpenApi {
    let license = license.map(|(name, identifier)| {
        let mut license = License::new(name);
        license.identifier = Some(identifier.to_owned());
        license
    });
    document.info = InfoBuilder::new()
        .title(name)
        .version(version)
        .description(Some(format!("The HTTP API of {name}. Ids are strings; times are RFC 3339 in UTC; errors are RFC 9457 problems.")))
        .license(license)
        .build();
    // The default for operations; `security(())` overrides it.
    document.security = Some(vec![SecurityRequirement::new::<_, _, String>("bearer", [])]);
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    for (name, schema) in [(Problem::name(), Problem::schema()), (FieldError::name(), FieldError::schema())] {
        components.schemas.insert(name.into_owned(), schema);
    }
    let known = components.schemas.clone();
    schemas::name_components(components);
    for item in document.paths.paths.values_mut() {
        for (is_unsafe, operation) in operations(item) {
            schemas::name_in_operation(operation, &known);
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(Required::True);
                body.content.values_mut().for_each(describe_bytes);
            }
            add_problems(operation, is_unsafe);
        }
    }
    document
}

/// The paths that take a form with files.
pub(super) fn paths_with_files(document: &OpenApi) -> Vec<&str> {
    let takes_files = |operation: &Operation| {
        let Some(RefOr::T(body)) = &operation.request_body else { return false };
        body.content.contains_key("multipart/form-data")
    };
    let paths = document.paths.paths.iter().filter(|(_, item)| {
        let mut item = (*item).clone();
        operations(&mut item).any(|(_, operation)| takes_files(operation))
    });
    paths.map(|(path, _)| path.as_str()).collect()
}

/// The operations of a path, each with whether its method is unsafe in the HTTP sense.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let all = [
        (false, &mut item.get),
        (true, &mut item.post),
        (true, &mut item.put),
        (true, &mut item.patch),
        (true, &mut item.delete),
    ];
    all.into_iter().filter_map(|(is_unsafe, operation)| Some((is_unsafe, operation.as_mut()?)))
}

/// A body without a schema is raw bytes; generators need that stated.
fn describe_bytes(content: &mut RefOr<Content>) {
    let RefOr::T(content) = content else { return };
    content.schema.get_or_insert_with(|| {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).into()
    });
}

/// Adds the errors that follow from the operation's shape. Responses that a handler declares itself
/// stay.
fn add_problems(operation: &mut Operation, is_unsafe: bool) {
    let has_body = operation.request_body.is_some();
    let is_in = |place: ParameterIn| {
        let parameters = operation.parameters.iter().flatten();
        parameters
            .filter_map(|parameter| match parameter {
                RefOr::T(parameter) => Some(&parameter.parameter_in),
                RefOr::Ref(_) => None,
            })
            .any(|found| *found == place)
    };
    let (has_path, has_query) = (is_in(ParameterIn::Path), is_in(ParameterIn::Query));
    let possible = [
        ("400", true, "The request can't be parsed."),
        ("401", true, "The token is missing or not valid (any more)."),
        ("404", has_path, "Absent, or not visible to you."),
        ("408", has_body, "The body came too slowly."),
        ("413", has_body, "The body is too large."),
        ("415", has_body, "The body is not of an accepted type."),
        ("422", is_unsafe || has_query, "A field is not acceptable; `errors` names it."),
        ("429", true, "Too many requests; `Retry-After` says when to come back."),
        ("500", true, "A fault on our side."),
        ("503", true, "Busy or partly down; `Retry-After` says when to come back."),
    ];
    for (status, is_possible, description) in possible {
        if is_possible && !operation.responses.responses.contains_key(status) {
            operation.responses.responses.insert(status.to_owned(), RefOr::T(problem(description)));
        }
    }
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}
