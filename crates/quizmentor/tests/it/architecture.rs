//! The shape of the workspace that ARCHITECTURE.md describes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// From the bottom up; a crate may build on those of the layers below its own.
const LAYERS: [&[&str]; 4] = [
    &["quizmentor-core"],
    &[
        "quizmentor-formats",
        "quizmentor-bloom",
        "quizmentor-adaptive",
        "quizmentor-store",
        "quizmentor-services",
    ],
    &["quizmentor-api"],
    &["quizmentor", TESTKIT],
];
const TESTKIT: &str = "quizmentor-testkit";

fn layer(name: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&name));
    found.unwrap_or_else(|| panic!("{name} has no place"))
}

fn workspace() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    command.no_deps().exec().unwrap()
}

/// Names of the workspace's crates that `package` depends on, by kind of dependency.
fn own(package: &Package) -> impl Iterator<Item = (&str, DependencyKind)> {
    let own = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
    own.map(|dependency| (dependency.name.as_str(), dependency.kind))
}

#[test]
fn dependencies_point_one_way() {
    let workspace = workspace();
    for package in &workspace.packages {
        let name = package.name.as_str();
        for (on, _) in own(package).filter(|(_, kind)| *kind != DependencyKind::Development) {
            assert!(layer(on) < layer(name), "{name} must not depend on {on}");
        }
    }
    assert_eq!(workspace.packages.len(), LAYERS.concat().len());
}

#[test]
fn the_testkit_is_for_tests_only() {
    let workspace = workspace();
    let users: Vec<_> = workspace
        .packages
        .iter()
        .flat_map(|package| own(package).map(|(on, kind)| (package.name.as_str(), on, kind)))
        .filter(|(_, on, _)| *on == TESTKIT)
        .collect();
    assert!(!users.is_empty());
    for (user, _, kind) in users {
        assert_eq!(kind, DependencyKind::Development, "{user} must not ship the testkit");
    }
}

#[test]
fn nothing_comes_from_a_git_repository() {
    let workspace = workspace();
    for package in &workspace.packages {
        for dependency in &package.dependencies {
            let source = dependency.source.as_ref().map_or_else(String::new, ToString::to_string);
            assert!(!source.starts_with("git+"), "{}: {source}", package.name);
        }
    }
    let lock = fs::read_to_string(workspace.workspace_root.join("Cargo.lock")).unwrap();
    assert!(lock.contains("source = \"registry+"));
    assert!(!lock.contains("source = \"git+"));
}

/// Rust files in a folder and those in it.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![path],
            _ => vec![],
        })
        .collect()
}

#[test]
fn unsafe_code_is_where_it_is_said_to_be() {
    let crates = workspace().workspace_root.join("crates");
    let mut found: Vec<_> = sources(crates.as_std_path())
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().contains(concat!("(unsafe", "_code")))
        .map(|path| path.strip_prefix(&crates).unwrap().display().to_string())
        .collect();
    found.sort();
    assert_eq!(found, ["bloom/src/kernel/mapped.rs", "bloom/src/kernel/x86.rs"]);
}
