//! Every construct of GIFT, by hand.

use quizmentor_core::{
    AcceptedNumber, AcceptedText, Body, Level, Pair, QuestionId, Status, TextFormat,
};
use quizmentor_formats::derived_id;

use crate::support::{choice, question, questions};

fn text(text: &str, credit: f64, feedback: &str) -> AcceptedText {
    AcceptedText { text: text.into(), credit, feedback: feedback.into() }
}

fn range(min: f64, max: f64, credit: f64, feedback: &str) -> AcceptedNumber {
    AcceptedNumber { min, max, credit, feedback: feedback.into() }
}

fn pair(prompt: &str, answer: &str) -> Pair {
    Pair { prompt: prompt.into(), answer: answer.into() }
}

#[test]
fn single_choice_with_everything() {
    let question = question(
        "// A note for authors.\n\
         // [id:geo-rivers-7] [tag:bloom:understand] [tag:difficulty:3] [tag:rivers] [tag:set\\]2]\n\
         ::Longest river::[markdown]Which river is the *longest* in Europe? {\n\
         \t~Danube#Second,\n\
         \t  after another.\n\
         \t=Volga#Right\\: 3530 km.\n\
         \t~%25%Ural\n\
         \t// not an option\n\
         \t####It runs to the Caspian Sea.\n\
         }\n",
    );
    assert_eq!(question.id.as_str(), "geo-rivers-7");
    assert_eq!(question.skill.as_str(), "trivia/odds-and-ends");
    assert_eq!(
        (question.subject_name.as_str(), question.skill_name.as_str()),
        ("Trivia", "Odds and ends")
    );
    assert_eq!(question.title, "Longest river");
    assert_eq!(question.stem, "Which river is the *longest* in Europe?");
    assert_eq!(question.format, TextFormat::Markdown);
    assert_eq!(
        question.body,
        Body::SingleChoice {
            options: vec![
                choice("Danube", 0.0, "Second,\nafter another."),
                choice("Volga", 1.0, "Right: 3530 km."),
                choice("Ural", 0.25, ""),
            ]
        }
    );
    assert_eq!(question.explanation, "It runs to the Caspian Sea.");
    assert_eq!((question.level, question.difficulty), (Some(Level::Understand), Some(3)));
    assert_eq!(question.tags, ["rivers", "set]2"]);
    assert_eq!(question.status, Status::Published);
}

#[test]
fn multiple_answers_with_weights_of_both_signs() {
    let question = question("Even? {~%33.33333%2 ~%33.33333%4 ~%33.33334%6 ~%-100%7 ~%-.5%9 ~11}");
    let Body::MultipleChoice { options } = question.body else { panic!("{question:?}") };
    let credits: Vec<_> = options.iter().map(|o| (o.text.as_str(), o.credit)).collect();
    assert_eq!(
        credits,
        [
            ("2", 0.333_333_3),
            ("4", 0.333_333_3),
            ("6", 0.333_333_4),
            ("7", -1.0),
            ("%-.5%9", 0.0),
            ("11", 0.0),
        ]
    );
}

#[test]
fn choices_on_one_line_and_weights_after_equals() {
    let question = question("2 + 2? {~3=%100%4#Yes~5 #No}");
    let options = vec![choice("3", 0.0, ""), choice("4", 1.0, "Yes"), choice("5", 0.0, "No")];
    assert_eq!(question.body, Body::SingleChoice { options });
}

#[test]
fn statements() {
    for (answer, key, wrong, right, why) in [
        ("T", true, "", "", ""),
        (" TRUE ", true, "", "", ""),
        ("F#Look again", false, "Look again", "", ""),
        ("FALSE#No#Yes", false, "No", "Yes", ""),
        ("T##Yes", true, "", "Yes", ""),
        ("T # No # Yes # indeed = so", true, "No", "Yes # indeed = so", ""),
        ("TRUE####Because.", true, "", "", "Because."),
        ("TRUE#No#Yes\n####Because.", true, "No", "Yes", "Because."),
    ] {
        let question = question(&format!("Water is wet.{{{answer}}}"));
        let expected =
            Body::TrueFalse { key, feedback_right: right.into(), feedback_wrong: wrong.into() };
        assert_eq!(question.body, expected, "{answer}");
        assert_eq!((question.stem.as_str(), question.explanation.as_str()), ("Water is wet.", why));
    }
}

#[test]
fn short_answers() {
    let accepted = vec![
        text("Nile", 1.0, "Well done"),
        text("the Nile", 1.0, ""),
        text("Amazon", 0.5, "Close"),
        text("*", 0.0, "No"),
    ];
    let body = Body::ShortAnswer { accepted };
    assert_eq!(
        question("Longest? {=Nile#Well done =the Nile =%50%Amazon#Close =%0%*#No}").body,
        body
    );

    let lone = question("Capital of France? {Paris}").body;
    assert_eq!(lone, Body::ShortAnswer { accepted: vec![text("Paris", 1.0, "")] });
    let arrow = question("An implication? {=%100%a -> b}").body;
    assert_eq!(arrow, Body::ShortAnswer { accepted: vec![text("a -> b", 1.0, "")] });
    let truth = question("The opposite of false? {=TRUE}").body;
    assert_eq!(truth, Body::ShortAnswer { accepted: vec![text("TRUE", 1.0, "")] });
}

#[test]
fn numbers() {
    for (answer, expected) in [
        ("#42", vec![range(42.0, 42.0, 1.0, "")]),
        ("# -42.5:0.5", vec![range(-43.0, -42.0, 1.0, "")]),
        ("#3\\:1#Well", vec![range(2.0, 4.0, 1.0, "Well")]),
        ("#-2..-1.5", vec![range(-2.0, -1.5, 1.0, "")]),
        (
            "#\n=7:0 #Yes\n=%50%7:2 # Near\n=%0%1e3",
            vec![
                range(7.0, 7.0, 1.0, "Yes"),
                range(5.0, 9.0, 0.5, "Near"),
                range(1000.0, 1000.0, 0.0, ""),
            ],
        ),
        (
            "#=0.7:0.1 ~#Try again",
            vec![range(f64::MIN, f64::MAX, 0.0, "Try again"), range(0.6, 0.8, 1.0, "")],
        ),
        (
            "#=1 =%0%*#Any other",
            vec![range(1.0, 1.0, 1.0, ""), range(f64::MIN, f64::MAX, 0.0, "Any other")],
        ),
    ] {
        let question = question(&format!("How many? {{{answer}\n####So.}}"));
        assert_eq!(question.body, Body::Numerical { accepted: expected }, "{answer}");
        assert_eq!(question.explanation, "So.");
    }
}

#[test]
fn matching_with_a_distractor() {
    let question = question(
        "Match. {\n=Italy -> Rome\n=Japan->Tokyo\n=%a% -> b -> c\n= -> Lima\n####Capitals.}",
    );
    let pairs = vec![
        pair("Italy", "Rome"),
        pair("Japan", "Tokyo"),
        pair("%a%", "b -> c"),
        pair("", "Lima"),
    ];
    assert_eq!(question.body, Body::Matching { pairs });
    assert_eq!(question.explanation, "Capitals.");
}

#[test]
fn a_missing_word_leaves_a_blank() {
    for (source, stem) in [
        ("Cows {~bark =moo} at night.", "Cows _____ at night."),
        ("[html]<b>{=Nile =nile}</b> is longest", "<b>_____</b> is longest"),
        ("{=Nile} is longest", "_____ is longest"),
        ("Two plus two is {#4}.", "Two plus two is _____."),
        ("Two plus two is {#4}  \t", "Two plus two is"),
    ] {
        assert_eq!(question(source).stem, stem);
    }
}

#[test]
fn essays() {
    for source in ["Discuss. {}", "Discuss. { \n }", "Discuss. {####Weigh both sides.}"] {
        assert_eq!(question(source).body, Body::Essay, "{source}");
    }
    assert_eq!(question("Discuss. {####Weigh both sides.}").explanation, "Weigh both sides.");
}

#[test]
fn formats_and_their_markers() {
    for (marker, format) in [
        ("", TextFormat::Plain),
        ("[moodle]", TextFormat::Plain),
        ("[plain]", TextFormat::Plain),
        ("[markdown]", TextFormat::Markdown),
        ("[html]", TextFormat::Html),
    ] {
        let question = question(&format!("{marker} Sure? {{={marker}a#{marker}b ~ {marker} c}}"));
        assert_eq!((question.format, question.stem.as_str()), (format, "Sure?"));
    }
    assert_eq!(question("[1, 2] has how many items? {#2}").stem, "[1, 2] has how many items?");
}

#[test]
fn escapes() {
    let question = question(concat!(
        r"::a\:\:b::Is \{x \~ y\} \# \\ \= z\n\nor \* not? {=\=\~\#\{\}\: #\# ~\\}",
        "\n"
    ));
    assert_eq!(question.title, "a::b");
    assert_eq!(question.stem, "Is {x ~ y} # \\ = z\n\nor \\* not?");
    let options = vec![choice("=~#{}:", 1.0, "#"), choice("\\", 0.0, "")];
    assert_eq!(question.body, Body::SingleChoice { options });
}

#[test]
fn categories_hold_until_the_next() {
    let found = questions(
        "A {T}\n\n$CATEGORY: $course$/top/School/Biology/Cell structure\nB {T}\n\nC {T}\n\
         $CATEGORY: Physics\n\nD {T}\n\n// [tag:skill:physics/optics]\nE {T}\n\n\
         $CATEGORY: $course$/top\n\nF {T}",
    );
    let skills: Vec<_> =
        found.iter().map(|q| format!("{} {} {}", q.stem, q.skill, q.skill_name)).collect();
    assert_eq!(
        skills,
        [
            "A trivia/odds-and-ends Odds and ends",
            "B biology/cell-structure Cell structure",
            "C biology/cell-structure Cell structure",
            "D physics/general General",
            "E physics/optics General",
            "F trivia/odds-and-ends Odds and ends",
        ]
    );
}

#[test]
fn labels_may_stand_in_any_comment_of_the_question() {
    let found = question(
        "//[tag:Bloom: Analyse][tag:status:draft] [see] [tag: spaced out ]\nStem {\n// [id:q.1]\nT}",
    );
    assert_eq!((found.id.as_str(), found.level), ("q.1", Some(Level::Analyze)));
    assert_eq!((found.status, found.tags), (Status::Draft, vec!["spaced out".to_owned()]));
}

#[test]
fn ids_without_a_label_depend_on_skill_title_and_stem_alone() {
    let first = question("::T::Stem {=a ~b}");
    let again = question("// [tag:new]\n::T::  Stem {=a ~c####Because.}");
    assert_eq!(first.id, again.id);
    assert_eq!(first.id, derived_id(&first.skill, "T", "Stem"));
    assert_ne!(first.id, question("::T::Stem! {=a ~b}").id);
    assert_ne!(first.id, question("$CATEGORY: A/B\n::T::Stem {=a ~b}").id);
}

#[test]
fn line_ends_byte_order_mark_and_tabs_do_not_matter() {
    let plain = "$CATEGORY: A/B\n\n// [id:one]\nWer läuft?\nSag! {\n\t=Ich ~Δu\n}\n\n\nX {T}\n";
    let expected = questions(plain);
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[0].id, QuestionId::new("one").unwrap());
    assert_eq!(expected[0].stem, "Wer läuft?\nSag!");
    for source in [
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        format!("\u{feff}{plain}"),
        plain.replace('\n', " \t\n\t "),
    ] {
        assert_eq!(questions(&source), expected, "{source:?}");
    }
}

#[test]
fn nothing_to_read_is_no_problem() {
    for source in ["", "\u{feff}", "\r\n\r\n", "// only a comment", "$CATEGORY: A/B"] {
        assert_eq!(questions(source), []);
    }
}
