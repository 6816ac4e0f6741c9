//! The account's settings: picture, profile, password, devices, language and deletion.

use askama::Template;
use axum::body::Bytes;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tripod::Result;
use tripod::web::{Form, Keyed, MultipartForm, PasswordChange, Path, Problem, Query};

use super::auth;
use super::context::PageContext;
use super::frame::{FormErrors, page_of};
use super::messages;
use crate::accounts::{self, Device, ProfileChange, SessionId};
use crate::posts::Uploader;
use crate::views::User;

/// Redirects to the settings. A refused form is shown at the address it was sent to; reloading that
/// address leads here.
pub async fn to_settings() -> Redirect {
    Redirect::to("/settings")
}

/// What the previous form reports to the page.
#[derive(Deserialize)]
pub struct Told {
    saved: Option<u8>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    cx: PageContext,
    user: User,
    devices: Vec<Device>,
    form_errors: FormErrors,
    saved: bool,
    full_name: String,
    bio: String,
}

/// The input of the profile's form.
#[derive(Deserialize)]
pub struct Profile {
    full_name: String,
    bio: String,
}

pub async fn show(cx: PageContext, Query(told): Query<Told>) -> Result<Response, Problem> {
    show_with(cx, FormErrors::default(), None, told.saved.is_some()).await
}

/// A device's name, from its browser's user agent.
fn device_name(user_agent: &str) -> String {
    // Browsers also name their ancestors, so derived browsers come first.
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
    cx: PageContext,
    form_errors: FormErrors,
    typed: Option<Profile>,
    saved: bool,
) -> Result<Response, Problem> {
    let user = accounts::own(&cx.app, cx.my_id()?).await?;
    let mut devices = accounts::devices(&cx.app, cx.signed_in()?).await?;
    for device in &mut devices {
        device.device = device_name(&device.device);
    }
    let stored = || Profile { full_name: user.author.full_name.to_string(), bio: user.bio.clone() };
    let Profile { full_name, bio } = typed.unwrap_or_else(stored);
    let status = form_errors.status();
    page_of(status, &SettingsPage { cx, user, devices, form_errors, saved, full_name, bio })
}

/// Back to the settings, with a confirmation or with the errors.
async fn answer<T>(
    cx: PageContext,
    done: Result<T, Problem>,
    typed: Option<Profile>,
) -> Result<Response, Problem> {
    match done {
        Ok(_) => Ok(Redirect::to("/settings?saved=1").into_response()),
        Err(problem) => show_with(cx, FormErrors::of(problem)?, typed, false).await,
    }
}

pub async fn change_profile(
    cx: PageContext,
    Keyed(once, Form(typed)): Keyed<Form<Profile>>,
) -> Result<Response, Problem> {
    let change = ProfileChange {
        full_name: Some(typed.full_name.clone()),
        bio: Some(typed.bio.clone()),
        is_private: None,
    };
    let done = accounts::change_profile(cx.my_id()?, &once, change).await;
    answer(cx, done.map_err(Problem::from), Some(typed)).await
}

/// Whether the account is to be private.
#[derive(Deserialize)]
pub struct Privacy {
    is_private: bool,
}

pub async fn change_privacy(
    cx: PageContext,
    Keyed(once, Form(typed)): Keyed<Form<Privacy>>,
) -> Result<Response, Problem> {
    let change = ProfileChange { full_name: None, bio: None, is_private: Some(typed.is_private) };
    let done = accounts::change_profile(cx.my_id()?, &once, change).await;
    answer(cx, done.map_err(Problem::from), None).await
}

/// The form with the account's picture.
#[derive(Deserialize)]
pub struct NewPicture {
    picture: Bytes,
}

pub async fn change_avatar(
    cx: PageContext,
    Uploader(me): Uploader,
    form: Result<Keyed<MultipartForm<NewPicture>>, Problem>,
) -> Result<Response, Problem> {
    let done = async {
        let Keyed(once, MultipartForm(new)) = form?;
        Ok(accounts::change_avatar(&cx.app, me.id(), &once, new.picture, "picture").await?)
    };
    let done: Result<(), Problem> = done.await;
    answer(cx, done, None).await
}

pub async fn change_password(
    cx: PageContext,
    Form(change): Form<PasswordChange>,
) -> Result<Response, Problem> {
    let done = cx.app.passwords.change(cx.signed_in()?, change).await;
    answer(cx, done.map_err(Problem::from), None).await
}

pub async fn close_session(cx: PageContext, Path(id): Path<SessionId>) -> Result<Response, Problem> {
    match accounts::close(&cx.app, cx.signed_in()?, id).await {
        // Already closed, by another click or another device.
        Err(error) if error.is_absent() => answer(cx, Ok(()), None).await,
        done => answer(cx, done.map_err(Problem::from), None).await,
    }
}

/// The user name, typed as confirmation.
#[derive(Deserialize)]
pub struct Confirmation {
    confirm: String,
}

pub async fn delete_account(cx: PageContext, Form(typed): Form<Confirmation>) -> Result<Response, Problem> {
    let me = cx.my_id()?;
    let own = cx.me.as_ref().is_some_and(|(_, author)| *author.username == *typed.confirm.trim());
    if !own {
        let refused = Err::<(), _>(Problem::invalid("confirm", "is not your user name"));
        return answer(cx, refused, None).await;
    }
    accounts::delete(&cx.app, me).await?;
    auth::leave(&cx.app)
}

#[derive(Deserialize)]
pub struct Language {
    language: String,
}

/// Stores the chosen language in the browser.
pub async fn change_language(cx: PageContext, Form(typed): Form<Language>) -> Result<Response, Problem> {
    let chosen = messages::of_tag(&typed.language);
    let chosen = chosen.ok_or_else(|| Problem::invalid("language", "is not one of this service"))?;
    let secure = if cx.app.config.public_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!(
        "{}={}; Path=/; SameSite=Lax; HttpOnly; Max-Age=31536000{secure}",
        messages::COOKIE,
        chosen.tag
    );
    Ok(([(SET_COOKIE, cookie)], cx.back("/", "")).into_response())
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
