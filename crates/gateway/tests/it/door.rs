//! Test vocabulary: a listener on a free loopback port with a tiny corridor behind it.
//!
//! The server name in the path says what the corridor does: `echo` answers with the body, `wait` never answers, `events`
//! streams without end, `late` answers when told, `refuse` refuses without a look at the body. Everything that happens is an [`Event`].

use bytes::Bytes;
use doorward_gateway::env::Env;
use doorward_gateway::listen::body::Body;
use doorward_gateway::listen::guard::{Guard, Turned};
use doorward_gateway::listen::http::{Patience, Serve, Settings, accept};
use doorward_gateway::listen::metrics::Metrics;
use doorward_gateway::listen::rate::AddressLimit;
use doorward_gateway::listen::room::Room;
use doorward_gateway::listen::tls::{Oldest, Tls};
use doorward_gateway::listen::{BadBody, Inbound, OfficeRequest};
use doorward_gateway::tasks::Tasks;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Response, StatusCode};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

/// What the corridor behind the listener saw.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request was executed: server, headers, body, client.
    Ran(String, HeaderMap, Result<Bytes, BadBody>, IpAddr),
    /// A request that waits was begun.
    Began,
    /// A request was dropped before its answer.
    Cancelled,
    /// Turned away at the door.
    Turned(Turned),
    /// A stream's producer ended.
    StreamEnded,
}

/// A running listener.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    pub(crate) go: Arc<Notify>,
}

struct Corridor {
    tell: mpsc::UnboundedSender<Event>,
    tasks: Tasks,
    go: Arc<Notify>,
}

struct OnDrop(Option<mpsc::UnboundedSender<Event>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(Event::Cancelled);
        }
    }
}

impl Serve for Corridor {
    async fn mcp(self: Arc<Self>, mut inbound: Inbound) -> Response<Body> {
        let server = inbound.route.server.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        if server == "refuse" {
            return status(StatusCode::UNAUTHORIZED);
        }
        let mut cancelled = OnDrop(Some(self.tell.clone()));
        if server == "wait" || server == "late" {
            let _ = self.tell.send(Event::Began);
            if server == "wait" {
                std::future::pending::<()>().await;
            }
            self.go.notified().await;
        }
        let user = doorward_core::id::UserId::new("local", "alice").expect("id");
        let body = inbound.read(4 * 1024 * 1024, &Room::for_bodies_of(4 * 1024 * 1024), &user).await.map(|(body, _taken)| body);
        cancelled.0 = None;
        let _ = self.tell.send(Event::Ran(server.clone(), inbound.headers.clone(), body.clone(), inbound.peer));
        if server == "events" {
            return self.events();
        }
        match body {
            // One event, as large as what was sent.
            Ok(bytes) if server == "event" => {
                let mut event = Some(bytes);
                Response::new(Body::stream(move |_| std::task::Poll::Ready(event.take())))
            }
            Ok(bytes) => Response::new(Body::whole(bytes)),
            Err(BadBody::TooLarge) => status(StatusCode::PAYLOAD_TOO_LARGE),
            Err(BadBody::Broken) => status(StatusCode::REQUEST_TIMEOUT),
            Err(BadBody::Full | BadBody::Share) => status(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    async fn office(self: Arc<Self>, _request: OfficeRequest) -> Response<Body> {
        status(StatusCode::OK)
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn turned_away(&self, what: Turned, _: IpAddr) {
        let _ = self.tell.send(Event::Turned(what));
    }
}

impl Corridor {
    fn events(&self) -> Response<Body> {
        let (send, mut frames) = mpsc::channel(4);
        let tell = self.tell.clone();
        self.tasks.spawn(async move {
            let event = Bytes::from(format!("data: {}\n\n", "x".repeat(16 * 1024)));
            while send.send(event.clone()).await.is_ok() {}
            let _ = tell.send(Event::StreamEnded);
        });
        let mut response = Response::new(Body::stream(move |cx| frames.poll_recv(cx)));
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
        response
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Short, so that tests of slow clients end soon; real sockets do not follow paused time.
pub(crate) const SHORT: Patience = Patience {
    handshake: Duration::from_millis(300),
    head: Duration::from_millis(300),
    body: Duration::from_millis(300),
    body_rate: 500,
    rest: Duration::from_millis(300),
    write: Duration::from_millis(300),
    idle: Duration::from_millis(900),
    drain: Duration::from_secs(5),
};

impl Door {
    /// A listener without TLS and with the usual patience.
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// A listener with changed settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        doorward_gateway::listen::http::narrow(&listener).expect("buffer");
        let address = listener.local_addr().expect("address");
        let (tell, events) = mpsc::unbounded_channel();
        let (tasks, metrics, go) = (Tasks::new(), Metrics::new(), Arc::new(Notify::new()));
        let many = NonZeroU32::new(1_000_000).expect("number");
        let mut settings = Settings {
            only_from: None,
            guard: Guard::new(address, None, &[], &["https://app.test".to_owned()], &[]),
            tls: None,
            connections: 2000,
            patience: Patience::default(),
            strangers: Arc::new(AddressLimit::new(many, many)),
            carriers: Vec::new(),
            metrics: metrics.clone(),
            env: Env::system(),
            tasks: tasks.clone(),
        };
        change(&mut settings);
        let corridor = Corridor { tell, tasks: tasks.clone(), go: Arc::clone(&go) };
        tasks.spawn(accept(listener, settings, Arc::new(corridor)));
        Self { address, events, tasks, metrics, go }
    }

    /// A listener with TLS by a new certificate for `localhost`; the folder holds its files.
    pub(crate) async fn secured(folder: &Folder, oldest: Oldest, change: impl FnOnce(&mut Settings)) -> Self {
        let tls = Tls::load(&folder.0.join("cert.pem"), &folder.0.join("key.pem"), oldest).expect("tls");
        Self::with(|settings| {
            settings.tls = Some(tls);
            change(settings);
        })
        .await
    }

    /// The value of the `Host` header that this listener answers to.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Connects.
    pub(crate) async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connect")
    }

    /// Sends bytes and reads until the listener closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let stream = self.dial().await;
        let (mut read, mut write) = stream.into_split();
        let (_, got) = tokio::join!(
            async {
                let _ = write.write_all(bytes).await;
            },
            async {
                let mut got = Vec::new();
                let closed = tokio::time::timeout(Duration::from_secs(20), async {
                    let mut piece = [0; 4096];
                    while let Ok(n @ 1..) = read.read(&mut piece).await {
                        got.extend_from_slice(&piece[..n]);
                    }
                });
                assert!(closed.await.is_ok(), "the listener did not close; so far {:?}", String::from_utf8_lossy(&got));
                String::from_utf8_lossy(&got).into_owned()
            }
        );
        drop(write);
        got
    }

    /// One request without a body that ends the connection, with more header lines.
    pub(crate) async fn ask(&self, method: &str, path: &str, lines: &str) -> String {
        self.raw(format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n").as_bytes()).await
    }

    /// Waits for an event, at most 20 s.
    pub(crate) async fn event(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await.expect("an event in time").expect("an event")
    }

    /// Everything that was seen so far.
    pub(crate) fn seen(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

/// The statuses of all answers in `text`.
pub(crate) fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.1 ").skip(1).map(|part| part.get(..3).and_then(|status| status.parse().ok()).unwrap_or(0)).collect()
}

/// A folder of a test, with a certificate and its key.
pub(crate) struct Folder(pub(crate) std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("doorward-it-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("folder");
        let folder = Self(path);
        folder.certificate();
        folder
    }

    /// Writes a new self-signed certificate and returns it.
    pub(crate) fn certificate(&self) -> rustls_pki_types::CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certificate");
        std::fs::write(self.0.join("cert.pem"), made.cert.pem()).expect("write");
        std::fs::write(self.0.join("key.pem"), made.signing_key.serialize_pem()).expect("write");
        made.cert.der().clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
