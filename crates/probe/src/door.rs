//! The way out: the one file of this crate with sockets. Every request is counted, bounded in time and size, sent to an address
//! that the fence admits, and follows no redirect. Knows no rule.
//!
//! One connection for one request, and a name is resolved once: what was vetted is what is connected to (attack SSRF-02).

use crate::Limits;
use crate::ask::{Ask, Reply, Wait};
use crate::events::Events;
use crate::fence::{Fence, Outside};
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// Headers of an answer: bytes of all, and how many.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 128;
/// So many answers may fail to come in time before a server is left alone.
const PATIENCE: usize = 4;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// Why a probe ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// As many requests as a probe may send.
    #[error("as many requests were sent as may be")]
    Requests,
    /// As long as a probe may take.
    #[error("it took as long as it may")]
    Time,
    /// As much as a probe may read.
    #[error("as much was read as may be")]
    Bytes,
    /// The server lets its asker wait too often.
    #[error("the server let too many questions wait")]
    Slow,
    /// Something was not given, or does not apply: not a fault.
    #[error("{0}")]
    Untried(&'static str),
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The fence.
    #[error("{0}")]
    Outside(#[from] Outside),
    /// No address, or nobody listens there.
    #[error("cannot be reached")]
    Unreachable,
    /// TLS failed because of the certificate.
    #[error("has a certificate that is not to be believed")]
    Certificate,
    /// TLS failed otherwise.
    #[error("does not speak TLS 1.2 or 1.3")]
    Tls,
    /// It broke off, or spoke no HTTP.
    #[error("broke off")]
    Broken,
    /// Nothing in time.
    #[error("did not answer in time")]
    Silent,
}

/// The wall clock, as far as it goes from the time that was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    began: Instant,
    at: u64,
}

/// The way out of one probe.
pub(crate) struct Door {
    fence: Fence,
    limits: Limits,
    tls: Arc<ClientConfig>,
    pins: BTreeMap<String, SocketAddr>,
    ends: Instant,
    half: Instant,
    watch: Watch,
    known: RefCell<BTreeMap<String, IpAddr>>,
    home: Cell<Option<IpAddr>>,
    requests: Cell<usize>,
    bytes: Cell<usize>,
    late: Cell<usize>,
    addresses: RefCell<BTreeSet<String>>,
    trouble: Cell<Option<Trouble>>,
}

type Connection = Pin<Box<dyn Future<Output = ()>>>;

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

// === impl Watch ===

impl Watch {
    /// One that shows `at` now. Milliseconds since 1970.
    pub(crate) fn new(at: u64) -> Self {
        Self { began: Instant::now(), at }
    }

    fn now(self) -> u64 {
        self.at.saturating_add(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

// === impl Door ===

impl Door {
    /// A way out whose time runs from now. `pins` says where names lead that no name server is asked for.
    pub(crate) fn new(fence: Fence, limits: Limits, tls: Arc<ClientConfig>, pins: BTreeMap<String, SocketAddr>, watch: Watch) -> Self {
        Self {
            fence,
            limits,
            tls,
            pins,
            ends: Instant::now() + limits.all,
            half: Instant::now() + limits.all / 2,
            watch,
            known: RefCell::default(),
            home: Cell::new(None),
            requests: Cell::new(0),
            bytes: Cell::new(0),
            late: Cell::new(0),
            addresses: RefCell::default(),
            trouble: Cell::new(None),
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The time. Milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.watch.now()
    }

    /// Whether what asks the same again and again should leave the rest to others: half of the time is over, or four fifths of the
    /// requests were sent.
    pub(crate) fn runs_short(&self) -> bool {
        Instant::now() >= self.half || self.requests.get() >= self.limits.requests / 5 * 4
    }

    /// How many requests were sent, and whom they were sent to.
    pub(crate) fn spent(&self) -> (usize, Vec<String>) {
        (self.requests.get(), self.addresses.borrow().iter().cloned().collect())
    }

    /// Why the last request without an answer had none.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.get()
    }

    pub(crate) fn admits(&self, url: &Url) -> Result<(), Outside> {
        self.fence.admits(url)
    }

    /// Sends a question. An answer that is none is an empty [`Reply`]; [`Door::trouble`] says why.
    ///
    /// # Errors
    /// [`Stop`] once a limit is reached.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Reply, Stop> {
        self.begin()?;
        self.trouble.set(None);
        let deadline = self.deadline(ask.wait);
        let lingers = ask.wait == Wait::Lingers;
        let reply = self.exchange(ask, deadline).await;
        match reply {
            Ok(reply) => Ok(reply),
            Err(Trouble::Silent) if lingers => Ok(Reply::default()),
            Err(trouble) => {
                self.trouble.set(Some(trouble));
                if trouble == Trouble::Silent {
                    self.was_late()?;
                }
                Ok(Reply::default())
            }
        }
    }

    /// Sends bytes to the named server, and reads what comes first, up to 64 bytes.
    ///
    /// # Errors
    /// [`Stop`] once a limit is reached.
    pub(crate) async fn raw(&self, url: &Url, bytes: &[u8]) -> Result<Vec<u8>, Stop> {
        self.begin()?;
        let deadline = self.deadline(Wait::Ends);
        let work = async {
            let mut stream = self.connect(url).await.ok()?;
            stream.write_all(bytes).await.ok()?;
            let mut answer = vec![0; 64];
            let mut read = 0;
            while let Some(rest) = answer.get_mut(read..).filter(|rest| !rest.is_empty() && read < 16) {
                match stream.read(rest).await {
                    Ok(0) | Err(_) => break,
                    Ok(more) => read += more,
                }
            }
            answer.truncate(read);
            Some(answer)
        };
        Ok(timeout_at(deadline, work).await.ok().flatten().unwrap_or_default())
    }

    fn begin(&self) -> Result<(), Stop> {
        if self.requests.get() >= self.limits.requests {
            return Err(Stop::Requests);
        }
        if Instant::now() >= self.ends {
            return Err(Stop::Time);
        }
        if self.bytes.get() >= self.limits.all_bytes {
            return Err(Stop::Bytes);
        }
        if self.late.get() >= PATIENCE {
            return Err(Stop::Slow);
        }
        self.requests.set(self.requests.get() + 1);
        Ok(())
    }

    fn deadline(&self, wait: Wait) -> Instant {
        let patience = match wait {
            Wait::Ends => self.limits.each,
            Wait::Lingers => self.limits.linger,
        };
        (Instant::now() + patience).min(self.ends)
    }

    fn was_late(&self) -> Result<(), Stop> {
        self.late.set(self.late.get() + 1);
        if self.late.get() >= PATIENCE { Err(Stop::Slow) } else { Ok(()) }
    }

    async fn exchange(&self, ask: Ask, deadline: Instant) -> Result<Reply, Trouble> {
        self.fence.admits(&ask.url)?;
        let silent = |_| Trouble::Silent;
        let stream = timeout_at(deadline, self.connect(&ask.url)).await.map_err(silent)??;
        let stream: Box<dyn Both> = if ask.url.scheme() == "https" {
            timeout_at(deadline, self.encrypt(&ask.url, stream)).await.map_err(silent)??
        } else {
            Box::new(stream)
        };
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|_| Trouble::Broken)?;
        // It runs beside the request in this task and ends with it; what went wrong shows there.
        let mut connection: Option<Connection> = Some(Box::pin(async move { connection.await.unwrap_or_default() }));
        let (wanted, wait) = (ask.wanted.clone(), ask.wait);
        let request = request(ask)?;
        let answer = timeout_at(deadline, beside(&mut connection, sender.send_request(request))).await.map_err(silent)?;
        let (parts, body) = answer.map_err(|_| Trouble::Broken)?.into_parts();
        let mut reply = Reply { status: Some(parts.status), headers: parts.headers, ..Reply::default() };
        let late = self.read(&mut reply, body, wanted.as_deref(), deadline, &mut connection).await;
        if late && wait == Wait::Ends {
            // It counts, but what it said until then is looked at.
            self.late.set(self.late.get() + 1);
        }
        if reply.message.is_none() && !reply.is_stream() {
            reply.message = serde_json::from_slice(&reply.body).ok();
        }
        Ok(reply)
    }

    /// Reads until the end, the wanted message, a limit or the deadline. Whether it was the deadline.
    async fn read(
        &self,
        reply: &mut Reply,
        mut body: Incoming,
        wanted: Option<&str>,
        deadline: Instant,
        connection: &mut Option<Connection>,
    ) -> bool {
        let stream = reply.is_stream();
        let mut events = Events::default();
        loop {
            let Ok(frame) = timeout_at(deadline, beside(connection, body.frame())).await else { return true };
            let Some(Ok(frame)) = frame else { return false };
            let Ok(data) = frame.into_data() else { continue };
            let room = self.limits.bytes.saturating_sub(reply.body.len());
            let data = data.slice(..data.len().min(room));
            self.bytes.set(self.bytes.get() + data.len());
            reply.body.extend_from_slice(&data);
            if let Some(wanted) = wanted.filter(|_| stream) {
                reply.message = events.take(&data, wanted);
            }
            if reply.message.is_some() || reply.body.len() >= self.limits.bytes || self.bytes.get() >= self.limits.all_bytes {
                return false;
            }
        }
    }

    async fn connect(&self, url: &Url) -> Result<TcpStream, Trouble> {
        let host = url.host_str().ok_or(Trouble::Unreachable)?.to_ascii_lowercase();
        let port = url.port_or_known_default().ok_or(Trouble::Unreachable)?;
        let known = self.known.borrow().get(&host).copied();
        let found = match known {
            // On every port, so that a name cannot lead to another computer the second time.
            Some(known) if !self.pins.contains_key(&host) => vec![SocketAddr::new(known, port)],
            _ => self.resolve(url, &host, port).await?,
        };
        for address in found.iter().take(ADDRESSES) {
            self.fence.admits_address(url, address.ip(), self.home.get())?;
        }
        for address in found.into_iter().take(ADDRESSES) {
            if let Ok(stream) = TcpStream::connect(address).await {
                let _slower = stream.set_nodelay(true);
                self.known.borrow_mut().insert(host.clone(), address.ip());
                self.addresses.borrow_mut().insert(format!("{host}:{port}"));
                if self.home.get().is_none() {
                    self.home.set(Some(address.ip()));
                }
                return Ok(stream);
            }
        }
        Err(Trouble::Unreachable)
    }

    async fn resolve(&self, url: &Url, host: &str, port: u16) -> Result<Vec<SocketAddr>, Trouble> {
        if let Some(pinned) = self.pins.get(host) {
            return Ok(vec![*pinned]);
        }
        match url.host() {
            Some(Host::Ipv4(ip)) => Ok(vec![SocketAddr::new(IpAddr::V4(ip), port)]),
            Some(Host::Ipv6(ip)) => Ok(vec![SocketAddr::new(IpAddr::V6(ip), port)]),
            _ => Ok(tokio::net::lookup_host((host, port)).await.map_err(|_| Trouble::Unreachable)?.collect()),
        }
    }

    async fn encrypt(&self, url: &Url, stream: TcpStream) -> Result<Box<dyn Both>, Trouble> {
        let host = url.host_str().ok_or(Trouble::Unreachable)?.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| Trouble::Unreachable)?;
        match TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                Err(if matches!(cause, Some(rustls::Error::InvalidCertificate(_))) { Trouble::Certificate } else { Trouble::Tls })
            }
        }
    }
}

/// Polls a connection beside the work that needs it.
async fn beside<T>(connection: &mut Option<Connection>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        if let Some(running) = connection
            && running.as_mut().poll(context).is_ready()
        {
            *connection = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

fn request(ask: Ask) -> Result<Request<Full<Bytes>>, Trouble> {
    let broken = Trouble::Broken;
    let host = ask.url.host_str().ok_or(broken)?;
    let authority = ask.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = ask.url.query().map_or_else(|| ask.url.path().to_owned(), |query| format!("{}?{query}", ask.url.path()));
    let mut request = Request::new(Full::new(Bytes::from(ask.body)));
    *request.method_mut() = ask.method;
    *request.uri_mut() = path.parse().map_err(|_| broken)?;
    *request.headers_mut() = ask.headers;
    if !request.headers().contains_key(HOST) {
        request.headers_mut().insert(HOST, HeaderValue::from_str(&authority).map_err(|_| broken)?);
    }
    request.headers_mut().entry("user-agent").or_insert(HeaderValue::from_static(concat!("doorward-scan/", env!("CARGO_PKG_VERSION"))));
    debug_assert!(request.headers().contains_key(CONTENT_TYPE) || request.method() != http::Method::POST);
    Ok(request)
}

/// A TLS client that believes the authorities of the system and those in `extra` (PEM, may be empty).
///
/// # Errors
/// None if `extra` is not empty and holds no authority.
pub(crate) fn trust(extra: &[u8]) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    // A system without authorities is not an error: each handshake then says so.
    let _unusable = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if !extra.is_empty() {
        let own: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(extra).flatten().collect();
        if roots.add_parsable_certificates(own).0 == 0 {
            return None;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.enable_early_data = false;
    Some(Arc::new(config))
}
