//! Single flight: of all who miss a key at the same time one loads, and the others wait for that.
//!
//! Invariants: a key has one flight at most; what a flight brings is kept only if nothing has cut it
//! off meanwhile; whoever comes after a cut begins another flight, so nobody is handed what was read
//! before a change that was known when they asked. `tests/whole_system/single_flight.rs` runs this
//! file under loom, which is why its locks come from the module above it.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::{Arc, Mutex, MutexGuard};

/// The flights of a set of keys.
pub(super) struct Flights<K, V>(Mutex<HashMap<K, Arc<Flight<V>>>>);

struct Flight<V> {
    /// When it began, in the caller's time.
    begun: u64,
    state: Mutex<State<V>>,
}

enum State<V> {
    Flying(Vec<Waker>),
    Landed(V),
    /// Whoever flew it was dropped: nothing comes of it.
    Lost,
}

/// What somebody who missed a key does next.
pub(super) enum Turn<K: Copy + Eq + Hash, V> {
    /// It is there after all.
    Found(V),
    /// They load.
    Load(Loading<K, V>),
    /// They wait for who does.
    Wait(Waiting<V>),
}

/// The duty to load. Dropped before it has landed, it leaves those who wait with nothing.
pub(super) struct Loading<K: Copy + Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
    flight: Arc<Flight<V>>,
}

/// What a flight brings; nothing when it is lost.
pub(super) struct Waiting<V> {
    flight: Arc<Flight<V>>,
    /// Its place among the wakers.
    place: Option<usize>,
}

impl<K: Copy + Eq + Hash, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Copy + Eq + Hash, V> Flights<K, V> {
    /// Joins the flight of a key, or begins one, `now`; one that began before `since` is cut off. `look`
    /// sees what landed flights have kept.
    pub(super) fn join(
        this: &Arc<Self>,
        key: K,
        (now, since): (u64, u64),
        look: impl FnOnce() -> Option<V>,
    ) -> Turn<K, V> {
        let mut flights = lock(&this.0);
        if let Some(found) = look() {
            return Turn::Found(found);
        }
        if let Some(flight) = flights.get(&key).filter(|flight| flight.begun >= since) {
            return Turn::Wait(Waiting { flight: flight.clone(), place: None });
        }
        let flight = Arc::new(Flight { begun: now, state: Mutex::new(State::Flying(Vec::new())) });
        flights.insert(key, flight.clone());
        Turn::Load(Loading { flights: this.clone(), key, flight })
    }

    /// Cuts off what is under way for a key: it still reaches those who wait for it, and is not
    /// kept. `change` is done in the same step.
    pub(super) fn cut<R>(&self, key: &K, change: impl FnOnce() -> R) -> R {
        let mut flights = lock(&self.0);
        flights.remove(key);
        change()
    }

    /// The same of every key.
    pub(super) fn cut_all<R>(&self, change: impl FnOnce() -> R) -> R {
        let mut flights = lock(&self.0);
        flights.clear();
        change()
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Loading<K, V> {
    /// What this load brings, for whoever has begun it.
    pub(super) fn waiting(&self) -> Waiting<V> {
        Waiting { flight: self.flight.clone(), place: None }
    }

    /// Hands `value` to all who wait, after `keep`, which is called if nothing has cut this off.
    pub(super) fn land(self, value: V, keep: impl FnOnce()) {
        // In this order whoever joins once it has left finds what was kept.
        self.leave(keep);
        self.flight.end(State::Landed(value));
    }
}

impl<K: Copy + Eq + Hash, V> Loading<K, V> {
    /// Takes the flight off the board, unless it was cut off.
    fn leave(&self, keep: impl FnOnce()) {
        let mut flights = lock(&self.flights.0);
        let flying = flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        if flying {
            flights.remove(&self.key);
            keep();
        }
    }
}

impl<K: Copy + Eq + Hash, V> Drop for Loading<K, V> {
    fn drop(&mut self) {
        self.leave(|| ());
        self.flight.end(State::Lost);
    }
}

impl<V> Flight<V> {
    /// The first end counts.
    fn end(&self, end: State<V>) {
        let wakers = {
            let mut state = lock(&self.state);
            match &mut *state {
                State::Flying(wakers) => {
                    let wakers = std::mem::take(wakers);
                    *state = end;
                    wakers
                }
                State::Landed(_) | State::Lost => return,
            }
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<V: Clone> Future for Waiting<V> {
    type Output = Option<V>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<V>> {
        let flight = self.flight.clone();
        match &mut *lock(&flight.state) {
            State::Landed(value) => Poll::Ready(Some(value.clone())),
            State::Lost => Poll::Ready(None),
            State::Flying(wakers) => {
                match self.place.and_then(|place| wakers.get_mut(place)) {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => {
                        self.place = Some(wakers.len());
                        wakers.push(context.waker().clone());
                    }
                }
                Poll::Pending
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}
