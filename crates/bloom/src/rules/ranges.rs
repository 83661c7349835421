//! Options that are ranges of numbers.

use super::{Item, finding};
use crate::{Finding, Rule, Severity};

/// A range of numbers, each end with whether it belongs to the range.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    low: (f64, bool),
    high: (f64, bool),
}

pub(super) fn overlapping(item: &Item<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<(&str, Range)> = Vec::new();
    for option in &item.options {
        let Some(range) = parse(&option.text) else { continue };
        if let Some((other, _)) = seen.iter().find(|(_, earlier)| earlier.overlaps(range)) {
            let message = format!(
                "“{}” overlaps “{other}”, so some values have two right options. Set the ranges \
                 apart, for instance 10–19 and 20–29.",
                option.text.trim()
            );
            findings.push(finding(
                Rule::OverlappingRanges,
                Severity::Warning,
                &option.field,
                message,
            ));
        }
        seen.push((option.text.trim(), range));
    }
    findings
}

impl Range {
    fn overlaps(self, other: Self) -> bool {
        let below = |high: (f64, bool), low: (f64, bool)| {
            high.0 < low.0 || (high.0 == low.0 && !(high.1 && low.1))
        };
        !below(self.high, other.low) && !below(other.high, self.low)
    }
}

/// “10–20 cm”, “10 to 20”, “between 10 and 20”, “under 10”, “> 10”, “at least 10”. Two years are
/// a period rather than a range of values, and give `None`.
fn parse(text: &str) -> Option<Range> {
    let text = text.trim().to_lowercase().replace(['–', '—', '−'], "-");
    let text = text.strip_prefix("between ").unwrap_or(&text);
    let open = (f64::NEG_INFINITY, f64::INFINITY);
    for (start, is_upper, included) in [
        ("less than ", true, false),
        ("fewer than ", true, false),
        ("under ", true, false),
        ("below ", true, false),
        ("at most ", true, true),
        ("up to ", true, true),
        ("≤", true, true),
        ("<", true, false),
        ("more than ", false, false),
        ("greater than ", false, false),
        ("over ", false, false),
        ("above ", false, false),
        ("at least ", false, true),
        ("≥", false, true),
        (">", false, false),
    ] {
        if let Some(rest) = text.strip_prefix(start) {
            let (value, unit) = number(rest)?;
            let end = (value, included);
            return is_unit(unit).then_some(if is_upper {
                Range { low: (open.0, false), high: end }
            } else {
                Range { low: end, high: (open.1, false) }
            });
        }
    }
    let (low, rest) = number(text)?;
    let rest = rest.trim_start_matches(['%', ' ']);
    let rest = ["-", "to ", "and "].iter().find_map(|joint| rest.strip_prefix(joint))?;
    let (high, unit) = number(rest)?;
    let is_year = |value: f64| value.fract() == 0.0 && (1000.0..2200.0).contains(&value);
    let is_range = low < high && is_unit(unit) && !(is_year(low) && is_year(high));
    is_range.then_some(Range { low: (low, true), high: (high, true) })
}

/// A number at the start of a text, thousands set apart by commas, and what follows.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start().trim_start_matches(['$', '€', '£']);
    let sign = usize::from(text.starts_with('-'));
    let digits = text[sign..].find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','));
    let (number, rest) = text.split_at(digits.map_or(text.len(), |at| at + sign));
    let value = number.trim_end_matches(['.', ',']).replace(',', "").parse().ok()?;
    Some((value, rest))
}

/// Nothing, or a word or two such as “cm” or “% of mass”.
fn is_unit(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_digit()) && text.split_whitespace().count() <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_their_usual_forms() {
        let closed = |low, high| Some(Range { low: (low, true), high: (high, true) });
        assert_eq!(parse("10–20 cm"), closed(10.0, 20.0));
        assert_eq!(parse("between 1,000 and 2,500"), closed(1000.0, 2500.0));
        assert_eq!(parse("-5 to 5"), closed(-5.0, 5.0));
        assert_eq!(parse("5% - 10%"), closed(5.0, 10.0));
        assert_eq!(parse("< 10").unwrap().high, (10.0, false));
        assert_eq!(parse("At least 10").unwrap().low, (10.0, true));
        for other in ["10", "x-ray", "1914–1918", "20-10", "under the sea", "10 - 3 = 7", "", "-"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
