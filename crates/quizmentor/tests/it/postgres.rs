//! A PostgreSQL server of the test's own, which waits for the disk as in production.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A server; ended when dropped.
pub(crate) struct Postgres {
    dir: TempDir,
    pub(crate) port: u16,
    user: Option<(u32, u32)>,
}

impl Postgres {
    /// Starts a server on a free port, with an empty database.
    pub(crate) fn start() -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let server = Self { dir: tempfile::tempdir().unwrap(), port, user: unprivileged() };
        if let Some((user, group)) = server.user {
            std::os::unix::fs::chown(server.dir.path(), Some(user), Some(group)).unwrap();
        }
        let data = server.data();
        server.run("initdb", &["--pgdata", &data, "--username", "quiz", "--auth", "trust"]);
        server.resume();
        server
    }

    /// The URL of its database, by way of `port` on this machine.
    pub(crate) fn url_by(&self, port: u16) -> String {
        format!("postgres://quiz@127.0.0.1:{port}/postgres")
    }

    pub(crate) fn url(&self) -> String {
        self.url_by(self.port)
    }

    /// Starts it again where it was stopped.
    pub(crate) fn resume(&self) {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories=''",
            self.port
        );
        let log = self.dir.path().join("log").display().to_string();
        let data = self.data();
        self.run("pg_ctl", &["start", "--wait", "--pgdata", &data, "-l", &log, "-o", &options]);
    }

    /// Stops it; connections are cut.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--mode", "fast", "--pgdata", &self.data()]);
    }

    /// Makes a file that lives as long as the server; its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.unwrap().write_all(content.as_bytes()).unwrap();
        path.display().to_string()
    }

    /// A client that runs `sql`, to its end or to its own.
    pub(crate) fn psql(&self, sql: &str) -> Command {
        let mut command = Command::new(installed("psql"));
        command.args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", &self.url()]);
        command.args(["--set", "ON_ERROR_STOP=1", "--command", sql]);
        command
    }

    /// What `sql` gives.
    pub(crate) fn query(&self, sql: &str) -> String {
        let output = self.psql(sql).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(installed(program));
        command.args(arguments).current_dir("/").stdout(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        assert!(command.status().unwrap().success(), "{program} {arguments:?}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut command = Command::new(installed("pg_ctl"));
        command.args(["stop", "--mode", "immediate", "--pgdata", &self.data()]);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // It may have been stopped.
        let _ = command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The user postgres and its group: the server refuses to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |option| -> u32 {
        let output = Command::new("id").args([option, "postgres"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().expect("a user postgres")
    };
    let own = Command::new("id").arg("-u").output().unwrap().stdout;
    (own.trim_ascii() == b"0").then(|| (id("-u"), id("-g")))
}

/// The newest installed version of a program.
fn installed(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is needed: install the package postgresql");
    let newest = versions.filter_map(|entry| {
        let path = entry.unwrap().path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin").join(program)))
    });
    newest.max().expect("a version of PostgreSQL").1
}
