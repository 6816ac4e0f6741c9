//! The authorization table: what each kind of viewer gets from each operation of the API, when it is asked
//! about the things of an owner whose account is public or private.
//!
//! The operations are those of the OpenAPI document: one without a row fails the test. `seen` is a success
//! whose body has the owner's name in it, `none` a success without it, and a number is any other status, or
//! a success without a body.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tripod::testing::{TestApp, TestReply, sample_photo};

use super::people::{PASSWORD, Role, World, no_id, send};

/// A rule for some operations: by the owner's account, what each role gets, in the order of [`Role::ALL`].
struct Rule {
    operations: &'static str,
    public: &'static str,
    private: &'static str,
}

/// anonymous, stranger, blocked, blocking, requester, follower, removed, close friend, owner, deleted,
/// suspended
const RULES: &[Rule] = &[
    // The owner's account.
    Rule {
        operations: "getUser findUser",
        public: "seen seen 404 404 seen seen seen seen seen 401 401",
        private: "seen seen 404 404 seen seen seen seen seen 401 401",
    },
    // A post of the owner, and what is about it.
    Rule {
        operations: "getPost listPostLikes listComments listReplies",
        public: "seen seen 404 404 seen seen seen seen seen 401 401",
        private: "404 404 404 404 404 seen 404 seen seen 401 401",
    },
    Rule {
        operations: "likePost unlikePost savePost unsavePost likeComment unlikeComment",
        public: "401 204 404 404 204 204 204 204 204 401 401",
        private: "401 404 404 404 404 204 404 204 204 401 401",
    },
    Rule {
        operations: "createComment",
        public: "401 none 404 404 none none none none seen 401 401",
        private: "401 404 404 404 404 none 404 none seen 401 401",
    },
    Rule {
        operations: "updatePost",
        public: "401 403 404 404 403 403 403 403 seen 401 401",
        private: "401 404 404 404 404 403 404 403 seen 401 401",
    },
    Rule {
        operations: "deletePost deleteComment",
        public: "401 403 404 404 403 403 403 403 204 401 401",
        private: "401 404 404 404 404 403 404 403 204 401 401",
    },
    // The owner's lists. Those of a private account look empty.
    Rule {
        operations: "listUserPosts",
        public: "seen seen 404 404 seen seen seen seen seen 401 401",
        private: "none none 404 404 none seen none seen seen 401 401",
    },
    Rule {
        operations: "listFollowers",
        public: "none none 404 404 none none none none none 401 401",
        private: "none none 404 404 none none none none none 401 401",
    },
    Rule {
        operations: "listFollowing",
        public: "none none 404 404 none none none none none 401 401",
        private: "none none 404 404 none none none none none 401 401",
    },
    // Lists of everyone's things.
    Rule {
        operations: "getExplore listTagPosts",
        public: "seen seen none none seen seen seen seen seen 401 401",
        private: "none none none none none seen none seen seen 401 401",
    },
    Rule {
        operations: "getFeed",
        public: "401 none none none none seen none seen seen 401 401",
        private: "401 none none none none seen none seen seen 401 401",
    },
    // People and tags. A tag has nobody's name in it.
    Rule {
        operations: "search",
        public: "seen seen none none seen seen seen seen seen 401 401",
        private: "seen seen none none seen seen seen seen seen 401 401",
    },
    Rule {
        operations: "findTags listRisingTags",
        public: "none none none none none none none none none 401 401",
        private: "none none none none none none none none none 401 401",
    },
    // Relations to the owner; the owner's own requests are about the requester.
    Rule {
        operations: "followUser unfollowUser",
        public: "401 204 404 404 204 204 204 204 204 401 401",
        private: "401 204 404 404 204 204 204 204 204 401 401",
    },
    Rule {
        operations: "blockUser unblockUser muteUser unmuteUser",
        public: "401 204 204 204 204 204 204 204 204 401 401",
        private: "401 204 204 204 204 204 204 204 204 401 401",
    },
    Rule {
        operations: "addCloseFriend removeCloseFriend",
        public: "401 204 404 404 204 204 204 204 204 401 401",
        private: "401 204 404 404 204 204 204 204 204 401 401",
    },
    Rule {
        operations: "acceptFollowRequest",
        public: "401 404 404 404 404 404 404 404 404 401 401",
        private: "401 404 404 404 404 404 404 404 204 401 401",
    },
    Rule {
        operations: "declineFollowRequest removeFollower",
        public: "401 204 204 204 204 204 204 204 204 401 401",
        private: "401 204 204 204 204 204 204 204 204 401 401",
    },
    // One's own things, in which the owner's name is not.
    Rule {
        operations: "listSessions listSavedPosts listMutes listCloseFriends listFollowRequests",
        public: "401 none none none none none none none own 401 401",
        private: "401 none none none none none none none own 401 401",
    },
    // Those who block the owner can see whom to unblock.
    Rule {
        operations: "listBlocks",
        public: "401 none none seen none none none none none 401 401",
        private: "401 none none seen none none none none none 401 401",
    },
    Rule {
        operations: "getMe updateMe setAvatar createPost",
        public: "401 none none none none none none none seen 401 401",
        private: "401 none none none none none none none seen 401 401",
    },
    Rule {
        operations: "changePassword deleteMe logOut",
        public: "401 204 204 204 204 204 204 204 204 401 401",
        private: "401 204 204 204 204 204 204 204 204 401 401",
    },
    // A session of someone else.
    Rule {
        operations: "closeSession",
        public: "401 404 404 404 404 404 404 404 404 401 401",
        private: "401 404 404 404 404 404 404 404 404 401 401",
    },
    // Whoever knows the owner's name and password.
    Rule {
        operations: "signUp",
        public: "409 409 409 409 409 409 409 409 409 401 401",
        private: "409 409 409 409 409 409 409 409 409 401 401",
    },
    Rule {
        operations: "logIn",
        public: "seen seen seen seen seen seen seen seen seen 401 401",
        private: "seen seen seen seen seen seen seen seen seen 401 401",
    },
];

/// What each role gets of a post for close friends, by what it gets of one for everyone: what nobody but
/// close friends and the owner knows of looks as if it did not exist.
fn of_close_post(role: Role, usual: &str) -> &str {
    match (role, usual) {
        (Role::Close | Role::Owner, usual) | (_, usual @ "401") => usual,
        _ => "404",
    }
}

/// An operation of the API.
struct Operation {
    id: String,
    method: Method,
    path: String,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse() else { continue };
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            operations.push(Operation { id, method, path: path.clone() });
        }
    }
    operations
}

/// The request of an operation about the owner's things, and its reply.
async fn ask(app: &TestApp, world: &World, role: Role, operation: &Operation, post: &str) -> TestReply {
    let owner = &world.owner;
    let them = if role == Role::Owner { world.person(Role::Requester).id } else { owner.id };
    let path = match operation.path.as_str() {
        path if path.contains("/users/{id}") && operation.method == Method::GET => {
            path.replace("{id}", &owner.id.to_string())
        }
        path if path.contains("/users/{id}") => path.replace("{id}", &them.to_string()),
        path if path.contains("/posts/{id}") => path.replace("{id}", post),
        path if path.contains("/comments/{id}") => path.replace("{id}", &world.comment),
        path if path.contains("/sessions/{id}") => path.replace("{id}", &no_id(app, owner.id)),
        path if path.contains("/tags/{tag}") => path.replace("{tag}", "everyone"),
        path if path.contains("/me/") => path.replace("{user_id}", &them.to_string()),
        path => path.to_owned(),
    };
    let query = match operation.id.as_str() {
        "findUser" => format!("?username={}", owner.name),
        "getExplore" | "listTagPosts" => "?limit=100".to_owned(),
        "search" => format!("?q={}", owner.name),
        "findTags" => "?q=everyone".to_owned(),
        _ => String::new(),
    };
    assert!(!path.contains('{'), "what {} is about is not known here", operation.id);
    let client = world.client(role);
    let address = format!("{path}{query}");
    let photo = sample_photo();
    let body = match operation.id.as_str() {
        "createPost" => {
            return client.post_multipart(&address, &[("photo", Some("a.png"), photo.as_slice())]).await;
        }
        "setAvatar" => return client.send(Method::PUT, &address, Some("image/png"), Body::from(photo)).await,
        "signUp" => Some(json!({"username": owner.name, "password": "another password"})),
        "logIn" => Some(json!({"username": owner.name, "password": PASSWORD})),
        "changePassword" => Some(json!({"current": PASSWORD, "new": "another password"})),
        "createComment" => Some(json!({"text": "words"})),
        "updatePost" => Some(json!({"caption": "changed"})),
        "updateMe" => Some(json!({"bio": "changed"})),
        _ => None,
    };
    send(client, &operation.method, &address, body.as_ref()).await
}

/// The reply in a word, as in the table.
fn outcome(reply: &TestReply, name: &str) -> String {
    match reply.status {
        StatusCode::NO_CONTENT => "204".to_owned(),
        status if !status.is_success() => status.as_u16().to_string(),
        _ if reply.text().contains(&format!("\"{name}\"")) => "seen".to_owned(),
        _ => "none".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_answers_each_viewer_as_the_table_says() {
    let app = TestApp::start(crate::app()).await;
    let document = app.client().get("/openapi.json").await.expect(200).json();
    let operations = operations(&document);
    let listed: Vec<&str> = RULES.iter().flat_map(|rule| rule.operations.split(' ')).collect();
    for id in &listed {
        assert!(operations.iter().any(|operation| operation.id == *id), "{id} is no operation");
        assert_eq!(listed.iter().filter(|other| *other == id).count(), 1, "{id} is listed twice");
    }
    let mut wrong = Vec::new();
    // Reads share one: they change nothing.
    let shared = [World::new(&app, "public", false).await, World::new(&app, "private", true).await];
    for (number, operation) in operations.iter().enumerate() {
        let rule = RULES.iter().find(|rule| rule.operations.split(' ').any(|id| id == operation.id));
        let Some(rule) = rule else {
            wrong.push(format!("{} {} has no row: {}", operation.method, operation.path, operation.id));
            continue;
        };
        for (kind, is_private, expected) in [("public", false, rule.public), ("private", true, rule.private)]
        {
            let own;
            let world = match operation.method == Method::GET {
                true => &shared[usize::from(is_private)],
                // What one operation changes must not show in another.
                false => {
                    own = World::new(&app, &format!("{kind}{number}"), is_private).await;
                    &own
                }
            };
            let expected: Vec<&str> = expected.split(' ').collect();
            assert_eq!(expected.len(), Role::ALL.len(), "{}", rule.operations);
            for is_close in [true, false] {
                if is_close && !operation.path.contains("/posts/{id}") {
                    continue;
                }
                let post = if is_close { &world.close_post } else { &world.post };
                for (role, usual) in Role::ALL.into_iter().zip(&expected) {
                    let wanted = if is_close { of_close_post(role, usual) } else { usual };
                    let reply = ask(&app, world, role, operation, post).await;
                    let got = outcome(&reply, &world.owner.name);
                    // Whether the owner's own lists name the owner is not a matter of access.
                    let is_right = got == wanted || wanted == "own" && ["seen", "none"].contains(&&*got);
                    if !is_right {
                        let of = if is_close { ", close friends'" } else { "" };
                        wrong.push(format!("{} ({kind}{of}) {role:?}: {got}, not {wanted}", operation.id));
                    }
                }
            }
        }
    }
    app.run_jobs().await;
    assert!(wrong.is_empty(), "{} mismatches:\n{}", wrong.len(), wrong.join("\n"));
}

/// Reads of what is hidden and of what does not exist differ in nothing but the id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hidden_looks_as_if_it_did_not_exist() {
    let app = TestApp::start(crate::app()).await;
    let world = World::new(&app, "twin", true).await;
    let nothing = no_id(&app, world.owner.id);
    let hidden = [
        ("/posts/{}", &world.post),
        ("/posts/{}", &world.close_post),
        ("/posts/{}/likes", &world.post),
        ("/posts/{}/comments", &world.post),
    ];
    let account = world.owner.id.to_string();
    let of_account =
        [("/users/{}", &account), ("/users/{}/posts", &account), ("/users/{}/followers", &account)];
    for (role, cases) in [
        (Role::Anonymous, hidden.as_slice()),
        (Role::Stranger, hidden.as_slice()),
        (Role::Requester, hidden.as_slice()),
        (Role::Removed, hidden.as_slice()),
        (Role::Blocked, hidden.as_slice()),
        (Role::Blocked, of_account.as_slice()),
        (Role::Blocking, of_account.as_slice()),
    ] {
        for (path, id) in cases {
            let mut replies = Vec::new();
            for id in [*id, &nothing] {
                let path = format!("/api/v1{}", path.replace("{}", id));
                let reply = world.client(role).get(&path).await;
                let headers = reply.headers.iter().filter(|(name, _)| *name != "x-request-id");
                let mut headers: Vec<String> =
                    headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
                headers.sort();
                replies.push((reply.status, headers, reply.text().replace(id.as_str(), "ID")));
            }
            assert_eq!(replies[0], replies[1], "{role:?} {path}");
        }
    }
}
