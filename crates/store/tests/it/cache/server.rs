//! A Redis server of a test's own.

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use quizmentor_store::cache::{Cache, Redis};
use redis::Script;
use tempfile::TempDir;

/// Makes every key older, and fails when one has no lifetime.
const AGE: &str = "
    for _, key in ipairs(redis.call('KEYS', '*')) do
        local rest = redis.call('PTTL', key)
        if rest < 0 then
            return redis.error_reply('no lifetime: ' .. key)
        end
        redis.call('PEXPIRE', key, string.format('%.0f', rest - tonumber(ARGV[1])))
    end
";

/// A server behind a socket in a directory of its own; it ends with this value.
pub(super) struct RedisServer {
    directory: TempDir,
    arguments: Vec<&'static str>,
    process: Child,
}

impl RedisServer {
    /// A server that answers.
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server that answers, with further arguments.
    pub(super) async fn start_with(arguments: &[&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let process = launch(directory.path(), arguments);
        let mut server = Self { directory, arguments: arguments.to_vec(), process };
        server.wait_for_socket().await;
        server
    }

    /// Ends the server at once.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let _ = std::fs::remove_file(socket(self.directory.path()));
    }

    /// Begins anew with nothing, at the same address.
    pub(super) async fn restart(&mut self) {
        self.process = launch(self.directory.path(), &self.arguments);
        self.wait_for_socket().await;
    }

    pub(super) fn url(&self) -> String {
        format!("unix://{}", socket(self.directory.path()).display())
    }

    pub(super) fn cache(&self) -> Redis {
        Redis::new(&self.url(), None, "test").unwrap()
    }

    pub(super) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// As if `duration` had passed since all that is there was put.
    pub(super) async fn age(&self, duration: Duration) {
        let script = Script::new(AGE);
        let call = script.arg(u64::try_from(duration.as_millis()).unwrap());
        call.invoke_async::<()>(&mut self.connection().await).await.unwrap();
    }

    async fn wait_for_socket(&mut self) {
        for _ in 0..500 {
            if UnixStream::connect(socket(self.directory.path())).is_ok() {
                return;
            }
            assert!(self.process.try_wait().unwrap().is_none(), "redis-server ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server does not answer");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("redis.sock")
}

fn launch(directory: &Path, arguments: &[&str]) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--dir"])
        .arg(directory)
        .arg("--unixsocket")
        .arg(socket(directory))
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server, of the Debian package of that name, is needed")
}

/// Waits until `cache` answers again.
pub(super) async fn recovery(cache: &dyn Cache) {
    for _ in 0..250 {
        if cache.get("anything").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the cache stays away");
}
