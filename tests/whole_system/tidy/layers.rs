//! The framework's modules in rows: each imports only from the rows above its own.

use super::source::Source;

pub(super) const MEND: &str = "a module imports only from the rows above its own (framework/src/lib.rs; \
                               tests/whole_system/tidy/layers.rs): move what is shared up, or hand it in";

/// In order; modules in the same row do not import each other.
const ROWS: [&[&str]; 15] = [
    &["error"],
    &["config", "id", "permissions"],
    &["telemetry"],
    &["db", "redis"],
    &["cache"],
    &["access"],
    &["shard"],
    &["queue"],
    &["graph", "index", "media"],
    &["timeline"],
    &["web"],
    &["app"],
    &["testing"],
    &["conformance"],
    &["lib"],
];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

pub(super) fn broken(file: &Source) -> Vec<usize> {
    let Some(path) = file.path.strip_prefix("framework/src/") else { return vec![] };
    let module = path.trim_end_matches(".rs").split('/').next().unwrap_or_default();
    let Some(own) = row(module) else { return vec![1] };
    let mut lines = Vec::new();
    let code: Vec<(usize, &str)> = file.code().collect();
    for (index, (number, line)) in code.iter().enumerate() {
        for rest in line.split("crate::").skip(1) {
            // An import in braces may continue on the next lines.
            let mut list = rest.to_owned();
            if rest.starts_with('{') {
                let following = code[index + 1..].iter().map(|(_, line)| *line);
                list.extend(following.take_while(|_| !rest.contains('}')).take(20));
            }
            if !imported(&list).iter().all(|other| *other == module || row(other).is_none_or(|row| row < own))
            {
                lines.push(*number);
            }
        }
    }
    lines.dedup();
    lines
}

/// The modules that `a::B` or `{a, b::{C, D}, E}` names, after `crate::`; macros and items of the
/// crate's root are not modules.
fn imported(path: &str) -> Vec<&str> {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(list) = path.strip_prefix('{') else { return vec![&path[..word(path)]] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let item = list[start..at].trim();
                names.push(&item[..word(item)]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

#[test]
fn imports_are_read_in_all_their_forms() {
    assert_eq!(imported("web::Page;"), ["web"]);
    assert_eq!(imported("{shard, web::{A, B}, Error};"), ["shard", "web", "Error"]);
    assert_eq!(imported("{graph::{self, Edge},web}"), ["graph", "web"]);
}
