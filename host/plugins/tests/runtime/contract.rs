//! Components that do not fit: what is said about them, and that none of them becomes visible.

use breakwater_plugins::{Capability, Grants, PluginError, PluginPackage, inspect};

use crate::support::{Detectors, Host, guest, package, package_with, shipped};

async fn refused(host: &Host, package: PluginPackage) -> PluginError {
    let before = host.snapshot();
    let error = host.catalogue.deploy(package).await.unwrap_err();
    assert!(std::sync::Arc::ptr_eq(&before, &host.snapshot()), "a refused package changed the snapshot");
    assert_eq!(host.records.load().await.unwrap().revision, before.revision(), "a refused package was recorded");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_another_shape_is_told_both_signatures_and_the_fix() {
    let host = Host::start().await;
    let error = refused(&host, package("other", "0.1.0", guest("other-signature"))).await;
    assert_eq!(error.code(), "plugin.contract-mismatch");
    let text = error.to_string();
    for part in [
        "breakwater:plugin/crop-plugin@0.1.0",
        "export breakwater:plugin/crop-strategy@0.1.0 plan",
        "expected: plan: func(context: call-context, subject: borrow<image>, given: list<detection>, wanted: request) -> \
         result<crop-plan, failure>",
        "found:    plan: func(width: u32, height: u32, strategy: string) -> result<rect, string>",
        "fix:",
        "strategy = record { name: string, summary: string, parameters: string, needs: list<kind> }",
        "strategy = record { name: string, summary: string, parameters: string }",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_another_world_or_with_an_unknown_import_is_told_what_is_missing() {
    let host = Host::start().await;
    let text = refused(&host, package("wrong", "0.1.0", guest("wrong-world"))).await.to_string();
    assert!(text.contains("export breakwater:plugin/crop-strategy@0.1.0") && text.contains("fix:      export the interface"), "{text}");
    let error = refused(&host, package("unknown", "0.1.0", guest("unknown-import"))).await;
    let PluginError::ContractMismatch { mismatches, .. } = &error else { panic!("{error}") };
    let import = mismatches.iter().find(|mismatch| mismatch.item.starts_with("import")).unwrap();
    assert_eq!((import.item.as_str(), &import.expected), ("import elsewhere:wishes/printer@1.0.0", &None));
    assert!(import.found.as_ref().unwrap().contains("print: func(text: string) -> bool"), "{import}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_component_are_refused() {
    let host = Host::start().await;
    for (name, bytes) in [("corrupt", guest("corrupt")), ("empty", Default::default()), ("text", b"hello".as_slice().into())] {
        let error = refused(&host, package("broken", "0.1.0", bytes)).await;
        assert_eq!(error.code(), "plugin.component-invalid", "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_that_traps_or_breaks_the_rules_is_refused() {
    let host = Host::start().await;
    for name in ["describe-traps", "describe-twice"] {
        assert_eq!(refused(&host, package("describes", "0.1.0", guest(name))).await.code(), "plugin.describe-invalid", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_asked_for_or_not_granted_is_not_linked() {
    let id = "blobs".parse().unwrap();
    let restricted = Grants { plugins: [(id, [Capability::Imaging].into())].into(), ..Grants::default() };
    let host = Host::with(Detectors::Find(Vec::new()), |config| config.grants = restricted).await;
    let both = "capabilities = [\"imaging\", \"blobs\"]";
    let component = guest("opens-blobs");

    let not_asked = refused(&host, package("other", "0.1.0", component.clone())).await;
    assert_eq!(not_asked.code(), "plugin.capability-denied");
    assert!(not_asked.to_string().contains("add \"blobs\" to `capabilities` in plugin.toml"), "{not_asked}");
    let not_granted = refused(&host, package_with("blobs", "0.1.0", component.clone(), both)).await;
    assert!(matches!(not_granted, PluginError::CapabilityDenied { capability: Capability::Blobs, .. }), "{not_granted}");
    assert!(not_granted.to_string().contains("the operator does not grant it to the plugin `blobs`"), "{not_granted}");

    let granted = host.catalogue.deploy(package_with("other", "0.1.0", component, both)).await.unwrap();
    assert_eq!(granted.capabilities, [Capability::Blobs, Capability::Imaging, Capability::Logging].into());
    assert!(host.plan("opens_blobs").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_without_imaging_is_refused_when_it_looks_at_the_image() {
    let host = Host::start().await;
    let error = refused(&host, package_with("people", "0.1.0", shipped("crop-people"), "")).await;
    assert!(matches!(error, PluginError::CapabilityDenied { capability: Capability::Imaging, .. }), "{error}");
}

#[test]
fn an_inspection_lists_the_border_of_a_component() {
    let inspection = inspect(&package_with("blobs", "0.1.0", guest("opens-blobs"), "capabilities = [\"imaging\"]")).unwrap();
    assert!(inspection.mismatches.is_empty(), "{:?}", inspection.mismatches);
    assert_eq!(inspection.not_asked, [Capability::Blobs]);
    let imaging = inspection.imports.iter().find(|item| item.interface == "breakwater:plugin/imaging@0.1.0").unwrap();
    assert!(imaging.functions.contains(&"open: func(source: borrow<blob>) -> result<image, failure>".to_owned()), "{imaging:?}");
    let export = inspection.exports.first().unwrap();
    assert_eq!((export.interface.as_str(), export.functions.len()), ("breakwater:plugin/crop-strategy@0.1.0", 2));
}
