//! Exam plan: which skills today, given the days left and the target.

use quizmentor_core::SkillId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the plan needs to know of a skill.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The skill.
    pub skill: SkillId,
    /// Probability of success on its typical item today, 0 to 1.
    pub mastery: f64,
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

/// Logits that an answer adds to mastery, the round figure on which plans rest until a learner's
/// own rate is known.
const GAIN: f64 = 0.08;
/// Most answers a skill gets in one day; practice spaced over days holds better.
const MOST: u32 = 20;

/// Minutes of practice after which success on the typical item of a skill is expected to reach
/// `target`.
#[must_use]
pub fn minutes_to(subject: &Subject, target: f64) -> f64 {
    answers_to(subject, target) * pace(subject)
}

fn answers_to(subject: &Subject, target: f64) -> f64 {
    ((logit(target) - logit(subject.mastery)) / GAIN).ceil().max(0.0)
}

/// Plans the practice of today: `days` are left, today included; `target` is the success probability
/// wished on the typical item of every skill; `minutes` are there today. Each answer goes to the
/// skill where it raises the expected mark most a minute.
#[must_use]
pub fn plan(subjects: &[Subject], days: u32, target: f64, minutes: f64) -> Plan {
    let needed: Vec<f64> = subjects.iter().map(|s| answers_to(s, target)).collect();
    let total: f64 = needed.iter().zip(subjects).map(|(n, s)| n * pace(s)).sum();
    let daily = total / f64::from(days.max(1));
    let mut answers = vec![0_u32; subjects.len()];
    let mut left = if minutes.is_finite() { minutes.max(0.0) } else { 0.0 };
    while let Some(best) = next(subjects, &needed, &answers, left) {
        answers[best] += 1;
        left -= pace(&subjects[best]);
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

/// The skill whose next answer raises the expected mark most a minute.
fn next(subjects: &[Subject], needed: &[f64], answers: &[u32], left: f64) -> Option<usize> {
    let gain = |at: usize| {
        let subject = &subjects[at];
        let now = logit(subject.mastery) + GAIN * f64::from(answers[at]);
        let risen = crate::gaussian::sigmoid(now + GAIN) - crate::gaussian::sigmoid(now);
        subject.weight.max(0.0) * risen / pace(subject)
    };
    (0..subjects.len())
        .filter(|&at| answers[at] < MOST && f64::from(answers[at]) < needed[at])
        .filter(|&at| pace(&subjects[at]) <= left)
        .map(|at| (gain(at), at))
        .filter(|(gain, _)| *gain > 0.0)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(_, at)| at)
}

/// Minutes an answer, at least a few seconds whatever came in.
fn pace(subject: &Subject) -> f64 {
    subject.minutes_per_answer.max(0.05)
}

fn logit(p: f64) -> f64 {
    crate::gaussian::logit(p.clamp(0.01, 0.99))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str, mastery: f64, weight: f64) -> Subject {
        let skill = SkillId::new(format!("s/{name}")).unwrap();
        Subject { skill, mastery, weight, minutes_per_answer: 0.5 }
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
    fn whether_it_can_be_done_is_said() {
        let subjects = [subject("weak", 0.3, 1.0)];
        assert!(plan(&subjects, 30, 0.8, 30.0).reachable);
        let tight = plan(&subjects, 1, 0.95, 5.0);
        assert!(!tight.reachable && tight.minutes_needed_daily > 5.0);
        let done = plan(&[subject("known", 0.9, 1.0)], 3, 0.8, 30.0);
        assert_eq!((done.today.len(), done.minutes_needed_daily), (0, 0.0));
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
