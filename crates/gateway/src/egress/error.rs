//! Why nothing came back from an upstream. No variant carries a URL, a header or a body: the text may be logged and audited.

use super::target::BadTarget;

/// Why a request had no usable reply. `sent` says whether the upstream may have received it: what may have had an effect is
/// never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The host name has no address, or the resolver did not answer in time.
    #[error("the host name could not be resolved")]
    Resolve,
    /// The address, scheme or port is closed to this target. Nothing was sent.
    #[error("the address is not allowed: {0}")]
    Forbidden(Forbidden),
    /// No TCP connection, to any address of the host.
    #[error("no connection: {0}")]
    Connect(std::io::ErrorKind),
    /// The TLS handshake failed: certificate, name or version. In the words of the TLS library.
    #[error("TLS: {0}")]
    Tls(String),
    /// A time limit passed.
    #[error("timed out")]
    Timeout {
        /// The request may have reached the upstream.
        sent: bool,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken {
        /// The request may have reached the upstream.
        sent: bool,
    },
    /// The upstream answered with this 3xx status. Redirects are never followed (PT-04).
    #[error("redirected with status {0}")]
    Redirect(u16),
    /// The reply exceeds its size limit.
    #[error("the reply is too large")]
    TooLarge,
    /// The reply breaks HTTP, or uses what was not asked for.
    #[error("bad reply: {0}")]
    BadResponse(&'static str),
    /// The request holds a header that this room owns. A mistake of ours; nothing was sent.
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    /// As many connections are open as are allowed. Nothing was sent.
    #[error("too many open connections")]
    Busy,
}

/// Why an address is closed to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// This machine, for a target that does not name it.
    #[error("loopback")]
    Loopback,
    /// A private network that is not opened by configuration.
    #[error("private network")]
    Private,
    /// Metadata services, link-local, multicast, reserved, transition prefixes.
    #[error("special-purpose network")]
    Special,
    /// Unencrypted HTTP over a public network.
    #[error("http without TLS over a public network")]
    PlainHttp,
}

impl EgressError {
    /// True when the upstream may have acted on the request.
    #[must_use]
    pub const fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Timeout { sent } | Self::Broken { sent } => *sent,
            Self::Redirect(_) | Self::TooLarge | Self::BadResponse(_) => true,
            Self::Resolve | Self::Forbidden(_) | Self::Connect(_) | Self::Tls(_) | Self::BadRequest(_) | Self::Busy => false,
        }
    }
}

/// Why the door out could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BadEgress {
    /// A certificate authority is not PEM, or holds no usable certificate.
    #[error("certificate authority: {0}")]
    Ca(String),
    /// The TLS library refused the configuration.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A target of the configuration is not acceptable.
    #[error(transparent)]
    Target(#[from] BadTarget),
}
