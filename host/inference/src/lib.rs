//! Devices, models, networks and batching.
