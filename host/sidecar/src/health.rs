//! Asking an instance once whether it is well.

use std::net::SocketAddr;
use std::time::Duration;

use breakwater_upstream::{ProbeError, Prober};
use tokio::net::TcpStream;

use crate::config::{Launch, Readiness, SidecarConfig};
use crate::proc;

/// How often it is looked whether a port was opened; a look takes tens of microseconds where there are few connections.
const OPEN_LOOK: Duration = Duration::from_millis(20);
/// How much longer than a look the wait for the next one is, at least, so that looking takes at most a tenth of one processor.
const OPEN_LOOK_SHARE: u32 = 10;

/// Why it is not well, as the log writes it in brackets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwell {
    /// It answered with a status from 400 on.
    #[error("HTTP {0}")]
    Status(u16),
    /// It did not answer.
    #[error(transparent)]
    Probe(ProbeError),
    /// It has not yet written the line that says that it is ready.
    #[error("its line has not come")]
    NoLine,
}

/// Where an instance is asked.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its base URL, without a slash at the end.
    pub(crate) url: String,
    address: Option<SocketAddr>,
}

impl Target {
    pub(crate) fn of(config: &SidecarConfig, port: u16) -> Self {
        match &config.launch {
            Launch::External(url) => Self { url: url.trim_end_matches('/').to_owned(), address: None },
            _ => {
                let address = config.reached_at(port);
                Self { url: format!("http://{address}"), address: Some(address) }
            }
        }
    }

    /// Asks once. What waits for a line is asked for a connection.
    pub(crate) async fn ask(&self, prober: &Prober, readiness: &Readiness, within: Duration) -> Result<(), Unwell> {
        match readiness {
            Readiness::Http(request) => {
                let url = format!("{}{}", self.url, request.path);
                let answer = prober.probe(request.method, &url, request.body.as_deref(), within).await.map_err(Unwell::Probe)?;
                if answer.status < 400 { Ok(()) } else { Err(Unwell::Status(answer.status)) }
            }
            Readiness::Tcp | Readiness::Line(_) => self.connect(within).await.map_err(Unwell::Probe),
        }
    }

    /// Waits until somebody listens there, if that can be seen.
    pub(crate) async fn opened(&self) {
        match self.address {
            Some(address) => {
                loop {
                    let began = std::time::Instant::now();
                    if proc::is_listening(address) {
                        return;
                    }
                    // The kernel's list is long where there are many connections.
                    tokio::time::sleep(OPEN_LOOK.max(began.elapsed() * OPEN_LOOK_SHARE)).await;
                }
            }
            None => std::future::pending().await,
        }
    }

    async fn connect(&self, within: Duration) -> Result<(), ProbeError> {
        let network = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => ProbeError::Refused,
            std::io::ErrorKind::TimedOut => ProbeError::Timeout,
            _ => ProbeError::Network(error.to_string()),
        };
        let connecting = async {
            match self.address {
                Some(address) => TcpStream::connect(address).await,
                None => TcpStream::connect(self.authority()).await,
            }
        };
        match tokio::time::timeout(within, connecting).await {
            Ok(result) => result.map(drop).map_err(network),
            Err(_) => Err(ProbeError::Timeout),
        }
    }

    /// Host and port of an external URL.
    fn authority(&self) -> String {
        let (is_tls, rest) = match self.url.split_once("://") {
            Some((scheme, rest)) => (scheme == "https", rest),
            None => (false, self.url.as_str()),
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if has_port { authority.to_owned() } else { format!("{authority}:{}", if is_tls { 443 } else { 80 }) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_says_whether_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = SidecarConfig::new("x", Launch::Command(vec!["x".to_owned()]));
        let (prober, within) = (Prober::new().unwrap(), Duration::from_secs(5));
        let target = Target::of(&config, port);
        assert_eq!(target.url, format!("http://127.0.0.1:{port}"));
        assert_eq!(target.ask(&prober, &Readiness::Tcp, within).await, Ok(()));
        drop(listener);
        // A process that another test is just starting holds the listener until it becomes its program.
        let refused = async {
            loop {
                match target.ask(&prober, &Readiness::Tcp, within).await {
                    Ok(()) => tokio::task::yield_now().await,
                    answer => break answer,
                }
            }
        };
        assert_eq!(tokio::time::timeout(within, refused).await, Ok(Err(Unwell::Probe(ProbeError::Refused))));
    }

    #[test]
    fn an_external_url_has_a_port_of_its_scheme() {
        for (url, authority) in [
            ("http://a.example/api/", "a.example:80"),
            ("https://a.example", "a.example:443"),
            ("http://127.0.0.1:5001/x", "127.0.0.1:5001"),
            ("http://[::1]:5001", "[::1]:5001"),
            ("http://[::1]", "[::1]:80"),
        ] {
            let config = SidecarConfig::new("x", Launch::External(url.to_owned()));
            assert_eq!(Target::of(&config, 0).authority(), authority);
        }
    }
}
