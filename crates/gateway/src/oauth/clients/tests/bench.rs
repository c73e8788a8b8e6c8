//! Hosts of documents with real TLS on loopback, a scripted resolver, and clients over a store of their own.

use super::*;
use crate::egress::connect::{Found, Names};
use crate::egress::target::Reach;
use crate::egress::{Egress, EgressSettings};
use crate::tasks::Tasks;
use doorward_core::oauth::client::ClientAuth;
use doorward_core::oauth::redirect::{Registered, Schemes};
use doorward_store::{Sealer, StoreUrl};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls_pki_types::PrivateKeyDer;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What tests wait for a host, and then no longer.
const SHORT: Duration = Duration::from_millis(700);

static NEXT: AtomicUsize = AtomicUsize::new(0);
static AUTHORITY: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(authority);

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority")
}

/// A second after the catalogue was written.
pub(super) const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
}

pub(super) fn json(id: &str, redirect: &str) -> String {
    format!(r#"{{"client_id":"{id}","client_name":"App","redirect_uris":["{redirect}"]}}"#)
}

pub(super) fn reply(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn admission(documents: Documents) -> Admission {
    Admission {
        documents,
        registrations: Registrations::Any,
        allow: BTreeSet::new(),
        block: BTreeSet::new(),
        schemes: Schemes::default(),
        device_grant: doorward_core::oauth::admission::DeviceGrant::Any,
    }
}

/// All of them at the same time.
pub(super) async fn together<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(|one| Some(Box::pin(one))).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, slot) in waiting.iter_mut().zip(&mut done) {
            if let Some(future) = one
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
                *one = None;
            }
        }
        if waiting.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// How a host shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificate {
    Good,
    Expired,
    OtherAuthority,
}

/// A host of documents.
#[derive(Debug)]
pub(super) struct Site {
    host: &'static str,
    port: u16,
    counts: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Site {
    /// Answers the n-th request with the n-th text, and all further ones with the last. The texts are made for the client id `/c.json`.
    pub(super) async fn answering(host: &'static str, replies: impl Fn(&str) -> Vec<String>) -> Self {
        Self::certified(host, host, Certificate::Good, replies).await
    }

    pub(super) async fn certified(host: &'static str, name: &str, certificate: Certificate, replies: impl Fn(&str) -> Vec<String>) -> Self {
        let (listener, site) = Self::bound(host).await;
        let replies = Arc::new(replies(&site.id("/c.json")));
        let (acceptor, counts) = (acceptor(name, certificate), Arc::clone(&site.counts));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counts.0.fetch_add(1, Ordering::SeqCst);
                let (acceptor, counts, replies) = (acceptor.clone(), Arc::clone(&counts), Arc::clone(&replies));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    while request(&mut stream).await {
                        let n = counts.1.fetch_add(1, Ordering::SeqCst);
                        let text = replies.get(n).or(replies.last()).expect("a reply");
                        if stream.write_all(text.as_bytes()).await.is_err() || text.is_empty() {
                            break;
                        }
                    }
                    let _closed = stream.shutdown().await;
                });
            }
        });
        site
    }

    /// Sends this, and then a byte now and then.
    pub(super) async fn dripping(host: &'static str, head: &'static str) -> Self {
        let (listener, site) = Self::bound(host).await;
        let acceptor = acceptor(host, Certificate::Good);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _asked = request(&mut stream).await;
                let _sent = stream.write_all(head.as_bytes()).await;
                let mut slowly = tokio::time::interval(Duration::from_millis(50));
                loop {
                    slowly.tick().await;
                    let sent = if head.is_empty() { stream.flush().await } else { stream.write_all(b"a").await };
                    if sent.is_err() || stream.flush().await.is_err() {
                        break;
                    }
                }
            }
        });
        site
    }

    async fn bound(host: &'static str) -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        (listener, Self { host, port, counts: Arc::default() })
    }

    /// The client id with this path.
    pub(super) fn id(&self, path: &str) -> String {
        format!("https://{}:{}{path}", self.host, self.port)
    }

    pub(super) fn connections(&self) -> usize {
        self.counts.0.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> usize {
        self.counts.1.load(Ordering::SeqCst)
    }
}

fn acceptor(name: &str, certificate: Certificate) -> tokio_rustls::TlsAcceptor {
    let leaf = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("params");
    if certificate == Certificate::Expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    let cert = match certificate {
        Certificate::OtherAuthority => params.signed_by(&leaf, &authority()).expect("signed"),
        Certificate::Good | Certificate::Expired => params.signed_by(&leaf, &*AUTHORITY).expect("signed"),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(leaf.serialize_der()).expect("key"))
        .expect("config");
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

/// Reads the head of a request. False at the end.
async fn request<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(text.starts_with("get /") && !text.contains("authorization:") && !text.contains("cookie:"), "{text}");
    true
}

/// A resolver that knows the hosts of a test and counts the questions.
#[derive(Debug)]
pub(super) struct Book {
    known: HashMap<String, IpAddr>,
    all: Option<IpAddr>,
    asked: AtomicUsize,
}

impl Book {
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Names for Book {
    fn addresses(&self, host: &str) -> Found {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found: Vec<IpAddr> = self.known.get(host).copied().or(self.all).into_iter().collect();
        Box::pin(async move { Ok(found) })
    }
}

/// Clients over a store of their own.
pub(super) struct Bench {
    pub(super) clients: Clients,
    pub(super) names: Arc<Book>,
    store: Store,
    #[expect(dead_code, reason = "kept until the test ends")]
    folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

struct Zero;

impl doorward_store::Random for Zero {
    fn fill(&self, out: &mut [u8]) -> Result<(), doorward_store::NoRandom> {
        out.fill(0);
        Ok(())
    }
}

impl Bench {
    /// These documents may be read, of these hosts.
    pub(super) async fn new(documents: Documents, sites: &[&Site]) -> Self {
        Self::admitting(admission(documents), sites).await
    }

    pub(super) async fn admitting(admission: Admission, sites: &[&Site]) -> Self {
        let known = sites.iter().map(|site| (site.host.to_owned(), "127.0.0.1".parse().expect("ip"))).collect();
        let names = Arc::new(Book { known, all: None, asked: AtomicUsize::new(0) });
        let mut settings = EgressSettings::new(Tasks::new());
        settings.allow_private = vec!["127.0.0.0/8".parse().expect("net")];
        let egress = door(settings, &names);
        Self::over(admission, Fetcher::to(egress, Reach::Configured, SHORT), names).await
    }

    /// As in production, but for the resolver, to which every name is this address.
    pub(super) async fn public(ip: IpAddr) -> Self {
        let names = Arc::new(Book { known: HashMap::new(), all: Some(ip), asked: AtomicUsize::new(0) });
        let egress = door(EgressSettings::new(Tasks::new()), &names);
        Self::over(admission(Documents::Any), Fetcher::new(egress), names).await
    }

    async fn over(admission: Admission, fetcher: Fetcher, names: Arc<Book>) -> Self {
        let name = format!("doorward-clients-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::DirBuilder::new().mode(0o700).create(&folder.0).expect("a fresh directory");
        let sealer = Sealer::new(&Secret::new([7; 32]), Arc::new(Zero)).expect("a sealer");
        let store = Store::open(&StoreUrl::Sqlite(folder.0.join("s.db")), None, 1, sealer).await.expect("a store");
        let keys = RegistrationKeys::derive(&Secret::new([7; 32])).expect("keys");
        let redirects = vec![Registered::new("https://portal.test/cb", &Schemes::default()).expect("uri")];
        let fixed = Client::configured(ClientId::new("portal").expect("id"), "Portal".to_owned(), redirects, ClientAuth::None);
        let clients = Clients::new(admission, vec![fixed], keys, fetcher, store.clone());
        Self { clients, names, store, folder }
    }

    pub(super) async fn copy(&self, id: &str) -> Option<ClientDocument> {
        self.store.client_document(&ClientId::new(id).expect("id")).await.expect("an answer")
    }

    /// As if it had been read then, and were not fresh any more.
    pub(super) async fn keep(&self, id: &str, document: Option<&str>, checked: Timestamp) {
        let copy = ClientDocument { document: document.map(|text| text.as_bytes().to_vec()), checked, fresh: checked };
        self.store.keep_client_document(&ClientId::new(id).expect("id"), &copy).await.expect("kept");
    }
}

fn door(mut settings: EgressSettings, names: &Arc<Book>) -> Egress {
    settings.names = Arc::clone(names) as Arc<dyn Names>;
    settings.extra_ca = AUTHORITY.pem().into_bytes();
    Egress::new(settings).expect("egress")
}
