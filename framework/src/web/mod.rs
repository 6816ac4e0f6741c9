//! HTTP: what every app's API has in common, and the server it runs on.
//!
//! Errors become problem+json here and nowhere else. Lists are keyset pages. An unsafe request may carry
//! a key that makes it safe to repeat. The session is looked up once per request. `web` knows no entity
//! and does not decide who sees what: that is `access`.

mod auth;
pub mod body;
mod budget;
mod client_info;
mod cookie;
mod file;
mod form;
#[cfg(test)]
mod fuzz_tests;
mod idempotency;
mod json;
mod key_expiry;
mod known_device;
mod multipart;
mod no_store;
mod objects_only;
pub(crate) mod once;
mod origin;
mod page;
mod password;
mod password_hash;
mod problem;
mod proxies;
mod rate;
mod rendered;
mod request_head;
mod security;
pub mod server;
mod session;
mod text;
mod text_entities;

pub use crate::error::FieldError;
pub use auth::{SignedIn, authenticate, limit_public};
pub(crate) use budget::{Budget, Exhausted, Held};
pub use client_info::ClientInfo;
pub use cookie::{SessionCookie, read_cookie};
pub(crate) use file::stored_file;
pub use form::Form;
pub use idempotency::{IDEMPOTENCY_KEY, IdempotencyKey, Keyed, KeyedBody, hash_text, idempotency_key};
pub use json::{Json, Path, Query};
pub use key_expiry::{ExpireKeys, ForgetKeys, expire_keys};
pub use multipart::MultipartForm;
pub use no_store::NoStore;
pub use once::Once;
pub use origin::{RefuseCrossSite, refuse_cross_site, refuse_unproven};
pub use page::{Page, PageBuilder, PageQuery};
pub use password::{LoggedIn, PasswordChange, Passwords};
pub use password_hash::PasswordHash;
pub use problem::{PROBLEM_JSON, Problem, fallback, method_not_allowed, panicked};
pub use proxies::TrustedProxies;
pub use rate::{RateLimit, RateLimitKey, RateLimits, RequestLimits};
pub use rendered::Rendered;
pub use request_head::check_head;
pub use security::{RequestId, observe};
pub(crate) use session::DEFAULT_PER_ACCOUNT;
pub use session::{Session, Sessions};
pub use text::{TextFields, line_field, text_field};
pub use text_entities::{TextEntity, TextEntityKind, tag_name, text_entities};

use crate::db::Migration;

/// The tables of sessions and of idempotency keys.
pub const MIGRATIONS: [Migration; 3] = [session::MIGRATION, once::MIGRATION, once::RESULTS_MIGRATION];
/// The table of passwords.
pub const PASSWORD_MIGRATION: Migration = password::MIGRATION;
/// The table of the devices and networks where accounts have logged in.
pub const KNOWN_DEVICE_MIGRATION: Migration = known_device::MIGRATION;
