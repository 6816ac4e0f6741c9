//! nginx, with the configuration of a site.

use std::path::Path;

use super::place::{Place, User};
use super::process::{Process, Program, on_a_free_port};

/// A proxy in front of a service.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    port: u16,
    _place: Place,
}

impl Nginx {
    /// Starts it with this text as Debian has it in `/etc/nginx/sites-enabled`. It returns that for a port,
    /// which the text listens on.
    ///
    /// # Panics
    /// If it does not start, or is not installed.
    pub async fn start(site: impl Fn(u16) -> String) -> Self {
        let place = Place::new();
        for directory in ["body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            place.make_directory(directory);
        }
        let (port, process) = on_a_free_port(async |port| {
            // What Debian's nginx.conf has around the sites, with its files in the place.
            let settings = format!(
                "daemon off; pid pid; error_log stderr notice; events {{}}\n\
                 http {{\n\
                 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
                 uwsgi_temp_path uwsgi; scgi_temp_path scgi; access_log off;\n\
                 {}\n}}\n",
                site(port)
            );
            std::fs::write(place.path().join("nginx.conf"), settings).expect("the directory is ours");
            let program = Program {
                path: Path::new("/usr/sbin/nginx"),
                user: User::unprivileged(),
                end: "TERM",
                directory: place.path(),
                ready: "start worker process",
            };
            let prefix = place.path().display().to_string();
            program.start(["-p", &prefix, "-c", "nginx.conf", "-e", "stderr"]).await
        })
        .await;
        Self { _process: process, port, _place: place }
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
