//! Passwords: the right one opens a session, and no session outlives its password.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{join, join_all};

use crate::conformance::{Author, Stores};
use crate::error::Result;
use crate::id::Id;
use crate::web::{ClientInfo, PasswordChange, PasswordHash, Passwords, RateLimits, SignedIn};

const PASSWORD: &str = "correct horse";

fn passwords(stores: &Stores, is_limited: bool) -> Passwords {
    let limits = RateLimits::new(is_limited, None);
    Passwords::new(stores.shards.clone(), stores.sessions.clone(), limits).unwrap()
}

/// An author with a password.
async fn member(stores: &Stores, passwords: &Passwords) -> Id<Author> {
    let author = stores.author("member").await;
    let hash = passwords.hash(PASSWORD.to_owned()).await.unwrap();
    stores.shards.write(author, move |tx| async move { tx.set_password(author, hash).await }).await.unwrap();
    author
}

fn client(last_byte: u8) -> ClientInfo {
    ClientInfo { address: [10, 0, 0, last_byte].into(), known_device: None, device: "a phone".to_owned() }
}

async fn log_in(passwords: &Passwords, account: Id<Author>, password: &str) -> Result<String> {
    let opened = passwords.log_in(client(1), "member", Some(account), password.to_owned()).await;
    opened.map(|opened| opened.token)
}

async fn is_open(stores: &Stores, token: &str) -> bool {
    stores.sessions.find(token).await.unwrap().is_some()
}

/// The results of all, of which so few run at once that none is refused for that.
async fn few_at_once<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures::stream::iter(all).buffered(8).collect().await
}

/// A log-in opens a session; a wrong password and an unknown name get the same response.
pub async fn only_the_right_password_opens_a_session(stores: &Stores) {
    let passwords = passwords(stores, false);
    let (rose, ivy) = super::on_two_databases(stores).await;
    let member = member(stores, &passwords).await;
    let token = log_in(&passwords, member, PASSWORD).await.unwrap();
    let session = stores.sessions.find(&token).await.unwrap().expect("it is open");
    assert_eq!((session.account, session.device.as_str()), (member.raw(), "a phone"));
    for (account, password) in
        [(Some(member), "wrong"), (Some(rose), PASSWORD), (Some(ivy), ""), (None, PASSWORD)]
    {
        let refused = passwords.log_in(client(1), "name", account, password.to_owned()).await.unwrap_err();
        assert!(refused.is_unauthenticated(), "{refused}");
        assert_eq!(refused.to_string(), "The name or the password is wrong.");
    }
    let hash = passwords.hash(PASSWORD.to_owned()).await.unwrap();
    let astray = stores.shards.write(rose, move |tx| async move { tx.set_password(ivy, hash).await }).await;
    assert!(astray.unwrap_err().is_internal(), "a password was stored on another shard than its account's");
}

/// Attempts are limited on one name from one network and from many, and from one network on many names.
pub async fn attempts_are_limited_by_name_and_by_network(stores: &Stores) {
    let passwords = passwords(stores, true);
    let attempt = async |network: u8, name: &str| {
        passwords.log_in::<Author>(client(network), name, None, "x".to_owned()).await.unwrap_err()
    };
    for n in 0..20 {
        assert!(attempt(1, "rose").await.is_unauthenticated(), "{n}");
    }
    assert!(attempt(1, "rose").await.is_limited());
    for network in 2..82 {
        assert!(attempt(network, "rose").await.is_unauthenticated(), "{network}");
    }
    assert!(attempt(82, "rose").await.is_limited(), "a hundred guesses from everywhere");
    let names: Vec<String> = (0..60).map(|n| format!("name {n}")).collect();
    let refused = few_at_once(names.iter().map(|name| attempt(100, name))).await;
    assert!(refused.iter().all(|error| error.is_unauthenticated()), "{refused:?}");
    assert!(attempt(100, "another").await.is_limited());
    assert!(attempt(101, "another").await.is_unauthenticated());
}

/// Whatever others guess, the owner logs in from a device or a network where they have done so before.
pub async fn guesses_of_others_do_not_lock_the_owner_out(stores: &Stores) {
    let passwords = passwords(stores, true);
    let member = member(stores, &passwords).await;
    let log_in = async |client: ClientInfo, password: &str| {
        passwords.log_in(client, "member", Some(member), password.to_owned()).await
    };
    let device = log_in(client(1), PASSWORD).await.unwrap().device;
    let guesses = (2..200).map(|network| log_in(client(network), "a wrong guess"));
    let refused = few_at_once(guesses).await;
    let tried = refused.iter().filter(|guess| guess.as_ref().unwrap_err().is_unauthenticated()).count();
    assert_eq!(tried, 99, "guesses from everywhere are bounded, with the first log-in");
    assert!(log_in(client(200), PASSWORD).await.unwrap_err().is_limited(), "also for the right password");
    log_in(client(1), PASSWORD).await.unwrap();
    for _ in 0..20 {
        // Others on the owner's own network.
        let _refused = log_in(client(1), "a wrong guess").await.unwrap_err();
    }
    assert!(log_in(client(1), PASSWORD).await.unwrap_err().is_limited());
    for network in [1, 201] {
        let known = ClientInfo { known_device: Some(device.clone()), ..client(network) };
        log_in(known, PASSWORD).await.unwrap();
    }
    let other = ClientInfo { known_device: Some("made up".to_owned()), ..client(202) };
    assert!(log_in(other, PASSWORD).await.unwrap_err().is_limited());
    // A device is known for a while.
    stores.clock.advance(Duration::from_secs(100 * 24 * 3_600));
    let known = ClientInfo { known_device: Some(device), ..client(203) };
    assert!(log_in(known, PASSWORD).await.unwrap_err().is_limited(), "a device is known for ever");
}

/// A password is the same however its characters are composed; a hash of the text as it was typed, from
/// before passwords were normalized, is replaced at the next log-in.
pub async fn a_password_does_not_depend_on_the_keyboard(stores: &Stores) {
    let passwords = passwords(stores, false);
    let member = member(stores, &passwords).await;
    let (composed, apart) = ("caf\u{e9} au\u{a0}lait", "cafe\u{301} au lait");
    let set = async |hash: PasswordHash| {
        let set = stores.shards.write(member, move |tx| async move { tx.set_password(member, hash).await });
        set.await.unwrap();
    };
    for (chosen, typed) in [(composed, apart), (apart, composed)] {
        set(passwords.hash(chosen.to_owned()).await.unwrap()).await;
        log_in(&passwords, member, typed).await.unwrap();
        log_in(&passwords, member, chosen).await.unwrap();
        assert!(log_in(&passwords, member, "cafe au lait").await.unwrap_err().is_unauthenticated());
    }
    set(passwords.hash_as_typed(apart.to_owned()).await.unwrap()).await;
    assert!(log_in(&passwords, member, composed).await.unwrap_err().is_unauthenticated());
    // Both at once: the second finds the hash replaced.
    for logged_in in join_all((0..2).map(|_| log_in(&passwords, member, apart))).await {
        logged_in.unwrap();
    }
    log_in(&passwords, member, composed).await.unwrap();
}

/// After a change of password only the device that made it is still signed in.
pub async fn a_changed_password_closes_the_other_sessions(stores: &Stores) {
    let passwords = passwords(stores, false);
    let member = member(stores, &passwords).await;
    let phone = log_in(&passwords, member, PASSWORD).await.unwrap();
    let laptop = log_in(&passwords, member, PASSWORD).await.unwrap();
    let me = SignedIn(stores.sessions.find(&phone).await.unwrap().expect("it is open"));
    let change = async |current: &str, new: &str| {
        let change = PasswordChange { current: current.to_owned(), new: new.to_owned() };
        passwords.change(&me, change).await
    };
    for (current, new, field) in [("wrong", "battery staple", "current"), (PASSWORD, "short", "new")] {
        let refused = change(current, new).await.unwrap_err();
        assert!(refused.is_invalid() && refused.fields()[0].field == field, "{refused}");
    }
    assert!(is_open(stores, &phone).await && is_open(stores, &laptop).await);
    change(PASSWORD, "battery staple").await.unwrap();
    assert!(is_open(stores, &phone).await && !is_open(stores, &laptop).await);
    assert!(log_in(&passwords, member, PASSWORD).await.unwrap_err().is_unauthenticated());
    log_in(&passwords, member, "battery staple").await.unwrap();
}

/// If a password is deleted while log-ins check it, none of their sessions is open afterwards.
pub async fn a_log_in_that_comes_too_late_leaves_no_session(stores: &Stores) {
    let passwords = passwords(stores, false);
    let member = member(stores, &passwords).await;
    let delete = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stores.shards.write(member, move |tx| async move { tx.delete_password(member).await }).await.unwrap();
    };
    let log_ins = join_all((0..20).map(|_| log_in(&passwords, member, PASSWORD)));
    let (opened, ()) = join(log_ins, delete).await;
    for token in opened.into_iter().flatten() {
        assert!(!is_open(stores, &token).await, "a session outlived its password");
    }
    assert_eq!(stores.sessions.list(member.raw()).await.unwrap(), []);
    assert!(log_in(&passwords, member, PASSWORD).await.unwrap_err().is_unauthenticated());
}
