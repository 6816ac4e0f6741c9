//! What `sharded_cached_and_in_timelines` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::shard::Sharded for Entity {
    type Owner = <Id<author::Entity> as ::tripod::id::IdOf>::Entity;
    const ID: Column = Column::Id;
    const OWNER: Column = Column::AuthorId;
    fn id(row: &Model) -> ::tripod::id::Id<Self> {
        row.id
    }
}
#[automatically_derived]
impl ::tripod::app::Registered for Entity {
    fn register(catalogue: &mut ::tripod::app::Catalogue) {
        catalogue.add_sharded::<Self>();
        catalogue.add_cached::<Self>();
        catalogue.add_timeline::<Self>();
    }
}
