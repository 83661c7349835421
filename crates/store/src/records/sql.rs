//! What both databases of records understand: statements with numbered parameters, and rows whose
//! columns read the same.

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Arguments, Encode, FromRow, PgConnection, Postgres, SqlSafeStr, Sqlite, SqliteConnection, Type,
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

/// A parameter of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(Option<i64>),
    Float(f64),
    Text(Option<&'a str>),
    Bytes(&'a [u8]),
    Uuid(Option<Uuid>),
}

/// Declares how parameters are made of the types of the columns.
macro_rules! values {
    ($($type:ty: $given:ident => $value:expr),+ $(,)?) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from($given: $type) -> Self {
                $value
            }
        })+
    };
}

values! {
    bool: given => Self::Bool(given),
    i64: given => Self::Int(Some(given)),
    Option<i64>: given => Self::Int(given),
    f64: given => Self::Float(given),
    &'a str: given => Self::Text(Some(given)),
    &'a String: given => Self::Text(Some(given)),
    Option<&'a str>: given => Self::Text(given),
    &'a [u8]: given => Self::Bytes(given),
    Uuid: given => Self::Uuid(Some(given)),
    Option<Uuid>: given => Self::Uuid(given),
}

/// What a row of either database can be read as.
pub(super) trait Columns:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> Columns for T where
    T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

/// A connection to either database.
pub(super) trait Sql: Send {
    /// Ends a `SELECT` whose rows are to be changed, and leaves those out that others change.
    const SKIP_LOCKED: &str;
    /// Ends a `SELECT` whose rows must not be deleted before the transaction ends.
    const KEEP: &str;

    /// The condition that the bytes of the parameter `place` occur in the column `search`.
    fn occurs(place: usize) -> String;

    /// Runs `sql`; how many rows it changed.
    fn execute<'c>(
        &'c mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> BoxFuture<'c, sqlx::Result<u64>>;

    /// The rows that `sql` finds.
    fn all<'c, T: Columns>(
        &'c mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> BoxFuture<'c, sqlx::Result<Vec<T>>>;

    /// The rows that `sql` finds, one after the other.
    fn each<'c, T: Columns + 'c>(&'c mut self, sql: &'static str)
    -> BoxStream<'c, sqlx::Result<T>>;

    /// The first row that `sql` finds.
    fn first<'c, T: Columns>(
        &'c mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> BoxFuture<'c, sqlx::Result<Option<T>>>;

    /// The only column of the first row that `sql` finds.
    fn one<'c, T: 'c>(
        &'c mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> BoxFuture<'c, sqlx::Result<T>>
    where
        (T,): Columns,
    {
        let first = self.first(sql, values);
        Box::pin(async move {
            let (value,) = first.await?.ok_or(sqlx::Error::RowNotFound)?;
            Ok(value)
        })
    }
}

/// `values` as the arguments of a database.
fn arguments<'v, A>(values: &'v [Value<'v>]) -> sqlx::Result<A>
where
    A: Arguments,
    bool: Encode<'v, A::Database> + Type<A::Database>,
    Option<i64>: Encode<'v, A::Database> + Type<A::Database>,
    f64: Encode<'v, A::Database> + Type<A::Database>,
    Option<&'v str>: Encode<'v, A::Database> + Type<A::Database>,
    &'v [u8]: Encode<'v, A::Database> + Type<A::Database>,
    Option<Uuid>: Encode<'v, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        let added = match *value {
            Value::Bool(value) => arguments.add(value),
            Value::Int(value) => arguments.add(value),
            Value::Float(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Uuid(value) => arguments.add(value),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Implements [`Sql`] for the connections of a database.
macro_rules! speaks_sql {
    ($database:ty, $connection:ty, $arguments:ty, skip_locked: $skip_locked:literal, keep: $keep:literal, occurs: $occurs:literal) => {
        impl Sql for $connection {
            const SKIP_LOCKED: &str = $skip_locked;
            const KEEP: &str = $keep;

            fn occurs(place: usize) -> String {
                format!($occurs, place)
            }

            fn execute<'c>(
                &'c mut self,
                sql: impl SqlSafeStr,
                values: &[Value<'_>],
            ) -> BoxFuture<'c, sqlx::Result<u64>> {
                let (sql, arguments) = (sql.into_sql_str(), arguments::<$arguments>(values));
                Box::pin(async move {
                    let query = sqlx::query_with::<$database, _>(sql, arguments?);
                    Ok(query.execute(self).await?.rows_affected())
                })
            }

            fn all<'c, T: Columns>(
                &'c mut self,
                sql: impl SqlSafeStr,
                values: &[Value<'_>],
            ) -> BoxFuture<'c, sqlx::Result<Vec<T>>> {
                let (sql, arguments) = (sql.into_sql_str(), arguments::<$arguments>(values));
                Box::pin(async move {
                    let query = sqlx::query_as_with::<$database, _, _>(sql, arguments?);
                    query.fetch_all(self).await
                })
            }

            fn each<'c, T: Columns + 'c>(
                &'c mut self,
                sql: &'static str,
            ) -> BoxStream<'c, sqlx::Result<T>> {
                sqlx::query_as::<$database, T>(sql).fetch(self)
            }

            fn first<'c, T: Columns>(
                &'c mut self,
                sql: impl SqlSafeStr,
                values: &[Value<'_>],
            ) -> BoxFuture<'c, sqlx::Result<Option<T>>> {
                let (sql, arguments) = (sql.into_sql_str(), arguments::<$arguments>(values));
                Box::pin(async move {
                    let query = sqlx::query_as_with::<$database, _, _>(sql, arguments?);
                    query.fetch_optional(self).await
                })
            }
        }
    };
}

speaks_sql!(
    Postgres,
    PgConnection,
    PgArguments,
    skip_locked: "FOR UPDATE SKIP LOCKED",
    keep: "FOR KEY SHARE",
    occurs: "position(${} IN search) > 0"
);

// One connection writes at a time, so nothing is to be locked.
speaks_sql!(
    Sqlite,
    SqliteConnection,
    SqliteArguments,
    skip_locked: "",
    keep: "",
    occurs: "instr(CAST(search AS BLOB), ${}) > 0"
);
