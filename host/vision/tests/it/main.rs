//! The crate from outside: real files of every format, hostile ones, and what comes out.

mod formats;
mod hostile;
mod inputs;
mod largest_allocation;
mod properties;
mod rendering;
