//! How services are, as their upstreams and checks say.

use breakwater_core::Failure;
use breakwater_upstream::{EndpointCheck, LastErrorStatus, ServiceDefinition, ServiceStatus, UpstreamStatus};

use crate::operations::Operations;

/// A service in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthWord {
    /// Calls pass.
    Healthy,
    /// Calls do not pass: it cannot be reached, or its breaker is open.
    Unhealthy,
    /// It is not called, so that nobody looks.
    Unknown,
}

impl HealthWord {
    /// As JSON has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// How a service is.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinedServiceHealth {
    /// The service.
    pub service_id: String,
    /// What it is called by.
    pub service_name: String,
    /// Whether it may be called.
    pub service_status: ServiceStatus,
    /// Its base URL.
    pub endpoint: String,
    /// In one word.
    pub word: HealthWord,
    /// The state of its upstream's breaker; nothing of one that is not called.
    pub breaker: Option<&'static str>,
    /// The newest failure of a call.
    pub last_error: Option<LastErrorStatus>,
    /// What a check found just now; nothing when none was made.
    pub check: Option<EndpointCheck>,
}

impl Operations {
    /// How every service is, as far as that is known: nobody is asked.
    #[must_use]
    pub fn service_healths(&self) -> Vec<DefinedServiceHealth> {
        self.defined_services(None).iter().map(|entry| self.known_health(&entry.definition)).collect()
    }

    /// Asks a service whether it is there, and says how it is then. What that says counts as a check of the background task does. One that
    /// is not called is not asked.
    ///
    /// # Errors
    /// `service.unknown` (not found). That it is not well is in the answer.
    pub async fn check_service(&self, id_or_name: &str) -> Result<DefinedServiceHealth, Failure> {
        let entry = self.defined_service(id_or_name)?;
        let definition = &entry.definition;
        if definition.status != ServiceStatus::Active {
            return Ok(self.known_health(definition));
        }
        let checks = self.upstreams().check(&definition.name).await.map(|report| report.endpoints).unwrap_or_default();
        let health = self.known_health(definition);
        let check = checks.into_iter().find(|check| check.id == definition.endpoint);
        // One check is not enough for the upstream to give it up, but says how it is now.
        let is_away = check.as_ref().is_some_and(|check| !check.ok);
        Ok(DefinedServiceHealth { word: if is_away { HealthWord::Unhealthy } else { health.word }, check, ..health })
    }

    fn known_health(&self, definition: &ServiceDefinition) -> DefinedServiceHealth {
        let is_called = definition.status == ServiceStatus::Active;
        let status = is_called.then(|| self.upstreams().upstream_status(&definition.name).ok()).flatten();
        DefinedServiceHealth {
            service_id: definition.id.clone(),
            service_name: definition.name.clone(),
            service_status: definition.status,
            endpoint: definition.endpoint.clone(),
            word: status.as_ref().map_or(HealthWord::Unknown, word),
            breaker: status.as_ref().map(|status| status.breaker),
            last_error: status.and_then(|status| status.last_error),
            check: None,
        }
    }
}

fn word(status: &UpstreamStatus) -> HealthWord {
    use breakwater_upstream::UpstreamState::{Degraded, Down, Isolated, Up};
    match status.state {
        Up | Degraded => HealthWord::Healthy,
        Down | Isolated => HealthWord::Unhealthy,
    }
}
