//! The club's page: a form to log in, or the feed with a form to share a cutting.

// ANCHOR: use
use askama::Template;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::{Router, get, post};
use tripod::web::{
    ClientInfo, Form, IdempotencyKey, Keyed, MultipartForm, PageQuery, SessionCookie, SignedIn,
};
use tripod::{App, Error, Result, WebPages};

use crate::{Credentials, CuttingView, NewCutting};
// ANCHOR_END: use

// ANCHOR: home
#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    is_member: bool,
    cuttings: Vec<CuttingView>,
    key: String,
}

async fn home(State(app): State<App>, me: Option<SignedIn>) -> Result<Html<String>> {
    let cuttings = match &me {
        Some(me) => crate::feed_of(&app, me, PageQuery::default()).await?.items,
        None => Vec::new(),
    };
    draw(&HomePage { is_member: me.is_some(), cuttings, key: IdempotencyKey::random() })
}

async fn share(
    State(app): State<App>,
    me: SignedIn,
    Keyed(once, MultipartForm(new)): Keyed<MultipartForm<NewCutting>>,
) -> Result<Redirect> {
    crate::publish(&app, me.id(), once, new).await?;
    Ok(Redirect::to("/"))
}

fn draw(page: &impl Template) -> Result<Html<String>> {
    page.render().map(Html).map_err(|error| Error::internal("a page can't be drawn").because(error))
}
// ANCHOR_END: home

// ANCHOR: log_in
async fn log_in(
    State(app): State<App>,
    State(cookie): State<SessionCookie>,
    client: ClientInfo,
    Form(given): Form<Credentials>,
) -> Result<impl IntoResponse> {
    let member = crate::enter(&app, client, given).await?;
    Ok(([(SET_COOKIE, cookie.holding(&member.token)?)], Redirect::to("/")))
}

async fn log_out(
    State(app): State<App>,
    State(cookie): State<SessionCookie>,
    SignedIn(session): SignedIn,
) -> Result<impl IntoResponse> {
    app.sessions.close(session.account, session.id).await?;
    Ok(([(SET_COOKIE, cookie.cleared()?)], Redirect::to("/")))
}
// ANCHOR_END: log_in

// ANCHOR: pages
pub fn pages() -> WebPages {
    let routes =
        Router::new().route("/", get(home)).route("/log-in", post(log_in)).route("/log-out", post(log_out));
    WebPages { routes, uploads: Router::new().route("/share", post(share)), ..WebPages::default() }
}
// ANCHOR_END: pages
