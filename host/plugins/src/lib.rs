//! The WebAssembly plugin runtime: engine, bindings, capabilities, catalogue of generations.
