//! The address of a PostgreSQL database, as written in the settings.
//!
//! `postgres://USER:PASSWORD@HOST:PORT/NAME`, with libpq's parameters (`sslmode`, `sslrootcert`, ...)
//! and one of ours: `direct=HOST:PORT`, the server's own address if HOST:PORT is a pooler.

use std::str::FromStr;

use sea_orm::sqlx::postgres::PgConnectOptions;

use crate::config::credentials::{ENCODE, need_encoding, without_credentials};
use crate::error::{Error, Result};

/// Our addition to libpq's parameters.
const DIRECT: &str = "direct";
/// libpq's parameters that sqlx knows. sqlx only warns about others, so a misspelt certificate check
/// would be no check.
const KNOWN: [&str; 7] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// The address of a PostgreSQL database.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// `HOST:PORT/NAME`, for messages; never with the password.
    pub(super) name: String,
    /// Where statements go: the server, or the pooler in front of it.
    pub(super) pooled: PgConnectOptions,
    /// The server behind the pooler, if given.
    pub(super) direct: Option<PgConnectOptions>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let form = "postgres://USER:PASSWORD@HOST:PORT/NAME";
        let wrong = |what: String| {
            Error::configuration(format!("the database {}: {what}; write {form}", without_credentials(url)))
        };
        if need_encoding(url) {
            return Err(wrong(ENCODE.to_owned()));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut direct) = (Vec::new(), None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((DIRECT, value)) => direct = Some(value),
                Some((key, _)) if KNOWN.contains(&key) => kept.push(pair),
                _ => {
                    let key = pair.split('=').next().unwrap_or(pair);
                    return Err(wrong(format!(
                        "the parameter {key:?} is not known; there are {} and {DIRECT}",
                        KNOWN.join(", ")
                    )));
                }
            }
        }
        let options = PgConnectOptions::from_str(&format!("{base}?{}", kept.join("&")))
            .map_err(|error| wrong("the address can't be read".to_owned()).because(error))?
            // Poolers refuse parameters they don't track, and no float is stored.
            .extra_float_digits(None)
            .application_name("tripod");
        let Some(database) = options.get_database().filter(|name| !name.is_empty()) else {
            return Err(wrong("the database's name is missing".to_owned()));
        };
        let name = format!("{}:{}/{database}", options.get_host(), options.get_port());
        let direct = direct
            .map(|direct| {
                let (host, port) = direct.rsplit_once(':').unwrap_or((direct, "5432"));
                let port = port
                    .parse()
                    .map_err(|error| wrong(format!("{DIRECT}={direct} is no HOST:PORT")).because(error))?;
                Ok::<_, Error>(options.clone().host(host).port(port))
            })
            .transpose()?;
        Ok(Self { name, pooled: options, direct })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_named() {
        let address = Address::parse("postgres://tripod:s3cret@db1:5433/app").unwrap();
        assert_eq!(address.name, "db1:5433/app");
    }

    #[test]
    fn a_direct_address_stands_beside_the_pooled_one() {
        let address = Address::parse("postgres://u:p@pooler:6432/app?sslmode=require&direct=db1").unwrap();
        let direct = address.direct.unwrap();
        assert_eq!((direct.get_host(), direct.get_port()), ("db1", 5432));
        assert_eq!((address.pooled.get_host(), address.pooled.get_port()), ("pooler", 6432));
        assert_eq!(direct.get_database(), Some("app"));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        for (url, says) in [
            ("postgres://u:s3cret@db1", "name is missing"),
            ("postgres://u:s3cret@db1/app?sslmod=verify-full", "\"sslmod\" is not known"),
            ("postgres://u:s3cret@db1/app?sslmode=strict", "can't be read"),
            ("postgres://u:s3cret@db1:port/app", "can't be read"),
            ("postgres://u:s3cret@p/ss@host", "@ is %40"),
            ("postgres://u:s3cret?x@host/app", "? is %3F"),
            ("postgres://u:s3cret@db1/app?direct=db2:many", "no HOST:PORT"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(error.is_configuration());
            assert!(error.chain().contains(says), "{}", error.chain());
            assert!(!error.chain().contains("s3cret"), "{}", error.chain());
        }
    }
}
