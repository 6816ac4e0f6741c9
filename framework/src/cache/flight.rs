//! Single flight: of all readers that miss a key at the same time, one loads and the others wait for it.
//!
//! Invariants: a key has at most one flight. A flight's value is stored only if the flight was not
//! forgotten meanwhile. A reader that comes after a flight was forgotten begins another one, so it never
//! gets a value read before a change that it could have seen. `tests/whole_system/single_flight.rs` runs
//! this file under loom, which is why its locks come from the module above it.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::{Arc, Mutex, MutexGuard};

/// The flights of a set of keys.
pub(super) struct Flights<K, V>(Mutex<HashMap<K, Arc<Flight<V>>>>);

struct Flight<V> {
    /// When the flight began, in the caller's time.
    begun: u64,
    state: Mutex<State<V>>,
}

enum State<V> {
    Pending(Vec<Waker>),
    Done(V),
    /// The loader was dropped: there will be no value.
    Abandoned,
}

/// What a reader that missed a key does next.
pub(super) enum Turn<K: Copy + Eq + Hash, V> {
    /// Use this value: it is there after all.
    Found(V),
    /// Load it.
    Load(Loading<K, V>),
    /// Wait for the reader that loads it.
    Wait(Waiting<V>),
}

/// The obligation to load. If it is dropped before it is complete, the waiting readers get no value.
pub(super) struct Loading<K: Copy + Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
    flight: Arc<Flight<V>>,
}

/// A future of the flight's value; `None` if the flight was abandoned.
pub(super) struct Waiting<V> {
    flight: Arc<Flight<V>>,
    /// This reader's position among the wakers.
    place: Option<usize>,
}

impl<K: Copy + Eq + Hash, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Copy + Eq + Hash, V> Flights<K, V> {
    /// Joins the flight of a key, or begins one at `now`. A flight that began before `since` is
    /// forgotten. `lookup` sees what completed flights have stored.
    pub(super) fn join(
        this: &Arc<Self>,
        key: K,
        (now, since): (u64, u64),
        lookup: impl FnOnce() -> Option<V>,
    ) -> Turn<K, V> {
        let mut flights = lock(&this.0);
        if let Some(found) = lookup() {
            return Turn::Found(found);
        }
        if let Some(flight) = flights.get(&key).filter(|flight| flight.begun >= since) {
            return Turn::Wait(Waiting { flight: flight.clone(), place: None });
        }
        let flight = Arc::new(Flight { begun: now, state: Mutex::new(State::Pending(Vec::new())) });
        flights.insert(key, flight.clone());
        Turn::Load(Loading { flights: this.clone(), key, flight })
    }

    /// Forgets the flight of a key: its value still reaches the readers that wait for it, but is not
    /// stored. `change` runs under the same lock.
    pub(super) fn forget<R>(&self, key: &K, change: impl FnOnce() -> R) -> R {
        let mut flights = lock(&self.0);
        flights.remove(key);
        change()
    }

    /// Forgets the flights of all keys.
    pub(super) fn forget_all<R>(&self, change: impl FnOnce() -> R) -> R {
        let mut flights = lock(&self.0);
        flights.clear();
        change()
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Loading<K, V> {
    /// A future of this load's value, for the reader that began it.
    pub(super) fn waiting(&self) -> Waiting<V> {
        Waiting { flight: self.flight.clone(), place: None }
    }

    /// Completes the load: calls `store` unless the flight was forgotten, then hands `value` to the
    /// waiting readers.
    pub(super) fn complete(self, value: V, store: impl FnOnce()) {
        // In this order, a reader that joins after the removal finds the stored value.
        self.remove(store);
        self.flight.end(State::Done(value));
    }
}

impl<K: Copy + Eq + Hash, V> Loading<K, V> {
    /// Removes the flight, unless it was forgotten.
    fn remove(&self, store: impl FnOnce()) {
        let mut flights = lock(&self.flights.0);
        let is_current = flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        if is_current {
            flights.remove(&self.key);
            store();
        }
    }
}

impl<K: Copy + Eq + Hash, V> Drop for Loading<K, V> {
    fn drop(&mut self) {
        self.remove(|| ());
        self.flight.end(State::Abandoned);
    }
}

impl<V> Flight<V> {
    /// The first call wins.
    fn end(&self, end: State<V>) {
        let wakers = {
            let mut state = lock(&self.state);
            match &mut *state {
                State::Pending(wakers) => {
                    let wakers = std::mem::take(wakers);
                    *state = end;
                    wakers
                }
                State::Done(_) | State::Abandoned => return,
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
            State::Done(value) => Poll::Ready(Some(value.clone())),
            State::Abandoned => Poll::Ready(None),
            State::Pending(wakers) => {
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
