use std::{fs, process::Output};

use crate::process::quizmentor;

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = quizmentor();
    command.args(arguments).envs(settings.iter().copied()).output().unwrap()
}

#[test]
fn check_explains_every_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quizmentor.toml");
    fs::write(
        &file,
        "[server]\n\
         lisen = \"0.0.0.0:80\"\n\
         request_timeout = \"ten seconds\"\n\
         \n\
         [limits]\n\
         \x20 header_bytes = 100\n\
         \n\
         [loging]\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let output = run(&["config", "check", path], &[("QUIZMENTOR__LOG__FILTER", "quizmentor=loud")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let messages = String::from_utf8(output.stderr).unwrap().replace(path, "quizmentor.toml");
    insta::assert_snapshot!(messages);
}

#[test]
fn serve_refuses_what_check_refuses() {
    let output = run(&["serve"], &[("QUIZMENTOR__SERVER__ROLES", "bloom,wob")]);
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.starts_with("environment variable QUIZMENTOR__SERVER__ROLES: "), "{err}");
}

#[test]
fn what_print_prints_passes_check() {
    let printed = run(&["config", "print"], &[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quizmentor.toml");
    fs::write(&file, printed.stdout).unwrap();
    let output = run(&["config", "check", file.to_str().unwrap()], &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"no mistakes found\n");
}
