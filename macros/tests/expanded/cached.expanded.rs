//! What `cached` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::cache::Cached for Model {
    const NAME: &'static str = "note";
    const VERSION: u64 = 12474948113292620118;
    const TTL: ::core::time::Duration = ::core::time::Duration::from_secs(600);
}
