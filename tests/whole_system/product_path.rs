//! Everything a person can do over HTTP, checked against the API's contract: statuses, shapes, counts.

mod accounts;
mod documents;
mod feed;
mod follows;
mod lists;
mod photos;
mod posts;
mod saves;
mod search;

use serde_json::Value;

/// The names of an object's fields, sorted.
#[track_caller]
fn fields(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is not an object"));
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The ids of items.
pub(super) fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(id).collect()
}

/// The id of a user, post or comment: a string of digits.
#[track_caller]
fn id(value: &Value) -> &str {
    let id = value["id"].as_str().unwrap_or_else(|| panic!("{value} has no id that is a string"));
    assert!(id.parse::<i64>().is_ok_and(|number| number > 0), "{id} is not an id");
    id
}

/// Asserts that this is a time in RFC 3339, in UTC.
#[track_caller]
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a time"));
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(shape.starts_with("0000-00-00T00:00:00") && shape.ends_with('Z'), "{text} is not a time in UTC");
}

/// Asserts the shape of an author.
#[track_caller]
fn assert_author(value: &Value) {
    assert_eq!(fields(value), ["avatar_url", "full_name", "id", "username"]);
}
