//! Authentication: the session of a bearer token or cookie is looked up once per request, before
//! anything else.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::header::{CACHE_CONTROL, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headers::HeaderMapExt;
use headers::authorization::{Authorization, Bearer};

use super::session::{Session, Sessions};
use super::{Problem, RateLimits, SessionCookie};
use crate::access::Viewer;
use crate::id::Id;

/// Marks a request whose session comes from a cookie. Browsers add cookies on their own, so the request
/// may be forged (see [`super::refuse_unproven`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct ByCookie;

/// Middleware: finds the session of the request's token, and counts the request against the limits for
/// all requests. An invalid bearer token is answered 401 even where none is required, so that its owner
/// notices. Invalid cookies are ignored, so that their owners can log in again. Replies to an account are
/// marked as private.
pub async fn authenticate(
    State(sessions): State<Sessions>,
    State(cookie): State<SessionCookie>,
    State(limits): State<RateLimits>,
    mut request: Request,
    next: Next,
) -> Response {
    // One middleware for both, because each layer clones the inner service for every request.
    let mut response = match identify(&sessions, cookie, &limits, &mut request).await {
        Ok(is_signed_in) => {
            let response = next.run(request).await;
            if is_signed_in { private(response) } else { response }
        }
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("cookie, authorization"));
    response
}

/// A reply to one account: no cache may keep it, not even the browser's, which another person may use next.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// Middleware for what needs no session: counts the request against the network's limit.
pub async fn limit_public(State(limits): State<RateLimits>, request: Request, next: Next) -> Response {
    match limits.check_public(network(&request)) {
        Ok(()) => next.run(request).await,
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The address of the client, if the server tells it.
pub(super) fn network(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(client)| client.ip())
}

async fn identify(
    sessions: &Sessions,
    cookie: SessionCookie,
    limits: &RateLimits,
    request: &mut Request,
) -> Result<bool, Problem> {
    let network = network(request);
    let bearer = bearer(request.headers());
    let by_cookie = cookie.read(request.headers()).map(str::to_owned);
    // A malformed header counts too: it may be a guess.
    if !matches!(bearer, Ok(None)) || by_cookie.is_some() {
        limits.check_token(network).await?;
    }
    let session = match (bearer?, by_cookie) {
        (Some(bearer), _) => {
            let found = sessions.find(bearer.token()).await?;
            let invalid = || Problem::unauthenticated("The token is not valid (any more): log in again.");
            Some(found.ok_or_else(invalid)?)
        }
        (None, Some(token)) => {
            request.extensions_mut().insert(ByCookie);
            sessions.find(&token).await?
        }
        (None, None) => None,
    };
    limits.check_request(session.as_ref().map(|session| session.account), network).await?;
    let is_signed_in = session.is_some();
    if let Some(session) = session {
        request.extensions_mut().insert(SignedIn(session));
    }
    Ok(is_signed_in)
}

fn bearer(headers: &HeaderMap) -> Result<Option<Authorization<Bearer>>, Problem> {
    headers
        .typed_try_get()
        .map_err(|_| Problem::unauthenticated("The Authorization header must read: Bearer TOKEN."))
}

/// Extractor: the session of the request; 401 without one. As an `Option` it also accepts requests
/// without a token.
#[derive(Clone, Debug)]
pub struct SignedIn(pub Session);

impl SignedIn {
    /// The account's id, as the app's own type.
    pub fn id<T>(&self) -> Id<T> {
        Id::from_raw(self.0.account)
    }

    /// The account as a viewer.
    pub fn viewer(&self) -> Viewer {
        Viewer::Account(self.0.account)
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::unauthenticated("Log in first. API clients send the token: Authorization: Bearer TOKEN.")
        })
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<SignedIn>().map_or(Self::Anonymous, SignedIn::viewer))
    }
}
