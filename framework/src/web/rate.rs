//! Rate limits by account and by network: token buckets, kept in this process.
//!
//! What runs out is answered 429 with the seconds until it is refilled. Bounded: buckets that
//! have filled up again are forgotten.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::{Problem, SessionCookie, SignedIn};

/// Buckets of one rule past which the full ones are forgotten.
const BUCKETS: usize = 100_000;

/// So many requests at once, and then as many again, evenly, in each `per`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Tells its buckets from those of other rules.
    pub name: &'static str,
    /// Requests at once.
    pub burst: NonZeroU32,
    /// The time in which an empty bucket is full again.
    pub per: Duration,
}

impl Rule {
    /// `burst` requests in `per_seconds`.
    ///
    /// # Panics
    /// When `burst` is 0; as a constant, while compiling.
    pub const fn new(name: &'static str, burst: u32, per_seconds: u64) -> Self {
        Self { name, burst: NonZeroU32::new(burst).unwrap(), per: Duration::from_secs(per_seconds) }
    }
}

/// All requests of one account, or of one network without an account: far more than people make,
/// and far fewer than a loop does.
const REQUESTS: Rule = Rule::new("requests", 1_200, 60);

/// Requests with a token, good or made up, of one network: looking it up costs a read. Many people
/// may share a network, so it is generous.
const TOKENS: Rule = Rule::new("tokens", 6_000, 60);

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
    match peer.map(|ConnectInfo(peer)| limits.take(TOKENS, peer.ip())) {
        Some(Err(problem)) => problem.into_response(),
        _ => next.run(request).await,
    }
}

/// Middleware: takes every request from its account's or network's bucket. Rules for single
/// operations are the handlers' own.
pub async fn limit_requests(State(limits): State<RateLimits>, request: Request, next: Next) -> Response {
    let account =
        request.extensions().get::<SignedIn>().map(|SignedIn(session)| Payer::Account(session.account));
    let network = || {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        peer.map(|ConnectInfo(peer)| Payer::from(peer.ip()))
    };
    match account.or_else(network).map(|payer| limits.take(REQUESTS, payer)) {
        Some(Err(problem)) => problem.into_response(),
        _ => next.run(request).await,
    }
}

/// Whose bucket is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A signed-in account.
    Account(i64),
    /// A network: an IPv4 address, or the first 64 bits of an IPv6 one, which is what one
    /// customer is given.
    Network([u8; 8]),
    /// A name, such as the one somebody tries to log in with.
    Name(String),
}

impl From<IpAddr> for Payer {
    fn from(address: IpAddr) -> Self {
        let mut network = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(address) => network[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => network.copy_from_slice(&address.octets()[..8]),
        }
        Self::Network(network)
    }
}

type Limiter = DefaultKeyedRateLimiter<Payer>;

/// All buckets; clones share them.
#[derive(Clone)]
pub struct RateLimits {
    enabled: bool,
    limiters: Arc<RwLock<HashMap<&'static str, Arc<Limiter>>>>,
}

impl RateLimits {
    /// Without any bucket yet. When not `enabled`, nothing is ever refused.
    pub fn new(enabled: bool) -> Self {
        Self { enabled, limiters: Arc::default() }
    }

    /// Takes one request from a bucket.
    ///
    /// # Errors
    /// 429 with `Retry-After` when it is empty.
    pub fn take(&self, rule: Rule, payer: impl Into<Payer>) -> Result<(), Problem> {
        if !self.enabled {
            return Ok(());
        }
        let limiter = self.limiter(rule);
        if limiter.len() > BUCKETS {
            limiter.retain_recent();
        }
        limiter.check_key(&payer.into()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            Problem::too_many(wait.as_secs() + 1)
        })
    }

    fn limiter(&self, rule: Rule) -> Arc<Limiter> {
        let known = self.limiters.read().unwrap_or_else(|broken| broken.into_inner()).get(rule.name).cloned();
        known.unwrap_or_else(|| {
            let mut limiters = self.limiters.write().unwrap_or_else(|broken| broken.into_inner());
            let quota = Quota::with_period(rule.per / rule.burst.get())
                .expect("a rule's period is longer than its burst in nanoseconds")
                .allow_burst(rule.burst);
            limiters.entry(rule.name).or_insert_with(|| Arc::new(Limiter::keyed(quota))).clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule::new("test", 3, 3_600);

    #[test]
    fn a_bucket_runs_out_for_its_payer_only() {
        let limits = RateLimits::new(true);
        let (v4, same): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "::ffff:10.0.0.1".parse().unwrap());
        for address in [v4, same, v4] {
            limits.take(RULE, address).unwrap();
        }
        let refused = limits.take(RULE, same).unwrap_err();
        assert_eq!(refused.status, 429);
        limits.take(RULE, Payer::Account(1)).unwrap();
        limits.take(Rule::new("other", 1, 60), v4).unwrap();
    }

    #[test]
    fn addresses_of_one_customer_share_a_bucket() {
        let payer = |text: &str| Payer::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(payer("2001:db8:1:2::1"), payer("2001:db8:1:2:ffff::9"));
        assert_ne!(payer("2001:db8:1:2::1"), payer("2001:db8:1:3::1"));
    }

    #[test]
    fn off_refuses_nothing() {
        let limits = RateLimits::new(false);
        for _ in 0..100 {
            limits.take(RULE, Payer::Account(1)).unwrap();
        }
    }
}
