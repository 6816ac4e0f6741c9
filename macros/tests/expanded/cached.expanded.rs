//! What `cached` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::cache::Cached for Model {
    const NAME: &'static str = "note";
    const VERSION: u64 = 12474948113292620118;
    const TTL: ::core::time::Duration = ::core::time::Duration::from_secs(600);
    type View = ();
    fn encode(&self) -> ::tripod::__private::serde_json::Result<::std::vec::Vec<u8>> {
        #[derive(::tripod::__private::serde::Serialize)]
        #[serde(crate = "::tripod::__private::serde")]
        struct Stored<'a> {
            id: &'a Id<Entity>,
            text: &'a String,
        }
        let Self { id, text } = self;
        ::tripod::__private::serde_json::to_vec(&Stored { id, text })
    }
    fn decode(json: &[u8]) -> ::tripod::__private::serde_json::Result<Self> {
        #[derive(::tripod::__private::serde::Deserialize)]
        #[serde(crate = "::tripod::__private::serde")]
        struct Stored {
            id: Id<Entity>,
            text: String,
        }
        let Stored { id, text } = ::tripod::__private::serde_json::from_slice(json)?;
        ::core::result::Result::Ok(Self { id, text })
    }
}
