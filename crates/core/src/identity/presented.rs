//! What a client showed, taken out of the request before anything else reads it.
//!
//! A presented credential can be digested and judged, never read back: no function turns it into text, a header or an
//! upstream secret (I1).

use super::foreign::{self, ForeignKind};
use super::issuer::Carrier;
use super::svid::PeerCertificate;
use crate::oauth::dpop::Header;
use crate::secret::{NotAToken, Secret, TokenHash, TokenKind, sha256};
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, PROXY_AUTHORIZATION};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroize as _;

/// The credential of one request, whatever it is.
pub struct Presented {
    bearer: Option<Secret<String>>,
    /// What proxies say of whom they let through, by header. Counts only where an issuer is configured for it.
    asserted: Vec<(Carrier, Secret<String>)>,
    /// What the connection shows of its peer. No header makes one (RS-10).
    certificate: Option<Arc<PeerCertificate>>,
    scheme: Scheme,
    proof: Header,
    fault: Option<Fault>,
    foreign: Vec<ForeignKind>,
}

/// How a token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750), or nothing at all.
    Bearer,
    /// `DPoP` (RFC 9449 section 7.1): it comes with a proof.
    Dpop,
}

/// Why what was presented cannot even be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// More than one credential in one request (RFC 6750 section 2; SR-22).
    Several,
    /// In the query string: refused and never logged (RFC 9700 section 4.3.2).
    InQuery,
    /// `Authorization` with a scheme that does not count here.
    OtherScheme,
    /// An `Authorization` header that is empty, not ASCII or has no token.
    Malformed,
}

/// Query parameters that carry credentials in the wild.
const CREDENTIAL_PARAMETERS: [&str; 9] =
    ["access_token", "token", "api_key", "apikey", "key", "auth", "authorization", "bearer", "x-api-key"];

/// Headers that carry somebody else's credential; their value is inspected for its kind, then dropped.
const FOREIGN_HEADERS: [&str; 8] = [
    "x-api-key",
    "x-github-token",
    "x-gitlab-token",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-auth-token",
    "x-access-token",
    "x-forwarded-access-token",
];

impl Presented {
    /// Takes every credential out of `headers` and looks at the query string. Afterwards the map holds none.
    #[must_use]
    pub fn take(headers: &mut HeaderMap, query: Option<&str>) -> Self {
        let proof = Header::take(headers);
        let mut found = Self { proof, ..Self::nothing() };
        let values: Vec<_> = headers.get_all(AUTHORIZATION).iter().cloned().collect();
        headers.remove(AUTHORIZATION);
        headers.remove(PROXY_AUTHORIZATION);
        headers.remove(COOKIE);
        match values.as_slice() {
            [] => {}
            [one] => match credential(one.as_bytes()) {
                Ok((scheme, token)) => (found.scheme, found.bearer) = (scheme, Some(token)),
                Err(fault) => found.fault = Some(fault),
            },
            _ => found.fault = Some(Fault::Several),
        }
        for carrier in Carrier::HEADERS {
            let mut values = headers.get_all(carrier.header()).iter();
            // Two of them are none: nobody could say which one was meant.
            if let (Some(one), None) = (values.next(), values.next())
                && let Some(token) = std::str::from_utf8(one.as_bytes()).ok().and_then(token)
            {
                found.asserted.push((carrier, token));
            }
            headers.remove(carrier.header());
        }
        let has_foreign = headers.keys().any(|name| FOREIGN_HEADERS.contains(&name.as_str()));
        for name in FOREIGN_HEADERS.iter().filter(|_| has_foreign) {
            for value in headers.get_all(*name) {
                found.foreign.push(value.to_str().ok().and_then(foreign::recognise).unwrap_or(ForeignKind::Header));
            }
            headers.remove(*name);
        }
        if query.is_some_and(query_has_credential) {
            found.fault = Some(if found.bearer.is_some() { Fault::Several } else { Fault::InQuery });
        }
        found
    }

    /// A credential that arrived over another listener than HTTP (`doorward bridge`).
    #[must_use]
    pub fn bearer(token: Secret<String>) -> Self {
        Self { bearer: Some(token), ..Self::nothing() }
    }

    const fn nothing() -> Self {
        let (scheme, proof) = (Scheme::Bearer, Header::Absent);
        Self { bearer: None, asserted: Vec::new(), certificate: None, scheme, proof, fault: None, foreign: Vec::new() }
    }

    /// With the certificate that the peer of the connection showed, where it did. Beside anything else that names a caller nobody could tell
    /// who is meant (SR-22): a token, what a proxy says of somebody, the key of another system. It counts on its own.
    #[must_use]
    pub fn over(mut self, certificate: Option<Arc<PeerCertificate>>) -> Self {
        if certificate.is_some() && (self.bearer.is_some() || !self.asserted.is_empty() || !self.foreign.is_empty()) {
            self.fault = Some(Fault::Several);
        }
        self.certificate = certificate;
        self
    }

    /// True when the request carried no credential in any place.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.bearer.is_none() && self.fault.is_none() && self.certificate.is_none()
    }

    /// What the connection shows of its peer.
    #[must_use]
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_deref()
    }

    /// How it was presented.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The proof that came with it, unread.
    #[must_use]
    pub const fn proof(&self) -> &Header {
        &self.proof
    }

    /// Why it cannot be looked up, if so.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The hash under which a token of kind `K` would be stored.
    ///
    /// # Errors
    /// `None` inside when nothing was presented; [`NotAToken`] when it is something else.
    pub fn hash<K: TokenKind>(&self) -> Option<Result<TokenHash<K>, NotAToken>> {
        self.bearer.as_ref().map(|token| TokenHash::of(token.expose()))
    }

    /// The token of a carrier, for the keys of its issuer to be held against.
    pub(super) fn token(&self, carrier: Carrier) -> Option<&str> {
        match carrier {
            Carrier::Authorization => self.bearer.as_ref(),
            other => self.asserted.iter().find(|(carrier, _)| *carrier == other).map(|(_, token)| token),
        }
        .map(|token| token.expose().as_str())
    }

    /// Whether the bearer is one of our own credentials, well-formed or not.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.bearer.as_ref().is_some_and(|token| foreign::is_ours(token.expose()))
    }

    /// Whether something came in this carrier.
    #[must_use]
    pub fn carries(&self, carrier: Carrier) -> bool {
        self.token(carrier).is_some()
    }

    /// The digest of the token of a carrier, to know it again by.
    #[must_use]
    pub fn digest(&self, carrier: Carrier) -> Option<[u8; 32]> {
        self.token(carrier).map(|token| sha256(token.as_bytes()))
    }

    /// Whose token the bearer looks like, when it is not one of ours.
    #[must_use]
    pub fn look_alike(&self) -> Option<ForeignKind> {
        self.bearer.as_ref().and_then(|token| foreign::recognise(token.expose()))
    }

    /// Foreign credentials that came in other headers; they were dropped.
    #[must_use]
    pub fn foreign(&self) -> &[ForeignKind] {
        &self.foreign
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("fault", &self.fault).field("foreign", &self.foreign).finish_non_exhaustive()
    }
}

fn credential(value: &[u8]) -> Result<(Scheme, Secret<String>), Fault> {
    let text = std::str::from_utf8(value).map_err(|_| Fault::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(Fault::Malformed)?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        _ if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err(Fault::OtherScheme),
    };
    self::token(token.trim_matches(' ')).map(|token| (scheme, token)).ok_or(Fault::Malformed)
}

fn token(text: &str) -> Option<Secret<String>> {
    let is_plain = !text.is_empty() && text.len() <= 16 * 1024 && text.bytes().all(|b| b.is_ascii_graphic());
    is_plain.then(|| Secret::new(text.to_owned()))
}

/// Names are compared and values recognised as any parser would read them: percent-encoding undone, `;` a separator too.
fn query_has_credential(query: &str) -> bool {
    let mut hit = false;
    for (name, value) in query.split(['&', ';']).flat_map(|pair| url::form_urlencoded::parse(pair.as_bytes())) {
        let (mut name, mut value) = (name.into_owned(), value.into_owned());
        name.make_ascii_lowercase();
        hit |= CREDENTIAL_PARAMETERS.contains(&name.as_str());
        hit |= [&name, &value].into_iter().any(|text| foreign::is_ours(text) || foreign::recognise(text).is_some());
        name.zeroize();
        value.zeroize();
    }
    hit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{ApiKey, PlainToken};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("header value"));
        }
        map
    }

    #[test]
    fn takes_the_credential_out_of_the_map() {
        let key = PlainToken::<ApiKey>::mint(&[5; 32]);
        let mut map = headers(&[("authorization", &format!("Bearer {}", key.reveal())), ("cookie", "a=b"), ("accept", "x")]);
        let presented = Presented::take(&mut map, None);
        assert_eq!(map.len(), 1);
        let hash = presented.hash::<ApiKey>().expect("present").expect("a key");
        assert_eq!(hash.as_bytes(), key.hashed().as_bytes());
    }

    #[test]
    fn two_credentials_are_a_fault_and_neither_is_used() {
        let mut map = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        let presented = Presented::take(&mut map, None);
        assert_eq!(presented.fault(), Some(Fault::Several));
        assert!(presented.hash::<ApiKey>().is_none());
        let mut map = headers(&[("authorization", "Bearer a")]);
        assert_eq!(Presented::take(&mut map, Some("access_token=b")).fault(), Some(Fault::Several));
    }

    #[test]
    fn query_credentials_are_noticed_under_any_name() {
        for query in [
            "access_token=x",
            "a=1&API_KEY=x",
            "q=ghp_012345678901234567890123456789012345",
            "z=dwk_x",
            "z=%64wk_x",
            "dwk_x",
            "access%5Ftoken=x",
            "a=1;token=x",
        ] {
            assert_eq!(Presented::take(&mut HeaderMap::new(), Some(query)).fault(), Some(Fault::InQuery), "{query}");
        }
        assert!(Presented::take(&mut HeaderMap::new(), Some("a=1&b=2")).is_absent());
    }

    #[test]
    fn schemes_other_than_bearer_and_empty_tokens_are_faults() {
        for (value, fault) in [("Basic YTpi", Fault::OtherScheme), ("Bearer", Fault::Malformed), ("Bearer  ", Fault::Malformed)] {
            assert_eq!(Presented::take(&mut headers(&[("authorization", value)]), None).fault(), Some(fault), "{value}");
        }
        assert!(Presented::take(&mut headers(&[("authorization", "bEaReR x")]), None).fault().is_none());
    }

    #[test]
    fn foreign_headers_are_dropped_and_named_by_kind() {
        let mut map = headers(&[("x-github-token", "ghp_012345678901234567890123456789012345"), ("x-api-key", "whatever")]);
        let presented = Presented::take(&mut map, None);
        assert!(map.is_empty());
        assert_eq!(presented.foreign().len(), 2);
        assert!(presented.is_absent());
    }
}
