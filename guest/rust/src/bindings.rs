//! What `wit-bindgen` makes of the contract in `wit/`. Use the names at the crate's root; these are for what they leave out.
//!
//! The interfaces that several worlds import are generated once, with the world of crop plugins, and the other worlds use them.
#![expect(missing_docs, reason = "documented in wit/, whose comments are carried over to the items but not to the modules")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "crop-plugin",
    pub_export_macro: true,
    export_macro_name: "__export_crop_strategy",
    default_bindings_module: "breakwater_guest::bindings",
    runtime_path: "::breakwater_guest::wit_bindgen::rt",
    additional_derives: [PartialEq],
    additional_derives_ignore: ["blob", "image"],
    generate_all,
});

/// The world of adapters, and the interfaces that only they, fallbacks and rankers import: `wasi:nn` among them.
pub mod adapter {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "adapter-plugin",
        pub_export_macro: true,
        export_macro_name: "__export_adapter",
        default_bindings_module: "breakwater_guest::bindings::adapter",
        runtime_path: "::breakwater_guest::wit_bindgen::rt",
        with: {
            "wasi:logging/logging@0.1.0-draft": crate::bindings::wasi::logging::logging,
            "wasi:config/store@0.2.0-rc.1": crate::bindings::wasi::config::store,
            "breakwater:plugin/types@0.1.0": crate::bindings::breakwater::plugin::types,
            "breakwater:plugin/geometry@0.1.0": crate::bindings::breakwater::plugin::geometry,
            "breakwater:plugin/call@0.1.0": crate::bindings::breakwater::plugin::call,
            "breakwater:plugin/blobs@0.1.0": crate::bindings::breakwater::plugin::blobs,
            "breakwater:plugin/detections@0.1.0": crate::bindings::breakwater::plugin::detections,
            "breakwater:plugin/imaging@0.1.0": crate::bindings::breakwater::plugin::imaging,
        },
        generate_all,
    });
}

/// The world of fallbacks.
pub mod fallback {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "fallback-plugin",
        pub_export_macro: true,
        export_macro_name: "__export_fallback",
        default_bindings_module: "breakwater_guest::bindings::fallback",
        runtime_path: "::breakwater_guest::wit_bindgen::rt",
        with: {
            "wasi:logging/logging@0.1.0-draft": crate::bindings::wasi::logging::logging,
            "wasi:config/store@0.2.0-rc.1": crate::bindings::wasi::config::store,
            "breakwater:plugin/types@0.1.0": crate::bindings::breakwater::plugin::types,
            "breakwater:plugin/geometry@0.1.0": crate::bindings::breakwater::plugin::geometry,
            "breakwater:plugin/call@0.1.0": crate::bindings::breakwater::plugin::call,
            "breakwater:plugin/blobs@0.1.0": crate::bindings::breakwater::plugin::blobs,
            "breakwater:plugin/detections@0.1.0": crate::bindings::breakwater::plugin::detections,
            "breakwater:plugin/imaging@0.1.0": crate::bindings::breakwater::plugin::imaging,
            "breakwater:plugin/replies@0.1.0": crate::bindings::adapter::breakwater::plugin::replies,
            "breakwater:plugin/feature-flags@0.1.0": crate::bindings::adapter::breakwater::plugin::feature_flags,
            "breakwater:plugin/embedder@0.1.0": crate::bindings::adapter::breakwater::plugin::embedder,
            "wasi:nn/tensor@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::tensor,
            "wasi:nn/graph@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::graph,
            "wasi:nn/inference@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::inference,
            "wasi:nn/errors@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::errors,
        },
        generate_all,
    });
}

/// The world of rankers.
pub mod ranker {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "ranker-plugin",
        pub_export_macro: true,
        export_macro_name: "__export_ranker",
        default_bindings_module: "breakwater_guest::bindings::ranker",
        runtime_path: "::breakwater_guest::wit_bindgen::rt",
        additional_derives: [PartialEq],
        with: {
            "wasi:logging/logging@0.1.0-draft": crate::bindings::wasi::logging::logging,
            "wasi:config/store@0.2.0-rc.1": crate::bindings::wasi::config::store,
            "breakwater:plugin/types@0.1.0": crate::bindings::breakwater::plugin::types,
            "breakwater:plugin/geometry@0.1.0": crate::bindings::breakwater::plugin::geometry,
            "breakwater:plugin/call@0.1.0": crate::bindings::breakwater::plugin::call,
            "breakwater:plugin/blobs@0.1.0": crate::bindings::breakwater::plugin::blobs,
            "breakwater:plugin/detections@0.1.0": crate::bindings::breakwater::plugin::detections,
            "breakwater:plugin/imaging@0.1.0": crate::bindings::breakwater::plugin::imaging,
            "breakwater:plugin/feature-flags@0.1.0": crate::bindings::adapter::breakwater::plugin::feature_flags,
            "breakwater:plugin/embedder@0.1.0": crate::bindings::adapter::breakwater::plugin::embedder,
            "wasi:nn/tensor@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::tensor,
            "wasi:nn/graph@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::graph,
            "wasi:nn/inference@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::inference,
            "wasi:nn/errors@0.2.0-rc-2024-10-28": crate::bindings::adapter::wasi::nn::errors,
        },
        generate_all,
    });
}
