//! Identifiers. Those that the system makes are UUIDs, those that authors choose are short slugs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{Uuid, uuid};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// A learner.
    LearnerId
);
uuid_id!(
    /// A practice, review or test session of one learner.
    SessionId
);
uuid_id!(
    /// An answer; chosen by the client, so that a repeated request counts once.
    AnswerId
);

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Longer than the limit.
    #[error("identifier is {0} bytes long; at most {1} are allowed")]
    TooLong(usize, usize),
    /// Empty, or with a character outside the allowed set.
    #[error("“{0}” is no identifier: use a-z, 0-9, “-”, “_”, “.” and, in skills, one “/”")]
    Malformed(String),
}

fn is_slug(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    text.bytes().any(|b| b != b'.') && text.bytes().all(allowed)
}

fn checked(text: &str, limit: usize, valid: impl Fn(&str) -> bool) -> Result<(), IdError> {
    if text.len() > limit {
        return Err(IdError::TooLong(text.len(), limit));
    }
    if !valid(text) {
        return Err(IdError::Malformed(text.to_owned()));
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $limit:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// Longest identifier in bytes.
            pub const MAX_LEN: usize = $limit;

            /// Checks and wraps `text`.
            ///
            /// # Errors
            /// When it is empty, too long, or holds a character outside the allowed set.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                checked(&text, Self::MAX_LEN, $valid)?;
                Ok(Self(text))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A question: a slug of a-z, 0-9, `-`, `_`, `.`, chosen by its author or made on import.
    QuestionId,
    64,
    is_slug
);
text_id!(
    /// A skill: `subject/skill`, both slugs, for instance `biology/cell-structure`.
    SkillId,
    129,
    |text| text.split_once('/').is_some_and(|(subject, skill)| is_slug(subject) && is_slug(skill))
);

impl SkillId {
    /// The skill of `subject` and `name`, both turned into slugs: “Cell structure” becomes
    /// `cell-structure`. In the place of letters outside ASCII stand six digits, which differ with
    /// the name.
    ///
    /// # Errors
    /// When nothing is left of either part, or the result is too long.
    pub fn from_names(subject: &str, name: &str) -> Result<Self, IdError> {
        Self::new(format!("{}/{}", slug(subject), slug(name)))
    }

    /// The part before the slash.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.0.split_once('/').map_or("", |(subject, _)| subject)
    }

    /// The part after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

/// Lower-case ASCII letters and digits of `text`, every other run of characters one hyphen. If that
/// leaves out letters or digits, six hexadecimal digits of a hash of `text`, in lower case, follow.
#[must_use]
pub fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left_out = false;
    for c in text.chars() {
        left_out |= c.is_alphanumeric() && !c.is_ascii();
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    if left_out {
        let hash = Uuid::new_v5(&NAMES, text.trim().to_lowercase().as_bytes()).simple().to_string();
        let hyphen = if out.is_empty() { "" } else { "-" };
        out = format!("{out}{hyphen}{}", &hash[..6]);
    }
    out
}

/// Where names are told apart by hashes.
const NAMES: Uuid = uuid!("5e0f1d5c-7f0a-4d0e-9a53-0d5c8b0c7a11");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_have_two_parts() {
        let skill = SkillId::from_names("Computer science", "Big-O & complexity").unwrap();
        assert_eq!(skill.as_str(), "computer-science/big-o-complexity");
        assert_eq!((skill.subject(), skill.name()), ("computer-science", "big-o-complexity"));
        for bad in ["biology", "a/b/c", "/b", "a/", "A/b", "a b/c"] {
            assert!(SkillId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_outside_ascii_are_told_apart() {
        let names = ["数学 1", "物理 1", "1", "Ökologie", "Kologie", "Экология"];
        let slugs: std::collections::HashSet<_> = names.into_iter().map(slug).collect();
        assert_eq!(slugs.len(), names.len(), "{slugs:?}");
        assert!(slugs.iter().all(|slug| is_slug(slug)), "{slugs:?}");
        assert_eq!(slug("Ökologie "), slug("ökologie"));
        assert_eq!((slug("What – why?"), slug("…")), ("what-why".into(), String::new()));
    }

    #[test]
    fn question_ids_refuse_what_no_url_should_hold() {
        for bad in ["", ".", "..", "a b", "a/b", "Ä", "a\0", &"x".repeat(65)] {
            assert!(QuestionId::new(bad).is_err(), "{bad}");
        }
        assert!(QuestionId::new("bio-cell-001").is_ok());
    }
}
