//! What `job` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::queue::Job for SharePost {
    const NAME: &'static str = "share_post";
    const RETRIES: u32 = 3;
}
