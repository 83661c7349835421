//! How values are written to columns and read back, and what the databases' errors mean.

use quizmentor_core::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{error::ErrorKind, migrate::MigrateError, postgres::PgDatabaseError};

use crate::{Error, Result};

/// `value` as JSON that is known to read back as the same value.
pub(super) fn to_json<T>(what: &'static str, value: &T) -> Result<String>
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let json = serde_json::to_string(value).map_err(|e| Error::invalid(what, e.to_string()))?;
    match serde_json::from_str::<T>(&json) {
        Ok(back) if back == *value => Ok(json),
        Ok(_) => Err(Error::invalid(what, "would not read back as it is")),
        Err(e) => {
            Err(Error::invalid(what, format!("would not read back, is a number not finite? {e}")))
        }
    }
}

pub(super) fn from_json<T: DeserializeOwned>(what: &'static str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::corrupt(what, e))
}

/// The name by which an enum without fields appears in JSON.
pub(super) fn to_name<T: Serialize>(what: &'static str, value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(Error::invalid(what, "has no name")),
    }
}

pub(super) fn from_name<T: DeserializeOwned>(what: &'static str, name: String) -> Result<T> {
    serde_json::from_value(name.into()).map_err(|e| Error::corrupt(what, e))
}

/// Numbers as bytes: little-endian, number after number.
pub(super) fn to_bytes(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<f32>> {
    let (numbers, []) = bytes.as_chunks::<4>() else {
        return Err(Error::corrupt("embedding", "its length is no multiple of four bytes"));
    };
    Ok(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
}

/// A counter as a column holds it.
pub(super) fn to_int(what: &'static str, value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::invalid(what, format!("{value} is not below 2⁶³")))
}

pub(super) fn from_int<T: TryFrom<i64>>(what: &'static str, value: i64) -> Result<T>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(value).map_err(|e| Error::corrupt(what, e))
}

/// A lower bound of counters; what no column can hold is beyond all of them.
pub(super) fn cursor(after: u64) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX)
}

/// `LIMIT` for `limit` rows.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn time(what: &'static str, microseconds: i64) -> Result<Timestamp> {
    const SECOND: i64 = 1_000_000;
    // The constructor from microseconds leaves out the last second of all.
    let nanoseconds = microseconds.rem_euclid(SECOND) * 1_000;
    Timestamp::new(microseconds.div_euclid(SECOND), nanoseconds as i32)
        .map_err(|e| Error::corrupt(what, e))
}

/// What a refused insertion means: its own key is taken, or what it refers to is missing.
pub(super) fn refused(error: sqlx::Error, taken: &'static str, missing: &'static str) -> Error {
    match error.as_database_error().map(sqlx::error::DatabaseError::kind) {
        Some(ErrorKind::UniqueViolation) => Error::Conflict(taken),
        Some(ErrorKind::ForeignKeyViolation) => Error::NotFound(missing),
        _ => error.into(),
    }
}

/// What an error of the database `what` means.
pub(super) fn error_at(what: &str, error: sqlx::Error) -> Error {
    match fault(&error) {
        Fault::Damaged => Error::corrupt(format!("database {what}"), error),
        Fault::Full => Error::Full { what: format!("the disk of database {what}") },
        Fault::Other => Error::unavailable(format!("database {what}"), error),
    }
}

enum Fault {
    Damaged,
    Full,
    Other,
}

fn fault(error: &sqlx::Error) -> Fault {
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Fault::Damaged,
            _ => Fault::Other,
        };
    };
    if let Some(error) = database.try_downcast_ref::<PgDatabaseError>() {
        // <https://www.postgresql.org/docs/current/errcodes-appendix.html>
        return match error.code() {
            "53100" => Fault::Full,
            "XX001" | "XX002" => Fault::Damaged,
            _ => Fault::Other,
        };
    }
    /// Primary result codes of SQLite, <https://sqlite.org/rescode.html>.
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const NOT_A_DATABASE: i32 = 26;

    let code = database.code().and_then(|code| code.parse::<i32>().ok());
    match code.map(|extended| extended & 0xff) {
        Some(CORRUPT | NOT_A_DATABASE) => Fault::Damaged,
        Some(FULL) => Fault::Full,
        _ => Fault::Other,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        error_at("of the records", error)
    }
}

pub(super) fn migration_error(error: MigrateError) -> sqlx::Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    }
}
