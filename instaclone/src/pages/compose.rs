//! The composer: choose photos, describe them, share.

use askama::Template;
use axum::extract::FromRequest;
use axum::http::Request;
use axum::response::{IntoResponse, Redirect, Response};
use tripod::web::body::Multipart;
use tripod::web::{IdempotencyKey, Problem};

use super::context::PageContext;
use super::frame::{FormErrors, page_of};
use crate::posts::{self, Draft};

#[derive(Template)]
#[template(path = "compose.html")]
struct ComposePage {
    cx: PageContext,
    form_errors: FormErrors,
    draft: Draft,
    key: String,
}

pub async fn form(cx: PageContext) -> Result<Response, Problem> {
    cx.signed_in()?;
    let (form_errors, draft) = (FormErrors::default(), Draft::default());
    page_of(form_errors.status(), &ComposePage { cx, form_errors, draft, key: IdempotencyKey::random() })
}

pub async fn share(
    cx: PageContext,
    key: IdempotencyKey,
    request: Request<axum::body::Body>,
) -> Result<Response, Problem> {
    let me = cx.my_id()?;
    let mut draft = Draft::default();
    let refused = async {
        posts::take_upload(&cx.app, me).await?;
        draft.read(&cx.app, Multipart::from_request(request, &()).await?).await?;
        Ok::<_, Problem>(draft.check()?)
    };
    if let Err(problem) = refused.await {
        let form_errors = FormErrors::of(problem)?;
        return page_of(
            form_errors.status(),
            &ComposePage { cx, form_errors, draft, key: IdempotencyKey::random() },
        );
    }
    let (typed, once) = (draft.without_pictures(), key.with_content(draft.digests()));
    match posts::publish(&cx.app, me, &once, draft).await {
        Ok(_) => Ok(Redirect::to("/").into_response()),
        // The form was changed after it was sent: a key is valid for one post only.
        Err(error) => {
            let form_errors = FormErrors::of(error)?;
            let page = ComposePage { cx, form_errors, draft: typed, key: IdempotencyKey::random() };
            page_of(page.form_errors.status(), &page)
        }
    }
}
