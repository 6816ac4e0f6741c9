//! What `edge_that_ends_others` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::graph::Edge for Block {
    type From = account::Entity;
    type To = account::Entity;
    const NAME: &'static str = "block";
    const ENDS: &'static [&'static str] = &[
        ::tripod::graph::ended_by::<_, Self, Follow>(),
        ::tripod::graph::ended_by::<_, Self, Request>(),
    ];
    const CACHES_SOURCES: bool = true;
}
