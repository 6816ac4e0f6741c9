//! A certificate for a server on 127.0.0.1, and the authority that signed it.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::User;

const DAYS: &str = "30";

/// The paths of the files, all in the given directory.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The authority's certificate, for clients to trust.
    pub(super) authority: PathBuf,
    pub(super) server: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificate {
    pub(super) fn make(directory: &Path) -> Self {
        let file = |name: &str| directory.join(name);
        let made = Self { authority: file("ca.crt"), server: file("server.crt"), key: file("server.key") };
        let authority_key = file("ca.key");
        sign("/CN=the tests' authority", &made.authority, &authority_key, |openssl| {
            openssl.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        });
        sign("/CN=127.0.0.1", &made.server, &made.key, |openssl| {
            openssl
                .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args(["-addext", "extendedKeyUsage=serverAuth"])
                .arg("-CA")
                .arg(&made.authority)
                .arg("-CAkey")
                .arg(&authority_key)
        });
        // Servers refuse keys that others can read.
        std::fs::set_permissions(&made.key, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        if let Some(user) = User::unprivileged() {
            chown(&made.key, Some(user.uid), Some(user.gid)).expect("root gives files away");
        }
        made
    }
}

fn sign(subject: &str, certificate: &Path, key: &Path, more: impl FnOnce(&mut Command) -> &mut Command) {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"])
        .args(["-days", DAYS, "-subj", subject, "-out"])
        .arg(certificate)
        .arg("-keyout")
        .arg(key);
    let output = more(&mut openssl).output().expect("openssl can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
