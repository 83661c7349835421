//! A running `quizmentor serve`, with the test in the service manager's place.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{postgres::Postgres, redis::Redis};

/// Longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until it is so; fails after `patience`.
pub(crate) fn until(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The program, with nothing of this process's own settings.
pub(crate) fn quizmentor() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_quizmentor")))
}

/// `command` with nothing of this process's own settings, in the root of the repository.
pub(crate) fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QUIZMENTOR") {
            command.env_remove(name);
        }
    }
    for name in ["RUST_LOG", "JOURNAL_STREAM", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"] {
        command.env_remove(name);
    }
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

/// A serving process; killed when dropped.
pub(crate) struct Server {
    child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<String>>,
    manager: UnixDatagram,
    /// What it said on becoming ready.
    pub(crate) greeting: String,
    pub(crate) address: SocketAddr,
    /// Holds the data and the service manager's socket.
    _dir: TempDir,
}

impl Server {
    /// Starts a process on a free port with `settings` in its environment, and waits until it is
    /// ready.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let mut command = quizmentor();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Self::start_as(command, settings)
    }

    /// Starts two processes over the same records and the same cache that take each other's tokens.
    pub(crate) fn start_two(
        postgres: &Postgres,
        redis: &Redis,
        settings: &[(&str, &str)],
    ) -> [Self; 2] {
        let (records, cache) = (postgres.url(), redis.url());
        let key = postgres.file("token-key", "a key of the tests that two processes share");
        let shared = [
            ("QUIZMENTOR__RECORDS__URL", &*records),
            ("QUIZMENTOR__CACHE__URL", &cache),
            ("QUIZMENTOR__AUTH__TOKEN_KEY_FILE", &key),
        ];
        let settings = [&shared, settings].concat();
        [Self::start(&settings), Self::start(&settings)]
    }

    /// Starts a process that inherits `listener` as the service manager would pass it.
    pub(crate) fn start_inheriting(listener: std::net::TcpListener) -> Self {
        let mut shell = clean(Command::new("sh"));
        let script = "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" 3<&0 </dev/null";
        shell.args(["-c", script, env!("CARGO_BIN_EXE_quizmentor")]);
        shell.stdin(std::os::fd::OwnedFd::from(listener));
        Self::start_as(shell, &[])
    }

    /// Starts a process by `command`, which may be another program that becomes it.
    pub(crate) fn start_as(mut command: Command, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut child = command
            .env("NOTIFY_SOCKET", &socket)
            .env("STATE_DIRECTORY", dir.path().join("data"))
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self {
            out: collect(child.stdout.take().unwrap()),
            err: collect(child.stderr.take().unwrap()),
            child,
            manager,
            greeting: String::new(),
            address: SocketAddr::from(([0; 4], 0)),
            _dir: dir,
        };
        server.greeting = server.message("READY=1");
        let (_, url) = server.greeting.split_once("http://").expect("the status names the address");
        server.address = url.lines().next().unwrap().parse().unwrap();
        server
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next message to the service manager that has `line` among its lines.
    pub(crate) fn message(&self, line: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.manager.recv(&mut buffer).expect("a message before patience ends");
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if message.lines().any(|sent| sent == line) {
                return message;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    /// The whole answer to a GET on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut client = self.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"));
        client.rest()
    }

    /// A connection of which the server has read the first half of a request's head.
    pub(crate) fn half_a_request(&self) -> Client {
        let mut client = self.connect();
        client.send("GET /livez HTTP/1.1\r\n");
        while !self.get("/metrics").contains("\nhttp_connections 2\n") {}
        assert!(self.get("/livez").ends_with("alive\n"));
        client
    }

    /// Waits for the process to exit; its status, standard output and standard error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, String) {
        let status = self.child.wait().unwrap();
        let text = |output: &mut Option<JoinHandle<_>>| output.take().unwrap().join().unwrap();
        (status, text(&mut self.out), text(&mut self.err))
    }
}

/// Reads on while the process runs, lest a full pipe stop it.
fn collect(mut output: impl Read + Send + 'static) -> Option<JoinHandle<String>> {
    Some(thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    }))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection, spoken to in plain bytes.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// All that comes until the server closes the connection.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        bytes
    }

    /// The same as text.
    pub(crate) fn rest(self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// The head of a response.
    pub(crate) fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "closed after: {head}");
        }
        head
    }

    pub(crate) fn exact<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
