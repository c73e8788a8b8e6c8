//! Where the servers of Google are, and which addresses a credential file may name (credentials 6.7; attack CLD-02).
//!
//! A credential file may come from anywhere, so no address in it is believed: its host has to be one that the universe of this
//! installation has, its form the one that every parser reads alike. Must not know sockets.

use super::{Account, NotA};
use std::net::IpAddr;
use url::{Host, Url};

/// The servers of one universe of Google, and what of other addresses is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    universe: String,
    iamcredentials: String,
    sts: String,
    oauth2: String,
    metadata: String,
    loopback: Loopback,
    subject_hosts: Vec<String>,
}

/// Whether servers on this computer may stand in for those of Google: for tests, behind a flag of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loopback {
    /// No.
    #[default]
    Refused,
    /// `--insecure-test-endpoints`: also over http.
    Allowed,
}

/// What the configuration says of places; absent means those of the universe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `googleapis.com`, or the domain of a private universe.
    pub universe_domain: Option<String>,
    /// IAM Service Account Credentials API.
    pub iamcredentials: Option<String>,
    /// Security Token Service.
    pub sts: Option<String>,
    /// OAuth token endpoint.
    pub oauth2: Option<String>,
    /// Metadata server.
    pub metadata: Option<String>,
    /// Hosts that `credential_source.url` of a credential file may name.
    pub subject_token_hosts: Vec<String>,
}

/// Which server of Google a URL has to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenHost {
    /// `oauth2.<universe>`.
    OAuth2,
    /// That, `sts.<universe>` or a regional one, `sts.<region>.rep.<universe>`.
    Sts,
}

const GOOGLE: &str = "googleapis.com";
const METADATA: &str = "metadata.google.internal";
/// The addresses of the metadata server: of IPv4, and of IPv6-only machines.
const METADATA_ADDRESSES: [&str; 2] = ["169.254.169.254", "[fd20:ce::254]"];
/// Those of the instance metadata service of AWS.
const IMDS: [&str; 2] = ["169.254.169.254", "[fd00:ec2::254]"];
const LONGEST_URL: usize = 2_048;

// === impl Places ===

impl Places {
    /// The universe of everybody: `googleapis.com`.
    #[must_use]
    pub fn google() -> Self {
        Self::of(GOOGLE)
    }

    fn of(universe: &str) -> Self {
        Self {
            iamcredentials: format!("https://iamcredentials.{universe}"),
            sts: format!("https://sts.{universe}"),
            oauth2: format!("https://oauth2.{universe}"),
            metadata: format!("http://{METADATA}"),
            universe: universe.to_owned(),
            loopback: Loopback::Refused,
            subject_hosts: Vec::new(),
        }
    }

    /// As the configuration says.
    ///
    /// # Errors
    /// The key that is wrong, and what belongs there.
    pub fn new(endpoints: &Endpoints, loopback: Loopback) -> Result<Self, (&'static str, NotA)> {
        let universe = endpoints.universe_domain.as_deref().unwrap_or(GOOGLE);
        if !is_domain(universe) {
            return Err(("universe_domain", NotA("a domain in lower case, such as googleapis.com")));
        }
        let mut places = Self { loopback, ..Self::of(universe) };
        for (key, text, place) in [
            ("iamcredentials", &endpoints.iamcredentials, &mut places.iamcredentials),
            ("sts", &endpoints.sts, &mut places.sts),
            ("oauth2", &endpoints.oauth2, &mut places.oauth2),
            ("metadata", &endpoints.metadata, &mut places.metadata),
        ] {
            if let Some(text) = text {
                *place = base(text, loopback).ok_or((key, BASE))?;
            }
        }
        if !endpoints.subject_token_hosts.iter().all(|host| is_domain(host)) {
            return Err(("subject_token_hosts", NotA("a host in lower case, such as token.corp.example")));
        }
        places.subject_hosts.clone_from(&endpoints.subject_token_hosts);
        Ok(places)
    }

    /// The same, whose metadata server is where `GCE_METADATA_HOST` says: at its own name or addresses, or, for tests, on this computer.
    ///
    /// # Errors
    /// [`NotA`], for any other host.
    pub fn with_metadata_host(self, host: &str) -> Result<Self, NotA> {
        let own = host == METADATA || METADATA_ADDRESSES.contains(&host);
        let text = format!("http://{host}");
        if own || (self.loopback == Loopback::Allowed && is_loopback(&text)) {
            return Ok(Self { metadata: text, ..self });
        }
        Err(NotA("the metadata server: metadata.google.internal or its address"))
    }

    /// `universe_domain` of this installation.
    #[must_use]
    pub fn universe(&self) -> &str {
        &self.universe
    }

    /// `https://iamcredentials.<universe>`.
    #[must_use]
    pub fn iamcredentials(&self) -> &str {
        &self.iamcredentials
    }

    /// `https://sts.<universe>`.
    #[must_use]
    pub fn sts(&self) -> &str {
        &self.sts
    }

    /// `https://oauth2.<universe>`.
    #[must_use]
    pub fn oauth2(&self) -> &str {
        &self.oauth2
    }

    /// `http://metadata.google.internal`.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Hosts that subject tokens may come from.
    #[must_use]
    pub fn subject_hosts(&self) -> &[String] {
        &self.subject_hosts
    }

    /// Whether servers on this computer may stand in for those of Google.
    #[must_use]
    pub const fn loopback(&self) -> Loopback {
        self.loopback
    }

    /// The address of a token endpoint as a credential file names it.
    ///
    /// # Errors
    /// [`NotA`] unless it is one of this universe.
    pub fn token_url(&self, text: &str, which: TokenHost) -> Result<String, NotA> {
        let wanted = NotA("a token endpoint of this universe");
        let url = plain(text, self.loopback).ok_or(wanted)?;
        let own = |base: &str| is_below(&url, base);
        let fits = match which {
            TokenHost::OAuth2 => own(&self.oauth2) || self.is_host(&url, "oauth2"),
            TokenHost::Sts => {
                own(&self.oauth2)
                    || own(&self.sts)
                    || ["oauth2", "sts"].iter().any(|name| self.is_host(&url, name))
                    || self.is_regional(&url)
            }
        };
        if (fits || self.is_stand_in(&url)) && url.query().is_none() { Ok(text.to_owned()) } else { Err(wanted) }
    }

    /// The account that an impersonation URL of a credential file names. The URL itself is not used: it is built anew.
    ///
    /// # Errors
    /// [`NotA`] unless it is `generateAccessToken` of IAM in this universe.
    pub fn impersonated(&self, text: &str) -> Result<Account, NotA> {
        let wanted = NotA("generateAccessToken of iamcredentials in this universe");
        let url = plain(text, self.loopback).ok_or(wanted)?;
        if !(is_below(&url, &self.iamcredentials) || self.is_host(&url, "iamcredentials") || self.is_stand_in(&url)) {
            return Err(wanted);
        }
        let rest = url.path().strip_prefix("/v1/projects/-/serviceAccounts/").filter(|_| url.query().is_none()).ok_or(wanted)?;
        let account = rest.strip_suffix(":generateAccessToken").ok_or(wanted)?;
        Account::new(&account.replace("%40", "@")).map_err(|_| wanted)
    }

    /// The address that a subject token comes from: https, at a host of the allow-list.
    ///
    /// # Errors
    /// [`NotA`].
    pub fn subject_url(&self, text: &str) -> Result<String, NotA> {
        let wanted = NotA("an address at a host of endpoints.subject_token_hosts");
        let url = plain(text, self.loopback).ok_or(wanted)?;
        let listed = url.scheme() == "https" && url.host_str().is_some_and(|host| self.subject_hosts.iter().any(|known| known == host));
        if listed || self.is_stand_in(&url) { Ok(text.to_owned()) } else { Err(wanted) }
    }

    /// An address of the instance metadata service of AWS, which has no other hosts than its own.
    ///
    /// # Errors
    /// [`NotA`].
    pub fn imds_url(&self, text: &str) -> Result<String, NotA> {
        let own = IMDS.iter().any(|host| text.strip_prefix("http://").and_then(|rest| rest.strip_prefix(host)).is_some_and(is_imds_path));
        let stand_in = plain(text, self.loopback).is_some_and(|url| self.is_stand_in(&url) && is_imds_path(url.path()));
        if own || stand_in { Ok(text.to_owned()) } else { Err(NotA("an address of the instance metadata service of AWS")) }
    }

    fn is_host(&self, url: &Url, name: &str) -> bool {
        url.scheme() == "https" && url.port().is_none() && url.host_str() == Some(&format!("{name}.{}", self.universe))
    }

    /// `sts.<region>.rep.<universe>`.
    fn is_regional(&self, url: &Url) -> bool {
        let region = url.host_str().and_then(|host| host.strip_prefix("sts.")?.strip_suffix(&format!(".rep.{}", self.universe)));
        let fits = |region: &str| region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        url.scheme() == "https" && url.port().is_none() && region.is_some_and(|region| !region.is_empty() && fits(region))
    }

    /// A server of a test in place of one of Google.
    fn is_stand_in(&self, url: &Url) -> bool {
        self.loopback == Loopback::Allowed && is_loopback(url.as_str())
    }
}

const BASE: NotA = NotA("scheme and host alone over https; http only for loopback hosts and with --insecure-test-endpoints");

/// Scheme, host and port alone.
fn base(text: &str, loopback: Loopback) -> Option<String> {
    let url = plain(text, loopback)?;
    (url.path() == "/" && url.query().is_none() && !text.ends_with('/')).then(|| text.to_owned())
}

/// A URL that every parser reads alike: what the parser would write is what stands there. https, or for tests http on this computer.
fn plain(text: &str, loopback: Loopback) -> Option<Url> {
    if text.len() > LONGEST_URL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let same = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none() && url.host().is_some();
    let guarded = match url.scheme() {
        "https" => true,
        "http" => loopback == Loopback::Allowed && is_loopback(text),
        _ => false,
    };
    (same && bare && guarded).then_some(url)
}

fn is_below(url: &Url, base: &str) -> bool {
    Url::parse(base).is_ok_and(|base| base.origin() == url.origin())
}

/// `localhost` or an address of this computer, with a port of its own.
fn is_loopback(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    })
}

fn is_imds_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    path.starts_with("/latest/") && path.bytes().all(plain)
}

fn is_domain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-');
    let has_letter = text.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_lowercase()));
    text.len() <= 253 && text.contains('.') && has_letter && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: [&str; 16] = [
        "https://evil.test/token",
        "https://oauth2.googleapis.com.evil.test/token",
        "https://oauth2.googleapis.com@evil.test/token",
        "https://oauth2.googleapis.com:8443/token",
        "http://oauth2.googleapis.com/token",
        "https://xoauth2.googleapis.com/token",
        "https:oauth2.googleapis.com/token",
        "https:\\\\oauth2.googleapis.com\\token",
        "https://oauth2.googleapis.com/token#x",
        "https://oauth2.googleapis.com/token?x=1",
        "https://OAUTH2.googleapis.com/token",
        "https://oauth2.googleapis.com./token",
        "http://127.0.0.1:1/token",
        "http://169.254.169.254/token",
        "https://sts..rep.googleapis.com/token",
        "file:///etc/passwd",
    ];

    #[test]
    fn cld_02_only_token_endpoints_of_the_universe_are_asked() {
        let places = Places::google();
        for which in [TokenHost::OAuth2, TokenHost::Sts] {
            assert!(places.token_url("https://oauth2.googleapis.com/token", which).is_ok());
            for bad in EVIL {
                assert!(places.token_url(bad, which).is_err(), "{bad}");
            }
        }
        for sts in ["https://sts.googleapis.com/v1/token", "https://sts.europe-west1.rep.googleapis.com/v1/token"] {
            assert!(places.token_url(sts, TokenHost::Sts).is_ok(), "{sts}");
            assert!(places.token_url(sts, TokenHost::OAuth2).is_err(), "{sts}");
        }
    }

    #[test]
    fn cld_02_an_impersonation_url_gives_an_account_and_nothing_else() {
        let places = Places::google();
        let url = |host: &str, rest: &str| format!("https://{host}/v1/projects/-/serviceAccounts/{rest}");
        let own = "iamcredentials.googleapis.com";
        let right = places.impersonated(&url(own, "a@b.iam.gserviceaccount.com:generateAccessToken"));
        assert_eq!(right.map(|account| account.to_string()), Ok("a@b.iam.gserviceaccount.com".to_owned()));
        assert!(places.impersonated(&url(own, "a%40b.iam.gserviceaccount.com:generateAccessToken")).is_ok());
        for (host, rest) in [
            ("evil.test", "a@b.c:generateAccessToken"),
            (own, "a@b.c:generateIdToken"),
            (own, "a@b.c:generateAccessToken?x=1"),
            (own, "a@b.c/x:generateAccessToken"),
            (own, "..%2fa@b.c:generateAccessToken"),
            (own, ":generateAccessToken"),
        ] {
            assert!(places.impersonated(&url(host, rest)).is_err(), "{host} {rest}");
        }
    }

    #[test]
    fn cld_02_a_subject_token_comes_from_listed_hosts_alone() {
        let endpoints = Endpoints { subject_token_hosts: vec!["token.corp.example".to_owned()], ..Endpoints::default() };
        let places = Places::new(&endpoints, Loopback::Refused).expect("places");
        assert!(places.subject_url("https://token.corp.example/id?x=1").is_ok());
        for bad in ["https://evil.test/", "http://token.corp.example/", "http://169.254.169.254/", "https://token.corp.example.evil.test/"]
        {
            assert!(places.subject_url(bad).is_err(), "{bad}");
        }
        for good in ["http://169.254.169.254/latest/meta-data/iam/security-credentials", "http://[fd00:ec2::254]/latest/api/token"] {
            assert!(places.imds_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://169.254.169.254.evil.test/latest/",
            "http://169.254.169.254/computeMetadata/",
            "http://evil.test/latest/",
            "http://127.0.0.1:1/latest/x",
            "http://169.254.169.254/latest/../x",
        ] {
            assert!(places.imds_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn servers_of_tests_are_on_this_computer_and_behind_a_flag() {
        let at = |base: &str| Endpoints { sts: Some(base.to_owned()), ..Endpoints::default() };
        let here = "http://127.0.0.1:4000";
        assert!(Places::new(&at(here), Loopback::Refused).is_err());
        let places = Places::new(&at(here), Loopback::Allowed).expect("places");
        assert!(places.token_url("http://127.0.0.1:4000/v1/token", TokenHost::Sts).is_ok());
        for bad in [
            "http://10.0.0.1:4000",
            "http://evil.test",
            "http://127.0.0.1.evil.test",
            "http://127.0.0.1:4000/",
            "http://127.1:4000",
            "ftp://127.0.0.1",
        ] {
            assert!(Places::new(&at(bad), Loopback::Allowed).is_err(), "{bad}");
        }
        assert!(Places::new(&at("https://sts.corp.example"), Loopback::Refused).is_ok(), "a private universe");
    }

    #[test]
    fn another_universe_has_other_hosts_and_the_metadata_server_one_name() {
        let universe = Endpoints { universe_domain: Some("cloud.example".to_owned()), ..Endpoints::default() };
        let places = Places::new(&universe, Loopback::Refused).expect("places");
        assert_eq!(places.iamcredentials(), "https://iamcredentials.cloud.example");
        assert!(places.token_url("https://oauth2.googleapis.com/token", TokenHost::Sts).is_err());
        for bad in ["evil.test/", "Evil.test", "localhost", "a..b", "1.2.3.4", ""] {
            let endpoints = Endpoints { universe_domain: Some(bad.to_owned()), ..Endpoints::default() };
            assert!(Places::new(&endpoints, Loopback::Refused).is_err(), "{bad}");
        }
        for good in ["metadata.google.internal", "169.254.169.254", "[fd20:ce::254]"] {
            assert!(Places::google().with_metadata_host(good).is_ok(), "{good}");
        }
        for bad in ["evil.test", "127.0.0.1:80", "169.254.169.254.evil.test", "10.0.0.1", "metadata.google.internal@evil.test"] {
            assert!(Places::google().with_metadata_host(bad).is_err(), "{bad}");
        }
    }
}
