//! What the host shows an upstream to be let in. Guests, logs and errors never see it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_core::{Failure, FailureKind};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The longest secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;
/// How often a file is looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Where a secret is kept. A trailing line break is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of this process, read once at the start.
    Environment(String),
    /// A file of at most 64 KiB, read again within a second of its change.
    File(PathBuf),
}

/// How the host shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// The secret as the value of a header, such as `x-api-key`.
    ApiKey {
        /// The header's name.
        header: String,
        /// Its value.
        secret: SecretSource,
    },
    /// `Authorization: Bearer SECRET`.
    Bearer {
        /// The token.
        secret: SecretSource,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// The name; without a colon.
        username: String,
        /// The password.
        secret: SecretSource,
    },
}

impl Credentials {
    fn source(&self) -> &SecretSource {
        match self {
            Self::ApiKey { secret, .. } | Self::Bearer { secret } | Self::Basic { secret, .. } => secret,
        }
    }

    fn header(&self) -> Result<HeaderName, CredentialError> {
        match self {
            Self::ApiKey { header, .. } => HeaderName::from_bytes(header.as_bytes()).map_err(|_| CredentialError::Header),
            Self::Basic { username, .. } if username.contains(':') => Err(CredentialError::Username),
            Self::Bearer { .. } | Self::Basic { .. } => Ok(AUTHORIZATION),
        }
    }

    fn value(&self, secret: &str) -> Result<HeaderValue, CredentialError> {
        let text = match self {
            Self::ApiKey { .. } => secret.to_owned(),
            Self::Bearer { .. } => format!("Bearer {secret}"),
            Self::Basic { username, .. } => format!("Basic {}", STANDARD.encode(format!("{username}:{secret}"))),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| CredentialError::Secret)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Why credentials cannot be used. Holds neither the secret nor any part of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("the name of the header for the API key is no header name")]
    Header,
    #[error("the user name of basic credentials must not contain a colon")]
    Username,
    #[error("the secret is empty or holds characters that no header can carry")]
    Secret,
    #[error("the environment variable of the secret is not set or is no text")]
    Environment,
    #[error("the file of the secret cannot be read or is larger than {MAX_SECRET} bytes")]
    File(#[source] std::io::Error),
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        Self::new(FailureKind::InvalidRequest, "upstream.credentials", error.to_string()).caused_by(error)
    }
}

/// A secret as it was last read.
struct Held {
    value: HeaderValue,
    /// What must not appear in anything that is shown: the secret and the header's value.
    texts: [String; 2],
    changed: Option<SystemTime>,
}

/// Credentials that are ready to be sent, and fresh.
pub(crate) struct Presenter {
    credentials: Credentials,
    header: HeaderName,
    held: ArcSwap<Held>,
    /// When the file was last looked at. Also keeps two calls from reading it at once.
    looked: Mutex<Instant>,
}

impl Presenter {
    /// Reads the secret for the first time.
    pub(crate) async fn new(credentials: Credentials) -> Result<Self, CredentialError> {
        let header = credentials.header()?;
        let held = read(&credentials).await?;
        Ok(Self { header, held: ArcSwap::from_pointee(held), credentials, looked: Mutex::new(Instant::now()) })
    }

    /// The header to send. A secret that changed is read first; one that cannot be read any more stays what it was.
    pub(crate) async fn present(&self) -> (HeaderName, HeaderValue) {
        if let SecretSource::File(file) = self.credentials.source()
            && let Ok(mut looked) = self.looked.try_lock()
            && looked.elapsed() >= LOOK_INTERVAL
        {
            *looked = Instant::now();
            let changed = tokio::fs::metadata(file).await.and_then(|metadata| metadata.modified()).ok();
            if changed.is_none() || changed != self.held.load().changed {
                match read(&self.credentials).await {
                    Ok(held) => self.held.store(Arc::new(held)),
                    Err(error) => tracing::warn!(target: "upstream", %error, "a secret could not be read again; the last one stays in use"),
                }
            }
        }
        (self.header.clone(), self.held.load().value.clone())
    }

    /// `text` without the secret, in case an upstream repeats what it was shown.
    pub(crate) fn redact(&self, text: String) -> String {
        let held = self.held.load();
        held.texts.iter().fold(text, |text, secret| text.replace(secret.as_str(), "[redacted]"))
    }

    /// The header in which the secret travels.
    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }
}

impl fmt::Debug for Presenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presenter").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

async fn read(credentials: &Credentials) -> Result<Held, CredentialError> {
    let (text, changed) = match credentials.source() {
        SecretSource::Environment(name) => (std::env::var(name).map_err(|_| CredentialError::Environment)?, None),
        SecretSource::File(file) => {
            let metadata = tokio::fs::metadata(file).await.map_err(CredentialError::File)?;
            if metadata.len() > MAX_SECRET {
                return Err(CredentialError::File(std::io::ErrorKind::FileTooLarge.into()));
            }
            (tokio::fs::read_to_string(file).await.map_err(CredentialError::File)?, metadata.modified().ok())
        }
    };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(CredentialError::Secret);
    }
    let value = credentials.value(secret)?;
    let shown = value.to_str().unwrap_or(secret);
    let shown = shown.split_once(' ').map_or(shown, |(_, token)| token).to_owned();
    Ok(Held { texts: [secret.to_owned(), shown], value, changed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        (folder, SecretSource::File(path))
    }

    #[tokio::test]
    async fn each_kind_is_sent_as_its_standard_says() {
        let (_folder, secret) = file("open sesame\n");
        let sent = async |credentials| {
            let (name, value) = Presenter::new(credentials).await.unwrap().present().await;
            format!("{name}: {}", value.to_str().unwrap())
        };
        assert_eq!(sent(Credentials::ApiKey { header: "X-Api-Key".into(), secret: secret.clone() }).await, "x-api-key: open sesame");
        assert_eq!(sent(Credentials::Bearer { secret: secret.clone() }).await, "authorization: Bearer open sesame");
        // The example of RFC 7617, section 2.
        let basic = Credentials::Basic { username: "Aladdin".into(), secret };
        assert_eq!(sent(basic).await, "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[tokio::test]
    async fn a_secret_is_in_no_debug_text_and_in_no_text_that_was_cleaned() {
        let (_folder, secret) = file("hunter2");
        let presenter = Presenter::new(Credentials::Basic { username: "me".into(), secret }).await.unwrap();
        let (_, value) = presenter.present().await;
        let shown = format!("{presenter:?} {value:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("bWU6aHVudGVyMg"), "{shown}");
        let echo = presenter.redact("you sent bWU6aHVudGVyMg== which is hunter2".into());
        assert_eq!(echo, "you sent [redacted] which is [redacted]");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again_when_it_changed_and_kept_when_it_is_gone() {
        let (folder, secret) = file("one");
        let path = folder.path().join("secret");
        let presenter = Presenter::new(Credentials::Bearer { secret }).await.unwrap();
        let token = async || presenter.present().await.1.to_str().unwrap().to_owned();
        std::fs::write(&path, "two").unwrap();
        std::fs::File::open(&path).unwrap().set_modified(SystemTime::now() + Duration::from_secs(9)).unwrap();
        assert_eq!(token().await, "Bearer one", "a file is looked at once a second at most");
        tokio::time::advance(LOOK_INTERVAL).await;
        assert_eq!(token().await, "Bearer two");
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK_INTERVAL).await;
        assert_eq!(token().await, "Bearer two");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_refused_without_telling_the_secret() {
        let (_folder, broken) = file("two\nlines");
        let (_other, empty) = file("\n");
        let absent = SecretSource::File("/nowhere/secret".into());
        let unset = SecretSource::Environment("BREAKWATER_TEST_NEVER_SET".into());
        for secret in [broken, empty, absent, unset] {
            let failure = Failure::from(Presenter::new(Credentials::Bearer { secret }).await.unwrap_err());
            assert_eq!(failure.code, "upstream.credentials");
            assert!(!failure.chain().contains("two"), "{}", failure.chain());
        }
        let (_folder, secret) = file(&"x".repeat(64 * 1024 + 1));
        assert!(Presenter::new(Credentials::Bearer { secret }).await.is_err());
        let (_folder, secret) = file("x");
        assert!(Presenter::new(Credentials::ApiKey { header: "a b".into(), secret: secret.clone() }).await.is_err());
        assert!(Presenter::new(Credentials::Basic { username: "a:b".into(), secret }).await.is_err());
    }

    #[tokio::test]
    async fn a_secret_may_come_from_the_environment() {
        let secret = SecretSource::Environment("CARGO_PKG_NAME".into());
        let (_, value) = Presenter::new(Credentials::Bearer { secret }).await.unwrap().present().await;
        assert_eq!(value.to_str().unwrap(), "Bearer breakwater-upstream");
    }
}
