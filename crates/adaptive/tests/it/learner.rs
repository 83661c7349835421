//! States: exact, small, and safe to read.

use jiff::SignedDuration;
use proptest::prelude::*;
use quizmentor_adaptive::{
    Error, Fold, Item, ItemKey, Learner, Model, Neighbour, Outcome, SkillKey,
};

use crate::bank::{at, catalog};

/// The answers of four learners, in the order of the log.
fn log(length: u64) -> Vec<(u64, usize, Outcome)> {
    (0..length)
        .map(|n| {
            let item = (n * 7 % 30) as usize;
            let correct = !(n * n + item as u64).is_multiple_of(3);
            let when = at(n as i64 * 90);
            let elapsed_ms = Some((n % 50) as u32 * 1000);
            (n % 4, item, Outcome { elapsed_ms, ..Outcome::new(correct, when) })
        })
        .collect()
}

/// Serves a log, with a snapshot every 50 answers; returns all states and snapshots as bytes.
fn serve(log: &[(u64, usize, Outcome)]) -> Vec<Vec<u8>> {
    let catalog = catalog();
    let mut fold = Fold::default();
    let mut served = vec![Learner::new(); 4];
    let mut model = fold.publish();
    for (n, (learner, item, outcome)) in log.iter().enumerate() {
        let item = &catalog.items()[*item];
        let state = &mut served[*learner as usize];
        state.observe(&model, item, outcome);
        *state = Learner::decode(&state.encode()).unwrap();
        fold.observe(*learner, item, outcome);
        if n % 50 == 49 {
            model = fold.publish();
        }
    }
    served.iter().map(Learner::encode).chain([model.encode()]).collect()
}

#[test]
fn replaying_the_log_gives_bit_identical_states() {
    let log = log(400);
    assert_eq!(serve(&log), serve(&log));
}

#[test]
fn a_model_goes_on_from_its_bytes_as_if_it_had_never_stopped() {
    let (catalog, log) = (catalog(), log(200));
    let mut whole = Fold::default();
    let mut resumed = Fold::default();
    for (n, (learner, item, outcome)) in log.iter().enumerate() {
        let item = &catalog.items()[*item];
        whole.observe(*learner, item, outcome);
        if n == 100 {
            let mut next = Fold::new(Model::decode(&resumed.model().encode()).unwrap());
            for (name, learner) in resumed.learners() {
                next.restore(name, Learner::decode(&learner.encode()).unwrap());
            }
            resumed = next;
        }
        resumed.observe(*learner, item, outcome);
    }
    assert_eq!(whole.model().encode(), resumed.model().encode());
}

#[test]
fn a_learner_of_30_skills_and_200_items_is_small() {
    let mut learner = Learner::new();
    let model = Model::new();
    for n in 0..600_i64 {
        let skill = SkillKey::of(&format!("s{}", n % 30));
        let item = Item::bare(ItemKey::of(&format!("q{}", n % 200)), vec![skill]);
        learner.observe(&model, &item, &Outcome::new(n % 3 != 0, at(n * 977)));
    }
    let bytes = learner.encode().len();
    assert!(bytes < 8 * 1024, "{bytes}");
}

#[test]
fn abilities_follow_the_answers() {
    let item = Item::bare(ItemKey::of("q"), vec![SkillKey::of("s")]);
    let model = Model::new();
    let p = |correct| {
        let mut learner = Learner::new();
        for n in 0..10 {
            learner.observe(&model, &item, &Outcome::new(correct, at(n)));
        }
        model.predict(&learner, &item, at(10)).probability
    };
    assert!(p(true) > 0.7 && p(false) < 0.3, "{} {}", p(true), p(false));
}

#[test]
fn uncertainty_grows_with_time_away() {
    let item = Item::bare(ItemKey::of("q"), vec![SkillKey::of("s")]);
    let mut learner = Learner::new();
    for n in 0..20 {
        learner.observe(&Model::new(), &item, &Outcome::new(n % 2 == 0, at(n)));
    }
    let (soon, later) = (learner.ability(at(20)), learner.ability(at(20 + 60 * 24 * 30)));
    assert!(later.variance > soon.variance && later.mean == soon.mean);
}

#[test]
fn a_guess_floor_bounds_the_prediction_and_softens_luck() {
    let model = Model::new();
    let guessable = Item { guess: 0.5, ..Item::bare(ItemKey::of("q"), Vec::new()) };
    let written = Item::bare(ItemKey::of("q"), Vec::new());
    let rise = |item: &Item| {
        let mut learner = Learner::new();
        learner.observe(&model, item, &Outcome::new(true, at(0)));
        learner.ability(at(0)).mean
    };
    assert!(rise(&guessable) < rise(&written));
    let mut hopeless = Learner::new();
    for n in 0..50 {
        hopeless.observe(&model, &written, &Outcome::new(false, at(n)));
    }
    assert!(model.predict(&hopeless, &guessable, at(60)).probability > 0.5);
}

#[test]
fn what_parts_the_strong_from_the_weak_discriminates() {
    let skill = SkillKey::of("cells");
    let item = |name: &str| Item::bare(ItemKey::of(name), vec![skill]);
    let common: Vec<Item> = (0..6).map(|n| item(&format!("common-{n}"))).collect();
    let [parting, luck, reversed] = ["parting", "luck", "reversed"].map(item);
    let mut fold = Fold::default();
    for learner in 0..60_u64 {
        let strong = learner % 2 == 0;
        let outcome = |right| Outcome::new(right, at(learner as i64 * 1_000));
        for item in &common {
            fold.observe(learner, item, &outcome(strong));
        }
        fold.observe(learner, &parting, &outcome(strong));
        fold.observe(learner, &luck, &outcome(learner % 4 < 2));
        fold.observe(learner, &reversed, &outcome(!strong));
    }
    let [parting, luck, reversed] =
        [parting, luck, reversed].map(|item| fold.model().discrimination(&item));
    assert!(parting > 1.0 && 1.0 > luck && luck > reversed, "{parting} {luck} {reversed}");
}

#[test]
fn an_item_nobody_answered_takes_after_its_neighbours() {
    let mut fold = Fold::default();
    let bare = |name: &str| Item::bare(ItemKey::of(name), vec![SkillKey::of("s")]);
    for learner in 0..200 {
        fold.observe(learner, &bare("hard"), &Outcome::new(learner % 10 == 0, None));
        fold.observe(learner, &bare("easy"), &Outcome::new(learner % 10 != 0, None));
    }
    let near = |name: &str, similarity: f32| {
        let neighbour = Neighbour { key: ItemKey::of(name), similarity };
        let item = Item { neighbours: vec![neighbour], ..bare("new") };
        let belief = fold.model().difficulty(&item);
        (belief.mean, belief.variance)
    };
    let (alone, unknown) = (fold.model().difficulty(&bare("new")), near("unknown", 0.95));
    assert_eq!((alone.mean, alone.variance), unknown);
    assert!(near("easy", 0.95).0 + 0.5 < alone.mean && alone.mean + 0.5 < near("hard", 0.95).0);
    assert!(near("hard", 0.7).0 < near("hard", 0.95).0, "the nearer one counts more");
    assert!(near("hard", 0.95).1 < alone.variance);
    let stated = Item { difficulty: Some(1), ..bare("new") };
    let both = Item {
        neighbours: vec![Neighbour { key: ItemKey::of("hard"), similarity: 0.9 }],
        ..stated.clone()
    };
    assert!(fold.model().difficulty(&both).mean > fold.model().difficulty(&stated).mean);
}

#[test]
fn an_answer_to_a_pilot_moves_the_item_and_not_the_learner() {
    let pilot = Item { pilot: true, ..Item::bare(ItemKey::of("p"), vec![SkillKey::of("s")]) };
    let mut fold = Fold::default();
    let before = fold.model().difficulty(&pilot).mean;
    for learner in 0..50 {
        fold.observe_pilot(learner, &pilot, &Outcome::new(false, at(0)));
    }
    assert!(fold.model().difficulty(&pilot).mean > before + 0.5);
    let learner = fold.learner(7).unwrap();
    assert_eq!((learner.answers(), learner.ability(at(0))), (0, Learner::new().ability(at(0))));
    assert_eq!(learner.item(pilot.key).unwrap().seen, 1);
}

#[test]
fn other_bytes_are_refused() {
    let bytes = Learner::new().encode();
    assert!(matches!(Learner::decode(&[]), Err(Error::Corrupt { .. })));
    assert!(matches!(Learner::decode(&[9, 1, 2]), Err(Error::Format { found: 9, .. })));
    assert!(matches!(Learner::decode(&bytes[..bytes.len() - 1]), Err(Error::Corrupt { .. })));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Learner::decode(&longer), Err(Error::Corrupt { .. })));
    assert!(Model::decode(&[1, 2, 3]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_round_trips_and_predicts_within_bounds(
        answers in prop::collection::vec(
            (0_u64..6, 0_u64..3, any::<bool>(), -0.5_f32..1.5, -5_000_i64..5_000, any::<u32>()),
            0..40,
        )
    ) {
        let model = Model::new();
        let mut learner = Learner::new();
        for (item, skill, correct, credit, minutes, elapsed) in answers {
            let item = Item::bare(ItemKey(item), vec![SkillKey(skill), SkillKey(skill + 1)]);
            let outcome = Outcome {
                credit,
                elapsed_ms: Some(elapsed),
                ..Outcome::new(correct, at(0) + SignedDuration::from_mins(minutes))
            };
            let p = learner.observe(&model, &item, &outcome).probability;
            prop_assert!(p > 0.0 && p < 1.0);
        }
        prop_assert_eq!(Learner::decode(&learner.encode()).unwrap(), learner);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let framed: Vec<u8> = [1].into_iter().chain(bytes).collect();
        if let Ok(learner) = Learner::decode(&framed) {
            prop_assert_eq!(Learner::decode(&learner.encode()).unwrap(), learner);
        }
        drop(Model::decode(&framed));
    }
}
