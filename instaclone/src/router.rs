//! All routes in one place.

use tripod::{App, WebPages};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{accounts, blocks, close_friends, comments, explore, feed, follows, likes, mutes};
use crate::{pages, posts, saves, search, tags};

/// The base path of the API.
const API: &str = "/api/v1";

/// The web pages; their routes are listed in their own module.
pub fn pages() -> WebPages {
    pages::pages()
}

/// The routes with small bodies.
pub fn routes() -> OpenApiRouter<App> {
    let api = OpenApiRouter::new()
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::log_in, accounts::list_sessions))
        .routes(routes!(accounts::log_out))
        .routes(routes!(accounts::close_session))
        .routes(routes!(accounts::get_me, accounts::update_me, accounts::delete_me))
        .routes(routes!(accounts::change_password))
        .routes(routes!(accounts::find_user))
        .routes(routes!(accounts::get_user))
        .routes(routes!(posts::list_user_posts))
        .routes(routes!(follows::follow, follows::unfollow))
        .routes(routes!(follows::list_followers))
        .routes(routes!(follows::list_following))
        .routes(routes!(follows::list_follow_requests))
        .routes(routes!(follows::accept_follow_request, follows::decline_follow_request))
        .routes(routes!(follows::remove_follower))
        .routes(routes!(blocks::block, blocks::unblock))
        .routes(routes!(blocks::list_blocks))
        .routes(routes!(mutes::mute, mutes::unmute))
        .routes(routes!(mutes::list_mutes))
        .routes(routes!(close_friends::add_close_friend, close_friends::remove_close_friend))
        .routes(routes!(close_friends::list_close_friends))
        .routes(routes!(posts::get_post, posts::update_post, posts::delete_post))
        .routes(routes!(likes::like_post, likes::unlike_post))
        .routes(routes!(likes::list_post_likes))
        .routes(routes!(saves::save_post, saves::unsave_post))
        .routes(routes!(saves::list_saved_posts))
        .routes(routes!(comments::list_comments, comments::create_comment))
        .routes(routes!(comments::delete_comment))
        .routes(routes!(comments::list_replies))
        .routes(routes!(comments::like_comment, comments::unlike_comment))
        .routes(routes!(feed::get_feed))
        .routes(routes!(explore::get_explore))
        .routes(routes!(tags::find_tags))
        .routes(routes!(tags::list_rising_tags))
        .routes(routes!(tags::list_tag_posts))
        .routes(routes!(search::search_all));
    OpenApiRouter::new().nest(API, api)
}

/// The routes that take files.
pub fn uploads() -> OpenApiRouter<App> {
    let api = OpenApiRouter::new().routes(routes!(posts::create_post)).routes(routes!(accounts::set_avatar));
    OpenApiRouter::new().nest(API, api)
}
