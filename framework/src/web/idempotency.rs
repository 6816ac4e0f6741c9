//! `Idempotency-Key`: a repeated request gets the first one's result and has no second effect.
//!
//! A key belongs to an account. [`Once::write`] stores it in the transaction that has the effect,
//! together with the result, so that a repeat finds both or neither. A repeat gets the result, and the
//! handler builds its reply from it as it did the first time. A concurrent repeat waits for the first
//! request.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Required};

use super::body::BodyBytes;
use super::once::{Key, Once};
use super::{Form, Json, Problem, Session, SignedIn};
use crate::shard::Shards;

/// Maximum length of a key, in characters.
const KEY_CHARACTERS: usize = 255;
/// The header that carries the key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The query parameter that carries the key, as HTML forms can't send headers.
const QUERY_KEY: &str = "idempotency_key";

/// Extractor: the key of a request, without the content it applies to. [`Self::with_content`] makes a
/// [`Once`] of it. Most handlers take [`Keyed`] instead, or [`Once`] if they read no body.
///
/// The key is in the header or, for a page's form, in the query parameter `idempotency_key`.
#[derive(Clone, Debug)]
#[must_use = "a key is honoured by the write that is made with it"]
pub struct IdempotencyKey {
    shards: Shards,
    session: Option<Session>,
    key: Option<Vec<u8>>,
    operation: (Method, String),
}

impl IdempotencyKey {
    /// A new key for a form that creates something.
    pub fn random() -> String {
        format!("form-{:032x}", rand::random::<u128>())
    }

    /// The key itself, if the request has one.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// Combines the key with the request's content. A repeat must have the same parts, such as those of
    /// a multipart form, or their hashes.
    pub fn with_content<'p>(self, parts: impl IntoIterator<Item = &'p [u8]>) -> Once {
        let (method, path) = &self.operation;
        let content = content_hash(method, path, parts);
        let session = self.session;
        let key =
            self.key.zip(session.as_ref()).map(|(key, session)| Key::new(session.account, &key, content));
        Once::new(self.shards, session.map(|session| session.id), key)
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey
where
    Shards: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path =
            parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |uri| &uri.0).path();
        Ok(Self {
            shards: Shards::from_ref(state),
            session: parts.extensions.get::<SignedIn>().map(|SignedIn(session)| session.clone()),
            key: key_of(&parts.headers, parts.uri.query())?,
            operation: (parts.method.clone(), path.to_owned()),
        })
    }
}

impl<S> FromRequest<S> for Once
where
    Shards: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Keyed::<BodyBytes>::from_request(request, state).await.map(|Keyed(once, _)| once)
    }
}

/// Adds the header to the OpenAPI document, for operations that honour it: `params(IdempotencyKey)`.
impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Makes the request safe to repeat: for 24 hours the same key and content have the first result again.",
            ))
            .schema(Some(text));
        vec![parameter.build()]
    }
}

/// Extractor: a body together with the request's key, which makes the following write safe to repeat.
/// The body is read whole, within the route's limit. For a [`MultipartForm`](super::MultipartForm) the
/// parts are compared, not the boundary between them.
///
/// ```
/// use tripod::web::{Json, Keyed};
/// # #[derive(serde::Deserialize)] struct NewNote { text: String }
/// async fn create_note(Keyed(once, Json(new)): Keyed<Json<NewNote>>) {
///     // once.write(me, |tx| async move { ... })
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Keyed<T>(pub Once, pub T);

/// A body that [`Keyed`] takes. An app's own body extractor only needs `impl<S: Send + Sync>
/// KeyedBody<S> for Mine {}`.
pub trait KeyedBody<S: Send + Sync>: FromRequest<S, Rejection = Problem> {
    /// Reads the body and combines the key with its content. By default, the content is all bytes of the
    /// body.
    fn from_keyed(
        key: IdempotencyKey,
        request: Request,
        state: &S,
    ) -> impl Future<Output = Result<(Once, Self), Problem>> + Send {
        async move {
            let (parts, body) = request.into_parts();
            let head = Request::from_parts(parts.clone(), body);
            let BodyBytes(bytes) = BodyBytes::from_request(head, state).await?;
            let once = key.with_content([bytes.as_ref()]);
            Ok((once, Self::from_request(Request::from_parts(parts, bytes.into()), state).await?))
        }
    }
}

impl<S: Send + Sync> KeyedBody<S> for BodyBytes {}
impl<T: DeserializeOwned, S: Send + Sync> KeyedBody<S> for Form<T> {}
impl<T: DeserializeOwned, S: Send + Sync> KeyedBody<S> for Json<T> {}

impl<T, S> FromRequest<S> for Keyed<T>
where
    T: KeyedBody<S>,
    Shards: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let key = IdempotencyKey::from_request_parts(&mut parts, state).await?;
        T::from_keyed(key, Request::from_parts(parts, body), state).await.map(|(once, body)| Self(once, body))
    }
}

/// Identifies a request, to tell repeats from other requests: its operation and the parts of its
/// content. Each part is preceded by its length, so that different sequences of parts differ.
fn content_hash<'p>(method: &Method, path: &str, parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(method.as_str().as_bytes());
    add(path.as_bytes());
    parts.into_iter().for_each(add);
    hash.finalize().into()
}

/// The SHA-256 of a text in hex, for values that must be recognised but not readable.
pub fn hash_text(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key in a request's header, if it has one.
///
/// # Errors
/// 422 when it is empty, longer than 255 characters, or sent more than once.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(not_a_key());
    }
    checked(key.as_bytes()).map(Some)
}

fn key_of(headers: &HeaderMap, query: Option<&str>) -> Result<Option<Vec<u8>>, Problem> {
    if let Some(key) = idempotency_key(headers)? {
        return Ok(Some(key.to_vec()));
    }
    let in_query = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let key = in_query.filter(|(name, _)| *name == QUERY_KEY).map(|(_, key)| key.as_bytes()).next();
    key.filter(|key| !key.is_empty()).map(|key| checked(key).map(<[u8]>::to_vec)).transpose()
}

fn checked(key: &[u8]) -> Result<&[u8], Problem> {
    if key.is_empty() || key.len() > KEY_CHARACTERS { Err(not_a_key()) } else { Ok(key) }
}

fn not_a_key() -> Problem {
    Problem::invalid("Idempotency-Key", format!("must be sent once, with 1 to {KEY_CHARACTERS} characters"))
}
