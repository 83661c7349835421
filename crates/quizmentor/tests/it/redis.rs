//! A Redis server of the test's own.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A server; ended when dropped.
pub(crate) struct Redis {
    port: u16,
    process: Child,
}

/// A reply of the server, <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
#[derive(Debug, Clone, PartialEq)]
enum Reply {
    Nothing,
    Text(Vec<u8>),
    List(Vec<Self>),
}

impl Redis {
    /// Starts a server on a free port, with nothing in it.
    pub(crate) fn start() -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        Self { port, process: launch(port) }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again where it was killed, with nothing in it.
    pub(crate) fn restart(&mut self) {
        self.process = launch(self.port);
    }

    /// Lets it stand still, with all its connections open.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on where it was paused.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Takes everything out of it.
    pub(crate) fn empty(&self) {
        self.ask(&["FLUSHALL"]);
    }

    /// Everything that it holds: the bytes of each value by key.
    pub(crate) fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let Reply::List(keys) = self.ask(&["KEYS", "*"]) else { panic!("no list of keys") };
        let text = |key: Reply| match key {
            Reply::Text(key) => String::from_utf8(key).unwrap(),
            other => panic!("{other:?} is no key"),
        };
        let read = |key: String| match self.ask(&["GET", &key]) {
            Reply::Text(value) => (key, value),
            other => panic!("{key} holds {other:?}"),
        };
        keys.into_iter().map(text).map(read).collect()
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    fn ask(&self, words: &[&str]) -> Reply {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(command.as_bytes()).unwrap();
        reply(&mut BufReader::new(stream))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed; a kill ends a paused one as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(port: u16) -> Child {
    let process = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
        .current_dir("/")
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server, of the Debian package of that name, is needed");
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
    process
}

fn reply(stream: &mut impl BufRead) -> Reply {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    let length = || rest.parse::<i64>().unwrap();
    match kind {
        "+" | ":" => Reply::Text(rest.as_bytes().to_vec()),
        "$" if length() < 0 => Reply::Nothing,
        "$" => {
            let mut bytes = vec![0; length() as usize + 2];
            stream.read_exact(&mut bytes).unwrap();
            bytes.truncate(length() as usize);
            Reply::Text(bytes)
        }
        "*" => Reply::List((0..length()).map(|_| reply(stream)).collect()),
        _ => panic!("{line}"),
    }
}
