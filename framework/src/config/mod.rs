//! Settings: built-in defaults, then `tripod.toml`, then the environment.
//!
//! `default.toml` is the reference: any other key is an error that names the key, its source and the
//! nearest valid key. `config` opens nothing and connects to nothing.

pub(crate) mod credentials;
mod effective;
mod layers;
mod network;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use credentials::without_credentials;
use layers::Layers;
pub use network::Network;

/// The default settings, with a comment on each.
pub const DEFAULTS: &str = include_str!("default.toml");

/// All settings, checked. [`DEFAULTS`] documents the fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents them, for people who run apps too")]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub databases: Vec<String>,
    pub redis: String,
    pub media: String,
    pub public_url: String,
    pub limits: bool,
    pub trust_clock: bool,
    pub trusted_proxies: Vec<Network>,
    pub proxy_protocol: bool,
    pub log: String,
    pub http: Http,
    pub database: Database,
    pub cache: Cache,
    pub timeline: Timeline,
    pub queue: Queue,
    pub uploads: Uploads,
    /// The app's own section, which only the app interprets.
    #[serde(default)]
    pub app: toml::Table,
}

/// `[http]`: timeouts and limits of the server, and CORS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents them")]
pub struct Http {
    pub header_seconds: u32,
    pub body_grace_seconds: u32,
    pub body_min_bytes_per_second: u32,
    pub write_seconds: u32,
    pub response_seconds: u32,
    pub connections: u32,
    pub connections_per_address: u32,
    pub handlers: u32,
    pub unsent_bytes: u64,
    pub drain_seconds: u32,
    pub cors_origins: Vec<String>,
}

/// `[database]`: connections to each database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents them")]
pub struct Database {
    pub readers: u32,
    pub connections: u32,
    pub wait_seconds: u32,
    pub statement_seconds: u32,
}

/// `[cache]`: the cache in this process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents them")]
pub struct Cache {
    pub memory_bytes: u64,
    pub value_bytes: u32,
}

/// `[timeline]`: how much of each timeline is kept ready.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents them")]
pub struct Timeline {
    pub length: u32,
    pub pull_above: u32,
    pub cache_bytes: u64,
}

/// `[queue]`: the job workers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents them")]
pub struct Queue {
    pub workers: u32,
    pub lease_seconds: u32,
}

/// `[uploads]`: uploaded files whose row has not committed yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents them")]
pub struct Uploads {
    pub arriving_bytes: u64,
    pub memory_bytes: u64,
    pub abandoned_seconds: u32,
}

impl Config {
    /// Reads the three layers. `file` must exist if given; otherwise `tripod.toml` in the working
    /// directory is read if it exists.
    ///
    /// # Errors
    /// Configuration, naming the key, its source and the fix.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        Self::of_layers(read_layers(file)?)
    }

    /// The settings in effect, as the text of [`DEFAULTS`] with their values, and the source of each that
    /// is not the default. Passwords are masked.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn effective(file: Option<&Path>) -> Result<String> {
        let layers = read_layers(file)?;
        let text = effective::text(&layers);
        Self::of_layers(layers).map(|_| text)
    }

    /// The defaults with these environment variables merged over them, without a file; for tests.
    ///
    /// # Errors
    /// As for [`Self::load`].
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of_environment(
        environment: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self> {
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self::of_layers(layers::merge(layers::defaults()?, None, environment)?)
    }

    /// The section `[app]`, as the app's own type.
    ///
    /// # Errors
    /// Configuration, naming the key.
    pub fn app_section<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_path_to_error::deserialize(toml::Value::Table(self.app.clone())).map_err(|error| {
            let path = format!("app.{}", error.path());
            let variable = layers::variable(&path);
            Error::configuration(format!("{path} (or {variable}): {}", error.inner().message()))
        })
    }

    fn of_layers(layers: Layers) -> Result<Self> {
        let table = toml::Value::Table(layers.table);
        let config: Self = serde_path_to_error::deserialize(table).map_err(|error| {
            let path = error.path().to_string();
            let variable = layers::variable(&path);
            Error::configuration(format!("{path} (or {variable}): {}", error.inner().message()))
        })?;
        config.check()
    }

    fn check(self) -> Result<Self> {
        let positive = [
            ("http.header_seconds", self.http.header_seconds),
            ("http.body_grace_seconds", self.http.body_grace_seconds),
            ("http.write_seconds", self.http.write_seconds),
            ("http.response_seconds", self.http.response_seconds),
            ("http.connections", self.http.connections),
            ("http.connections_per_address", self.http.connections_per_address),
            ("http.handlers", self.http.handlers),
            ("database.readers", self.database.readers),
            ("database.connections", self.database.connections),
            ("database.wait_seconds", self.database.wait_seconds),
            ("database.statement_seconds", self.database.statement_seconds),
            ("timeline.length", self.timeline.length),
            ("queue.workers", self.queue.workers),
            ("uploads.abandoned_seconds", self.uploads.abandoned_seconds),
            ("queue.lease_seconds", self.queue.lease_seconds),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::configuration(format!("{key} is 0; set it to 1 or more")));
        }
        let bytes = [
            ("http.unsent_bytes", self.http.unsent_bytes, 1 << 20),
            ("uploads.arriving_bytes", self.uploads.arriving_bytes, 1 << 28),
            ("uploads.memory_bytes", self.uploads.memory_bytes, 1 << 28),
        ];
        if let Some((key, _, least)) = bytes.iter().find(|(_, value, least)| value < least) {
            return Err(Error::configuration(format!("{key} is too small; set it to {least} or more")));
        }
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err(Error::configuration(
                "proxy_protocol is on, but trusted_proxies is empty; list the proxies that speak it",
            ));
        }
        if self.database.connections == 1 {
            return Err(Error::configuration(
                "database.connections is 1; set it to 2 or more: a lock in the database occupies one",
            ));
        }
        for origin in &self.http.cors_origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains('/')) {
                return Err(Error::configuration(format!(
                    "http.cors_origins has \"{origin}\"; write it like \"https://app.example\", with the scheme and without a path"
                )));
            }
        }
        for (key, location) in [("media", &self.media), ("data_dir", &self.data_dir.display().to_string())] {
            if let Some(form) = mistaken_for_directory(key, location) {
                let is_plain = !location.contains('@') && location.matches(':').count() == 1;
                let shown = if is_plain { location.clone() } else { without_credentials(location) };
                return Err(Error::configuration(format!(
                    "{key} is \"{shown}\", which looks like a URL and is none: write {form}, or a directory as \
                     ./DIRECTORY"
                )));
            }
        }
        let url = &self.public_url;
        let absolute = url.starts_with("http://") || url.starts_with("https://");
        if !url.is_empty() && (!absolute || url.ends_with('/')) {
            return Err(Error::configuration(format!(
                "public_url is \"{url}\"; write it like \"https://photos.example\", with the scheme and without a slash at the end"
            )));
        }
        Ok(self)
    }

    /// The databases to open: the configured ones, or two SQLite files in the data directory.
    pub fn database_urls(&self) -> Vec<String> {
        if !self.databases.is_empty() {
            return self.databases.clone();
        }
        ["shard-0.db", "shard-1.db"]
            .map(|name| format!("sqlite://{}", self.data_dir.join(name).display()))
            .into()
    }

    /// Whether any database is a file.
    pub(crate) fn has_files(&self) -> bool {
        self.database_urls().iter().any(|url| url.starts_with("sqlite:"))
    }

    /// Whether several processes may run, because all shared state is on servers.
    pub(crate) fn is_shared(&self) -> bool {
        !self.has_files() && !self.redis.is_empty()
    }

    /// Where media files are stored: a directory or the address of a bucket.
    pub fn media_location(&self) -> String {
        match self.media.as_str() {
            "" => self.data_dir.join("media").display().to_string(),
            location => location.to_owned(),
        }
    }
}

/// The right way to write a location that begins like a URL's scheme, and is not the URL of a bucket.
fn mistaken_for_directory(key: &str, location: &str) -> Option<&'static str> {
    let (scheme, rest) = location.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_bucket = key == "media" && scheme == "s3" && rest.starts_with("//");
    (is_scheme && !is_bucket).then_some(if key == "media" { "s3://BUCKET" } else { "a directory's path" })
}

/// Reads the three layers.
fn read_layers(file: Option<&Path>) -> Result<Layers> {
    let (path, required) = match file {
        Some(path) => (path, true),
        None => (Path::new("tripod.toml"), false),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => None,
        Err(error) => {
            return Err(Error::configuration(format!("cannot read {}", path.display())).because(error));
        }
    };
    let source = path.display().to_string();
    // A variable whose name is not UTF-8 can't be one of ours, but may be another program's.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(layers::PREFIX))
        .map(|(name, value)| {
            let value = value.into_string().map_err(|_| {
                Error::configuration(format!("{name}: the value is not UTF-8; set it to UTF-8 text"))
            })?;
            Ok((name, value))
        })
        .collect::<Result<Vec<_>>>()?;
    layers::merge(layers::defaults()?, text.as_deref().map(|text| (source.as_str(), text)), environment)
}

impl Database {
    /// How long to wait for a place in the pool.
    pub fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_seconds.into())
    }

    /// How long a statement may take.
    pub fn statement(&self) -> Duration {
        Duration::from_secs(self.statement_seconds.into())
    }
}

#[cfg(test)]
mod tests;
