//! Addresses in entries, for rules that look at them: where a URL leads, and whether that is this computer.

use crate::document::Position;
use crate::server::Server;
use std::net::IpAddr;

/// A URL in an entry.
pub(super) struct Address {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) port: Option<u16>,
    pub(super) at: Position,
    pub(super) field: String,
}

/// The URLs of an entry: where it connects, and those among its arguments.
pub(super) fn addresses(server: &Server) -> Vec<Address> {
    let fields = server.url.iter().map(|field| (field, true)).chain(server.args.iter().map(|field| (field, false)));
    fields
        .filter_map(|(field, whole)| {
            let text = field.text.peek();
            // `--server=http://..` and `http://..`; prose and scripts that mention one are not meant.
            let text =
                if whole { text } else { text.split_once('=').filter(|(name, _)| name.starts_with('-')).map_or(text, |(_, url)| url) };
            let address = read(text)?;
            Some(Address { at: field.at, field: field.path.clone(), ..address })
        })
        .collect()
}

/// The parts of a URL over HTTP. Not a full parser: the host decides, and a host with a reference in it is none.
pub(super) fn read(text: &str) -> Option<Address> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https" | "ws" | "wss") {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let path = rest.strip_prefix(authority).unwrap_or_default().split(['?', '#']).next().unwrap_or_default().to_owned();
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.contains(['$', '{', '%', '<', ' ']) {
        return None;
    }
    let port = port.and_then(|port| port.parse().ok());
    Some(Address { scheme, host: host.trim_end_matches('.').to_ascii_lowercase(), path, port, at: Position::START, field: String::new() })
}

/// Whether a host is this computer and nothing else, in each spelling that systems accept.
pub(super) fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(four) => four.is_loopback() || four.is_unspecified(),
            IpAddr::V6(six) => six.is_loopback() || six.is_unspecified() || six.to_ipv4_mapped().is_some_and(|four| four.is_loopback()),
        };
    }
    host == "localhost" || host.ends_with(".localhost") || host == "host.docker.internal"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_computer_has_several_names() {
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "a.localhost", "0.0.0.0"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example.test", "127.0.0.1.example.test", "::2", "example.test"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn the_host_of_a_url_is_what_clients_connect_to() {
        let host = |text: &str| read(text).map(|address| address.host);
        assert_eq!(host("http://localhost@evil.test/x"), Some("evil.test".to_owned()));
        assert_eq!(host("HTTP://[::1]:80/"), Some("::1".to_owned()));
        assert_eq!(host("http://evil.test\\@localhost/"), Some("evil.test".to_owned()));
        assert_eq!((host("http://${HOST}/mcp"), host("ftp://a/"), host("a")), (None, None, None));
    }
}
