//! A Redis server of a test's own.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tripod::testing::eventually;

/// It holds what it is told until it stops, and writes a snapshot only when asked to.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    directory: TempDir,
}

impl Redis {
    /// Starts an empty one.
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut redis = Self { child: None, port, directory: tempfile::tempdir().unwrap() };
        redis.restart().await;
        redis
    }

    /// What a client connects with.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The reply to a command, such as `["GET", "key"]`.
    pub async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).await.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    async fn try_ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut connection = redis::Client::open(self.url())?.get_multiplexed_async_connection().await?;
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await
    }

    /// Forgets every key.
    pub async fn flush(&self) {
        self.ask::<()>(&["FLUSHALL"]).await;
    }

    /// Writes the snapshot that the next start reads.
    pub async fn save(&self) {
        self.ask::<()>(&["SAVE"]).await;
    }

    /// Ends it at once; nothing happens if it does not run.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again, with what it held when it was last saved.
    pub async fn restart(&mut self) {
        self.stop().await;
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server is installed"));
        eventually("redis-server answers", async || self.try_ask::<()>(&["PING"]).await.ok()).await;
    }

    /// Connections stay open and nobody answers.
    pub fn pause(&mut self) {
        self.signal("-STOP");
    }

    /// Ends the pause.
    pub fn resume(&mut self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
