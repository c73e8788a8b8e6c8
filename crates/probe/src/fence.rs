//! Who may be asked: the named address, and what it names on the same registrable domain. Pure; opens nothing.
//!
//! A server decides what its metadata says, so every address out of an answer goes through here, and every address that its
//! name resolves to. Attacks SCN-02, SSRF-01.

use doorward_core::network::Network;
use std::collections::BTreeSet;
use std::net::IpAddr;
use url::{Host, Url};

/// What surrounds one probe.
#[derive(Debug)]
pub(crate) struct Fence {
    named: Url,
    allowed: BTreeSet<String>,
}

/// Why an address is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Outside {
    /// Not HTTP, or HTTP where the named address has HTTPS.
    #[error("is no address over HTTPS")]
    Scheme,
    /// Another domain.
    #[error("lies outside the named domain; --probe-allow HOST lets it be asked")]
    Domain,
    /// The name leads into a network where the named server is not.
    #[error("leads into another kind of network than the named server")]
    Network,
    /// It carries a name and password.
    #[error("carries credentials")]
    Credentials,
}

// === impl Fence ===

impl Fence {
    pub(crate) fn new(named: Url, allowed: &[String]) -> Self {
        Self { named, allowed: allowed.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Whether a URL may be asked, as far as it tells.
    pub(crate) fn admits(&self, url: &Url) -> Result<(), Outside> {
        if !matches!(url.scheme(), "https" | "http") || (url.scheme() == "http" && self.named.scheme() == "https") {
            return Err(Outside::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Outside::Credentials);
        }
        if self.is_named(url) || self.is_allowed(url) || related(&self.named, url) { Ok(()) } else { Err(Outside::Domain) }
    }

    /// Whether the address of an admitted URL may be connected to; `home` is where the named server was found.
    pub(crate) fn admits_address(&self, url: &Url, to: IpAddr, home: Option<IpAddr>) -> Result<(), Outside> {
        let network = Network::of(to);
        if self.is_named(url) {
            // Wherever the user's own name leads may be asked; where it leads the next time must be such a place as well.
            return if home.is_none_or(|home| Network::of(home) == network) { Ok(()) } else { Err(Outside::Network) };
        }
        // Another name may lead where the named one leads, or to the internet; never from the internet into a network of ours.
        let fits = match network {
            Network::Public => true,
            Network::Private | Network::Loopback => self.is_allowed(url) || home.is_some_and(|home| Network::of(home) == network),
            Network::Never => false,
        };
        if fits { Ok(()) } else { Err(Outside::Network) }
    }

    fn is_named(&self, url: &Url) -> bool {
        url.host() == self.named.host()
    }

    fn is_allowed(&self, url: &Url) -> bool {
        url.host_str().is_some_and(|host| self.allowed.contains(&host.to_ascii_lowercase()))
    }
}

/// Whether two names belong to one registrable domain (Public Suffix List). Addresses never do.
fn related(one: &Url, other: &Url) -> bool {
    let (Some(Host::Domain(one)), Some(Host::Domain(other))) = (one.host(), other.host()) else { return false };
    let (one, other) = (one.trim_end_matches('.').to_ascii_lowercase(), other.trim_end_matches('.').to_ascii_lowercase());
    match (psl::domain_str(&one), psl::domain_str(&other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect(text)
    }

    #[test]
    fn scn_02_only_the_named_domain_is_asked() {
        let fence = Fence::new(url("https://mcp.acme.co.uk/mcp"), &["login.example".to_owned()]);
        for inside in ["https://mcp.acme.co.uk:8443/as", "https://auth.acme.co.uk/", "https://acme.co.uk/", "https://LOGIN.example/x"] {
            assert_eq!(fence.admits(&url(inside)), Ok(()), "{inside}");
        }
        for (outside, why) in [
            ("https://other.co.uk/", Outside::Domain),
            ("https://acme.co.uk.evil.example/", Outside::Domain),
            ("https://login.example.evil.test/", Outside::Domain),
            ("https://169.254.169.254/", Outside::Domain),
            ("http://auth.acme.co.uk/", Outside::Scheme),
            ("file:///etc/passwd", Outside::Scheme),
            ("https://a:b@auth.acme.co.uk/", Outside::Credentials),
        ] {
            assert_eq!(fence.admits(&url(outside)), Err(why), "{outside}");
        }
        let local = Fence::new(url("http://127.0.0.1:8000/mcp"), &[]);
        assert_eq!(local.admits(&url("http://127.0.0.1:9000/as")), Ok(()));
        for other in ["http://127.0.0.2/", "http://localhost:8000/", "http://10.0.0.1/"] {
            assert_eq!(local.admits(&url(other)), Err(Outside::Domain), "{other}");
        }
    }

    #[test]
    fn scn_02_no_name_leads_from_the_internet_to_ourselves() {
        let fence = Fence::new(url("https://mcp.acme.test/mcp"), &["login.example".to_owned()]);
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let auth = url("https://auth.acme.test/");
        let (far, near) = (Some(ip("8.8.8.8")), Some(ip("10.1.1.1")));
        assert_eq!(fence.admits_address(&auth, ip("9.9.9.9"), far), Ok(()));
        assert_eq!(fence.admits_address(&auth, ip("10.0.0.7"), near), Ok(()));
        assert_eq!(fence.admits_address(&auth, ip("10.0.0.7"), far), Err(Outside::Network));
        assert_eq!(fence.admits_address(&auth, ip("127.0.0.1"), near), Err(Outside::Network));
        assert_eq!(fence.admits_address(&auth, ip("169.254.169.254"), near), Err(Outside::Network));
        assert_eq!(fence.admits_address(&url("https://login.example/"), ip("10.0.0.7"), far), Ok(()));
        assert_eq!(fence.admits_address(&url("https://login.example/"), ip("169.254.169.254"), far), Err(Outside::Network));
        let named = url("https://mcp.acme.test:8443/as");
        assert_eq!(fence.admits_address(&named, ip("10.0.0.7"), None), Ok(()));
        assert_eq!(fence.admits_address(&named, ip("127.0.0.1"), far), Err(Outside::Network), "a name that leads elsewhere later");
    }
}
