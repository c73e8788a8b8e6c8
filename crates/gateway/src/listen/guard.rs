//! Host and Origin allow-lists on every route (DNS rebinding), and the client's address through configured proxies only.

use super::route::Origins;
use http::header::{HOST, HeaderMap, ORIGIN};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What this listener answers to. Built from configuration and the bound address alone.
#[derive(Debug, Clone)]
pub struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Our own, without those of the configuration.
    own: Vec<String>,
    proxies: Vec<IpNet>,
}

/// Why a request or connection was turned away before anything was done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turned {
    /// `Host` missing, repeated, not on the list, or different from `:authority`.
    Host,
    /// `Origin` present and not on the list.
    Origin,
    /// Headers too large or too many.
    Headers,
    /// The body's end or nature, or the method, could be read in two ways.
    Ambiguous,
    /// No such route.
    Path,
    /// Too many requests without a valid credential from this address.
    Rate,
    /// Too many requests from this address whose credential could not be looked up.
    Away,
    /// As many connections are open as are allowed.
    Connections,
    /// Plain HTTP from a peer that is not one of the proxies that end TLS.
    Peer,
}

impl Turned {
    /// The stable id in audit records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Headers => "headers_too_large",
            Self::Ambiguous => "ambiguous_request",
            Self::Peer => "untrusted_peer",
            Self::Path => "unknown_path",
            Self::Rate => "address_rate",
            Self::Away => "store_unavailable",
            Self::Connections => "connections",
        }
    }
}

impl Guard {
    /// `public_url` and `hosts` come from configuration; the loopback names count only on a loopback listener (L8).
    #[must_use]
    pub fn new(bound: SocketAddr, public_url: Option<&str>, hosts: &[String], origins: &[String], proxies: &[IpNet]) -> Self {
        let mut names: Vec<String> = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let mut own: Vec<String> = Vec::new();
        if bound.ip().is_loopback() {
            for name in ["127.0.0.1", "[::1]", "localhost"] {
                names.push(format!("{name}:{}", bound.port()));
                own.push(format!("http://{name}:{}", bound.port()));
            }
        }
        if let Some(authority) = public_url.and_then(|url| url.split_once("://")).map(|(_, rest)| rest) {
            names.push(authority.to_ascii_lowercase());
            own.extend(public_url.map(str::to_owned));
        }
        let allowed = origins.iter().chain(&own).cloned().collect();
        Self { hosts: names, origins: allowed, own, proxies: proxies.to_vec() }
    }

    /// Checks `Host` (or `:authority`) and `Origin`, independently of one another.
    ///
    /// # Errors
    /// [`Turned`].
    pub fn check(&self, authority: Option<&str>, headers: &HeaderMap, origins: Origins) -> Result<(), Turned> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(one), None) => Some(one.to_str().map_err(|_| Turned::Host)?),
            (None, None) => None,
            _ => return Err(Turned::Host),
        };
        let named = match (host, authority) {
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => return Err(Turned::Host),
            (Some(host), _) => host,
            (None, Some(authority)) => authority,
            (None, None) => return Err(Turned::Host),
        };
        if !self.hosts.iter().any(|host| host.eq_ignore_ascii_case(named)) {
            return Err(Turned::Host);
        }
        let mut values = headers.get_all(ORIGIN).iter();
        let allowed = match (values.next(), values.next()) {
            (None, _) => true,
            (Some(_), Some(_)) => false,
            (Some(one), None) => match origins {
                Origins::Any => true,
                Origins::Listed => self.origins.iter().any(|origin| origin.as_bytes() == one.as_bytes()),
                // A form of a page without referrer is sent with `null` (product 5.3); its handler asks where it was sent from.
                Origins::Own => one.as_bytes() == b"null" || self.own.iter().any(|origin| origin.as_bytes() == one.as_bytes()),
            },
        };
        if allowed { Ok(()) } else { Err(Turned::Origin) }
    }

    /// The client's address: the socket's peer, or what configured proxies say, read from the right. A hop that is no address
    /// ends the search: nobody knows who stands behind it, and it is nobody's address (`0.0.0.0`) rather than the proxy's, which
    /// rules may trust.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |ip: &IpAddr| self.proxies.iter().any(|net| net.contains(ip));
        if !trusted(&peer) {
            return peer;
        }
        let values: Vec<&[u8]> = headers.get_all("x-forwarded-for").iter().map(http::HeaderValue::as_bytes).collect();
        for hop in values.into_iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
            match address(hop) {
                Some(hop) if trusted(&hop) => {}
                Some(hop) => return hop,
                None => return IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            }
        }
        peer
    }
}

/// One hop: an address, also with the port that some proxies put behind it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(
            "127.0.0.1:8417".parse().expect("address"),
            None,
            &[],
            &["https://app.test".to_owned()],
            &["10.0.0.0/8".parse().expect("net")],
        )
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("value"));
        }
        map
    }

    #[test]
    fn http_02_only_listed_hosts_pass() {
        for good in ["127.0.0.1:8417", "localhost:8417", "LOCALHOST:8417", "[::1]:8417"] {
            assert_eq!(guard().check(None, &headers(&[("host", good)]), Origins::Listed), Ok(()), "{good}");
        }
        for bad in [
            "evil.test:8417",
            "127.0.0.1.evil.test:8417",
            "127.1:8417",
            "0.0.0.0:8417",
            "localhost",
            "localhost:8418",
            "localhost:8417, evil.test",
        ] {
            assert_eq!(guard().check(None, &headers(&[("host", bad)]), Origins::Listed), Err(Turned::Host), "{bad}");
        }
        assert_eq!(guard().check(None, &headers(&[]), Origins::Listed), Err(Turned::Host));
        assert_eq!(
            guard().check(None, &headers(&[("host", "localhost:8417"), ("host", "localhost:8417")]), Origins::Listed),
            Err(Turned::Host)
        );
        assert_eq!(guard().check(Some("evil.test"), &headers(&[("host", "localhost:8417")]), Origins::Listed), Err(Turned::Host));
    }

    #[test]
    fn http_01_origins_match_exactly_or_not_at_all() {
        let with = |origin: &str| guard().check(None, &headers(&[("host", "localhost:8417"), ("origin", origin)]), Origins::Listed);
        for good in ["https://app.test", "http://localhost:8417", "http://127.0.0.1:8417"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in [
            "null",
            "https://evil.test",
            "https://app.test.evil.test",
            "http://app.test",
            "HTTPS://APP.TEST",
            "chrome-extension://x",
            "https://app.test/",
        ] {
            assert_eq!(with(bad), Err(Turned::Origin), "{bad}");
        }
        let two = headers(&[("host", "localhost:8417"), ("origin", "https://app.test"), ("origin", "https://app.test")]);
        assert_eq!(guard().check(None, &two, Origins::Listed), Err(Turned::Origin));
    }

    #[test]
    fn http_05_forwarded_addresses_count_only_from_configured_proxies() {
        let forged = headers(&[("x-forwarded-for", "1.2.3.4")]);
        let peer: IpAddr = "192.0.2.1".parse().expect("ip");
        assert_eq!(guard().client(peer, &forged), peer);
        let proxy: IpAddr = "10.0.0.1".parse().expect("ip");
        let chain = headers(&[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.2")]);
        assert_eq!(guard().client(proxy, &chain), "1.2.3.4".parse::<IpAddr>().expect("ip"));
        for (chain, client) in [
            // What the client itself wrote in front is not looked at.
            ("x, 203.0.113.9", "203.0.113.9"),
            ("\u{fc}, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::1]:80, 10.0.0.3", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("203.0.113.9, unknown", "0.0.0.0"),
            ("203.0.113.9, _hidden, 10.0.0.2", "0.0.0.0"),
            ("", "0.0.0.0"),
            ("10.0.0.2", "10.0.0.1"),
        ] {
            let mut map = HeaderMap::new();
            map.append("x-forwarded-for", http::HeaderValue::from_bytes(chain.as_bytes()).expect("value"));
            assert_eq!(guard().client(proxy, &map), client.parse::<IpAddr>().expect("ip"), "{chain:?}");
        }
        let several = headers(&[("x-forwarded-for", "x"), ("x-forwarded-for", "203.0.113.9")]);
        assert_eq!(guard().client(proxy, &several), "203.0.113.9".parse::<IpAddr>().expect("ip"));
    }
}
