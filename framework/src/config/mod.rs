//! Settings: built-in defaults, then `tripod.toml`, then the environment.
//!
//! `default.toml` is the reference: any other key is an error that names the key, its source and the
//! nearest valid key. `config` opens nothing and connects to nothing.

mod layers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};

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
    pub abandoned_seconds: u32,
}

impl Config {
    /// Reads the three layers. `file` must exist if given; otherwise `tripod.toml` in the working
    /// directory is read if it exists.
    ///
    /// # Errors
    /// Configuration, naming the key, its source and the fix.
    pub fn load(file: Option<&Path>) -> Result<Self> {
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
        Self::from_layers(text.as_deref().map(|text| (source.as_str(), text)), environment)
    }

    /// The defaults with these environment variables merged over them, without a file; for tests.
    ///
    /// # Errors
    /// As for [`Self::load`].
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of_environment(
        environment: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self> {
        Self::from_layers(None, environment.into_iter().map(|(name, value)| (name.to_owned(), value)))
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

    fn from_layers(
        file: Option<(&str, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let table = layers::merge(DEFAULTS, file, environment)?;
        let config: Self = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
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
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config> {
        let environment = environment.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Config::from_layers(Some(("tripod.toml", file)), environment)
    }

    #[test]
    fn the_environment_wins_over_the_file_over_the_defaults() {
        let config = load(
            "listen = \"127.0.0.1:1\"\n[timeline]\nlength = 5",
            &[
                ("TRIPOD_LISTEN", "127.0.0.1:2"),
                ("TRIPOD_LIMITS", "off"),
                ("TRIPOD_DATABASES", "sqlite://a.db, sqlite://b.db"),
                ("TRIPOD_QUEUE__WORKERS", "9"),
            ],
        )
        .unwrap();
        assert_eq!(config.listen, "127.0.0.1:2".parse().unwrap());
        assert_eq!((config.timeline.length, config.queue.workers), (5, 9));
        assert!(!config.limits);
        assert_eq!(config.databases, ["sqlite://a.db", "sqlite://b.db"]);
        assert_eq!(config.data_dir, Path::new("data"));
    }

    #[test]
    fn the_apps_section_is_the_apps_to_read() {
        #[derive(Debug, Deserialize, PartialEq)]
        #[serde(default, deny_unknown_fields)]
        struct Section {
            greeting: String,
            most: u32,
        }
        impl Default for Section {
            fn default() -> Self {
                Self { greeting: "hello".to_owned(), most: 3 }
            }
        }
        let config = load("[app]\ngreeting = \"hi\"", &[("TRIPOD_APP__MOST", "7")]).unwrap();
        assert_eq!(config.app_section::<Section>().unwrap(), Section { greeting: "hi".to_owned(), most: 7 });
        let nothing = load("", &[]).unwrap();
        assert_eq!(nothing.app_section::<Section>().unwrap(), Section::default());
        for (file, says) in [("[app]\ngreting = \"hi\"", "greting"), ("[app]\nmost = \"many\"", "app.most")] {
            let error = load(file, &[]).unwrap().app_section::<Section>().unwrap_err();
            assert!(error.is_configuration() && error.chain().contains(says), "{}", error.chain());
        }
    }

    #[test]
    fn a_wrong_key_or_value_is_named_with_its_source_and_the_remedy() {
        for (file, environment, says) in [
            ("", vec![("TRIPOD_LISTN", "x")], vec!["TRIPOD_LISTN", "TRIPOD_LISTEN"]),
            ("", vec![("TRIPOD_TIMELINE__LENGHT", "1")], vec!["TRIPOD_TIMELINE__LENGTH"]),
            ("[timeline]\nlenght = 1", vec![], vec!["tripod.toml", "timeline.lenght", "timeline.length"]),
            ("timeline = 3", vec![], vec!["tripod.toml", "timeline", "section"]),
            ("", vec![("TRIPOD_TIMELINE__LENGTH", "many")], vec!["TRIPOD_TIMELINE__LENGTH", "whole number"]),
            ("", vec![("TRIPOD_LIMITS", "maybe")], vec!["TRIPOD_LIMITS", "on or off"]),
            ("limits = \"off\"", vec![], vec!["tripod.toml", "limits", "true or false"]),
            ("listen = 3000", vec![], vec!["tripod.toml", "listen", "string"]),
            ("listen = \"here\"", vec![], vec!["listen"]),
            ("[queue]\nworkers = 0", vec![], vec!["queue.workers", "1 or more"]),
            ("[database]\nconnections = 1", vec![], vec!["database.connections", "2 or more"]),
            ("public_url = \"photos.example/\"", vec![], vec!["public_url", "https://"]),
            ("[http]\ncors_origins = [\"app.example\"]", vec![], vec!["http.cors_origins", "https://"]),
            ("[http]\ncors_origins = [\"https://app.example/\"]", vec![], vec!["without a path"]),
            ("listen = ", vec![], vec!["tripod.toml", "line 1"]),
            ("[timeline]\nlength = -1", vec![], vec!["timeline.length"]),
        ] {
            let error = load(file, &environment).unwrap_err();
            assert!(error.is_configuration());
            for word in says {
                assert!(error.chain().contains(word), "{word:?} is not in: {}", error.chain());
            }
        }
    }
}
