//! Against reference implementations; `tests/oracle/oracle.py` computed the values.

use jiff::{SignedDuration, Timestamp};
use quizmentor_adaptive::{
    Item, ItemKey, Learner, Model, Outcome,
    cat::{Ability, Parameters},
};
use serde_json::Value;

fn golden(part: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../oracle/golden.json")).unwrap();
    golden[part].as_array().unwrap().clone()
}

fn close(value: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((value - expected).abs() <= tolerance * expected.abs().max(1.0), "{value} {expected}");
}

#[test]
fn abilities_equal_the_reference() {
    for history in golden("abilities") {
        let mut ability = Ability::new();
        let items = history["items"].as_array().unwrap();
        for (item, answer) in items.iter().zip(history["answers"].as_array().unwrap()) {
            let number = |k: usize| item[k].as_f64().unwrap();
            let item =
                Parameters { discrimination: number(0), difficulty: number(1), guess: number(2) };
            ability = ability.after(&item, answer == 1);
        }
        close(ability.estimate().mean, &history["mean"], 1e-6);
        close(ability.estimate().error, &history["error"], 1e-6);
    }
}

#[test]
fn reviews_equal_the_reference() {
    let item = Item::bare(ItemKey::of("q"), Vec::new());
    for history in golden("reviews") {
        let mut learner = Learner::new();
        let mut now = Timestamp::UNIX_EPOCH;
        for step in history["steps"].as_array().unwrap() {
            now += SignedDuration::from_hours(24 * step["days"].as_i64().unwrap());
            if let Some(memory) = learner.item(item.key).and_then(|state| state.memory()) {
                close(memory.retrievability(now), &step["retrievability_before"], 1e-6);
            }
            let rating = step["rating"].as_str().unwrap();
            let outcome =
                Outcome { hint: rating == "hard", ..Outcome::new(rating != "again", now) };
            learner.observe(&Model::new(), &item, &outcome);
            let memory = learner.item(item.key).unwrap().memory().unwrap();
            close(f64::from(memory.stability), &step["stability"], 1e-6);
            close(f64::from(memory.difficulty), &step["difficulty"], 1e-6);
            let days = memory.due_at().duration_since(now).as_hours() / 24;
            assert_eq!(Some(days), step["interval_days"].as_i64());
        }
    }
}
