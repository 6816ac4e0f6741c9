//! The web app: every page is an API result rendered as HTML, and every action is a form.
//!
//! A page calls the same functions as the API's handlers, so that no rule exists twice. Forms are
//! answered with 303 to the page that shows their effect; with `Prefer: return=representation` (RFC
//! 7240), which only our own scripts send, with just the changed part of the page. Nothing requires a
//! script: scripts only avoid reloads.

mod assets;
mod auth;
mod compose;
mod context;
mod frame;
mod home;
mod messages;
mod person;
mod post;
mod problem;
mod relations;
mod rich_text;
mod search;
mod settings;
mod thread;

use axum::Router;
use axum::routing::{get, post};
use tripod::{App, WebPages};

/// The routes of all pages.
pub fn pages() -> WebPages {
    let routes = Router::new()
        .route("/", get(home::feed))
        .route("/explore", get(home::explore))
        .route("/search", get(search::search))
        .route("/tags/{tag}", get(search::tag))
        .route("/login", get(auth::log_in_form).post(auth::log_in))
        .route("/signup", get(auth::sign_up_form).post(auth::sign_up))
        .route("/logout", post(auth::log_out))
        .route("/p/{id}", get(post::show))
        .route("/p/{id}/like", post(post::like))
        .route("/p/{id}/unlike", post(post::unlike))
        .route("/p/{id}/save", post(post::save))
        .route("/p/{id}/unsave", post(post::unsave))
        .route("/p/{id}/likes", get(post::likes))
        .route("/p/{id}/comments", get(post::to_post).post(post::comment))
        .route("/p/{id}/caption", get(post::to_post).post(post::change_caption))
        .route("/p/{id}/delete", post(post::delete))
        .route("/comments/{id}", get(thread::show))
        .route("/comments/{id}/replies", get(thread::to_thread).post(thread::reply))
        .route("/comments/{id}/like", post(thread::like))
        .route("/comments/{id}/unlike", post(thread::unlike))
        .route("/comments/{id}/delete", post(thread::delete))
        .route("/u/{username}", get(person::show))
        .route("/u/{username}/followers", get(person::followers))
        .route("/u/{username}/following", get(person::following))
        .route("/u/{username}/follow", post(person::follow))
        .route("/u/{username}/unfollow", post(person::unfollow))
        .route("/u/{username}/block", post(person::block))
        .route("/u/{username}/mute", post(person::mute))
        .route("/u/{username}/unmute", post(person::unmute))
        .route("/u/{username}/add-close-friend", post(person::add_close_friend))
        .route("/u/{username}/remove-close-friend", post(person::remove_close_friend))
        .route("/requests", get(relations::requests))
        .route("/requests/{id}/accept", post(relations::accept))
        .route("/requests/{id}/decline", post(relations::decline))
        .route("/saved", get(home::saved))
        .route("/settings", get(settings::show))
        .route("/settings/profile", get(settings::to_settings).post(settings::change_profile))
        .route("/settings/privacy", get(settings::to_settings).post(settings::change_privacy))
        .route("/settings/blocked", get(relations::blocked))
        .route("/settings/blocked/{id}/remove", post(relations::unblock))
        .route("/settings/muted", get(relations::muted))
        .route("/settings/muted/{id}/remove", post(relations::unmute))
        .route("/settings/close-friends", get(relations::close_friends))
        .route("/settings/close-friends/{id}/remove", post(relations::remove_close_friend))
        .route("/settings/password", get(settings::to_settings).post(settings::change_password))
        .route("/settings/sessions/{id}/close", post(settings::close_session))
        .route("/settings/delete", get(settings::to_settings).post(settings::delete_account))
        .route("/language", post(settings::change_language));
    let files =
        Router::new().route("/assets/{name}", get(assets::serve)).route("/favicon.ico", get(assets::favicon));
    let uploads = Router::<App>::new()
        .route("/new", get(compose::form).post(compose::share))
        .route("/settings/avatar", get(settings::to_settings).post(settings::change_avatar));
    WebPages { routes, files, uploads, problem: problem::page }
}
