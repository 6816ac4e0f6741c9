//! The composer: choose photos, say what they show, share.

use askama::Template;
use axum::extract::FromRequest;
use axum::http::Request;
use axum::response::{IntoResponse, Redirect, Response};
use tripod::web::body::Multipart;
use tripod::web::{Problem, Query};

use super::frame::{Faults, page_of};
use super::post::FormKey;
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
    page_of(
        Faults::default().status(),
        &ComposePage { v, faults: Faults::default(), draft: Draft::default(), key: FormKey::fresh() },
    )
}

pub async fn share(
    v: Visit,
    Query(key): Query<FormKey>,
    request: Request<axum::body::Body>,
) -> Result<Response, Problem> {
    let me = v.signed_in()?;
    let mut draft = Draft::default();
    let refused = async {
        posts::take_upload(&v.tripod, &me).await?;
        draft.read(&v.tripod, Multipart::from_request(request, &()).await?).await?;
        draft.check()
    };
    if let Err(problem) = refused.await {
        let faults = Faults::of(problem)?;
        return page_of(faults.status(), &ComposePage { v, faults, draft, key: FormKey::fresh() });
    }
    let typed = draft.without_pictures();
    let published = posts::publish_once(&v.tripod, &me, draft, &key.headers(&v)).await;
    let refused = match published {
        Ok(mut reply) => reply.extensions_mut().remove::<Problem>(),
        Err(problem) => Some(problem),
    };
    let Some(problem) = refused else { return Ok(Redirect::to("/").into_response()) };
    // Going back to a form that was sent, and sending something else: a key is good for one post.
    let faults = Faults::of(problem)?;
    page_of(faults.status(), &ComposePage { v, faults, draft: typed, key: FormKey::fresh() })
}
