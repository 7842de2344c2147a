//! A tiered cache: memory, then Redis; and single flight.

#![forbid(unsafe_code)]
