//! The composer: choose photos, describe them, share.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use tripod::web::{IdempotencyKey, Keyed, MultipartForm, Problem};

use super::context::PageContext;
use super::frame::{FormErrors, page_of};
use crate::posts::{self, NewPost, Uploader};

#[derive(Template)]
#[template(path = "compose.html")]
struct ComposePage {
    cx: PageContext,
    form_errors: FormErrors,
    typed: NewPost,
    /// Valid for one post: a form that is sent again with other content gets a new key.
    key: String,
}

pub async fn form(cx: PageContext) -> Result<Response, Problem> {
    cx.signed_in()?;
    show(cx, FormErrors::default(), NewPost::default())
}

fn show(cx: PageContext, form_errors: FormErrors, typed: NewPost) -> Result<Response, Problem> {
    page_of(form_errors.status(), &ComposePage { cx, form_errors, typed, key: IdempotencyKey::random() })
}

pub async fn share(
    cx: PageContext,
    Uploader(me): Uploader,
    form: Result<Keyed<MultipartForm<NewPost>>, Problem>,
) -> Result<Response, Problem> {
    let Keyed(once, MultipartForm(new)) = match form {
        Ok(form) => form,
        Err(problem) => return show(cx, FormErrors::of(problem)?, NewPost::default()),
    };
    match posts::publish(&cx.app, me.id(), &once, &new).await {
        Ok(_) => Ok(Redirect::to("/").into_response()),
        Err(error) => show(cx, FormErrors::of(error)?, new),
    }
}
