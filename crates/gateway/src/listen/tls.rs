//! TLS 1.2 and 1.3 by rustls with aws-lc; certificates are read again on request without dropping a connection.
//!
//! Where it is asked for, a client may show a certificate of a configured authority, and whoever shows another one has no connection. What is
//! made of it, [`Peer`], comes out of a handshake and of nowhere else: there is no header that says the same (RS-10).

use crate::env::Env;
use doorward_core::identity::svid::PeerCertificate;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A TLS configuration that can be replaced while connections are open.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Files,
    current: Arc<watch::Sender<Arc<Current>>>,
}

/// What is read, and read again.
#[derive(Debug, Clone)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    oldest: Oldest,
    clients: Option<Clients>,
}

/// Whose clients show certificates, and the clock by which those end.
#[derive(Debug, Clone)]
struct Clients {
    authorities: PathBuf,
    env: Env,
}

/// What was read last.
#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// The client at the other end, as its certificate says it: it showed in the handshake of this connection that it holds the key.
#[derive(Debug)]
pub struct Peer {
    certificate: Arc<PeerCertificate>,
    chain: Vec<CertificateDer<'static>>,
    current: watch::Receiver<Arc<Current>>,
    env: Env,
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    /// 1.2
    V1_2,
    /// 1.3
    V1_3,
}

/// Why certificate or key were not accepted. The old ones stay in use on reload.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// The file could not be read as PEM.
    #[error("{path}: {cause}")]
    Pem { path: PathBuf, cause: String },
    /// Certificate and key do not fit, or are of an unsupported kind.
    #[error("certificate and key: {0}")]
    Pair(#[from] rustls::Error),
    /// The authorities of clients are none.
    #[error("{path}: {cause}")]
    Authorities { path: PathBuf, cause: VerifierBuilderError },
}

// === impl Tls ===

impl Tls {
    /// Reads certificate chain and private key, both PEM.
    ///
    /// # Errors
    /// [`BadTls`].
    pub fn load(cert: &Path, key: &Path, oldest: Oldest) -> Result<Self, BadTls> {
        Self::of(Files { cert: cert.to_owned(), key: key.to_owned(), oldest, clients: None })
    }

    /// The same, and clients may show a certificate of these authorities, PEM; one of others ends the handshake.
    ///
    /// # Errors
    /// [`BadTls`].
    pub fn asking(self, authorities: &Path, env: &Env) -> Result<Self, BadTls> {
        Self::of(Files { clients: Some(Clients { authorities: authorities.to_owned(), env: env.clone() }), ..self.files })
    }

    fn of(files: Files) -> Result<Self, BadTls> {
        let current = files.read()?;
        Ok(Self { files, current: Arc::new(watch::Sender::new(Arc::new(current))) })
    }

    /// Reads the files again; new connections use the new certificate, and those of clients end whose authority is not there any more.
    ///
    /// # Errors
    /// [`BadTls`]; what is in use stays, but for an authority that is gone from its file: whoever takes one away must not be held up by a
    /// certificate of ours that is half replaced.
    pub fn reload(&self) -> Result<(), BadTls> {
        match self.files.read() {
            Ok(current) => self.current.send_replace(Arc::new(current)),
            Err(bad) => {
                let kept = Arc::clone(&self.current.borrow().config.cert_resolver);
                if self.files.clients.is_some()
                    && let Ok(current) = self.files.with(Own::Kept(kept))
                {
                    self.current.send_replace(Arc::new(current));
                }
                return Err(bad);
            }
        };
        Ok(())
    }

    /// The handshake of the next connection, and who its client is, where it showed a certificate.
    ///
    /// # Errors
    /// No handshake came about.
    pub async fn accept<S>(&self, stream: S) -> io::Result<(TlsStream<S>, Option<Peer>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // From before the handshake, so that no reload in the middle of it is missed.
        let mut current = self.current.subscribe();
        let config = Arc::clone(&current.borrow_and_update().config);
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates().filter(|chain| !chain.is_empty());
        let peer = chain.zip(self.files.clients.as_ref()).map(|(chain, clients)| Peer::of(chain, current, clients.env.clone()));
        Ok((stream, peer))
    }
}

// === impl Peer ===

impl Peer {
    fn of(chain: &[CertificateDer<'_>], current: watch::Receiver<Arc<Current>>, env: Env) -> Self {
        let certificate = PeerCertificate::of_handshake(chain.first().map(AsRef::as_ref).unwrap_or_default());
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Self { certificate: Arc::new(certificate), chain, current, env }
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Arc<PeerCertificate> {
        &self.certificate
    }

    /// Waits until its authority is none of those that are configured any more: the handshake would fail now.
    pub async fn distrusted(mut self) {
        while self.current.changed().await.is_ok() {
            if !self.is_trusted() {
                return;
            }
        }
        std::future::pending().await
    }

    fn is_trusted(&mut self) -> bool {
        let current = Arc::clone(&self.current.borrow_and_update());
        let (Some(clients), Some((first, rest))) = (&current.clients, self.chain.split_first()) else { return false };
        let now = UnixTime::since_unix_epoch(Duration::from_millis(self.env.now().as_millis()));
        clients.verify_client_cert(first, rest, now).is_ok()
    }
}

/// The certificate of this gateway and its key.
enum Own {
    /// As they were read just now.
    Read(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
    /// Those in use.
    Kept(Arc<dyn ResolvesServerCert>),
}

// === impl Files ===

impl Files {
    fn read(&self) -> Result<Current, BadTls> {
        let chain = certificates(&self.cert)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|cause| pem(&self.key, &cause))?;
        self.with(Own::Read(chain, key))
    }

    /// With the authorities of clients as their file has them now.
    fn with(&self, own: Own) -> Result<Current, BadTls> {
        let versions: &[&rustls::SupportedProtocolVersion] =
            if self.oldest == Oldest::V1_3 { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS13, &rustls::version::TLS12] };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = self.clients.as_ref().map(Clients::read).transpose()?;
        let time: Arc<dyn TimeProvider> = match &self.clients {
            Some(clients) => Arc::new(OurTime(clients.env.clone())),
            None => Arc::new(DefaultTimeProvider),
        };
        let builder = ServerConfig::builder_with_details(provider, time).with_protocol_versions(versions)?;
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
            None => builder.with_no_client_auth(),
        };
        let mut config = match own {
            Own::Read(chain, key) => builder.with_single_cert(chain, key)?,
            Own::Kept(resolver) => builder.with_cert_resolver(resolver),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.max_early_data_size = 0; // a replayed call is a second effect
        if clients.is_some() {
            // A resumed session has the certificate of an earlier handshake, which nobody would hold against the authorities of today.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Current { config: Arc::new(config), clients })
    }
}

// === impl Clients ===

impl Clients {
    /// Path validation as RFC 5280 has it, for clients (`clientAuth`), by these authorities and none of the system.
    fn read(&self) -> Result<Arc<dyn ClientCertVerifier>, BadTls> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.authorities)? {
            roots.add(authority)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated().build();
        verifier.map_err(|cause| BadTls::Authorities { path: self.authorities.clone(), cause })
    }
}

/// The clock of this process, for rustls.
#[derive(Debug)]
struct OurTime(Env);

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().as_millis())))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|cause| pem(path, &cause))
}

fn pem(path: &Path, cause: &rustls_pki_types::pem::Error) -> BadTls {
    BadTls::Pem { path: path.to_owned(), cause: cause.to_string() }
}
