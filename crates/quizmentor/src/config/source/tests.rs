use std::{fs, time::Duration};

use super::*;
use crate::config::Role;

fn mistakes(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.toml");
    fs::write(&file, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let Err(Mistakes(found)) = load(Some(&file), environment) else { return Vec::new() };
    let prefix = format!("{}/", dir.path().display());
    found
        .iter()
        .map(|Mistake { place, message }| {
            format!("{}: {message}", place.strip_prefix(&prefix).unwrap_or(place))
        })
        .collect()
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let text = "listen = \"127.0.0.1:80\"\n\
                password_file = \"pw\"\n\
                [server]\n\
                rolls = [\"web\"]\n\
                roles = [\"web\", \"wob\"]\n\
                request_timeout = 10\n\
                drain_timeout = \"soon\"\n\
                \n\
                [limit]\n\
                connections = 5\n\
                \n\
                [limits]\n\
                ü = 1\n";
    // A bare key is ASCII in TOML: the syntax error alone is reported first.
    assert_eq!(mistakes(text, &[]).len(), 1);
    let found = mistakes(&text.replace("ü = 1", "\"ü\" = 1\nheaders = 0"), &[]);
    let expected = [
        "q.toml:1:1: `listen` belongs below [server]",
        "q.toml:2:1: `password_file` belongs below [cache] or [records]",
        "q.toml:4:1: unknown key `rolls` in [server]; did you mean `roles`?; known keys: ",
        "q.toml:5:9: [server] roles: unknown variant `wob`, expected one of `bloom`, ",
        "q.toml:6:19: [server] request_timeout: invalid type: integer `10`, expected a string",
        "q.toml:7:17: [server] drain_timeout: \"soon\" is no duration",
        "q.toml:9:2: unknown section `limit`; did you mean `limits`?; known sections: ",
        "q.toml:13:1: unknown key `ü` in [limits]; known keys: connections, ",
        "q.toml:14:11: [limits] headers: 0 is not within 1 to 1000",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (message, start) in found.iter().zip(expected) {
        assert!(message.starts_with(start), "{message}\nshould start with\n{start}");
    }
}

#[test]
fn syntax_errors_come_all_at_once() {
    let found = mistakes("[server]\nlisten = \nroles = [\n", &[]);
    assert!(found.len() >= 2, "{found:#?}");
    assert!(found[0].starts_with("q.toml:2:"), "{found:#?}");
}

#[test]
fn the_environment_wins_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.toml");
    fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\ndrain_timeout = \"2s\"\n").unwrap();
    let environment = [
        ("QUIZMENTOR__SERVER__LISTEN", "127.0.0.1:2"),
        ("QUIZMENTOR__SERVER__ROLES", "[\"web\", \"jobs\"]"),
        ("QUIZMENTOR__LIMITS__STREAMS", "7"),
        ("QUIZMENTOR__SERVER__DATA_DIR", "2026"),
        ("QUIZMENTORS", "not ours"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = load(Some(&file), environment).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.drain_timeout, Duration::from_secs(2));
    assert_eq!(config.server.roles, [Role::Web, Role::Jobs]);
    assert_eq!(config.limits.streams, 7);
    assert_eq!(config.server.data_dir.as_deref(), Some(Path::new("2026")));
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let found = mistakes(
        "",
        &[
            ("QUIZMENTOR__LIMITS__STREAMS", "many"),
            ("QUIZMENTOR__LISTEN", "127.0.0.1:1"),
            ("QUIZMENTOR__SERVER__LISTN", "127.0.0.1:1"),
        ],
    );
    let expected = [
        "environment variable QUIZMENTOR__LIMITS__STREAMS: [limits] streams: invalid type: ",
        "environment variable QUIZMENTOR__LISTEN: write QUIZMENTOR__SECTION__KEY; known sections",
        "environment variable QUIZMENTOR__SERVER__LISTN: unknown key `listn` in [server]; did you \
         mean `listen`?",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (message, start) in found.iter().zip(expected) {
        assert!(message.starts_with(start), "{message}\nshould start with\n{start}");
    }
}

#[test]
fn the_printed_defaults_change_nothing() {
    assert_eq!(mistakes(DEFAULTS, &[]), [""; 0]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.toml");
    fs::write(&file, DEFAULTS).unwrap();
    assert_eq!(load(Some(&file), []).unwrap(), load(None, []).unwrap());
}

#[test]
fn a_missing_file_is_named() {
    let Err(found) = load(Some(Path::new("/nowhere/q.toml")), []) else { panic!("it is missing") };
    assert!(found.to_string().starts_with("/nowhere/q.toml: cannot be read: "), "{found}");
}
