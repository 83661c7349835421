//! Import and export of whole banks.

use axum::http::Method;
use quizmentor_core::{Body, Level, Status, limits};
use quizmentor_testkit::{
    Client, Installation, Reply,
    questions::{every_kind, question, statements},
};
use serde_json::{Value, json};

async fn import(author: &Client, query: &str, text: &str) -> Reply {
    let path = format!("/v1/questions/import{query}");
    author.send_body(Method::POST, &path, "text/plain; charset=utf-8", text.to_owned()).await
}

fn counts(reply: &Value) -> [u64; 4] {
    let problems = reply["problems"].as_array().unwrap().len() as u64;
    let count = |field: &str| reply[field].as_u64().unwrap();
    [count("created"), count("updated"), count("unchanged"), problems]
}

#[tokio::test]
async fn imports_count_what_they_change() {
    let installation = Installation::new(&[]).await;
    let author = installation.author().await;
    let first = "$CATEGORY: Biology/Cells\n\n// [id:a]\nCells divide. {T}\n\n// [id:b]\nRNA is a \
                 protein. {F}\n";
    for (text, expected) in [
        (first.to_owned(), [2, 0, 0, 0]),
        (first.to_owned(), [0, 0, 2, 0]),
        (first.replace("divide", "always divide"), [0, 1, 1, 0]),
        (format!("{first}\n// [id:c]\nPlants breathe. {{T}}\n"), [1, 1, 1, 0]),
        (String::new(), [0, 0, 0, 0]),
    ] {
        let reply = import(&author, "", &text).await.expect(200);
        assert_eq!(counts(&reply), expected, "{text}");
    }
    let subjects = author.get("/v1/subjects").await.expect(200);
    assert_eq!(subjects["subjects"][0]["id"], "biology");
    assert_eq!(subjects["subjects"][0]["questions"], 3);
}

#[tokio::test]
async fn problems_are_named_with_their_lines_and_cost_nothing_else() {
    let installation = Installation::new(&[]).await;
    let author = installation.author().await;
    let text = "// [id:a]\nOne {T}\n\nTwo {=a\n\nThree {~x ~y}\n\n// [id:d]\nFour {T}\n";
    let reply = import(&author, "", text).await.expect(200);
    assert_eq!(counts(&reply), [2, 0, 0, 2], "{reply}");
    let problems = reply["problems"].as_array().unwrap();
    let lines: Vec<_> = problems.iter().map(|problem| problem["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [4, 6]);
    for problem in problems {
        assert!(problem["column"].as_u64().unwrap() >= 1);
        assert!(!problem["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_query_names_where_loose_questions_go() {
    let installation = Installation::new(&[]).await;
    let author = installation.author().await;
    import(&author, "?subject=Computer%20science&skill=Graphs", "Trees are graphs. {T}")
        .await
        .expect(200);
    import(&author, "", "Water is wet. {T}").await.expect(200);
    let listed = author.get("/v1/questions").await.expect(200);
    let mut skills: Vec<_> =
        listed["questions"].as_array().unwrap().iter().map(|q| q["skill"].to_string()).collect();
    skills.sort();
    assert_eq!(skills, ["\"computer-science/graphs\"", "\"general/general\""]);
    for query in ["?subject=%E2%80%A6", "?skill=--", "?subject="] {
        import(&author, query, "A {T}").await.problem(422);
    }
    let endless = format!("?subject={}", "x".repeat(limits::TITLE + 1));
    let reply = import(&author, &endless, "A {T}").await.expect(200);
    assert_eq!(counts(&reply)[0], 0, "{reply}");
    assert!(!reply["problems"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn an_export_imports_as_unchanged() {
    let mut bank = every_kind();
    bank.push(question("essay", "Discuss: “1 = {2}” ~ # : \\ $CATEGORY: x", Body::Essay));
    bank[0].title = "Power :: house".into();
    bank[1].tags = vec!["exam 2".into(), "ž".into()];
    bank[2].difficulty = Some(4);
    bank[3].level = Some(Level::Create);
    bank[4].status = Status::Draft;
    bank[5].stem = "Line one\nline two".into();
    bank[5].skill = "physics/motion".parse().unwrap();
    bank[5].subject_name = "Physics".into();
    bank[5].skill_name = "Motion".into();
    let installation = Installation::new(&bank).await;
    let author = installation.author().await;

    let export = author.get("/v1/questions/export").await;
    assert_eq!(export.header("content-type"), "text/plain; charset=utf-8");
    let reply = import(&author, "", export.text()).await.expect(200);
    assert_eq!(counts(&reply), [0, 0, bank.len() as u64, 0], "{reply}");

    let other = Installation::new(&[]).await;
    let other_author = other.author().await;
    let reply = import(&other_author, "", export.text()).await.expect(200);
    assert_eq!(counts(&reply), [bank.len() as u64, 0, 0, 0], "{reply}");
    assert_eq!(other_author.get("/v1/questions/export").await.text(), export.text());
    for question in &bank {
        let path = format!("/v1/questions/{}", question.id);
        assert_eq!(other_author.get(&path).await.expect(200), json!(question));
    }

    let physics = author.get("/v1/questions/export?subject=physics").await;
    assert!(physics.text().contains("[id:match]") && !physics.text().contains("[id:single]"));
}

#[tokio::test]
async fn archived_questions_are_not_exported() {
    let mut bank = statements(2);
    bank[0].status = Status::Archived;
    let installation = Installation::new(&bank).await;
    let export = installation.author().await.get("/v1/questions/export").await;
    assert!(export.text().contains("cell-1") && !export.text().contains("cell-0"));
}
