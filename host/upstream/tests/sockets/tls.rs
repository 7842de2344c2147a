//! TLS, against the server that comes with openssl.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use breakwater_upstream::UpstreamConfig;

use super::{config, get, send, start, text};

fn openssl(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' ')).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// Ends with the test.
struct TlsServer(Child);

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes an authority and a certificate of it for 127.0.0.1, and serves files of the folder with it.
fn serve(folder: &Path) -> Option<(TlsServer, u16)> {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let authority = format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority");
    let request = format!("req {key} -keyout server.key -out server.csr -subj /CN=server");
    std::fs::write(folder.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem";
    for arguments in [&authority, &request, sign] {
        if !openssl(folder, arguments).stdout(Stdio::null()).status().ok()?.success() {
            return None;
        }
    }
    std::fs::write(folder.join("hello"), "HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
    let server = openssl(folder, "s_server -accept 127.0.0.1:0 -cert server.pem -key server.key -HTTP").stdout(Stdio::piped()).spawn();
    let mut server = TlsServer(server.ok()?);
    let lines = BufReader::new(server.0.stdout.take()?).lines();
    let port = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok())?;
    Some((server, port))
}

#[tokio::test]
async fn a_certificate_is_trusted_when_its_authority_is() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, port)) = serve(folder.path()) else {
        println!("NOT RUN: TLS of upstreams, because there is no openssl to serve it");
        return;
    };
    let url = format!("https://127.0.0.1:{port}");
    let ca_file = Some(folder.path().join("ca.pem"));
    let trusting = start(UpstreamConfig { ca_file: ca_file.clone(), ..config(&url) }).await;
    assert_eq!(text(&send(&trusting, get("/hello")).await.unwrap()), "hello");

    // Another name for the same address is not in the certificate.
    let misled = start(UpstreamConfig { ca_file, ..config(&format!("https://localhost:{port}")) }).await;
    assert_eq!(send(&misled, get("/hello")).await.unwrap_err().detail.unwrap()["last_code"], "upstream.connection");

    let strangers = folder.path().join("strangers.pem");
    let other = tempfile::tempdir().unwrap();
    serve(other.path()).unwrap();
    std::fs::copy(other.path().join("ca.pem"), &strangers).unwrap();
    let wary = start(UpstreamConfig { ca_file: Some(strangers), ..config(&url) }).await;
    let failure = send(&wary, get("/hello")).await.unwrap_err();
    assert_eq!(failure.detail.unwrap()["last_code"], "upstream.connection");
}
