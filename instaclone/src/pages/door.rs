//! The way in and out: log in, sign up, log out.

use std::net::SocketAddr;

use askama::Template;
use axum::extract::ConnectInfo;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tripod::App;
use tripod::web::{FieldError, Form, IdempotencyKey, Problem, Query, SessionCookie};

use super::frame::{Faults, page, page_of};
use super::visit::{Visit, local};
use crate::accounts::{self, Credentials, NewAccount};

/// Where to go once in.
#[derive(Deserialize)]
pub struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
pub struct LogIn {
    username: String,
    password: String,
    next: Option<String>,
}

#[derive(Default, Deserialize)]
pub struct SignUp {
    username: String,
    #[serde(default)]
    full_name: String,
    #[serde(default)]
    email: String,
    password: String,
}

#[derive(Template)]
#[template(path = "log_in.html")]
struct LogInPage {
    v: Visit,
    faults: Faults,
    username: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage {
    v: Visit,
    faults: Faults,
    typed: SignUp,
    /// Makes the form safe to send twice.
    key: String,
}

pub async fn log_in_form(v: Visit, Query(Next { next }): Query<Next>) -> Result<Response, Problem> {
    if v.me.is_some() {
        return Ok(go_on(next.as_deref()));
    }
    page(&LogInPage { v, faults: Faults::default(), username: String::new(), next })
}

pub async fn log_in(
    v: Visit,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Form(typed): Form<LogIn>,
) -> Result<Response, Problem> {
    let credentials = Credentials { username: typed.username.clone(), password: typed.password };
    match accounts::log_in_as(&v.app, peer, &v.headers, credentials).await {
        Ok(signed_in) => enter(&v.app, &signed_in.token, typed.next.as_deref()),
        Err(error) => {
            let faults = Faults::of(error)?;
            page_of(faults.status(), &LogInPage { v, faults, username: typed.username, next: typed.next })
        }
    }
}

pub async fn sign_up_form(v: Visit) -> Result<Response, Problem> {
    if v.me.is_some() {
        return Ok(go_on(None));
    }
    page(&SignUpPage {
        v,
        faults: Faults::default(),
        typed: SignUp::default(),
        key: IdempotencyKey::random(),
    })
}

pub async fn sign_up(
    v: Visit,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    key: IdempotencyKey,
    Form(typed): Form<SignUp>,
) -> Result<Response, Problem> {
    let new = NewAccount {
        username: typed.username.clone(),
        password: typed.password.clone(),
        email: Some(typed.email.clone()).filter(|email| !email.trim().is_empty()),
        full_name: Some(typed.full_name.clone()),
    };
    match accounts::sign_up_as(&v.app, peer, &v.headers, key.as_bytes(), new).await {
        Ok(signed_in) => enter(&v.app, &signed_in.token, None),
        Err(error) => {
            let mut problem = Problem::from(error);
            if problem.status == 409 {
                problem.errors = vec![FieldError::new("username", "is taken")];
            }
            let faults = Faults::of(problem)?;
            page_of(faults.status(), &SignUpPage { v, faults, typed, key: IdempotencyKey::random() })
        }
    }
}

pub async fn log_out(v: Visit) -> Result<Response, Problem> {
    if let Ok(me) = v.signed_in() {
        v.app.sessions.close(me.0.account, me.0.id).await?;
    }
    leave(&v.app)
}

/// To the start, without a session.
pub fn leave(app: &App) -> Result<Response, Problem> {
    let cookie = SessionCookie::new(&app.config.public_url).cleared()?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

fn enter(app: &App, token: &str, next: Option<&str>) -> Result<Response, Problem> {
    let cookie = SessionCookie::new(&app.config.public_url).holding(token)?;
    Ok(([(SET_COOKIE, cookie)], go_on(next)).into_response())
}

fn go_on(next: Option<&str>) -> Response {
    Redirect::to(&next.and_then(local).unwrap_or_else(|| "/".to_owned())).into_response()
}
