//! Selection and mastery on a small bank.

use std::{collections::HashSet, sync::Arc};

use quizmentor_adaptive::{
    Catalog, Engine, Entry, Learner, Model, Outcome, Request, Selection, mastery,
    paths::SkillGraph,
    review,
    select::{DEFAULT_TARGET, POLICIES, Reason},
};
use quizmentor_core::{Level, Mode, QuestionId, SkillId};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::bank::{at, catalog, engine};

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(11)
}

fn answer(engine: &Engine, learner: &mut Learner, choice: &Selection, correct: bool, minute: i64) {
    engine.observe(learner, &choice.question, &Outcome::new(correct, at(minute))).unwrap();
}

#[test]
fn practice_stays_within_the_request_and_never_repeats_at_once() {
    let engine = engine();
    let skills = [SkillId::new("biology/genes").unwrap()];
    let request = Request { subject: Some("biology"), skills: &skills, ..Request::default() };
    let (mut learner, mut rng) = (Learner::new(), rng());
    let mut last = None;
    for n in 0..60 {
        let choice =
            engine.select(Mode::Practice, &learner, &request, at(n * 11), &mut rng).unwrap();
        assert!(choice.question.as_str().starts_with("q-1-"), "{}", choice.question);
        assert_ne!(Some(&choice.question), last.as_ref());
        assert!(choice.propensity > 0.0 && choice.propensity <= 1.0);
        answer(&engine, &mut learner, &choice, n % 3 != 0, n * 11);
        last = Some(choice.question);
    }
}

#[test]
fn answers_from_after_now_do_not_cool_down_until_then() {
    let engine = engine();
    let mut learner = Learner::new();
    for n in 0..30 {
        let id = QuestionId::new(format!("q-{}-{}", n / 10, n % 10)).unwrap();
        engine.observe(&mut learner, &id, &Outcome::new(false, at(3 * 24 * 60))).unwrap();
    }
    let choice = engine.select(Mode::Practice, &learner, &Request::default(), at(0), &mut rng());
    assert!(choice.is_some(), "a clock that was put back leaves something to ask");
}

#[test]
fn practice_comes_near_the_target() {
    let engine = engine();
    let (learner, mut rng) = (Learner::new(), rng());
    let near = (0..200).filter(|_| {
        let choice =
            engine.select(Mode::Practice, &learner, &Request::default(), at(0), &mut rng).unwrap();
        (DEFAULT_TARGET[0] - 0.05..DEFAULT_TARGET[1] + 0.05).contains(&choice.probability)
    });
    let near = near.count();
    assert!(near > 120, "{near} of 200");
}

#[test]
fn a_lower_target_gives_harder_questions() {
    let engine = engine();
    let mean = |target| {
        let request = Request { target: Some(target), ..Request::default() };
        let (learner, mut rng) = (Learner::new(), rng());
        (0..50)
            .map(|_| {
                engine
                    .select(Mode::Practice, &learner, &request, at(0), &mut rng)
                    .unwrap()
                    .probability
            })
            .sum::<f64>()
            / 50.0
    };
    assert!(mean(0.5) + 0.1 < mean(0.9), "{} {}", mean(0.5), mean(0.9));
}

/// The propensity is given the drawn abilities, so the mean of 1 / propensity over choices is the
/// mean number of items with a chance at all.
#[test]
fn propensities_are_those_of_the_choice() {
    let engine = engine();
    let (learner, mut rng) = (Learner::new(), rng());
    let draws = 4000;
    let mut inverse = 0.0;
    let mut seen = HashSet::new();
    for _ in 0..draws {
        let choice =
            engine.select(Mode::Practice, &learner, &Request::default(), at(0), &mut rng).unwrap();
        inverse += 1.0 / choice.propensity;
        seen.insert(choice.index);
    }
    let support = inverse / f64::from(draws);
    assert!(seen.len() >= 6, "{}", seen.len());
    let relative = support / seen.len() as f64;
    assert!((0.75..1.25).contains(&relative), "{support} {}", seen.len());
}

#[test]
fn the_bloom_gate_opens_with_mastery() {
    let engine = engine();
    let (mut learner, mut rng) = (Learner::new(), rng());
    let skills = [SkillId::new("history/rome").unwrap()];
    let request = Request { skills: &skills, ..Request::default() };
    let first = engine.select(Mode::Practice, &learner, &request, at(0), &mut rng).unwrap();
    assert_eq!(first.why.level, Some(Level::Remember));
    let open = |learner: &Learner| {
        let mastery = mastery(&engine, learner, at(200));
        let rome = mastery.skills.iter().find(|s| s.skill == skills[0]).unwrap();
        rome.levels.iter().map(|l| l.open).collect::<Vec<_>>()
    };
    assert_eq!(open(&learner), [true, false, false]);
    for n in 0..12 {
        let id = QuestionId::new(format!("q-2-{}", n % 10)).unwrap();
        engine.observe(&mut learner, &id, &Outcome::new(true, at(n))).unwrap();
    }
    assert_eq!(open(&learner), [true, true, true]);
}

#[test]
fn reviews_fall_due_and_are_interleaved() {
    let engine = engine();
    let (mut learner, mut rng) = (Learner::new(), rng());
    let q = |n: i64| QuestionId::new(format!("q-0-{n}")).unwrap();
    for n in 0..5 {
        engine.observe(&mut learner, &q(n), &Outcome::new(n != 2, at(n))).unwrap();
    }
    let day = 24 * 60;
    assert!(review::due(engine.catalog(), &learner, at(60)).is_empty());
    assert_eq!(engine.select(Mode::Review, &learner, &Request::default(), at(60), &mut rng), None);
    let next = review::next_due(engine.catalog(), &learner).unwrap();
    assert!(next > at(60) && next <= at(day + 5));
    let due = review::due(engine.catalog(), &learner, at(9 * day));
    assert_eq!(due.len(), 5);
    assert!(due.is_sorted_by(|a, b| a.retrievability <= b.retrievability));
    assert_eq!(engine.catalog().id(due[0].index), &q(2));
    let review =
        engine.select(Mode::Review, &learner, &Request::default(), at(9 * day), &mut rng).unwrap();
    assert_eq!((review.why.reason, review.propensity), (Reason::DueReview, 1.0));
    let reasons: HashSet<_> = (0..50)
        .map(|_| {
            let request = Request::default();
            let choice =
                engine.select(Mode::Practice, &learner, &request, at(9 * day), &mut rng).unwrap();
            choice.why.reason == Reason::DueReview
        })
        .collect();
    assert_eq!(reasons.len(), 2);
}

#[test]
fn the_item_answered_last_is_reviewed_when_it_is_due() {
    let engine = engine();
    let (mut learner, mut rng) = (Learner::new(), rng());
    let only = QuestionId::new("q-0-0").unwrap();
    engine.observe(&mut learner, &only, &Outcome::new(true, at(0))).unwrap();
    let later = at(30 * 24 * 60);
    let review = engine.select(Mode::Review, &learner, &Request::default(), later, &mut rng);
    assert_eq!(review.unwrap().question, only);
}

#[test]
fn a_test_measures_without_repeats() {
    let engine = engine();
    let (mut learner, mut rng) = (Learner::new(), rng());
    let mut asked = Vec::new();
    while let Some(choice) = {
        let request = Request { exclude: &asked, ..Request::default() };
        engine.select(Mode::Test, &learner, &request, at(asked.len() as i64), &mut rng)
    } {
        assert!(!asked.contains(&choice.question));
        answer(&engine, &mut learner, &choice, asked.len() % 2 == 0, asked.len() as i64);
        asked.push(choice.question);
    }
    assert_eq!(asked.len(), 30);
}

/// 3,000 items on 30 skills, too many to look at each.
fn large() -> Engine {
    let entries = (0..3000).map(|n| Entry {
        id: QuestionId::new(format!("q-{n}")).unwrap(),
        skills: vec![SkillId::new(format!("s{}/skill-{}", n % 2, n % 30)).unwrap()],
        level: Some(Level::Remember),
        guess: 0.25,
        difficulty: Some((n % 5) as u8 + 1),
        expected_ms: 15_000,
        neighbours: Vec::new(),
        pilot: false,
    });
    Engine::new(Arc::new(Catalog::new(entries)), Arc::new(Model::new()))
}

#[test]
fn in_a_large_bank_practice_keeps_to_request_and_target() {
    let (engine, mut learner, mut rng) = (large(), Learner::new(), rng());
    let request = Request { subject: Some("s1"), ..Request::default() };
    let mut skills = HashSet::new();
    for n in 0..200 {
        let choice = engine.select(Mode::Practice, &learner, &request, at(n), &mut rng).unwrap();
        assert_eq!(choice.why.skill.as_ref().unwrap().subject(), "s1");
        assert_eq!(choice.why.candidates, 1500);
        assert!((0.55..0.95).contains(&choice.probability), "{}", choice.probability);
        skills.insert(choice.why.skill.clone());
        answer(&engine, &mut learner, &choice, n % 4 != 0, n);
    }
    assert!(skills.len() > 10, "{}", skills.len());
    let test = engine.select(Mode::Test, &learner, &request, at(300), &mut rng).unwrap();
    assert_eq!(test.why.skill.unwrap().subject(), "s1");
}

#[test]
fn when_the_suitable_part_of_a_large_bank_is_used_up_the_rest_is_asked() {
    let (engine, mut learner, mut rng) = (large(), Learner::new(), rng());
    let skills = [SkillId::new("s1/skill-1").unwrap()];
    for n in 0..3000 {
        let id = QuestionId::new(format!("q-{n}")).unwrap();
        if n % 30 != 1 {
            engine.observe(&mut learner, &id, &Outcome::new(true, at(0))).unwrap();
        }
    }
    for n in 0..20 {
        let choice =
            engine.select(Mode::Practice, &learner, &Request::default(), at(60 + n), &mut rng);
        assert_eq!(choice.unwrap().why.skill.as_ref(), Some(&skills[0]));
    }
}

#[test]
fn the_chances_of_all_policies_belong_to_one_draw() {
    let (engine, learner, mut rng) = (engine(), Learner::new(), rng());
    for policy in &POLICIES {
        let request = Request { policy, ..Request::default() };
        let mut weights = [0.0; POLICIES.len()];
        let draws = 2000;
        for _ in 0..draws {
            let choice =
                engine.select(Mode::Practice, &learner, &request, at(0), &mut rng).unwrap();
            assert_eq!(choice.why.policy, policy.name);
            let own = choice.chances.iter().find(|c| c.policy == policy.name).unwrap();
            assert_eq!(own.propensity, choice.propensity);
            for (sum, chance) in weights.iter_mut().zip(&choice.chances) {
                *sum += chance.propensity / choice.propensity;
            }
        }
        // The mean of the importance weights of any policy is 1.
        for sum in weights {
            let mean = sum / f64::from(draws);
            assert!((0.85..1.15).contains(&mean), "{} {weights:?}", policy.name);
        }
    }
}

#[test]
fn skills_wait_for_their_prerequisites() {
    let pair = |a: &str, b: &str| (SkillId::new(a).unwrap(), SkillId::new(b).unwrap());
    let graph = SkillGraph::new([pair("biology/cells", "biology/genes")]).unwrap();
    let engine = engine().with_prerequisites(&graph);
    let (mut learner, mut rng) = (Learner::new(), rng());
    let request = Request { subject: Some("biology"), ..Request::default() };
    let mut asked = |learner: &Learner, minute| {
        engine
            .select(Mode::Practice, learner, &request, at(minute), &mut rng)
            .unwrap()
            .why
            .skill
            .unwrap()
    };
    for _ in 0..30 {
        assert_eq!(asked(&learner, 0).as_str(), "biology/cells");
    }
    for n in 0..40 {
        let id = QuestionId::new(format!("q-0-{}", n % 10)).unwrap();
        engine.observe(&mut learner, &id, &Outcome::new(true, at(n))).unwrap();
    }
    let cells = SkillId::new("biology/cells").unwrap();
    assert!(mastery::has_mastered(&engine, &learner, &cells, at(60)));
    assert!((0..30).any(|_| asked(&learner, 60).as_str() == "biology/genes"));
}

#[test]
fn what_would_change_the_model_is_told_as_it_comes() {
    let engine = engine();
    let mut learner = Learner::new();
    let told = mastery(&engine, &learner, at(0)).skills[0].change;
    let needed = told.right_answers_to_mastery.unwrap();
    assert!(needed > 0 && told.if_wrong < told.if_right);
    let cells = SkillId::new("biology/cells").unwrap();
    let mut given = 0;
    while !mastery::has_mastered(&engine, &learner, &cells, at(given)) {
        let id = QuestionId::new(format!("q-0-{}", given % 10)).unwrap();
        engine.observe(&mut learner, &id, &Outcome::new(true, at(given))).unwrap();
        given += 1;
    }
    let off = given.abs_diff(needed.into());
    assert!(off <= u64::from(needed), "told {needed}, took {given}");
    assert_eq!(
        mastery(&engine, &learner, at(given)).skills[0].change.right_answers_to_mastery,
        Some(0)
    );
}

#[test]
fn nothing_to_ask_is_said() {
    let empty = Engine::new(Arc::default(), Arc::new(Model::new()));
    for mode in [Mode::Practice, Mode::Review, Mode::Test] {
        let choice = empty.select(mode, &Learner::new(), &Request::default(), at(0), &mut rng());
        assert_eq!(choice, None);
    }
    let nowhere = Request { subject: Some("geology"), ..Request::default() };
    assert_eq!(engine().select(Mode::Practice, &Learner::new(), &nowhere, at(0), &mut rng()), None);
    assert_eq!(mastery(&empty, &Learner::new(), at(0)).overall, None);
}

#[test]
fn the_reason_is_said_in_words_and_numbers() {
    let engine = engine();
    let choice = engine
        .select(Mode::Practice, &Learner::new(), &Request::default(), at(0), &mut rng())
        .unwrap();
    let chance = format!("{:.0} %", 100.0 * choice.probability);
    assert!(choice.why.sentence.contains(&chance), "{}", choice.why.sentence);
    let json = serde_json::to_value(&choice.why).unwrap();
    assert_eq!(json["reason"], "right_difficulty");
    assert_eq!(json["candidates"], 30);
}

#[test]
fn mastery_intervals_hold_their_estimates_and_narrow() {
    let engine = engine();
    let mut learner = Learner::new();
    let width = |learner: &Learner| {
        let estimate = mastery(&engine, learner, at(100)).skills[0].estimate;
        assert!(estimate.low < estimate.probability && estimate.probability < estimate.high);
        (estimate.high - estimate.low, estimate.answers)
    };
    let before = width(&learner);
    for n in 0..30 {
        let id = QuestionId::new(format!("q-0-{}", n % 10)).unwrap();
        engine.observe(&mut learner, &id, &Outcome::new(n % 2 == 0, at(n))).unwrap();
    }
    let after = width(&learner);
    assert!(after.0 < 0.9 * before.0, "{before:?} {after:?}");
    assert_eq!((before.1, after.1), (0, 30));
}

#[test]
fn states_outlive_the_catalogue() {
    let old = engine();
    let mut learner = Learner::new();
    for n in 0..5 {
        let id = QuestionId::new(format!("q-0-{n}")).unwrap();
        old.observe(&mut learner, &id, &Outcome::new(true, at(n))).unwrap();
    }
    let id = QuestionId::new("q-0-3").unwrap();
    let before = old.predict(&learner, &id, at(9));
    let reversed = {
        let catalog = catalog();
        let mut entries: Vec<_> = (0..catalog.len() as u32)
            .map(|i| {
                let item = &catalog.items()[i as usize];
                quizmentor_adaptive::Entry {
                    id: catalog.id(i).clone(),
                    skills: item
                        .skills
                        .iter()
                        .map(|&k| catalog.skill(k).unwrap().id.clone())
                        .collect(),
                    level: item.level,
                    guess: f64::from(item.guess),
                    difficulty: item.difficulty,
                    expected_ms: item.expected_ms,
                    neighbours: Vec::new(),
                    pilot: false,
                }
            })
            .collect();
        entries.reverse();
        entries.pop();
        quizmentor_adaptive::Catalog::new(entries)
    };
    let new = Engine::new(Arc::new(reversed), Arc::clone(old.model()));
    assert_eq!(new.predict(&learner, &id, at(9)), before);
    assert_eq!(new.predict(&learner, &QuestionId::new("q-0-0").unwrap(), at(9)), None);
}
