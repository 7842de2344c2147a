//! A server without interpreter, for the tests of sidecars: `bare_server --port PORT [--host HOST]`.
//!
//! `/health` and `/work` answer with its process id, `/crash` ends it. It says on its standard output where it listens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How it ends when it is asked to crash.
const CRASH: u8 = 70;
/// The longest head of a request, in bytes.
const MAX_HEAD: u64 = 16 * 1024;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> Result<ExitCode> {
    let mut options = BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} has no value"))?;
        options.insert(name, value);
    }
    let host = options.get("--host").map_or("127.0.0.1", String::as_str);
    let Some(port) = options.get("--port") else { bail!("there is no --port") };
    let listener = TcpListener::bind(format!("{host}:{port}"))?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    for connection in listener.incoming() {
        let connection = connection?;
        match path(&connection).as_deref() {
            Some("/crash") => return Ok(ExitCode::from(CRASH)),
            // Whoever hung up has no use for an answer.
            asked => drop(answer(connection, asked)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a request asks for, once its head is read.
fn path(connection: &TcpStream) -> Option<String> {
    // One at a time is served: one that says nothing must not hold up the next.
    connection.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut reader = BufReader::new(std::io::Read::take(connection, MAX_HEAD));
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let target = first.split(' ').nth(1)?;
    Some(target.split('?').next().unwrap_or(target).to_owned())
}

fn answer(mut connection: TcpStream, path: Option<&str>) -> std::io::Result<()> {
    let is_known = matches!(path, Some("/health" | "/work"));
    let status = if is_known { "200 OK" } else { "404 Not Found" };
    let body = format!("{{\"pid\": {}}}", std::process::id());
    let length = body.len();
    write!(connection, "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
