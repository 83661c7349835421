//! Each rule with an item that it finds and one that it nearly finds.

use quizmentor_core::{
    AcceptedText, Body, Choice, Level, Pair, Question, QuestionId, SkillId, Status, TextFormat,
};

use super::{Item, check};
use crate::{Rule, Severity};

fn question(stem: &str, body: Body) -> Question {
    Question {
        id: QuestionId::new("q-1").unwrap(),
        skill: SkillId::new("biology/cells").unwrap(),
        subject_name: "Biology".into(),
        skill_name: "Cells".into(),
        title: String::new(),
        stem: stem.into(),
        format: TextFormat::Plain,
        body,
        explanation: "Because it is so.".into(),
        level: Some(Level::Remember),
        difficulty: None,
        tags: vec![],
        status: Status::Published,
    }
}

fn choices(options: &[&str], keys: usize) -> Vec<Choice> {
    let credit = |index| if index < keys { 1.0 / keys as f64 } else { 0.0 };
    let choice = |(index, text): (usize, &&str)| Choice {
        text: (*text).into(),
        credit: credit(index),
        feedback: String::new(),
    };
    options.iter().enumerate().map(choice).collect()
}

/// The first option is the key.
fn single(stem: &str, options: &[&str]) -> Question {
    question(stem, Body::SingleChoice { options: choices(options, 1) })
}

fn multiple(options: &[&str], keys: usize) -> Question {
    question(
        "Which of these are noble gases?",
        Body::MultipleChoice { options: choices(options, keys) },
    )
}

fn statement(stem: &str) -> Question {
    let body =
        Body::TrueFalse { key: true, feedback_right: String::new(), feedback_wrong: String::new() };
    question(stem, body)
}

fn short(stem: &str, answer: &str) -> Question {
    let accepted = AcceptedText { text: answer.into(), credit: 1.0, feedback: String::new() };
    question(stem, Body::ShortAnswer { accepted: vec![accepted] })
}

fn matching(pairs: &[(&str, &str)]) -> Question {
    let pair =
        |&(prompt, answer): &(&str, &str)| Pair { prompt: prompt.into(), answer: answer.into() };
    question(
        "Match each country with its capital.",
        Body::Matching { pairs: pairs.iter().map(pair).collect() },
    )
}

const GASES: [&str; 3] = ["Neon", "Oxygen", "Hydrogen"];

fn rules(question: &Question) -> Vec<Rule> {
    check(&Item::new(question)).into_iter().map(|finding| finding.rule).collect()
}

/// `hit` breaks the rule and `near_miss` nearly does.
fn tells(rule: Rule, hit: &Question, near_miss: &Question) {
    assert!(rules(hit).contains(&rule), "{rule:?} missed {:?}: {:?}", hit.stem, rules(hit));
    assert!(!rules(near_miss).contains(&rule), "{rule:?} wrongly found in {near_miss:?}");
}

#[test]
fn a_sound_item_has_no_findings() {
    assert_eq!(rules(&single("Which of these is a noble gas?", &GASES)), []);
    assert_eq!(rules(&statement("Water boils at a lower temperature on high mountains.")), []);
    assert_eq!(rules(&short("Name the gas that plants take in by day.", "carbon dioxide")), []);
}

#[test]
fn stems() {
    tells(Rule::StemEmpty, &single(" \n", &GASES), &single("Why?", &GASES));
    tells(
        Rule::StemTooLong,
        &single(&"word ".repeat(121), &GASES),
        &single(&"word ".repeat(120), &GASES),
    );
    tells(
        Rule::MissingFigure,
        &single("Which gas does the figure below show?", &GASES),
        &single("Which gas figures in the table of elements?", &GASES),
    );
    tells(
        Rule::MissingFigure,
        &single("In the diagram shown, which gas escapes?", &GASES),
        &single("In the diagram shown, which gas escapes? <img src='a.png'>", &GASES),
    );
    tells(
        Rule::UnsupportedMarkup,
        &single("Which of these is a <b>noble</b> gas?", &GASES),
        &single("For which gas is 1 < x < 2?", &GASES),
    );
    tells(
        Rule::UnsupportedMarkup,
        &single("What is \\(x^2\\)?", &GASES),
        &single("What is 2 ** 3 ** 1?", &GASES),
    );
    let mut html = single("Which of these is a <b>noble</b> gas?", &GASES);
    html.format = TextFormat::Html;
    assert_eq!(rules(&html), []);
    tells(
        Rule::BrokenText,
        &single("Which cafÃ© is it?", &GASES),
        &single("Which café is it?", &GASES),
    );
    let unexplained = |feedback: &str| {
        let mut question = single("Which of these is a noble gas?", &GASES);
        question.explanation = " ".into();
        if let Body::SingleChoice { options } = &mut question.body {
            options[0].feedback = feedback.into();
        }
        question
    };
    tells(Rule::NoExplanation, &unexplained(""), &unexplained("Its shell is full."));
}

#[test]
fn negations() {
    for (hit, near_miss) in [
        ("Which of these is not a noble gas?", "Which of these is NOT a noble gas?"),
        ("All of the following are gases except:", "Which gas, other than neon, is noble?"),
        ("What is not a gas?", "What happens if you do not open the valve?"),
        ("Which gas is least dense?", "The lamp does not light. Which gas is in it?"),
    ] {
        tells(Rule::NegativeStem, &single(hit, &GASES), &single(near_miss, &GASES));
    }
    tells(Rule::NegativeStem, &statement("Neon does not burn."), &statement("Neon does NOT burn."));
    tells(
        Rule::DoubleNegative,
        &single("Which is NOT true of neon?", &["It does not glow", "It is a gas", "It is noble"]),
        &single("Which is true of neon?", &["It does not burn", "It is a metal", "It is blue"]),
    );
}

#[test]
fn cues() {
    tells(
        Rule::ArticleCue,
        &single(
            "A plant cell differs from a bacterium in that it has an",
            &["organelle", "wall", "ribosome"],
        ),
        &single("A cell has an", &["organelle", "envelope", "axon"]),
    );
    tells(
        Rule::ArticleCue,
        &single("Neon is a ____ of group 18.", &["gas", "alloy", "metal"]),
        &single("Neon is a(n) ____ of group 18.", &["gas", "alloy", "metal"]),
    );
    tells(
        Rule::KeyEchoesStem,
        &single("What carries genetic information?", &["A genetic code", "A lipid", "A sugar"]),
        &single(
            "What carries genetic information?",
            &["A genetic code", "A genetic drift", "A sugar"],
        ),
    );
    tells(
        Rule::AnswerInStem,
        &short("By what name is the noble gas argon known?", "Argon"),
        &short("By what name is the jargon of chemists known?", "Argon"),
    );
    tells(
        Rule::AbsoluteStatement,
        &statement("Metals are always solid."),
        &statement("Metals are mostly solid at the Almadén mine."),
    );
    tells(
        Rule::AbsoluteDistractors,
        &single("What do cells do?", &["They divide", "They never rest", "They sleep"]),
        &single("What do cells do?", &["They all divide", "They never rest", "They sleep"]),
    );
    tells(
        Rule::LongestKey,
        &single(
            "What do cells do?",
            &["They divide once they have copied their DNA", "They sleep", "They burn"],
        ),
        &single("What do cells do?", &["They divide fully", "They sleep", "They burn"]),
    );
    let long = "They dissolve themselves in whatever liquid happens to be around";
    tells(
        Rule::UnevenOptions,
        &single("What do cells do?", &["They divide", "They sleep", long]),
        &single("What do cells do?", &["They divide", "They sleep", "They dissolve in any liquid"]),
    );
}

#[test]
fn options() {
    let stem = "Which of these is a noble gas?";
    tells(Rule::TooFewOptions, &single(stem, &GASES[..2]), &single(stem, &GASES));
    tells(
        Rule::DuplicateOptions,
        &single(stem, &["Neon", "Iron", "Iron "]),
        &single(stem, &["Co", "CO", "Fe"]),
    );
    tells(
        Rule::DuplicateOptions,
        &matching(&[("Peru", "Lima"), ("Peru", "Oslo"), ("", "Rome")]),
        &matching(&[("Peru", "Lima"), ("Port of Lima", "Lima"), ("", "Rome")]),
    );
    tells(
        Rule::NearDuplicateOptions,
        &single(stem, &["Neon", "The iron.", "Iron"]),
        &single(stem, &["Sodium ions", "Sodium’s ion", "3.5", "35"]),
    );
    tells(
        Rule::AllOfTheAbove,
        &single(stem, &["Neon", "Iron", "All of the above"]),
        &single(stem, &["Neon", "Iron", "All of the planets"]),
    );
    tells(
        Rule::NoneOfTheAbove,
        &single(stem, &["Neon", "Iron", "None of these"]),
        &single(stem, &["Neon", "Iron", "None"]),
    );
    tells(
        Rule::OverlappingRanges,
        &single("How many?", &["1–10", "10–20", "21–30"]),
        &single("How many?", &["under 10", "10–20", "over 20"]),
    );
    tells(
        Rule::AllOptionsRight,
        &multiple(&["Neon", "Argon"], 2),
        &multiple(&["Neon", "Argon", "Iron"], 2),
    );
    tells(Rule::OneOptionRight, &multiple(&GASES, 1), &multiple(&["Neon", "Argon", "Iron"], 2));
    tells(
        Rule::NoSpareAnswer,
        &matching(&[("Peru", "Lima"), ("Norway", "Oslo")]),
        &matching(&[("Peru", "Lima"), ("Norway", "Oslo"), ("", "Rome")]),
    );
    tells(Rule::AcceptsAnything, &short("Name a gas.", "*"), &short("Name a gas.", "ne*n"));
}

#[test]
fn findings_name_place_and_remedy() {
    let found = check(&Item::new(&single("Which is noble?", &["Neon", "Iron", "Iron"])));
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((only.severity, only.field.as_str()), (Severity::Error, "body.options[2].text"));
    assert_eq!(only.message, "“Iron” is there twice. Remove one, or change it.");
}
