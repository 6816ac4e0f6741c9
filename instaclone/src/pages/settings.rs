//! One's own settings: picture, profile, devices, language, and leaving for good.

use askama::Template;
use axum::extract::{FromRequest, Request};
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tripod::Result;
use tripod::web::body::Multipart;
use tripod::web::{Form, IdempotencyKey, Once, Path, Problem, Query};

use super::door;
use super::frame::{Faults, page_of};
use super::visit::Visit;
use super::words;
use crate::accounts::{self, Device, ProfileChange, SessionId};
use crate::posts;
use crate::views::User;

/// A refused form is shown at the address it was sent to; coming back there leads to the page.
pub async fn to_settings() -> Redirect {
    Redirect::to("/settings")
}

/// What the page is told by the form before it.
#[derive(Deserialize)]
pub struct Told {
    saved: Option<u8>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    v: Visit,
    user: User,
    devices: Vec<Device>,
    faults: Faults,
    saved: bool,
    full_name: String,
    bio: String,
}

/// What was typed into the profile's form.
#[derive(Deserialize)]
pub struct Profile {
    full_name: String,
    bio: String,
}

pub async fn show(v: Visit, Query(told): Query<Told>) -> Result<Response, Problem> {
    show_with(v, Faults::default(), None, told.saved.is_some()).await
}

/// What a device is, in words, from what its browser says of itself.
fn device_name(user_agent: &str) -> String {
    // Browsers name those they descend from as well, so the younger ones come first.
    let browsers = [
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    ];
    let systems = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&browsers), find(&systems)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        _ => user_agent.chars().take(60).collect(),
    }
}

async fn show_with(
    v: Visit,
    faults: Faults,
    typed: Option<Profile>,
    saved: bool,
) -> Result<Response, Problem> {
    let user = accounts::own(&v.app, v.my_id()?).await?;
    let mut devices = accounts::devices(&v.app, v.signed_in()?).await?;
    for device in &mut devices {
        device.device = device_name(&device.device);
    }
    let stored = || Profile { full_name: user.author.full_name.to_string(), bio: user.bio.clone() };
    let Profile { full_name, bio } = typed.unwrap_or_else(stored);
    let status = faults.status();
    page_of(status, &SettingsPage { v, user, devices, faults, saved, full_name, bio })
}

/// Back to the settings: saved, or with what was wrong.
async fn answer<T>(v: Visit, done: Result<T, Problem>, typed: Option<Profile>) -> Result<Response, Problem> {
    match done {
        Ok(_) => Ok(Redirect::to("/settings?saved=1").into_response()),
        Err(problem) => show_with(v, Faults::of(problem)?, typed, false).await,
    }
}

pub async fn change_profile(v: Visit, Form(typed): Form<Profile>) -> Result<Response, Problem> {
    let change = ProfileChange {
        full_name: Some(typed.full_name.clone()),
        bio: Some(typed.bio.clone()),
        is_private: None,
    };
    let once = Once::without_key(v.app.shards.clone());
    let done = accounts::change_profile(v.my_id()?, &once, change).await;
    answer(v, done.map_err(Problem::from), Some(typed)).await
}

pub async fn change_avatar(v: Visit, key: IdempotencyKey, request: Request) -> Result<Response, Problem> {
    let me = v.my_id()?;
    let done = async {
        posts::take_upload(&v.app, me).await?;
        let Multipart(mut parts) = Multipart::from_request(request, &()).await?;
        while let Some(part) = parts.next_field().await? {
            if part.name() == Some("picture") {
                let bytes = part.bytes().await?;
                let once = key.with_content([bytes.as_ref()]);
                return Ok(accounts::change_avatar(&v.app, me, &once, bytes, "picture").await?);
            }
        }
        Err(Problem::invalid("picture", "must not be empty"))
    };
    let done: Result<(), Problem> = done.await;
    answer(v, done, None).await
}

pub async fn close_session(v: Visit, Path(id): Path<SessionId>) -> Result<Response, Problem> {
    match accounts::close(&v.app, v.signed_in()?, id).await {
        // Closed already, by another click or another device.
        Err(error) if error.is_absent() => answer(v, Ok(()), None).await,
        done => answer(v, done.map_err(Problem::from), None).await,
    }
}

/// The user name, typed to show that it is meant.
#[derive(Deserialize)]
pub struct Confirmation {
    confirm: String,
}

pub async fn delete_account(v: Visit, Form(typed): Form<Confirmation>) -> Result<Response, Problem> {
    let me = v.my_id()?;
    let own = v.me.as_ref().is_some_and(|(_, author)| *author.username == *typed.confirm.trim());
    if !own {
        let refused = Err::<(), _>(Problem::invalid("confirm", "is not your user name"));
        return answer(v, refused, None).await;
    }
    accounts::delete(&v.app, me).await?;
    door::leave(&v.app)
}

#[derive(Deserialize)]
pub struct Language {
    language: String,
}

/// Keeps the language that somebody chose, in their browser.
pub async fn change_language(v: Visit, Form(typed): Form<Language>) -> Result<Response, Problem> {
    let chosen = words::of_tag(&typed.language);
    let chosen = chosen.ok_or_else(|| Problem::invalid("language", "is not one of this service"))?;
    let secure = if v.app.config.public_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie =
        format!("{}={}; Path=/; SameSite=Lax; HttpOnly; Max-Age=31536000{secure}", words::COOKIE, chosen.tag);
    Ok(([(SET_COOKIE, cookie)], v.back("/", "")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_as_people_name_it() {
        let linux = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(device_name(linux), "Chrome, Linux");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1";
        assert_eq!(device_name(phone), "Safari, iPhone");
        assert_eq!(device_name("curl/8.5.0"), "curl/8.5.0");
        assert_eq!(device_name(&"é".repeat(200)).chars().count(), 60);
    }
}
