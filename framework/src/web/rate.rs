//! Rate limits by account and by network: token buckets, in Redis or else in this process.
//!
//! What runs out is answered 429 with the seconds until it is refilled. Bounded: buckets that
//! have filled up again are forgotten. With Redis away each process counts by itself.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, RwLock};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::{SessionCookie, SignedIn, hash_text};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::redis::{Redis, Script};

/// Buckets of one limit past which the full ones are forgotten.
const BUCKETS: usize = 100_000;

/// So many requests at once, and then as many again, evenly, in each `per`.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Tells its buckets from those of other limits.
    pub name: &'static str,
    /// Requests at once.
    pub burst: NonZeroU32,
    /// The time in which an empty bucket is full again.
    pub per: Duration,
}

impl RateLimit {
    /// `burst` requests in `per_seconds`.
    ///
    /// # Panics
    /// When `burst` is 0; as a constant, while compiling.
    pub const fn new(name: &'static str, burst: u32, per_seconds: u64) -> Self {
        Self { name, burst: NonZeroU32::new(burst).unwrap(), per: Duration::from_secs(per_seconds) }
    }
}

/// The limits that the framework checks itself; handlers check the limits of an app's own operations. An
/// app sets these with [`AppBuilder::request_limits`](crate::app::AppBuilder::request_limits).
///
/// ```
/// use tripod::web::{RateLimit, RequestLimits};
/// let limits = RequestLimits { requests: RateLimit::new("requests", 300, 60), ..RequestLimits::default() };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// All requests of one account, or of one network without an account. By default 1,200 a minute: far
    /// more than people make, and far fewer than a loop does.
    pub requests: RateLimit,
    /// Requests with a token, good or made up, of one network: looking it up costs a read. By default
    /// 6,000 a minute, as many people may share a network.
    pub tokens: RateLimit,
    /// Attempts to log in to one account, from anywhere, or to change its password. By default 20 in ten
    /// minutes.
    pub log_ins_by_name: RateLimit,
    /// Attempts to log in from one network, to any account. By default 60 in ten minutes.
    pub log_ins_of_network: RateLimit,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            requests: RateLimit::new("requests", 1_200, 60),
            tokens: RateLimit::new("tokens", 6_000, 60),
            log_ins_by_name: RateLimit::new("log_ins_by_name", 20, 600),
            log_ins_of_network: RateLimit::new("log_ins_of_network", 60, 600),
        }
    }
}

/// Middleware, before tokens are looked up: bounds how many of them a network may try.
pub async fn limit_tokens(
    State(limits): State<RateLimits>,
    State(cookie): State<SessionCookie>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let has_token = headers.contains_key(AUTHORIZATION) || cookie.read(headers).is_some();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().filter(|_| has_token);
    if let Some(ConnectInfo(peer)) = peer
        && let Err(error) = limits.check(limits.of_requests.tokens, peer.ip()).await
    {
        return error.into_response();
    }
    next.run(request).await
}

/// Middleware: takes every request from its account's or network's bucket. Limits of single
/// operations are the handlers' own.
pub async fn limit_requests(State(limits): State<RateLimits>, request: Request, next: Next) -> Response {
    let account = request
        .extensions()
        .get::<SignedIn>()
        .map(|SignedIn(session)| RateLimitKey::Account(session.account));
    let network = || {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        peer.map(|ConnectInfo(peer)| RateLimitKey::from(peer.ip()))
    };
    if let Some(key) = account.or_else(network)
        && let Err(error) = limits.check(limits.of_requests.requests, key).await
    {
        return error.into_response();
    }
    next.run(request).await
}

/// Whose bucket is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// A signed-in account.
    Account(i64),
    /// A network: an IPv4 address, or the first 64 bits of an IPv6 one, which is what one
    /// customer is given.
    Network([u8; 8]),
    /// A name, such as the one somebody tries to log in with.
    Name(String),
}

impl<T> From<Id<T>> for RateLimitKey {
    fn from(account: Id<T>) -> Self {
        Self::Account(account.raw())
    }
}

impl From<IpAddr> for RateLimitKey {
    fn from(address: IpAddr) -> Self {
        let mut network = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(address) => network[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => network.copy_from_slice(&address.octets()[..8]),
        }
        Self::Network(network)
    }
}

impl RateLimitKey {
    /// As part of a key. A name is a stranger's text, and may be a password typed into the wrong
    /// field, so only its hash is written.
    fn key(&self) -> String {
        match self {
            Self::Account(id) => format!("a{id}"),
            Self::Network(bytes) => format!("n{:016x}", u64::from_be_bytes(*bytes)),
            Self::Name(name) => format!("h{}", hash_text(name.as_bytes())),
        }
    }
}

type Limiter = DefaultKeyedRateLimiter<RateLimitKey>;

/// The generic cell rate algorithm, which is governor's: a bucket is the time at which it is full
/// again. Gives the milliseconds until a request may be taken, 0 when it was. In microseconds,
/// which a number of Lua's holds exactly. Arguments: the time that one request is worth, and the
/// requests at once.
const TAKE: &str = "
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + each
local wait = full - now - each * burst
if wait > 0 then return math.ceil(wait / 1000) end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
";

/// All buckets; clones share them.
#[derive(Clone)]
pub struct RateLimits {
    enabled: bool,
    redis: Option<Redis>,
    limiters: Arc<RwLock<HashMap<&'static str, Arc<Limiter>>>>,
    of_requests: RequestLimits,
}

impl RateLimits {
    /// Buckets in Redis, or else in this process. When not `enabled`, nothing is ever refused.
    pub fn new(enabled: bool, redis: Option<Redis>) -> Self {
        Self { enabled, redis, limiters: Arc::default(), of_requests: RequestLimits::default() }
    }

    /// The same buckets, with these limits for every request.
    #[must_use]
    pub fn with_request_limits(self, of_requests: RequestLimits) -> Self {
        Self { of_requests, ..self }
    }

    pub(super) fn of_requests(&self) -> &RequestLimits {
        &self.of_requests
    }

    /// Counts one request against a limit.
    ///
    /// # Errors
    /// Limited, with the seconds until the next one is let through, when the limit is used up.
    pub async fn check(&self, limit: RateLimit, key: impl Into<RateLimitKey>) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let key = key.into();
        let wait = match self.take_shared(limit, &key).await {
            Some(wait) => wait,
            None => self.take_here(limit, &key),
        };
        if wait.is_zero() { Ok(()) } else { Err(Error::limited(wait.as_secs() + 1)) }
    }

    /// How long until a request may be taken; nothing when Redis can't say.
    async fn take_shared(&self, limit: RateLimit, key: &RateLimitKey) -> Option<Duration> {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE));
        let redis = self.redis.as_ref()?;
        let key = redis.key(format_args!("r:{}:{}", limit.name, key.key()));
        let each = limit.per.as_micros() / u128::from(limit.burst.get());
        let arguments = [each.max(1).to_string(), limit.burst.to_string()];
        let taken = redis.run::<u64>(&SCRIPT, &key, &[&arguments[0], &arguments[1]]).await;
        taken.map(Duration::from_millis).ok()
    }

    /// The same, of the bucket in this process.
    fn take_here(&self, limit: RateLimit, key: &RateLimitKey) -> Duration {
        let limiter = self.limiter(limit);
        if limiter.len() > BUCKETS {
            limiter.retain_recent();
        }
        match limiter.check_key(key) {
            Ok(()) => Duration::ZERO,
            Err(not_until) => {
                not_until.wait_time_from(DefaultClock::default().now()).max(Duration::from_millis(1))
            }
        }
    }

    fn limiter(&self, limit: RateLimit) -> Arc<Limiter> {
        let known =
            self.limiters.read().unwrap_or_else(|broken| broken.into_inner()).get(limit.name).cloned();
        known.unwrap_or_else(|| {
            let mut limiters = self.limiters.write().unwrap_or_else(|broken| broken.into_inner());
            let quota = Quota::with_period(limit.per / limit.burst.get())
                .expect("a limit's period is longer than its burst in nanoseconds")
                .allow_burst(limit.burst);
            limiters.entry(limit.name).or_insert_with(|| Arc::new(Limiter::keyed(quota))).clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit::new("test", 3, 3_600);

    #[tokio::test]
    async fn a_bucket_runs_out_for_its_key_only() {
        let limits = RateLimits::new(true, None);
        let (v4, same): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "::ffff:10.0.0.1".parse().unwrap());
        for address in [v4, same, v4] {
            limits.check(LIMIT, address).await.unwrap();
        }
        let refused = limits.check(LIMIT, same).await.unwrap_err();
        assert!(refused.is_limited() && refused.retry_after_seconds().is_some(), "{refused}");
        limits.check(LIMIT, RateLimitKey::Account(1)).await.unwrap();
        limits.check(RateLimit::new("other", 1, 60), v4).await.unwrap();
    }

    #[test]
    fn addresses_of_one_customer_share_a_bucket() {
        let key = |text: &str| RateLimitKey::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }

    #[tokio::test]
    async fn off_refuses_nothing() {
        let limits = RateLimits::new(false, None);
        for _ in 0..100 {
            limits.check(LIMIT, RateLimitKey::Account(1)).await.unwrap();
        }
    }
}
