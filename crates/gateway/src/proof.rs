//! Proofs of possession (RFC 9449) at the token endpoint and at servers: whose tokens must be bound, which nonce counts, how many proofs one
//! credential may show. What a proof shows is decided in the core; whoever believes one uses it up in the store.

use doorward_core::id::{ClientId, CredentialId};
use doorward_core::oauth::dpop::{BadProof, Binding, Header, NONCE_HEADER, Nonces, Proven, Request, check};
use doorward_core::oauth::token::AuthenticatedClient;
use doorward_core::time::Timestamp;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderValue, Method};
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

/// What is asked of proofs here.
pub struct Proofs {
    binding: Binding,
    /// Clients whose tokens have to be bound.
    bound: BTreeSet<ClientId>,
    nonces: Nonces,
    /// Good proofs of each credential: each is remembered until it ends and half an hour more, and there is room for so many of all.
    shown: RateLimiter<CredentialId, HashMapStateStore<CredentialId>, DefaultClock>,
}

/// Good proofs of one credential: fifty a second, and as many at once as an agent that starts with all of its tools.
const SHOWN: Quota = Quota::per_second(NonZeroU32::new(50).unwrap()).allow_burst(NonZeroU32::new(500).unwrap());
/// Credentials whose count is kept before those that rest are forgotten.
const SHOWING: usize = 10_000;

// === impl Proofs ===

impl Proofs {
    /// As configured.
    #[must_use]
    pub fn new(binding: Binding, bound: BTreeSet<ClientId>, nonces: Nonces) -> Self {
        Self { binding, bound, nonces, shown: RateLimiter::hashmap(SHOWN) }
    }

    /// Whether tokens are bound at all.
    #[must_use]
    pub const fn binding(&self) -> Binding {
        self.binding
    }

    /// Whether a token of this client counts only if it is bound.
    #[must_use]
    pub fn must_bind(&self, client: &ClientId) -> bool {
        self.binding == Binding::Required || self.bound.contains(client)
    }

    /// The proof of a token request; `None` if there is none, and none is needed. `root` is the public root.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn of_token_request(
        &self,
        headers: &HeaderMap,
        client: &AuthenticatedClient,
        root: &str,
        now: Timestamp,
    ) -> Result<Option<Proven>, BadProof> {
        match self.of_grant(headers, client.id(), root, now)? {
            None if client.binds() => Err(BadProof::Missing),
            proof => Ok(proof),
        }
    }

    /// The same where no client is authenticated: for a token that is itself what shows who asks.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn of_grant(&self, headers: &HeaderMap, client: &ClientId, root: &str, now: Timestamp) -> Result<Option<Proven>, BadProof> {
        let header = if self.binding == Binding::Off { Header::Absent } else { Header::of(headers) };
        if header.is_absent() {
            return if self.must_bind(client) { Err(BadProof::Missing) } else { Ok(None) };
        }
        // The endpoint has two names.
        let urls = [format!("{root}/oauth/token"), format!("{root}/token")];
        let request = Request { method: Method::POST.as_str(), urls: &urls.each_ref().map(String::as_str), token: None };
        check(&header, &request, &self.nonces, now).map(Some)
    }

    /// The proof of a request at a server.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn of_request(&self, header: &Header, request: &Request<'_>, now: Timestamp) -> Result<Proven, BadProof> {
        check(header, request, &self.nonces, now)
    }

    /// Counts a proof that is good. False for a credential that shows more than it could need.
    #[must_use]
    pub fn may_show(&self, credential: &CredentialId) -> bool {
        if self.shown.len() >= SHOWING {
            self.shown.retain_recent();
        }
        self.shown.check_key(credential).is_ok()
    }

    /// Puts the present nonce on an answer to whoever sent a proof (RFC 9449 section 8.2): the next one carries it.
    pub fn hand_out(&self, answer: &mut HeaderMap, now: Timestamp) {
        if self.binding != Binding::Off
            && let Ok(nonce) = HeaderValue::try_from(self.nonces.current(now))
        {
            answer.insert(NONCE_HEADER, nonce);
        }
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs").field("binding", &self.binding).field("bound", &self.bound).finish_non_exhaustive()
    }
}
