//! Exports an interface of our name whose `plan` has another signature, and describes strategies without `needs`.

wit_bindgen::generate!({
    inline: "
        package breakwater:plugin@0.1.0;

        interface crop-strategy {
            record strategy { name: string, summary: string, parameters: string }
            record rect { x: u32, y: u32, width: u32, height: u32 }

            describe: func() -> list<strategy>;
            plan: func(width: u32, height: u32, strategy: string) -> result<rect, string>;
        }

        world crop-plugin {
            export crop-strategy;
        }
    ",
});

use exports::breakwater::plugin::crop_strategy::{Guest, Rect, Strategy};

struct Plugin;

impl Guest for Plugin {
    fn describe() -> Vec<Strategy> {
        vec![Strategy { name: "whole".into(), summary: "The whole picture.".into(), parameters: "{}".into() }]
    }

    fn plan(width: u32, height: u32, _strategy: String) -> Result<Rect, String> {
        Ok(Rect { x: 0, y: 0, width, height })
    }
}

#[cfg(target_arch = "wasm32")]
export!(Plugin);
