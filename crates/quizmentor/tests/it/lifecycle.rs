use std::{
    fs,
    net::{TcpListener, TcpStream},
};

use crate::process::{Server, quizmentor};

/// Long enough to never be over within a test.
const NEVER: &str = "1h";

#[test]
fn it_tells_when_it_is_ready_and_where_it_listens() {
    let server = Server::start(&[]);
    let address = server.address;
    assert_eq!(server.greeting, format!("READY=1\nSTATUS=serving at http://{address}\n"));
    assert!(server.get("/livez").starts_with("HTTP/1.1 200 "));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200 "));
    server.signal("INT");
    let (status, out, err) = server.wait();
    assert!(status.success(), "{status}: {err}");
    let first = out.lines().next();
    assert_eq!(first, Some(format!("QuizMentor listens on http://{address}").as_str()));
}

#[test]
fn sigterm_lets_a_request_finish() {
    let server = Server::start(&[
        ("QUIZMENTOR__SERVER__DRAIN_TIMEOUT", NEVER),
        ("QUIZMENTOR__LIMITS__HEADER_TIMEOUT", NEVER),
    ]);
    let mut client = server.half_a_request();
    let idle = server.connect();
    server.signal("TERM");
    server.message("STOPPING=1");
    assert_eq!(idle.rest(), "", "it is closed, for nothing runs on it");
    client.send("host: test\r\n\r\n");
    let answer = client.rest();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("alive\n"), "{answer}");
    let (status, _, err) = server.wait();
    assert!(status.success(), "{status}: {err}");
    assert!(!err.contains("cutting off"), "{err}");
}

#[test]
fn a_request_is_cut_off_at_the_drain_timeout() {
    let server = Server::start(&[
        ("QUIZMENTOR__SERVER__DRAIN_TIMEOUT", "100ms"),
        ("QUIZMENTOR__LIMITS__HEADER_TIMEOUT", NEVER),
    ]);
    let client = server.half_a_request();
    server.signal("TERM");
    assert_eq!(client.rest(), "");
    let (status, _, err) = server.wait();
    assert!(status.success(), "{status}: {err}");
    assert!(err.contains("cutting off") && err.contains("the drain timeout is over"), "{err}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let server = Server::start(&[
        ("QUIZMENTOR__SERVER__DRAIN_TIMEOUT", NEVER),
        ("QUIZMENTOR__LIMITS__HEADER_TIMEOUT", NEVER),
    ]);
    let client = server.half_a_request();
    server.signal("TERM");
    server.message("STOPPING=1");
    server.signal("TERM");
    assert_eq!(client.rest(), "");
    let (status, _, err) = server.wait();
    assert!(status.success(), "{status}: {err}");
    assert!(err.contains("another signal to stop came"), "{err}");
}

#[test]
fn an_inherited_socket_is_served_without_a_gap() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Waits in the socket's queue until the process is up.
    let early = TcpStream::connect(address).unwrap();
    let server = Server::start_inheriting(listener);
    assert_eq!(server.address, address);
    assert!(server.get("/livez").ends_with("alive\n"));
    drop(early);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let mut command = quizmentor();
    let command = command.args(["--listen", &address, "--data-dir"]).arg(dir.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains(&format!("cannot listen on {address}: ")), "{err}");
}

#[test]
fn sighup_reloads_what_can_change_and_refuses_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quizmentor.toml");
    fs::write(&file, "").unwrap();
    let server = Server::start(&[("QUIZMENTOR_CONFIG", file.to_str().unwrap())]);

    fs::write(&file, "[log]\nfilter = \"debug\"\n[limits]\nheader_timeout = \"50ms\"\n").unwrap();
    server.signal("HUP");
    let reloading = server.message("RELOADING=1");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(server.message("READY=1"), server.greeting);
    // The new timeout holds for new connections.
    assert_eq!(server.connect().rest(), "");

    fs::write(&file, "[log]\nfliter = \"info\"\n").unwrap();
    server.signal("HUP");
    server.message("RELOADING=1");
    assert!(server.message("READY=1").contains("the reload was refused"));
    assert!(server.get("/livez").ends_with("alive\n"));

    server.signal("TERM");
    let (status, _, err) = server.wait();
    assert!(status.success(), "{status}: {err}");
    assert!(err.contains("did you mean `filter`?"), "{err}");
}

#[test]
fn the_watchdog_is_fed_again_and_again() {
    let server = Server::start(&[("WATCHDOG_USEC", "300000")]);
    for _ in 0..3 {
        server.message("WATCHDOG=1");
    }
}

#[test]
fn anothers_watchdog_is_left_alone() {
    let settings = [("WATCHDOG_USEC", "30000"), ("WATCHDOG_PID", "1")];
    let server = Server::start(&settings);
    server.signal("TERM");
    let stopping = server.message("STOPPING=1");
    assert!(stopping.starts_with("STOPPING=1\nSTATUS="), "{stopping}");
}
