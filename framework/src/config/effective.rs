//! The settings in effect, as text: `default.toml` with their values and where these come from.

use toml::{Table, Value};

use super::credentials::without_credentials;
use super::layers::{APP, Layers};
use super::{DEFAULTS, credentials};

/// Parts of names of an app's own settings whose values are not shown.
const SECRET: [&str; 5] = ["password", "secret", "token", "key", "credential"];

/// The text. Secrets are masked; values that are not the default name their source.
pub(super) fn text(layers: &Layers) -> String {
    let (mut text, mut section) = (String::new(), String::new());
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        }
        let key = line.split_once(" = ").map(|(key, _)| key).filter(|key| !key.starts_with('#'));
        match key {
            Some(key) => text.push_str(&setting(layers, &section, key)),
            None => text.extend([line, "\n"]),
        }
    }
    if let Some(Value::Table(app)) = layers.table.get(APP) {
        push_section(layers, APP, app, &mut text);
    }
    text
}

fn push_section(layers: &Layers, path: &str, table: &Table, text: &mut String) {
    text.push_str(&format!("\n[{path}]\n"));
    let prefix = format!("{path}.");
    let is_section = |value: &&Value| value.is_table();
    for (key, _) in table.iter().filter(|(_, value)| !is_section(value)) {
        text.push_str(&setting(layers, &prefix, key));
    }
    for (key, value) in table {
        if let Value::Table(inner) = value {
            push_section(layers, &format!("{prefix}{key}"), inner, text);
        }
    }
}

/// `key = value`, with the source.
fn setting(layers: &Layers, section: &str, key: &str) -> String {
    let path = format!("{section}{key}");
    let value = layers.get(&path).map(|value| masked(&path, value).to_string()).unwrap_or_default();
    let source = layers.sources.get(&path).map(|source| format!("  # from {source}"));
    format!("{key} = {value}{}\n", source.unwrap_or_default())
}

fn masked(path: &str, value: &Value) -> Value {
    let is_secret = path.split_once('.').is_some_and(|(section, key)| {
        section == APP && SECRET.iter().any(|part| key.to_lowercase().contains(part))
    });
    match value {
        _ if is_secret => "…".into(),
        Value::String(text) => match text.contains('@') && text.contains("://") {
            true => masked_url(text).into(),
            false => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(|item| masked(path, item)).collect()),
        _ => value.clone(),
    }
}

/// The whole URL, with its parameters unless they may be a part of the password.
fn masked_url(url: &str) -> String {
    let shown = without_credentials(url);
    match url.split_once('?') {
        Some((_, query)) if !credentials::need_encoding(url) => format!("{shown}?{query}"),
        _ => shown,
    }
}
