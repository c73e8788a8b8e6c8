//! One token of Doorward's own that many ask for: one is fetched at a time, and whoever waits for it shares its end (credentials 6.2 to
//! 6.4). What still counts is used while another one cannot be had; nothing that has ended is.

use arc_swap::ArcSwapOption;
use doorward_core::credential::RENEW;
use doorward_core::credential::google::LEAST_LEFT;
use doorward_core::credential::google::answer::Token;
use doorward_core::credential::google::trouble::Trouble;
use doorward_core::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A token, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Held {
    kept: ArcSwapOption<Token>,
    /// One at a time fetches; with why and when it failed last.
    turn: tokio::sync::Mutex<Option<(Trouble, Timestamp)>>,
}

impl Held {
    /// What is kept, or what `fetch` gets.
    ///
    /// # Errors
    /// [`Trouble`] of the fetching, to everybody who waited for it, and for a while after it.
    pub(super) async fn token<F>(&self, clock: impl Fn() -> Timestamp, fetch: impl FnOnce() -> F) -> Result<Arc<Token>, Trouble>
    where
        F: Future<Output = Result<Token, Trouble>>,
    {
        let with = |left: Duration| self.kept.load_full().filter(|token| token.expires.since(clock()) > left);
        if let Some(token) = with(RENEW) {
            return Ok(token);
        }
        let mut failed = self.turn.lock().await;
        if let Some(token) = with(RENEW) {
            return Ok(token);
        }
        if let Some((trouble, at)) = failed.as_ref()
            && clock().since(*at) < trouble.rest()
        {
            return with(LEAST_LEFT).ok_or_else(|| trouble.clone());
        }
        match fetch().await {
            Ok(token) => {
                let token = Arc::new(token);
                self.kept.store(Some(Arc::clone(&token)));
                *failed = None;
                Ok(token)
            }
            Err(trouble) => {
                *failed = Some((trouble.clone(), clock()));
                with(LEAST_LEFT).ok_or(trouble)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::credential::google::answer::Life;
    use doorward_core::credential::google::trouble::{DENIED, Why};
    use doorward_core::secret::Secret;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    const START: u64 = 1_000_000;

    fn token(now: u64, seconds: u64) -> Token {
        let expires = Timestamp::from_millis(now + seconds * 1_000);
        Token { secret: Secret::new("t".to_owned()), expires, life: Life::Told, scopes: None }
    }

    fn denied() -> Trouble {
        Trouble::new("h".to_owned(), Why::Refused { status: 403, code: String::new(), reason: String::new(), after: None })
    }

    #[tokio::test]
    async fn cld_04_many_who_ask_at_once_cost_one_question() {
        let (held, asked) = (Held::default(), AtomicUsize::new(0));
        let clock = || Timestamp::from_millis(START);
        let one = || {
            held.token(clock, || async {
                asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(token(START, 3_600))
            })
        };
        let all = (0..1_000).map(|_| one());
        for task in all {
            assert!(task.await.is_ok());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn cld_04_what_still_counts_is_used_in_an_outage_and_a_denial_rests_and_passes() {
        let (held, now, asked) = (Held::default(), AtomicU64::new(START), AtomicUsize::new(0));
        let clock = || Timestamp::from_millis(now.load(Ordering::SeqCst));
        let good = || held.token(clock, || async { Ok(token(clock().as_millis(), 600)) });
        let bad = || {
            held.token(clock, || async {
                asked.fetch_add(1, Ordering::SeqCst);
                Err(denied())
            })
        };
        assert!(good().await.is_ok());
        now.fetch_add(400_000, Ordering::SeqCst);
        assert!(bad().await.is_ok(), "200 s are left");
        assert!(bad().await.is_ok() && asked.load(Ordering::SeqCst) == 1, "and nobody asks again at once");
        now.fetch_add(191_000, Ordering::SeqCst);
        assert!(bad().await.is_err(), "9 s are left");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert!(good().await.is_err(), "a denial rests");
        now.fetch_add(u64::try_from(DENIED.as_millis()).expect("fits"), Ordering::SeqCst);
        assert!(good().await.is_ok(), "and is never for good");
    }
}
