use std::{collections::BTreeSet, sync::Arc};

use quizmentor_core::{Body, Choice, Level, Question, Status};
use quizmentor_store::{
    Error,
    records::{Put, QuestionFilter, Records},
};

use super::contract;
use crate::samples::{ODD_TEXT, question, question_id, questions_of_every_kind, skill};

contract!(
    every_kind_of_question_comes_back_as_it_was,
    what_is_put_is_created_updated_or_left_alone,
    a_batch_with_an_unsound_question_changes_nothing,
    filters_select_and_count,
    text_is_found_in_any_case_and_literally,
    pages_join_without_gap_or_repeat,
    pages_hold_while_questions_are_added,
    changes_come_in_order_and_once,
    a_follower_of_changes_misses_nothing,
);

async fn every_kind_of_question_comes_back_as_it_was(records: Arc<dyn Records>) {
    let questions = questions_of_every_kind();
    records.put_questions(&questions).await.unwrap();
    for question in &questions {
        assert_eq!(records.question(&question.id).await.unwrap().as_ref(), Some(question));
    }
    let page = records.questions(&QuestionFilter::default(), None, 100).await.unwrap();
    assert_eq!(page.items, questions);
    assert_eq!(records.question(&question_id("absent")).await.unwrap(), None);
}

async fn what_is_put_is_created_updated_or_left_alone(records: Arc<dyn Records>) {
    let put = |questions: Vec<Question>| {
        let records = records.clone();
        async move { records.put_questions(&questions).await.unwrap() }
    };
    let (a, b) = (question("a"), question("b"));
    assert_eq!(put(vec![]).await, Put::default());
    assert_eq!(put(vec![a.clone(), b.clone()]).await, Put { created: 2, updated: 0 });
    let changed = Question { stem: "New?".into(), ..a.clone() };
    assert_eq!(put(vec![changed.clone(), b]).await, Put { created: 0, updated: 1 });
    assert_eq!(put(vec![question("c"), a, changed.clone()]).await, Put { created: 1, updated: 2 });
    assert_eq!(records.question(&changed.id).await.unwrap(), Some(changed));
}

async fn a_batch_with_an_unsound_question_changes_nothing(records: Arc<dyn Records>) {
    let option = Choice { text: "a".into(), credit: f64::NAN, feedback: String::new() };
    let unsound =
        Question { body: Body::SingleChoice { options: vec![option] }, ..question("unsound") };
    let refused = records.put_questions(&[question("sound"), unsound]).await;
    assert!(matches!(refused, Err(Error::Invalid { what: "question", .. })), "{refused:?}");
    assert_eq!(records.count_questions(&QuestionFilter::default()).await.unwrap(), 0);
    assert_eq!(records.question_changes(0, 10).await.unwrap(), []);
}

async fn filters_select_and_count(records: Arc<dyn Records>) {
    let motion = Question {
        skill: skill("physics/motion"),
        level: Some(Level::Apply),
        status: Status::Draft,
        ..question("motion")
    };
    let open = Question { skill: skill("physics/heat"), level: None, ..question("heat") };
    records.put_questions(&[question("cell"), motion, open]).await.unwrap();
    let all = QuestionFilter::default;
    for (filter, expected) in [
        (all(), vec!["cell", "heat", "motion"]),
        (QuestionFilter { subject: Some("physics".into()), ..all() }, vec!["heat", "motion"]),
        (QuestionFilter { skill: Some(skill("physics/heat")), ..all() }, vec!["heat"]),
        (QuestionFilter { level: Some(Level::Apply), ..all() }, vec!["motion"]),
        (QuestionFilter { status: Some(Status::Published), ..all() }, vec!["cell", "heat"]),
        (
            QuestionFilter {
                subject: Some("physics".into()),
                status: Some(Status::Published),
                text: Some("ATP".into()),
                ..all()
            },
            vec!["heat"],
        ),
        (QuestionFilter { subject: Some("' OR 1=1 --".into()), ..all() }, vec![]),
    ] {
        assert_eq!(ids(&records, &filter).await, expected, "{filter:?}");
        assert_eq!(records.count_questions(&filter).await.unwrap(), expected.len() as u64);
    }
}

async fn text_is_found_in_any_case_and_literally(records: Arc<dyn Records>) {
    let named = |id, title: &str, stem: &str, tag: &str| Question {
        title: title.into(),
        stem: stem.into(),
        tags: vec![tag.into()],
        ..question(id)
    };
    let questions = [
        named("a", "ŻÓŁĆ of Ångström", "100% sure?", "snake_case"),
        named("b", "Plain", "1000 things?", "snakeXcase"),
        named("c", ODD_TEXT, "ΟΔΟΣΑ", "tag"),
    ];
    records.put_questions(&questions).await.unwrap();
    for (text, expected) in [
        ("żółć", vec!["a", "c"]),
        ("ÅNGSTRÖM", vec!["a"]),
        ("100%", vec!["a"]),
        ("snake_", vec!["a"]),
        ("細胞", vec!["c"]),
        ("οδοσ", vec!["c"]),
        ("ΟΔΟΣ", vec!["c"]),
        ("", vec!["a", "b", "c"]),
        ("biology", vec![]),
    ] {
        let filter = QuestionFilter { text: Some(text.into()), ..QuestionFilter::default() };
        assert_eq!(ids(&records, &filter).await, expected, "{text}");
    }
}

async fn ids(records: &Arc<dyn Records>, filter: &QuestionFilter) -> Vec<String> {
    let page = records.questions(filter, None, 100).await.unwrap();
    assert!(!page.more);
    page.items.into_iter().map(|question| question.id.into()).collect()
}

async fn pages_join_without_gap_or_repeat(records: Arc<dyn Records>) {
    // In this order ids differ from numbers and from letters of a dictionary.
    let mut expected: Vec<_> = (0..25).map(|i| format!("q-{i}")).collect();
    expected.extend(["Q".to_lowercase(), "_".into(), "-".into(), ".a".into(), "a_b".into()]);
    let questions: Vec<_> = expected.iter().map(|id| question(id)).collect();
    records.put_questions(&questions).await.unwrap();
    expected.sort_unstable();
    for size in [1, 7, 30, 31] {
        let mut found = Vec::new();
        let mut more = true;
        while more {
            let after = found.last().map(|id: &String| question_id(id));
            let page =
                records.questions(&QuestionFilter::default(), after.as_ref(), size).await.unwrap();
            assert!(page.items.len() == size || !page.more);
            found.extend(page.items.into_iter().map(|question| question.id.into()));
            more = page.more;
        }
        assert_eq!(found, expected, "pages of {size}");
    }
    let none = records.questions(&QuestionFilter::default(), None, 0).await.unwrap();
    assert_eq!((none.items.len(), none.more), (0, true));
    let all = records.questions(&QuestionFilter::default(), None, usize::MAX).await.unwrap();
    assert_eq!((all.items.len(), all.more), (30, false));
}

async fn pages_hold_while_questions_are_added(records: Arc<dyn Records>) {
    let old: BTreeSet<_> = (0..40).map(|i| format!("old-{i:03}")).collect();
    let questions: Vec<_> = old.iter().map(|id| question(id)).collect();
    records.put_questions(&questions).await.unwrap();
    let writer = tokio::spawn({
        let records = records.clone();
        async move {
            for i in 0..40 {
                let added = [question(&format!("new-{i:03}")), question(&format!("old-{i:03}x"))];
                records.put_questions(&added).await.unwrap();
            }
        }
    });
    let (mut found, mut after, mut more) = (Vec::new(), None, true);
    while more {
        let page = records.questions(&QuestionFilter::default(), after.as_ref(), 3).await.unwrap();
        after = page.items.last().map(|question| question.id.clone());
        found.extend(page.items.into_iter().map(|question| String::from(question.id)));
        more = page.more;
    }
    writer.await.unwrap();
    assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
    assert!(old.is_subset(&found.into_iter().collect()));
}

async fn changes_come_in_order_and_once(records: Arc<dyn Records>) {
    records.put_questions(&[question("c"), question("a"), question("b")]).await.unwrap();
    let changed = Question { title: "New".into(), ..question("a") };
    records.put_questions(&[changed.clone(), question("b")]).await.unwrap();
    let feed = records.question_changes(0, 10).await.unwrap();
    let order: Vec<_> = feed.iter().map(|(revision, q)| (*revision, q.id.as_str())).collect();
    assert_eq!(order, [(1, "c"), (3, "b"), (4, "a")]);
    assert_eq!(feed[2].1, changed);
    assert_eq!(records.question_changes(1, 1).await.unwrap(), feed[1..2]);
    assert_eq!(records.question_changes(4, 10).await.unwrap(), []);
    assert_eq!(records.question_changes(u64::MAX, 10).await.unwrap(), []);
    assert_eq!(records.question_changes(0, 0).await.unwrap(), []);
}

async fn a_follower_of_changes_misses_nothing(records: Arc<dyn Records>) {
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let records = records.clone();
            tokio::spawn(async move {
                for i in 0..15 {
                    let questions: Vec<_> = (0..3)
                        .map(|q| Question {
                            stem: format!("Version {i} of writer {writer}?"),
                            ..question(&format!("q-{}", (q + i + writer) % 7))
                        })
                        .collect();
                    records.put_questions(&questions).await.unwrap();
                }
            })
        })
        .collect();
    let mut index = std::collections::BTreeMap::new();
    let mut seen = 0;
    loop {
        let finished = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let changes = records.question_changes(seen, 2).await.unwrap();
        if changes.is_empty() && finished {
            break;
        }
        for (revision, question) in changes {
            assert!(revision > seen);
            seen = revision;
            index.insert(question.id.clone(), question);
        }
        tokio::task::yield_now().await;
    }
    let stored = records.questions(&QuestionFilter::default(), None, 100).await.unwrap();
    assert_eq!(index.into_values().collect::<Vec<_>>(), stored.items);
}
