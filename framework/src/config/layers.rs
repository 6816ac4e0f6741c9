//! Merges the file and the environment over the defaults, checking keys and types against them.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::DEFAULTS;
use crate::error::{Error, Result};

/// The prefix of Tripod's environment variables.
pub(super) const PREFIX: &str = "TRIPOD_";

/// The merged settings.
pub(super) struct Layers {
    pub(super) table: Table,
    /// Where each setting that is not the default comes from, by its path: `timeline.length`.
    pub(super) sources: BTreeMap<String, String>,
}

impl Layers {
    /// The value at a path.
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        let mut segments = path.split('.');
        let first = self.table.get(segments.next()?)?;
        segments.try_fold(first, |value, segment| value.get(segment))
    }
}

/// The built-in defaults, parsed.
pub(super) fn defaults() -> Result<Table> {
    DEFAULTS.parse().map_err(|error| Error::internal("the built-in defaults do not parse").because(error))
}

/// The defaults with the other layers merged over them.
pub(super) fn merge(
    mut table: Table,
    file: Option<(&str, &str)>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Layers> {
    let mut sources = BTreeMap::new();
    if let Some((source, text)) = file {
        let over: Table = text.parse().map_err(|error: toml::de::Error| {
            let line =
                error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            Error::configuration(format!("{source}, line {line}: {}", error.message()))
        })?;
        sources.extend(leaves(&over, "").into_iter().map(|path| (path, source.to_owned())));
        overlay(&mut table, over, source, "")?;
    }
    for (name, text) in environment {
        if !is_of_kubernetes(&name, &text) {
            set_from_environment(&mut table, &name, &text)?;
            sources.insert(path_of(&name), name);
        }
    }
    Ok(Layers { table, sources })
}

/// Whether a variable is one of those by which Kubernetes describes a service named `tripod` or
/// `tripod-...` to every container beside it: `TRIPOD_SERVICE_HOST`, `TRIPOD_SERVICE_PORT_HTTP`,
/// `TRIPOD_PORT_80_TCP_ADDR`. No setting has such a name.
fn is_of_kubernetes(name: &str, text: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_port = |(_, rest): (&str, &str)| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(is_port) && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
    };
    name.ends_with("_SERVICE_HOST")
        || (name.contains("_SERVICE_PORT") && is_port(text))
        || (name.ends_with("_PORT") && is_url)
        || name.rsplit_once("_PORT_").is_some_and(of_port)
}

/// The path of the setting that a variable sets.
fn path_of(name: &str) -> String {
    name[PREFIX.len()..].to_lowercase().replace("__", ".")
}

fn overlay(table: &mut Table, over: Table, source: &str, prefix: &str) -> Result<()> {
    for (key, value) in over {
        if prefix.is_empty() && key == APP && value.is_table() {
            table.insert(key, value);
            continue;
        }
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let known: Vec<String> = table.keys().cloned().collect();
        let Some(slot) = table.get_mut(&key) else {
            let hint = nearest(&key, known.iter().map(String::as_str))
                .map(|near| if prefix.is_empty() { near.to_owned() } else { format!("{prefix}.{near}") });
            return Err(unknown(&format!("{source}: {path}"), hint));
        };
        match (slot, value) {
            (Value::Table(inner), Value::Table(over)) => overlay(inner, over, source, &path)?,
            (slot, value) if slot.same_type(&value) => {
                check_range(&value, &path, source).map(|()| *slot = value)?
            }
            (slot, value) => {
                return Err(Error::configuration(format!(
                    "{source}: {path} is {}; it must be {}",
                    value.type_str(),
                    wanted(slot)
                )));
            }
        }
    }
    Ok(())
}

fn check_range(value: &Value, path: &str, source: &str) -> Result<()> {
    match value.as_integer() {
        Some(number) if number < 0 || (number > i64::from(u32::MAX) && !path.ends_with("_bytes")) => {
            Err(Error::configuration(format!(
                "{source}: {path} is {number}; it must be a whole number from 0 to {}",
                u32::MAX
            )))
        }
        _ => Ok(()),
    }
}

/// The app's own section, whose keys and types the framework does not know.
pub(super) const APP: &str = "app";

fn set_from_environment(table: &mut Table, name: &str, text: &str) -> Result<()> {
    let path = path_of(name);
    if let Some(own) = path.strip_prefix("app.") {
        let mut inner = table;
        let (key, sections) = own
            .split('.')
            .collect::<Vec<_>>()
            .split_last()
            .map(|(key, rest)| (*key, rest.to_vec()))
            .unwrap_or_default();
        for section in std::iter::once(APP).chain(sections) {
            let slot = inner.entry(section).or_insert_with(|| Value::Table(Table::new()));
            inner = slot.as_table_mut().ok_or_else(|| {
                Error::configuration(format!("{name}: {section} is a setting, not a section of settings"))
            })?;
        }
        inner.insert(key.to_owned(), of_any_type(text.trim()));
        return Ok(());
    }
    let every = leaves(table, "");
    if !every.contains(&path) {
        let hint = nearest(&path, every.iter().map(String::as_str)).map(variable);
        return Err(unknown(&format!("the environment variable {name}"), hint));
    }
    let mut segments = path.split('.').peekable();
    let mut inner = table;
    while let Some(segment) = segments.next() {
        let slot = inner.get_mut(segment).expect("leaves() lists what is there");
        if segments.peek().is_none() {
            let form = if slot.is_bool() { "on or off" } else { wanted(slot) };
            let value = parse(text.trim(), slot)
                .ok_or_else(|| Error::configuration(format!("{name} is \"{text}\"; it must be {form}")))?;
            check_range(&value, &path, name)?;
            *slot = value;
            return Ok(());
        }
        inner = slot.as_table_mut().expect("leaves() descends only into tables");
    }
    Ok(())
}

/// Parses a variable's text as the type it looks like, or as a string.
fn of_any_type(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| text.into())
}

/// Parses a variable's text as the default's type.
fn parse(text: &str, default: &Value) -> Option<Value> {
    Some(match default {
        Value::Boolean(_) => match text.to_lowercase().as_str() {
            "on" | "true" | "1" | "yes" => true.into(),
            "off" | "false" | "0" | "no" => false.into(),
            _ => return None,
        },
        Value::Integer(_) => text.parse::<i64>().ok()?.into(),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(Value::from).collect())
        }
        _ => text.into(),
    })
}

fn wanted(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "true or false",
        Value::Integer(_) => "a whole number",
        Value::Array(_) => "a list of strings",
        Value::Table(_) => "a section of settings",
        _ => "a string",
    }
}

fn leaves(table: &Table, prefix: &str) -> Vec<String> {
    table
        .iter()
        .flat_map(|(key, value)| match value {
            Value::Table(inner) => leaves(inner, &format!("{prefix}{key}.")),
            _ => vec![format!("{prefix}{key}")],
        })
        .collect()
}

/// The environment variable for a setting.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

fn unknown(what: &str, hint: Option<String>) -> Error {
    let remedy = match hint {
        Some(near) => format!("did you mean {near}?"),
        None => format!("`{} settings` lists them", program()),
    };
    Error::configuration(format!("{what} is not a setting; {remedy}"))
}

/// The name by which this program was called.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The known name with the fewest edits, if a typo could explain the difference.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
