//! What `cached_under_a_name` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::cache::Cached for Weather {
    const NAME: &'static str = "weather";
    const VERSION: u64 = 12438245584949987620;
    const TTL: ::core::time::Duration = ::core::time::Duration::from_secs(90);
}
