//! Describes what no host should accept: one name twice, a name with capitals, a summary that is too long, a schema that is no
//! JSON. Each call of `describe` gets a fresh instance, so it is always the same list.

use breakwater_guest::__private::{Guest, Image, Request, Strategy};
use breakwater_guest::{CallContext, CropPlan, Detection, Failure};

struct Plugin;

impl Guest for Plugin {
    fn describe() -> Vec<Strategy> {
        let strategy = |name: &str, summary: &str, parameters: &str| Strategy {
            name: name.to_owned(),
            summary: summary.to_owned(),
            parameters: parameters.to_owned(),
            needs: Vec::new(),
        };
        vec![
            strategy("twice", "One of two.", r#"{"type":"object"}"#),
            strategy("twice", "Two of two.", r#"{"type":"object"}"#),
            strategy("Capital Name", "Not a name.", r#"{"type":"object"}"#),
            strategy("long_summary", &"x".repeat(1000), r#"{"type":"object"}"#),
            strategy("no_schema", "Its schema is no JSON.", "{"),
        ]
    }

    fn plan(_call: CallContext, _subject: &Image, _given: Vec<Detection>, wanted: Request) -> Result<CropPlan, Failure> {
        Err(Failure::internal("test.unreachable", &wanted.strategy))
    }
}

#[cfg(target_arch = "wasm32")]
breakwater_guest::bindings::__export_crop_strategy!(Plugin with_types_in breakwater_guest::bindings);
