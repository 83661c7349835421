//! Exam plan: which skills today, given the days left and the target.

use std::{cmp::Ordering, collections::BinaryHeap};

use quizmentor_core::SkillId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gaussian::{self, sigmoid};

/// What the plan needs to know of a skill.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The skill.
    pub skill: SkillId,
    /// Probability of knowing the answer to its typical item today, guesses aside, 0 to 1.
    pub knowledge: f64,
    /// Probability of guessing that answer right without knowing it, 0 to 1.
    pub guess: f64,
    /// Its share in the exam, at least 0; the shares need not add up to 1.
    pub weight: f64,
    /// Minutes that an answer takes.
    pub minutes_per_answer: f64,
}

/// Practice of one skill today.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// The skill.
    pub skill: SkillId,
    /// Answers to give.
    pub answers: u32,
    /// Minutes that they are expected to take.
    pub minutes: f64,
}

/// Today's part of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// What to practise today, what helps most first.
    pub today: Vec<Task>,
    /// Minutes a day that would reach the target, were every day like this one.
    pub minutes_needed_daily: f64,
    /// Whether the minutes that there are suffice.
    pub reachable: bool,
}

/// Logits that an answer adds to knowledge, the round figure on which plans rest until a learner's
/// own rate is known.
const GAIN: f64 = 0.08;
/// Most answers a skill gets in one day; practice spaced over days holds better.
const MOST: u32 = 20;

/// Minutes of practice after which the answer to the typical item of a skill is expected to be known
/// with probability `target`, guesses aside.
#[must_use]
pub fn minutes_to(subject: &Subject, target: f64) -> f64 {
    answers_to(subject, target) * pace(subject)
}

fn answers_to(subject: &Subject, knowledge: f64) -> f64 {
    ((logit(knowledge) - logit(subject.knowledge)) / GAIN).ceil().max(0.0)
}

/// The knowledge with which success, guesses included, has probability `target`.
fn knowledge_for(subject: &Subject, target: f64) -> f64 {
    (target - subject.guess) / (1.0 - subject.guess)
}

/// Plans the practice of today: `days` are left, today included; `target` is the success probability
/// wished on the typical item of every skill; `minutes` are there today. Each answer goes to the
/// skill where it raises the expected mark most a minute.
#[must_use]
pub fn plan(subjects: &[Subject], days: u32, target: f64, minutes: f64) -> Plan {
    let needed: Vec<f64> =
        subjects.iter().map(|s| answers_to(s, knowledge_for(s, target))).collect();
    let total: f64 = needed.iter().zip(subjects).map(|(n, s)| n * pace(s)).sum();
    let daily = total / f64::from(days.max(1));
    let mut answers = vec![0_u32; subjects.len()];
    let mut left = if minutes.is_finite() { minutes.max(0.0) } else { 0.0 };
    let turn = |at: usize, answers: u32| {
        let open = answers < MOST && f64::from(answers) < needed[at];
        Some(Turn { gain: gain(&subjects[at], answers), at }).filter(|turn| open && turn.gain > 0.0)
    };
    let mut turns: BinaryHeap<Turn> = (0..subjects.len()).filter_map(|at| turn(at, 0)).collect();
    while let Some(Turn { at, .. }) = turns.pop() {
        if pace(&subjects[at]) > left {
            continue;
        }
        answers[at] += 1;
        left -= pace(&subjects[at]);
        turns.extend(turn(at, answers[at]));
    }
    let mut today: Vec<Task> = subjects
        .iter()
        .zip(answers)
        .filter(|(_, answers)| *answers > 0)
        .map(|(s, answers)| Task {
            skill: s.skill.clone(),
            answers,
            minutes: f64::from(answers) * pace(s),
        })
        .collect();
    today.sort_by(|a, b| b.answers.cmp(&a.answers).then_with(|| a.skill.cmp(&b.skill)));
    Plan { today, minutes_needed_daily: daily, reachable: daily <= minutes }
}

/// What an answer more to a skill would raise the expected mark by, a minute.
fn gain(subject: &Subject, answers: u32) -> f64 {
    let now = logit(subject.knowledge) + GAIN * f64::from(answers);
    let risen = sigmoid(now + GAIN) - sigmoid(now);
    subject.weight.max(0.0) * (1.0 - subject.guess) * risen / pace(subject)
}

/// A skill that could get the next answer. The one that gains most is the greatest; of equals, the
/// first.
#[derive(Debug, PartialEq)]
struct Turn {
    gain: f64,
    at: usize,
}

impl Eq for Turn {}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then(other.at.cmp(&self.at))
    }
}

/// Minutes an answer, at least a few seconds whatever came in.
fn pace(subject: &Subject) -> f64 {
    subject.minutes_per_answer.max(0.05)
}

fn logit(p: f64) -> f64 {
    gaussian::logit(p.clamp(0.01, 0.99))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str, knowledge: f64, weight: f64) -> Subject {
        let skill = SkillId::new(format!("s/{name}")).unwrap();
        Subject { skill, knowledge, guess: 0.0, weight, minutes_per_answer: 0.5 }
    }

    #[test]
    fn weak_and_heavy_skills_come_first_and_time_is_kept() {
        let subjects =
            [subject("known", 0.95, 1.0), subject("weak", 0.5, 1.0), subject("heavy", 0.5, 3.0)];
        let plan = plan(&subjects, 10, 0.9, 12.0);
        let names: Vec<&str> = plan.today.iter().map(|task| task.skill.name()).collect();
        assert_eq!(names, ["heavy", "weak"]);
        assert!(plan.today.iter().map(|task| task.minutes).sum::<f64>() <= 12.0);
        assert_eq!(plan.today[0].answers, MOST);
    }

    #[test]
    fn time_goes_where_an_answer_gains_most_at_each_step() {
        let subjects: Vec<_> = (0..40)
            .map(|n| {
                let (knowledge, weight) = (f64::from(n % 7) / 8.0, f64::from(n % 5));
                Subject {
                    minutes_per_answer: 0.3 + f64::from(n % 3),
                    ..subject(&format!("s{n}"), knowledge, weight)
                }
            })
            .collect();
        let mut answers = vec![0; subjects.len()];
        let mut left: f64 = 100.0;
        let open = |at: usize, answers: &[u32], left: f64| {
            let needed = answers_to(&subjects[at], knowledge_for(&subjects[at], 0.8));
            let gain = gain(&subjects[at], answers[at]);
            let few = answers[at] < MOST && f64::from(answers[at]) < needed;
            (few && pace(&subjects[at]) <= left && gain > 0.0).then_some((gain, at))
        };
        while let Some((_, best)) = (0..subjects.len())
            .filter_map(|at| open(at, &answers, left))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        {
            answers[best] += 1;
            left -= pace(&subjects[best]);
        }
        let planned = plan(&subjects, 1, 0.8, 100.0).today;
        for (subject, answers) in subjects.iter().zip(answers) {
            let task = planned.iter().find(|task| task.skill == subject.skill);
            assert_eq!(task.map_or(0, |task| task.answers), answers, "{}", subject.skill);
        }
    }

    #[test]
    fn whether_it_can_be_done_is_said() {
        let subjects = [subject("weak", 0.3, 1.0)];
        assert!(plan(&subjects, 30, 0.8, 30.0).reachable);
        let tight = plan(&subjects, 1, 0.95, 5.0);
        assert!(!tight.reachable && tight.minutes_needed_daily > 5.0);
        let done = plan(&[subject("known", 0.9, 1.0)], 3, 0.8, 30.0);
        assert_eq!((done.today.len(), done.minutes_needed_daily), (0, 0.0));
    }

    #[test]
    fn guessing_counts_for_the_mark_but_not_as_knowledge() {
        let open = subject("open", 0.5, 1.0);
        let statements = Subject { guess: 0.5, ..subject("statements", 0.5, 1.0) };
        assert_eq!(minutes_to(&open, 0.7), minutes_to(&statements, 0.7));
        let needed =
            |of: &Subject| plan(std::slice::from_ref(of), 1, 0.8, 60.0).minutes_needed_daily;
        assert!(needed(&statements) < needed(&open), "a chance of .75 is nearer to .8 than .5 is");
        let both = plan(&[statements, open], 1, 0.95, 10.0);
        assert_eq!(
            both.today[0].skill.name(),
            "open",
            "knowing more changes its mark twice as much"
        );
    }

    #[test]
    fn strange_numbers_plan_nothing_or_little() {
        let odd = Subject { minutes_per_answer: f64::NAN, ..subject("odd", f64::NAN, f64::NAN) };
        for minutes in [f64::NAN, -1.0, 0.0, 10.0, f64::INFINITY] {
            let plan = plan(std::slice::from_ref(&odd), 0, f64::NAN, minutes);
            assert!(plan.today.len() <= 1);
        }
    }
}
