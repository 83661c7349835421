use serde_json::Value;

use crate::process::{Server, quizmentor};

#[test]
fn learners_find_every_acknowledged_answer() {
    let server = Server::start(&[]);
    let url = format!("http://{}/", server.address);
    let run = ["simulate", "--url", &url, "--learners", "100", "--seconds", "8", "--seed", "3"];
    let output = quizmentor().args(run).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{err}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["answers_acknowledged"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["answers_found"], report["answers_acknowledged"], "{report}");
    assert_eq!(report["counted_twice"], 0, "{report}");
    assert!(report["ability_gain"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn what_cannot_be_simulated_is_explained() {
    let server = Server::start(&[]);
    let url = format!("http://{}", server.address);
    let explained = |arguments: &[&str]| {
        let run = ["simulate", "--learners", "1", "--seconds", "1"];
        let output = quizmentor().args(run).args(arguments).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let err = explained(&["--url", "localhost:8080"]);
    assert!(err.contains("an address such as http://127.0.0.1:8080 is needed"), "{err}");
    let err = explained(&["--url", &format!("{url}/elsewhere")]);
    assert!(err.contains("no QuizMentor server answers at"), "{err}");
    let err = explained(&["--url", &url, "--subject", "alchemy"]);
    assert!(err.contains("there is no subject alchemy to practise; there are: biology"), "{err}");
}
