//! Clients that send paths, bodies and bytes they should not.

use std::os::unix::fs::symlink;
use std::time::Duration;

use breakwater_tests::photographs::Photograph;
use breakwater_tests::service::Launch;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{assert_problem, client, ok, shared, start};

/// Sends bytes over a plain connection and returns all that comes back until the service closes it.
async fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
    assert!(read.await.is_ok(), "the connection was not closed; it said: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn no_path_leads_out_of_the_media_root() {
    let (service, client) = (shared(), client());
    let outside = service.home().join("secret.png");
    std::fs::write(&outside, Photograph::shipped("coffee.png").unwrap().bytes).unwrap();
    symlink(&outside, service.media_root().join("absolute-link.png")).unwrap();
    symlink("..", service.media_root().join("up")).unwrap();
    for path in ["../secret.png", "/../secret.png", "a/../../secret.png", "absolute-link.png", "up/secret.png"] {
        let request = json!({ "image_path": path, "target_aspect_ratio": { "width": 1, "height": 1 } });
        for route in ["/v1/crop", "/v1/detect"] {
            let request = if route == "/v1/crop" { request.clone() } else { json!({ "image_path": path }) };
            assert_problem(&client.post(route, &request).await.unwrap(), 400, "media.outside");
        }
    }
    let absolute = json!({ "image_path": outside });
    assert_problem(&client.post("/v1/detect", &absolute).await.unwrap(), 404, "media.not-found");
    assert_problem(&client.post("/v1/detect", &json!({ "image_path": "/" })).await.unwrap(), 400, "media.path-invalid");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_announced_length() {
    let (service, _client) = start(Launch::with_plugins().unwrap().config("[server]\nmax_body = \"64KiB\"\n"));
    let head =
        "POST /v1/detect HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 70000\r\n\r\n";
    let answer = raw(service.address(), head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("http.body-too-large"), "{answer}");
    // Without a length, the bytes are counted.
    let head =
        "POST /v1/detect HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n", 70_000, "x".repeat(70_000));
    let answer = raw(service.address(), [head, &chunk].concat().as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("http.body-too-large"), "{answer}");
}

#[tokio::test]
async fn slow_clients_are_let_go_while_others_are_served() {
    let config = "[server]\nheader_timeout = \"400ms\"\nbody_idle_timeout = \"400ms\"\n";
    let (service, client) = start(Launch::with_plugins().unwrap().config(config));
    let half_a_head = "POST /v1/detect HTTP/1.1\r\nhost: x\r\n";
    let half_a_body = "POST /v1/detect HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"image";
    let heads: Vec<_> = (0..20).map(|_| raw(service.address(), half_a_head.as_bytes())).collect();
    let bodies: Vec<_> = (0..20).map(|_| raw(service.address(), half_a_body.as_bytes())).collect();
    let photograph = Photograph::shipped("coffee.png").unwrap();
    let others = async {
        for _ in 0..5 {
            ok(&client.crop(&photograph.bytes, &[("target_aspect_ratio", &"1:1"), ("crop_strategy", &"center")]).await.unwrap());
        }
    };
    let (heads, bodies, ()) = tokio::join!(futures_util::future::join_all(heads), futures_util::future::join_all(bodies), others);
    assert!(heads.iter().all(|answer| !answer.contains(" 200 ")), "{heads:?}");
    assert!(bodies.iter().all(|answer| answer.starts_with("HTTP/1.1 408 ") && answer.contains("http.body-timeout")), "{bodies:?}");
}

#[tokio::test]
async fn what_is_not_http_is_answered_and_hurts_nobody() {
    let service = shared();
    let long_header = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "y".repeat(200_000));
    for bytes in ["\x16\x03\x01 this is TLS\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", long_header.as_str()] {
        let answer = raw(service.address(), bytes.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"), "{answer}");
    }
    ok(&client().get("/healthz").await.unwrap());
}

#[tokio::test]
async fn plugins_are_not_changed_through_a_proxy_or_from_a_web_page() {
    let client = client();
    for header in ["x-forwarded-for", "forwarded", "origin"] {
        let request = client.request(reqwest::Method::POST, "/v1/plugins/crop-basic/rollback").header(header, "http://example.com");
        assert_problem(&client.send(request).await.unwrap(), 403, "http.management-denied");
    }
}
