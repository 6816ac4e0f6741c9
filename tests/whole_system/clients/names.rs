//! The names in generated clients are those of the document, as words.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document;
use super::tools::Tools;

type Names = BTreeSet<String>;

/// The names that people look for first; the rules below would also hold for an empty client.
const TYPES: [&str; 6] = ["User", "Post", "PostPage", "Comment", "NewAccount", "Problem"];
const APIS: [&str; 3] = ["Accounts", "Posts", "Feed"];
const METHODS: [&str; 6] = ["signUp", "logIn", "createPost", "getFeed", "followUser", "listComments"];

/// What a client offers: its types, the classes with its methods, and the methods.
#[derive(Debug, PartialEq, Eq)]
struct Offered {
    types: Names,
    apis: Names,
    methods: Names,
}

/// Where a generator puts its output, and how its language writes it.
struct Language {
    generator: &'static str,
    types: &'static str,
    apis: &'static str,
    /// The text before and after a class's name.
    api: (&'static str, &'static str),
    /// The text before a method's name.
    method: &'static str,
    /// The suffixes of a method's variants.
    variants: &'static [&'static str],
    /// The text before a field's name.
    field: &'static str,
}

const SWIFT: Language = Language {
    generator: "swift6",
    types: "Sources/OpenAPIClient/Models",
    apis: "Sources/OpenAPIClient/APIs",
    api: ("open class ", "API"),
    method: "open class func ",
    variants: &["WithRequestBuilder"],
    field: "public var ",
};
const KOTLIN: Language = Language {
    generator: "kotlin",
    types: "src/main/kotlin/org/openapitools/client/models",
    apis: "src/main/kotlin/org/openapitools/client/apis",
    api: ("open class ", "Api"),
    method: "fun ",
    variants: &["WithHttpInfo", "RequestConfig"],
    field: "val ",
};
const TYPESCRIPT: Language = Language {
    generator: "typescript-fetch",
    types: "models",
    apis: "apis",
    api: ("export class ", "Api"),
    method: "async ",
    variants: &["RequestOpts", "Raw"],
    field: "",
};

#[tokio::test]
async fn every_name_of_the_document_is_in_words() {
    let (_directory, document) = document().await;
    let Offered { types, apis, methods } = documented(&document);
    for (names, known) in [(&types, &TYPES[..]), (&apis, &APIS), (&methods, &METHODS)] {
        assert!(known.iter().all(|name| names.contains(*name)), "{known:?} are not all in {names:?}");
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_alphabetic()), "{name} is a bad name for a method");
        }
    }
}

#[tokio::test]
async fn the_swift_client_has_the_names_of_the_document() {
    has_the_names_of_the_document(&SWIFT).await;
}

#[tokio::test]
async fn the_kotlin_client_has_the_names_of_the_document() {
    has_the_names_of_the_document(&KOTLIN).await;
}

#[tokio::test]
async fn the_typescript_client_by_openapi_generator_has_the_names_of_the_document() {
    has_the_names_of_the_document(&TYPESCRIPT).await;
}

async fn has_the_names_of_the_document(language: &Language) {
    let (directory, document) = document().await;
    let client = directory.path().join(language.generator);
    Tools::installed().openapi_generator(&document, language.generator, &client);
    assert_eq!(language.offered(&client), documented(&document));
}

/// The document's names: its types except plain strings (not those of a few words) and forms (whose parts become parameters of a
/// method), its tags and its operations.
fn documented(document: &Path) -> Offered {
    let document: Value = serde_json::from_slice(&std::fs::read(document).unwrap()).unwrap();
    let operations: Vec<&Value> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .collect();
    let forms: Names = operations
        .iter()
        .filter_map(|operation| {
            let schema = &operation["requestBody"]["content"]["multipart/form-data"]["schema"];
            Some(schema["$ref"].as_str()?.rsplit('/').next()?.to_owned())
        })
        .collect();
    let schemas = document["components"]["schemas"].as_object().unwrap().iter();
    let is_type = |schema: &Value| schema["type"] != "string" || schema["enum"].is_array();
    let types = schemas.filter(|(_, schema)| is_type(schema)).map(|(name, _)| name.clone());
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    Offered {
        types: types.filter(|name| !forms.contains(name)).collect(),
        apis: operations.iter().map(|operation| capitalised(&text(&operation["tags"][0]))).collect(),
        methods: operations.iter().map(|operation| text(&operation["operationId"])).collect(),
    }
}

impl Language {
    /// The contents of a client's directory.
    fn offered(&self, client: &Path) -> Offered {
        let mut offered = Offered { types: Names::new(), apis: Names::new(), methods: Names::new() };
        for (name, text) in files(&client.join(self.types)) {
            for field in words_after(&text, self.field) {
                assert!(self.field.is_empty() || !field.contains('_'), "{name} has a field {field}");
            }
            offered.types.insert(name);
        }
        let (before, after) = self.api;
        for (_, text) in files(&client.join(self.apis)) {
            let classes = words_after(&text, before).into_iter();
            offered.apis.extend(classes.filter_map(|class| Some(class.strip_suffix(after)?.to_owned())));
            let methods = words_after(&text, self.method).into_iter();
            let methods = methods.filter(|name| !self.variants.iter().any(|end| name.ends_with(end)));
            offered.methods.extend(methods.map(str::to_owned));
        }
        offered
    }
}

/// The files in a directory, except for those that only list others: names without extension, and
/// contents.
fn files(directory: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let paths = entries.map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let files = paths.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap()));
    files.filter(|(name, _)| name != "index").collect()
}

/// The words after `start` in the lines that begin with it.
fn words_after<'t>(text: &'t str, start: &str) -> Vec<&'t str> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(start));
    lines.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()).collect()
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
