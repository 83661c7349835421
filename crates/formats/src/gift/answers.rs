//! Reads what stands between the braces.

use std::iter;

use quizmentor_core::{AcceptedNumber, AcceptedText, Body, Choice, Pair, TextFormat, limits};

use crate::{
    Problem,
    gift::{
        question::formatted,
        symbol::{Symbol, Text, plain, split_once, trimmed},
    },
    import::{Place, excerpt},
};

/// A body, and where each of its options or answers stands.
type Placed = (Body, Vec<Place>);

/// Reads the kind of question and its options from `answers`, which has no blanks around it.
pub(super) fn body(answers: Text<'_>, format: TextFormat) -> Result<Placed, Problem> {
    let Some(first) = answers.first() else { return Ok((Body::Essay, vec![])) };
    if first.is('#') {
        return numerical(&answers[1..], format, first.place);
    }
    if !answers.iter().any(|symbol| symbol.is('~'))
        && let Some(body) = true_false(answers, format)?
    {
        return Ok((body, vec![]));
    }
    let items = items(answers)?;
    let places = items.iter().map(|item| item.place).collect();
    let body = if items.iter().any(|item| item.marker == Some('~')) {
        choice(&items, format)?
    } else if items.iter().all(|item| item.weight.is_none() && item.arrow().is_some()) {
        matching(&items, format)?
    } else {
        short_answer(&items, format)?
    };
    Ok((body, places))
}

/// An option or accepted answer: `=%weight%text#feedback`.
struct Item<'a> {
    place: Place,
    /// `=`, `~`, or nothing before the first of them.
    marker: Option<char>,
    weight: Option<f64>,
    text: Text<'a>,
    feedback: Option<Text<'a>>,
}

impl<'a> Item<'a> {
    fn of(content: Text<'a>, marker: Option<char>, place: Place) -> Self {
        let (weight, content) = weight(trimmed(content));
        let (text, feedback) = match split_once(content, "#") {
            Some((text, feedback)) => (text, Some(feedback)),
            None => (content, None),
        };
        Self { place, marker, weight, text: trimmed(text), feedback }
    }

    fn arrow(&self) -> Option<(Text<'a>, Text<'a>)> {
        split_once(self.text, "->")
    }

    fn feedback(&self, format: TextFormat) -> Result<String, Problem> {
        formatted(self.feedback.unwrap_or_default(), format)
    }
}

/// Splits `answers` before each `=` and `~`.
fn items(answers: Text<'_>) -> Result<Vec<Item<'_>>, Problem> {
    let is_marker = |symbol: &Symbol| symbol.is('=') || symbol.is('~');
    let markers = answers.iter().filter(|symbol| is_marker(symbol));
    if let Some(excess) = markers.clone().nth(limits::OPTIONS) {
        return Err(excess.place.problem(format!(
            "more than {} answers: leave some out, or split the question",
            limits::OPTIONS
        )));
    }
    let mut parts = answers.split(is_marker);
    let unmarked = parts.next().map(trimmed).filter(|text| !text.is_empty());
    Ok(unmarked
        .map(|text| Item::of(text, None, text[0].place))
        .into_iter()
        .chain(iter::zip(markers, parts).map(|(m, text)| Item::of(text, Some(m.char), m.place)))
        .collect())
}

/// The credit that `%…%` at the beginning of `text` gives, and the rest.
fn weight(text: Text<'_>) -> (Option<f64>, Text<'_>) {
    let parsed = || {
        let (first, rest) = text.split_first()?;
        let (number, rest) = first.is('%').then(|| split_once(rest, "%"))??;
        Some((credit(&plain(number))?, rest))
    };
    parsed().map_or((None, text), |(credit, rest)| (Some(credit), rest))
}

/// A hundredth of `percent`, rounded once.
fn credit(percent: &str) -> Option<f64> {
    let digits = percent.strip_prefix('-').unwrap_or(percent);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    format!("{percent}e-2").parse().ok()
}

fn choice(items: &[Item<'_>], format: TextFormat) -> Result<Body, Problem> {
    if let Some(item) = items.iter().find(|item| item.marker.is_none()) {
        return Err(item.place.problem(format!(
            "“{}” has neither “=” nor “~” before it: mark it as right or wrong",
            excerpt(&plain(item.text))
        )));
    }
    let is_single = items.iter().any(|item| item.marker == Some('='));
    let options = items
        .iter()
        .map(|item| {
            let credit = if item.marker == Some('=') { 1.0 } else { 0.0 };
            Ok(Choice {
                text: formatted(item.text, format)?,
                credit: item.weight.unwrap_or(credit),
                feedback: item.feedback(format)?,
            })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(if is_single { Body::SingleChoice { options } } else { Body::MultipleChoice { options } })
}

fn true_false(answers: Text<'_>, format: TextFormat) -> Result<Option<Body>, Problem> {
    let mut parts = answers.splitn(3, |symbol| symbol.is('#'));
    let judgement = parts.next().unwrap_or_default();
    let key = match plain(judgement).as_str() {
        "T" | "TRUE" => true,
        "F" | "FALSE" => false,
        other if ["true", "false"].contains(&other.to_ascii_lowercase().as_str()) => {
            return Err(answers[0].place.problem(format!(
                "write TRUE or FALSE in capitals, or “={other}” for a short answer"
            )));
        }
        _ => return Ok(None),
    };
    let mut feedback = || formatted(parts.next().unwrap_or_default(), format);
    let feedback_wrong = feedback()?;
    let feedback_right = feedback()?;
    Ok(Some(Body::TrueFalse { key, feedback_right, feedback_wrong }))
}

fn short_answer(items: &[Item<'_>], format: TextFormat) -> Result<Body, Problem> {
    let is_weighted = items.iter().any(|item| item.weight.is_some());
    let arrowed = items.iter().find(|item| item.arrow().is_some());
    if let Some(item) = arrowed.filter(|_| !is_weighted) {
        return Err(item.place.problem(
            "some answers have “->” and some have not: a matching question needs it in each, a \
             short answer with “->” needs a weight such as %100%",
        ));
    }
    let accepted = items
        .iter()
        .map(|item| {
            Ok(AcceptedText {
                text: formatted(item.text, format)?,
                credit: item.weight.unwrap_or(1.0),
                feedback: item.feedback(format)?,
            })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(Body::ShortAnswer { accepted })
}

fn matching(items: &[Item<'_>], format: TextFormat) -> Result<Body, Problem> {
    let pairs = items
        .iter()
        .filter_map(|item| Some((item, item.arrow()?)))
        .map(|(item, (prompt, answer))| {
            if item.feedback.is_some() {
                return Err(item.place.problem(
                    "a matching pair takes no feedback: remove it, or write “\\#” for the \
                     character",
                ));
            }
            Ok(Pair { prompt: formatted(prompt, format)?, answer: plain(answer) })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(Body::Matching { pairs })
}

fn numerical(answers: Text<'_>, format: TextFormat, place: Place) -> Result<Placed, Problem> {
    let items = items(answers)?;
    if items.is_empty() {
        return Err(place.problem("a numerical question needs a number after “#”"));
    }
    let (others, items): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| item.marker == Some('~'));
    let mut accepted = Vec::with_capacity(items.len() + others.len());
    for item in &others {
        if !item.text.is_empty() {
            return Err(item.place.problem(
                "in a numerical question “~” only takes feedback for all other numbers, as in \
                 “~#Try again”; write “=%0%” before a wrong number",
            ));
        }
        accepted.push(AcceptedNumber {
            min: f64::MIN,
            max: f64::MAX,
            credit: 0.0,
            feedback: item.feedback(format)?,
        });
    }
    for item in &items {
        let (min, max) = range(&plain(item.text)).map_err(|message| item.place.problem(message))?;
        accepted.push(AcceptedNumber {
            min,
            max,
            credit: item.weight.unwrap_or(1.0),
            feedback: item.feedback(format)?,
        });
    }
    let places = others.iter().chain(&items).map(|item| item.place).collect();
    Ok((Body::Numerical { accepted }, places))
}

/// The numbers that `value`, `value:tolerance`, `min..max` or `*` stands for.
fn range(text: &str) -> Result<(f64, f64), String> {
    if text == "*" {
        return Ok((f64::MIN, f64::MAX));
    }
    if let Some((min, max)) = text.split_once("..") {
        return Ok((number(min)?, number(max)?));
    }
    let Some((value, tolerance)) = text.split_once(':') else {
        let value = number(text)?;
        return Ok((value, value));
    };
    let (centre, margin) = (number(value)?, number(tolerance)?);
    if margin < 0.0 {
        return Err(format!("the tolerance {margin} must not be negative"));
    }
    let places = decimals(value).max(decimals(tolerance));
    Ok((rounded(centre - margin, places), rounded(centre + margin, places)))
}

fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
        format!(
            "“{}” is no number: write for instance 3.14, 42:0.5 (value:tolerance) or 1..2",
            excerpt(text)
        )
    })
}

/// Digits after the point of a decimal.
fn decimals(text: &str) -> usize {
    text.trim().split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// `value` with so many `places`, where a double has them: 0.7 + 0.1 is to be 0.8.
fn rounded(value: f64, places: usize) -> f64 {
    const PRECISE: usize = 15;
    if places > PRECISE {
        return value;
    }
    format!("{value:.places$}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_have_decimal_ends() {
        assert_eq!(range("0.7:0.1"), Ok((0.6, 0.8)));
        assert_eq!(range("2.7 : 0.0005"), Ok((2.6995, 2.7005)));
        assert_eq!(range("-5..-3.5"), Ok((-5.0, -3.5)));
        assert_eq!(range("1e-3"), Ok((0.001, 0.001)));
        for bad in ["", "3,14", "NaN", "inf", "1e999", "1:-1", "..2", "1..", "1:2:3", "four"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn percentages_are_decimals() {
        assert_eq!(credit("33.33333"), Some(0.333_333_3));
        assert_eq!(credit("-50"), Some(-0.5));
        assert_eq!(credit("100."), Some(1.0));
        for bad in ["", "-", ".5", "1e2", "+5", "5 0", "--5", "1.2.3", "½"] {
            assert_eq!(credit(bad), None, "{bad}");
        }
    }
}
