//! A server that does as it is told, well or badly, on a socket of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Counts from 0 over all connections.
    pub(crate) number: usize,
    /// Request line and headers, as sent.
    pub(crate) head: String,
    /// Raw, chunks and all.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What to do about a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These bytes; the connection stays open.
    Raw(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
    /// These bytes, then a TCP reset.
    Reset(Vec<u8>),
    /// These bytes, then no more to come, while the connection still takes what is sent.
    HalfClose(Vec<u8>),
    /// These pieces with a pause before each; the connection stays open.
    Pieces(Duration, Vec<Vec<u8>>),
    /// These bytes, then this piece again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing, for as long as the other side waits.
    Silence,
}

impl Reply {
    /// A whole answer.
    pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::answer(200, "", body)
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers each request as `reply` says.
    pub(crate) async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), reply)
    }

    /// The same, on a socket that listens already.
    pub(crate) fn on(listener: TcpListener, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (reply, counted, noted) = (Arc::new(reply), Arc::clone(&connections), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            // Dropped with the task, and every connection with it.
            let mut open = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                open.spawn(serve(stream, Arc::clone(&reply), Arc::clone(&noted)));
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), port, connections, seen, task }
    }

    /// Answers every request alike.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests that arrived so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// A URL at which nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn serve(mut stream: TcpStream, reply: Arc<impl Fn(&Seen) -> Reply>, seen: Arc<Mutex<Vec<Seen>>>) {
    while let Some((head, body)) = read(&mut stream).await {
        let request = {
            let mut seen = seen.lock().unwrap();
            let request = Seen { number: seen.len(), head, body };
            seen.push(request.clone());
            request
        };
        if !answer(&mut stream, reply(&request)).await {
            return;
        }
    }
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Raw(bytes) => stream.write_all(&bytes).await.is_ok(),
        Reply::Last(bytes) => {
            let _ = stream.write_all(&bytes).await;
            false
        }
        Reply::Reset(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.set_zero_linger();
            false
        }
        Reply::HalfClose(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
            false
        }
        Reply::Pieces(pause, pieces) => {
            for piece in pieces {
                tokio::time::sleep(pause).await;
                if stream.write_all(&piece).await.is_err() {
                    return false;
                }
            }
            true
        }
        Reply::Endless(bytes, piece) => {
            let _ = stream.write_all(&bytes).await;
            while stream.write_all(&piece).await.is_ok() {}
            false
        }
        Reply::Silence => {
            let _ = stream.read_to_end(&mut Vec::new()).await;
            false
        }
    }
}

/// The next request's head and content; nothing when the connection ends.
async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|length| length.parse::<usize>().unwrap());
    let is_chunked = lower.contains("transfer-encoding: chunked");
    while bytes.len() < end + length.unwrap_or(0) || (is_chunked && !bytes.ends_with(b"0\r\n\r\n")) {
        more(stream, &mut bytes).await?;
    }
    Some((head, bytes.split_off(end)))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4096];
    let length = stream.read(&mut piece).await.ok().filter(|length| *length > 0)?;
    bytes.extend_from_slice(&piece[..length]);
    Some(())
}
