//! An upstream that fails as it is told, over real sockets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest head and body of a request that is read.
const MAX_REQUEST: usize = 16 << 20;

/// How much of a body is remembered.
const MAX_KEPT: usize = 64 << 10;

/// What the upstream does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    /// Answers 200 with its body.
    Answers,
    /// Answers 200 after this long.
    AnswersAfter(Duration),
    /// Answers with this status.
    Status(u16),
    /// Resets the connection.
    Resets,
    /// Closes its side after the head and half of the body.
    EndsEarly,
    /// Says that more is to come than ever does, and keeps the connection open.
    NeverEnds,
    /// Sends the body a byte at a time, so slowly that nobody waits for it.
    Drips,
    /// Reads the request and says nothing.
    Silent,
}

struct State {
    behaviour: Mutex<(Behaviour, u32)>,
    requests: AtomicU64,
    connections: AtomicU64,
    body: String,
    seen: Mutex<Vec<String>>,
}

/// The upstream. It ends when it is dropped.
pub struct FakeUpstream {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl FakeUpstream {
    /// Listens on a free port of this machine and answers `body`, which is JSON.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(body: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for an upstream")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            behaviour: Mutex::new((Behaviour::Answers, 100)),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            body: body.to_owned(),
            seen: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A client that hangs up is no failure of ours.
                    let _ended = serve(stream, &state).await;
                });
            }
        });
        Ok(Self { address, state, accepting })
    }

    /// Such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Behaves so from now on, for this share of the requests in percent; the others are answered.
    pub fn behave(&self, behaviour: Behaviour, percentage: u32) {
        *self.state.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = (behaviour, percentage);
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// The requests so far, at most the last thousand: each its head and the beginning of its body, as far as it is text.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let Some(head) = read_request(&mut stream, &mut buffer).await? else { return Ok(()) };
        let number = state.requests.fetch_add(1, Ordering::Relaxed);
        {
            let mut seen = state.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= 1000 {
                seen.remove(0);
            }
            seen.push(head);
        }
        let (behaviour, percentage) = *state.behaviour.lock().unwrap_or_else(PoisonError::into_inner);
        // Spread evenly rather than by chance, so that two runs see the same share.
        let chosen = number * u64::from(percentage) % 100 < u64::from(percentage);
        let behaviour = if chosen { behaviour } else { Behaviour::Answers };
        if !answer(&mut stream, behaviour, &state.body).await? {
            return Ok(());
        }
    }
}

/// The head of the next request and the beginning of its body; nothing when the client has closed.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    loop {
        let end = buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).into_owned();
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            let whole = end + length.unwrap_or(0);
            if buffer.len() >= whole {
                let kept = whole.min(end + MAX_KEPT);
                let body = String::from_utf8_lossy(buffer.get(end..kept).unwrap_or_default()).into_owned();
                buffer.drain(..whole);
                return Ok(Some(head + &body));
            }
        }
        if buffer.len() > MAX_REQUEST || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, behaviour: Behaviour, body: &str) -> std::io::Result<bool> {
    let head = |status: u16, length: usize| {
        format!("HTTP/1.1 {status} status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
    };
    match behaviour {
        Behaviour::Answers => stream.write_all((head(200, body.len()) + body).as_bytes()).await?,
        Behaviour::AnswersAfter(wait) => {
            tokio::time::sleep(wait).await;
            stream.write_all((head(200, body.len()) + body).as_bytes()).await?;
        }
        Behaviour::Status(status) => {
            let body = r#"{"error":"told to fail"}"#;
            stream.write_all((head(status, body.len()) + body).as_bytes()).await?;
        }
        Behaviour::Resets => {
            // A linger of zero turns the close into a reset.
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Behaviour::EndsEarly => {
            let half = body.get(..body.len() / 2).unwrap_or_default();
            stream.write_all((head(200, body.len()) + half).as_bytes()).await?;
            stream.shutdown().await?;
            return Ok(false);
        }
        Behaviour::NeverEnds => {
            stream.write_all((head(200, body.len() + 1000) + body).as_bytes()).await?;
            gone(stream).await;
            return Ok(false);
        }
        Behaviour::Drips => {
            stream.write_all(head(200, body.len()).as_bytes()).await?;
            for byte in body.as_bytes() {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Behaviour::Silent => {
            gone(stream).await;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits until the client closes.
async fn gone(stream: &mut TcpStream) {
    let mut rest = [0_u8; 256];
    while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}
