//! Classification and embedding on a tiny model.

use std::{sync::Arc, thread};

use proptest::prelude::*;
use quizmentor_bloom::{Arithmetic, Classification, Engine, Reason, Verdict};
use quizmentor_core::{Level, limits};
use tempfile::TempDir;

use crate::{
    tiny::{DIMENSIONS, MAX_TOKENS, TinyModel},
    tiny_engine,
};

const TEXTS: [&str; 5] = [
    "What is the capital of France?",
    "Compare cells and viruses.",
    "design",
    "",
    "what is the capital of the capital of the capital of the capital",
];

fn difference(left: &[f32], right: impl IntoIterator<Item = f64>) -> f64 {
    left.iter().zip(right).map(|(&l, r)| (f64::from(l) - r).abs()).fold(0.0, f64::max)
}

fn probabilities(classification: &Classification) -> [f32; 6] {
    classification.probabilities.to_array()
}

#[test]
fn outcomes_are_those_of_the_plain_mathematics() {
    let dir = TempDir::new().unwrap();
    let mut model = TinyModel::new(7);
    let ids: [&[usize]; 5] = [
        &[2, 5, 6, 7, 8, 9, 10, 17, 3],
        &[2, 11, 12, 13, 14, 15, 16, 18, 3],
        &[2, 19, 3],
        &[2, 3],
        &[2, 5, 6, 7, 8, 9, 7, 8, 9, 7, 8, 3],
    ];
    // Both stages are tried: two texts are less certain than this.
    let mut certainties = ids.map(|ids| model.certainty(ids));
    certainties.sort_by(f64::total_cmp);
    let stop = f64::midpoint(certainties[1], certainties[2]);
    model.config["stop"] = stop.into();
    model.write(dir.path());
    let load = |arithmetic| Engine::load_with(dir.path(), arithmetic).unwrap();
    for (analysis, ids) in load(Arithmetic::Float).analyze(&TEXTS).iter().zip(ids) {
        let certain = model.certainty(ids) >= stop;
        let expected = if certain { model.first(ids) } else { model.second(ids) };
        let found = probabilities(&analysis.classification);
        assert!(difference(&found, expected) < 1e-5, "{ids:?}: {found:?}");
        assert!(difference(&analysis.embedding, model.embedding(ids)) < 1e-5);
        assert_eq!(analysis.classification.truncated, ids.len() == MAX_TOKENS);
    }
    // On bytes, a text whose certainty is next to the limit may be on the other side.
    for (classification, ids) in load(Arithmetic::Int8).classify(&TEXTS).iter().zip(ids) {
        let found = probabilities(classification);
        let apart = [model.first(ids), model.second(ids)].map(|p| difference(&found, p));
        assert!(apart[0].min(apart[1]) < 0.03, "{ids:?}: {found:?} {apart:?}");
    }
}

#[test]
fn levels_follow_from_the_probabilities() {
    let engine = tiny_engine();
    let classification = engine.classify(&TEXTS[..1]).remove(0);
    let p = probabilities(&classification);
    let greatest = p.iter().copied().fold(0.0, f32::max);
    assert_eq!(p[classification.top.index()], greatest);
    let expected: Vec<Level> = Level::ALL
        .into_iter()
        .filter(|level| p[level.index()] >= 0.5 || (greatest < 0.5 && *level == classification.top))
        .collect();
    assert_eq!(classification.levels, expected);
}

#[test]
fn a_text_fares_alike_alone_in_a_batch_and_from_the_cache() {
    let engine = tiny_engine();
    let many: Vec<&str> = TEXTS.iter().copied().cycle().take(300).collect();
    let together = engine.analyze(&many);
    assert_eq!(together.len(), many.len());
    let again = engine.analyze(&many);
    assert_eq!(again, together);
    let other = tiny_engine();
    for (text, batched) in TEXTS.iter().zip(&together) {
        let alone = other.analyze(&[text]).remove(0);
        assert_eq!(alone, *batched);
        assert_eq!(engine.classify(&[text])[0], batched.classification);
        assert_eq!(engine.embed(&[text])[0], batched.embedding);
    }
    assert!(engine.analyze(&[]).is_empty());
}

#[test]
fn texts_that_ask_nothing_get_an_answer_that_says_so() {
    let engine = tiny_engine();
    let long = "What is it? ".repeat(50_000 / 12);
    let verdicts = engine
        .classify(&[
            "",
            "🙂🙂",
            "\u{1}\u{2}",
            "x = f(1);\ny = {};",
            &long,
            "日本の首都はどこですか？",
        ])
        .into_iter()
        .map(|classification| (classification.verdict, classification.levels.is_empty()));
    let none = |reason| (Verdict::NotAQuestion { reason }, true);
    assert_eq!(
        verdicts.collect::<Vec<_>>(),
        [
            none(Reason::Empty),
            none(Reason::NoWords),
            none(Reason::Binary),
            none(Reason::Code),
            (Verdict::TooLong, false),
            (Verdict::OtherLanguage, false),
        ]
    );
}

#[test]
fn threads_share_one_engine() {
    let engine = Arc::new(tiny_engine());
    let expected = engine.classify(&TEXTS);
    let fresh = Arc::new(tiny_engine());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let engine = Arc::clone(&fresh);
            thread::spawn(move || engine.classify(&TEXTS))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), expected);
    }
}

#[test]
fn a_level_that_is_not_probable_is_left_open() {
    let dir = TempDir::new().unwrap();
    let unsure = |abstain: f32| {
        let mut model = TinyModel::new(7);
        model.config["abstain"] = abstain.into();
        model.write(dir.path());
        Engine::load(dir.path()).unwrap().classify(&TEXTS[..1]).remove(0).unsure
    };
    assert!(!unsure(0.0));
    assert!(unsure(1.0));
}

#[test]
fn the_words_that_carry_a_level_weigh_most() {
    let engine = tiny_engine();
    let text = "What is the capital of France ?";
    let explanation = engine.explain(text);
    assert_eq!(explanation.level, engine.classify(&[text])[0].top);
    let words: Vec<&str> = explanation.words.iter().map(|found| found.word.as_str()).collect();
    assert_eq!(words, ["What", "is", "the", "capital", "of", "France", "?"]);
    assert!(explanation.words.iter().any(|found| found.influence != 0.0));
    // A word that the model does not know twice over means the same each time it is left out.
    let twice = engine.explain("unheard unheard").words;
    assert_eq!(twice[0].influence, twice[1].influence);
    assert_eq!(engine.explain(&"is ".repeat(500)).words.len(), 48);
    assert_eq!(engine.explain("").words, []);
}

#[test]
fn the_cache_forgets_rather_than_grows() {
    let engine = tiny_engine();
    let texts: Vec<String> = (0..4500)
        .map(|n: u32| {
            let word = |at: u32| {
                ["what", "is", "the", "of", "and", "cell", "?", "."][(n >> (3 * at)) as usize % 8]
            };
            (0..5).map(word).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = engine.embed(&texts);
    for (text, expected) in texts.iter().zip(&all).step_by(997) {
        let again = engine.embed(&[text]).remove(0);
        assert!(difference(&again, expected.iter().copied().map(f64::from)) < 1e-5);
    }
}

#[test]
fn classifications_are_plain_json() {
    let engine = tiny_engine();
    let classification = engine.classify(&["日本の首都"]).remove(0);
    let json = serde_json::to_value(&classification).unwrap();
    assert_eq!(json["verdict"], serde_json::json!({"kind": "other_language"}));
    assert_eq!(json["language"]["code"], "jpn");
    assert!(json["probabilities"]["create"].is_number());
    assert_eq!(serde_json::from_value::<Classification>(json).unwrap(), classification);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_texts_are_answered(texts in proptest::collection::vec(any::<String>(), 0..5)) {
        thread_local!(static ENGINE: quizmentor_bloom::Engine = tiny_engine());
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let analyses = ENGINE.with(|engine| engine.analyze(&texts));
        prop_assert_eq!(analyses.len(), texts.len());
        for analysis in &analyses {
            let p = probabilities(&analysis.classification);
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
            prop_assert_eq!(analysis.embedding.len(), DIMENSIONS);
            let norm: f32 = analysis.embedding.iter().map(|x| x * x).sum();
            prop_assert!((norm - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn texts_over_the_limit_are_answered(unit in "\\PC{1,8}", bytes in limits::CLASSIFY_TEXT..60_000) {
        thread_local!(static ENGINE: quizmentor_bloom::Engine = tiny_engine());
        let text = unit.repeat(bytes / unit.len() + 1);
        let analyses = ENGINE.with(|engine| engine.analyze(&[&text]));
        // Of blanks nothing is left to read.
        let is_blank = unit.trim().is_empty();
        prop_assert_eq!(analyses[0].classification.truncated, !is_blank);
    }
}
