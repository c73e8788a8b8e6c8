//! A checked URL. One grammar, stricter than browsers: what two parsers could read differently is refused, never repaired.
//!
//! RFC 3986 without userinfo, fragments, percent signs in the host or relative forms; IPv4 only as four decimal parts.

use super::trust::Trust;
use doorward_core::credential::Origin;
use http::uri::{Authority, PathAndQuery};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a request may go: a URL that was checked once.
#[derive(Clone)]
pub struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
    authority: Authority,
    path: PathAndQuery,
    origin: Origin,
    reach: Reach,
    trust: Option<Trust>,
}

/// Who wrote the URL, and so which networks it may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Learnt at run time or typed by a user: https to the public internet only.
    Public,
    /// Written by the administrator: also loopback when the host says so, and the private networks that are opened.
    Configured,
    /// The metadata service of the cloud that this machine is in: its own addresses, link-local and without TLS, and nothing else. For the
    /// credential station alone (credentials 6.7).
    Metadata,
}

/// Scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain; never over a public network.
    Http,
    /// TLS 1.2 or newer.
    Https,
}

/// Host of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in lower case.
    Name(String),
    /// An address literal.
    Address(IpAddr),
}

/// Why a text is not an acceptable URL. The text itself is not repeated, since URLs hold secrets at times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Longer than 2,048 bytes, or it holds spaces, control or non-ASCII characters.
    #[error("the URL holds characters that are not allowed, or is too long")]
    Characters,
    /// Not `https://` (or `http://` where that is allowed), in lower case.
    #[error("the URL must begin with https:// (http:// only for configured servers on this machine or a private network)")]
    Scheme,
    /// User or password in the URL.
    #[error("the URL must not hold a user name or password")]
    Userinfo,
    /// Not a DNS name or an address in its one usual form.
    #[error("the host is neither a DNS name nor an address in its usual form")]
    Host,
    /// A name that never leads to the public internet.
    #[error("the host is a local name")]
    LocalName,
    /// Zero, not decimal, too large, or a port where no web server listens.
    #[error("the port is not allowed")]
    Port,
    /// A fragment, a backslash, `.` or `..` as a segment, or characters that a path may not hold.
    #[error("the path is malformed or has a fragment")]
    Path,
}

const MAX_URL: usize = 2048;

impl Target {
    /// Checks a URL.
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn new(url: &str, reach: Reach) -> Result<Self, BadTarget> {
        if url.len() > MAX_URL || !url.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadTarget::Characters);
        }
        let (scheme, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://"), reach) {
            (Some(rest), _, _) => (Scheme::Https, rest),
            (None, Some(rest), Reach::Configured | Reach::Metadata) => (Scheme::Http, rest),
            _ => return Err(BadTarget::Scheme),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(BadTarget::Path)?;
        if authority.contains('@') {
            return Err(BadTarget::Userinfo);
        }
        let (host, port) = split_port(authority)?;
        let host = host_of(host)?;
        let port = port.map_or(Ok(scheme.port()), port_of)?;
        if reach == Reach::Public {
            public_host(&host)?;
            public_port(port)?;
        }
        let authority = if port == scheme.port() { host.to_string() } else { format!("{host}:{port}") };
        let origin = Origin::new(format!("{}://{authority}", scheme.as_str()));
        let authority = Authority::try_from(authority).map_err(|_| BadTarget::Host)?;
        Ok(Self { scheme, host, port, authority, path: path_of(path)?, origin, reach, trust: None })
    }

    /// The same target, whose certificate is checked against `trust` instead of the common roots.
    #[must_use]
    pub fn trusting(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Scheme, host and port: what a credential is pinned to (I5). The default port is not written.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// Host and port as the `Host` header and `:authority` carry them.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, 1 to 65535.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query as they will be sent. May hold a secret: never log it.
    #[must_use]
    pub const fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// Who wrote it.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether the host itself names this machine.
    #[must_use]
    pub fn names_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost",
            Host::Address(ip) => ip.is_loopback(),
        }
    }

    pub(crate) const fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }
}

/// The origin alone: paths and queries hold secrets at times.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self}, {:?})", self.reach)
    }
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), BadTarget> {
    if authority.starts_with('[') {
        let end = authority.find(']').ok_or(BadTarget::Host)?;
        let (host, rest) = authority.split_at_checked(end + 1).ok_or(BadTarget::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(BadTarget::Host),
        };
    }
    Ok(authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))))
}

fn port_of(text: &str) -> Result<u16, BadTarget> {
    let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().map_err(|_| BadTarget::Port) } else { Err(BadTarget::Port) }
}

fn host_of(text: &str) -> Result<Host, BadTarget> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().map(|ip| Host::Address(IpAddr::V6(ip))).map_err(|_| BadTarget::Host);
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    // A last label that is a number makes the host an address for many parsers: 127.1, 2130706433, 0x7f000001, 0177.0.0.1.
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    if last.bytes().all(|b| b.is_ascii_digit()) || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) {
        return text.parse::<Ipv4Addr>().map(|ip| Host::Address(IpAddr::V4(ip))).map_err(|_| BadTarget::Host);
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() <= 253 && text.split('.').all(label) { Ok(Host::Name(text.to_ascii_lowercase())) } else { Err(BadTarget::Host) }
}

/// Special-use names (RFC 6761, 6762, 8375, 9476) and bare names, which search lists complete, stay inside.
fn public_host(host: &Host) -> Result<(), BadTarget> {
    const LOCAL: [&str; 9] = ["localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "alt", "onion"];
    let Host::Name(name) = host else { return Ok(()) };
    let last = name.rsplit('.').next().unwrap_or_default();
    if !name.contains('.') || LOCAL.contains(&last) || name.ends_with(".home.arpa") { Err(BadTarget::LocalName) } else { Ok(()) }
}

/// Below 1024 only 443; above, not where databases, caches, queues and remote desktops listen.
fn public_port(port: u16) -> Result<(), BadTarget> {
    const OTHERS: [u16; 18] =
        [1433, 1521, 2049, 2375, 2376, 2379, 3306, 3389, 5432, 5672, 5900, 6000, 6379, 9092, 9200, 10250, 11211, 27017];
    if port == 443 || (port >= 1024 && !OTHERS.contains(&port)) { Ok(()) } else { Err(BadTarget::Port) }
}

fn path_of(text: &str) -> Result<PathAndQuery, BadTarget> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/?-._~!$&'()*+,;=:@%".contains(&b);
    if !text.bytes().all(allowed) {
        return Err(BadTarget::Path);
    }
    let path = text.split('?').next().unwrap_or_default();
    let dotted = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(dotted) {
        return Err(BadTarget::Path);
    }
    let whole = if path.is_empty() { format!("/{text}") } else { text.to_owned() };
    PathAndQuery::try_from(whole).map_err(|_| BadTarget::Path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssrf_01_only_one_spelling_of_a_host_is_accepted() {
        for bad in [
            "http://127.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://0x7f.0.0.1",
            "http://0177.0.0.1",
            "http://127.0.0.01",
            "http://1.2.3",
            "http://1.2.3.4.5",
            "http://256.1.1.1",
            "http://0",
            "http://0x",
            "http://localhost.",
            "http://a..b",
            "http://.a",
            "http://[::1",
            "http://[fe80::1%25lo]",
            "http://[fe80::1%lo]",
            "http://[::1]x",
            "http://[127.0.0.1]",
            "http://[v1.a]",
            "http://\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
            "http://127\u{ff0e}0.0.1",
            "http://good@127.0.0.1",
            "http://u:p@a.test",
            "http:127.0.0.1",
            "http:/127.0.0.1",
            "HTTP://127.0.0.1",
            "hTTps://a.test",
            "http:///a",
            "http://",
            "//a.test",
            "ftp://a.test",
            "file:///etc/passwd",
            "gopher://a.test",
            "javascript:alert(1)",
            "http://a\tb",
            "http://a\nb",
            " http://a.test",
            "http://a.test ",
            "http://a%2eb.test",
            "http://a.test:0",
            "http://a.test:00080",
            "http://a.test:65536",
            "http://a.test:+80",
            "http://a.test:",
            "http://a.test:80:80",
            "http://-a.test",
            "http://a-.test",
            "http://a.test#f",
            "http://a.test/#f",
            "http://a.test\\@b.test",
            "http://a.test/\\b",
            "http://a.test/../b",
            "http://a.test/%2e%2E/b",
            "http://a.test/./b",
            "http://a.test/<b>",
            "http://a.test/\"",
            "",
        ] {
            assert!(Target::new(bad, Reach::Configured).is_err(), "{bad:?}");
            assert!(Target::new(&bad.replacen("http:", "https:", 1), Reach::Public).is_err(), "{bad:?} as https");
        }
        assert!(Target::new(&format!("https://{}.test", "a".repeat(64)), Reach::Public).is_err());
        assert!(Target::new(&format!("https://a.test/{}", "a".repeat(2048)), Reach::Public).is_err());
    }

    #[test]
    fn ssrf_01_learnt_urls_name_no_local_host_port_or_plain_scheme() {
        for bad in [
            "http://a.test",
            "https://localhost",
            "https://LOCALHOST",
            "https://a.localhost",
            "https://intranet",
            "https://metadata.google.internal",
            "https://printer.local",
            "https://x.home.arpa",
            "https://a.test:22",
            "https://a.test:25",
            "https://a.test:80",
            "https://a.test:6379",
            "https://a.test:10250",
        ] {
            assert!(Target::new(bad, Reach::Public).is_err(), "{bad:?}");
        }
        for good in
            ["https://a.test", "https://a.test:8443/x?y=1", "https://A.Test/", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/"]
        {
            assert!(Target::new(good, Reach::Public).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn an_origin_has_one_form_and_shows_no_path() {
        let one = |url| Target::new(url, Reach::Configured).expect(url);
        assert_eq!(one("https://A.test/secret?token=s").origin(), Origin::new("https://a.test".to_owned()));
        assert_eq!(one("https://a.test:443").origin(), one("https://a.test/x").origin());
        assert_ne!(one("https://a.test:8443").origin(), one("https://a.test").origin());
        assert_ne!(one("http://a.test").origin(), one("https://a.test").origin());
        assert_eq!(one("http://[0:0::1]:80/").to_string(), "http://[::1]");
        let shown = format!("{0} {0:?}", one("https://a.test/secret?token=hidden"));
        assert!(!shown.contains("secret") && !shown.contains("hidden"), "{shown}");
        assert_eq!(one("https://a.test?x=1").path().as_str(), "/?x=1");
    }
}
