//! Several processes on the same stores.
