//! Processes of one role each, behind a front door that knows which role serves which path.

use serde_json::Value;

use crate::process::Server;

/// Path prefixes and their roles, as the fleet's front doors have them.
const ROUTES: &str = include_str!("../../../../nixos/rollout/routes.map");

/// The role of the longest prefix of `path`; what has none is the web role's.
fn role(path: &str) -> &str {
    ROUTES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(prefix, _)| path.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or("web", |(_, role)| role)
}

#[test]
fn front_doors_send_each_path_to_a_role_that_serves_it() {
    for part in ["adaptive", "bank", "bloom", "web"] {
        let server = Server::start(&[("QUIZMENTOR__SERVER__ROLES", &format!("[\"{part}\"]"))]);
        let description = server.get("/openapi.json");
        let (_, description) = description.split_once("\r\n\r\n").unwrap();
        let description: Value = serde_json::from_str(description).unwrap();
        let described: Vec<_> = description["paths"].as_object().unwrap().keys().collect();
        assert!(described.len() > 10, "every process describes the whole API");
        for path in described.into_iter().filter(|path| role(path) == part).map(String::as_str) {
            let answer = server.get(&path.replace(['{', '}'], ""));
            assert!(!answer.contains("There is nothing at"), "{part} does not serve {path}");
        }
        assert_eq!(server.get("/").contains("QuizMentor"), part == "web");
    }
}
