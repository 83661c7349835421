//! Evaluation of files, good and bad.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use quizmentor_adaptive::{
    Error,
    evaluate::{AdaptiveReport, BadRows, Options, adaptive, cat, unpacked},
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
