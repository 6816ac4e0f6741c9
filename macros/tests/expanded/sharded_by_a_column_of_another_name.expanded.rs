//! What `sharded_by_a_column_of_another_name` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::shard::Sharded for Entity {
    type Owner = <Id<place::Entity> as ::tripod::id::IdOf>::Entity;
    const ID: Column = Column::NoteId;
    const OWNER: Column = Column::Place;
    fn id(row: &Model) -> ::tripod::id::Id<Self> {
        row.id
    }
}
#[automatically_derived]
impl ::tripod::app::Registered for Entity {
    fn register(catalogue: &mut ::tripod::app::Catalogue) {
        catalogue.add_sharded::<Self>();
    }
}
