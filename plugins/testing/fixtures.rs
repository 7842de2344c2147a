//! Holds the probes of a plugin.toml against the plans that its strategies make natively.

use std::fs;
use std::path::Path;

use breakwater_guest::parameters::Parameters;
use breakwater_guest::testing::{FakeImage, check_plan};
use breakwater_guest::{AspectRatio, Bounds, CropPlan, CropStrategy, Detection, Kind, Point, Rect, Size, Wanted};
use serde_json::Value;

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("no number {name} in {value}"))
}

fn rect(value: &Value) -> Rect {
    let edge = |name| number(value, name) as u32;
    Rect { x: edge("x"), y: edge("y"), width: edge("width"), height: edge("height") }
}

fn detection(value: &Value) -> Detection {
    let edge = |name| number(&value["box"], name) as f32;
    let point = |value: &Value| Point { x: number(value, "x") as f32, y: number(value, "y") as f32 };
    Detection {
        kind: match value["kind"].as_str() {
            Some("face") => Kind::Face,
            Some("person") => Kind::Person,
            _ => Kind::Object,
        },
        label: value["label"].as_str().unwrap().to_owned(),
        confidence: number(value, "confidence") as f32,
        bounds: Bounds { x: edge("x"), y: edge("y"), width: edge("width"), height: edge("height") },
        landmarks: value["landmarks"].as_array().unwrap().iter().map(point).collect(),
    }
}

/// The size that a PNG declares.
fn png_size(path: &Path) -> Size {
    let bytes = fs::read(path).unwrap();
    let edge = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    Size { width: edge(16), height: edge(20) }
}

/// What a strategy plans for a fixture.
pub(crate) fn plan<S: CropStrategy>(fixture: &Value, size: Size, given: Vec<Detection>) -> CropPlan {
    let (width, height) = fixture["ratio"].as_str().unwrap().split_once(':').unwrap();
    let ratio = AspectRatio { width: width.parse().unwrap(), height: height.parse().unwrap() };
    let parameters = fixture.get("parameters").map_or_else(|| "{}".to_owned(), Value::to_string);
    let wanted = Wanted::new(ratio, S::Parameters::parse(&parameters).unwrap()).with_given(given);
    let plan = S::plan(&FakeImage::new(size), &wanted).unwrap();
    check_plan(&plan, size, ratio).unwrap();
    plan
}

/// Plans each fixture of the manifest in `folder` by `planned`, which gives nothing for what only the host can plan, and compares.
pub(crate) fn check(folder: &str, planned: impl Fn(&str, &Value, Size, Vec<Detection>) -> Option<CropPlan>) {
    let folder = Path::new(folder);
    let manifest: Value = toml::from_str(&fs::read_to_string(folder.join("plugin.toml")).unwrap()).unwrap();
    let fixtures = manifest["fixtures"].as_array().unwrap();
    let mut wrong = Vec::new();
    for fixture in fixtures {
        let size = png_size(&folder.join(fixture["image"].as_str().unwrap()));
        let given = fixture.get("detections").map_or_else(Vec::new, |path| {
            let json = fs::read_to_string(folder.join(path.as_str().unwrap())).unwrap();
            serde_json::from_str::<Vec<Value>>(&json).unwrap().iter().map(detection).collect()
        });
        let Some(CropPlan { crop, .. }) = planned(fixture["strategy"].as_str().unwrap(), fixture, size, given) else { continue };
        let expected = rect(&fixture["expect"]["crop"]);
        let off = [(crop.x, expected.x), (crop.y, expected.y), (crop.width, expected.width), (crop.height, expected.height)];
        let tolerance = fixture["expect"].get("tolerance").and_then(Value::as_u64).unwrap_or(0);
        if off.iter().any(|(is, should)| u64::from(is.abs_diff(*should)) > tolerance) {
            wrong.push(format!("{} at {}: {crop:?}, not {expected:?}", fixture["strategy"], fixture["ratio"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
