//! The OpenAPI description and the pages.

use std::{fs, path::Path};

use quizmentor_testkit::Installation;
use serde_json::{Map, Value, json};

fn description() -> Value {
    json!(quizmentor_api::openapi())
}

/// Path, method and operation of each.
fn operations(description: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(|(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

#[test]
fn the_description_is_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_sort_maps(true);
    settings.bind(|| insta::assert_json_snapshot!("openapi", description()));
}

#[tokio::test]
async fn the_description_is_served() {
    let installation = Installation::new(&[]).await;
    let served = installation.anyone().get("/openapi.json").await;
    assert_eq!(served.expect(200), description());
    assert_eq!(served.header("content-type"), "application/json");
}

#[test]
fn every_operation_is_described_in_full() {
    let description = description();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(description["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let open = ["/v1/auth/guest", "/v1/auth/link", "/v1/subjects"];
    let mut ids = Vec::new();
    for (path, method, operation) in operations(&description) {
        let name = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}");
        ids.push(operation["operationId"].as_str().unwrap());
        let guarded = operation["security"].as_array().is_some_and(|all| !all.is_empty());
        assert_eq!(guarded, !open.contains(&path), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        check_errors(&name, responses, guarded);
        for parameter in path.split('/').filter(|part| part.starts_with('{')) {
            let parameters = operation["parameters"].as_array().unwrap();
            let described = |p: &Value| p["name"] == parameter.trim_matches(['{', '}']);
            assert!(parameters.iter().any(described), "{name}");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids must differ");
}

/// Every error is a problem document, also those not named one by one.
fn check_errors(name: &str, responses: &Map<String, Value>, guarded: bool) {
    assert!(responses.contains_key("default"), "{name}: {:?}", responses.keys());
    assert!(!guarded || responses.contains_key("401"), "{name}");
    for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
        let schema = &response["content"]["application/problem+json"]["schema"];
        assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{name} {status}");
    }
}

#[test]
fn every_reference_has_its_target() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            _ => {}
        }
    }
    let description = description();
    let mut found = Vec::new();
    references(&description, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_route_of_the_sources_is_described() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/routes");
    let description = description();
    let mut count = 0;
    for file in fs::read_dir(sources).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        // Route patterns are whole literals; other mentions stand in sentences.
        for path in text.split('"').filter(|part| part.starts_with("/v1/")) {
            assert!(description["paths"][path].is_object(), "{path}");
            count += 1;
        }
    }
    assert_eq!(count, operations(&description).len());
}

#[tokio::test]
async fn every_operation_has_its_route() {
    let installation = Installation::new(&[]).await;
    let admin = installation.admin().await;
    for (method, path) in crate::roles::routes() {
        let reply = admin.send_body(method.clone(), &path, "application/json", "").await;
        assert_ne!(reply.status, 405, "{method} {path}");
        assert!(!reply.text().contains("/docs lists the API"), "{method} {path}");
    }
}

/// Where a page gets its scripts, styles and pictures.
fn sources(html: &str) -> Vec<&str> {
    ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|attribute| html.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|source| !source.starts_with('#'))
        .collect()
}

#[tokio::test]
async fn the_pages_need_nothing_from_elsewhere() {
    let installation = Installation::new(&[]).await;
    let anyone = installation.anyone();
    let moved = anyone.get("/docs").await;
    assert!(moved.status.is_redirection(), "{}", moved.status);
    assert_eq!(moved.header("location"), "/docs/");
    for (page, folder) in [("/docs/", "/docs/"), ("/", "/")] {
        let html = anyone.get(page).await;
        assert_eq!(html.status, 200);
        assert!(html.header("content-type").starts_with("text/html"));
        let sources = sources(html.text());
        assert!(sources.len() >= 2, "{page}");
        for source in sources {
            assert!(!source.contains("//"), "{page} refers to {source}");
            let path = source.trim_start_matches("./").trim_start_matches('/');
            let file = anyone.get(&format!("{folder}{path}")).await;
            let is_there = file.status.is_success() && !file.body.is_empty();
            assert!(is_there || file.status.is_redirection(), "{page} refers to {source}");
        }
    }
    let settings = anyone.get("/docs/swagger-initializer.js").await;
    assert!(settings.text().contains("/openapi.json"), "{}", settings.text());
    assert!(!settings.text().contains("http"), "{}", settings.text());
}

#[tokio::test]
async fn the_web_page_is_guarded_by_its_policy() {
    let installation = Installation::new(&[]).await;
    for path in ["/", "/app.js", "/style.css", "/favicon.svg"] {
        let reply = installation.anyone().get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("content-security-policy").contains("default-src 'self'"));
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
}
