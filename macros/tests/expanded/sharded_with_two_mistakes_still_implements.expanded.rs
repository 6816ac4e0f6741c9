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
