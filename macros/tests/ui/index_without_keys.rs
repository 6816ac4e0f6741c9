//! Only a name and an entity.

use tripod_macros::Index;

pub struct Note;

#[derive(Index)]
#[index(name = "note_by_word", of = Note)]
pub struct NoteByWord;

fn main() {}
