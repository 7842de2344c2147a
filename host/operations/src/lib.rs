//! Operations and their provider chains: the use cases.
