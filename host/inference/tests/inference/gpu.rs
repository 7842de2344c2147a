//! The same kernels that run on a GPU, on Mesa's software rasteriser through OpenGL.
//!
//! Drivers read their environment when the process starts, so the test runs this binary again with the right one. Vulkan is hidden
//! there: older versions of Mesa's Vulkan rasteriser crash on the kernels.

use std::process::Command;
use std::time::{Duration, Instant};

use breakwater_inference::device::adapter::adapters;
use breakwater_inference::engine::burn::BurnEngine;
use breakwater_inference::model::Model;
use breakwater_inference::{DeviceKind, DevicePreference, Inference, InferenceConfig};

use crate::fake::pool;
use crate::golden::check;

const CHILD: &str = "BREAKWATER_TEST_GPU_CHILD";
const NO_ADAPTER: &str = "NOT RUN: there is no wgpu adapter";

fn run_child(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        // Fewer kernels are tried; which one is taken matters for speed only.
        .env("CUBECL_AUTOTUNE_LEVEL", "minimal")
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("XDG_RUNTIME_DIR", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{name} took {:?}:\n{text}", start.elapsed());
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the child ran no test: {text}");
    if text.contains(NO_ADAPTER) {
        eprintln!("{NO_ADAPTER}, so {name} proved nothing. On Debian: apt-get install libegl1 libgl1-mesa-dri");
    }
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn config() -> InferenceConfig {
    // Kernels are compiled within the budget of the first call that needs them, by a program that imitates a GPU.
    let budget = Duration::from_secs(300);
    InferenceConfig { device: DevicePreference::Gpu, allow_software: true, budget, ..InferenceConfig::default() }
}

/// The first adapter, whatever it is; none is said loudly.
fn engine() -> Option<BurnEngine> {
    let adapter = adapters().into_iter().next();
    if adapter.is_none() {
        println!("{NO_ADAPTER}");
    }
    adapter.map(|adapter| BurnEngine::gpu(adapter.open().unwrap(), adapter.label()))
}

#[test]
fn layers_on_wgpu_equal_the_cpu() {
    if !is_child() {
        return run_child("gpu::layers_on_wgpu_equal_the_cpu");
    }
    if let Some(engine) = engine() {
        crate::layers::check(&engine);
    }
}

#[test]
fn yunet_on_wgpu_equals_the_reference() {
    if !is_child() {
        return run_child("gpu::yunet_on_wgpu_equals_the_reference");
    }
    if let Some(engine) = engine() {
        check(&engine, Model::YuNet, 1);
    }
}

#[test]
fn nanodet_on_wgpu_equals_the_reference() {
    if !is_child() {
        return run_child("gpu::nanodet_on_wgpu_equals_the_reference");
    }
    if let Some(engine) = engine() {
        check(&engine, Model::NanoDet, 1);
    }
}

#[test]
fn efficientnet_lite0_on_wgpu_equals_the_reference() {
    if !is_child() {
        return run_child("gpu::efficientnet_lite0_on_wgpu_equals_the_reference");
    }
    if let Some(engine) = engine() {
        check(&engine, Model::EfficientNetLite0, 1);
    }
}

#[test]
fn both_towers_of_clip_on_wgpu_equal_the_reference() {
    if !is_child() {
        return run_child("gpu::both_towers_of_clip_on_wgpu_equal_the_reference");
    }
    if let Some(engine) = engine() {
        // One model: every shape is compiled and tuned anew, by a program that imitates a GPU.
        crate::clip::check(&engine, &crate::clip::SMALL[..1]);
    }
}

#[tokio::test]
async fn a_software_rasteriser_serves_only_when_it_is_allowed() {
    if !is_child() {
        return run_child("gpu::a_software_rasteriser_serves_only_when_it_is_allowed");
    }
    if adapters().is_empty() {
        return println!("{NO_ADAPTER}");
    }
    let refused = Inference::start(InferenceConfig { allow_software: false, ..config() }, pool(2)).err().unwrap();
    assert!(refused.to_string().contains("software rasteriser"), "{refused}");
    let automatic = InferenceConfig { device: DevicePreference::Auto, allow_software: false, ..config() };
    let report = Inference::start(automatic, pool(2)).unwrap().device();
    assert!(report.kind == DeviceKind::Cpu && report.reason.contains("software rasteriser"), "{report:?}");

    let inference = Inference::start(InferenceConfig { adapter: Some("LLVM".into()), ..config() }, pool(2)).unwrap();
    let report = inference.device();
    assert!(report.kind == DeviceKind::Gpu && report.name.contains("llvmpipe"), "{report:?}");
    let took = inference.self_test().await.unwrap();
    println!("a known face on {} took {took:?}", report.name);
    assert_eq!((inference.device().kind, inference.statistics().devices_lost), (DeviceKind::Gpu, 0));
}
