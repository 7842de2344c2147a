//! Bounds on what a guest's instances may allocate.

use wasmtime::{Error, ResourceLimiter, Result};

use crate::trap::LimitCrossed;

/// Bounds the linear memories of one call together and each of its tables.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: usize,
    memory_used: usize,
    table_limit: usize,
}

impl Limiter {
    pub(crate) fn new(memory_limit: usize, table_limit: usize) -> Self {
        Self { memory_limit, memory_used: 0, table_limit }
    }

    /// Bytes of the linear memories, which never shrink.
    pub(crate) fn memory_used(&self) -> usize {
        self.memory_used
    }
}

impl ResourceLimiter for Limiter {
    /// A guest that asks for too much ends there: its own handling of a failed growth would be an abort without a reason.
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let used = self.memory_used.saturating_add(desired.saturating_sub(current));
        if used > self.memory_limit {
            return Err(Error::from(LimitCrossed::Memory { limit: self.memory_limit }));
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        if desired > self.table_limit {
            return Err(Error::from(LimitCrossed::Table { limit: self.table_limit }));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_count_together_and_tables_one_by_one() {
        let mut limiter = Limiter::new(100, 10);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        let error = limiter.memory_growing(40, 41, None).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(LimitCrossed::Memory { limit: 100 })));
        assert!(limiter.table_growing(0, 10, None).unwrap() && limiter.table_growing(0, 10, None).unwrap());
        assert!(matches!(limiter.table_growing(0, 11, None).unwrap_err().downcast_ref(), Some(LimitCrossed::Table { limit: 10 })));
    }
}
