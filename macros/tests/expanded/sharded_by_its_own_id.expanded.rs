//! What `sharded_by_its_own_id` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::shard::Sharded for Entity {
    type Owner = <tripod::id::Id<Entity> as ::tripod::id::IdOf>::Entity;
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
