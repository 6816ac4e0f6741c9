//! What `edge` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::graph::Edge for Like {
    type From = account::Entity;
    type To = crate::posts::post::Entity;
    const NAME: &'static str = "like";
}
