use crate::process::Server;

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[test]
fn a_connection_that_stalls_is_closed() {
    let server = Server::start(&[("QUIZMENTOR__LIMITS__HEADER_TIMEOUT", "100ms")]);
    let starts = [&b""[..], b"G", b"GET / HTTP/1.1\r\nhost: te", b"PRI * HT", PREFACE];
    for start in starts {
        let mut client = server.connect();
        client.send(start);
        // The server's own preface, a SETTINGS frame, is all that an HTTP/2 client may get.
        let got = client.bytes();
        assert!(got.is_empty() || start == PREFACE, "{start:?} got {got:?}");
    }
}

#[test]
fn a_connection_without_further_requests_is_closed() {
    let server = Server::start(&[("QUIZMENTOR__LIMITS__HEADER_TIMEOUT", "100ms")]);
    let mut client = server.connect();
    client.send("GET /livez HTTP/1.1\r\nhost: test\r\n\r\n");
    let answer = client.rest();
    assert!(answer.ends_with("alive\n"), "{answer}");
}

#[test]
fn too_large_a_head_gets_431() {
    let server = Server::start(&[]);
    let many = (0..65).map(|field| format!("x-{field}: 1\r\n")).collect::<String>();
    let long = format!("x-long: {}\r\n", "a".repeat(20_000));
    for fields in [many, long] {
        let mut client = server.connect();
        client.send(format!("GET /livez HTTP/1.1\r\n{fields}\r\n"));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    }
    assert!(server.get("/livez").ends_with("alive\n"));
}

#[test]
fn http2_clients_are_told_the_limits() {
    let server = Server::start(&[("QUIZMENTOR__LIMITS__STREAMS", "7")]);
    let mut client = server.connect();
    client.send(PREFACE);
    client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]); // an empty SETTINGS frame
    let frame: [u8; 9] = client.exact();
    let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
    assert_eq!(frame[3], 4, "the first frame is SETTINGS");
    let settings: Vec<(u16, u32)> = (0..length / 6)
        .map(|_| {
            let [a, b, c, d, e, f] = client.exact();
            (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
        })
        .collect();
    let (max_concurrent_streams, max_header_list_size) = (3, 6);
    assert!(settings.contains(&(max_concurrent_streams, 7)), "{settings:?}");
    assert!(settings.contains(&(max_header_list_size, 16_384)), "{settings:?}");
}

#[test]
fn requests_carry_an_identity() {
    let server = Server::start(&[]);
    let identity = |sent: &str| {
        let mut client = server.connect();
        client.send(format!("GET /livez HTTP/1.1\r\nhost: test\r\nx-request-id: {sent}\r\n\r\n"));
        let head = client.head();
        let (_, rest) = head.split_once("x-request-id: ").expect("every answer has one");
        rest.lines().next().unwrap().to_owned()
    };
    assert_eq!(identity("proxy-17.a_b"), "proxy-17.a_b");
    for refused in ["with space", "\"quoted\"", &"x".repeat(65)] {
        let made = identity(refused);
        assert_ne!(made, refused);
        assert_eq!(made.len(), 36, "{made}");
    }
}

#[test]
fn metrics_count_by_route_and_status() {
    let server = Server::start(&[]);
    server.get("/livez");
    server.get("/no/such/page?token=secret");
    // The server sees a connection close a moment after its client.
    let read = || Some(server.get("/metrics"));
    let metrics = std::iter::from_fn(read)
        .take(100)
        .find(|metrics| metrics.contains("\nhttp_connections 1\n"))
        .expect("closed connections do not count");
    let name = "http_request_duration_seconds_count";
    for line in [
        &format!("{name}{{method=\"GET\",route=\"/livez\",status=\"200\"}} 1\n"),
        &format!("{name}{{method=\"GET\",route=\"unmatched\",status=\"404\"}} 1\n"),
        "\nhttp_requests_in_flight 1\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_cpu_seconds_total ",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    assert!(!metrics.contains("secret"));
}

#[test]
fn the_log_holds_no_path() {
    let server = Server::start(&[("RUST_LOG", "debug")]);
    server.get("/sign-in/hidden-in-path?token=hidden-in-query");
    server.signal("TERM");
    let (_, _, err) = server.wait();
    assert!(err.contains("answered"), "{err}");
    assert!(!err.contains("hidden"), "{err}");
}
