//! Hears what other processes change, and knows up to when it has heard everything.
//!
//! The first level is believed only for [`BELIEVED_MS`] after something that this process said itself
//! has come back to it: all that was told before that has been heard. So a connection that is slow,
//! cut or half open makes reads slower, never older. It runs on a thread of its own: a busy service
//! must not make its cache unbelievable.

use std::collections::VecDeque;
use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::{Cache, Inner, shared};
use crate::error::{Error, Result};
use crate::redis::{Speaker, Subscription};

/// How old what is heard may be: a write is seen by the first level of every process after it.
pub(super) const BELIEVED_MS: u64 = 100;
/// Between two things said: four of them in the time above, so that a late one is no matter.
const SAY: Duration = Duration::from_millis(25);
/// With nothing heard of what was said for so long, the connection is given up.
const DEAF: Duration = Duration::from_secs(2);
/// Between two tries to listen.
const AGAIN: Duration = Duration::from_millis(200);
/// Said and not yet heard, at most.
const UNHEARD: usize = 128;

/// Begins to listen; it ends with the cache.
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
    let channel = format!("c:heard:{:016x}", rand::random::<u64>());
    while let Some(inner) = cache.upgrade() {
        let Some(redis) = inner.redis.clone() else { return };
        let heard_at = redis.key(&channel);
        let changed_at = inner.shared.as_ref().map(shared::Shared::channel).unwrap_or_default();
        drop(inner);
        match redis.subscribe(&[changed_at, heard_at.clone()]).await {
            Ok(subscription) => listen(&cache, subscription, &heard_at).await,
            Err(error) => tracing::debug!(error = error.chain(), "the cache's first level is not used"),
        }
        sleep(AGAIN).await;
    }
}

/// What was said and not yet heard: a number, when it was said, and how often it is still to come.
type Said = VecDeque<(u64, u64, usize)>;

/// Listens until the connection is lost.
async fn listen(cache: &Weak<Inner>, mut subscription: Subscription, heard_at: &str) {
    {
        let Some(inner) = cache.upgrade() else { return };
        // What was changed while nobody listened is not known.
        inner.local.clear();
        tokio::spawn(async move { Cache(inner).tell_recent().await });
    }
    let (say, mut said) = mpsc::channel(1);
    let speaker = subscription.speaker();
    let servers = speaker.servers();
    let speaking = tokio::spawn(speak(cache.clone(), speaker, heard_at.to_owned(), say));
    let mut unheard = Said::new();
    let mut deaf_at = Instant::now() + DEAF;
    'listening: loop {
        tokio::select! {
            // In this order nothing is heard before it is known to be said.
            biased;
            spoke = said.recv() => match spoke {
                Some((number, at_ms)) => {
                    unheard.push_back((number, at_ms, servers));
                    unheard.truncate(UNHEARD);
                }
                None => break,
            },
            message = timeout_at(deaf_at, subscription.next()) => match message {
                Ok(Some((channel, text))) if channel == heard_at => {
                    let Ok(number) = text.parse::<u64>() else { continue };
                    if let Some((_, _, times)) = unheard.iter_mut().find(|(said, ..)| *said == number) {
                        *times = times.saturating_sub(1);
                    }
                }
                Ok(Some((_, text))) => {
                    let Some(inner) = cache.upgrade() else { break };
                    inner.drop_changed(&text);
                }
                Ok(None) | Err(_) => break,
            },
        }
        while let Some((_, at_ms, 0)) = unheard.front() {
            deaf_at = Instant::now() + DEAF;
            let Some(inner) = cache.upgrade() else { break };
            if !inner.is_asked(subscription.identity()) {
                // What is asked is another server by now, or none: what is told there is not heard here.
                inner.disbelieve();
                break 'listening;
            }
            inner.believe_until(at_ms + BELIEVED_MS);
            unheard.pop_front();
        }
    }
    speaking.abort();
    if let Some(inner) = cache.upgrade() {
        inner.disbelieve();
    }
}

/// Says a number from time to time, and tells again what could not be told.
async fn speak(cache: Weak<Inner>, mut speaker: Speaker, channel: String, said: mpsc::Sender<(u64, u64)>) {
    let mut ticks = interval(SAY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        let Some(inner) = cache.upgrade() else { return };
        let at_ms = inner.clock.now_ms();
        if inner.untold.has_due(at_ms) && !inner.is_telling.swap(true, Relaxed) {
            // Beside this: what is said must not wait for it.
            let cache = Cache(inner);
            tokio::spawn(async move {
                cache.tell_untold().await;
                sleep(AGAIN).await;
                cache.0.is_telling.store(false, Relaxed);
            });
        }
        if said.send((number, at_ms)).await.is_err() {
            return;
        }
        if let Err(error) = speaker.say(&channel, &number.to_string()).await {
            tracing::debug!(error = error.chain(), "the cache's first level is not used");
            return;
        }
    }
}
