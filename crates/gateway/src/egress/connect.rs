//! From a target to an open connection: resolve, vet every address, pin, connect, TLS. Knows nothing of requests.
//!
//! The address that was vetted is the address that is connected to; nothing is resolved twice (attack SSRF-02). Literals are
//! vetted on the same path, since nothing here hands a host to a library that resolves on its own.

use super::error::{EgressError, Forbidden};
use super::target::{Host, Reach, Scheme, Target};
use super::trust::Trust;
use doorward_core::network::{Network, is_metadata};
use ipnet::IpNet;
use rustls_pki_types::ServerName;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The addresses of a name, or the resolver's error.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Who turns names into addresses. What it answers is vetted, so it need not be trusted.
pub trait Names: Send + Sync + fmt::Debug {
    /// All addresses of `host`.
    fn addresses(&self, host: &str) -> Found;
}

/// The resolver of the operating system, with a bounded number of questions at a time.
#[derive(Debug)]
pub struct SystemNames {
    at_once: Arc<Semaphore>,
}

/// An open connection of either kind.
#[derive(Debug)]
pub(super) enum Wire {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS; `h2` when ALPN chose it.
    Tls(Box<TlsStream<TcpStream>>, Alpn),
}

/// What ALPN chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpn {
    H1,
    H2,
}

/// Rules and means for new connections.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) allow_private: Vec<IpNet>,
    pub(super) names: Arc<dyn Names>,
    pub(super) trust: Trust,
    pub(super) patience: Duration,
}

/// Questions to the operating system's resolver at a time: each holds a thread until it ends, whoever stops waiting.
const QUESTIONS: usize = 32;
/// Addresses of one name that are tried at most.
const MAX_ADDRESSES: usize = 64;

// === impl SystemNames ===

impl SystemNames {
    /// At most 32 questions at a time; further ones wait.
    #[must_use]
    pub fn new() -> Self {
        Self { at_once: Arc::new(Semaphore::new(QUESTIONS)) }
    }
}

impl Default for SystemNames {
    fn default() -> Self {
        Self::new()
    }
}

impl Names for SystemNames {
    fn addresses(&self, host: &str) -> Found {
        let (host, at_once) = (host.to_owned(), Arc::clone(&self.at_once));
        Box::pin(async move {
            let seat = at_once.acquire_owned().await.map_err(io::Error::other)?;
            let asked = tokio::task::spawn_blocking(move || {
                let found = (host.as_str(), 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect());
                drop(seat);
                found
            });
            asked.await.map_err(io::Error::other)?
        })
    }
}

// === impl Connector ===

impl Connector {
    /// A new connection within the patience of this connector, for all steps together.
    pub(super) async fn connect(&self, target: &Target) -> Result<Wire, EgressError> {
        match tokio::time::timeout(self.patience, self.steps(target)).await {
            Ok(done) => done,
            Err(_) => Err(EgressError::Timeout { sent: false }),
        }
    }

    async fn steps(&self, target: &Target) -> Result<Wire, EgressError> {
        let addresses = self.resolve(target).await?;
        for ip in &addresses {
            self.vet(target, *ip).map_err(EgressError::Forbidden)?;
        }
        let stream = self.dial(&addresses, target.port()).await?;
        let _slower = stream.set_nodelay(true);
        match target.scheme() {
            Scheme::Http => Ok(Wire::Plain(stream)),
            Scheme::Https => self.encrypt(target, stream).await,
        }
    }

    async fn resolve(&self, target: &Target) -> Result<Vec<IpAddr>, EgressError> {
        let found = match target.host() {
            Host::Address(ip) => return Ok(vec![*ip]),
            // RFC 6761 section 6.3: never a question to a name server.
            Host::Name(_) if target.names_loopback() => {
                return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
            }
            Host::Name(name) => self.names.addresses(name).await,
        };
        match found {
            Ok(addresses) if !addresses.is_empty() && addresses.len() <= MAX_ADDRESSES => Ok(addresses),
            Ok(_) | Err(_) => Err(EgressError::Resolve),
        }
    }

    /// Whether `target` may lead to `ip`. One closed address closes the name: a mixture is an attack or a mistake.
    pub(super) fn vet(&self, target: &Target, ip: IpAddr) -> Result<(), Forbidden> {
        if target.reach() == Reach::Metadata {
            // A name that leads anywhere else is not the metadata server's, whoever answers there (CLD-03).
            let here = target.names_loopback() && Network::of(ip) == Network::Loopback;
            return if is_metadata(ip) || here { Ok(()) } else { Err(Forbidden::Special) };
        }
        let configured = target.reach() == Reach::Configured;
        let opened = configured && self.allow_private.iter().any(|net| net.contains(&ip));
        match Network::of(ip) {
            Network::Never => Err(Forbidden::Special),
            Network::Loopback if opened || (configured && target.names_loopback()) => Ok(()),
            Network::Loopback => Err(Forbidden::Loopback),
            Network::Private if opened => Ok(()),
            Network::Private => Err(Forbidden::Private),
            Network::Public if target.scheme() == Scheme::Http => Err(Forbidden::PlainHttp),
            Network::Public => Ok(()),
        }
    }

    /// One address after the other; each but the last gets a share of the time, so that a dead first one does not eat it all.
    async fn dial(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, EgressError> {
        let share = self.patience / u32::try_from(addresses.len().clamp(2, 4)).unwrap_or(2);
        let mut last = EgressError::Connect(io::ErrorKind::NotFound);
        for ip in addresses {
            match tokio::time::timeout(share, TcpStream::connect(SocketAddr::new(*ip, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = EgressError::Connect(error.kind()),
                Err(_) => last = EgressError::Timeout { sent: false },
            }
        }
        Err(last)
    }

    async fn encrypt(&self, target: &Target, stream: TcpStream) -> Result<Wire, EgressError> {
        let name = match target.host() {
            Host::Address(ip) => ServerName::from(*ip),
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| EgressError::Tls("the host is not a valid TLS name".into()))?
            }
        };
        let config = target.trust().unwrap_or(&self.trust).config();
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
            let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            EgressError::Tls(rustls.map_or_else(|| error.kind().to_string(), ToString::to_string))
        })?;
        let alpn = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Alpn::H2 } else { Alpn::H1 };
        Ok(Wire::Tls(Box::new(stream), alpn))
    }
}
