//! Password hashes: Argon2id with OWASP's minimum parameters (19 MiB, 2 passes, 1 lane), on a few
//! threads.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// How many hashes may wait for each core: about two seconds' work.
const WAITING_PER_CORE: usize = 100;

/// The hash of a password with its salt and parameters, in the PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub(super) String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Hashes and checks passwords. Clones share a limit on concurrent hashes, each of which takes 19 MiB
/// and about 20 ms of a core.
#[derive(Clone)]
pub(super) struct Hasher {
    at_once: Arc<Semaphore>,
    /// The hashes that run or wait; further ones are refused at once.
    places: Arc<Semaphore>,
    /// Checked if there is no account, so that the time taken reveals nothing.
    decoy: PasswordHash,
}

impl Hasher {
    /// Allows as many concurrent hashes as there are cores.
    pub(super) fn new() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let decoy = hash(&format!("{:032x}", rand::random::<u128>()))?;
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Ok(Self { at_once: semaphore(cores), places: semaphore(cores * (1 + WAITING_PER_CORE)), decoy })
    }

    pub(super) async fn hash(&self, password: String) -> Result<PasswordHash> {
        self.work(move || hash(&password)).await
    }

    /// Whether a password matches the hash. Without a hash this takes as long and returns false.
    pub(super) async fn verify(&self, password: String, stored: Option<PasswordHash>) -> Result<bool> {
        let decoy = self.decoy.clone();
        self.work(move || {
            let is_known = stored.is_some();
            let PasswordHash(stored) = stored.unwrap_or(decoy);
            let parsed = phc::PasswordHash::new(&stored).map_err(|error| {
                Error::internal("a stored password hash does not parse").because(error.to_string())
            })?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && is_known)
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Err(Error::overloaded("too many passwords are being checked"));
        };
        let turn = self
            .at_once
            .clone()
            .acquire_owned()
            .await
            .map_err(|closed| Error::internal("no more hashing").because(closed))?;
        // The thread keeps them: it goes on if the caller is gone.
        let work = move || {
            let _kept = (place, turn);
            work()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("hashing a password failed").because(error))?
    }
}

fn hash(password: &str) -> Result<PasswordHash> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| PasswordHash(hash.to_string()))
        .map_err(|error| Error::internal("a password can't be hashed").because(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let hasher = Hasher::new().unwrap();
        let stored = hasher.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.0);
        assert_eq!(format!("{stored:?}"), "PasswordHash(..)");
        assert!(hasher.verify("correct horse".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!hasher.verify("wrong horse".to_owned(), Some(stored)).await.unwrap());
        assert!(!hasher.verify("correct horse".to_owned(), None).await.unwrap());
        let none = PasswordHash("not a hash".to_owned());
        assert!(hasher.verify("x".to_owned(), Some(none)).await.is_err());
    }

    #[tokio::test]
    async fn more_than_can_be_hashed_soon_is_refused_at_once() {
        let hasher = Hasher::new().unwrap();
        let most = hasher.places.available_permits();
        let hashes = (0..most * 2).map(|_| hasher.hash("correct horse".to_owned()));
        let (done, refused): (Vec<_>, Vec<_>) =
            futures::future::join_all(hashes).await.into_iter().partition(Result::is_ok);
        assert_eq!((done.len(), refused.len()), (most, most));
        assert!(refused.into_iter().all(|error| error.unwrap_err().is_overloaded()));
        assert_eq!(hasher.places.available_permits(), most);
    }

    #[tokio::test]
    async fn without_a_hash_it_takes_as_long() {
        let hasher = Hasher::new().unwrap();
        let stored = hasher.hash("correct horse".to_owned()).await.unwrap();
        // The shortest of several runs: other load on the machine only makes a run longer.
        let shortest = async |stored: Option<PasswordHash>| {
            let mut shortest = Duration::MAX;
            for _ in 0..5 {
                let begun = Instant::now();
                assert!(!hasher.verify("wrong horse".to_owned(), stored.clone()).await.unwrap());
                shortest = shortest.min(begun.elapsed());
            }
            shortest
        };
        let (known, unknown) = (shortest(Some(stored)).await, shortest(None).await);
        assert!(known < unknown * 2 && unknown < known * 2, "{known:?} and {unknown:?}");
    }
}
