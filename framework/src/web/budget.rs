//! What clients make this process hold: bounded for the process, and for each client.
//!
//! A resource such as open connections or bytes received has one budget. Whoever makes the process hold
//! some of it is charged until it is released, so that no single client can use up what all need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Problem, RateLimitKey};

/// A bounded resource; clones share it. Amounts are in the resource's own unit.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: u64,
    share: u64,
    held: Mutex<Amounts>,
}

#[derive(Debug, Default)]
struct Amounts {
    total: u64,
    by_client: HashMap<RateLimitKey, u64, ahash::RandomState>,
}

/// Why nothing more may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exhausted {
    /// The process holds all that it may.
    #[error("the process holds all that it may")]
    Process,
    /// This client holds its share.
    #[error("this client makes the process hold all that one client may")]
    Client,
}

impl From<Exhausted> for Problem {
    fn from(exhausted: Exhausted) -> Self {
        match exhausted {
            Exhausted::Process => Self::unavailable(1),
            Exhausted::Client => Self::too_many_at_once(1),
        }
    }
}

impl Budget {
    /// Of `total`, one client may hold up to `share`.
    pub(crate) fn new(total: u64, share: u64) -> Self {
        Self(Arc::new(Shared { total, share, held: Mutex::default() }))
    }

    /// Charges `amount` to each of `clients`, such as an account and its network, until the result is
    /// dropped. Without clients only the process's bound applies.
    ///
    /// # Errors
    /// Which bound would be exceeded.
    pub(crate) fn take(&self, clients: impl Into<Vec<RateLimitKey>>, amount: u64) -> Result<Held, Exhausted> {
        let mut held = Held { budget: self.clone(), clients: clients.into(), amount: 0 };
        held.add(amount)?;
        Ok(held)
    }

    fn amounts(&self) -> MutexGuard<'_, Amounts> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is held in total.
    #[cfg(test)]
    pub(crate) fn held(&self) -> u64 {
        self.amounts().total
    }
}

/// A charge; dropping it releases what it holds.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    clients: Vec<RateLimitKey>,
    amount: u64,
}

impl Held {
    /// Charges `amount` more. On failure the charge stays as it was.
    ///
    /// # Errors
    /// As for [`Budget::take`].
    pub(crate) fn add(&mut self, amount: u64) -> Result<(), Exhausted> {
        let Shared { total, share, .. } = *self.budget.0;
        let mut amounts = self.budget.amounts();
        if amounts.total.saturating_add(amount) > total {
            return Err(Exhausted::Process);
        }
        let of = |client| amounts.by_client.get(client).copied().unwrap_or_default();
        if self.clients.iter().any(|client| of(client).saturating_add(amount) > share) {
            return Err(Exhausted::Client);
        }
        amounts.total += amount;
        for client in &self.clients {
            *amounts.by_client.entry(client.clone()).or_default() += amount;
        }
        drop(amounts);
        self.amount += amount;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut amounts = self.budget.amounts();
        amounts.total -= self.amount;
        for client in &self.clients {
            // A client that holds nothing takes no memory.
            if let Some(held) = amounts.by_client.get_mut(client) {
                *held -= self.amount;
                if *held == 0 {
                    amounts.by_client.remove(client);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: RateLimitKey = RateLimitKey::Account(1);
    const TWO: RateLimitKey = RateLimitKey::Account(2);

    #[test]
    fn one_client_gets_its_share_and_all_get_the_total() {
        let budget = Budget::new(10, 6);
        let mut first = budget.take([ONE], 4).unwrap();
        first.add(2).unwrap();
        assert_eq!(budget.take([ONE], 1).unwrap_err(), Exhausted::Client);
        assert_eq!(first.add(1).unwrap_err(), Exhausted::Client);
        let second = budget.take([TWO], 4).unwrap();
        assert_eq!(budget.take([TWO], 1).unwrap_err(), Exhausted::Process);
        assert_eq!(budget.take([], 1).unwrap_err(), Exhausted::Process);
        drop(first);
        assert_eq!(budget.held(), 4);
        budget.take([ONE], 6).unwrap();
        drop(second);
        assert_eq!(budget.held(), 0);
        assert!(budget.amounts().by_client.is_empty());
    }

    #[test]
    fn a_charge_to_two_clients_counts_once_for_the_process() {
        let budget = Budget::new(10, 6);
        let both = budget.take([ONE, TWO], 5).unwrap();
        assert_eq!(budget.take([TWO], 2).unwrap_err(), Exhausted::Client);
        budget.take([], 5).unwrap();
        drop(both);
        assert!(budget.amounts().by_client.is_empty());
    }
}
