//! The servers that a service at scale stands on, each started by the test that needs it.

pub mod object_store;
