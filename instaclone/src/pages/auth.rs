//! Pages to log in, sign up and log out.

use askama::Template;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;
use tripod::App;
use tripod::web::{ClientInfo, FieldError, Form, IdempotencyKey, Problem, Query, SessionCookie};

use super::context::{PageContext, local};
use super::frame::{FormErrors, page, page_of};
use crate::accounts::{self, Credentials, Entered, NewAccount};

/// Where to go after logging in.
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
    cx: PageContext,
    form_errors: FormErrors,
    username: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage {
    cx: PageContext,
    form_errors: FormErrors,
    typed: SignUp,
    /// Makes the form safe to send twice.
    key: String,
}

pub async fn log_in_form(cx: PageContext, Query(Next { next }): Query<Next>) -> Result<Response, Problem> {
    if cx.me.is_some() {
        return Ok(go_on(next.as_deref()));
    }
    page(&LogInPage { cx, form_errors: FormErrors::default(), username: String::new(), next })
}

pub async fn log_in(
    cx: PageContext,
    client: ClientInfo,
    Form(typed): Form<LogIn>,
) -> Result<Response, Problem> {
    let credentials = Credentials { username: typed.username.clone(), password: typed.password };
    match accounts::log_in_as(&cx.app, client, credentials).await {
        Ok(entered) => enter(&cx.app, &entered, typed.next.as_deref()),
        Err(error) => {
            let form_errors = FormErrors::of(error)?;
            page_of(
                form_errors.status(),
                &LogInPage { cx, form_errors, username: typed.username, next: typed.next },
            )
        }
    }
}

pub async fn sign_up_form(cx: PageContext) -> Result<Response, Problem> {
    if cx.me.is_some() {
        return Ok(go_on(None));
    }
    page(&SignUpPage {
        cx,
        form_errors: FormErrors::default(),
        typed: SignUp::default(),
        key: IdempotencyKey::random(),
    })
}

pub async fn sign_up(
    cx: PageContext,
    client: ClientInfo,
    key: IdempotencyKey,
    Form(typed): Form<SignUp>,
) -> Result<Response, Problem> {
    let new = NewAccount {
        username: typed.username.clone(),
        password: typed.password.clone(),
        email: Some(typed.email.clone()).filter(|email| !email.trim().is_empty()),
        full_name: Some(typed.full_name.clone()),
    };
    match accounts::sign_up_as(&cx.app, client, key.as_bytes(), new).await {
        Ok(entered) => enter(&cx.app, &entered, None),
        Err(error) => {
            let mut problem = Problem::from(error);
            if problem.status == 409 {
                problem.errors = vec![FieldError::new("username", "is taken")];
            }
            let form_errors = FormErrors::of(problem)?;
            page_of(
                form_errors.status(),
                &SignUpPage { cx, form_errors, typed, key: IdempotencyKey::random() },
            )
        }
    }
}

pub async fn log_out(cx: PageContext) -> Result<Response, Problem> {
    if let Ok(me) = cx.signed_in() {
        cx.app.sessions.close(me.0.account, me.0.id).await?;
    }
    leave(&cx.app)
}

/// Redirects to the start page and deletes the session cookie.
pub fn leave(app: &App) -> Result<Response, Problem> {
    let cookie = SessionCookie::new(&app.config.public_url).cleared()?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

fn enter(app: &App, entered: &Entered, next: Option<&str>) -> Result<Response, Problem> {
    let cookie = SessionCookie::new(&app.config.public_url);
    let cookies = [cookie.holding(&entered.signed_in.token)?, cookie.of_device(&entered.device)?];
    Ok((AppendHeaders(cookies.map(|cookie| (SET_COOKIE, cookie))), go_on(next)).into_response())
}

fn go_on(next: Option<&str>) -> Response {
    Redirect::to(&next.and_then(local).unwrap_or_else(|| "/".to_owned())).into_response()
}
