//! What `job_in_a_lane_and_unique` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::queue::Job for MailDigest {
    const NAME: &'static str = "mail_digest";
    const RETRIES: u32 = 8;
    const LANE: &'static str = "mail";
    fn unique(&self) -> ::core::option::Option<::tripod::queue::Unique> {
        ::core::option::Option::Some(
            ::tripod::queue::Unique::WhileWaiting(
                ::std::string::ToString::to_string(&self.account),
            ),
        )
    }
}
