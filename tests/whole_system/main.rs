//! Tests of the whole system: the built program as a process, driven over HTTP as clients do.
//!
//! Each test starts a server of its own, with a data directory that is gone afterwards, so that
//! they run side by side. `INSTACLONE_BIN` names another binary to test.

mod smoke;
