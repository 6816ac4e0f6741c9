//! What `timeline_item` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::timeline::TimelineItem for Entity {
    type Audience = crate::follows::Follow;
    const TIMELINE: &'static str = "home";
}
