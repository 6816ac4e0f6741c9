//! An index with a field.

use tripod_macros::Index;

#[derive(Index)]
#[index(name = "note_by_word")]
pub struct NoteByWord {
    words: Vec<String>,
}

fn main() {}
