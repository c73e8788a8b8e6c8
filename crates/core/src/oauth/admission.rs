//! Which clients may ask at all: what the administrator said about documents, registrations and single client ids.

use crate::id::ClientId;
use crate::oauth::catalogue;
use crate::oauth::client::{Client, Devices, Identity};
use crate::oauth::document::DocumentUrl;
use crate::oauth::redirect::{Registered, Schemes};
use crate::secret::sha256;
use std::collections::BTreeSet;

/// What the administrator said (`[clients]`).
#[derive(Debug, Clone)]
pub struct Admission {
    /// Whose documents are read.
    pub documents: Documents,
    /// Which registrations count.
    pub registrations: Registrations,
    /// Client ids that may ask, exact. They count as approved.
    pub allow: BTreeSet<ClientId>,
    /// Client ids that may never ask; stronger than everything else.
    pub block: BTreeSet<Blocked>,
    /// Redirect schemes of applications.
    pub schemes: Schemes,
    /// Who may ask without a browser.
    pub device_grant: DeviceGrant,
}

/// Which of the clients that name the device grant have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceGrant {
    /// None.
    Off,
    /// Those that the administrator named, and the command line of this project.
    Known,
    /// Any.
    Any,
}

/// Whose client id metadata documents are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documents {
    /// Nobody's.
    Off,
    /// Those of `allow`.
    List,
    /// Those of `allow` and of the catalogue.
    Known,
    /// Any public one.
    Any,
}

/// Which dynamic registrations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registrations {
    /// None, but for those of `allow`.
    Off,
    /// Those whose every answer goes to the person's own computer.
    LoopbackOnly,
    /// Any.
    Any,
}

/// A client id that may never ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocked {
    /// This one.
    Id(ClientId),
    /// The one with this SHA-256: ids of registrations are long.
    Digest([u8; 32]),
}

/// A text is neither a client id nor `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a client id nor sha256: and 64 digits in lower case")]
pub struct BadBlocked;

// === impl Admission ===

impl Admission {
    /// Whether this id may never ask.
    #[must_use]
    pub fn blocks(&self, id: &ClientId) -> bool {
        self.block.contains(&Blocked::Id(id.clone())) || self.block.contains(&Blocked::Digest(sha256(id.as_str().as_bytes())))
    }

    /// Whether the document of this URL may be read at all.
    #[must_use]
    pub fn reads(&self, url: &DocumentUrl) -> bool {
        match self.documents {
            Documents::Off => false,
            Documents::List => self.allow.contains(url.id()),
            Documents::Known => self.allow.contains(url.id()) || catalogue::find(url.as_str()).is_some(),
            Documents::Any => true,
        }
    }

    /// Whether a registration with these redirect URIs counts.
    #[must_use]
    pub fn registers(&self, redirects: &[Registered]) -> bool {
        match self.registrations {
            Registrations::Off => false,
            Registrations::LoopbackOnly => redirects.iter().all(Registered::is_loopback),
            Registrations::Any => true,
        }
    }

    /// The client with the device grant only where the administrator lets it have that. With it an answer goes to whoever asked, wherever that
    /// is, so what is said of redirect URIs says nothing (RFC 8628 section 5.4).
    #[must_use]
    pub fn narrowed(&self, client: Client) -> Client {
        match self.device_grant {
            DeviceGrant::Any => client,
            DeviceGrant::Known if *client.identity() == Identity::Approved => client,
            DeviceGrant::Known | DeviceGrant::Off => client.with_devices(Devices::Unnamed),
        }
    }

    /// The client, if it may ask; as approved where the administrator named it.
    #[must_use]
    pub fn admit(&self, client: Client) -> Option<Client> {
        if self.blocks(client.id()) {
            return None;
        }
        if self.allow.contains(client.id()) {
            return Some(client.approved());
        }
        match DocumentUrl::new(client.id().as_str()) {
            Ok(url) => self.reads(&url).then_some(client),
            Err(_) => self.registers(client.redirects()).then_some(client),
        }
    }
}

// === impl Blocked ===

impl Blocked {
    /// Reads an entry of `clients.block`.
    ///
    /// # Errors
    /// [`BadBlocked`].
    pub fn parse(text: &str) -> Result<Self, BadBlocked> {
        match text.strip_prefix("sha256:") {
            Some(digits) => crate::audit::event::unhex(digits).map(Self::Digest).ok_or(BadBlocked),
            None => ClientId::new(text).map(Self::Id).map_err(|_| BadBlocked),
        }
    }
}

impl std::fmt::Display for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Digest(digest) => write!(f, "sha256:{}", crate::audit::event::hex(digest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client::{ClientAuth, DocumentSource, Identity};
    use crate::oauth::document;
    use crate::time::Timestamp;
    use bytes::Bytes;

    const KNOWN: &str = "https://zed.dev/oauth/client-metadata.json";
    const OTHER: &str = "https://app.test/c.json";

    fn admission(documents: Documents, registrations: Registrations) -> Admission {
        Admission {
            documents,
            registrations,
            allow: BTreeSet::new(),
            block: BTreeSet::new(),
            schemes: Schemes::default(),
            device_grant: DeviceGrant::Any,
        }
    }

    fn id(text: &str) -> ClientId {
        ClientId::new(text).expect("id")
    }

    fn published(url: &str) -> Client {
        let body = format!(r#"{{"client_id":"{url}","client_name":"A","redirect_uris":["https://app.test/cb"]}}"#);
        let url = DocumentUrl::new(url).expect("url");
        let now = Timestamp::from_millis(1);
        document::parse(&url, &Bytes::from(body), DocumentSource::Live, now, &Schemes::default()).expect("client")
    }

    fn registered(uri: &str) -> Client {
        let redirects = vec![Registered::new(uri, &Schemes::default()).expect(uri)];
        Client::configured(id("dwc_x"), "N".to_owned(), redirects, ClientAuth::None)
    }

    #[test]
    fn reg_06_documents_are_read_of_whom_the_administrator_named() {
        let reads = |documents, allow: &[&str]| {
            let mut admission = admission(documents, Registrations::Any);
            admission.allow.extend(allow.iter().map(|text| id(text)));
            [KNOWN, OTHER].map(|url| admission.reads(&DocumentUrl::new(url).expect(url)))
        };
        assert_eq!(reads(Documents::Off, &[KNOWN, OTHER]), [false, false]);
        assert_eq!(reads(Documents::List, &[OTHER]), [false, true]);
        assert_eq!(reads(Documents::Known, &[]), [true, false]);
        assert_eq!(reads(Documents::Known, &[OTHER]), [true, true]);
        assert_eq!(reads(Documents::Any, &[]), [true, true]);
        assert_eq!(reads(Documents::List, &["https://app.test/"]), [false, false], "exact ids, never a site");
    }

    #[test]
    fn reg_01_registrations_count_as_far_as_they_are_allowed() {
        let counts = |registrations| {
            let admission = admission(Documents::Off, registrations);
            ["http://127.0.0.1/cb", "https://good.test/cb"].map(|uri| admission.admit(registered(uri)).is_some())
        };
        assert_eq!(counts(Registrations::Off), [false, false]);
        assert_eq!(counts(Registrations::LoopbackOnly), [true, false]);
        assert_eq!(counts(Registrations::Any), [true, true]);
    }

    #[test]
    fn a_named_client_is_approved_and_a_blocked_one_never_is() {
        let mut admission = admission(Documents::List, Registrations::Off);
        admission.allow.extend([id(OTHER), id("dwc_x")]);
        let approved = admission.admit(published(OTHER)).expect("named");
        assert_eq!(*approved.identity(), Identity::Approved);
        assert!(approved.document().is_some(), "still known where it was read");
        assert!(admission.admit(registered("https://good.test/cb")).is_some());
        admission.block.insert(Blocked::Id(id(OTHER)));
        let digest = format!("sha256:{}", crate::audit::event::hex(&sha256(b"dwc_x")));
        admission.block.insert(Blocked::parse(&digest).expect("digest"));
        assert!(admission.admit(published(OTHER)).is_none());
        assert!(admission.admit(registered("http://127.0.0.1/cb")).is_none());
        assert_eq!(Blocked::parse(&digest).expect("digest").to_string(), digest);
        for bad in ["", "sha256:", "sha256:zz", &digest.to_uppercase().replace("SHA256", "sha256"), "a\n"] {
            assert!(Blocked::parse(bad).is_err(), "{bad}");
        }
    }
}
