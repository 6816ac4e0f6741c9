//! What `sharded_by_a_text_beside_what_needs_an_id` in `src/expanded_tests.rs` expands to.

::core::compile_error! {
    "rows are cached by their ids, and a row that is found by a text has none"
}
::core::compile_error! {
    "timelines hold ids, and a row that is found by a text has none"
}
#[automatically_derived]
impl ::tripod::shard::TextSharded for Entity {
    const SHARD: Column = Column::Shard;
    const TEXT: Column = Column::Name;
}
#[automatically_derived]
impl ::tripod::app::Registered for Entity {
    fn register(catalogue: &mut ::tripod::app::Catalogue) {
        catalogue.add_text_sharded::<Self>();
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
