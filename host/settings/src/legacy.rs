//! Environment variables of the clients that Breakwater replaces. They set keys of upstreams, below `BREAKWATER__…` and above the file.

/// How the text of a variable becomes the text of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// As it is.
    Text,
    /// Whole milliseconds.
    Milliseconds,
}

impl Unit {
    pub(crate) fn convert(self, text: &str) -> Result<String, String> {
        let text = text.trim();
        match self {
            Self::Text => Ok(text.to_owned()),
            Self::Milliseconds if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(format!("{text}ms")),
            Self::Milliseconds => {
                let text: String = text.chars().take(60).collect();
                Err(format!("expected a whole number of milliseconds, got {}", crate::value::quoted(&text)))
            }
        }
    }
}

/// One variable and the key it sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Legacy {
    pub(crate) variable: &'static str,
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) unit: Unit,
}

impl Legacy {
    /// Whether the variable alone makes the upstream. One that only tunes it says nothing about where it is.
    pub(crate) fn creates(&self) -> bool {
        self.key == "endpoints"
    }
}

const fn image_service(variable: &'static str, key: &'static str, unit: Unit) -> Legacy {
    Legacy { variable, section: "upstreams", name: "image-service", key, unit }
}

/// Every variable, in the order of the documentation.
pub(crate) static LEGACY: &[Legacy] = &[
    image_service("PYTHON_SERVICE_URL", "endpoints", Unit::Text),
    image_service("PYTHON_SERVICE_TIMEOUT", "timeout", Unit::Milliseconds),
    image_service("PYTHON_SERVICE_MAX_RETRIES", "retries", Unit::Text),
    image_service("PYTHON_SERVICE_RETRY_DELAY", "retry_delay", Unit::Milliseconds),
    image_service("PYTHON_SERVICE_MAX_CONNECTIONS", "max_connections", Unit::Text),
    image_service("HEALTH_CHECK_INTERVAL", "health_interval", Unit::Milliseconds),
    Legacy { variable: "PYTHON_IMAGE_SERVICE_URL", section: "upstreams", name: "clip-service", key: "endpoints", unit: Unit::Text },
];

/// Whether an environment variable may set a key: it begins with [`crate::ENVIRONMENT_PREFIX`], or is one of the clients that
/// Breakwater replaces.
#[must_use]
pub fn sets_a_key(variable: &str) -> bool {
    variable.starts_with(crate::ENVIRONMENT_PREFIX) || LEGACY.iter().any(|legacy| legacy.variable == variable)
}
