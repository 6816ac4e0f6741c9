//! The limits of the server.

use crate::config::Config;

/// The part of the process's handlers and unsent bytes that one network may have.
const SHARE: u64 = 4;

/// Limits on what clients may hold, and for how long. None can be turned off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections; further ones are answered 503 and closed. Each takes a file
    /// descriptor.
    pub connections: usize,
    /// How many of them one network may hold: an IPv4 address or an IPv6 /64. Further ones are answered
    /// 429 and closed. Trusted proxies may hold them all.
    pub connections_per_network: usize,
    /// Maximum number of requests being handled; further ones are answered 503.
    pub handlers: usize,
    /// How many of them may be from one network; further ones are answered 429.
    pub handlers_per_network: usize,
    /// Maximum memory of replies that clients have not taken yet, in bytes. While it is used up, requests
    /// with a safe method are answered 503; a handler that may have had an effect is never contradicted.
    pub unsent_bytes: u64,
    /// How much of it may be for one network; then 429.
    pub unsent_bytes_per_network: u64,
    /// Maximum size of a request's line and headers, in bytes; more is answered 431. At least 8 KiB.
    pub header_bytes: usize,
    /// Maximum number of headers in a request; more are answered 431.
    pub header_count: usize,
    /// How long a connection may be without an open request, in seconds: until the first head is
    /// complete, and from the end of a reply to the next complete head.
    pub header_seconds: u64,
    /// How long a client may pause within a body, and how long before the body's rate counts, in
    /// seconds; then 408.
    pub body_grace_seconds: u64,
    /// The minimum average rate of a body after that, in bytes per second of waiting for it; below it,
    /// 408.
    pub body_min_bytes_per_second: u64,
    /// The time from the last byte of a request to the head of its reply, in seconds; then 503.
    pub response_seconds: u64,
    /// How long a client may read nothing of a reply that is being sent, in seconds; on HTTP/2, of any one
    /// reply.
    pub write_seconds: u64,
    /// Maximum number of open requests per HTTP/2 connection.
    pub streams: u32,
    /// How long open requests may take to finish at shutdown, in seconds.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_network: 512,
            handlers: 2_048,
            handlers_per_network: 512,
            unsent_bytes: 128 << 20,
            unsent_bytes_per_network: 32 << 20,
            header_bytes: 32 * 1024,
            header_count: 100,
            header_seconds: 10,
            body_grace_seconds: 10,
            body_min_bytes_per_second: 16 * 1024,
            response_seconds: 30,
            write_seconds: 10,
            streams: 100,
            drain_seconds: 20,
        }
    }
}

impl Limits {
    /// The configured limits. If rate limits are turned off, one network may have all that there is.
    pub fn of(config: &Config) -> Self {
        let http = &config.http;
        let share = |all: u64, share: u64| if config.limits { share } else { all };
        let (connections, handlers) = (http.connections.into(), http.handlers.into());
        Self {
            connections: http.connections as usize,
            connections_per_network: share(connections, http.connections_per_address.into()) as usize,
            handlers: http.handlers as usize,
            handlers_per_network: share(handlers, handlers.div_ceil(SHARE)) as usize,
            unsent_bytes: http.unsent_bytes,
            unsent_bytes_per_network: share(http.unsent_bytes, http.unsent_bytes / SHARE),
            header_seconds: http.header_seconds.into(),
            body_grace_seconds: http.body_grace_seconds.into(),
            body_min_bytes_per_second: http.body_min_bytes_per_second.into(),
            response_seconds: http.response_seconds.into(),
            write_seconds: http.write_seconds.into(),
            drain_seconds: http.drain_seconds.into(),
            ..Self::default()
        }
    }
}
