//! A request for a page: the viewer, the language, and helpers for the reply.

use axum::extract::FromRequestParts;
use axum::http::header::{HOST, HeaderMap, REFERER};
use axum::http::request::Parts;
use axum::http::{HeaderName, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use tripod::access::Viewer;
use tripod::web::{Problem, SignedIn};
use tripod::{App, Error, Result};

use super::assets;
use super::messages::{Messages, messages};
use crate::entity::AccountId;
use crate::entity::account::Author;
use crate::views;

/// Requests only the part of the page that has changed (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A request for a page.
pub struct PageContext {
    pub app: App,
    /// The signed-in account, with what every page shows of it.
    pub me: Option<(SignedIn, Author)>,
    pub messages: &'static Messages,
    pub headers: HeaderMap,
    /// The page's path, which the navigation marks as the current one.
    pub path: String,
}

impl FromRequestParts<App> for PageContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let me = match parts.extensions.get::<SignedIn>().cloned() {
            Some(me) => {
                let authors = views::authors(app, &app.cached(), me.viewer(), vec![me.id()]).await?;
                authors.into_iter().next().flatten().map(|author| (me, author))
            }
            None => None,
        };
        Ok(Self {
            app: app.clone(),
            me,
            messages: messages(&parts.headers),
            headers: parts.headers.clone(),
            path: parts.uri.path().to_owned(),
        })
    }
}

impl PageContext {
    /// The signed-in account's session.
    ///
    /// # Errors
    /// 401 if the viewer is not signed in, which leads to the log-in and back.
    pub fn signed_in(&self) -> Result<&SignedIn> {
        let me = self.me.as_ref().map(|(me, _)| me);
        me.ok_or_else(|| Error::unauthenticated("Log in to go on."))
    }

    /// The id of the signed-in account.
    ///
    /// # Errors
    /// As for [`Self::signed_in`].
    pub fn my_id(&self) -> Result<AccountId> {
        self.signed_in().map(SignedIn::id)
    }

    /// The viewer of the page.
    pub fn viewer(&self) -> Viewer {
        self.me.as_ref().map_or(Viewer::Anonymous, |(me, _)| me.viewer())
    }

    /// Whether this person is the viewer.
    pub fn is_me(&self, person: &Author) -> bool {
        self.viewer().is(person.id)
    }

    /// Whether this page is that person's profile.
    pub fn is_at(&self, person: &Author) -> bool {
        self.path.strip_prefix("/u/") == Some(&person.username)
    }

    /// Whether only the changed part of the page is requested.
    pub fn wants_piece(&self) -> bool {
        self.headers.get(PREFER).is_some_and(|value| value == "return=representation")
    }

    /// Redirects back to the page with the form, at the given part of it.
    pub fn back(&self, otherwise: &str, part: &str) -> Response {
        let page = referring_page(&self.headers).unwrap_or_else(|| otherwise.to_owned());
        Redirect::to(&format!("{page}{part}")).into_response()
    }

    /// The address of a file that the page loads.
    pub fn asset(&self, name: &str) -> &'static str {
        assets::path(name)
    }

    /// How long ago this was, in a word or two.
    pub fn ago(&self, time: &DateTime<Utc>) -> String {
        let now_ms = self.app.shards.clock().now_ms();
        let minutes = now_ms.saturating_sub(time.timestamp_millis().max(0) as u64) / 60_000;
        (self.messages.ago)(minutes)
    }
}

/// The page of this site that a request came from: its path and query.
pub fn referring_page(headers: &HeaderMap) -> Option<String> {
    let referer: Uri = headers.get(REFERER)?.to_str().ok()?.parse().ok()?;
    let same = referer.authority()?.as_str() == headers.get(HOST)?.to_str().ok()?;
    local(referer.path_and_query()?.as_str()).filter(|_| same)
}

/// A path on this site; `None` if it could lead elsewhere.
pub fn local(path: &str) -> Option<String> {
    let leads_away = !path.starts_with('/')
        || path[1..].starts_with(['/', '\\'])
        || path.contains(|c: char| c.is_control() || c.is_whitespace());
    (!leads_away).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_led_back_to_our_own_pages_only() {
        for path in ["/", "/p/1?x=y", "/u/a.b"] {
            assert_eq!(local(path).as_deref(), Some(path));
        }
        for path in ["", "//evil.example", "/\\evil.example", "https://evil.example", "p/1", "/a\nb", "/ a"] {
            assert_eq!(local(path), None, "{path:?}");
        }
        let page = |referer: &str| {
            let headers = [(HOST, "a.example".parse().unwrap()), (REFERER, referer.parse().unwrap())];
            referring_page(&HeaderMap::from_iter(headers))
        };
        assert_eq!(page("https://a.example/p/1?b=c").as_deref(), Some("/p/1?b=c"));
        assert_eq!(page("https://b.example/p/1"), None);
        assert_eq!(page("https://a.example//b.example"), None);
    }
}
