//! The page that shows an error.

use askama::Template;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Redirect, Response};
use tripod::RequestHead;
use tripod::web::Problem;

use super::assets;
use super::context::referring_page;
use super::frame::page_of;
use super::messages::{Messages, messages};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    messages: &'static Messages,
    status: u16,
    heading: &'static str,
    detail: String,
    style: &'static str,
}

/// Shows a problem to a browser. A viewer who must log in is redirected to the log-in, and afterwards
/// back to the requested page or the page with the form.
pub fn page(request: &RequestHead, problem: Problem) -> Response {
    // Logging in does not help if a header that browsers send by themselves was refused.
    let can_log_in = request.uri.path() != "/login" && !request.headers.contains_key(AUTHORIZATION);
    if problem.status == 401 && can_log_in {
        let wanted = match request.method {
            Method::GET => request.uri.path_and_query().map(|path| path.as_str().to_owned()),
            _ => referring_page(&request.headers),
        };
        let next: String = wanted.into_iter().flat_map(|path| query_value(&path)).collect();
        return Redirect::to(&format!("/login?next={next}")).into_response();
    }
    // To a reader, a malformed address is one where nothing exists.
    let problem = match request.method {
        Method::GET if problem.status == 400 => Problem::absent("There is nothing at this address."),
        _ => problem,
    };
    let messages = messages(&request.headers);
    let page = ProblemPage {
        messages,
        status: problem.status,
        heading: (messages.problem)(problem.status),
        detail: messages.say(problem.errors.first().map_or(&problem.detail, |error| &error.detail)),
        style: assets::path("style.css"),
    };
    page_of(problem.status_code(), &page).unwrap_or_else(Problem::into_response)
}

/// A path, escaped as a query parameter's value.
fn query_value(path: &str) -> Vec<char> {
    let escaped = path.bytes().flat_map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => vec![byte as char],
        _ => format!("%{byte:02X}").chars().collect(),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;

    #[test]
    fn whoever_has_to_log_in_comes_back_to_where_they_were() {
        let asked = |method, uri: &str, headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers = HeaderMap::from_iter(headers);
            let request = RequestHead { method, uri: uri.parse().unwrap(), headers };
            let reply = page(&request, Problem::unauthenticated("Log in."));
            reply.headers()["location"].to_str().unwrap().to_owned()
        };
        assert_eq!(asked(Method::GET, "/p/1?a=b&c", &[]), "/login?next=/p/1%3Fa%3Db%26c");
        let from = [("host", "a.example"), ("referer", "http://a.example/u/ana")];
        assert_eq!(asked(Method::POST, "/u/ana/follow", &from), "/login?next=/u/ana");
        assert_eq!(asked(Method::POST, "/u/ana/follow", &[]), "/login?next=");
    }
}
