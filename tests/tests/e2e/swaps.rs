//! A plugin exchanged again and again under load: no call fails, and none is served by two generations at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use breakwater_tests::client::Field;
use breakwater_tests::forged;
use breakwater_tests::service::Launch;
use serde_json::{Value, json};

use crate::support::{deploy, guest, manifest, ok, start};

const SWAPS: usize = 50;
const CLIENTS: usize = 4;

fn term(answer: &Value, name: &str) -> f64 {
    let reasons = answer["reasons"].as_array().unwrap();
    reasons.iter().find(|term| term["name"] == name).unwrap_or_else(|| panic!("no {name} in {answer}"))["value"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_swaps_under_load_fail_no_call_and_mix_no_generations() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let mut digests = Vec::new();
    for (version, name) in [("1.0.0", "answers-v1"), ("2.0.0", "answers-v2")] {
        let answer = deploy(&client, &manifest("versioned", version, ""), &guest(name)).await;
        assert_eq!(answer.status, 201, "{}", answer.beginning());
        digests.push(answer.json().unwrap()["digest"].as_str().unwrap().to_owned());
    }
    let (done, served) = (Arc::new(AtomicBool::new(false)), Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
    let load: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let (client, done, served, digests) = (client.clone(), done.clone(), served.clone(), digests.clone());
            tokio::spawn(async move {
                // Each client its own picture, so that nobody is answered from another's work.
                let picture = forged::plain_png(64 + index as u32, 48).unwrap();
                while !done.load(Ordering::Relaxed) {
                    let fields: [Field<'_>; 2] = [("target_aspect_ratio", &"1:1"), ("crop_strategy", &"versioned")];
                    let answer = ok(&client.crop(&picture, &fields).await.unwrap());
                    assert_eq!(answer["degraded"], false, "{answer}");
                    let (version, share) = (term(&answer, "version"), term(&answer, "version_share"));
                    assert_eq!(share * 16.0, version, "two generations in one answer: {answer}");
                    let place = if version == 1.0 { 0 } else { 1 };
                    assert_eq!(answer["plugin"]["digest"], digests[place].as_str(), "{answer}");
                    assert_eq!(answer["plugin"]["version"], ["1.0.0", "2.0.0"][place], "{answer}");
                    served[place].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for swap in 0..SWAPS {
        // Let calls begin on this generation before it is exchanged.
        let calls = || served.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
        let before = calls();
        while calls() < before + 2 {
            assert!(load.iter().all(|client| !client.is_finished()), "a client failed");
            tokio::task::yield_now().await;
        }
        ok(&client.post("/v1/plugins/versioned/activate", &json!({ "digest": digests[swap % 2] })).await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    for client in load {
        client.await.unwrap();
    }
    let counts: Vec<_> = served.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    println!("{SWAPS} swaps, {} calls by version 1 and {} by version 2, none failed", counts[0], counts[1]);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
