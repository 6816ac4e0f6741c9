//! What `cached_with_a_view` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::cache::Cached for Weather {
    const NAME: &'static str = "weather";
    const VERSION: u64 = 13259193485781651045;
    const TTL: ::core::time::Duration = ::core::time::Duration::from_secs(90);
    type View = crate::web::Rendered<Forecast>;
    fn encode(&self) -> ::tripod::__private::serde_json::Result<::std::vec::Vec<u8>> {
        ::tripod::__private::serde_json::to_vec(self)
    }
    fn decode(json: &[u8]) -> ::tripod::__private::serde_json::Result<Self> {
        ::tripod::__private::serde_json::from_slice(json)
    }
}
