//! Which process runs the workflows of a database.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;

use crate::sqlite::{SqliteStore, StoreError};

/// What is added to the name of the database.
const SUFFIX: &str = ".executor-lock";

/// Held by the process that runs the workflows of a database. Given back when it is dropped, and by the kernel however the process ends.
#[derive(Debug)]
pub struct ExecutorLock {
    _file: File,
}

impl SqliteStore {
    /// Makes this process the one that runs the workflows of this database: what others have left unfinished is theirs no more.
    ///
    /// # Errors
    /// [`StoreError::ExecutorElsewhere`] while another process runs them, [`StoreError::Open`] when the lock cannot be made.
    pub fn become_executor(&self) -> Result<ExecutorLock, StoreError> {
        let mut path = self.file.clone().into_os_string();
        path.push(SUFFIX);
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = opened.map_err(|error| StoreError::Open(error.into()))?;
        match file.try_lock() {
            Ok(()) => Ok(ExecutorLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::ExecutorElsewhere),
            Err(TryLockError::Error(error)) => Err(StoreError::Open(error.into())),
        }
    }
}
