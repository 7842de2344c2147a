//! What the operations share.

use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{Failure, ServedBy};
use breakwater_inference::{DeviceReport, Inference};
use breakwater_plugins::Catalogue;
use breakwater_telemetry::Metrics;
use breakwater_vision::Limits;

use crate::cpu::CpuPermits;
use crate::detectors::{Detectors, ModelDetectors};
use crate::media::MediaRoot;
use crate::operation::Operation;

/// What the composition root decides.
#[derive(Debug, Clone, Default)]
pub struct OperationsConfig {
    /// Of pictures that come in and go out.
    pub limits: Limits,
    /// Where paths are looked up and results are written; none means that pictures cannot be named by path.
    pub media: Option<Arc<MediaRoot>>,
}

/// The use cases of the service. Calls are independent: one `Operations` serves all of them.
pub struct Operations {
    config: OperationsConfig,
    detectors: Arc<dyn Detectors>,
    catalogue: Arc<Catalogue>,
    cpu: Arc<CpuPermits>,
    metrics: Arc<Metrics>,
}

impl Operations {
    /// Connects the parts.
    #[must_use]
    pub fn new(
        config: OperationsConfig,
        inference: Arc<Inference>,
        catalogue: Arc<Catalogue>,
        cpu: Arc<CpuPermits>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Self::with_detectors(config, Arc::new(ModelDetectors::new(inference)), catalogue, cpu, metrics)
    }

    /// The same with other detectors than the models of the inference engine.
    #[must_use]
    pub fn with_detectors(
        config: OperationsConfig,
        detectors: Arc<dyn Detectors>,
        catalogue: Arc<Catalogue>,
        cpu: Arc<CpuPermits>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self { config, detectors, catalogue, cpu, metrics })
    }

    /// Where inference runs now, and why there.
    #[must_use]
    pub fn device(&self) -> DeviceReport {
        self.detectors.device()
    }

    /// Limits of pictures.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.config.limits
    }

    pub(crate) fn media(&self) -> Option<&Arc<MediaRoot>> {
        self.config.media.as_ref()
    }

    pub(crate) fn detectors(&self) -> &Arc<dyn Detectors> {
        &self.detectors
    }

    pub(crate) fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    pub(crate) fn cpu(&self) -> &CpuPermits {
        &self.cpu
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts a call of an operation by how it ended: who answered and whether degraded, or how it failed.
    pub(crate) fn count(&self, operation: &Operation, started: Instant, result: Result<(&ServedBy, bool), &Failure>) {
        match result {
            Ok((served_by, degraded)) => self.metrics.operation_answered(operation.name, served_by, degraded, started.elapsed()),
            Err(failure) => self.metrics.operation_failed(operation.name, failure.kind, started.elapsed()),
        }
    }
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").field("config", &self.config).finish_non_exhaustive()
    }
}
