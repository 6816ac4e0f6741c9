//! A function in quotes, and a flag that is a number.

use tripod_macros::Index;

pub struct Note;

#[derive(Index)]
#[index(name = "note_by_word", of = Note, keys = "words", prefixes = 2)]
pub struct NoteByWord;

fn main() {}
