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
const _: () = {
    trait AModelIsNotSerialize_MakeRepliesOfViews<A> {
        fn check() {}
    }
    impl<T: ?::core::marker::Sized> AModelIsNotSerialize_MakeRepliesOfViews<()> for T {}
    #[allow(dead_code, non_camel_case_types)]
    struct IsSerialize;
    impl<
        T: ?::core::marker::Sized + ::tripod::__private::serde::Serialize,
    > AModelIsNotSerialize_MakeRepliesOfViews<IsSerialize> for T {}
    let _ = <Model as AModelIsNotSerialize_MakeRepliesOfViews<_>>::check;
};
