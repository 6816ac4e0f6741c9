//! What `job_without_retries` in `src/expanded_tests.rs` expands to.

#[automatically_derived]
impl ::tripod::queue::Job for Delete {
    const NAME: &'static str = "accounts.delete";
    const RETRIES: u32 = 8;
}
