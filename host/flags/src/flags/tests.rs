use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};

use breakwater_core::BoxFuture;

use super::*;
use crate::definition::{Condition, Rule, Target, Test, Then};
use crate::records::MemoryFlagRecords;

/// Records that can be made to fail, and that let somebody else write just before a change.
#[derive(Default)]
struct Records {
    kept: MemoryFlagRecords,
    broken: AtomicBool,
    intruders: StdMutex<Vec<(String, Flag)>>,
}

impl Records {
    async fn intrude(&self) {
        let next = self.intruders.lock().unwrap().pop();
        if let Some((name, flag)) = next {
            let found = self.kept.load().await.unwrap().flags.get(&name).map_or(0, |flag| flag.version);
            self.kept.put(&name, found, &flag).await.unwrap();
        }
    }

    fn check(&self) -> Result<(), FlagRecordsError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(FlagRecordsError::Store("away".into()));
        }
        Ok(())
    }
}

impl FlagRecords for Records {
    fn revision(&self) -> BoxFuture<'_, Result<u64, FlagRecordsError>> {
        Box::pin(async {
            self.check()?;
            self.kept.revision().await
        })
    }

    fn load(&self) -> BoxFuture<'_, Result<FlagState, FlagRecordsError>> {
        Box::pin(async {
            self.check()?;
            self.kept.load().await
        })
    }

    fn put<'a>(&'a self, name: &'a str, expected: u64, flag: &'a Flag) -> BoxFuture<'a, Result<u64, FlagRecordsError>> {
        Box::pin(async move {
            self.check()?;
            self.intrude().await;
            self.kept.put(name, expected, flag).await
        })
    }

    fn remove<'a>(&'a self, name: &'a str, expected: u64) -> BoxFuture<'a, Result<u64, FlagRecordsError>> {
        Box::pin(async move {
            self.check()?;
            self.intrude().await;
            self.kept.remove(name, expected).await
        })
    }
}

#[derive(Default)]
struct Seen(StdMutex<Vec<String>>);

impl FlagObserver for Seen {
    fn changed(&self, name: &str, revision: u64) {
        self.0.lock().unwrap().push(format!("{name} {revision}"));
    }

    fn refreshed(&self, revision: u64) {
        self.0.lock().unwrap().push(format!("refreshed {revision}"));
    }

    fn refresh_failed(&self, error: &FlagError) {
        self.0.lock().unwrap().push(error.code().to_owned());
    }
}

fn declared(flags: &[(&str, Flag)]) -> BTreeMap<String, Flag> {
    flags.iter().map(|(name, flag)| ((*name).to_owned(), flag.clone())).collect()
}

async fn open(records: &Arc<Records>, flags: &[(&str, Flag)]) -> Arc<Flags> {
    Flags::open(records.clone(), declared(flags)).await.unwrap()
}

fn on(flags: &Flags, name: &str) -> bool {
    flags.enabled(name, &Caller::default())
}

#[tokio::test]
async fn a_stored_flag_replaces_a_declared_one_until_it_is_removed() {
    let flags = open(&Arc::default(), &[("kept", Flag::on()), ("replaced", Flag::on())]).await;
    assert!(on(&flags, "kept") && on(&flags, "replaced") && !on(&flags, "absent"));
    assert_eq!(flags.evaluate("absent", &Caller::default()).reason, Reason::Unknown);
    let stored = flags.put("replaced", Flag::off(), Some(0)).await.unwrap();
    assert_eq!((stored.source, stored.flag.version), (Source::Stored, 1));
    assert!(stored.flag.updated_at_ms > 1_700_000_000_000);
    assert!(on(&flags, "kept") && !on(&flags, "replaced"));
    let listed: Vec<_> = flags.list().iter().map(|flag| (flag.name.clone(), flag.source)).collect();
    assert_eq!(listed, [("kept".to_owned(), Source::Declared), ("replaced".to_owned(), Source::Stored)]);
    flags.remove("replaced", Some(1)).await.unwrap();
    assert!(on(&flags, "replaced"));
    assert_eq!(flags.get("replaced").unwrap().source, Source::Declared);
}

#[tokio::test]
async fn a_change_from_an_old_version_is_refused_and_a_version_never_comes_back() {
    let flags = open(&Arc::default(), &[]).await;
    let put = async |flag: Flag, expected| flags.put("f", flag, expected).await.map(|stored| stored.flag.version);
    assert_eq!(put(Flag::on(), Some(0)).await.unwrap(), 1);
    for expected in [0, 2] {
        let refused = put(Flag::off(), Some(expected)).await;
        assert!(matches!(&refused, Err(FlagError::Conflict { name, expected: e, found: 1 }) if name == "f" && *e == expected));
    }
    assert!(on(&flags, "f"));
    // What the flag itself says of its version is not looked at.
    assert_eq!(put(Flag { version: 99, ..Flag::off() }, Some(1)).await.unwrap(), 2);
    assert!(matches!(flags.remove("f", Some(1)).await, Err(FlagError::Conflict { expected: 1, found: 2, .. })));
    flags.remove("f", Some(2)).await.unwrap();
    assert_eq!(put(Flag::on(), None).await.unwrap(), 4);
    assert_eq!(put(Flag::off(), None).await.unwrap(), 5);
}

#[tokio::test]
async fn what_is_not_stored_cannot_be_removed() {
    let flags = open(&Arc::default(), &[("declared", Flag::on())]).await;
    for expected in [None, Some(0), Some(3)] {
        assert!(matches!(flags.remove("declared", expected).await, Err(FlagError::Declared(_))), "{expected:?}");
        assert!(matches!(flags.remove("absent", expected).await, Err(FlagError::NotFound(_))), "{expected:?}");
    }
    assert!(on(&flags, "declared"));
}

#[tokio::test]
async fn a_change_that_does_not_care_wins_over_others_and_gives_up_when_they_never_stop() {
    let records: Arc<Records> = Arc::default();
    let flags = open(&records, &[]).await;
    let intrude = |times: usize| *records.intruders.lock().unwrap() = vec![("f".to_owned(), Flag::off()); times];
    intrude(3);
    flags.put("f", Flag::on(), None).await.unwrap();
    assert!(on(&flags, "f"));
    intrude(100);
    assert!(matches!(flags.put("f", Flag::on(), None).await, Err(FlagError::Conflict { .. })));
    intrude(3);
    flags.remove("f", None).await.unwrap();
    assert!(flags.get("f").is_none());
}

#[tokio::test]
async fn another_process_sees_a_change_when_it_looks() {
    let records: Arc<Records> = Arc::default();
    let one = open(&records, &[]).await;
    let seen = Arc::new(Seen::default());
    let other = Flags::open_observed(records.clone(), BTreeMap::new(), seen.clone()).await.unwrap();
    assert!(!other.refresh().await.unwrap());
    one.put("f", Flag::on(), None).await.unwrap();
    assert!(!on(&other, "f"));
    assert!(other.refresh().await.unwrap());
    assert!(on(&other, "f"));
    one.remove("f", None).await.unwrap();
    // Its own change is of revision 3, but revision 2 is still to be read.
    other.put("g", Flag::on(), None).await.unwrap();
    assert!(other.refresh().await.unwrap());
    assert!(!on(&other, "f") && on(&other, "g"));
    assert!(!other.refresh().await.unwrap());
    assert_eq!(*seen.0.lock().unwrap(), ["refreshed 1", "g 3", "refreshed 3"]);
}

#[tokio::test(start_paused = true)]
async fn the_poll_takes_changes_over_and_survives_broken_records() {
    let records: Arc<Records> = Arc::default();
    let seen = Arc::new(Seen::default());
    let flags = Flags::open_observed(records.clone(), BTreeMap::new(), seen.clone()).await.unwrap();
    records.kept.put("f", 0, &Flag::on()).await.unwrap();
    let polls = |seconds| tokio::time::timeout(Duration::from_secs(seconds), flags.poll(Duration::from_secs(2)));
    polls(1).await.unwrap_err();
    assert!(!on(&flags, "f"));
    polls(3).await.unwrap_err();
    assert!(on(&flags, "f"));
    records.broken.store(true, Ordering::SeqCst);
    records.kept.put("f", 1, &Flag::off()).await.unwrap();
    polls(5).await.unwrap_err();
    assert!(on(&flags, "f"));
    records.broken.store(false, Ordering::SeqCst);
    polls(3).await.unwrap_err();
    assert!(!on(&flags, "f"));
    assert_eq!(*seen.0.lock().unwrap(), ["refreshed 1", "flag.records", "flag.records", "refreshed 2"]);
}

#[tokio::test]
async fn a_change_that_is_not_stored_is_not_seen() {
    let records: Arc<Records> = Arc::default();
    let flags = open(&records, &[]).await;
    flags.put("f", Flag::on(), None).await.unwrap();
    records.broken.store(true, Ordering::SeqCst);
    assert_eq!(flags.put("f", Flag::off(), None).await.unwrap_err().code(), "flag.records");
    assert_eq!(flags.remove("f", None).await.unwrap_err().code(), "flag.records");
    assert!(on(&flags, "f"));
    assert_eq!(Flags::open(records, BTreeMap::new()).await.unwrap_err().code(), "flag.records");
}

#[tokio::test]
async fn what_is_invalid_is_neither_declared_nor_stored() {
    let records: Arc<Records> = Arc::default();
    let invalid = || Flag { rollout: 101, ..Flag::on() };
    for (flags, code) in [
        (declared(&[("Bad", Flag::on())]), "flag.name-invalid"),
        (declared(&[("f", invalid())]), "flag.invalid"),
        ((0..=MAX_FLAGS).map(|n| (format!("f{n}"), Flag::on())).collect(), "flag.too-many"),
    ] {
        assert_eq!(Flags::open(records.clone(), flags).await.unwrap_err().code(), code);
    }
    let flags = open(&records, &[]).await;
    assert_eq!(flags.put("Bad", Flag::on(), None).await.unwrap_err().code(), "flag.name-invalid");
    assert_eq!(flags.put("f", invalid(), None).await.unwrap_err().code(), "flag.invalid");
    assert_eq!(records.kept.revision().await.unwrap(), 0);
}

#[tokio::test]
async fn there_are_at_most_a_thousand_flags() {
    let full = (1..MAX_FLAGS).map(|n| (format!("f{n}"), Flag::on())).collect();
    let flags = Flags::open(Arc::new(MemoryFlagRecords::default()), full).await.unwrap();
    flags.put("last", Flag::on(), None).await.unwrap();
    assert_eq!(flags.list().len(), 1000);
    assert_eq!(flags.put("over", Flag::on(), None).await.unwrap_err().code(), "flag.too-many");
    flags.put("f1", Flag::off(), None).await.unwrap();
    flags.remove("last", None).await.unwrap();
    flags.put("over", Flag::on(), None).await.unwrap();
}

#[tokio::test]
async fn a_listed_flag_can_be_sent_back_after_taking_off_its_name() {
    let flags = open(&Arc::default(), &[]).await;
    let rule = Rule { when: vec![Condition { on: Target::Tenant, is: Test::Equals("acme".into()), not: false }], then: Then::On };
    let put = flags.put("f", Flag { rollout: 5, rules: vec![rule], ..Flag::on() }, None).await.unwrap();
    let mut json = serde_json::to_value(&*put).unwrap();
    let fields = json.as_object_mut().unwrap();
    assert_eq!((fields.remove("name").unwrap(), fields.remove("source").unwrap()), ("f".into(), "stored".into()));
    let back: Flag = serde_json::from_value(json).unwrap();
    assert_eq!(back, put.flag);
    let version = back.version;
    assert_eq!(flags.put("f", back, Some(version)).await.unwrap().flag.version, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_flags_while_they_change() {
    let flags = open(&Arc::default(), &[("f", Flag { description: "on".into(), ..Flag::on() })]).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (flags, done) = (flags.clone(), done.clone());
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let flag = flags.get("f").unwrap();
                assert_eq!(flag.flag.description, if flag.flag.enabled { "on" } else { "off" });
            }
        })
    };
    for _ in 0..200 {
        flags.put("f", Flag { description: "off".into(), ..Flag::off() }, None).await.unwrap();
        flags.put("f", Flag { description: "on".into(), ..Flag::on() }, None).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    reader.join().unwrap();
}
