//! The single flight under loom: the framework's own file, with loom's locks, in every possible order of
//! its steps.

// The framework's file offers more than this test uses.
#[allow(dead_code, reason = "the cache uses the rest")]
#[path = "../../framework/src/cache/flight.rs"]
mod flight;

/// The locks that the file uses.
mod sync {
    pub(super) use loom::sync::{Arc, Mutex, MutexGuard};
}

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use flight::{Flights, Turn};
use loom::future::block_on;
use loom::thread;
use sync::{Arc, Mutex};

/// A cache of one key in front of a database of one value.
struct Cache {
    flights: Arc<Flights<u8, u32>>,
    kept: Mutex<Option<u32>>,
    database: Mutex<u32>,
    loads: AtomicUsize,
}

impl Cache {
    fn new() -> Arc<Self> {
        let (kept, database) = (Mutex::new(None), Mutex::new(1));
        Arc::new(Self { flights: Arc::new(Flights::default()), kept, database, loads: AtomicUsize::new(0) })
    }

    fn kept(&self) -> Option<u32> {
        *self.kept.lock().unwrap()
    }

    /// A read that continues as a region's does.
    fn read(&self) -> u32 {
        loop {
            match Flights::join(&self.flights, 0, (0, 0), || self.kept()) {
                Turn::Found(value) => return value,
                Turn::Load(loading) => {
                    self.loads.fetch_add(1, Relaxed);
                    let value = *self.database.lock().unwrap();
                    loading.complete(value, || *self.kept.lock().unwrap() = Some(value));
                    return value;
                }
                Turn::Wait(waiting) => {
                    if let Some(value) = block_on(waiting) {
                        return value;
                    }
                }
            }
        }
    }

    /// A caller that begins to load and hangs up.
    fn begin_and_leave(&self) {
        if let Turn::Load(loading) = Flights::join(&self.flights, 0, (0, 0), || self.kept()) {
            drop(loading);
        }
    }

    fn write(&self, value: u32) {
        *self.database.lock().unwrap() = value;
        self.flights.forget(&0, || *self.kept.lock().unwrap() = None);
    }
}

/// Runs this in all orders, and prints their number.
fn in_all_orders(what: &str, run: impl Fn() + Send + Sync + 'static) {
    let orders = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    // At most three preemptions: more find nothing that these do not.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        counted.fetch_add(1, Relaxed);
        run();
    });
    println!("{what}: {} orders", orders.load(Relaxed));
    assert!(orders.load(Relaxed) > 10, "{what}: loom tried too few interleavings");
}

#[test]
fn those_who_miss_at_once_load_once() {
    in_all_orders("three readers", || {
        let cache = Cache::new();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let cache = cache.clone();
                thread::spawn(move || cache.read())
            })
            .collect();
        assert_eq!(cache.read(), 1);
        for other in others {
            assert_eq!(other.join().unwrap(), 1);
        }
        assert_eq!((cache.loads.load(Relaxed), cache.kept()), (1, Some(1)));
    });
}

#[test]
fn a_load_that_began_before_a_write_keeps_nothing() {
    in_all_orders("a reader and a writer", || {
        let cache = Cache::new();
        let reader = {
            let cache = cache.clone();
            thread::spawn(move || cache.read())
        };
        cache.write(2);
        // A read after a write returns the written value, whatever is still in progress.
        assert_eq!(cache.read(), 2);
        assert!([1, 2].contains(&reader.join().unwrap()));
        assert_eq!(cache.kept(), Some(2));
    });
}

#[test]
fn two_writers_leave_the_later_value() {
    in_all_orders("two writers and a reader", || {
        let cache = Cache::new();
        let writer = {
            let cache = cache.clone();
            thread::spawn(move || cache.write(2))
        };
        cache.read();
        writer.join().unwrap();
        cache.write(3);
        assert_eq!(cache.read(), 3);
    });
}

#[test]
fn whoever_waits_for_somebody_who_left_loads() {
    in_all_orders("one who leaves and two readers", || {
        let cache = Cache::new();
        let leaving = {
            let cache = cache.clone();
            thread::spawn(move || cache.begin_and_leave())
        };
        let reader = {
            let cache = cache.clone();
            thread::spawn(move || cache.read())
        };
        assert_eq!(cache.read(), 1);
        leaving.join().unwrap();
        assert_eq!(reader.join().unwrap(), 1);
        assert_eq!(cache.loads.load(Relaxed), 1);
    });
}
