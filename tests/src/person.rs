//! People who use the service.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{Api, Reply, photo};

/// Everyone's password.
const PASSWORD: &str = "correct horse battery";

/// A person who has signed up. The methods of [`Api`] make requests with their token.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account's id.
    pub id: String,
    /// The user name.
    pub username: String,
    api: Api,
}

/// A post to publish.
#[derive(Clone, Debug, Default)]
pub struct PhotoPost {
    photos: Vec<Vec<u8>>,
    texts: Vec<(&'static str, String)>,
}

/// A name that is unique in this run of the tests.
pub fn unique(stem: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{stem}{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Person {
    /// Signs up under a new name with this stem.
    pub async fn sign_up(api: &Api, stem: &str) -> Self {
        let username = unique(stem);
        let account = json!({"username": username, "password": PASSWORD});
        let made = api.post("/accounts", &account).await.expect(201);
        Self::of(api, &made)
    }

    /// The person in a reply to signing up or logging in.
    ///
    /// # Panics
    /// If the reply has no person.
    pub fn of(api: &Api, reply: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let user = &reply["user"];
        let token = text(&reply["token"]);
        Self { id: text(&user["id"]), username: text(&user["username"]), api: api.with_token(&token) }
    }

    /// Logs in once more: the same person on another device.
    pub async fn log_in(&self, api: &Api) -> Self {
        let credentials = json!({"username": self.username, "password": PASSWORD});
        Self::of(api, &api.post("/sessions", &credentials).await.expect(201))
    }

    /// Publishes a small photo with a caption and returns the post.
    pub async fn post_photo(&self, caption: &str) -> Value {
        self.publish(&PhotoPost::of([photo::small()]).caption(caption)).await.expect(201)
    }

    /// Publishes a post.
    pub async fn publish(&self, post: &PhotoPost) -> Reply {
        Reply::to(self.publishing(post)).await
    }

    /// The request that publishes a post, for additions.
    pub fn publishing(&self, post: &PhotoPost) -> RequestBuilder {
        self.request(Method::POST, "/posts").multipart(post.form())
    }

    /// The whole feed, newest first.
    pub async fn feed(&self) -> Vec<Value> {
        self.walk("/feed", 100).await
    }

    /// Follows a person.
    pub async fn follow(&self, them: &Self) {
        self.put(&format!("/users/{}/follow", them.id)).await.expect(204);
    }

    /// Unfollows a person.
    pub async fn unfollow(&self, them: &Self) {
        self.delete(&format!("/users/{}/follow", them.id)).await.expect(204);
    }

    /// Likes a post.
    pub async fn like(&self, post: &Value) {
        let path = format!("/posts/{}/like", post["id"].as_str().unwrap_or_default());
        self.put(&path).await.expect(204);
    }

    /// The same person, with the same token, on another process of the service.
    ///
    /// # Panics
    /// If they have no token.
    pub fn at(&self, other: &Api) -> Self {
        let api = other.with_token(self.token().expect("somebody who has signed up has a token"));
        Self { id: self.id.clone(), username: self.username.clone(), api }
    }

    /// Comments on a post and returns the comment.
    pub async fn comment(&self, post: &Value, text: &str) -> Value {
        let path = format!("/posts/{}/comments", post["id"].as_str().unwrap_or_default());
        self.post(&path, &json!({"text": text})).await.expect(201)
    }

    /// Which of the two databases holds the account: each has half of the logical shards.
    ///
    /// # Panics
    /// If the id is not a number.
    pub fn database(&self) -> usize {
        let id: i64 = self.id.parse().expect("an id is a number");
        usize::from(((id >> 10) & 8191) >= 4096)
    }
}

impl Deref for Person {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl PhotoPost {
    /// A post with these photos.
    pub fn of(photos: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { photos: photos.into_iter().collect(), texts: Vec::new() }
    }

    /// Adds a caption.
    #[must_use]
    pub fn caption(self, caption: &str) -> Self {
        self.text("caption", caption)
    }

    /// Adds another text part.
    #[must_use]
    pub fn text(mut self, name: &'static str, text: &str) -> Self {
        self.texts.push((name, text.to_owned()));
        self
    }

    /// The form to send; each has its own boundary.
    pub fn form(&self) -> Form {
        let with_photos = self.photos.iter().fold(Form::new(), |form, photo| {
            form.part("photo", Part::bytes(photo.clone()).file_name("photo.jpg"))
        });
        self.texts.iter().fold(with_photos, |form, (name, text)| form.text(*name, text.clone()))
    }
}
