//! What is printed is read back, and what cannot be carried changes as stated.

use proptest::{collection::vec, option, prelude::*, sample::select};
use quizmentor_core::{
    AcceptedNumber, AcceptedText, Body, Choice, Level, Pair, Question, QuestionId, SkillId, Status,
    TextFormat,
};
use quizmentor_formats::gift;

use crate::support::{parse, question, questions};

const PIECES: [&str; 40] = [
    "~",
    "=",
    "#",
    "{",
    "}",
    ":",
    "\\",
    "->",
    "%50%",
    "%",
    "[html]",
    "[plain]",
    "[x]",
    "[id:a]",
    "[tag:b]",
    "]",
    "####",
    "::",
    "//",
    "/",
    "$CATEGORY: A/B",
    "$course$",
    "top",
    "\n",
    "\n\n",
    "\\n",
    "_____",
    "T",
    "TRUE",
    "*",
    "..",
    "5:1",
    "\t",
    " ",
    "é漢😀",
    "\u{a0}",
    "\u{2028}",
    "&&058;",
    "0",
    "\u{feff}",
];

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\0' | '\u{b}')
}

/// Nasty text of the kind that GIFT can carry.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(&PIECES[..]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        2 => "[a-z ]{1,8}",
    ];
    vec(piece, 0..8)
        .prop_map(|pieces| pieces.concat().replace(['\r', '\0'], "").trim_matches(is_blank).into())
}

fn required() -> impl Strategy<Value = String> {
    text().prop_map(|text| if text.trim().is_empty() { format!("x{text}x") } else { text })
}

/// Text on one line: a name or a tag.
fn line() -> impl Strategy<Value = String> {
    required().prop_map(|text| {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        line.trim_matches(is_blank).to_owned()
    })
}

fn tag() -> impl Strategy<Value = String> {
    line().prop_map(|line| format!("t{}", line.trim_end_matches(|c| is_blank(c) || c == '\\')))
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = (required(), prop_oneof![Just(0.0), -1.0..0.99], text())
        .prop_map(|(text, credit, feedback)| Choice { text, credit, feedback });
    vec(choice, 2..6)
}

fn single_choice() -> impl Strategy<Value = Body> {
    (choices(), any::<prop::sample::Index>()).prop_map(|(mut options, key)| {
        key.get_mut(&mut options).credit = 1.0;
        Body::SingleChoice { options }
    })
}

fn multiple_choice() -> impl Strategy<Value = Body> {
    choices().prop_map(|mut options| {
        options[0].credit = options[0].credit.abs() + 0.001;
        let sum: f64 = options.iter().map(|option| option.credit.max(0.0)).sum();
        options.iter_mut().filter(|o| o.credit > 0.0).for_each(|o| o.credit /= sum);
        Body::MultipleChoice { options }
    })
}

fn short_answer() -> impl Strategy<Value = Body> {
    let accepted = (required(), prop_oneof![Just(1.0), 0.0..=1.0], text())
        .prop_map(|(text, credit, feedback)| AcceptedText { text, credit, feedback });
    vec(accepted, 1..5).prop_map(|mut accepted| {
        accepted[0].credit = 1.0;
        Body::ShortAnswer { accepted }
    })
}

fn numerical() -> impl Strategy<Value = Body> {
    let finite = || prop_oneof![-1e6..1e6, any::<f64>().prop_filter("finite", |x| x.is_finite())];
    let ends = prop_oneof![
        4 => (finite(), finite()).prop_map(|(a, b): (f64, f64)| (a.min(b), a.max(b))),
        2 => finite().prop_map(|a| (a, a)),
        1 => Just((f64::MIN, f64::MAX)),
    ];
    let accepted = (ends, prop_oneof![Just(1.0), Just(0.0), 0.0..=1.0], text())
        .prop_map(|((min, max), credit, feedback)| AcceptedNumber { min, max, credit, feedback });
    vec(accepted, 1..5).prop_map(|mut accepted| {
        accepted.last_mut().unwrap().credit = 1.0;
        Body::Numerical { accepted }
    })
}

fn matching() -> impl Strategy<Value = Body> {
    let pair = (text(), required()).prop_map(|(prompt, answer)| {
        let prompt = prompt.replace('>', "").trim_matches(is_blank).to_owned();
        Pair { prompt, answer }
    });
    vec(pair, 2..6).prop_map(|mut pairs| {
        pairs.iter_mut().take(2).for_each(|pair| pair.prompt.insert(0, 'p'));
        Body::Matching { pairs }
    })
}

fn body() -> impl Strategy<Value = Body> {
    let true_false = (any::<bool>(), text(), text()).prop_map(|(key, right, wrong)| {
        Body::TrueFalse { key, feedback_right: right, feedback_wrong: wrong }
    });
    prop_oneof![
        single_choice(),
        multiple_choice(),
        true_false,
        short_answer(),
        numerical(),
        matching(),
        Just(Body::Essay),
    ]
}

fn any_question() -> impl Strategy<Value = Question> {
    let formats = vec![TextFormat::Plain, TextFormat::Markdown, TextFormat::Html];
    let states = vec![Status::Draft, Status::Published, Status::Pilot, Status::Archived];
    let texts = (text(), required(), text(), line(), line());
    let labels = (
        option::of(select(&Level::ALL[..])),
        option::of(1_u8..=5),
        select(states),
        vec(tag(), 0..4),
        any::<bool>(),
    );
    (texts, select(formats), body(), labels)
        .prop_map(|(texts, format, body, labels)| {
            let (title, stem, explanation, subject_name, skill_name) = texts;
            let (level, difficulty, status, tags, is_named) = labels;
            let skill = SkillId::from_names(&subject_name, &skill_name).ok().filter(|_| is_named);
            Question {
                id: QuestionId::new("q").unwrap(),
                skill: skill.unwrap_or_else(|| SkillId::new("a.b/c_d").unwrap()),
                subject_name,
                skill_name,
                title,
                stem,
                format,
                body,
                explanation,
                level,
                difficulty,
                tags,
                status,
            }
        })
        .prop_filter("sound", |question| question.defects().is_empty())
}

fn numbered(mut questions: Vec<Question>) -> Vec<Question> {
    for (number, question) in questions.iter_mut().enumerate() {
        question.id = QuestionId::new(format!("q-{number}")).unwrap();
    }
    questions
}

/// `question` with white space around its texts and with CRLF in them.
fn padded(mut question: Question) -> Question {
    let pad = |text: &mut String| *text = format!(" \r\n\t{}\n ", text.replace('\n', "\r\n"));
    pad(&mut question.stem);
    pad(&mut question.explanation);
    match &mut question.body {
        Body::SingleChoice { options } | Body::MultipleChoice { options } => {
            for option in options {
                pad(&mut option.text);
                pad(&mut option.feedback);
            }
        }
        Body::Matching { pairs } => pairs.iter_mut().for_each(|pair| pad(&mut pair.answer)),
        _ => {}
    }
    question
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn printed_questions_are_read_back(questions in vec(any_question(), 1..4)) {
        let questions = numbered(questions);
        let printed = gift::print(&questions);
        let import = parse(&printed);
        prop_assert_eq!(import.problems, [], "{}", printed);
        prop_assert_eq!(import.questions, questions, "{}", printed);
    }

    #[test]
    fn white_space_around_texts_is_dropped(question in any_question()) {
        let printed = gift::print(&[padded(question.clone())]);
        let import = parse(&printed);
        prop_assert_eq!(import.problems, [], "{}", printed);
        prop_assert_eq!(import.questions, [question], "{}", printed);
    }
}

#[test]
fn print_looks_like_this() {
    let source = "\
$CATEGORY: $course$/top/Arts/Music

// [id:mus-1] [tag:bloom:apply] [tag:difficulty:2] [tag:status:draft] [tag:free]
::Fifths::[plain]A fifth above C\\: {
\t=G#Yes
\t~%-50%F
\t~[plain]%50% of B
\t####Seven semitones.
}

// [id:mus-2]
[html]Beats in a 3/4 bar? {#
\t=3#Yes
\t=%50%2..4
\t~#Count again
}

$CATEGORY: $course$/top/Arts/I//O

// [id:art-1] [tag:skill:arts/input]
[markdown]Red \\= warm. {
\tFALSE##Right
}

";
    assert_eq!(gift::print(&questions(source)), source);
}

#[test]
fn what_cannot_be_carried_changes_as_stated() {
    let mut given = question("// [tag:x]\nMatch {=a->b =c->d}");
    let Body::Matching { pairs } = &mut given.body else { unreachable!() };
    pairs[0].prompt = "a->b".into();
    given.tags = vec!["one\ntwo\\".into(), "\\".into(), "bloom:create".into()];
    given.subject_name = "Odd\tname".into();
    given.stem = "a\rb\r\nc".into();
    let read = question(&gift::print(&[given]));
    let Body::Matching { pairs } = &read.body else { unreachable!() };
    assert_eq!(pairs[0].prompt, "a→b");
    assert_eq!((read.tags, read.level), (vec!["one two".to_owned()], Some(Level::Create)));
    assert_eq!((read.subject_name.as_str(), read.stem.as_str()), ("Odd name", "a\nb\nc"));
}
