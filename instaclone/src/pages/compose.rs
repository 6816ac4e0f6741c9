//! The composer: choose photos, say what they show, share.

use askama::Template;
use axum::extract::FromRequest;
use axum::http::Request;
use axum::response::{IntoResponse, Redirect, Response};
use tripod::web::body::Multipart;
use tripod::web::{IdempotencyKey, Problem};

use super::frame::{Faults, page_of};
use super::visit::Visit;
use crate::posts::{self, Draft};

#[derive(Template)]
#[template(path = "compose.html")]
struct ComposePage {
    v: Visit,
    faults: Faults,
    draft: Draft,
    key: String,
}

pub async fn form(v: Visit) -> Result<Response, Problem> {
    v.signed_in()?;
    let (faults, draft) = (Faults::default(), Draft::default());
    page_of(faults.status(), &ComposePage { v, faults, draft, key: IdempotencyKey::random() })
}

pub async fn share(
    v: Visit,
    key: IdempotencyKey,
    request: Request<axum::body::Body>,
) -> Result<Response, Problem> {
    let me = v.my_id()?;
    let mut draft = Draft::default();
    let refused = async {
        posts::take_upload(&v.app, me).await?;
        draft.read(&v.app, Multipart::from_request(request, &()).await?).await?;
        Ok::<_, Problem>(draft.check()?)
    };
    if let Err(problem) = refused.await {
        let faults = Faults::of(problem)?;
        return page_of(faults.status(), &ComposePage { v, faults, draft, key: IdempotencyKey::random() });
    }
    let (typed, once) = (draft.without_pictures(), key.with_content(draft.digests()));
    match posts::publish(&v.app, me, &once, draft).await {
        Ok(_) => Ok(Redirect::to("/").into_response()),
        // Going back to a form that was sent, and sending something else: a key is good for one post.
        Err(error) => {
            let faults = Faults::of(error)?;
            let page = ComposePage { v, faults, draft: typed, key: IdempotencyKey::random() };
            page_of(page.faults.status(), &page)
        }
    }
}
