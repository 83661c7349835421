//! One connection, from its first byte to its last, within limits.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
};
use hyper::{
    Request, Response,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
    time::{self, Instant},
};
use tower::ServiceExt;

use super::{
    address::{Share, client},
    layers::OnDrop,
};
use crate::config::{Config, Limits};

/// Name of the gauge of open connections.
pub(super) const CONNECTIONS: &str = "http_connections";

/// Name of the counter of connections refused for their address's share.
pub(super) const REFUSED: &str = "http_connections_refused_total";

/// What serves one connection.
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) router: Router,
    pub(super) config: Arc<Config>,
    /// Turns true when the connection should end after the requests that run.
    pub(super) stop: watch::Receiver<bool>,
}

impl Connection {
    /// Serves `stream` to its end; its place is free again after that.
    pub(super) async fn serve(self, stream: TcpStream, _place: (OwnedSemaphorePermit, Share)) {
        metrics::gauge!(CONNECTIONS).increment(1.0);
        let _open = OnDrop(|| metrics::gauge!(CONNECTIONS).decrement(1.0));
        let ended = match stream.set_nodelay(true) {
            Ok(()) => self.drive(stream).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = ended {
            tracing::debug!(error, "connection broken off");
        }
    }

    async fn drive(self, stream: TcpStream) -> Result<(), Failure> {
        let Self { peer, router, config, mut stop } = self;
        let first_head_by = Instant::now() + config.limits.header_timeout;
        let protocol = tokio::select! {
            protocol = time::timeout_at(first_head_by, protocol(&stream)) => protocol??,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let activity = Arc::new(Activity::new());
        let service = service_fn(|request: Request<Incoming>| {
            let client = client(peer, request.headers(), &config.server.trusted_proxies);
            // Boxed, for its place would last as long as the connection.
            Box::pin(answer(router.clone(), client, request, Running::start(Arc::clone(&activity))))
        });
        let stream = TokioIo::new(stream);
        let life = Life { activity: &activity, config: &config, stop, first_head_by };
        match protocol {
            Protocol::Http1 => {
                let connection = http1_within(&config.limits).serve_connection(stream, service);
                life.see_through(pin!(connection)).await
            }
            // Boxed, for the place of the larger one would be every connection's.
            Protocol::Http2 => {
                let connection = http2_within(&config.limits).serve_connection(stream, service);
                life.see_through(Box::pin(connection).as_mut()).await
            }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What bounds a connection in time.
struct Life<'a> {
    activity: &'a Activity,
    config: &'a Config,
    stop: watch::Receiver<bool>,
    first_head_by: Instant,
}

impl Life<'_> {
    async fn see_through<C>(mut self, mut connection: Pin<&mut C>) -> Result<(), Failure>
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let idle_timeout = self.config.limits.idle_timeout;
        let busy_timeout = idle_timeout + self.config.server.request_timeout;
        let mut check = pin!(time::sleep_until(self.first_head_by));
        let mut closing = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => return Ok(ended?),
                _ = self.stop.wait_for(|stop| *stop), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = check.as_mut() => match self.activity.verdict(idle_timeout, busy_timeout) {
                    Verdict::Moving { until } => check.as_mut().reset(until),
                    Verdict::Idle if !closing => {
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                        check.as_mut().reset(Instant::now() + idle_timeout);
                    }
                    Verdict::Idle => return Err("the peer does not take its response".into()),
                    Verdict::Stalled => return Err("the peer stalls".into()),
                },
            }
        }
    }
}

/// What a peer speaks.
enum Protocol {
    Http1,
    Http2,
}

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// When to look again at a peer that has sent a part of it; sockets do not tell of more bytes.
const SECOND_LOOK: Duration = Duration::from_millis(10);

/// Tells what the peer speaks by its first bytes, which stay unread. hyper-util's `auto` reads them
/// and hands them on, which makes the read buffer of each connection grow to twice its size.
async fn protocol(stream: &TcpStream) -> io::Result<Protocol> {
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        match PREFACE.strip_prefix(&first[..seen]) {
            Some([]) => return Ok(Protocol::Http2),
            Some(_) if seen > 0 => time::sleep(SECOND_LOOK).await,
            _ => return Ok(Protocol::Http1),
        }
    }
}

/// HTTP/1, set to the limits; it bounds every head in time.
fn http1_within(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers as usize)
        .max_buf_size(limits.header_bytes as usize);
    http
}

/// HTTP/2, set to the limits; its first head is bounded in time by [`Activity`].
fn http2_within(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.header_timeout)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes);
    http
}

/// Tells the peer that it has connections enough, if it can be told at once.
pub(super) fn refuse(stream: &TcpStream) {
    const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    metrics::counter!(REFUSED).increment(1);
    let _ = stream.try_write(TOO_MANY);
}

async fn answer(
    router: Router,
    client: SocketAddr,
    request: Request<Incoming>,
    running: Running,
) -> Result<Response<Watched>, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(client));
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| Watched { body, running }))
}

/// What a connection has been doing.
struct Activity(Mutex<Requests>);

struct Requests {
    any: bool,
    running: usize,
    /// When a request began, or a response moved or ended.
    moved: Instant,
}

/// What to make of a connection.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Ask again then.
    Moving { until: Instant },
    /// Nothing runs and nothing came for long.
    Idle,
    /// No first request, or a response that nobody takes.
    Stalled,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Requests { any: false, running: 0, moved: Instant::now() }))
    }

    /// The verdict once the time for the first request is over.
    fn verdict(&self, idle_timeout: Duration, busy_timeout: Duration) -> Verdict {
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = requests.running > 0;
        let until = requests.moved + if busy { busy_timeout } else { idle_timeout };
        match requests.any {
            true if Instant::now() < until => Verdict::Moving { until },
            true if !busy => Verdict::Idle,
            _ => Verdict::Stalled,
        }
    }

    fn update(&self, change: impl FnOnce(&mut Requests)) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut requests);
        requests.moved = Instant::now();
    }
}

/// A request from its head to its response's last byte.
struct Running(Arc<Activity>);

impl Running {
    fn start(activity: Arc<Activity>) -> Self {
        activity.update(|requests| {
            requests.any = true;
            requests.running += 1;
        });
        Self(activity)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.update(|requests| requests.running -= 1);
    }
}

/// A response's body that tells when it moves.
struct Watched {
    body: Body,
    running: Running,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.running.0.update(|_| {});
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
