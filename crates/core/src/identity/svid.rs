//! X.509-SVIDs: what the certificate says with which the peer of a connection showed who it is (SPIFFE X509-SVID; `credentials.md` 5.8).
//!
//! That its chain ends at an authority of the configuration, and that the peer holds its key, was found out in the handshake. Of what it says,
//! only the one URI name counts, its dates and what its key is for: no subject, no DNS name. Must not know configuration or sockets.

use crate::secret::sha256;
use crate::time::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

/// The certificate of the peer of a connection: trusted, and its key shown, in the handshake of that connection. Only
/// [`PeerCertificate::of_handshake`] makes one.
#[derive(Debug)]
pub struct PeerCertificate {
    digest: [u8; 32],
    svid: Result<Svid, BadSvid>,
}

/// What an SVID says.
#[derive(Debug)]
pub(super) struct Svid {
    /// The whole SPIFFE ID.
    pub(super) id: String,
    /// `notBefore`.
    pub(super) from: Timestamp,
    /// `notAfter`.
    pub(super) until: Timestamp,
}

/// Why a certificate is no SVID of anybody. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSvid {
    /// It cannot be read.
    Form,
    /// It is one of an authority, or its key is not for signing (X509-SVID sections 4.1, 4.3 and 5.2).
    Use,
    /// It has not exactly one URI name, or that is no SPIFFE ID with a path (X509-SVID sections 2 and 5.2).
    Name,
}

const SCHEME: &str = "spiffe://";
/// Longest SPIFFE ID and longest trust domain, in bytes (SPIFFE-ID section 2.3).
const LONGEST: usize = 2048;
const LONGEST_DOMAIN: usize = 255;

// === impl PeerCertificate ===

impl PeerCertificate {
    /// Of the first certificate that the peer showed in a handshake that succeeded, as DER.
    #[must_use]
    pub fn of_handshake(der: &[u8]) -> Self {
        Self { digest: sha256(der), svid: read(der) }
    }

    /// Its SHA-256 fingerprint.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) const fn svid(&self) -> Result<&Svid, BadSvid> {
        match &self.svid {
            Ok(svid) => Ok(svid),
            Err(bad) => Err(*bad),
        }
    }
}

// === impl BadSvid ===

impl BadSvid {
    /// Stable id for audit, metrics and documentation.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Form => "bad_certificate",
            Self::Use => "certificate_not_for_this",
            Self::Name => "no_spiffe_id",
        }
    }
}

fn read(der: &[u8]) -> Result<Svid, BadSvid> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| BadSvid::Form)?;
    if !rest.is_empty() {
        return Err(BadSvid::Form);
    }
    for_signing(&certificate)?;
    let names = certificate.subject_alternative_name().map_err(|_| BadSvid::Form)?;
    let mut id = None;
    for name in names.map(|names| names.value.general_names.as_slice()).unwrap_or_default() {
        match name {
            GeneralName::URI(uri) if id.is_none() => id = Some(*uri),
            GeneralName::URI(_) => return Err(BadSvid::Name),
            GeneralName::Invalid(..) => return Err(BadSvid::Form),
            _ => {}
        }
    }
    let id = id.filter(|id| domain(id).is_some()).ok_or(BadSvid::Name)?.to_owned();
    let time = |time: &ASN1Time| u64::try_from(time.timestamp()).ok().and_then(|at| at.checked_mul(1_000)).map(Timestamp::from_millis);
    let validity = certificate.validity();
    let (from, until) = time(&validity.not_before).zip(time(&validity.not_after)).ok_or(BadSvid::Form)?;
    Ok(Svid { id, from, until })
}

/// No authority, and a key that signs and vouches for nobody.
fn for_signing(certificate: &X509Certificate<'_>) -> Result<(), BadSvid> {
    let constraints = certificate.get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS).map_err(|_| BadSvid::Form)?;
    match constraints.map(|extension| extension.parsed_extension()) {
        None => {}
        Some(ParsedExtension::BasicConstraints(constraints)) if !constraints.ca => {}
        Some(ParsedExtension::BasicConstraints(_)) => return Err(BadSvid::Use),
        Some(_) => return Err(BadSvid::Form),
    }
    let usage = certificate.key_usage().map_err(|_| BadSvid::Form)?.ok_or(BadSvid::Use)?.value;
    let signs = usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign();
    if signs { Ok(()) } else { Err(BadSvid::Use) }
}

/// The trust domain of a SPIFFE ID, as `spiffe://td`; `None` for what is no ID of a workload (SPIFFE-ID section 2). There is one way to write
/// one: lower case, no escapes, no empty or relative part, no slash at the end.
pub(super) fn domain(id: &str) -> Option<&str> {
    let rest = id.strip_prefix(SCHEME).filter(|_| id.len() <= LONGEST)?;
    let (name, path) = rest.split_once('/')?;
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let of_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(of_path);
    let is_name = (1..=LONGEST_DOMAIN).contains(&name.len()) && name.bytes().all(of_name);
    (is_name && path.split('/').all(is_part)).then(|| id.get(..SCHEME.len() + name.len())).flatten()
}

#[cfg(test)]
mod tests;
