//! Where the database is, and how to connect to it.

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::READ;
use crate::{Error, Result, records::encoding::error_at};

/// What a URL may set after its question mark, beside `options[…]`. What else is there would have no
/// effect: a misspelt `sslmode` would leave the server unchecked.
const KEYS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// How to reach a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    pub(super) options: PgConnectOptions,
    /// At a time; 0 for a number that suits the processors.
    pub(super) connections: u32,
}

impl PostgresOptions {
    /// Options for `url`, such as `postgres://user@host:5432/database?sslmode=verify-full`. A
    /// password in it is used; better is a file and [`password`](Self::password).
    ///
    /// # Errors
    /// `Invalid` when it is no such URL.
    pub fn new(url: &str) -> Result<Self> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let mut keys = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
        let is_known =
            |key: &str| key.is_empty() || key.starts_with("options") || KEYS.contains(&key);
        if let Some(key) = keys.find(|key| !is_known(key)) {
            let known = KEYS.join(", ");
            return Err(Error::invalid("URL", format!("{key} is no option; there are {known}")));
        }
        let options: PgConnectOptions =
            url.parse().map_err(|e: sqlx::Error| Error::invalid("URL", e.to_string()))?;
        let options = options.application_name("quizmentor");
        Ok(Self { options: options.disable_statement_logging(), connections: 0 })
    }

    /// With this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.options = self.options.password(password);
        self
    }

    /// With at most `connections` at a time; 0, the default, stands for a number that suits the
    /// processors of this machine.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// A connection whose server has the settings `session`.
    pub(super) async fn connect(&self, session: &[(&str, &str)]) -> Result<PgConnection> {
        let connecting = self.options.clone().options(session.iter().copied());
        timeout(READ, connecting.connect())
            .await
            .map_err(|e| Error::unavailable(format!("database {}", self.place()), e))?
            .map_err(|e| error_at(&self.place(), e))
    }

    /// Host and database, for messages.
    pub(super) fn place(&self) -> String {
        let host = self.options.get_socket().map_or_else(
            || format!("{}:{}", self.options.get_host(), self.options.get_port()),
            |socket| socket.display().to_string(),
        );
        let database = self.options.get_database().unwrap_or(self.options.get_username());
        format!("{database} at {host}")
    }
}
