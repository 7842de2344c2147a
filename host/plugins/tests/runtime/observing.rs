//! What is told of guest calls to whoever measures them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_core::TraceContext;
use breakwater_plugins::{CallObserver, CallUsage, World};
use serde_json::json;

use crate::outside::{Does, Outside, adapter_host, invoke, invoke_with};
use crate::support::context;

struct Told {
    name: String,
    world: World,
    operation: String,
    correlation_id: String,
    parent: TraceContext,
    trace: TraceContext,
    usage: CallUsage,
    failure: Option<String>,
    is_fault: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_told_with_what_it_used() {
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let listener = Arc::clone(&told);
    let observer = CallObserver::new(move |call| {
        listener.lock().unwrap().push(Told {
            name: format!("{}@{}", call.plugin, call.version),
            world: call.world,
            operation: call.operation.to_owned(),
            correlation_id: call.correlation_id.to_string(),
            parent: call.parent,
            trace: call.trace,
            usage: call.usage,
            failure: call.failure.map(|failure| failure.code.to_string()),
            is_fault: call.is_fault,
        });
    });
    let outside = Outside::gated(|_| Does::text("good"));
    let host = adapter_host(&outside, |config| config.call_observer = observer).await;
    assert!(told.lock().unwrap().is_empty(), "a deployment is no call");
    let call = context();

    // It waits for long and computes little.
    let snapshot = host.snapshot();
    let waiting = {
        let call = call.clone();
        tokio::spawn(async move { invoke_with(&call, &snapshot, "ask", json!({ "requests": [{}] }), &[]).await })
    };
    outside.has_seen(1).await;
    // Not a wait for something to happen: this is the time that must not be charged as the guest's own.
    tokio::time::sleep(Duration::from_millis(300)).await;
    outside.gate.as_ref().unwrap().add_permits(1);
    waiting.await.unwrap().unwrap();
    invoke(&host.snapshot(), "allocate", json!({ "count": 20 << 20 })).await.unwrap();
    invoke(&host.snapshot(), "loop", json!({})).await.unwrap_err();
    invoke(&host.snapshot(), "fail", json!({})).await.unwrap_err();

    let told = told.lock().unwrap();
    let [asked, allocated, looped, failed] = told.as_slice() else { panic!("{} calls were told", told.len()) };
    assert_eq!((asked.name.as_str(), asked.world, asked.operation.as_str()), ("probe@1.0.0", World::Adapter, "ask"));
    assert_eq!((asked.correlation_id.as_str(), asked.parent), (call.correlation_id.as_str(), call.trace));
    assert_eq!(outside.seen()[0].context.trace, asked.trace, "the request is sent in the span of the guest's call");
    assert!(asked.usage.elapsed >= Duration::from_millis(300), "{:?}", asked.usage);
    assert!(asked.usage.cpu < Duration::from_millis(150), "{:?}", asked.usage);
    assert_eq!((asked.usage.host_calls, asked.failure.as_deref(), asked.is_fault), (2, None, false), "a setting, a request");
    assert!(asked.usage.host_bytes > 0);
    assert!((20 << 20..64 << 20).contains(&allocated.usage.memory_bytes), "{:?}", allocated.usage);
    assert!(asked.usage.memory_bytes < 5 << 20, "{:?}", asked.usage);
    assert!(looped.usage.cpu >= Duration::from_millis(150), "{:?}", looped.usage);
    assert_eq!((looped.failure.as_deref(), looped.is_fault), (Some("plugin.cpu-time"), true));
    assert_eq!((failed.failure.as_deref(), failed.is_fault), (Some("test.failed"), false));
}
