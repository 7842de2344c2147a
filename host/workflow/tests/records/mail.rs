//! Wishes and signals.

use std::sync::Arc;

use breakwater_workflow::{ExecutionStatus, Mail, NewSignal, RecordsError, Signal, Wanted, WorkflowRecords};
use serde_json::json;

use super::{LONG, Pair, append, change, create, execution, with_workflow};

fn mail(execution: &str, wanted: Option<Wanted>, signals: u64) -> Mail {
    Mail { execution: execution.to_owned(), wanted, signals }
}

async fn mail_of(records: &dyn WorkflowRecords, node: &str) -> Vec<Mail> {
    let mut mail = records.mail(node).await.unwrap();
    mail.sort_by(|one, other| one.execution.cmp(&other.execution));
    mail
}

pub(super) async fn keeps_wishes_until_they_are_seen(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    let absent = records.want("e", Wanted::Pause).await;
    assert!(matches!(absent, Err(RecordsError::Absent)), "{absent:?}");
    let fence = create(records, &execution("e", 0), "n").await;
    create(records, &execution("f", 0), "n").await;
    create(records, &execution("g", 0), "other").await;
    assert!(mail_of(records, "n").await.is_empty());

    records.want("e", Wanted::Pause).await.unwrap();
    records.want("g", Wanted::Resume).await.unwrap();
    assert_eq!(mail_of(records, "n").await, [mail("e", Some(Wanted::Pause), 0)]);
    records.want("e", Wanted::Resume).await.unwrap();
    assert_eq!(mail_of(records, "n").await, [mail("e", Some(Wanted::Resume), 0)], "a later wish replaces an earlier one");
    records.seen(&fence, Wanted::Pause).await.unwrap();
    assert_eq!(mail_of(records, "n").await, [mail("e", Some(Wanted::Resume), 0)], "another wish has come meanwhile");
    records.seen(&fence, Wanted::Resume).await.unwrap();
    records.seen(&fence, Wanted::Resume).await.unwrap();
    assert!(mail_of(records, "n").await.is_empty());

    records.want("e", Wanted::Cancel).await.unwrap();
    for wanted in [Wanted::Pause, Wanted::Resume, Wanted::Retry] {
        records.want("e", wanted).await.unwrap();
        assert_eq!(mail_of(records, "n").await, [mail("e", Some(Wanted::Cancel), 0)], "nothing replaces the wish for an end");
    }
    append(records, change(&fence, ExecutionStatus::Cancelled, 9)).await.unwrap();
    assert!(mail_of(records, "n").await.is_empty(), "of one that has ended nothing is wanted");
    assert_eq!(mail_of(records, "other").await, [mail("g", Some(Wanted::Resume), 0)]);
}

pub(super) async fn retries_what_has_ended(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    records.beat("n", LONG).await.unwrap();
    let fence = create(records, &execution("e", 0), "n").await;
    records.want("e", Wanted::Cancel).await.unwrap();
    append(records, change(&fence, ExecutionStatus::Failed, 9)).await.unwrap();
    for wanted in [Wanted::Pause, Wanted::Resume, Wanted::Cancel] {
        records.want("e", wanted).await.unwrap();
        assert!(records.claim("n", 10).await.unwrap().is_empty(), "one that has ended stays at its end");
    }
    records.want("e", Wanted::Retry).await.unwrap();
    let refused = append(records, change(&fence, ExecutionStatus::Running, 10)).await;
    assert!(matches!(refused, Err(RecordsError::Fenced)), "it belongs to nobody: {refused:?}");
    records.want("e", Wanted::Cancel).await.unwrap();
    assert!(records.claim("n", 10).await.unwrap().is_empty(), "the wish was taken back");

    records.want("e", Wanted::Retry).await.unwrap();
    let claimed = records.claim("n", 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].wanted, claimed[0].fence.epoch, claimed[0].execution.status), (Some(Wanted::Retry), 2, ExecutionStatus::Failed));
    records.want("e", Wanted::Retry).await.unwrap();
    assert!(records.claim("n", 10).await.unwrap().is_empty(), "somebody has it already");
    append(records, change(&claimed[0].fence, ExecutionStatus::Running, 10)).await.unwrap();
    records.seen(&claimed[0].fence, Wanted::Retry).await.unwrap();
    assert!(mail_of(records, "n").await.is_empty());

    // Whoever took it up has died before it wrote anything.
    append(records, change(&claimed[0].fence, ExecutionStatus::Failed, 11)).await.unwrap();
    records.want("e", Wanted::Retry).await.unwrap();
    assert_eq!(records.claim("dead", 10).await.unwrap()[0].fence.epoch, 3);
    assert_eq!(records.claim("n", 10).await.unwrap()[0].fence.epoch, 4);
}

pub(super) async fn keeps_early_signals_and_numbers_them([one, other]: Pair) {
    with_workflow(&*one).await;
    let absent = one.signal("e", &NewSignal::new("go", json!(1)), 5).await;
    assert!(matches!(absent, Err(RecordsError::Absent)), "{absent:?}");
    assert!(one.signals("e", 0).await.unwrap().is_empty());
    let fence = create(&*one, &execution("e", 0), "n").await;
    create(&*one, &execution("f", 0), "n").await;
    let go = NewSignal::new("go", json!({"ü": [null]})).with_key("k 1");
    let (first, second) = (Signal::of(go.clone(), 1, 5), Signal::of(NewSignal::new("approve 'x'", json!(null)), 2, 4));
    assert_eq!(one.signal("e", &go, 5).await.unwrap(), first);
    assert_eq!(other.signal("e", &NewSignal::new("approve 'x'", json!(null)), 4).await.unwrap(), second);
    assert_eq!(one.signals("e", 0).await.unwrap(), [first, second.clone()]);
    assert_eq!(one.signals("e", 1).await.unwrap(), [second]);
    assert!(one.signals("e", 2).await.unwrap().is_empty());
    assert_eq!(mail_of(&*other, "n").await, [mail("e", None, 2)]);
    one.want("e", Wanted::Pause).await.unwrap();
    assert_eq!(mail_of(&*one, "n").await, [mail("e", Some(Wanted::Pause), 2)]);

    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let records = Arc::clone(if number % 2 == 0 { &one } else { &other });
        tasks.spawn(async move { records.signal("f", &NewSignal::new("race", json!(number)), number).await.unwrap().number });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    append(&*one, change(&fence, ExecutionStatus::Completed, 9)).await.unwrap();
    assert_eq!(mail_of(&*one, "n").await, [mail("f", None, 20)]);
    assert_eq!(one.signals("e", 0).await.unwrap().len(), 2, "they are kept for as long as it is");
}

pub(super) async fn keeps_one_signal_of_a_key([one, other]: Pair) {
    with_workflow(&*one).await;
    for id in ["e", "f"] {
        create(&*one, &execution(id, 0), "n").await;
    }
    let sent = |payload: u64| NewSignal::new("go", json!(payload)).with_key("k");
    assert_eq!(one.signal_of_key("e", "k").await.unwrap(), None);
    let first = one.signal("e", &sent(1), 5).await.unwrap();
    assert_eq!(other.signal("e", &sent(2), 6).await.unwrap(), first, "whatever the second brings");
    assert_eq!(other.signal_of_key("e", "k").await.unwrap(), Some(first.clone()));
    assert_eq!(one.signal_of_key("e", "K").await.unwrap(), None);
    assert_eq!(one.signals("e", 0).await.unwrap(), [first]);
    // A key is that of one execution.
    assert_eq!(one.signal("f", &sent(3), 7).await.unwrap(), Signal::of(sent(3), 1, 7));
    assert_eq!(one.signal("e", &NewSignal::new("go", json!(4)), 8).await.unwrap().number, 2, "no number is lost");

    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let records = Arc::clone(if number % 2 == 0 { &one } else { &other });
        tasks.spawn(async move { records.signal("f", &NewSignal::new("race", json!(number)).with_key("race"), 9).await.unwrap() });
    }
    let kept = tasks.join_all().await;
    assert!(kept.iter().all(|signal| *signal == kept[0] && signal.number == 2), "{kept:?}");
    assert_eq!(one.signals("f", 0).await.unwrap().len(), 2);
}
