//! Passwords: Argon2id with OWASP's least parameters (19 MiB, 2 passes, 1 lane), on few threads.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// Hashes and checks passwords; clones share the bound on how many are worked on at once, each of
/// which takes 19 MiB and some 20 ms of a core.
#[derive(Clone)]
pub struct Passwords {
    at_once: Arc<Semaphore>,
    /// Checked when there is no account, so that the time taken does not tell.
    decoy: Arc<str>,
}

impl Passwords {
    /// As many at once as there are cores.
    ///
    /// # Errors
    /// Internal, when the decoy can't be hashed.
    pub fn new() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let decoy = hash(&format!("{:032x}", rand::random::<u128>()))?;
        Ok(Self { at_once: Arc::new(Semaphore::new(cores)), decoy: decoy.into() })
    }

    /// The hash to store: salted, with its parameters, in PHC's string format.
    ///
    /// # Errors
    /// Internal, when hashing fails.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.work(move || hash(&password)).await
    }

    /// Whether a password is the one hashed. Without a hash it takes as long, and says no.
    ///
    /// # Errors
    /// Internal, when the stored hash is not one.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool> {
        let decoy = self.decoy.clone();
        self.work(move || {
            let known = stored.is_some();
            let stored = stored.as_deref().unwrap_or(&decoy);
            let parsed = PasswordHash::new(stored).map_err(|error| {
                Error::internal("a stored password hash does not parse").because(error.to_string())
            })?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _place = self
            .at_once
            .acquire()
            .await
            .map_err(|closed| Error::internal("no more hashing").because(closed))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("hashing a password failed").because(error))?
    }
}

fn hash(password: &str) -> Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal("a password can't be hashed").because(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(passwords.verify("correct horse".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horse".to_owned(), Some(stored)).await.unwrap());
        assert!(!passwords.verify("correct horse".to_owned(), None).await.unwrap());
        assert!(passwords.verify("x".to_owned(), Some("not a hash".to_owned())).await.is_err());
    }
}
