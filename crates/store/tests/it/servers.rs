//! The servers that tests use.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// The URL of a new, empty PostgreSQL database.
pub(crate) async fn new_database() -> String {
    let server = std::env::var("DATABASE_URL")
        .expect("$DATABASE_URL is not set: run tests as `tests/with-servers cargo nextest run`");
    let (place, _) = server.rsplit_once('/').expect("$DATABASE_URL names a database");
    let name = format!("test_{}", Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    format!("{place}/{name}")
}
