//! Evaluation of files, good and bad.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use quizmentor_adaptive::{
    Error,
    evaluate::{AdaptiveReport, BadRows, Options, adaptive, cat, policies, unpacked},
};

const SKIP: Options = Options { bad_rows: BadRows::Skip, peers: false };

fn run(log: &str, bad_rows: BadRows) -> Result<AdaptiveReport, Error> {
    let options = Options { bad_rows, ..Options::default() };
    adaptive(log.as_bytes(), None::<&[u8]>, options, || Duration::ZERO)
}

/// A log in which learners differ in ability and items in difficulty.
fn log(columns: &str, row: impl Fn(usize, usize, u8) -> String) -> String {
    let mut text = format!("{columns}\n");
    for n in 0..3000 {
        let (learner, item) = (n % 30, n * 17 % 40);
        let easy = (learner as f64 - 15.0) / 8.0 - (item as f64 - 20.0) / 8.0;
        let chance = 1.0 / (1.0 + (-easy).exp());
        let noise = (n as f64 * 0.618_034) % 1.0;
        text.push_str(&row(learner, item, u8::from(noise < chance)));
        text.push('\n');
    }
    text
}

#[test]
fn abilities_and_difficulties_are_learned_whatever_columns_there_are() {
    let full = log("learner,seq,item,skills,correct", |l, i, y| format!("{l},0,{i},{},{y}", i % 5));
    let bare = log("correct,learner,item", |l, i, y| format!("{y},{l},{i}"));
    let several =
        log("learner,skills,correct", |l, i, y| format!("{l},{};{},{y}", i % 8, 8 + i / 8));
    for (log, least) in [(full, 0.72), (bare, 0.72), (several, 0.7)] {
        let report = run(&log, BadRows::Refuse).unwrap();
        assert_eq!(report.rows_scored, 3000);
        assert!(report.auc.unwrap() > least, "{report:?}");
        assert!(report.ece.unwrap() < 0.05, "{report:?}");
    }
}

#[test]
fn training_first_helps_the_first_answers() {
    let log = log("learner,item,correct", |l, i, y| format!("{l},{i},{y}"));
    let cold = run(&log, BadRows::Refuse).unwrap();
    let trained =
        adaptive(log.as_bytes(), Some(log.as_bytes()), Options::default(), || Duration::ZERO)
            .unwrap();
    assert!(trained.auc_first10 > cold.auc_first10);
    assert_eq!(trained.rows_scored, cold.rows_scored);
}

#[test]
fn study_rows_are_not_scored() {
    let log = "learner,item,skills,event,correct,timestamp_ms,latency_ms\n\
               a,1,s,study,0,1000,\na,1,s,correct,1,2000,500\na,1,s,incorrect,0,1500,\n";
    let report = run(log, BadRows::Refuse).unwrap();
    assert_eq!(report.rows_scored, 2);
    assert!(report.auc.is_some());
}

#[test]
fn the_edges_give_no_numbers_and_no_panic() {
    for log in ["", "learner,correct\n", "learner,correct\n\n\n"] {
        let report = run(log, BadRows::Refuse).unwrap();
        assert_eq!((report.rows_scored, report.auc, report.log_loss), (0, None, None));
    }
    let all_correct = run("learner,correct\na,1\na,1\na,1\n", BadRows::Refuse).unwrap();
    assert_eq!((all_correct.rows_scored, all_correct.auc), (3, None));
    assert!(all_correct.log_loss.unwrap().is_finite());
}

#[test]
fn bad_rows_are_named_by_line_or_skipped() {
    let header = "learner,item,correct,timestamp_ms,latency_ms\n";
    for (row, word) in [
        ("a,1,2,0,0", "correct is “2”"),
        ("a,1,NaN,0,0", "correct is “NaN”"),
        (",1,1,0,0", "no learner"),
        ("a,1,1,soon,0", "timestamp_ms is “soon”"),
        ("a,1,1,9223372036854775807,0", "no time"),
        ("a,1", "2 columns"),
        ("a,1,1,0,x", "latency_ms is “x”"),
    ] {
        let log = format!("{header}a,1,1,0,0\n{row}\nb,1,0,0,NaN\n");
        let error = run(&log, BadRows::Refuse).unwrap_err().to_string();
        assert!(error.starts_with("line 3: ") && error.contains(word), "{error}");
        let report = run(&log, BadRows::Skip).unwrap();
        assert_eq!((report.rows_scored, report.rows_skipped), (2, 1));
    }
    let error = run("learner,item\na,1\n", BadRows::Skip).unwrap_err();
    assert!(matches!(error, Error::MissingColumn("correct")));
}

#[test]
fn gzip_is_unpacked() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"learner,correct\na,1\nb,0\n").unwrap();
    let packed = packed.finish().unwrap();
    for bytes in [packed.as_slice(), b"learner,correct\na,1\nb,0\n"] {
        let log = unpacked(bytes).unwrap();
        let report = adaptive(log, None::<&[u8]>, Options::default(), || Duration::ZERO).unwrap();
        assert_eq!(report.rows_scored, 2);
    }
    let cut = unpacked(&packed[..packed.len() / 2]).unwrap();
    assert!(adaptive(cut, None::<&[u8]>, SKIP, || Duration::ZERO).is_err());
}

fn bank(count: usize) -> String {
    let rows = (0..count).map(|i| {
        format!("{i},{},{}\n", 1.0 + (i % 7) as f64 / 10.0, (i as f64 / count as f64 - 0.5) * 5.0)
    });
    format!("item,a,b\n{}", rows.collect::<String>())
}

#[test]
fn adaptive_tests_measure_ability_within_the_cap() {
    let thetas: String =
        (0..80).map(|j| format!("{j},{}\n", (f64::from(j) - 40.0) / 20.0)).collect();
    let thetas = format!("examinee,theta\n{thetas}");
    let report =
        |cap| cat(bank(300).as_bytes(), thetas.as_bytes(), cap, || Duration::ZERO).unwrap();
    let (free, capped) = (report(None), report(Some(0.25)));
    assert!(free.top_exposure > 0.9 && capped.top_exposure <= 0.25);
    assert!(capped.bank_used > free.bank_used && free.items_mean <= capped.items_mean);
    assert!(free.rmse_20 < free.rmse_10 && free.rmse_20 < 0.4, "{free:?}");
}

#[test]
fn a_bank_too_small_ends_the_test() {
    let report =
        cat(bank(3).as_bytes(), b"theta\n0.5\n".as_slice(), None, || Duration::ZERO).unwrap();
    assert_eq!(report.bank_used, 1.0);
    assert_eq!(report.items_p95, 3);
    let error = cat(b"a,b\n1,x\n".as_slice(), b"theta\n0\n".as_slice(), None, || Duration::ZERO);
    assert!(error.unwrap_err().to_string().starts_with("line 2: "));
    assert!(cat(bank(3).as_bytes(), b"theta\n".as_slice(), None, || Duration::ZERO).is_err());
}

#[test]
fn simpler_models_are_measured_on_the_same_rows() {
    let log = log("learner,item,skills,correct", |l, i, y| format!("{l},{i},{},{y}", i % 5));
    let options = Options { peers: true, ..Options::default() };
    let report = adaptive(log.as_bytes(), None::<&[u8]>, options, || Duration::ZERO).unwrap();
    let auc = |name: &str| report.peers[name].auc.unwrap();
    assert_eq!(report.peers.len(), 4);
    // Learners differ in this log, so what knows them tells more than the items alone.
    for name in ["elo", "two_parameters"] {
        assert!(auc(name) > auc("item_mean") + 0.02, "{:?}", report.peers);
        assert!(report.auc.unwrap() > auc("best_lr"), "{report:?}");
    }
    assert!(run(&log, BadRows::Refuse).unwrap().peers.is_empty());
}

#[test]
fn an_item_mean_is_shrunk_to_that_of_all() {
    let options = Options { peers: true, ..Options::default() };
    let log = "learner,item,correct\na,1,1\nb,1,0\n";
    let report = adaptive(log.as_bytes(), None::<&[u8]>, options, || Duration::ZERO).unwrap();
    // ½ before the first answer; then (1 + 5 · ⅔) / 6.
    let expected = -(0.5_f64.ln() + (1.0 - 13.0 / 18.0_f64).ln()) / 2.0;
    let found = report.peers["item_mean"].log_loss.unwrap();
    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
}

#[test]
fn tests_with_impossible_numbers_are_refused_by_line() {
    let good = "theta\n0.5\n";
    for (bank, thetas, cap, word) in [
        ("a,b\n1,0\n-1,0\n", good, None, "line 3: a is -1"),
        ("a,b\n0,0\n", good, None, "line 2: a is 0"),
        ("a,b\n1,NaN\n", good, None, "line 2: b is NaN"),
        ("a,b\n1,1e9\n", good, None, "line 2: b is 1000000000"),
        ("a,b,c\n1,0,1\n", good, None, "line 2: c is 1"),
        ("a,b\n1,0\n", "theta\ninf\n", None, "line 2: theta is inf"),
        ("a,b\n1,0\n", good, Some(0.0), "exposure cap of 0"),
        ("a,b\n1,0\n", good, Some(1.5), "exposure cap of 1.5"),
        ("a,b\n1,0\n", good, Some(f64::NAN), "exposure cap of NaN"),
    ] {
        let error = cat(bank.as_bytes(), thetas.as_bytes(), cap, || Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

const LOG: &str = "policy,propensity,credit,predicted,chances,scored\n";

#[test]
fn policies_are_compared_on_a_log() {
    // Of two items, one earning 1 and one earning 0, the serving policy takes each half the time,
    // the candidate the first one nine times in ten.
    let rows = |n: usize| match n % 2 {
        0 => "a-1,0.5,1,0.6,a-1=0.5:0.5;b-1=0.9:0.58,1\n",
        _ => "a-1,0.5,0,0.4,a-1=0.5:0.5;b-1=0.1:0.58,1\n",
    };
    let other = "b-1,0.9,1,0.6,,1\npilot-1,0.1,1,0.5,,0\n";
    let log = format!("{LOG}{}{other}", (0..1000).map(rows).collect::<String>());
    let found = policies(log.as_bytes(), "a-1", "b-1", BadRows::Refuse).unwrap();
    assert!((found.serving.unwrap().reward.mean - 0.5).abs() < 1e-9);
    let off = found.candidate_off_policy;
    for value in [off.inverse_propensity.unwrap(), off.doubly_robust.unwrap()] {
        assert!((value.mean - 0.9).abs() < 1e-9, "{value:?}");
    }
    assert_eq!((off.n, found.candidate_served.unwrap().n, found.rows_other), (1000, 1, 1));
    assert!(found.difference_served.unwrap().mean > 0.4);
}

#[test]
fn bad_rows_of_a_log_of_choices_are_named_or_skipped() {
    for row in [
        "a-1,x,1,0.5,b-1=1:1,1",
        "a-1,0.5,1,0.5,b-1=1,1",
        "a-1,0.5,1,0.5,,1",
        "a-1,0.5,7,0.5,b-1=1:1,1",
    ] {
        let log = format!("{LOG}a-1,0.5,1,0.5,b-1=0.5:0.5,1\n{row}\n");
        let error = policies(log.as_bytes(), "a-1", "b-1", BadRows::Refuse).unwrap_err();
        assert!(error.to_string().starts_with("line 3: "), "{row}: {error}");
        let found = policies(log.as_bytes(), "a-1", "b-1", BadRows::Skip).unwrap();
        assert_eq!((found.candidate_off_policy.n, found.rows_skipped), (1, 1), "{row}");
    }
    let empty = policies(&b""[..], "a-1", "b-1", BadRows::Refuse).unwrap();
    assert_eq!((empty.serving, empty.candidate_off_policy.n), (None, 0));
    let error = policies(&b"policy,credit\n"[..], "a-1", "b-1", BadRows::Skip).unwrap_err();
    assert!(matches!(error, Error::MissingColumn("propensity")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_log_makes_the_measures_panic(
        rows in prop::collection::vec(
            (
                prop::sample::select(vec!["a", "b", "", "\u{3b1}", "\"a,b\""]),
                prop::sample::select(vec!["1", "2", "", "x y"]),
                prop::sample::select(vec!["", "s", "s;t", ";;", "s;s;u"]),
                prop::sample::select(vec!["0", "1", "NaN", "-1", "1.0", ""]),
                prop::sample::select(vec!["", "0", "-5", "1700000000000", "99999999999999999999", "inf"]),
                prop::sample::select(vec!["", "-3", "NaN", "1e300", "250"]),
            ),
            0..60,
        )
    ) {
        let mut log = "learner,item,skills,correct,timestamp_ms,latency_ms\n".to_owned();
        for (learner, item, skills, correct, at, latency) in rows {
            log += &format!("{learner},{item},{skills},{correct},{at},{latency}\n");
        }
        let options = Options { bad_rows: BadRows::Skip, peers: true };
        let report = adaptive(log.as_bytes(), None::<&[u8]>, options, || Duration::ZERO).unwrap();
        prop_assert!(report.log_loss.is_none_or(f64::is_finite));
        prop_assert_eq!(report.rows_scored + report.rows_skipped, log.lines().count() as u64 - 1);
    }
}
