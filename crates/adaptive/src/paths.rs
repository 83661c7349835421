//! Learning paths: skills in the order that their prerequisites ask for.

use std::collections::{BTreeMap, BTreeSet};

use quizmentor_core::SkillId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;

/// Skills with their prerequisites; without cycles.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SkillGraph {
    prerequisites: BTreeMap<SkillId, BTreeSet<SkillId>>,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// The skill to learn.
    pub skill: SkillId,
    /// Minutes of practice that it is expected to take.
    pub minutes: f64,
}

impl SkillGraph {
    /// The graph of the pairs (prerequisite, skill).
    ///
    /// # Errors
    /// [`Error::Cycle`], which names the skills of a cycle in order.
    pub fn new(pairs: impl IntoIterator<Item = (SkillId, SkillId)>) -> Result<Self, Error> {
        let mut prerequisites = BTreeMap::<_, BTreeSet<_>>::new();
        for (before, skill) in pairs {
            prerequisites.entry(skill).or_default().insert(before);
        }
        Self::of(prerequisites)
    }

    /// The graph of skills with their direct prerequisites.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn of(prerequisites: BTreeMap<SkillId, BTreeSet<SkillId>>) -> Result<Self, Error> {
        let graph = Self { prerequisites };
        graph.in_order(graph.prerequisites.keys().collect(), |_| false)?;
        Ok(graph)
    }

    /// The direct prerequisites of a skill.
    pub fn prerequisites(&self, skill: &SkillId) -> impl Iterator<Item = &SkillId> {
        self.prerequisites.get(skill).into_iter().flatten()
    }

    /// Whether every direct prerequisite of a skill is mastered.
    pub fn is_ready(&self, skill: &SkillId, mastered: impl Fn(&SkillId) -> bool) -> bool {
        self.prerequisites(skill).all(mastered)
    }

    /// What is to be learned for `goal`, each skill after its prerequisites. What is mastered is
    /// left out, and with it what only that would need.
    #[must_use]
    pub fn path(
        &self,
        goal: &SkillId,
        mastered: impl Fn(&SkillId) -> bool,
        minutes: impl Fn(&SkillId) -> f64,
    ) -> Vec<Step> {
        let order = self.in_order(vec![goal], mastered).unwrap_or_default();
        order
            .into_iter()
            .map(|skill| Step { minutes: minutes(skill), skill: skill.clone() })
            .collect()
    }

    /// Depth first from `roots`, without recursion: a chain of prerequisites may be long.
    fn in_order<'a>(
        &'a self,
        roots: Vec<&'a SkillId>,
        skip: impl Fn(&SkillId) -> bool,
    ) -> Result<Vec<&'a SkillId>, Error> {
        let (mut entered, mut done) = (BTreeSet::new(), BTreeSet::new());
        let mut order = Vec::new();
        for root in roots {
            let mut trail: Vec<(&SkillId, Vec<&SkillId>)> = Vec::new();
            let mut next = Some(root);
            loop {
                if let Some(skill) = next.take().filter(|s| !done.contains(*s) && !skip(s)) {
                    if !entered.insert(skill) {
                        let on_trail = trail.iter().map(|(s, _)| *s).skip_while(|s| *s != skill);
                        return Err(cycle(on_trail, skill));
                    }
                    trail.push((skill, self.prerequisites(skill).collect()));
                }
                let Some((_, waiting)) = trail.last_mut() else { break };
                next = waiting.pop();
                if next.is_none()
                    && let Some((skill, _)) = trail.pop()
                {
                    done.insert(skill);
                    order.push(skill);
                }
            }
        }
        Ok(order)
    }
}

fn cycle<'a>(skills: impl Iterator<Item = &'a SkillId>, first: &'a SkillId) -> Error {
    let names: Vec<&str> = skills.chain([first]).map(SkillId::as_str).collect();
    Error::Cycle(names.join(" needs "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skill(name: &str) -> SkillId {
        SkillId::new(format!("s/{name}")).unwrap()
    }

    fn graph(pairs: &[(&str, &str)]) -> Result<SkillGraph, Error> {
        SkillGraph::new(pairs.iter().map(|(a, b)| (skill(a), skill(b))))
    }

    fn names(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.skill.name()).collect()
    }

    #[test]
    fn a_path_leads_through_what_is_missing() {
        let graph = graph(&[("a", "b"), ("b", "d"), ("c", "d"), ("x", "y")]).unwrap();
        let all = graph.path(&skill("d"), |_| false, |_| 5.0);
        assert_eq!((names(&all).len(), names(&all)[3]), (4, "d"));
        let missing = graph.path(&skill("d"), |s| s.name() == "b", |_| 5.0);
        assert_eq!(names(&missing), ["c", "d"]);
        assert!(graph.path(&skill("d"), |_| true, |_| 5.0).is_empty());
        assert_eq!(names(&graph.path(&skill("alone"), |_| false, |_| 1.0)), ["alone"]);
        assert!(graph.is_ready(&skill("y"), |s| s.name() == "x"));
    }

    #[test]
    fn a_cycle_is_named() {
        let error = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("z", "a")]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("s/a needs s/c needs s/b needs s/a"), "{text}");
        assert!(graph(&[("a", "a")]).is_err());
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let chain = (0..50_000).map(|i| (skill(&i.to_string()), skill(&(i + 1).to_string())));
        let graph = SkillGraph::new(chain).unwrap();
        assert_eq!(graph.path(&skill("50000"), |_| false, |_| 1.0).len(), 50_001);
    }

    proptest! {
        #[test]
        fn prerequisites_come_first(edges in prop::collection::vec((0_u8..12, 0_u8..12), 0..40)) {
            let forward = edges.iter().filter(|(a, b)| a < b);
            let name = |n: u8| skill(&n.to_string());
            let graph = SkillGraph::new(forward.map(|&(a, b)| (name(a), name(b)))).unwrap();
            let path = graph.path(&name(11), |_| false, |_| 1.0);
            for (at, step) in path.iter().enumerate() {
                for before in graph.prerequisites(&step.skill) {
                    prop_assert!(path[..at].iter().any(|s| s.skill == *before));
                }
            }
        }
    }
}
