//! The rules of item writing: each a small function from an item to its findings.

mod item;
mod options;
mod ranges;
mod stem;
#[cfg(test)]
mod tests;
mod words;

use crate::{Finding, Rule, Severity};

pub(crate) use item::Item;

type Check = fn(&Item<'_>) -> Vec<Finding>;

const CHECKS: [Check; 25] = [
    stem::empty,
    stem::too_long,
    stem::negative,
    stem::double_negative,
    stem::article_cue,
    stem::answer_inside,
    stem::absolute_statement,
    stem::missing_figure,
    stem::unsupported_markup,
    stem::broken_text,
    stem::no_explanation,
    options::too_few,
    options::duplicates,
    options::near_duplicates,
    options::all_of_the_above,
    options::none_of_the_above,
    options::longest_key,
    options::uneven,
    options::absolute_distractors,
    options::key_echoes_stem,
    options::all_right,
    options::one_right,
    options::no_spare_answer,
    options::accepts_anything,
    ranges::overlapping,
];

/// What all rules find, in the order of the rules.
pub(crate) fn check(item: &Item<'_>) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| check(item)).collect()
}

pub(crate) fn finding(
    rule: Rule,
    severity: Severity,
    field: impl Into<String>,
    message: impl Into<String>,
) -> Finding {
    Finding { rule, severity, field: field.into(), message: message.into() }
}
