//! The address of Redis, parsed from the setting `redis`.

use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{Client, RedisConnectionInfo, RedisResult};
use tokio::sync::Mutex;

use crate::config::credentials::{ENCODE, need_encoding, without_credentials};
use crate::error::{Error, Result};

/// How long to wait for a reply.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long to wait for a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

const FORMS: &str = "write redis://HOST:PORT/DB, rediss://HOST:PORT/DB, redis-cluster://HOST:PORT,HOST:PORT or \
                     redis-sentinel://HOST:PORT,HOST:PORT/MASTER, with ?prefix=TEXT where others share the server";
/// Maximum length of a prefix: a longer one would be most of every key.
const PREFIX_BYTES: usize = 64;

/// How Redis is deployed.
pub(super) enum Topology {
    /// One server.
    Standalone(Client),
    /// Servers that divide the keys among them by slot.
    Cluster {
        client: ClusterClient,
        /// The configured servers; one of them is subscribed to.
        nodes: Vec<Client>,
    },
    /// One of several servers; the sentinels name the master.
    Sentinel(Mutex<SentinelClient>),
}

/// The parsed setting.
pub(super) struct Address {
    pub(super) topology: Topology,
    /// The prefix of every key.
    pub(super) prefix: String,
    /// For log lines: without the password.
    pub(super) redacted: String,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(url, "it has no scheme"))?;
        if need_encoding(url) {
            return Err(wrong(url, ENCODE));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let prefix = prefix(query).map_err(|why| wrong(url, why))?;
        let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err(wrong(url, "an address in it is empty"));
        }
        let at = if user.is_empty() { String::new() } else { format!("{user}@") };
        let nodes = |at: &str, port: u16| -> Vec<String> {
            let with_port = |host: &str| if has_port(host) { String::new() } else { format!(":{port}") };
            hosts.iter().map(|host| format!("redis://{at}{host}{}", with_port(host))).collect()
        };
        let topology = match scheme {
            "redis" | "rediss" if hosts.len() > 1 => return Err(wrong(url, "it has more than one address")),
            "redis" | "rediss" => {
                Client::open(format!("{scheme}://{at}{}/{path}", hosts[0])).map(Topology::Standalone)
            }
            "redis-cluster" if path.is_empty() => cluster(nodes(&at, 6379)),
            "redis-cluster" => return Err(wrong(url, "a cluster has no databases")),
            "redis-sentinel" if path.is_empty() || path.contains('/') => {
                return Err(wrong(url, "the master's name must follow the sentinels' addresses"));
            }
            "redis-sentinel" => {
                sentinel(nodes("", 26379), path, user).map(|client| Topology::Sentinel(Mutex::new(client)))
            }
            _ => return Err(wrong(url, "its scheme is not known")),
        };
        let topology = topology.map_err(|error| wrong(url, "it can't be read").because(error))?;
        Ok(Self { topology, prefix, redacted: redacted(scheme, rest, query) })
    }
}

/// Whether an address ends in a port; a bare IPv6 address has colons of its own.
fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(name, _)| !name.contains(':') || name.ends_with(']'))
}

fn cluster(urls: Vec<String>) -> RedisResult<Topology> {
    // One retry, for a key that has moved. While a node is down, its keys fail at once.
    let nodes = urls.iter().map(|url| Client::open(url.as_str())).collect::<RedisResult<_>>()?;
    let builder = ClusterClientBuilder::new(urls).retries(1).min_retry_wait(5).max_retry_wait(50);
    let client = builder.connection_timeout(CONNECT_TIMEOUT).response_timeout(RESPONSE_TIMEOUT).build()?;
    Ok(Topology::Cluster { client, nodes })
}

fn sentinel(sentinels: Vec<String>, master: &str, user: &str) -> RedisResult<SentinelClient> {
    let mut settings = RedisConnectionInfo::default();
    if let Some((name, password)) = user.split_once(':') {
        settings = settings.set_password(password);
        if !name.is_empty() {
            settings = settings.set_username(name);
        }
    }
    let node = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
    SentinelClient::build(sentinels, master, Some(node), SentinelServerType::Master)
}

fn prefix(query: &str) -> Result<String, &'static str> {
    if query.is_empty() {
        return Ok(String::new());
    }
    let prefix = query.strip_prefix("prefix=").ok_or("its only parameter is prefix")?;
    // Braces would put all keys into one slot of a cluster.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if prefix.is_empty() || prefix.len() > PREFIX_BYTES || !prefix.chars().all(plain) {
        return Err("its prefix must be 1 to 64 letters, digits, or any of - _ . :");
    }
    Ok(prefix.to_owned())
}

fn wrong(url: &str, why: &str) -> Error {
    Error::configuration(format!(
        "the setting redis (TRIPOD_REDIS) is \"{}\", and {why}: {FORMS}",
        without_credentials(url)
    ))
}

/// The address without user name and password, which are not needed to tell one from another.
fn redacted(scheme: &str, rest: &str, query: &str) -> String {
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    format!("{scheme}://{rest}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (url, is, prefix) in [
            ("redis://127.0.0.1:6379/3", "standalone", ""),
            ("redis://:secret@cache?prefix=club:", "standalone", "club:"),
            ("rediss://cache.example:6380", "standalone", ""),
            ("redis-cluster://a:1,b:2,c", "cluster", ""),
            ("redis-cluster://user:secret@a:1?prefix=x", "cluster", "x"),
            ("redis-sentinel://a:1,b/main", "sentinel", ""),
            ("redis-sentinel://:secret@[::1]:26379/main?prefix=x", "sentinel", "x"),
        ] {
            let address = Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let topology = match address.topology {
                Topology::Standalone(_) => "standalone",
                Topology::Cluster { .. } => "cluster",
                Topology::Sentinel(_) => "sentinel",
            };
            assert_eq!((topology, address.prefix.as_str()), (is, prefix), "{url}");
            assert!(!address.redacted.contains("secret"), "{}", address.redacted);
        }
    }

    #[test]
    fn a_wrong_address_says_how_to_write_it_and_keeps_the_password() {
        for url in [
            "localhost:6379",
            "http://:secret@localhost",
            "redis://",
            "redis://a:1,b:2",
            "redis://a:1/three",
            "redis://:secret@a:1?db=3",
            "redis://a:1?prefix={x}",
            "redis://:secret@/secret@a:1",
            "redis://:secret?secret@a:1",
            "redis://:secret",
            "redis-cluster://a:1/3",
            "redis-cluster://a:1,,b:2",
            "redis-sentinel://a:1",
            "redis-sentinel://a:1/",
        ] {
            let error = Address::parse(url).map(|_| ()).expect_err(url);
            let text = error.chain();
            assert!(error.is_configuration() && text.contains("TRIPOD_REDIS"), "{text}");
            assert!(text.contains("redis-sentinel://HOST:PORT") && !text.contains("secret"), "{text}");
        }
    }
}
