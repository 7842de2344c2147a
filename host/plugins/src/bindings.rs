//! Bindings of the plugin contract, generated from the WIT files. Nothing outside this crate sees them: values are converted to the
//! core vocabulary where they enter.

#![allow(clippy::all, reason = "generated code; the WIT files document every item")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "crop-plugin",
    // Trappable: a limit crossed inside a host call ends the guest.
    imports: {
        "breakwater:plugin/imaging.[method]image.size": trappable,
        "breakwater:plugin/imaging.[drop]image": trappable,
        "breakwater:plugin/imaging": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "breakwater:plugin/imaging.image": crate::capabilities::imaging::GuestImage,
        "breakwater:plugin/blobs.blob": crate::capabilities::blobs::GuestBlob,
    },
    include_component_type: true,
    require_store_data_send: true,
});
