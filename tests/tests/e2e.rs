//! End-to-end tests: the real binary, over HTTP and from the command line, as its users meet it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

#[path = "e2e/support.rs"]
mod support;

#[path = "e2e/batches.rs"]
mod batches;
#[path = "e2e/batches_cli.rs"]
mod batches_cli;
#[path = "e2e/cache.rs"]
mod cache;
#[path = "e2e/cli.rs"]
mod cli;
#[path = "e2e/clip_service.rs"]
mod clip_service;
#[path = "e2e/config.rs"]
mod config;
#[path = "e2e/contact_sheets.rs"]
mod contact_sheets;
#[path = "e2e/contact_sheets_http.rs"]
mod contact_sheets_http;
#[path = "e2e/contact_sheets_large.rs"]
mod contact_sheets_large;
#[path = "e2e/crops.rs"]
mod crops;
#[path = "e2e/detections.rs"]
mod detections;
#[path = "e2e/development_photographs.rs"]
mod development_photographs;
#[path = "e2e/embeddings.rs"]
mod embeddings;
#[path = "e2e/guests.rs"]
mod guests;
#[path = "e2e/guide.rs"]
mod guide;
#[path = "e2e/hostile_clients.rs"]
mod hostile_clients;
#[path = "e2e/hostile_pictures.rs"]
mod hostile_pictures;
#[path = "e2e/javascript.rs"]
mod javascript;
#[path = "e2e/lifecycle.rs"]
mod lifecycle;
#[path = "e2e/negotiation.rs"]
mod negotiation;
#[path = "e2e/operations.rs"]
mod operations;
#[path = "e2e/plugins.rs"]
mod plugins;
#[path = "e2e/python_client.rs"]
mod python_client;
#[path = "e2e/remote_images.rs"]
mod remote_images;
#[path = "e2e/search.rs"]
mod search;
#[path = "e2e/search_bad_input.rs"]
mod search_bad_input;
#[path = "e2e/search_cli.rs"]
mod search_cli;
#[path = "e2e/search_faults.rs"]
mod search_faults;
#[path = "e2e/services_api.rs"]
mod services_api;
#[path = "e2e/sheet.rs"]
mod sheet;
#[path = "e2e/sidecar_service.rs"]
mod sidecar_service;
#[path = "e2e/sidecars.rs"]
mod sidecars;
#[path = "e2e/sidecars_cli.rs"]
mod sidecars_cli;
#[path = "e2e/sidecars_errors.rs"]
mod sidecars_errors;
#[path = "e2e/sidecars_faults.rs"]
mod sidecars_faults;
#[path = "e2e/sidecars_guide.rs"]
mod sidecars_guide;
#[path = "e2e/sidecars_load.rs"]
mod sidecars_load;
#[path = "e2e/sidecars_routes.rs"]
mod sidecars_routes;
#[path = "e2e/sidecars_runtimes.rs"]
mod sidecars_runtimes;
#[path = "e2e/sidecars_scenarios.rs"]
mod sidecars_scenarios;
#[path = "e2e/surface.rs"]
mod surface;
#[path = "e2e/swaps.rs"]
mod swaps;
#[path = "e2e/talent.rs"]
mod talent;
#[path = "e2e/tracing.rs"]
mod tracing;
#[path = "e2e/workflow_bed.rs"]
mod workflow_bed;
#[path = "e2e/workflows_api.rs"]
mod workflows_api;
#[path = "e2e/workflows_cli.rs"]
mod workflows_cli;
#[path = "e2e/workflows_crash.rs"]
mod workflows_crash;
#[path = "e2e/workflows_nodes.rs"]
mod workflows_nodes;
#[path = "e2e/workflows_temporal.rs"]
mod workflows_temporal;
