//! People of tests: each stands in one relation to the person whose things the tests look at.

use axum::body::Body;
use axum::http::Method;
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tripod::id::{Id, Shard};

use tripod::testing::{TestApp, TestClient, TestReply, sample_photo};
use tripod::web::PasswordHash;

use crate::accounts;
use crate::entity::{AccountId, account, credential};

/// Whoever may look at someone's things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Anonymous,
    Stranger,
    /// The owner blocks them.
    Blocked,
    /// They block the owner.
    Blocking,
    /// They have asked to follow the owner, if the owner is private.
    Requester,
    Follower,
    /// They followed the owner, who has removed them.
    Removed,
    /// They follow the owner, who counts them among their close friends.
    Close,
    Owner,
    /// Their account is deleted; the token is still known.
    Deleted,
    /// Their account is suspended; the token is still known.
    Suspended,
}

impl Role {
    /// All roles; the owner's own requests come after those of everyone who has an account.
    pub const ALL: [Self; 11] = [
        Self::Anonymous,
        Self::Stranger,
        Self::Blocked,
        Self::Blocking,
        Self::Requester,
        Self::Follower,
        Self::Removed,
        Self::Close,
        Self::Owner,
        Self::Deleted,
        Self::Suspended,
    ];
}

/// A person with an account.
pub struct Someone {
    pub id: AccountId,
    pub name: String,
    pub client: TestClient,
}

/// Makes an account that is logged in, without the sign-up, which takes long because of its password.
pub async fn someone(app: &TestApp, name: &str) -> Someone {
    let row = account::ActiveModel {
        username: Set(name.to_owned()),
        full_name: Set(format!("{name} the person")),
        bio: Set(String::new()),
        avatar: Set(None),
        post_count: Set(0),
        is_private: Set(false),
        suspended: Set(false),
        ..Default::default()
    };
    let credential =
        credential::ActiveModel { email: Set(None), sign_up_key: Set(None), ..Default::default() };
    let hash = async || app.app().passwords.hash(PASSWORD.to_owned()).await.unwrap();
    let password = HASH.get_or_init(hash).await.clone();
    let claimed = name.to_owned();
    let made = app.app().write(Shard::of_text(name), move |tx| async move {
        let id = accounts::claim(&tx, &claimed, row, credential, password).await?;
        Ok((id, tx.open_session(id, "test").await?))
    });
    let (id, token) = made.await.unwrap();
    Someone { id, name: name.to_owned(), client: app.signed_in(&token) }
}

/// The hash of everyone's password.
static HASH: OnceCell<PasswordHash> = OnceCell::const_new();

/// The password of everyone.
pub const PASSWORD: &str = "correct horse battery";

impl Someone {
    /// Publishes a photo, and returns the post's id.
    pub async fn publish(&self, fields: &[(&str, &str)]) -> String {
        let photo = sample_photo();
        let mut parts = vec![("photo", Some("a.png"), photo.as_slice())];
        parts.extend(fields.iter().map(|(name, value)| (*name, None, value.as_bytes())));
        let post = self.client.post_multipart("/api/v1/posts", &parts).await.expect(201).json();
        text(&post["id"])
    }

    /// `PUT` of one of the API's relations.
    pub async fn put(&self, path: &str) {
        self.client.put(&format!("/api/v1{path}")).await.expect(204);
    }

    /// `DELETE` of one of the API's relations.
    pub async fn delete(&self, path: &str) {
        self.client.delete(&format!("/api/v1{path}")).await.expect(204);
    }

    /// A read of the API.
    pub async fn get(&self, path: &str) -> TestReply {
        self.client.get(&format!("/api/v1{path}")).await
    }

    /// The items of a list.
    pub async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await.expect(200).json()["items"].as_array().unwrap().clone()
    }

    /// Comments on a post, and returns the comment's id.
    pub async fn comment(&self, post: &str, words: &str) -> String {
        let path = format!("/api/v1/posts/{post}/comments");
        text(&self.client.post(&path, &json!({"text": words})).await.expect(201).json()["id"])
    }
}

/// A JSON string.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// An owner with their things, and one person of each role.
pub struct World {
    pub owner: Someone,
    others: Vec<(Role, Someone)>,
    anonymous: TestClient,
    /// A post that is for everyone who may see the owner's posts.
    pub post: String,
    /// A post for close friends.
    pub close_post: String,
    /// The owner's comment on the first post.
    pub comment: String,
}

impl World {
    /// A new world in the app, whose names begin with `name`.
    pub async fn new(app: &TestApp, name: &str, is_private: bool) -> Self {
        let owner = someone(app, &format!("{name}.owner")).await;
        let post = owner.publish(&[("caption", "for everyone #everyone")]).await;
        let close_post =
            owner.publish(&[("caption", "for friends #friends"), ("audience", "close_friends")]).await;
        let comment = owner.comment(&post, "my own words").await;
        let reply = json!({"text": "and more", "parent_id": comment});
        owner.client.post(&format!("/api/v1/posts/{post}/comments"), &reply).await.expect(201);
        owner.comment(&close_post, "for you").await;
        for likes in [&post, &close_post] {
            owner.put(&format!("/posts/{likes}/like")).await;
            owner.put(&format!("/posts/{likes}/save")).await;
        }
        let mut others = Vec::new();
        for role in Role::ALL {
            if !matches!(role, Role::Anonymous | Role::Owner) {
                let other = someone(app, &format!("{name}.{role:?}").to_lowercase()).await;
                others.push((role, other));
            }
        }
        let me = format!("/users/{}", owner.id);
        for (role, other) in &others {
            match role {
                Role::Follower | Role::Removed | Role::Close => other.put(&format!("{me}/follow")).await,
                Role::Blocking => other.put(&format!("{me}/block")).await,
                Role::Blocked => owner.put(&format!("/users/{}/block", other.id)).await,
                Role::Deleted => other.delete("/me").await,
                Role::Suspended => accounts::suspend(app.app(), other.id, true).await.unwrap(),
                _ => {}
            }
            match role {
                Role::Removed => owner.delete(&format!("/me/followers/{}", other.id)).await,
                Role::Close => owner.put(&format!("/me/close-friends/{}", other.id)).await,
                _ => {}
            }
        }
        if is_private {
            owner.client.patch("/api/v1/me", &json!({"is_private": true})).await.expect(200);
        }
        let requester = others.iter().find(|(role, _)| *role == Role::Requester);
        requester.unwrap().1.put(&format!("{me}/follow")).await;
        if !is_private {
            requester.unwrap().1.delete(&format!("{me}/follow")).await;
        }
        app.run_jobs().await;
        Self { owner, others, anonymous: app.client(), post, close_post, comment }
    }

    /// The client of a role.
    pub fn client(&self, role: Role) -> &TestClient {
        match role {
            Role::Anonymous => &self.anonymous,
            Role::Owner => &self.owner.client,
            _ => &self.person(role).client,
        }
    }

    /// The person of a role.
    pub fn person(&self, role: Role) -> &Someone {
        let found = self.others.iter().find(|(is, _)| *is == role);
        found.map_or(&self.owner, |(_, person)| person)
    }
}

/// Sends a request with a JSON body, if there is one.
pub async fn send(client: &TestClient, method: &Method, path: &str, body: Option<&Value>) -> TestReply {
    let (kind, body) = match body {
        Some(json) => (Some("application/json"), Body::from(json.to_string())),
        None => (None, Body::empty()),
    };
    client.send(method.clone(), path, kind, body).await
}

/// An id that belongs to nothing.
pub fn no_id(app: &TestApp, near: AccountId) -> String {
    let id: Id<()> = app.app().shards.generate_id(near.shard()).unwrap();
    id.to_string()
}
