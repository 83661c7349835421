//! Small sound questions, and responses to them.

use quizmentor_core::{
    AcceptedNumber, AcceptedText, Body, Choice, Level, Pair, Question, QuestionId, SkillId, Status,
    TextFormat,
};
use serde_json::{Value, json};

/// Stands in every text that a learner may see only after the answer.
pub const SECRET: &str = "hush";

/// A published question on cells.
#[must_use]
pub fn question(id: &str, stem: &str, body: Body) -> Question {
    Question {
        id: QuestionId::new(id).unwrap(),
        skill: SkillId::new("biology/cells").unwrap(),
        subject_name: "Biology".into(),
        skill_name: "Cells".into(),
        title: String::new(),
        stem: stem.into(),
        format: TextFormat::Plain,
        body,
        explanation: format!("{SECRET}: respiration ends in the mitochondria."),
        level: Some(Level::Remember),
        difficulty: None,
        tags: vec![],
        status: Status::Published,
    }
}

/// `count` true statements on cells, `cell-0` and so on.
#[must_use]
pub fn statements(count: usize) -> Vec<Question> {
    (0..count)
        .map(|i| {
            let stem = format!("Cells of sample {i} have a membrane.");
            question(&format!("cell-{i}"), &stem, statement(true))
        })
        .collect()
}

/// A question of each kind that is scored by the machine.
#[must_use]
pub fn every_kind() -> Vec<Question> {
    vec![
        question("single", "Which organelle makes most ATP?", single_choice()),
        question("multiple", "Which of these have two membranes?", multiple_choice()),
        question("truth", "Ribosomes are made of RNA and protein.", statement(true)),
        question("short", "Name the carrier of energy in cells.", short_answer()),
        question("number", "How many pairs of chromosomes have humans?", numerical()),
        question("match", "Match each organelle with its work.", matching()),
    ]
}

fn statement(key: bool) -> Body {
    Body::TrueFalse {
        key,
        feedback_right: format!("{SECRET}: yes."),
        feedback_wrong: format!("{SECRET}: no."),
    }
}

fn choice(text: &str, credit: f64) -> Choice {
    Choice { text: text.into(), credit, feedback: format!("{SECRET}: about {text}.") }
}

fn single_choice() -> Body {
    let options = [("Ribosome", 0.0), ("Mitochondrion", 1.0), ("Vacuole", 0.0), ("Nucleus", 0.0)];
    Body::SingleChoice { options: options.map(|(text, credit)| choice(text, credit)).into() }
}

fn multiple_choice() -> Body {
    let options =
        [("Nucleus", 0.5), ("Ribosome", -0.5), ("Chloroplast", 0.5), ("Centrosome", -0.5)];
    Body::MultipleChoice { options: options.map(|(text, credit)| choice(text, credit)).into() }
}

fn short_answer() -> Body {
    let accepted = |text: &str, credit| AcceptedText {
        text: text.into(),
        credit,
        feedback: format!("{SECRET}: good."),
    };
    Body::ShortAnswer { accepted: vec![accepted("ATP", 1.0), accepted("adenosine*", 0.5)] }
}

fn numerical() -> Body {
    let feedback = format!("{SECRET}: counted.");
    Body::Numerical {
        accepted: vec![AcceptedNumber { min: 23.0, max: 23.0, credit: 1.0, feedback }],
    }
}

fn matching() -> Body {
    let pairs = [
        ("Ribosome", "protein"),
        ("Chloroplast", "photosynthesis"),
        ("Mitochondrion", "respiration"),
        ("", "digestion"),
    ];
    let pair =
        |(prompt, answer): (&str, &str)| Pair { prompt: prompt.into(), answer: answer.into() };
    Body::Matching { pairs: pairs.map(pair).into() }
}

/// A fully right or fully wrong response to `question` as it was presented.
#[must_use]
pub fn response(question: &Question, presented: &Value, right: bool) -> Value {
    let at = |list: &str, text: &str| {
        let shown = presented["body"][list].as_array().unwrap();
        shown.iter().position(|option| option == text).unwrap()
    };
    match &question.body {
        Body::SingleChoice { options } => {
            let chosen = options.iter().find(|option| (option.credit == 1.0) == right).unwrap();
            json!({ "option": at("options", &chosen.text) })
        }
        Body::MultipleChoice { options } => {
            let chosen = options.iter().filter(|option| (option.credit > 0.0) == right);
            let positions: Vec<_> = chosen.map(|option| at("options", &option.text)).collect();
            json!({ "options": positions })
        }
        Body::TrueFalse { key, .. } => json!({ "truth": *key == right }),
        Body::ShortAnswer { accepted } => {
            json!({ "text": if right { &accepted[0].text } else { "no idea" } })
        }
        Body::Numerical { accepted } => {
            json!({ "number": if right { accepted[0].min } else { accepted[0].max + 1e6 } })
        }
        Body::Matching { pairs } => {
            let answers = pairs.iter().map(|pair| pair.answer.as_str());
            let given = answers.cycle().skip(usize::from(!right));
            let prompts = pairs.iter().filter(|pair| !pair.prompt.is_empty());
            let positions: Vec<_> =
                prompts.zip(given).map(|(_, answer)| at("answers", answer)).collect();
            json!({ "answers": positions })
        }
        Body::Essay => json!({ "text": "It depends." }),
    }
}
