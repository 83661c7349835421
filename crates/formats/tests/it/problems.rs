//! What cannot be read is named with its place, and costs no other question.

use quizmentor_core::{Body, limits};
use quizmentor_formats::{MAX_QUESTIONS, Problem};

use crate::support::parse;

fn the_problem(source: &str) -> Problem {
    let mut problems = parse(source).problems;
    assert_eq!(problems.len(), 1, "{source}: {problems:?}");
    problems.remove(0)
}

#[test]
fn a_refused_question_is_named_with_place_and_remedy() {
    for (line, column, source, remedy) in [
        (1, 1, "Just read this.", "not a question"),
        (1, 3, "A {=a ~b", "add “}”"),
        (1, 3, "A {=a\n\n", "“\\n” for a blank line"),
        (1, 3, "A }{T}", "write “\\}”"),
        (1, 6, "A {=a{b} ~c}", "write “\\{”"),
        (2, 3, "A {T}\nB {F}", "blank line between"),
        (1, 1, "::Title A {T}", "write “::” after it"),
        (2, 1, "A {\nlost ~b =c}", "mark it as right or wrong"),
        (1, 4, "A {true}", "capitals"),
        (1, 7, "A {=a =b->c}", "%100%"),
        (1, 4, "A {=a->b#no =c->d}", "“\\#”"),
        (1, 4, "A {#}", "needs a number"),
        (1, 5, "A {#3,14}", "write for instance 3.14"),
        (1, 5, "A {#=1:x}", "value:tolerance"),
        (1, 5, "A {#=1:-2}", "must not be negative"),
        (2, 1, "A {#=1\n~2}", "=%0%"),
        (1, 11, "[html]A {=[markdown]a ~b}", "begin both with [markdown]"),
    ] {
        let problem = the_problem(source);
        assert!(problem.message.contains(remedy), "{source}: {problem}");
        assert_eq!((problem.line, problem.column), (line, column), "{source}: {problem}");
        assert_eq!(parse(source).questions, [], "{source}");
    }
}

#[test]
fn defects_are_problems_at_their_option() {
    for (line, column, source, field) in [
        (1, 1, "A {~a ~b}", "body.options:"),
        (1, 1, "A {=a =b ~c}", "body.options:"),
        (3, 1, "A {\n=a\n~ #why\n}", "body.options[1].text"),
        (1, 7, "A {=a ~%-150%b}", "body.options[1].credit"),
        (1, 7, "A {#1 =%50%3..2}", "body.accepted[1]:"),
        (1, 5, "A {#=5..4 =1 ~#no}", "body.accepted[1]:"),
        (1, 1, "A {=%50%a}", "body.accepted:"),
        (2, 1, "\n{T}", "stem"),
        (1, 1, "A {=a->b =->c}", "body.pairs"),
    ] {
        let import = parse(source);
        assert_eq!(import.questions, [], "{source}");
        let problem = import
            .problems
            .iter()
            .find(|p| p.message.starts_with(field))
            .unwrap_or_else(|| panic!("{source}: {:?}", import.problems));
        assert_eq!((problem.line, problem.column), (line, column), "{source}: {problem}");
    }
}

#[test]
fn labels_that_cannot_be_used_are_named_and_the_question_stays() {
    for (column, label, reason) in [
        (4, "[id:Not good]", "no identifier"),
        (4, "[id:]", "empty"),
        (4, "[tag: ]", "empty"),
        (4, "[tag:open", "close it"),
        (12, "[id:q-1][id:q-2]", "already has one"),
        (4, "[tag:bloom:guess]", "expected remember"),
        (4, "[tag:difficulty:6]", "1 (easy) to 5 (hard)"),
        (22, "[tag:difficulty:2][tag:difficulty:3]", "already has one"),
        (4, "[tag:status:gone]", "draft, published, pilot or archived"),
        (4, "[tag:skill:Optics]", "no identifier"),
    ] {
        let source = format!("\n// {label}\nA {{T}}");
        let problem = the_problem(&source);
        assert!(problem.message.contains(reason), "{label}: {problem}");
        assert_eq!((problem.line, problem.column), (2, column), "{label}");
        assert_eq!(parse(&source).questions.len(), 1, "{label}");
    }
}

#[test]
fn labels_without_a_question_are_named() {
    let problem = the_problem("// [id:q-1]\n\nA {T}");
    assert_eq!((problem.line, problem.column), (1, 4));
    assert!(problem.message.contains("remove the blank line"));
}

#[test]
fn a_category_without_letters_needs_a_skill_tag() {
    let problem = the_problem("$CATEGORY: Физика/…\n\nСвет — волна. {T}");
    assert_eq!(problem.line, 3);
    assert!(problem.message.contains("[tag:skill:subject/skill]"), "{problem}");
    let import = parse("$CATEGORY: Физика/Оптика\n\nСвет — волна. {T}");
    assert_eq!((import.problems, import.questions.len()), (vec![], 1));
    let import =
        parse("$CATEGORY: Физика/Оптика\n\n// [tag:skill:physics/optics]\nСвет — волна. {T}");
    assert_eq!(import.problems, []);
    assert_eq!(import.questions[0].subject_name, "Физика");
}

#[test]
fn equal_ids_are_named_and_the_first_stays() {
    let import = parse("// [id:a]\nOne {T}\n\n// [id:a]\nTwo {T}\n\nThree {T}\n\nThree {F}");
    let stems: Vec<_> = import.questions.iter().map(|q| q.stem.as_str()).collect();
    assert_eq!(stems, ["One", "Three"]);
    let lines: Vec<_> = import.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [5, 9]);
    assert!(import.problems[0].message.contains("line 2"), "{}", import.problems[0]);
}

#[test]
fn one_bad_question_does_not_lose_the_others() {
    let import = parse("A {T}\n\nB {=a\n~b\n\n$CATEGORY: A/B\nC {#x}\n\nD {}");
    let stems: Vec<_> = import.questions.iter().map(|q| q.stem.as_str()).collect();
    assert_eq!(stems, ["A", "D"]);
    let lines: Vec<_> = import.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [3, 7]);
}

#[test]
fn limits_are_kept() {
    let file = the_problem(&"x".repeat(limits::IMPORT + 1));
    assert!(file.message.contains("at most 4194304"), "{file}");

    let options = |count| format!("A {{=a{}}}", "~b".repeat(count - 1));
    assert_eq!(parse(&options(limits::OPTIONS)).questions.len(), 1);
    assert!(the_problem(&options(limits::OPTIONS + 1)).message.contains("more than 26"));

    let stem = |length| format!("{} {{}}", "x".repeat(length));
    assert_eq!(parse(&stem(limits::STEM)).questions[0].body, Body::Essay);
    assert!(the_problem(&stem(limits::STEM + 1)).message.starts_with("stem:"));

    let many: String = (0..=MAX_QUESTIONS).map(|i| format!("{i} {{}}\n\n")).collect();
    assert!(the_problem(&many).message.contains("at most 10000 questions"));
    assert_eq!(parse(&many).questions.len(), MAX_QUESTIONS);
}
