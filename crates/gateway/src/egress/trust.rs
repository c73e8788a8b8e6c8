//! Whose certificates are believed: the system's roots, the administrator's additions, or one authority for one target.

use super::error::BadEgress;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A TLS client configuration: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, no early data.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The system's roots together with `extra` (PEM, may be empty). A system without roots is not an error here: every
    /// handshake then fails, and servers without TLS still work.
    ///
    /// # Errors
    /// [`BadEgress::Ca`] if `extra` is not empty and holds no certificate that can be a root.
    pub fn system_and(extra: &[u8]) -> Result<Self, BadEgress> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (used, unusable) = roots.add_parsable_certificates(found.certs);
        if used == 0 || !found.errors.is_empty() {
            tracing::warn!(used, unusable, errors = found.errors.len(), "the system's certificate authorities could not all be read");
        }
        if !extra.is_empty() {
            add(&mut roots, extra)?;
        }
        Self::with(roots)
    }

    /// Only the authorities in `pem`.
    ///
    /// # Errors
    /// [`BadEgress::Ca`] if it holds no certificate that can be a root.
    pub fn only(pem: &[u8]) -> Result<Self, BadEgress> {
        let mut roots = RootCertStore::empty();
        add(&mut roots, pem)?;
        Self::with(roots)
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    fn with(roots: RootCertStore) -> Result<Self, BadEgress> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.enable_early_data = false;
        Ok(Self(Arc::new(config)))
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), BadEgress> {
    let mut any = false;
    for cert in CertificateDer::pem_slice_iter(pem) {
        let cert = cert.map_err(|error| BadEgress::Ca(error.to_string()))?;
        roots.add(cert).map_err(|error| BadEgress::Ca(error.to_string()))?;
        any = true;
    }
    if any { Ok(()) } else { Err(BadEgress::Ca("no certificate found".to_owned())) }
}

/// The same object, not the same contents: a pool is never shared between two ideas of trust.
impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trust {}

impl Hash for Trust {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(Arc::as_ptr(&self.0), state);
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}
