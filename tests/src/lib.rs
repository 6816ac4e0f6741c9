//! What the tests and benches share: the built binary as a server, and people who use it.
