//! What Google said of opaque access tokens, and for how long that counts (`credentials.md` 5.4).
//!
//! Of one token Google is asked by one request at a time, and at most once in [`KEPT`]; whoever shows the same token meanwhile waits for that
//! answer. A refusal is kept as an answer is. Where Google cannot be asked nobody knows, and that is kept for ten seconds. What strangers make
//! up is bounded three times: so many answers, so many questions at once, and by whoever counts requests of an address.

use super::ask::{Asked, Asker, Trouble};
use super::known::{REST, age, rests};
use doorward_core::identity::attested::Unattested;
use doorward_core::identity::issuer::IssuerRule;
use doorward_core::identity::tokeninfo::{Question, Told, Untold};
use doorward_core::oidc::provider::{Endpoint, Place};
use doorward_core::time::Timestamp;
use quick_cache::sync::Cache;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Turn, Semaphore};

/// What was said of tokens lately.
#[derive(Debug)]
pub(super) struct Heard {
    endpoint: Endpoint,
    by_digest: Cache<[u8; 32], Arc<Turn<Option<Said>>>>,
    /// Questions under way.
    asking: Semaphore,
    /// When it could not be reached last.
    failed: Mutex<Option<Timestamp>>,
}

/// What was said of one token.
#[derive(Debug)]
struct Said {
    told: Result<Result<Told, Unattested>, Trouble>,
    at: Timestamp,
}

/// What Google said of a token counts this long, and never longer than the token does.
const KEPT: Duration = Duration::from_secs(60);
/// Answers at most; the least used gives way.
const ANSWERS: usize = 4_096;
/// Questions at once.
const AT_ONCE: usize = 16;

impl Heard {
    /// Nothing yet, of the endpoint that the configuration names.
    pub(super) fn new(url: &str) -> Self {
        let endpoint = Endpoint { url: url.to_owned(), place: Place::Issuer };
        Self { endpoint, by_digest: Cache::new(ANSWERS), asking: Semaphore::new(AT_ONCE), failed: Mutex::default() }
    }

    /// Whether it is known what Google says of a token, so that nobody has to be asked.
    pub(super) fn knows(&self, question: &Question, now: Timestamp) -> bool {
        let known = self.by_digest.get(question.digest());
        known.is_some_and(|said| said.try_lock().map_or(true, |said| said.as_ref().is_some_and(|said| said.counts(now))))
    }

    /// What Google says of a token.
    ///
    /// # Errors
    /// [`Trouble`], where nobody knows.
    pub(super) async fn of(
        &self,
        question: &Question,
        rule: &IssuerRule,
        asker: &Asker,
        now: Timestamp,
    ) -> Result<Result<Told, Unattested>, Trouble> {
        let slot = self.by_digest.get_or_insert_with(question.digest(), || Ok::<_, Trouble>(Arc::default()))?;
        let mut said = slot.lock().await;
        if let Some(said) = said.as_ref().filter(|said| said.counts(now)) {
            return said.told.clone();
        }
        let told = self.asked(question, rule, asker, now).await;
        if told != Err(Trouble::Resting) {
            *said = Some(Said { told: told.clone(), at: now });
        }
        told
    }

    async fn asked(
        &self,
        question: &Question,
        rule: &IssuerRule,
        asker: &Asker,
        now: Timestamp,
    ) -> Result<Result<Told, Unattested>, Trouble> {
        if rests(*self.failed.lock().unwrap_or_else(PoisonError::into_inner), now) {
            return Err(Trouble::Resting);
        }
        // Whoever comes beyond that does not wait: a queue would be what a flood is for.
        let _one = self.asking.try_acquire().map_err(|_| Trouble::Resting)?;
        match asker.ask(&self.endpoint, Asked::TokenInfo(question)).await {
            Ok(said) => match question.answered(&said.body, rule) {
                Ok(told) => Ok(Ok(told)),
                Err(Untold::Unreadable) => Err(Trouble::Unreadable),
                Err(why) => Ok(Err(why.into())),
            },
            Err(Trouble::Unknown) => Ok(Err(Unattested::Unknown)),
            Err(trouble) => {
                tracing::warn!(issuer = %rule.name, %trouble, "nobody could be asked whose a token is");
                // Not for what it answers to one token: whoever makes those up would keep everybody else from being asked about.
                if matches!(trouble, Trouble::Unreachable(_) | Trouble::TimedOut) {
                    *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
                }
                Err(trouble)
            }
        }
    }
}

// === impl Said ===

impl Said {
    fn counts(&self, now: Timestamp) -> bool {
        age(self.at, now) < if self.told.is_ok() { KEPT } else { REST }
    }
}
