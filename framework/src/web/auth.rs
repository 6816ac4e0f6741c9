//! Who asks: the token, a bearer header's or a cookie's, is looked up once a request, before
//! anything else is done.

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headers::HeaderMapExt;
use headers::authorization::{Authorization, Bearer};

use super::session::{Session, Sessions};
use super::{Problem, SessionCookie};
use crate::access::Viewer;
use crate::id::Id;

/// In the extensions of a request whose session is a cookie's: a browser adds those by itself, so
/// such a request may be forged (see [`super::refuse_unproven`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct ByCookie;

/// Middleware: finds the session of the request's token. A bearer token that is no (longer) good
/// is answered 401, even where none is needed: its owner should learn of it. Invalid cookies are
/// ignored: whoever carries one may log in again.
pub async fn authenticate(
    State(sessions): State<Sessions>,
    State(cookie): State<SessionCookie>,
    mut request: Request,
    next: Next,
) -> Response {
    let found = match bearer(request.headers()) {
        Err(problem) => return problem.into_response(),
        Ok(Some(bearer)) => match sessions.find(bearer.token()).await {
            Ok(None) => {
                return Problem::unauthenticated("The token is not valid (any more): log in again.")
                    .into_response();
            }
            found => found,
        },
        Ok(None) => match cookie.read(request.headers()) {
            Some(token) => {
                let found = sessions.find(token).await;
                request.extensions_mut().insert(ByCookie);
                found
            }
            None => Ok(None),
        },
    };
    match found {
        Ok(Some(session)) => drop(request.extensions_mut().insert(SignedIn(session))),
        Ok(None) => {}
        Err(error) => return Problem::from(error).into_response(),
    }
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Result<Option<Authorization<Bearer>>, Problem> {
    headers
        .typed_try_get()
        .map_err(|_| Problem::unauthenticated("The Authorization header must read: Bearer TOKEN."))
}

/// Extractor: the session of whoever asks; 401 when there is none. As an `Option` it also takes
/// requests without a token.
#[derive(Clone, Debug)]
pub struct SignedIn(pub Session);

impl SignedIn {
    /// The account's id, as the app's own type.
    pub fn id<T>(&self) -> Id<T> {
        Id::from_raw(self.0.account)
    }

    /// The same as a viewer.
    pub fn viewer(&self) -> Viewer {
        Viewer::Account(self.0.account)
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::unauthenticated("Log in and send the token: Authorization: Bearer TOKEN.")
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
