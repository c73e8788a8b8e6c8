//! Identity providers as the gateway meets them: what they said of themselves, their keys, and what they give for a code.
//!
//! Owns when a provider is asked and what is believed while it is away. What its words mean is decided in `doorward_core::oidc`. Must
//! not know browsers, pages or the store.

mod ask;
mod issuers;
mod known;
mod told;

pub(crate) use ask::{Asker, Trouble};
pub(crate) use issuers::{Issuer, Issuers, NotAttested, Shown};

use ask::Asked;
use doorward_core::config::login::IdentityProvider;
use doorward_core::id::{ClientId, ProviderName};
use doorward_core::oauth::form::encoded;
use doorward_core::oidc::answer::Tokens;
use doorward_core::oidc::grant::{self, Granted, Ungranted};
use doorward_core::oidc::jose::{BadToken, Signed, verify_as};
use doorward_core::oidc::journey::{Arrived, Journey, JourneyKey};
use doorward_core::oidc::keys::NoKey;
use doorward_core::oidc::logout::{self, LoggedOut, NotLoggedOut};
use doorward_core::oidc::provider::{ClientAuth, Metadata};
use doorward_core::oidc::token::{Expected, Unvouched, Vouched, vouch};
use doorward_core::secret::Secret;
use doorward_core::time::Timestamp;
use known::Known;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Mutex as Turn;

/// Every provider of the configuration, and the key that seals what is under way to them.
#[derive(Debug)]
pub(crate) struct Providers {
    by_name: BTreeMap<ProviderName, Arc<Provider>>,
    /// Seals journeys.
    pub(crate) key: JourneyKey,
}

/// One provider.
#[derive(Debug)]
pub(crate) struct Provider {
    /// What is configured.
    pub(crate) config: Arc<IdentityProvider>,
    secret: Secret<String>,
    asker: Asker,
    known: Mutex<Known>,
    /// One at a time asks.
    turn: Turn<()>,
}

/// Why nobody was signed in by a provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSignedIn {
    /// It could not be asked, or did not answer as it should.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// Its ID token is not one of its own.
    #[error("the ID token: {0}")]
    Token(#[from] BadToken),
    /// Its ID token is not about this sign-in.
    #[error("the ID token: {0}")]
    Claims(#[from] Unvouched),
    /// Its grant is not for this client, or not as it should be.
    #[error("the grant: {0}")]
    Grant(#[from] Ungranted),
    /// Its logout token says nothing that counts.
    #[error("the logout token: {0}")]
    Logout(#[from] NotLoggedOut),
}

// === impl Providers ===

impl Providers {
    /// These, and no others.
    pub(crate) fn new(providers: impl IntoIterator<Item = Provider>, key: JourneyKey) -> Self {
        let by_name = providers.into_iter().map(|provider| (provider.config.name.clone(), Arc::new(provider))).collect();
        Self { by_name, key }
    }

    /// By its name.
    pub(crate) fn find(&self, name: &ProviderName) -> Option<&Arc<Provider>> {
        self.by_name.get(name)
    }

    /// In the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.by_name.values()
    }

    /// Whether one of them has this issuer.
    pub(crate) fn knows_issuer(&self, issuer: &str) -> bool {
        self.by_name.values().any(|provider| provider.config.issuer == issuer)
    }
}

// === impl Provider ===

impl Provider {
    /// A provider that nobody has asked yet.
    pub(crate) fn new(config: Arc<IdentityProvider>, secret: Secret<String>, asker: Asker) -> Self {
        Self { config, secret, asker, known: Mutex::default(), turn: Turn::default() }
    }

    /// Where the browser goes with a sign-in.
    pub(crate) fn authorization(&self, metadata: &Metadata, journey: &Journey, redirect: &str) -> String {
        let challenge = journey.challenge();
        let scopes = self.config.scopes.join(" ");
        let pairs = [
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", redirect),
            ("scope", &scopes),
            ("state", journey.state()),
            ("nonce", journey.nonce()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let joint = if metadata.authorization.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}", metadata.authorization, query.join("&"))
    }

    /// Redeems a code and says whom the provider vouches for.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub(crate) async fn redeem(
        &self,
        metadata: &Metadata,
        arrived: &Arrived,
        redirect: &str,
        clock: impl Fn() -> Timestamp,
    ) -> Result<Vouched, NotSignedIn> {
        let tokens = self.tokens(metadata, arrived, redirect).await?;
        let signed = self.signed(tokens.id_token(), clock()).await?;
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: arrived.journey().nonce(),
            begun: arrived.journey().begun(),
            access_token: tokens.access_token(),
            leeway: self.config.leeway,
            groups_claim: &self.config.groups_claim,
            email_claim: &self.config.email_claim,
        };
        let vouched = vouch(&signed, &expected, clock())?;
        match (&metadata.userinfo, tokens.access_token()) {
            (Some(endpoint), Some(token)) if vouched.lacks_something() => {
                let said = self.asker.ask(endpoint, Asked::UserInfo(token)).await?;
                Ok(vouched.completed(&said.body, &expected)?)
            }
            _ => Ok(vouched),
        }
    }

    async fn tokens(&self, metadata: &Metadata, arrived: &Arrived, redirect: &str) -> Result<Tokens, Trouble> {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", arrived.code()),
            ("redirect_uri", redirect),
            ("code_verifier", arrived.verifier()),
        ];
        let basic = match metadata.auth {
            ClientAuth::Basic => Some((self.config.client_id.as_str(), &self.secret)),
            ClientAuth::Post => {
                pairs.extend([("client_id", self.config.client_id.as_str()), ("client_secret", self.secret.expose().as_str())]);
                None
            }
        };
        let said = self.asker.ask(&metadata.token, Asked::Tokens { pairs: &pairs, basic }).await?;
        Tokens::parse(&said.body).map_err(Trouble::Answer)
    }

    /// What the provider grants a client for a person (ID-JAG), held against its keys and against what is expected.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub(crate) async fn granted(
        &self,
        assertion: &str,
        (root, client): (&str, &ClientId),
        clock: impl Fn() -> Timestamp,
    ) -> Result<Granted, NotSignedIn> {
        let signed = self.signed_as(assertion, &[grant::KIND], clock()).await?;
        let expected = grant::Expected {
            issuer: &self.config.issuer,
            audience: root,
            client,
            leeway: self.config.leeway,
            groups_claim: &self.config.groups_claim,
            email_claim: &self.config.email_claim,
        };
        Ok(grant::grant(&signed, &expected, clock())?)
    }

    /// Who signed out at the provider, by its logout token.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub(crate) async fn logged_out(&self, token: &str, clock: impl Fn() -> Timestamp) -> Result<LoggedOut, NotSignedIn> {
        let signed = self.signed_as(token, logout::kinds(token), clock()).await?;
        let (issuer, client_id, leeway) = (&self.config.issuer, &self.config.client_id, self.config.leeway);
        Ok(logout::log_out(&signed, &logout::Expected { issuer, client_id, leeway }, clock())?)
    }

    /// Holds an ID token against the keys. One that names a key nobody has seen makes them be read anew, at most once in a while.
    async fn signed(&self, token: &str, now: Timestamp) -> Result<Signed, NotSignedIn> {
        self.signed_as(token, &[], now).await
    }

    /// The same of a token of these kinds.
    async fn signed_as(&self, token: &str, kinds: &[&str], now: Timestamp) -> Result<Signed, NotSignedIn> {
        let algs = &self.config.algs;
        let keys = self.keys(now).await?;
        match verify_as(token, &keys, algs, kinds) {
            Err(BadToken::Key(NoKey::Unknown)) => Ok(verify_as(token, &*self.newer_keys(now).await?, algs, kinds)?),
            other => Ok(other?),
        }
    }
}

impl NotSignedIn {
    /// For the record: a short stable word.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Trouble(trouble) => trouble.reason(),
            Self::Token(BadToken::Algorithm) => "bad_alg".to_owned(),
            Self::Token(BadToken::Key(_)) => "bad_key".to_owned(),
            Self::Token(BadToken::Signature) => "bad_signature".to_owned(),
            Self::Token(BadToken::Form | BadToken::Extension | BadToken::Kind) => "bad_token".to_owned(),
            Self::Claims(why) => why.to_string(),
            Self::Grant(why) => why.to_string(),
            Self::Logout(why) => why.to_string(),
        }
    }

    /// The same of a grant, whose reasons are all known beforehand.
    pub(crate) const fn reason_of_grant(&self) -> &'static str {
        match self {
            Self::Trouble(_) => "keys_unavailable",
            Self::Token(BadToken::Algorithm) => "bad_alg",
            Self::Token(BadToken::Key(_)) => "bad_key",
            Self::Token(BadToken::Signature) => "bad_signature",
            Self::Token(BadToken::Form | BadToken::Extension | BadToken::Kind) | Self::Logout(_) => "bad_token",
            Self::Grant(Ungranted::Client) => "assertion_client",
            Self::Grant(Ungranted::Resource) => "no_resource",
            Self::Grant(Ungranted::TooLong) => "lifetime_too_long",
            Self::Grant(Ungranted::Old) => "too_old",
            Self::Grant(Ungranted::Id) => "assertion_id",
            Self::Grant(Ungranted::Scope) => "missing_claim",
            Self::Claims(why) | Self::Grant(Ungranted::Claims(why)) => match why {
                Unvouched::Issuer => "wrong_issuer",
                Unvouched::Audience => "wrong_audience",
                Unvouched::Expired => "expired_credential",
                Unvouched::Early => "not_yet_valid",
                Unvouched::Subject => "subject_not_allowed",
                Unvouched::Groups | Unvouched::TooManyGroups => "bad_groups",
                _ => "missing_claim",
            },
        }
    }
}
