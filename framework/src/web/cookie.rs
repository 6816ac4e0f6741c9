//! Cookies: the session cookie, and reading any cookie.
//!
//! The session cookie holds the same opaque token as a bearer header. Scripts can't read it. If the
//! service is reached over TLS, its name begins with `__Host-`: browsers accept such a cookie only from
//! this host, over TLS, for all paths, so that no sibling host can plant one.

use axum::http::header::{COOKIE, HeaderMap, HeaderValue};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use crate::error::{Error, Result};

/// How long a browser keeps the cookie: 400 days, the maximum that browsers allow. The session itself
/// lasts until it is closed.
const MAX_AGE: Duration = Duration::days(400);

/// Maximum length of a device's token, in bytes: ours have 43.
const DEVICE_TOKEN: usize = 64;

/// Writes and reads the session cookie, and the cookie of a known device.
///
/// ```
/// use axum::http::{HeaderMap, header::COOKIE};
/// use tripod::web::SessionCookie;
///
/// let cookie = SessionCookie::new("https://photos.example");
/// let set = cookie.holding("tri_token").unwrap();
/// assert!(set.to_str().unwrap().starts_with("__Host-session=tri_token; HttpOnly; SameSite=Lax; Secure; Path=/"));
///
/// let headers = HeaderMap::from_iter([(COOKIE, "__Host-session=tri_token".parse().unwrap())]);
/// assert_eq!(cookie.read(&headers), Some("tri_token"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SessionCookie {
    secure: bool,
}

impl SessionCookie {
    /// The cookie of a service that browsers reach at this address. An empty address means plain HTTP.
    pub fn new(public_url: &str) -> Self {
        Self { secure: public_url.starts_with("https://") }
    }

    fn name(self) -> &'static str {
        if self.secure { "__Host-session" } else { "session" }
    }

    /// The `Set-Cookie` value that stores this token in the browser.
    ///
    /// # Errors
    /// Internal, when the token is not a valid cookie value; tokens of [`super::Sessions`] are valid.
    pub fn holding(self, token: &str) -> Result<HeaderValue> {
        self.set(token, MAX_AGE)
    }

    /// The `Set-Cookie` value that deletes the token in the browser.
    ///
    /// # Errors
    /// None.
    pub fn cleared(self) -> Result<HeaderValue> {
        self.set("", Duration::ZERO)
    }

    /// The `Set-Cookie` value by which a browser is known as a device that has logged in before
    /// ([`Tx::remember_device`](crate::shard::Tx::remember_device)). It outlasts the session.
    ///
    /// # Errors
    /// Internal, when the token is not a valid cookie value.
    pub fn of_device(self, token: &str) -> Result<HeaderValue> {
        self.set_named(self.device_name(), token, MAX_AGE)
    }

    /// The device's token sent by the browser, under either name.
    pub(super) fn read_device(headers: &HeaderMap) -> Option<&str> {
        let names = [true, false].map(|secure| Self { secure }.device_name());
        let token = names.into_iter().find_map(|name| read_cookie(headers, name));
        token.filter(|token| (1..=DEVICE_TOKEN).contains(&token.len()))
    }

    fn device_name(self) -> &'static str {
        if self.secure { "__Host-device" } else { "device" }
    }

    fn set(self, token: &str, max_age: Duration) -> Result<HeaderValue> {
        self.set_named(self.name(), token, max_age)
    }

    fn set_named(self, name: &'static str, token: &str, max_age: Duration) -> Result<HeaderValue> {
        let cookie = Cookie::build((name, token)).path("/").max_age(max_age);
        let cookie = cookie.http_only(true).same_site(SameSite::Lax).secure(self.secure);
        HeaderValue::from_str(&cookie.to_string())
            .map_err(|error| Error::internal("a session's token is no cookie value").because(error))
    }

    /// The token sent by the browser.
    pub fn read(self, headers: &HeaderMap) -> Option<&str> {
        read_cookie(headers, self.name()).filter(|token| !token.is_empty())
    }
}

/// The value of the first cookie with this name. Neither is decoded: a decoded name could be
/// `__Host-session` although the browser saw no such prefix.
pub fn read_cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut cookies = fields.flat_map(Cookie::split_parse).flatten();
    cookies.find(|cookie| cookie.name() == name)?.value_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_over_tls_is_the_cookie_bound_to_its_host() {
        let plain = SessionCookie::new("").holding("t").unwrap();
        assert_eq!(plain, "session=t; HttpOnly; SameSite=Lax; Path=/; Max-Age=34560000");
        let secure = SessionCookie::new("https://photos.example").cleared().unwrap();
        assert_eq!(secure, "__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
    }

    #[test]
    fn a_cookie_is_found_among_others_and_in_any_field() {
        let read = |fields: &[&str]| {
            let fields = fields.iter().map(|field| (COOKIE, field.parse().unwrap()));
            SessionCookie::new("").read(&HeaderMap::from_iter(fields)).map(str::to_owned)
        };
        assert_eq!(read(&["a=b; session=one; session=two"]), Some("one".into()));
        assert_eq!(read(&["a=b", "session=one"]), Some("one".into()));
        for none in
            [&["my_session=x", "sessions=y"][..], &["session=", "session"], &[], &["__Host-session=x"]]
        {
            assert_eq!(read(none), None, "{none:?}");
        }
        let encoded = HeaderMap::from_iter([(COOKIE, "%5F%5FHost-session=x".parse().unwrap())]);
        assert_eq!(SessionCookie::new("https://photos.example").read(&encoded), None);
    }
}
