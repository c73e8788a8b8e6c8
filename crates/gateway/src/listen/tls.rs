//! TLS 1.2 and 1.3 by rustls with aws-lc; certificates are read again on request without dropping a connection.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A TLS configuration that can be replaced while connections are open.
#[derive(Debug, Clone)]
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    oldest: Oldest,
    current: Arc<ArcSwap<ServerConfig>>,
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
}

impl Tls {
    /// Reads certificate chain and private key, both PEM.
    ///
    /// # Errors
    /// [`BadTls`].
    pub fn load(cert: &Path, key: &Path, oldest: Oldest) -> Result<Self, BadTls> {
        let config = read(cert, key, oldest)?;
        Ok(Self { cert: cert.to_owned(), key: key.to_owned(), oldest, current: Arc::new(ArcSwap::from_pointee(config)) })
    }

    /// Reads the files again; new connections use the new certificate.
    ///
    /// # Errors
    /// [`BadTls`]; the certificate in use stays.
    pub fn reload(&self) -> Result<(), BadTls> {
        self.current.store(Arc::new(read(&self.cert, &self.key, self.oldest)?));
        Ok(())
    }

    /// For the next connection.
    #[must_use]
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(self.current.load_full())
    }
}

fn read(cert: &Path, key: &Path, oldest: Oldest) -> Result<ServerConfig, BadTls> {
    let pem = |path: &Path, cause: rustls_pki_types::pem::Error| BadTls::Pem { path: path.to_owned(), cause: cause.to_string() };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|cause| pem(cert, cause))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| pem(key, cause))?;
    let versions: &[&rustls::SupportedProtocolVersion] =
        if oldest == Oldest::V1_3 { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS13, &rustls::version::TLS12] };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0; // a replayed call is a second effect
    Ok(config)
}
