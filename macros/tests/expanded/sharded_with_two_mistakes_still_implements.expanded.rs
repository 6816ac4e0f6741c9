//! What `sharded_with_two_mistakes_still_implements` in `src/expanded_tests.rs` expands to.

::core::compile_error! {
    "no field `autor_id` has a column; did you mean `author_id`?"
}
::core::compile_error! {
    "ids are generated before the row is written, not by the database: add `auto_increment = false`"
}
#[automatically_derived]
impl ::tripod::shard::Sharded for Entity {
    type Owner = Entity;
    const ID: Column = Column::Id;
    const OWNER: Column = Column::Id;
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
