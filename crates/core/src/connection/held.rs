//! What the vault keeps of one connection, and how long its access token is of use (credentials 6.3).
//!
//! It is kept sealed, by the store, with what it belongs to; here it is a value that prints nothing of its secrets and wipes them when
//! it goes. Must not know where it is kept.

use super::client::{Kept as KeptClient, UpstreamClient};
use super::given::{Given, LONGEST_TOKEN, Term};
use super::server::AuthorizationServer;
use crate::credential::{Age, Life};
use crate::secret::Secret;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// One connected account.
#[derive(Debug)]
pub struct Held {
    parts: Parts,
    access: Arc<Secret<String>>,
    refresh: Option<Arc<Secret<String>>>,
    began: Timestamp,
    expires: Timestamp,
    term: Term,
    scopes: Vec<String>,
}

/// What of a connection stays when its tokens change.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Scheme, host and port that its tokens may be sent to, in the one form of [`crate::credential::Origin`].
    pub origin: String,
    /// The name of the server as it says it itself (RFC 8707).
    pub resource: String,
    /// Where its tokens come from.
    pub server: AuthorizationServer,
    /// Whose they are there.
    pub client: UpstreamClient,
    /// What people see of the account; see [`label`].
    pub label: Option<String>,
    /// When the person connected it.
    pub connected: Timestamp,
}

/// What was kept cannot be read: another format, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection that is kept cannot be read")]
pub struct BadHeld;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<'a> {
    v: u8,
    o: Cow<'a, str>,
    r: Cow<'a, str>,
    s: Cow<'a, AuthorizationServer>,
    c: KeptClient<'a>,
    a: Cow<'a, str>,
    f: Option<Cow<'a, str>>,
    b: Timestamp,
    e: Timestamp,
    t: Term,
    g: Cow<'a, [String]>,
    l: Option<Cow<'a, str>>,
    w: Timestamp,
}

/// Characters of a label at most.
pub const LONGEST_LABEL: usize = 128;
const VERSION: u8 = 1;
/// Longest form that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// What of a name of an account may be shown: it is what the other side says, so it is one line without anything that hides or turns
/// text, of at most [`LONGEST_LABEL`] characters. `None` where nothing is left.
#[must_use]
pub fn label(text: &str) -> Option<String> {
    let hides = |c: char| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
            || matches!(c, '\u{e0000}'..='\u{e0fff}')
    };
    let shown: String = text.chars().filter(|c| !c.is_control() && !hides(*c)).take(LONGEST_LABEL).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

// === impl Held ===

impl Held {
    /// A connection that was just made.
    #[must_use]
    pub fn connect(parts: Parts, given: Given) -> Self {
        let Given { access, refresh, began, expires, term, scopes, .. } = given;
        Self { parts, access, refresh, began, expires, term, scopes }
    }

    /// The same with new tokens; the refresh token stays where none came (RFC 6749 section 6).
    #[must_use]
    pub fn renewed(&self, given: Given) -> Self {
        let old = self.refresh.clone();
        let new = Self::connect(self.parts.clone(), given);
        Self { refresh: new.refresh.or(old), ..new }
    }

    /// The same of a client that proves itself otherwise by now: its secret was changed.
    #[must_use]
    pub fn of_client(mut self, client: UpstreamClient) -> Self {
        self.parts.client = client;
        self
    }

    /// What stays when its tokens change.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The access token, for requests to its origin alone.
    #[must_use]
    pub const fn access(&self) -> &Arc<Secret<String>> {
        &self.access
    }

    /// The refresh token, for requests to its token and revocation endpoints.
    pub(super) const fn refresh(&self) -> Option<&Arc<Secret<String>>> {
        self.refresh.as_ref()
    }

    /// Whether there is a refresh token.
    #[must_use]
    pub const fn is_renewable(&self) -> bool {
        self.refresh.is_some()
    }

    /// The scopes that it has.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// When its tokens were asked for.
    #[must_use]
    pub const fn renewed_at(&self) -> Timestamp {
        self.began
    }

    /// When its access token ends.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether its authorization server said so.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.term
    }

    /// Nothing was said of its end, and nothing renews it.
    fn is_endless(&self) -> bool {
        self.term == Term::Assumed && self.refresh.is_none()
    }

    /// How far its access token is. An end that nobody said and that nothing renews is none: the server says when it is over.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Age {
        self.life().map_or(Age::Good, |life| life.age(now))
    }

    /// The life of its access token; `None` for one that is good until its server says otherwise.
    #[must_use]
    pub fn life(&self) -> Option<Life> {
        (!self.is_endless()).then(|| Life::of(self.began, self.expires))
    }

    /// For the vault.
    ///
    /// # Errors
    /// [`BadHeld`] does not happen for a connection that was made here.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, BadHeld> {
        let kept = Kept {
            v: VERSION,
            o: Cow::Borrowed(&self.parts.origin),
            r: Cow::Borrowed(&self.parts.resource),
            s: Cow::Borrowed(&self.parts.server),
            c: self.parts.client.kept(),
            a: Cow::Borrowed(self.access.expose()),
            f: self.refresh.as_ref().map(|token| Cow::Borrowed(token.expose().as_str())),
            b: self.began,
            e: self.expires,
            t: self.term,
            g: Cow::Borrowed(&self.scopes),
            l: self.parts.label.as_deref().map(Cow::Borrowed),
            w: self.parts.connected,
        };
        // Room for every token, escaped, from the start: a vector that grows leaves copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(6 * LONGEST_TOKEN));
        serde_json::to_writer(&mut *out, &kept).map_err(|_| BadHeld)?;
        Ok(out)
    }

    /// What [`Held::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BadHeld`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadHeld> {
        let text = Some(bytes).filter(|bytes| bytes.len() <= LONGEST).ok_or(BadHeld)?;
        let kept: Kept<'_> = serde_json::from_slice(text).map_err(|_| BadHeld)?;
        let good = |token: &str| (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if kept.v != VERSION || !good(&kept.a) || kept.f.as_deref().is_some_and(|token| !good(token)) {
            return Err(BadHeld);
        }
        let parts = Parts {
            origin: kept.o.into_owned(),
            resource: kept.r.into_owned(),
            server: kept.s.into_owned(),
            client: kept.c.open().map_err(|_| BadHeld)?,
            label: kept.l.map(Cow::into_owned),
            connected: kept.w,
        };
        Ok(Self {
            parts,
            access: Arc::new(Secret::new(kept.a.into_owned())),
            refresh: kept.f.map(|token| Arc::new(Secret::new(token.into_owned()))),
            began: kept.b,
            expires: kept.e,
            term: kept.t,
            scopes: kept.g.into_owned(),
        })
    }
}
