//! Every string that pages show, in English and in Spanish.

mod english;
mod spanish;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use tripod::web::read_cookie;

pub use english::ENGLISH;
pub use spanish::SPANISH;

/// The cookie for the chosen language.
pub const COOKIE: &str = "language";

/// A sentence with a number.
type Counted = fn(u64) -> String;
/// A sentence with a name or another text.
type Of = fn(&str) -> String;

/// The strings of one language.
pub struct Messages {
    /// The language's tag (BCP 47).
    pub tag: &'static str,
    pub about: &'static str,
    pub accept: &'static str,
    pub account_is_private: &'static str,
    pub add_close_friend: &'static str,
    pub add_comment: &'static str,
    pub add_reply: &'static str,
    /// How long ago, from minutes.
    pub ago: Counted,
    pub all_comments: fn(i64) -> String,
    pub ask_to_follow: &'static str,
    pub back: &'static str,
    pub bio: &'static str,
    pub block: &'static str,
    pub block_warning: &'static str,
    pub blocked_people: &'static str,
    pub caption: &'static str,
    pub change_password: &'static str,
    pub choose_photos: &'static str,
    pub choose_picture: &'static str,
    pub close_friends: &'static str,
    pub comments: &'static str,
    pub comments_are_closed: &'static str,
    pub current_password: &'static str,
    pub decline: &'static str,
    pub delete: &'static str,
    pub delete_account: &'static str,
    pub delete_account_warning: &'static str,
    pub delete_comment_of: Of,
    pub delete_post: &'static str,
    pub delete_post_warning: &'static str,
    /// The label of a photo's description; `{}` is the photo's number.
    pub describe_photo: &'static str,
    pub devices: &'static str,
    pub edit: &'static str,
    pub email: &'static str,
    pub everyone: &'static str,
    pub explore: &'static str,
    pub feed_begins: &'static str,
    pub feed_is_empty: &'static str,
    pub first_post: &'static str,
    pub follow: &'static str,
    pub follow_requests: &'static str,
    pub followed_by: Of,
    pub follower_count: Counted,
    pub followers_of: Of,
    pub followers_only: &'static str,
    pub following_count: Counted,
    pub follows_you: &'static str,
    pub for_close_friends: &'static str,
    pub full_name: &'static str,
    pub have_account: &'static str,
    pub home: &'static str,
    pub keep: &'static str,
    pub kept: &'static str,
    pub like: &'static str,
    pub like_comment: &'static str,
    pub liked_by: Of,
    pub likes: Counted,
    pub location: &'static str,
    pub log_in: &'static str,
    pub log_in_to_comment: &'static str,
    pub log_in_to_go_on: &'static str,
    pub log_out: &'static str,
    pub make_private: &'static str,
    pub make_public: &'static str,
    pub make_public_warning: &'static str,
    pub menu: &'static str,
    pub more: &'static str,
    pub more_descriptions: &'static str,
    pub mute: &'static str,
    pub muted_people: &'static str,
    pub new_here: &'static str,
    pub new_password: &'static str,
    pub new_post: &'static str,
    pub nobody: &'static str,
    pub nobody_yet: &'static str,
    pub nothing_called: Of,
    pub nothing_yet: &'static str,
    pub pages: &'static str,
    pub password: &'static str,
    pub password_rule: &'static str,
    pub password_warning: &'static str,
    pub people: &'static str,
    pub photo_by: Of,
    pub photo_rule: &'static str,
    pub photos: Counted,
    pub picture: &'static str,
    pub post_count: Counted,
    pub posts: &'static str,
    pub privacy: &'static str,
    pub private_hint: &'static str,
    pub profile: &'static str,
    pub public_hint: &'static str,
    pub remove: &'static str,
    pub remove_close_friend: &'static str,
    pub replies: &'static str,
    pub reply: &'static str,
    pub reply_count: Counted,
    pub requested: &'static str,
    pub save: &'static str,
    pub rising_tags: &'static str,
    pub save_picture: &'static str,
    pub saved: &'static str,
    pub say: &'static str,
    pub search: &'static str,
    pub search_for: &'static str,
    pub sending: &'static str,
    pub sending_failed: &'static str,
    pub settings: &'static str,
    pub share: &'static str,
    pub sign_up: &'static str,
    pub signed_out: &'static str,
    pub skip: &'static str,
    pub this_device: &'static str,
    pub to_home: &'static str,
    pub tags: &'static str,
    pub too_many_photos: &'static str,
    pub type_username: &'static str,
    pub unblock: &'static str,
    pub unfollow: &'static str,
    pub unlike_comment: &'static str,
    pub unmute: &'static str,
    pub username: &'static str,
    pub welcome: &'static str,
    pub who_comments: &'static str,
    pub who_sees: &'static str,
    /// The heading of the problem page, by status.
    pub problem: fn(u16) -> &'static str,
    /// The API's sentences in this language; `{}` is a placeholder. Other sentences are shown
    /// untranslated.
    pub sentences: &'static [(&'static str, &'static str)],
}

impl Messages {
    /// The label of the description of the photo with this number.
    pub fn describe(&self, number: &usize) -> String {
        self.describe_photo.replace("{}", &number.to_string())
    }

    /// A sentence of the API, or a field's error detail, in this language and capitalised.
    pub fn say(&self, sentence: &str) -> String {
        capitalized(&self.translated(sentence))
    }

    fn translated(&self, sentence: &str) -> String {
        let known = self.sentences.iter().find_map(|(pattern, translated)| {
            let Some((start, end)) = pattern.split_once("{}") else {
                return (*pattern == sentence).then(|| (*translated).to_owned());
            };
            let part = sentence.strip_prefix(start)?.strip_suffix(end)?;
            Some(translated.replace("{}", &self.translated(part)))
        });
        known.unwrap_or_else(|| sentence.to_owned())
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The messages for a language tag.
pub fn of_tag(tag: &str) -> Option<&'static Messages> {
    let language = tag.split('-').next().unwrap_or_default();
    [&ENGLISH, &SPANISH].into_iter().find(|messages| messages.tag.eq_ignore_ascii_case(language))
}

/// The messages for a request: in the chosen language, else the browser's, else English.
pub fn messages(headers: &HeaderMap) -> &'static Messages {
    let chosen = read_cookie(headers, COOKIE).and_then(of_tag);
    let accepted = || headers.get(ACCEPT_LANGUAGE)?.to_str().ok().and_then(accepted);
    chosen.or_else(accepted).unwrap_or(&ENGLISH)
}

/// The available language that `Accept-Language` prefers.
fn accepted(header: &str) -> Option<&'static Messages> {
    let mut languages: Vec<(f32, &Messages)> = header
        .split(',')
        .filter_map(|range| {
            let (tag, weight) = range.split_once(";q=").unwrap_or((range, "1"));
            let weight: f32 = weight.trim().parse().ok()?;
            (weight > 0.0).then_some((weight, of_tag(tag.trim())?))
        })
        .collect();
    // Stable: of two with equal weight, the first stays first.
    languages.sort_by(|one, other| other.0.total_cmp(&one.0));
    languages.first().map(|(_, messages)| *messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::COOKIE as COOKIES;

    #[test]
    fn the_language_is_the_chosen_one_or_the_browsers() {
        let tag = |accept: &str, cookie: &str| {
            let headers = [(ACCEPT_LANGUAGE, accept.parse().unwrap()), (COOKIES, cookie.parse().unwrap())];
            messages(&HeaderMap::from_iter(headers)).tag
        };
        assert_eq!(tag("es-MX,es;q=0.9,en;q=0.8", ""), "es");
        assert_eq!(tag("fr,en;q=0.2,es;q=0.7", ""), "es");
        assert_eq!(tag("fr", ""), "en");
        assert_eq!(tag("es;q=0, de", ""), "en");
        assert_eq!(tag("en", "language=es"), "es");
        assert_eq!(tag("es", "language=xx"), "es");
        assert_eq!(messages(&HeaderMap::new()).tag, "en");
    }

    #[test]
    fn sentences_are_translated_with_what_differs_in_them() {
        assert_eq!(ENGLISH.say("must have at most 64 characters"), "Must have at most 64 characters");
        assert_eq!(SPANISH.say("must have at most 64 characters"), "Debe tener como máximo 64 caracteres");
        assert_eq!(
            SPANISH.say("this looks like a GIF; JPEG, PNG and WebP are accepted"),
            "Esto parece un GIF; se aceptan JPEG, PNG y WebP"
        );
        assert_eq!(SPANISH.say("unheard of"), "Unheard of");
        for (pattern, translated) in SPANISH.sentences {
            assert_eq!(pattern.matches("{}").count(), translated.matches("{}").count(), "{pattern}");
        }
    }
}
