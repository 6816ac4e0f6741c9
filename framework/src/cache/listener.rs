//! Subscribes to the invalidations of other processes, and tracks up to when all of them have been
//! received.
//!
//! This process publishes heartbeats to itself through Redis. Once a heartbeat has come back, every
//! invalidation published before it was sent has been received, so the first level is coherent for
//! [`COHERENCE_MS`] after that time. A connection that is slow, cut or half open therefore makes reads slower,
//! but never staler. The listener runs on a thread of its own, so that a busy service does not make its cache
//! incoherent.

use std::collections::VecDeque;
use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::{Cache, Inner, shared};
use crate::error::{Error, Result};
use crate::redis::{Publisher, Subscription};

/// How stale a value may be: after this, a write is visible in the first level of every process.
pub(super) const COHERENCE_MS: u64 = 100;
/// Four heartbeats per [`COHERENCE_MS`], so that a late one does no harm.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(25);
/// If no heartbeat is received for this long, the connection is given up.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two attempts to subscribe.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// The maximum number of heartbeats in flight.
const MAX_IN_FLIGHT: usize = 128;

/// Starts the listener; it ends with the cache.
pub(super) fn start(cache: Weak<Inner>) -> Result<()> {
    let failed = |error| Error::internal("the cache's listener can't be started").because(error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    std::thread::Builder::new()
        .name("tripod-cache".to_owned())
        .spawn(move || runtime.block_on(keep_listening(cache)))
        .map(drop)
        .map_err(failed)
}

async fn keep_listening(cache: Weak<Inner>) {
    let channel = format!("c:heartbeat:{:016x}", rand::random::<u64>());
    while let Some(inner) = cache.upgrade() {
        let Some(redis) = inner.redis.clone() else { return };
        let heartbeats = redis.key(&channel);
        let invalidations = inner.shared.as_ref().map(shared::Shared::channel).unwrap_or_default();
        drop(inner);
        match redis.subscribe(&[invalidations, heartbeats.clone()]).await {
            Ok(subscription) => listen(&cache, subscription, &heartbeats).await,
            Err(error) => tracing::debug!(error = error.chain(), "the cache's first level is not used"),
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// Heartbeats that were sent and not yet received.
type InFlight = VecDeque<Heartbeat>;

struct Heartbeat {
    number: u64,
    sent_ms: u64,
    /// How many more times it has to arrive: once from each server.
    remaining: usize,
}

/// Listens until the connection is lost.
async fn listen(cache: &Weak<Inner>, mut subscription: Subscription, heartbeats: &str) {
    {
        let Some(inner) = cache.upgrade() else { return };
        // Invalidations may have been missed while there was no subscription.
        inner.local.clear();
        tokio::spawn(async move { Cache(inner).republish_recent().await });
    }
    let (sender, mut sent) = mpsc::channel(1);
    let publisher = subscription.publisher();
    let servers = publisher.servers();
    let publishing = tokio::spawn(publish(cache.clone(), publisher, heartbeats.to_owned(), sender));
    let mut in_flight = InFlight::new();
    let mut timeout = Instant::now() + HEARTBEAT_TIMEOUT;
    'listening: loop {
        tokio::select! {
            // In this order, a heartbeat is recorded as sent before it is received.
            biased;
            sent = sent.recv() => match sent {
                Some((number, sent_ms)) => {
                    in_flight.push_back(Heartbeat { number, sent_ms, remaining: servers });
                    in_flight.truncate(MAX_IN_FLIGHT);
                }
                None => break,
            },
            message = timeout_at(timeout, subscription.next()) => match message {
                Ok(Some((channel, text))) if channel == heartbeats => {
                    let Ok(number) = text.parse::<u64>() else { continue };
                    if let Some(heartbeat) = in_flight.iter_mut().find(|heartbeat| heartbeat.number == number) {
                        heartbeat.remaining = heartbeat.remaining.saturating_sub(1);
                    }
                }
                Ok(Some((_, text))) => {
                    let Some(inner) = cache.upgrade() else { break };
                    inner.drop_changed(&text);
                }
                Ok(None) | Err(_) => break,
            },
        }
        while let Some(&Heartbeat { sent_ms, remaining: 0, .. }) = in_flight.front() {
            timeout = Instant::now() + HEARTBEAT_TIMEOUT;
            let Some(inner) = cache.upgrade() else { break };
            if !inner.is_current_server(subscription.identity()) {
                // Commands now go to another server, or to none: what is published there is not received
                // here.
                inner.mark_incoherent();
                break 'listening;
            }
            inner.mark_coherent_until(sent_ms + COHERENCE_MS);
            in_flight.pop_front();
        }
    }
    publishing.abort();
    if let Some(inner) = cache.upgrade() {
        inner.mark_incoherent();
    }
}

/// Publishes heartbeats, and the pending invalidations.
async fn publish(
    cache: Weak<Inner>,
    mut publisher: Publisher,
    channel: String,
    sent: mpsc::Sender<(u64, u64)>,
) {
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        let Some(inner) = cache.upgrade() else { return };
        let now_ms = inner.clock.now_ms();
        if inner.pending_invalidations.has_due(now_ms) && !inner.is_publishing.swap(true, Relaxed) {
            // In a task of its own: heartbeats must not wait for it.
            let cache = Cache(inner);
            tokio::spawn(async move {
                cache.publish_pending().await;
                sleep(RETRY_INTERVAL).await;
                cache.0.is_publishing.store(false, Relaxed);
            });
        }
        if sent.send((number, now_ms)).await.is_err() {
            return;
        }
        if let Err(error) = publisher.publish(&channel, &number.to_string()).await {
            tracing::debug!(error = error.chain(), "the cache's first level is not used");
            return;
        }
    }
}
