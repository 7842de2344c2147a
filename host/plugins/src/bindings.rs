//! Bindings of the plugin contract, generated from the WIT files. Nothing outside this crate sees them: values are converted to the
//! core vocabulary where they enter.
//!
//! The imports of every world are generated once, at the top; the other worlds refer to them, so that one host type serves all. An
//! adapter of either world exports the same interface, so one binding calls both.

#![allow(clippy::all, reason = "generated code; the WIT files document every item")]
#![allow(dead_code, reason = "worlds whose imports alone are used")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "adapter-wasi-plugin",
    // Trappable: a limit crossed inside a host call ends the guest.
    imports: {
        "breakwater:plugin/imaging.[method]image.size": trappable,
        "breakwater:plugin/imaging.[drop]image": trappable,
        "breakwater:plugin/imaging": async | trappable,
        "breakwater:plugin/upstream": async | trappable,
        "breakwater:plugin/embedder.describe": trappable,
        "breakwater:plugin/embedder": async | trappable,
        "wasi:nn/inference.[drop]graph-execution-context": trappable,
        "wasi:nn/inference": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "breakwater:plugin/imaging.image": crate::capabilities::imaging::GuestImage,
        "breakwater:plugin/blobs.blob": crate::capabilities::blobs::GuestBlob,
        "wasi:nn/tensor.tensor": crate::capabilities::nn::GuestTensor,
        "wasi:nn/graph.graph": crate::capabilities::nn::GuestGraph,
        "wasi:nn/inference.graph-execution-context": crate::capabilities::nn::GuestSession,
        "wasi:nn/errors.error": crate::capabilities::nn::GuestError,
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:cli": wasmtime_wasi::p2::bindings::cli,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem": wasmtime_wasi::p2::bindings::filesystem,
        "wasi:random": wasmtime_wasi::p2::bindings::random,
        "wasi:sockets": wasmtime_wasi::p2::bindings::sockets,
        "wasi:http": wasmtime_wasi_http::p2::bindings::http,
    },
    include_component_type: true,
    require_store_data_send: true,
});

/// The world `crop-plugin`.
pub(crate) mod crop {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "crop-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "breakwater:plugin/types": crate::bindings::breakwater::plugin::types,
            "breakwater:plugin/geometry": crate::bindings::breakwater::plugin::geometry,
            "breakwater:plugin/detections": crate::bindings::breakwater::plugin::detections,
            "breakwater:plugin/call": crate::bindings::breakwater::plugin::call,
            "breakwater:plugin/blobs": crate::bindings::breakwater::plugin::blobs,
            "breakwater:plugin/imaging": crate::bindings::breakwater::plugin::imaging,
            "wasi:logging/logging": crate::bindings::wasi::logging::logging,
            "wasi:config/store": crate::bindings::wasi::config::store,
        },
        include_component_type: true,
        require_store_data_send: true,
    });
}

/// The world `adapter-plugin`: only what it says of itself is used, to hold components against it.
pub(crate) mod adapter {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "adapter-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "breakwater:plugin/types": crate::bindings::breakwater::plugin::types,
            "breakwater:plugin/geometry": crate::bindings::breakwater::plugin::geometry,
            "breakwater:plugin/detections": crate::bindings::breakwater::plugin::detections,
            "breakwater:plugin/call": crate::bindings::breakwater::plugin::call,
            "breakwater:plugin/blobs": crate::bindings::breakwater::plugin::blobs,
            "breakwater:plugin/imaging": crate::bindings::breakwater::plugin::imaging,
            "breakwater:plugin/upstream": crate::bindings::breakwater::plugin::upstream,
            "breakwater:plugin/feature-flags": crate::bindings::breakwater::plugin::feature_flags,
            "breakwater:plugin/embedder": crate::bindings::breakwater::plugin::embedder,
            "wasi:nn/tensor": crate::bindings::wasi::nn::tensor,
            "wasi:nn/graph": crate::bindings::wasi::nn::graph,
            "wasi:nn/inference": crate::bindings::wasi::nn::inference,
            "wasi:nn/errors": crate::bindings::wasi::nn::errors,
            "breakwater:plugin/replies": crate::bindings::breakwater::plugin::replies,
            "wasi:logging/logging": crate::bindings::wasi::logging::logging,
            "wasi:config/store": crate::bindings::wasi::config::store,
        },
        include_component_type: true,
        require_store_data_send: true,
    });
}

/// The world `fallback-plugin`.
pub(crate) mod fallback {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "fallback-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "breakwater:plugin/types": crate::bindings::breakwater::plugin::types,
            "breakwater:plugin/geometry": crate::bindings::breakwater::plugin::geometry,
            "breakwater:plugin/detections": crate::bindings::breakwater::plugin::detections,
            "breakwater:plugin/call": crate::bindings::breakwater::plugin::call,
            "breakwater:plugin/blobs": crate::bindings::breakwater::plugin::blobs,
            "breakwater:plugin/imaging": crate::bindings::breakwater::plugin::imaging,
            "breakwater:plugin/feature-flags": crate::bindings::breakwater::plugin::feature_flags,
            "breakwater:plugin/embedder": crate::bindings::breakwater::plugin::embedder,
            "wasi:nn/tensor": crate::bindings::wasi::nn::tensor,
            "wasi:nn/graph": crate::bindings::wasi::nn::graph,
            "wasi:nn/inference": crate::bindings::wasi::nn::inference,
            "wasi:nn/errors": crate::bindings::wasi::nn::errors,
            "breakwater:plugin/replies": crate::bindings::breakwater::plugin::replies,
            "wasi:logging/logging": crate::bindings::wasi::logging::logging,
            "wasi:config/store": crate::bindings::wasi::config::store,
        },
        include_component_type: true,
        require_store_data_send: true,
    });
}

/// The world `ranker-plugin`.
pub(crate) mod ranker {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "ranker-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "breakwater:plugin/types": crate::bindings::breakwater::plugin::types,
            "breakwater:plugin/geometry": crate::bindings::breakwater::plugin::geometry,
            "breakwater:plugin/detections": crate::bindings::breakwater::plugin::detections,
            "breakwater:plugin/call": crate::bindings::breakwater::plugin::call,
            "breakwater:plugin/blobs": crate::bindings::breakwater::plugin::blobs,
            "breakwater:plugin/imaging": crate::bindings::breakwater::plugin::imaging,
            "breakwater:plugin/feature-flags": crate::bindings::breakwater::plugin::feature_flags,
            "breakwater:plugin/embedder": crate::bindings::breakwater::plugin::embedder,
            "wasi:nn/tensor": crate::bindings::wasi::nn::tensor,
            "wasi:nn/graph": crate::bindings::wasi::nn::graph,
            "wasi:nn/inference": crate::bindings::wasi::nn::inference,
            "wasi:nn/errors": crate::bindings::wasi::nn::errors,
            "wasi:logging/logging": crate::bindings::wasi::logging::logging,
            "wasi:config/store": crate::bindings::wasi::config::store,
        },
        include_component_type: true,
        require_store_data_send: true,
    });
}
