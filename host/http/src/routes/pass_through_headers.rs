//! The headers of a request that is passed through to a sidecar.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::incoming::Incoming;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Whether a header is about the connection alone, which ends here (RFC 9110, 7.6.1), or says what this service says anew.
fn ends_here(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 8] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    NAMES.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "proxy-authorization" | "http2-settings")
}

/// Whether a header says what only a proxy in front of this service can know of its client.
fn is_of_a_proxy(name: &HeaderName) -> bool {
    name == header::FORWARDED || name.as_str() == "x-real-ip" || name.as_str().starts_with("x-forwarded-")
}

/// Whether the other end may be a proxy in front of this service: it is this machine, or in its private network (RFC 1918, RFC 4193).
fn may_be_a_proxy(peer: Option<SocketAddr>) -> bool {
    peer.is_some_and(|peer| match peer.ip().to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    })
}

/// The headers as they are sent on, and for whom. What is not visible ASCII is left out: nobody can send it on.
pub(super) fn headers(given: &HeaderMap, incoming: &Incoming) -> Vec<(String, String)> {
    let of_connection = given.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let of_connection: Vec<_> = of_connection.flat_map(|value| value.split(',')).map(str::trim).collect();
    let is_behind_a_proxy = may_be_a_proxy(incoming.peer);
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let passed = given.iter().filter(|(name, _)| {
        let is_believed = is_behind_a_proxy || !is_of_a_proxy(name);
        let is_of_connection = || of_connection.iter().any(|token| token.eq_ignore_ascii_case(name.as_str()));
        is_believed && !ends_here(name) && name.as_str() != FORWARDED_FOR && !is_of_connection()
    });
    let mut headers: Vec<_> = passed.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let peer = incoming.peer.map(|peer| peer.ip().to_canonical().to_string());
    let before = given.get_all(FORWARDED_FOR).iter().filter_map(text);
    let chain: Vec<_> = before.chain(peer).collect();
    if !chain.is_empty() {
        headers.push((FORWARDED_FOR.to_owned(), chain.join(", ")));
    }
    // A proxy in front of this service knows better what its client asked for; anybody else could claim anything.
    let is_passed = |headers: &[(String, String)], wanted: &str| headers.iter().any(|(name, _)| name == wanted);
    if !is_passed(&headers, FORWARDED_HOST) {
        headers.extend(given.get(header::HOST).and_then(text).map(|host| (FORWARDED_HOST.to_owned(), host)));
    }
    if !is_passed(&headers, FORWARDED_PROTO) {
        headers.push((FORWARDED_PROTO.to_owned(), "http".to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use breakwater_telemetry::Tracer;

    use super::*;
    use crate::incoming::Peer;

    fn sent_by(peer: &str, list: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let incoming = Incoming::of(&headers, Some(Peer(peer.parse().unwrap())), &Tracer::disabled());
        super::headers(&headers, &incoming).into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn headers_of_the_connection_end_here_and_all_others_are_passed_on() {
        let mut passed = sent_by(
            "[::ffff:10.0.0.9]:4000",
            &[
                ("host", "shop.example:8080"),
                ("connection", "keep-alive, X-Hop"),
                ("connection", "close"),
                ("keep-alive", "timeout=5"),
                ("proxy-authorization", "Basic secret"),
                ("te", "trailers"),
                ("trailer", "x"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "websocket"),
                ("expect", "100-continue"),
                ("content-length", "3"),
                ("x-hop", "1"),
                ("authorization", "Bearer mine"),
                ("cookie", "a=b"),
                ("accept", "image/png"),
                ("accept", "image/webp"),
            ],
        );
        passed.sort();
        assert_eq!(
            passed,
            [
                "accept: image/png",
                "accept: image/webp",
                "authorization: Bearer mine",
                "cookie: a=b",
                "x-forwarded-for: 10.0.0.9",
                "x-forwarded-host: shop.example:8080",
                "x-forwarded-proto: http",
            ]
        );
    }

    #[test]
    fn a_proxy_in_front_is_believed_and_continued_and_nobody_else() {
        let list = [
            ("host", "inner"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "shop"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/admin"),
            ("x-real-ip", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
        ];
        for proxy in ["127.0.0.1", "10.0.0.9", "192.168.1.1", "172.16.0.1", "::1", "fd00::1"] {
            let address = if proxy.contains(':') { format!("[{proxy}]:1") } else { format!("{proxy}:1") };
            let mut expected: Vec<_> = list.iter().filter(|(name, _)| !matches!(*name, "host" | "x-forwarded-for")).collect();
            let chain = format!("1.2.3.4, {proxy}");
            let for_whom = (FORWARDED_FOR, &*chain);
            expected.push(&for_whom);
            let expected: Vec<_> = expected.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
            assert_eq!(sent_by(&address, &list), expected);
        }
        for (peer, shown) in [
            ("172.32.0.1:1", "172.32.0.1"),
            ("203.0.113.7:1", "203.0.113.7"),
            ("[::ffff:8.8.8.8]:1", "8.8.8.8"),
            ("[2001:db8::1]:1", "2001:db8::1"),
        ] {
            let expected =
                [format!("x-forwarded-for: 1.2.3.4, {shown}"), "x-forwarded-host: inner".into(), "x-forwarded-proto: http".into()];
            assert_eq!(sent_by(peer, &list), expected);
        }
    }

    #[test]
    fn what_a_proxy_names_as_of_the_connection_is_said_anew() {
        let list = [
            ("host", "inner"),
            ("connection", "x-forwarded-host, x-forwarded-proto"),
            ("x-forwarded-host", "shop"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(sent_by("127.0.0.1:1", &list), ["x-forwarded-for: 127.0.0.1", "x-forwarded-host: inner", "x-forwarded-proto: http"]);
    }

    #[test]
    fn a_header_that_nobody_can_send_on_is_left_out() {
        let mut headers = HeaderMap::new();
        headers.insert("x-fine", HeaderValue::from_static("a"));
        headers.insert("x-binary", HeaderValue::from_bytes(b"\xff").unwrap());
        let incoming = Incoming::of(&headers, None, &Tracer::disabled());
        let names: Vec<_> = super::headers(&headers, &incoming).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x-fine", "x-forwarded-proto"]);
    }
}
