//! The account's own lists of people: requests to follow it, and whom it blocks, mutes and counts among its
//! close friends.

use askama::Template;
use axum::response::Response;
use tripod::web::{Page, PageQuery, Path, Problem};

use super::context::PageContext;
use super::frame::page;
use crate::entity::AccountId;
use crate::entity::account::Author;
use crate::views::Person;
use crate::{blocks, close_friends, follows, mutes};

/// What can be done about each person of a list: its label, and the last part of its address.
struct Act {
    label: &'static str,
    verb: &'static str,
}

#[derive(Template)]
#[template(path = "relations.html")]
struct RelationsPage {
    cx: PageContext,
    heading: &'static str,
    people: Vec<Author>,
    next: Option<String>,
    /// The list's address.
    at: &'static str,
    acts: Vec<Act>,
}

impl RelationsPage {
    fn of(
        cx: PageContext,
        heading: &'static str,
        at: &'static str,
        act: &'static str,
        list: Page<Person>,
    ) -> Self {
        let people = list.items.into_iter().map(|person| person.author).collect();
        Self { cx, heading, people, next: list.next, at, acts: vec![Act { label: act, verb: "remove" }] }
    }
}

pub async fn requests(cx: PageContext, query: PageQuery) -> Result<Response, Problem> {
    let Page { items: people, next } = follows::list(&cx.app, cx.my_id()?, query).await?;
    let acts = vec![
        Act { label: cx.messages.accept, verb: "accept" },
        Act { label: cx.messages.decline, verb: "decline" },
    ];
    page(&RelationsPage { heading: cx.messages.follow_requests, cx, people, next, at: "/requests", acts })
}

pub async fn accept(cx: PageContext, Path(id): Path<AccountId>) -> Result<Response, Problem> {
    match follows::accept(&cx.app, cx.my_id()?, id).await {
        // Withdrawn meanwhile: the list shows it.
        Err(error) if error.is_absent() => {}
        done => done?,
    }
    Ok(cx.back("/requests", ""))
}

pub async fn decline(cx: PageContext, Path(id): Path<AccountId>) -> Result<Response, Problem> {
    follows::decline(&cx.app, cx.my_id()?, id).await?;
    Ok(cx.back("/requests", ""))
}

pub async fn blocked(cx: PageContext, query: PageQuery) -> Result<Response, Problem> {
    let list = blocks::list(&cx.app, cx.my_id()?, query).await?;
    let (heading, act) = (cx.messages.blocked_people, cx.messages.unblock);
    page(&RelationsPage::of(cx, heading, "/settings/blocked", act, list))
}

pub async fn unblock(cx: PageContext, Path(id): Path<AccountId>) -> Result<Response, Problem> {
    blocks::set(&cx.app, cx.my_id()?, id, false).await?;
    Ok(cx.back("/settings/blocked", ""))
}

pub async fn muted(cx: PageContext, query: PageQuery) -> Result<Response, Problem> {
    let list = mutes::list(&cx.app, cx.my_id()?, query).await?;
    let (heading, act) = (cx.messages.muted_people, cx.messages.unmute);
    page(&RelationsPage::of(cx, heading, "/settings/muted", act, list))
}

pub async fn unmute(cx: PageContext, Path(id): Path<AccountId>) -> Result<Response, Problem> {
    mutes::set(&cx.app, cx.my_id()?, id, false).await?;
    Ok(cx.back("/settings/muted", ""))
}

pub async fn close_friends(cx: PageContext, query: PageQuery) -> Result<Response, Problem> {
    let list = close_friends::list(&cx.app, cx.my_id()?, query).await?;
    let (heading, act) = (cx.messages.close_friends, cx.messages.remove);
    page(&RelationsPage::of(cx, heading, "/settings/close-friends", act, list))
}

pub async fn remove_close_friend(cx: PageContext, Path(id): Path<AccountId>) -> Result<Response, Problem> {
    close_friends::set(&cx.app, cx.my_id()?, id, false).await?;
    Ok(cx.back("/settings/close-friends", ""))
}
