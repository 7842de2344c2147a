//! Records that last as long as the process: for tests and for the command line.

use std::sync::{Mutex, MutexGuard, PoisonError};

use breakwater_core::BoxFuture;

use super::{FlagRecords, FlagRecordsError, FlagState};
use crate::definition::Flag;

/// Records held in memory.
#[derive(Debug, Default)]
pub struct MemoryFlagRecords(Mutex<FlagState>);

impl MemoryFlagRecords {
    fn lock(&self) -> MutexGuard<'_, FlagState> {
        // A change is made after everything that could fail, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &str, expected: u64, flag: Option<&Flag>) -> Result<u64, FlagRecordsError> {
        let mut state = self.lock();
        let found = state.flags.get(name).map_or(0, |flag| flag.version);
        if found != expected {
            return Err(FlagRecordsError::Conflict { expected, found });
        }
        state.revision += 1;
        let revision = state.revision;
        match flag {
            Some(flag) => drop(state.flags.insert(name.to_owned(), Flag { version: revision, ..flag.clone() })),
            None => drop(state.flags.remove(name)),
        }
        Ok(revision)
    }
}

impl FlagRecords for MemoryFlagRecords {
    fn revision(&self) -> BoxFuture<'_, Result<u64, FlagRecordsError>> {
        Box::pin(async { Ok(self.lock().revision) })
    }

    fn load(&self) -> BoxFuture<'_, Result<FlagState, FlagRecordsError>> {
        Box::pin(async { Ok(self.lock().clone()) })
    }

    fn put<'a>(&'a self, name: &'a str, expected: u64, flag: &'a Flag) -> BoxFuture<'a, Result<u64, FlagRecordsError>> {
        Box::pin(async move { self.change(name, expected, Some(flag)) })
    }

    fn remove<'a>(&'a self, name: &'a str, expected: u64) -> BoxFuture<'a, Result<u64, FlagRecordsError>> {
        Box::pin(async move {
            if expected == 0 {
                let found = self.lock().flags.get(name).map_or(0, |flag| flag.version);
                return Err(FlagRecordsError::Conflict { expected, found });
            }
            self.change(name, expected, None)
        })
    }
}
