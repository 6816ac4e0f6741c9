//! The conformance suites on the embedded stores.

tripod::conformance!(tripod::testing::Backing::embedded());
