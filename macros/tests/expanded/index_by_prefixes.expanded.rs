//! What `index_by_prefixes` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::index::Index for NoteByWord {
    type Rows = note::Entity;
    const NAME: &'static str = "note_by_word";
    const PREFIXES: bool = true;
    fn keys(
        row: &<note::Entity as ::tripod::__private::sea_orm::EntityTrait>::Model,
    ) -> ::std::vec::Vec<::std::string::String> {
        note::words(row)
    }
}
