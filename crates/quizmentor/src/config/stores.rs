//! Where other servers are, and the secrets to open them with.

use std::{num::NonZeroU16, path::PathBuf};

use quizmentor_store::records::PostgresOptions;
use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

use super::{path, within};

/// The durable records.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Records {
    /// `None` for SQLite in the data directory.
    #[serde(deserialize_with = "postgres")]
    pub(crate) url: Option<Url>,
    #[serde(deserialize_with = "path")]
    pub(crate) password_file: Option<PathBuf>,
    /// `None` for ever.
    #[serde(deserialize_with = "months")]
    pub(crate) answers_kept_months: Option<NonZeroU16>,
}

/// The shared cache.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    /// `None` for the process's own memory.
    #[serde(deserialize_with = "redis")]
    pub(crate) url: Option<Url>,
    #[serde(deserialize_with = "path")]
    pub(crate) password_file: Option<PathBuf>,
}

/// The vectors of the question bank.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vectors {
    /// `None` for the process's own memory.
    #[serde(deserialize_with = "qdrant")]
    pub(crate) url: Option<Url>,
    #[serde(deserialize_with = "path")]
    pub(crate) api_key_file: Option<PathBuf>,
}

/// Who is told of events.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Events {
    /// `None` for nobody.
    #[serde(deserialize_with = "webhook")]
    pub(crate) webhook: Option<Url>,
    #[serde(deserialize_with = "path")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Who decides which learner has which feature.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flags {
    /// `None` for the settings.
    #[serde(deserialize_with = "unleash")]
    pub(crate) url: Option<Url>,
    #[serde(deserialize_with = "path")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Who takes the spans of requests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traces {
    /// `None` for nobody.
    #[serde(deserialize_with = "otlp")]
    pub(crate) url: Option<Url>,
    /// Of the requests, 0 to 1.
    #[serde(deserialize_with = "share")]
    pub(crate) share: f64,
}

pub(super) fn share<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(input)?;
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(D::Error::custom(format!("{share} is no share; it must be within 0 to 1")))
}

fn months<'de, D: Deserializer<'de>>(input: D) -> Result<Option<NonZeroU16>, D::Error> {
    let months = within::<_, 0, 1_200>(input)?;
    Ok(u16::try_from(months).ok().and_then(NonZeroU16::new))
}

/// A kind of server, as its URLs tell it.
struct Kind {
    name: &'static str,
    schemes: &'static [&'static str],
    /// Of these schemes, those that need no host.
    local: &'static [&'static str],
    example: &'static str,
    /// The key that names the file with the secret, if there is one.
    secret: Option<&'static str>,
}

fn postgres<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    let url = url(
        input,
        &Kind {
            name: "PostgreSQL",
            schemes: &["postgres", "postgresql"],
            local: &["postgres", "postgresql"],
            example: "postgres://quizmentor@db.example.org/quizmentor?sslmode=verify-full",
            secret: Some("password_file"),
        },
    )?;
    if let Some(url) = &url {
        PostgresOptions::new(url.as_str()).map_err(D::Error::custom)?;
    }
    Ok(url)
}

fn redis<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    url(
        input,
        &Kind {
            name: "Redis",
            schemes: &["redis", "rediss", "unix"],
            local: &["unix"],
            example: "rediss://default@cache.example.org:6379",
            secret: Some("password_file"),
        },
    )
}

fn qdrant<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    url(
        input,
        &Kind {
            name: "Qdrant",
            schemes: &["http", "https"],
            local: &[],
            example: "https://vectors.example.org:6334",
            secret: Some("api_key_file"),
        },
    )
}

fn webhook<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    url(
        input,
        &Kind {
            name: "a webhook",
            schemes: &["http", "https"],
            local: &[],
            example: "https://example.org/quizmentor",
            secret: Some("key_file"),
        },
    )
}

fn unleash<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    url(
        input,
        &Kind {
            name: "the API of Unleash",
            schemes: &["http", "https"],
            local: &[],
            example: "http://127.0.0.1:4242/api",
            secret: Some("token_file"),
        },
    )
}

fn otlp<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    url(
        input,
        &Kind {
            name: "a receiver of OTLP over gRPC",
            schemes: &["http"],
            local: &[],
            example: "http://127.0.0.1:4317",
            secret: None,
        },
    )
}

/// An address of a server of this kind; `None` for nothing. No message repeats a URL that may
/// hold a password.
fn url<'de, D: Deserializer<'de>>(input: D, kind: &Kind) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(input)?;
    if text.is_empty() {
        return Ok(None);
    }
    let Kind { name, schemes, example, secret, .. } = kind;
    let refuse = |why: String| {
        Err(D::Error::custom(format!("{why}; an address of {name} is such as \"{example}\"")))
    };
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => return refuse(format!("no URL: {error}")),
    };
    let scheme = url.scheme();
    if !schemes.contains(&scheme) {
        return refuse(format!("begins with {scheme}://, not {}://", schemes.join(":// or ")));
    }
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        return refuse(match secret {
            Some(key) => format!("holds a password, which belongs in a file that `{key}` names"),
            None => "holds a password, for which there is no use".to_owned(),
        });
    }
    if url.host_str().unwrap_or_default().is_empty() && !kind.local.contains(&scheme) {
        return refuse("names no host".to_owned());
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Mistakes, load};

    fn set(section: &str, url: &str) -> Result<Config, Mistakes> {
        load(None, [(format!("QUIZMENTOR__{section}__URL"), url.to_owned())])
    }

    #[test]
    fn addresses_of_each_kind_are_taken() {
        let of = |section, url| {
            let config = set(section, url).unwrap();
            let found = [config.records.url, config.cache.url, config.vectors.url];
            found.into_iter().flatten().map(String::from).collect::<Vec<_>>()
        };
        for (section, url) in [
            ("RECORDS", "postgres://quiz@[::1]:5433/quiz?sslmode=disable"),
            ("RECORDS", "postgresql:///quiz?host=/run/postgresql"),
            ("CACHE", "redis://127.0.0.1:6379/3"),
            ("CACHE", "rediss://default@cache.example.org:6379"),
            ("CACHE", "unix:///run/redis/redis.sock"),
            ("VECTORS", "http://127.0.0.1:6334/"),
        ] {
            assert_eq!(of(section, url), [url]);
        }
        assert!(of("RECORDS", "").is_empty());
    }

    #[test]
    fn shares_are_within_0_and_1() {
        for section in ["EXPERIMENT", "TRACES"] {
            let set = |share: &str| {
                load(None, [(format!("QUIZMENTOR__{section}__SHARE"), share.to_owned())])
            };
            assert!(["0.0", "1.0"].iter().all(|share| set(share).is_ok()));
            for share in ["-0.1", "1.1", "nan"] {
                let message = set(share).unwrap_err().to_string();
                assert!(message.to_lowercase().contains(share), "{message}");
            }
        }
    }

    #[test]
    fn an_unknown_option_of_postgres_is_named() {
        for (query, why) in [
            ("sslmode=nope", "unknown value \"nope\" for `ssl_mode`"),
            ("sslmode=disable&sslmod=verify-full", "sslmod is no option; there are"),
        ] {
            let message = set("RECORDS", &format!("postgres://db/quiz?{query}")).unwrap_err();
            assert!(message.to_string().contains(why), "{message}");
        }
        set("RECORDS", "postgres://db/quiz?options[search_path]=quiz&ssl-mode=require").unwrap();
    }

    #[test]
    fn other_addresses_are_explained_without_their_passwords() {
        for (section, url, why) in [
            (
                "RECORDS",
                "mysql://db/quiz",
                "begins with mysql://, not postgres:// or postgresql://",
            ),
            ("RECORDS", "quiz.db", "no URL: relative URL without a base"),
            ("RECORDS", "postgres://quiz:hidden@db/quiz", "a file that `password_file` names"),
            ("RECORDS", "postgres://db/quiz?password=hidden", "a file that `password_file` names"),
            ("CACHE", "redis://:hidden@cache", "a file that `password_file` names"),
            ("CACHE", "redis:///3", "names no host"),
            ("VECTORS", "grpc://vectors:6334", "begins with grpc://, not http:// or https://"),
            ("VECTORS", "https://user:hidden@vectors", "a file that `api_key_file` names"),
            ("FLAGS", "127.0.0.1:4242/api", "no URL: relative URL without a base"),
            ("FLAGS", "http://:hidden@flags:4242/api", "a file that `token_file` names"),
            ("TRACES", "https://traces.example.org", "begins with https://, not http://"),
            ("TRACES", "http://user:hidden@traces:4317", "a password, for which there is no use"),
        ] {
            let message = set(section, url).unwrap_err().to_string();
            assert!(message.contains(why), "{message}\nshould say\n{why}");
            assert!(message.contains("; an address of "), "{message}");
            assert!(!message.contains("hidden"), "{message}");
        }
    }
}
