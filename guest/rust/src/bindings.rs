//! What `wit-bindgen` makes of the contract in `wit/`. Use the names at the crate's root; these are for what they leave out.
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
