//! What `sharded_by_a_text` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::shard::TextSharded for Entity {
    const SHARD: Column = Column::Shard;
    const TEXT: Column = Column::UserName;
}
#[automatically_derived]
impl ::tripod::app::Registered for Entity {
    fn register(catalogue: &mut ::tripod::app::Catalogue) {
        catalogue.add_text_sharded::<Self>();
    }
}
