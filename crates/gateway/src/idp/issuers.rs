//! Issuers whose tokens count at `/k/...`, and their keys (credentials 4.3; attacks FLT-08, FLT-12).
//!
//! A request waits for keys only where there are none: keys that are due to be read anew are read by one request, and the others go on
//! with those that are there. A token that names a key nobody has seen makes an issuer be asked at most once in [`COOL`], whoever shows
//! it, and whoever shows known ones does not wait for that. What a token means is decided in `doorward_core::identity::attested`.

use super::ask::{Asked, Asker, Trouble};
use super::known::{COOL, DAY, KEYS_FRESH, KEYS_LEAST, METADATA_FRESH, Read, last_good, rests};
use super::told::Heard;
use crate::tasks::Tasks;
use bytes::Bytes;
use doorward_core::config::login::KeysAt;
use doorward_core::id::{ClientId, UserId};
use doorward_core::identity::attested::{
    Attested, PREFIX, Purpose, Several, Unattested, attest, attest_peer, attest_text, attest_told, meant, meant_by,
};
use doorward_core::identity::issuer::{Carrier, IssuerKind, IssuerRule};
use doorward_core::identity::presented::Presented;
use doorward_core::identity::svid::PeerCertificate;
use doorward_core::identity::tokeninfo::Question;
use doorward_core::oidc::jose::BadToken;
use doorward_core::oidc::keys::{BadKeys, KeySet, NoKey, Usage};
use doorward_core::oidc::provider::{Endpoint, Place, address, keys_of};
use doorward_core::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex as Turn;

/// Every issuer of the configuration.
#[derive(Debug)]
pub(crate) struct Issuers {
    all: Vec<Arc<Issuer>>,
}

/// One issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) rule: IssuerRule,
    asker: Asker,
    at: KeysAt,
    known: Mutex<Known>,
    /// Of tokens that show nothing by themselves.
    heard: Option<Heard>,
    /// One at a time reads keys.
    turn: Turn<()>,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Known {
    endpoint: Option<Read<Endpoint>>,
    keys: Option<Read<KeySet>>,
    failed: Option<Timestamp>,
}

/// Why nobody is attested.
#[derive(Debug)]
pub(crate) enum NotAttested {
    /// The token shows nobody.
    Token(Unattested),
    /// Nobody knows: there are no keys to hold it against.
    Keys(Trouble),
}

/// A token, where it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// In the headers of a request.
    Presented(&'a Presented),
    /// In a form.
    Form(&'a str),
}

/// What is wanted of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Those that are known, while they are fresh.
    Fresh,
    /// Not from before the last half minute: a token names one that is not known.
    Newer,
}

/// Longest file of keys, in bytes: as long as what is read at an address.
const LONGEST_FILE: u64 = 256 * 1024;

// === impl Issuers ===

impl Issuers {
    /// These, and no others.
    pub(crate) fn new(all: impl IntoIterator<Item = Issuer>) -> Self {
        Self { all: all.into_iter().map(Arc::new).collect() }
    }

    /// Whose token is shown, if it is one of theirs.
    ///
    /// # Errors
    /// [`Several`] issuers could be meant.
    pub(crate) fn meant(&self, shown: Shown<'_>) -> Result<Option<&Arc<Issuer>>, Several> {
        let rules = self.all.iter().map(|issuer| &issuer.rule);
        let rule = match shown {
            Shown::Presented(presented) => meant(presented, rules)?,
            Shown::Form(token) => meant_by(token, rules),
        };
        Ok(rule.and_then(|rule| self.all.iter().find(|issuer| issuer.rule.name == rule.name)))
    }

    /// Whose certificates of clients count. One at most: its authorities are those of the listener.
    pub(crate) fn of_certificates(&self) -> Option<&Arc<Issuer>> {
        self.all.iter().find(|issuer| issuer.rule.forms.has_certificates())
    }

    /// Headers that an issuer is configured for, besides `Authorization`.
    pub(crate) fn carriers(&self) -> Vec<Carrier> {
        self.all.iter().map(|issuer| issuer.rule.carrier).filter(|carrier| *carrier != Carrier::Authorization).collect()
    }

    /// Whether a proxy says beside a request who makes it, to an issuer of these.
    pub(crate) fn assert(&self, presented: &Presented) -> bool {
        self.all.iter().any(|issuer| issuer.rule.carrier != Carrier::Authorization && presented.carries(issuer.rule.carrier))
    }

    /// Whether some token of theirs may be a grant: it has to come in a form.
    pub(crate) fn take_grants(&self) -> bool {
        self.all.iter().any(|issuer| issuer.rule.may_grant())
    }

    /// Whether the configuration still gives a user what they were given for a token of an issuer.
    pub(crate) fn still_give(&self, client: &ClientId, user: &UserId, granted: &BTreeSet<String>) -> bool {
        let name = client.as_str().strip_prefix(PREFIX).map(|rest| rest.split_once('/').map_or(rest, |(name, _)| name));
        let rule = self.all.iter().map(|issuer| &issuer.rule).find(|rule| Some(rule.name.as_str()) == name);
        rule.is_some_and(|rule| {
            let gives: BTreeSet<String> = rule.scopes.iter().map(ToString::to_string).collect();
            let counts = rule.subjects.is_empty() || rule.subjects.iter().any(|pattern| pattern.matches(user.subject()));
            rule.issuer() == user.issuer() && counts && granted.is_subset(&gives)
        })
    }
}

// === impl Issuer ===

impl Issuer {
    /// An issuer that nobody has asked yet.
    pub(crate) fn new(rule: IssuerRule, at: KeysAt, asker: Asker, tasks: Tasks) -> Self {
        let heard = if let KeysAt::TokenInfo(url) = &at { Some(Heard::new(url)) } else { None };
        Self { rule, asker, at, known: Mutex::default(), heard, turn: Turn::default(), tasks }
    }

    /// Reads keys that stand in a file, to say at start what is wrong with it.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn try_file(&self) -> Result<(), Trouble> {
        match &self.at {
            KeysAt::File(path) => keys_in(std::fs::read(path).map_err(|_| Trouble::File)?, self.usage()).map(drop),
            _ => Ok(()),
        }
    }

    /// Whom the issuer vouches for in what is shown.
    ///
    /// # Errors
    /// [`NotAttested`].
    pub(crate) async fn attest(self: &Arc<Self>, shown: Shown<'_>, purpose: Purpose<'_>, now: Timestamp) -> Result<Attested, NotAttested> {
        if self.heard.is_some() {
            return self.attest_heard(shown, now).await;
        }
        let held = |keys: &KeySet| match shown {
            Shown::Presented(presented) => attest(presented, &self.rule, keys, purpose, now),
            Shown::Form(token) => attest_text(token, &self.rule, keys, purpose, now),
        };
        match held(&*self.keys(Wanted::Fresh, now).await.map_err(NotAttested::Keys)?) {
            Err(Unattested::Token(BadToken::Key(NoKey::Unknown))) => {
                let keys = self.keys(Wanted::Newer, now).await.map_err(NotAttested::Keys)?;
                held(&keys).map_err(NotAttested::Token)
            }
            other => other.map_err(NotAttested::Token),
        }
    }

    /// Whether somebody has to be asked beyond this gateway before it is known whose what is presented is.
    pub(crate) fn would_ask(&self, presented: &Presented, now: Timestamp) -> bool {
        let question = self.heard.as_ref().zip(Question::about(presented, &self.rule));
        question.is_some_and(|(heard, question)| !heard.knows(&question, now))
    }

    /// Whom Google names for an opaque token. Only in a request: as a grant it would buy what outlives it.
    async fn attest_heard(self: &Arc<Self>, shown: Shown<'_>, now: Timestamp) -> Result<Attested, NotAttested> {
        let Shown::Presented(presented) = shown else { return Err(NotAttested::Token(Unattested::Issuer)) };
        let question = Question::about(presented, &self.rule).ok_or(NotAttested::Token(Unattested::Issuer))?;
        // As for keys: what was begun is brought to its end.
        let issuer = Arc::clone(self);
        let told = self.tasks.supervise(async move {
            let heard = issuer.heard.as_ref().ok_or(Trouble::Resting)?;
            heard.of(&question, &issuer.rule, &issuer.asker, now).await
        });
        let told = told.await.unwrap_or(Err(Trouble::Resting)).map_err(NotAttested::Keys)?;
        attest_told(presented, &told.map_err(NotAttested::Token)?, &self.rule, now).map_err(NotAttested::Token)
    }

    /// Whom the issuer vouches for in the certificate of a connection. Its authorities have spoken in the handshake: there are no keys to ask for.
    ///
    /// # Errors
    /// [`Unattested`].
    pub(crate) fn attest_peer(&self, certificate: &PeerCertificate, now: Timestamp) -> Result<Attested, Unattested> {
        attest_peer(certificate, &self.rule, now)
    }

    const fn usage(&self) -> Usage {
        match self.rule.kind {
            IssuerKind::Spiffe => Usage::JwtSvid,
            _ => Usage::Signatures,
        }
    }

    async fn keys(self: &Arc<Self>, wanted: Wanted, now: Timestamp) -> Result<Arc<KeySet>, Trouble> {
        if let Some(keys) = self.known(wanted, now) {
            return Ok(keys);
        }
        if wanted == Wanted::Fresh && self.turn.try_lock().is_err() {
            // Somebody reads them already.
            if let Some(keys) = self.look(|known| last_good(known.keys.as_ref(), now)) {
                return Ok(keys);
            }
        }
        // Whoever asked may go away: what they began is brought to its end, so that nobody makes an issuer be asked again and again.
        let issuer = Arc::clone(self);
        self.tasks.supervise(async move { issuer.in_turn(wanted, now).await }).await.unwrap_or(Err(Trouble::Resting))
    }

    async fn in_turn(&self, wanted: Wanted, now: Timestamp) -> Result<Arc<KeySet>, Trouble> {
        let _turn = self.turn.lock().await;
        match self.known(wanted, now) {
            Some(keys) => Ok(keys),
            None => self.read(now).await,
        }
    }

    fn known(&self, wanted: Wanted, now: Timestamp) -> Option<Arc<KeySet>> {
        let counts = |read: &&Read<KeySet>| match wanted {
            Wanted::Fresh => read.is_fresh(now),
            Wanted::Newer => read.age(now) < COOL,
        };
        self.look(|known| known.keys.as_ref().filter(counts).map(|read| Arc::clone(&read.value)))
    }

    fn look<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Only under the turn.
    async fn read(&self, now: Timestamp) -> Result<Arc<KeySet>, Trouble> {
        if self.look(|known| rests(known.failed, now)) {
            return self.look(|known| last_good(known.keys.as_ref(), now)).ok_or(Trouble::Resting);
        }
        match self.asked(now).await {
            Ok((keys, fresh)) => {
                let value = Arc::new(keys);
                let read = Read { value: Arc::clone(&value), at: now, fresh };
                self.change(|known| (known.keys, known.failed) = (Some(read), None));
                Ok(value)
            }
            Err(trouble) => {
                tracing::warn!(issuer = %self.rule.name, %trouble, "the keys of an issuer could not be read");
                // A private key in it: whoever can read the set can sign. An empty one is no word: it wipes no good keys (FLT-08).
                let is_lost = matches!(trouble, Trouble::Keys(BadKeys::Private));
                self.change(|known| {
                    known.failed = Some(now);
                    if is_lost {
                        known.keys = None;
                    }
                });
                self.look(|known| last_good(known.keys.as_ref(), now)).ok_or(trouble)
            }
        }
    }

    async fn asked(&self, now: Timestamp) -> Result<(KeySet, std::time::Duration), Trouble> {
        let endpoint = match &self.at {
            // Again soon: whoever changes the file wants it to count.
            KeysAt::File(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|_| Trouble::File)?;
                let mut text = Vec::new();
                file.take(LONGEST_FILE + 1).read_to_end(&mut text).await.map_err(|_| Trouble::File)?;
                return keys_in(text, self.usage()).map(|keys| (keys, KEYS_LEAST));
            }
            KeysAt::Address(url) => Endpoint { url: url.clone(), place: Place::Issuer },
            KeysAt::Discovery => self.described(now).await?,
            KeysAt::TokenInfo(_) | KeysAt::Nowhere => return Err(Trouble::Keys(BadKeys::Empty)),
        };
        let said = self.asker.ask(&endpoint, Asked::Document).await?;
        let keys = KeySet::parse_of(&said.body, self.usage()).map_err(Trouble::Keys)?;
        Ok((keys, said.fresh.unwrap_or(KEYS_FRESH).clamp(KEYS_LEAST, DAY)))
    }

    /// Where its metadata says that its keys are.
    async fn described(&self, now: Timestamp) -> Result<Endpoint, Trouble> {
        let known = |known: &Known| known.endpoint.as_ref().filter(|read| read.is_fresh(now)).map(|read| Endpoint::clone(&read.value));
        if let Some(endpoint) = self.look(known) {
            return Ok(endpoint);
        }
        let issuer = self.rule.issuer();
        let said = self.asker.ask(&Endpoint { url: address(issuer), place: Place::Issuer }, Asked::Document).await?;
        let endpoint = keys_of(&said.body, issuer).map_err(Trouble::Metadata)?;
        let read = Read { value: Arc::new(endpoint.clone()), at: now, fresh: METADATA_FRESH };
        self.change(|known| known.endpoint = Some(read));
        Ok(endpoint)
    }
}

fn keys_in(text: Vec<u8>, usage: Usage) -> Result<KeySet, Trouble> {
    if text.len() as u64 > LONGEST_FILE {
        return Err(Trouble::File);
    }
    KeySet::parse_of(&Bytes::from(text), usage).map_err(Trouble::Keys)
}
