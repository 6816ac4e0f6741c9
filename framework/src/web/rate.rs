//! Rate limits per account and per network: token buckets, in Redis or else in this process.
//!
//! A request over the limit is answered 429 with the seconds until it may be repeated. Memory is
//! bounded: full buckets are forgotten. If Redis is unavailable, each process counts on its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, RwLock};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::hash_text;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::redis::{Redis, Script};

/// Number of buckets of one limit above which full ones are removed.
const BUCKETS: usize = 100_000;

/// Allows `burst` requests at once, and then as many again, evenly spread, in each `per`.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Distinguishes its buckets from other limits' buckets.
    pub name: &'static str,
    /// The capacity of a bucket, in requests.
    pub burst: NonZeroU32,
    /// The time in which an empty bucket fills up.
    pub per: Duration,
}

impl RateLimit {
    /// `burst` requests in `per_seconds`.
    ///
    /// # Panics
    /// When `burst` is 0; for a constant, at compile time.
    pub const fn new(name: &'static str, burst: u32, per_seconds: u64) -> Self {
        Self { name, burst: NonZeroU32::new(burst).unwrap(), per: Duration::from_secs(per_seconds) }
    }
}

/// The limits that the framework itself checks. An app's handlers check the limits of their own
/// operations. Set them with [`AppBuilder::request_limits`](crate::app::AppBuilder::request_limits).
///
/// ```
/// use tripod::web::{RateLimit, RequestLimits};
/// let limits = RequestLimits { requests: RateLimit::new("requests", 300, 60), ..RequestLimits::default() };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// All requests of one account, or of one network without an account. By default 1,200 a minute: far
    /// more than people make, and far fewer than a loop makes.
    pub requests: RateLimit,
    /// Requests from one network with a token, valid or not, because looking it up costs a read. By
    /// default 6,000 a minute, as many people may share a network.
    pub tokens: RateLimit,
    /// Requests from one network to what needs no session: media files, probes, metrics, documents and
    /// unknown addresses. By default 6,000 a minute. Each process counts for itself, so that these need
    /// no Redis.
    pub public: RateLimit,
    /// Attempts to log in to one account from one network or from one known device, or to change its
    /// password. By default 20 in ten minutes.
    pub log_ins_by_name: RateLimit,
    /// Attempts to log in to one account from all networks and devices together that it has not logged in
    /// from before. It bounds guessing from many networks, and never concerns the owner at home. By default
    /// 100 an hour.
    pub log_ins_from_elsewhere: RateLimit,
    /// Attempts to log in from one network, to any account. By default 60 in ten minutes.
    pub log_ins_of_network: RateLimit,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            requests: RateLimit::new("requests", 1_200, 60),
            tokens: RateLimit::new("tokens", 6_000, 60),
            public: RateLimit::new("public", 6_000, 60),
            log_ins_by_name: RateLimit::new("log_ins_by_name", 20, 600),
            log_ins_from_elsewhere: RateLimit::new("log_ins_from_elsewhere", 100, 3_600),
            log_ins_of_network: RateLimit::new("log_ins_of_network", 60, 600),
        }
    }
}

/// The owner of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// A signed-in account.
    Account(i64),
    /// A network: an IPv4 address, or the first 64 bits of an IPv6 address, which is what one customer
    /// gets.
    Network([u8; 8]),
    /// A name, such as the one given to log in.
    Name(String),
    /// A name on one network.
    NameOnNetwork(String, [u8; 8]),
    /// A device of one account.
    Device(i64, [u8; 32]),
}

impl<T> From<Id<T>> for RateLimitKey {
    fn from(account: Id<T>) -> Self {
        Self::Account(account.raw())
    }
}

impl From<IpAddr> for RateLimitKey {
    fn from(address: IpAddr) -> Self {
        Self::Network(network_of(address))
    }
}

/// The network of an address; see [`RateLimitKey::Network`].
pub(super) fn network_of(address: IpAddr) -> [u8; 8] {
    let mut network = [0; 8];
    match address.to_canonical() {
        IpAddr::V4(address) => network[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => network.copy_from_slice(&address.octets()[..8]),
    }
    network
}

impl RateLimitKey {
    /// The key's text in Redis. A name is untrusted text, and may be a password typed into the wrong
    /// field, so only its hash is stored.
    fn key(&self) -> String {
        match self {
            Self::Account(id) => format!("a{id}"),
            Self::Network(bytes) => format!("n{:016x}", u64::from_be_bytes(*bytes)),
            Self::Name(name) => format!("h{}", hash_text(name.as_bytes())),
            Self::NameOnNetwork(name, network) => {
                format!("p{}{:016x}", hash_text(name.as_bytes()), u64::from_be_bytes(*network))
            }
            Self::Device(account, hash) => format!("d{account}:{}", hash_text(hash)),
        }
    }
}

type Limiter = DefaultKeyedRateLimiter<RateLimitKey>;

/// The generic cell rate algorithm, as in governor: a bucket is stored as the time at which it is full
/// again. Returns the milliseconds until a request is allowed, or 0 if it was. Times are in
/// microseconds, which Lua's numbers hold exactly. Arguments: the time that one request costs, and the
/// burst.
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
    /// Keeps buckets in Redis, or else in this process. If not `enabled`, every request is allowed.
    pub fn new(enabled: bool, redis: Option<Redis>) -> Self {
        Self { enabled, redis, limiters: Arc::default(), of_requests: RequestLimits::default() }
    }

    /// The same buckets, with these limits for all requests.
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
    /// Limited, with the seconds until the next request is allowed, when the limit is used up.
    pub async fn check(&self, limit: RateLimit, key: impl Into<RateLimitKey>) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let key = key.into();
        let wait = match self.take_shared(limit, &key).await {
            Some(wait) => wait,
            None => self.take_here(limit, &key),
        };
        refuse_until(wait)
    }

    /// Counts a request with a token of this network, before the token is looked up.
    ///
    /// # Errors
    /// Limited, when the network sends too many.
    pub(super) async fn check_token(&self, network: Option<IpAddr>) -> Result<()> {
        match network {
            Some(network) => self.check(self.of_requests.tokens, network).await,
            None => Ok(()),
        }
    }

    /// Counts any request of this account, or else of this network.
    ///
    /// # Errors
    /// Limited, when it sends too many.
    pub(super) async fn check_request(&self, account: Option<i64>, network: Option<IpAddr>) -> Result<()> {
        match account.map(RateLimitKey::Account).or(network.map(RateLimitKey::from)) {
            Some(key) => self.check(self.of_requests.requests, key).await,
            None => Ok(()),
        }
    }

    /// Counts a request of this network to what needs no session.
    ///
    /// # Errors
    /// Limited, when it sends too many.
    pub(super) fn check_public(&self, network: Option<IpAddr>) -> Result<()> {
        match network {
            Some(network) if self.enabled => {
                refuse_until(self.take_here(self.of_requests.public, &network.into()))
            }
            _ => Ok(()),
        }
    }

    /// How long until a request is allowed; `None` if Redis is unavailable.
    async fn take_shared(&self, limit: RateLimit, key: &RateLimitKey) -> Option<Duration> {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE));
        let redis = self.redis.as_ref()?;
        let key = redis.key(format_args!("r:{}:{}", limit.name, key.key()));
        let each = limit.per.as_micros() / u128::from(limit.burst.get());
        let arguments = [each.max(1).to_string(), limit.burst.to_string()];
        let taken = redis.run::<u64>(&SCRIPT, &key, &[&arguments[0], &arguments[1]]).await;
        taken.map(Duration::from_millis).ok()
    }

    /// Does the same with the bucket in this process.
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

fn refuse_until(wait: Duration) -> Result<()> {
    if wait.is_zero() { Ok(()) } else { Err(Error::limited(wait.as_secs() + 1)) }
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
