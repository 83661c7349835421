//! No input makes the parser panic, and what it takes over is sound.

use std::collections::HashSet;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::support::{parse, questions};

const VALID: &str = r"$CATEGORY: $course$/top/Arts/Music

// [id:a-1] [tag:bloom:apply] [tag:difficulty:2] [tag:free \] tag]
::Fifths::[html]A fifth above C\: {
    =G#Yes ~%-50%F#No ~E \= 3
    ####Seven semitones.
}

Cows {~bark =moo} at night.

Two? {~%50%a ~%50%b ~%-100%c}

// [id:n-1]
How many? {#=3:0.5#Yes =%50%2..4 ~#Count again####Three.}

True? {TRUE#No#Yes####Because.}

Match {=a -> b =c -> d = -> e}

Name it {=%100%one =%50%o*#Nearly}

Discuss {}
";

const TOKENS: [&str; 36] = [
    "{",
    "}",
    "=",
    "~",
    "#",
    "####",
    "::",
    "\\",
    "%",
    "%50%",
    "->",
    "..",
    ":",
    "[html]",
    "[",
    "]",
    "[id:",
    "[tag:",
    "bloom:",
    "difficulty:",
    "// ",
    "$CATEGORY:",
    "/",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\u{feff}",
    "\0",
    "1",
    "-1e999",
    "T",
    "FALSE",
    "*",
    " ",
    "ß",
];

fn soup() -> impl Strategy<Value = String> {
    vec(select(&TOKENS[..]), 0..60).prop_map(|tokens| tokens.concat())
}

fn check(source: &str) -> Result<(), TestCaseError> {
    let import = parse(source);
    let mut ids = HashSet::new();
    for question in &import.questions {
        prop_assert_eq!(question.defects(), []);
        prop_assert!(ids.insert(&question.id), "{}", question.id);
    }
    let lines = source.split(['\n', '\r']).count() as u32;
    for problem in &import.problems {
        prop_assert!((1..=lines).contains(&problem.line), "{}", problem);
        prop_assert!(problem.column >= 1 && !problem.message.is_empty());
    }
    Ok(())
}

#[test]
fn the_file_to_mutate_is_valid() {
    assert_eq!(questions(VALID).len(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_text(source in any::<String>()) {
        check(&source)?;
    }

    #[test]
    fn any_tokens(source in soup()) {
        check(&source)?;
    }

    #[test]
    fn mutated_files(edits in vec((any::<prop::sample::Index>(), 0..3_usize, select(&TOKENS[..])), 1..6)) {
        let mut chars: Vec<char> = VALID.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.index(chars.len());
            let end = (at + removed).min(chars.len());
            chars.splice(at..end, inserted.chars());
        }
        check(&String::from_iter(chars))?;
    }

    #[test]
    fn neighbours_survive(bad in soup()) {
        let source = format!("First {{T}}\n\n{bad}\n\n$CATEGORY: A/B\n\n// [id:z]\nLast {{F}}\n");
        let import = parse(&source);
        prop_assert_eq!(&import.questions.first().unwrap().stem, "First");
        prop_assert_eq!(&import.questions.last().unwrap().stem, "Last");
    }
}
