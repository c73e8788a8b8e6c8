//! Where the answers of an OAuth client may go: what may be registered, and what matches it.
//!
//! A redirect URI is compared byte by byte and sent back as it came, so it is never parsed and written anew. The grammar is
//! narrower than RFC 3986: what a browser could read in another way than we do is refused (product R1, R2; protocol B6;
//! RFC 8252 section 7.3; attacks REG-01, AZ-06, AZ-07).

use crate::oauth::client::{Client, Identity};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A redirect URI of a client's registration, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Registered {
    text: String,
    form: Form,
}

/// A redirect URI that this client registered. Only [`check`] makes one: without it nothing can be redirected.
#[derive(Clone, PartialEq, Eq)]
pub struct RedirectTarget {
    text: String,
    form: Form,
}

/// What an answer to this URI means for the person, in one word (product R3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A program on this computer; any program here could claim to be that one.
    ThisComputer,
    /// The site of whoever published the client's document, or an address that the administrator named.
    SamePublisher,
    /// Another site than the publisher's, or one that nobody vouches for.
    Elsewhere,
}

/// Scheme of a redirect URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// To this computer only.
    Http,
    /// To anywhere.
    Https,
    /// An application on this computer that has taken a scheme for itself; only what the administrator listed.
    Custom(String),
}

/// Schemes of applications that the administrator allowed (`clients.custom_schemes`). None by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schemes(Vec<String>);

/// The redirect URI of a request is not one of the client's. Nothing may be redirected: the person sees a page of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirect {
    /// None was given, and the client has not registered exactly one.
    #[error("no redirect_uri was given, and the client has not registered exactly one")]
    Missing,
    /// Not byte by byte one of those registered.
    #[error("the redirect_uri is not one that the client registered")]
    NotRegistered,
}

/// Why a redirect URI may not be registered. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUri {
    /// Empty, or longer than [`MAX_URI`].
    #[error("a redirect URI must have 1 to 1024 bytes")]
    Length,
    /// Spaces, control characters, backslashes, anything beyond ASCII, a wildcard, or a bad percent escape.
    #[error("a redirect URI must not hold spaces, control or non-ASCII characters, backslashes or wildcards")]
    Characters,
    /// No scheme, one in capital letters, or one that browsers run or read themselves.
    #[error("a redirect URI must begin with https://, or with http:// for 127.0.0.1, [::1] or localhost")]
    Scheme,
    /// The scheme of an application that the administrator has not listed.
    #[error("redirect URIs with schemes of applications are not allowed here; use http on 127.0.0.1 or https")]
    OtherScheme,
    /// `http` to another host than this computer.
    #[error("http is for 127.0.0.1, [::1] and localhost only; use https")]
    NotLoopback,
    /// A user name or password.
    #[error("a redirect URI must not hold a user name or password")]
    Userinfo,
    /// Not a DNS name in lower case or an address in its usual form.
    #[error("the host of a redirect URI must be a DNS name in lower case or an address in its usual form")]
    Host,
    /// Not a number from 1 to 65535 in its shortest form.
    #[error("the port of a redirect URI is not valid")]
    Port,
    /// `.` or `..` as a segment, also in escapes.
    #[error("the path of a redirect URI must not hold . or .. segments")]
    Dots,
    /// A fragment.
    #[error("a redirect URI must not have a fragment")]
    Fragment,
}

/// A scheme that can never be one of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the scheme of an application: lower-case letters, digits, + . - and none that a browser runs or reads itself")]
pub struct BadScheme;

/// Longest redirect URI, in bytes.
pub const MAX_URI: usize = 1024;

/// Schemes that browsers run, read or resolve themselves. An administrator cannot list them either.
const NEVER: [&str; 22] = [
    "about",
    "blob",
    "chrome",
    "chrome-extension",
    "content",
    "data",
    "edge",
    "feed",
    "file",
    "filesystem",
    "ftp",
    "http",
    "https",
    "intent",
    "jar",
    "javascript",
    "moz-extension",
    "resource",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// What stands where in a text that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form {
    scheme: Scheme,
    /// As it is written; brackets of an IPv6 address included. Empty for `scheme:/path`.
    host: String,
    port: Option<u16>,
    /// Path and query as written; may be empty.
    rest: String,
    is_loopback: bool,
}

// === check ===

/// Finds the redirect URI of a request among those that `client` registered: the same bytes, but for the port of an `http` URI
/// of this computer, which a program takes as it finds it (RFC 8252 section 7.3). `localhost` is not `127.0.0.1`.
///
/// # Errors
/// [`BadRedirect`].
pub fn check(client: &Client, uri: Option<&str>) -> Result<RedirectTarget, BadRedirect> {
    let Some(uri) = uri else {
        return match client.redirects() {
            [only] => Ok(RedirectTarget { text: only.text.clone(), form: only.form.clone() }),
            _ => Err(BadRedirect::Missing),
        };
    };
    if let Some(same) = client.redirects().iter().find(|registered| registered.text == uri) {
        return Ok(RedirectTarget { text: same.text.clone(), form: same.form.clone() });
    }
    if uri.len() > MAX_URI {
        return Err(BadRedirect::NotRegistered);
    }
    let asked = Form::read(uri, &Schemes::default()).map_err(|_| BadRedirect::NotRegistered)?;
    let fits = |registered: &Registered| {
        let known = &registered.form;
        known.has_free_port() && asked.has_free_port() && known.host == asked.host && known.rest == asked.rest
    };
    if client.redirects().iter().any(fits) {
        Ok(RedirectTarget { text: uri.to_owned(), form: asked })
    } else {
        Err(BadRedirect::NotRegistered)
    }
}

/// What an answer of `client` to `target` means for the person.
#[must_use]
pub fn place(client: &Client, target: &RedirectTarget) -> Place {
    if target.is_loopback() {
        return Place::ThisComputer;
    }
    match (client.publisher(), client.identity()) {
        (Some(publisher), _) if is_of(target.host(), publisher) => Place::SamePublisher,
        // Without a document the administrator wrote the URI itself, or a client id that holds it.
        (None, Identity::Approved) => Place::SamePublisher,
        _ => Place::Elsewhere,
    }
}

/// Whether `host` is `publisher` or a name under it. Never the other way around: a name above may belong to anybody.
fn is_of(host: &str, publisher: &str) -> bool {
    host == publisher || host.strip_suffix(publisher).is_some_and(|below| below.ends_with('.'))
}

// === impl Registered ===

impl Registered {
    /// Checks a redirect URI at registration.
    ///
    /// # Errors
    /// [`BadUri`].
    pub fn new(uri: &str, schemes: &Schemes) -> Result<Self, BadUri> {
        Form::read(uri, schemes).map(|form| Self { text: uri.to_owned(), form })
    }

    /// The URI as it was registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the answer goes to a program on this computer.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.form.is_loopback
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({:?})", self.text)
    }
}

// === impl RedirectTarget ===

impl RedirectTarget {
    /// The URI, byte by byte as the client asked for it. It has no fragment; it may have a query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the answer goes to a program on this computer: a loopback host, or the scheme of an application.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.form.is_loopback
    }

    /// The host as it is written, in lower case; an IPv6 address in its brackets; empty for `scheme:/path`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.form.host
    }

    /// The port, if one is written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.form.port
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.form.scheme
    }

    /// Scheme, host and port: what the consent page shows (product R3).
    #[must_use]
    pub fn origin(&self) -> String {
        let port = self.form.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.form.scheme.as_str(), self.form.host)
    }
}

impl fmt::Debug for RedirectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedirectTarget({:?})", self.text)
    }
}

// === impl Scheme ===

impl Scheme {
    /// Without the colon.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Custom(scheme) => scheme,
        }
    }
}

// === impl Schemes ===

impl Schemes {
    /// Schemes of applications.
    ///
    /// # Errors
    /// [`BadScheme`] for the first that browsers know themselves, or that is no scheme (RFC 3986 section 3.1, lower case).
    pub fn new(schemes: Vec<String>) -> Result<Self, BadScheme> {
        if schemes.iter().all(|scheme| is_of_an_application(scheme)) { Ok(Self(schemes)) } else { Err(BadScheme) }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn has(&self, scheme: &str) -> bool {
        self.0.iter().any(|known| known == scheme)
    }
}

fn is_of_an_application(scheme: &str) -> bool {
    is_scheme(scheme) && !NEVER.contains(&scheme)
}

fn is_scheme(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'.' | b'-');
    text.len() <= 64 && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase()) && text.bytes().all(known)
}

// === impl Form ===

impl Form {
    fn read(uri: &str, schemes: &Schemes) -> Result<Self, BadUri> {
        if uri.is_empty() || uri.len() > MAX_URI {
            return Err(BadUri::Length);
        }
        let (scheme, after) = uri.split_once(':').ok_or(BadUri::Scheme)?;
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            other if schemes.has(other) => Scheme::Custom(other.to_owned()),
            other if is_of_an_application(other) => return Err(BadUri::OtherScheme),
            _ => return Err(BadUri::Scheme),
        };
        if uri.contains('#') {
            return Err(BadUri::Fragment);
        }
        if !has_only_uri_characters(uri) {
            return Err(BadUri::Characters);
        }
        let (authority, rest) = match (after.strip_prefix("//"), &scheme) {
            (Some(after), _) => after.split_at_checked(after.find(['/', '?']).unwrap_or(after.len())).ok_or(BadUri::Host)?,
            (None, Scheme::Custom(_)) if after.starts_with('/') => ("", after),
            (None, _) => return Err(BadUri::Scheme),
        };
        if authority.contains('@') {
            return Err(BadUri::Userinfo);
        }
        if has_dot_segment(rest) {
            return Err(BadUri::Dots);
        }
        let is_custom = matches!(scheme, Scheme::Custom(_));
        let (host, port) = if is_custom && authority.is_empty() { ("", None) } else { host_and_port(authority)? };
        let is_named = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        if scheme == Scheme::Http && !is_named {
            return Err(BadUri::NotLoopback);
        }
        let is_loopback = is_custom || is_named || leads_to_this_computer(host);
        Ok(Self { scheme, host: host.to_owned(), port, rest: rest.to_owned(), is_loopback })
    }

    /// `http` is read for the three loopback hosts only.
    fn has_free_port(&self) -> bool {
        self.scheme == Scheme::Http
    }
}

/// The characters of RFC 3986 with whole percent escapes, without `*` and what ends a URI for other readers.
pub(super) fn has_only_uri_characters(text: &str) -> bool {
    let mut escapes = text.split('%');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()+,;=".contains(&b);
    let whole = |part: &str| part.get(..2).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    escapes.next().is_some_and(|first| first.bytes().all(plain)) && escapes.all(|part| whole(part) && part.bytes().all(plain))
}

/// Whether a path has `.` or `..` as a segment for any reader: browsers take `%2e` for a dot.
pub(super) fn has_dot_segment(rest: &str) -> bool {
    let path = rest.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

/// A DNS name in lower case or an address in its one usual form, and a port in its shortest form.
pub(super) fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), BadUri> {
    let end = match authority.strip_prefix('[') {
        Some(inside) => inside.find(']').map(|at| at + 2).ok_or(BadUri::Host)?,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(end).ok_or(BadUri::Host)?;
    if !is_host(host) {
        return Err(BadUri::Host);
    }
    let Some(port) = port.strip_prefix(':') else {
        return if port.is_empty() { Ok((host, None)) } else { Err(BadUri::Host) };
    };
    let number: u16 = port.parse().map_err(|_| BadUri::Port)?;
    if number == 0 || number.to_string() != port { Err(BadUri::Port) } else { Ok((host, Some(number))) }
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside
            .parse::<Ipv6Addr>()
            .is_ok_and(|ip| ip.to_string() == inside && !ip.is_unspecified() && ip.to_ipv4_mapped().is_none());
    }
    // Readers take a last label that begins with a digit for part of an IPv4 address, in whatever form.
    if host.rsplit('.').next().is_some_and(|last| last.bytes().next().is_some_and(|b| b.is_ascii_digit())) {
        return host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.to_string() == host && !ip.is_unspecified());
    }
    let character = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(character) && !label.starts_with('-') && !label.ends_with('-');
    host.len() <= 253 && host.split('.').all(label)
}

fn leads_to_this_computer(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()) || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests;
