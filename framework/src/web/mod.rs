//! HTTP: what every app's API has in common, and the server it runs on.
//!
//! Errors are problem+json and made here only; lists are pages by keyset; unsafe requests may
//! carry a key that makes them safe to repeat; who asks is looked up once. `web` knows no entity
//! and decides nothing about who sees what: that is `access`.

mod auth;
pub mod body;
mod cookie;
mod form;
mod idempotency;
mod json;
mod no_store;
mod once;
mod origin;
mod page;
mod password;
mod problem;
mod rate;
mod security;
pub mod server;
mod session;
mod text;

pub use crate::error::FieldError;
pub use auth::{SignedIn, authenticate};
pub use cookie::{SessionCookie, read_cookie};
pub use form::Form;
pub use idempotency::{IDEMPOTENCY_KEY, IdempotencyKey, Keyed, hash_text, idempotency_key};
pub use json::{Json, Path, Query};
pub use no_store::NoStore;
pub use once::{ExpireKeys, Once, expire_keys};
pub use origin::{RefuseCrossSite, refuse_cross_site, refuse_unproven};
pub use page::{Page, PageBuilder, PageQuery};
pub use password::Passwords;
pub use problem::{PROBLEM_JSON, Problem, fallback, method_not_allowed, panicked};
pub use rate::{RateLimit, RateLimitKey, RateLimits, limit_requests, limit_tokens};
pub use security::{RequestId, observe};
pub use session::{Session, Sessions};
pub use text::{TextFields, text_field};

use crate::db::Migration;

/// The tables of sessions and of idempotency keys.
pub const MIGRATIONS: [Migration; 3] = [session::MIGRATION, once::MIGRATION, once::RESULTS_MIGRATION];
