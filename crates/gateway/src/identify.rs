//! The station: who is calling, by a key or token that was made for Doorward.
//!
//! Looks records up by digest, through a cache that no revocation outlives by more than five seconds (I8). Must not know
//! sessions or policy. Credentials of others are named in the record and dropped, never printed (PT-02).

use crate::Gateway;
use crate::idp::{NotAttested, Shown, Trouble};
use crate::listen::Inbound;
use crate::listen::guard::Turned;
use crate::listen::route::Verb;
use doorward_core::audit::outcome::Notice;
use doorward_core::blame::{Blame, Known, Over, Refusal, Retry, Station, Wire};
use doorward_core::id::{ClientId, CredentialId, GroupName, ServerName, UserId};
use doorward_core::identity::attested::{Attested, Identity, Purpose, Several, Unattested};
use doorward_core::identity::caller::{Caller, Door, Found, Level, Record, Verdict, Why, verify, verify_held};
use doorward_core::identity::foreign::ForeignKind;
use doorward_core::identity::issuer::IssuerRule;
use doorward_core::identity::presented::{Fault, Scheme};
use doorward_core::oauth::dpop::{self, BadProof, Binding, Request};
use doorward_core::oauth::scope::resource;
use doorward_core::oauth::token::Used;
use doorward_core::secret::{AccessToken, ApiKey, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::StoreError;
use quick_cache::sync::Cache;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Records that were read lately.
#[derive(Debug)]
pub struct Records {
    by_digest: Cache<[u8; 32], Read>,
    proofs: Cache<CredentialId, Proof>,
}

#[derive(Debug, Clone)]
struct Read {
    found: Found,
    epoch: u64,
    at: Instant,
}

/// How a credential that was accepted here can be asked about again.
#[derive(Debug, Clone)]
enum Proof {
    /// The store holds it under this digest.
    Stored([u8; 32], Door),
    /// An issuer vouched for it.
    Attested(Arc<Attested>),
}

/// Why a request did not come in.
pub(crate) enum Stopped {
    /// Refused, and recorded as such.
    Refused(Refusal),
    /// One refused credential too many from its address, which has to wait this long. Recorded in sum, not one by one.
    Stranger(Duration),
    /// Nobody can be told from anybody at the moment, and enough was recorded of it.
    Away(Duration),
}

/// When a token is worth showing again whose issuer has no keys for us.
const KEYS_AWAY: Duration = Duration::from_secs(10);
/// A record is believed this long without asking the store (I8).
const BELIEVED: Duration = Duration::from_secs(5);

impl Records {
    /// Nothing read yet; at most `capacity` records are kept.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { by_digest: Cache::new(capacity), proofs: Cache::new(capacity) }
    }
}

impl Stopped {
    /// As [`Refusal::informed`].
    pub(crate) fn informed(self, known: &Known, server: &ServerName) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.informed(known, server)),
            Self::Stranger(wait) => Self::Stranger(wait),
            Self::Away(wait) => Self::Away(wait),
        }
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Gateway {
    /// Who is calling. Whoever is nobody counts against their address, whatever they show; whoever is somebody never does.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(crate) async fn identify(&self, inbound: &Inbound) -> Result<Caller, Stopped> {
        let verified = self.verified(inbound).await;
        // The listener has counted those that show nothing (S3). Who cannot be told because the store is away is no stranger,
        // but may be one: they leave no more records than strangers do.
        match &verified {
            Err(_) if inbound.presented.is_absent() && !self.issuers.assert(&inbound.presented) => {}
            Err(refusal) if refusal.blame == Blame::Us => {
                if let Err(wait) = self.untold.check(inbound.peer) {
                    return Err(Stopped::Away(wait));
                }
            }
            Err(_) => self.strangers.check(inbound.peer).map_err(Stopped::Stranger)?,
            Ok(_) => {}
        }
        // Only now: a stranger beyond the limit leaves no record of their own.
        self.note_foreign(inbound).await;
        verified.map_err(|refusal| Stopped::Refused(refusal.at(inbound.route.server.as_ref())))
    }

    /// Records that something was turned away, as far as the record has room for such.
    pub(crate) fn turn_away(self: &Arc<Self>, what: Turned, peer: IpAddr) {
        if self.turned.is_noted(what) {
            let gateway = Arc::clone(self);
            self.tasks.spawn(async move {
                let cause = format!("{} from {peer}", what.as_str());
                gateway.note(&Notice { reason: "turned_away", cause: Some(&cause), ..Notice::default() }).await;
            });
        }
    }

    /// The same for the front office, whose handlers count by themselves.
    pub(crate) fn turn_away_office(&self, peer: IpAddr) {
        self.metrics.turned_away(Turned::Rate);
        if self.turned.is_noted(Turned::Rate) {
            tracing::info!(%peer, "too many requests of the front office failed");
        }
    }

    async fn note_foreign(&self, inbound: &Inbound) {
        // One record for a request, whatever it carries: nobody can fill the disk by repeating a header.
        let mut kinds: Vec<&str> = inbound.presented.foreign().iter().map(|kind| kind.as_str()).collect();
        // Beside what a proxy says of its caller nobody looks at the bearer any further.
        if self.issuers.assert(&inbound.presented) {
            kinds.extend(inbound.presented.look_alike().map(ForeignKind::as_str));
        }
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.is_empty() {
            let cause = format!("credentials of others came in headers and were dropped: {}", kinds.join(", "));
            let (id, server) = (Some(inbound.id), inbound.route.server.as_ref());
            self.note(&Notice { reason: "foreign_credential", id, server, cause: Some(&cause), ..Notice::default() }).await;
        }
    }

    /// Verifies what was presented: 401 or 400 for what is no good, 503 when the store cannot say.
    async fn verified(&self, inbound: &Inbound) -> Result<Caller, Refusal> {
        let (door, server) = (inbound.route.door, inbound.route.server.as_ref());
        if inbound.presented.scheme() == Scheme::Dpop && (door == Door::Key || self.proofs.binding() == Binding::Off) {
            return Err(Why::Fault(Fault::OtherScheme).refusal());
        }
        let digest = match door {
            Door::Key => inbound.presented.hash::<ApiKey>().and_then(Result::ok).map(|hash| *hash.as_bytes()),
            Door::OAuth => inbound.presented.hash::<AccessToken>().and_then(Result::ok).map(|hash| *hash.as_bytes()),
        };
        // One of ours, or a certificate, beside what a proxy says of its caller: nobody could tell who is meant (SR-22).
        let shows = inbound.presented.is_ours() || inbound.presented.certificate().is_some();
        if door == Door::Key && shows && self.issuers.assert(&inbound.presented) {
            return Err(Why::Fault(Fault::Several).refusal());
        }
        let found = match (digest, door) {
            (Some(digest), _) => self.record(door, digest).await?.map(Found::Stored),
            (None, Door::Key) => self.attested(inbound).await?,
            (None, Door::OAuth) => None,
        };
        let vouched = match &found {
            Some(Found::Attested(identity)) => Some(Arc::clone(identity.attested())),
            _ => None,
        };
        let verdict = match (inbound.presented.scheme(), digest, found) {
            (Scheme::Dpop, Some(digest), Some(found)) => self.held(inbound, digest, found).await?,
            (_, _, found) => verify(&inbound.presented, door, server, found, self.env.now()),
        };
        match verdict {
            Verdict::Verified(caller) => {
                match self.still_counts(caller.record()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(why)) => return Err(why.refusal().knowing(caller.known())),
                    Err(error) => return Err(unavailable(&error)),
                }
                match (digest, vouched) {
                    (Some(digest), _) => self.records.proofs.insert(caller.credential().clone(), Proof::Stored(digest, door)),
                    (None, Some(attested)) => self.accepted(inbound, &caller, attested).await,
                    (None, None) => {}
                }
                Ok(caller)
            }
            Verdict::NotMine => Err(Why::Absent.refusal()),
            Verdict::Refused(why, known) => Err(why.refusal().knowing(*known)),
        }
    }

    /// Judges an access token of the scheme `DPoP` (RFC 9449 section 7). A proof is used up only for a token that counts, by the key that it
    /// is bound to: whoever has neither writes nothing into the store.
    async fn held(&self, inbound: &Inbound, token: [u8; 32], found: Found) -> Result<Verdict, Refusal> {
        let (server, now) = (inbound.route.server.as_ref(), self.env.now());
        let record = Arc::clone(found.record());
        let Some(key) = record.bound.filter(|_| record.counts(Door::OAuth, server, now).is_ok()) else {
            return Ok(verify(&inbound.presented, Door::OAuth, server, Some(found), now));
        };
        let refused = |bad: BadProof| Why::Proof(bad).refusal().knowing(record.known());
        let url = server.map_or_else(|| format!("{}/mcp", self.root()), |server| resource(self.root(), server));
        let method = match inbound.verb {
            Verb::Post => "POST",
            Verb::Get => "GET",
            Verb::Delete => "DELETE",
            Verb::Other => return Err(refused(BadProof::Method)),
        };
        let request = Request { method, urls: &[&url], token: Some(&token) };
        let proven = self.proofs.of_request(inbound.presented.proof(), &request, now).map_err(refused)?;
        if proven.key() != key {
            return Err(refused(BadProof::OtherKey));
        }
        if !self.proofs.may_show(&record.credential) {
            let public = "Too many requests with proofs at once.";
            let refusal = Refusal::new(Station::Identify, "too_many_proofs", Blame::Caller, Wire::Http(429), public);
            return Err(refusal.retry(Retry::After(Duration::from_secs(1))).knowing(record.known()));
        }
        let (name, until) = proven.once();
        let is_first = self.store.consume_once(dpop::ONCE, name, until, now).await.map_err(|error| unavailable(&error))?;
        let possession = proven.used_up(if is_first { Used::Never } else { Used::Before }).map_err(refused)?;
        Ok(verify_held(&inbound.presented, server, record, possession, now))
    }

    /// Why a caller is not the one any more that was verified, asked anew: for streams that live longer than one look-up.
    ///
    /// Whoever lost or won a group or a grant is another caller: the stream ends, and its client comes back as who it is now.
    pub(crate) async fn has_changed(&self, caller: &Caller, server: &ServerName, now: Timestamp) -> Option<Over> {
        let (record, door) = match self.records.proofs.get(caller.credential()) {
            None => return Some(Over::taken("credential_not_known_here")),
            Some(Proof::Stored(digest, door)) => (self.record(door, digest).await.ok(), door),
            Some(proof @ Proof::Attested(_)) => (self.look_up(&proof).await.ok(), Door::Key),
        };
        // Several tokens and certificates of one workload are one credential, and the last one stands here: its end is not that of this
        // caller, whose own is asked for before.
        let is_another_end = |why: Why| door == Door::Key && why == Why::Expired;
        let record = match record {
            Some(Some(record)) => record,
            Some(None) => return Some(Over::taken(Why::Revoked.reason())),
            None => return Some(Over::UNKNOWN),
        };
        if let Err(why) = record.counts(door, Some(server), now)
            && !(record.level != Level::StaticKey && is_another_end(why))
        {
            return Some(Over::taken(why.reason()));
        }
        match self.still_counts(&record).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Some(Over::taken(why.reason())),
            Err(_) => return Some(Over::UNKNOWN),
        }
        let same = record.user == *caller.user()
            && record.groups == caller.groups()
            && record.granted == *caller.granted()
            && record.agent.as_ref() == caller.agent()
            && record.bound.as_ref() == caller.bound()
            && record.via() == caller.via();
        (!same).then_some(Over::taken("caller_changed"))
    }

    /// Whether a credential that was accepted here counts no more. One that cannot be asked for is not over.
    pub(crate) async fn is_over(&self, credential: &CredentialId) -> bool {
        match self.records.proofs.get(credential) {
            Some(proof) => self.counts_no_more(&proof).await,
            None => false,
        }
    }

    /// The same of everything with which somebody came, or tried to come, through a client.
    pub(crate) async fn are_over(&self, (user, client): &(UserId, ClientId)) -> bool {
        let read = self.records.by_digest.iter();
        let own = read.filter(|(_, read)| read.found.record().user == *user && read.found.record().client == *client);
        let proof = |digest, found: &Found| match found {
            Found::Stored(record) if record.level == Level::OAuth => Some(Proof::Stored(digest, Door::OAuth)),
            Found::Stored(_) => Some(Proof::Stored(digest, Door::Key)),
            Found::Attested(identity) => self.records.proofs.get(&identity.record().credential),
        };
        let own: Vec<Proof> = own.filter_map(|(digest, read)| proof(digest, &read.found)).collect();
        for proof in &own {
            if !self.counts_no_more(proof).await {
                return false;
            }
        }
        !own.is_empty()
    }

    async fn counts_no_more(&self, proof: &Proof) -> bool {
        let door = match proof {
            Proof::Stored(_, door) => *door,
            Proof::Attested(_) => Door::Key,
        };
        // Past the cache, which would note a use.
        match self.look_up(proof).await {
            Ok(Some(record)) => match record.counts(door, None, self.env.now()) {
                Ok(()) => false,
                // Tokens run out and others follow; a key that ran out is over.
                Err(Why::Expired) => record.level == Level::StaticKey,
                Err(_) => true,
            },
            Ok(None) => true,
            Err(_) => false,
        }
    }

    async fn look_up(&self, proof: &Proof) -> Result<Option<Arc<Record>>, StoreError> {
        match proof {
            Proof::Stored(digest, Door::Key) => self.store.api_key(&TokenHash::from_stored(*digest)).await,
            Proof::Stored(digest, Door::OAuth) => {
                let found = self.store.access_token(&TokenHash::from_stored(*digest)).await?;
                Ok(found.map(|record| Record::called(Arc::clone(&record), self.agents.of(&record.client))))
            }
            Proof::Attested(attested) => self.met(attested).await.map(|identity| Some(Arc::clone(identity.record()))),
        }
    }

    /// Somebody for whom an issuer vouches, with what is known of them here now.
    async fn met(&self, attested: &Arc<Attested>) -> Result<Identity, StoreError> {
        let (groups, standing) = self.store.meet_user(attested.user(), self.env.now()).await?;
        Ok(attested.standing(groups, standing).called(self.agents.of(attested.client())))
    }

    /// Whom a configured issuer vouches for, where the token or certificate is one of theirs.
    async fn attested(&self, inbound: &Inbound) -> Result<Option<Found>, Refusal> {
        let presented = &inbound.presented;
        if presented.fault().is_some() {
            return Ok(None);
        }
        let several = |Several| Why::Fault(Fault::Several).refusal();
        let found = match presented.certificate() {
            Some(certificate) => self.issuers.of_certificates().map(|issuer| (issuer, *certificate.digest())),
            None => {
                let issuer = self.issuers.meant(Shown::Presented(presented)).map_err(several)?;
                issuer.and_then(|issuer| Some((issuer, presented.digest(issuer.rule.carrier)?)))
            }
        };
        let Some((issuer, digest)) = found else { return Ok(None) };
        let epoch = self.epoch.current();
        let read = self.records.by_digest.get(&digest);
        if let Some(read) = read.filter(|read| read.epoch == epoch && read.at.elapsed() < BELIEVED) {
            return Ok(Some(read.found));
        }
        let now = self.env.now();
        // Somebody else is asked on behalf of whoever shows it: nobody makes us do that without end by making tokens up.
        if issuer.would_ask(presented, now)
            && let Err(wait) = self.asking.check(inbound.peer)
        {
            let public = "Too many tokens that are not known here.";
            let refusal = Refusal::new(Station::Identify, "too_many_tokens", Blame::Caller, Wire::Http(429), public);
            return Err(refusal.retry(Retry::After(wait)).because(format!("tokens of idp.{}", issuer.rule.name)));
        }
        let (what, attested) = match presented.certificate() {
            Some(certificate) => ("certificate", issuer.attest_peer(certificate, now).map_err(NotAttested::Token)),
            None => ("token", issuer.attest(Shown::Presented(presented), Purpose::Call(self.root()), now).await),
        };
        let attested = match attested {
            Ok(attested) => attested,
            Err(NotAttested::Token(why)) => {
                self.records.by_digest.remove(&digest);
                return Err(Why::Unattested(why).refusal().because(format!("a {what} of idp.{}", issuer.rule.name)));
            }
            Err(NotAttested::Keys(trouble)) => return Err(no_keys(&issuer.rule, &trouble)),
        };
        let identity = self.met(&Arc::new(attested)).await.map_err(|error| unavailable(&error))?;
        let record = identity.record();
        if !self.is_attested_here(&record.user, &record.groups) {
            return Err(Why::Unattested(Unattested::NotAdmitted).refusal().knowing(record.known()));
        }
        let found = Found::Attested(Arc::new(identity));
        self.records.by_digest.insert(digest, Read { found: found.clone(), epoch, at: Instant::now() });
        Ok(Some(found))
    }

    /// Whether somebody for whom an issuer vouches may come in: where people sign in by the same issuer, under the same conditions on groups.
    pub(crate) fn is_attested_here(&self, user: &UserId, groups: &[GroupName]) -> bool {
        !self.providers.knows_issuer(user.issuer()) || self.may_come_in(user, groups)
    }

    /// Remembers who vouched, for streams; the first use of a token is on the record, with its digest.
    async fn accepted(&self, inbound: &Inbound, caller: &Caller, attested: Arc<Attested>) {
        let known = self.records.proofs.get(caller.credential());
        let is_known = matches!(&known, Some(Proof::Attested(known)) if known.token() == attested.token());
        if !is_known {
            let cause = format!("{} of {}", attested.token(), caller.client());
            let (user, client) = (Some(caller.user()), Some(caller.client()));
            let (id, server) = (Some(inbound.id), inbound.route.server.as_ref());
            self.note(&Notice { reason: "identity_accepted", id, user, client, server, cause: Some(&cause), ..Notice::default() }).await;
        }
        self.records.proofs.insert(caller.credential().clone(), Proof::Attested(attested));
    }

    async fn record(&self, door: Door, digest: [u8; 32]) -> Result<Option<Arc<Record>>, Refusal> {
        let epoch = self.epoch.current();
        if let Some(read) = self.records.by_digest.get(&digest).filter(|read| read.epoch == epoch && read.at.elapsed() < BELIEVED) {
            return Ok(Some(Arc::clone(read.found.record())));
        }
        match self.look_up(&Proof::Stored(digest, door)).await {
            Ok(Some(record)) => {
                let found = Found::Stored(Arc::clone(&record));
                self.records.by_digest.insert(digest, Read { found, epoch, at: Instant::now() });
                if door == Door::Key {
                    self.store.touch_api_key(&record.credential, self.env.now()).await.ok();
                }
                Ok(Some(record))
            }
            Ok(None) => {
                self.records.by_digest.remove(&digest);
                Ok(None)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// Fail closed: without the store nobody is anybody (FLT-03).
fn unavailable(error: &StoreError) -> Refusal {
    let public = "Doorward cannot check credentials at the moment.";
    Refusal::new(Station::Identify, "store_unavailable", Blame::Us, Wire::Http(503), public).because(error.to_string())
}

/// Without keys nobody knows whether a token is good: a 401 would make its client throw it away (`credentials.md` 4.1).
fn no_keys(rule: &IssuerRule, trouble: &Trouble) -> Refusal {
    let public = "Doorward cannot check tokens of this issuer at the moment.";
    let refusal = Refusal::new(Station::Identify, "keys_unavailable", Blame::Us, Wire::Http(503), public);
    refusal.retry(Retry::After(KEYS_AWAY)).because(format!("idp.{}: {trouble}", rule.name))
}
