//! One request outside of any upstream, to find out whether somebody answers.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use breakwater_core::{Failure, Method};
use bytes::Bytes;

use crate::client;

/// The longest beginning of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends requests without pool, retries and breaker. Made once, used often.
#[derive(Debug, Clone)]
pub struct Prober(reqwest::Client);

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body, at most 64 KiB.
    pub body: Bytes,
}

/// Why there was no answer, as people say it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Nobody listens.
    #[error("Connection refused")]
    Refused,
    /// Nothing came in time.
    #[error("Timeout")]
    Timeout,
    /// The other side cannot be reached: no address, no route, or the connection broke off.
    #[error("{0}")]
    Network(String),
    /// What came is no answer over HTTP.
    #[error("no HTTP answer: {0}")]
    NotHttp(String),
}

impl Prober {
    /// Sends at most one request at a time to each place it is asked about, over a connection of its own.
    ///
    /// # Errors
    /// `upstream.config` when no client can be made.
    pub fn new() -> Result<Self, Failure> {
        client::of_probes().map(Self)
    }

    /// Sends one request and reads the beginning of the answer.
    ///
    /// # Errors
    /// See [`ProbeError`]. An answer of any status is none.
    pub async fn probe(&self, method: Method, url: &str, json: Option<&str>, within: Duration) -> Result<ProbeAnswer, ProbeError> {
        let method = reqwest::Method::from_bytes(method.name().as_bytes()).map_err(|error| ProbeError::Network(error.to_string()))?;
        let mut request = self.0.request(method, url).timeout(within);
        if let Some(json) = json {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(json.to_owned());
        }
        let mut response = request.send().await.map_err(|error| of(&error))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // A body that breaks off or does not end says nothing about the status, which is there.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend(chunk.iter().copied().take(MAX_ANSWER.saturating_sub(body.len())));
            if body.len() >= MAX_ANSWER {
                break;
            }
        }
        Ok(ProbeAnswer { status, body: body.into() })
    }
}

fn of(error: &reqwest::Error) -> ProbeError {
    if error.is_timeout() {
        return ProbeError::Timeout;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            match io.kind() {
                ErrorKind::ConnectionRefused => return ProbeError::Refused,
                ErrorKind::TimedOut => return ProbeError::Timeout,
                _ => {}
            }
        }
        // The innermost cause says the most.
        text = inner.to_string();
        cause = inner.source();
    }
    if error.is_connect() { ProbeError::Network(text) } else { ProbeError::NotHttp(text) }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one connection with this.
    async fn once(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).await;
            connection.write_all(answer).await.unwrap();
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
        });
        url
    }

    async fn ask(url: &str) -> Result<ProbeAnswer, ProbeError> {
        Prober::new().unwrap().probe(Method::Get, url, None, Duration::from_millis(300)).await
    }

    #[tokio::test]
    async fn whatever_comes_is_named() {
        let answer = ask(&once(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno").await).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (500, &b"no"[..]));
        assert_eq!(ask(&once(b"").await).await, Err(ProbeError::Timeout));
        assert!(matches!(ask(&once(b"SSH-2.0-OpenSSH\r\n").await).await, Err(ProbeError::NotHttp(_))));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(ask(&format!("http://{free}/")).await, Err(ProbeError::Refused));
        assert!(matches!(ask("http://nowhere.invalid/").await, Err(ProbeError::Network(_))));
    }
}
