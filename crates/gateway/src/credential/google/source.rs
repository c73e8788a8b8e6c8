//! Who Doorward itself is at Google: the account of this machine, or a credential file; and the tokens that come of it (credentials 9.2 to
//! 9.6). Never anybody else when one of them fails.

use super::carry::Carrier;
use super::held::Held;
use crate::credential::Till;
use crate::sources::file;
use bytes::Bytes;
use doorward_core::credential::aws::sigv4::Keys;
use doorward_core::credential::google::answer::{Answer, Life, Token};
use doorward_core::credential::google::ask::{self, Ask, Becoming};
use doorward_core::credential::google::file::external::{Aws, External, SubjectSource};
use doorward_core::credential::google::file::{CredentialFile, ExternalUser, Impersonated, Kind, ServiceAccount};
use doorward_core::credential::google::mapping::Grant;
use doorward_core::credential::google::places::Places;
use doorward_core::credential::google::sign::Purpose;
use doorward_core::credential::google::subject::{self, AwsVariables, NoSubject};
use doorward_core::credential::google::trouble::{Trouble, Why};
use doorward_core::credential::google::{Account, Lifetime, Scopes};
use doorward_core::id::UserId;
use doorward_core::secret::{Secret, hex, sha256};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Who Doorward itself is.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) carrier: Carrier,
    pub(super) places: Places,
    pub(super) who: Who,
    pub(super) aws: AwsVariables,
    /// Its token for becoming others.
    pub(super) held: Held,
    /// The account of this machine, once its metadata server told.
    pub(super) machine: OnceCell<Account>,
}

/// The two kinds of identities.
#[derive(Debug)]
pub(super) enum Who {
    /// The account of this machine.
    Machine,
    /// A credential file.
    File(CredentialFile),
}

type Minting<'a> = Pin<Box<dyn Future<Output = Result<Token, Trouble>> + Send + 'a>>;

/// An impersonated token between a credential and the one that is asked for.
const BETWEEN: Lifetime = Lifetime::DEFAULT;

impl Source {
    /// In words for the record, without asking anybody.
    pub(super) fn described(&self) -> String {
        match &self.who {
            Who::Machine => self.machine.get().map_or_else(|| "the account of this machine".to_owned(), Account::to_string),
            Who::File(file) => file.account().map_or_else(|| file.kind.word().to_owned(), Account::to_string),
        }
    }

    /// How a role is given to it, as far as that is known.
    pub(super) fn member(&self) -> Option<String> {
        let account = match &self.who {
            Who::Machine => self.machine.get(),
            Who::File(file) => file.account(),
        };
        account.map(|account| format!("serviceAccount:{account}"))
    }

    /// Which account Doorward itself is, as far as it is one and anybody can tell. The metadata server is asked once.
    ///
    /// # Errors
    /// [`Trouble`] of the metadata server.
    pub(super) async fn own(&self) -> Result<Option<&Account>, Trouble> {
        match &self.who {
            Who::File(file) => Ok(file.account()),
            Who::Machine => {
                let ask = ask::metadata_email(&self.places);
                self.machine.get_or_try_init(|| self.carrier.carry(&ask, |answer, _| answer.metadata_email())).await.map(Some)
            }
        }
    }

    /// An access token of Doorward's own identity with these scopes.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(super) async fn access(&self, scopes: &Scopes, till: &Till<'_>) -> Result<Token, Trouble> {
        match &self.who {
            Who::Machine => {
                let ask = ask::metadata_token(&self.places, Some(scopes));
                self.carrier.carry(&ask, Answer::metadata_token).await
            }
            Who::File(file) => self.of_file(&file.kind, scopes, Asked::Exactly, till).await,
        }
    }

    /// An access token of the account that a grant says, as whom nobody is more than the grant says.
    ///
    /// # Errors
    /// [`Trouble`]; [`Why::OwnAccount`] if that account is Doorward's own.
    pub(super) async fn become_granted(&self, grant: &Grant, delegates: &[Account], till: &Till<'_>) -> Result<Token, Trouble> {
        let bearer = self.for_becoming(&grant.account, till).await?;
        let becoming = Becoming { target: &grant.account, delegates };
        let ask = ask::access_token(&self.places, &becoming, &grant.scopes, grant.lifetime, &bearer.secret);
        self.carrier.carry(&ask, Answer::impersonated).await
    }

    /// An ID token for `audience`: of `account`, or of Doorward's own identity.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(super) async fn identity(
        &self,
        audience: &str,
        account: Option<(&Account, &[Account])>,
        till: &Till<'_>,
    ) -> Result<Token, Trouble> {
        if let Some((target, delegates)) = account {
            let bearer = self.for_becoming(target, till).await?;
            return self.generated(audience, (target, delegates), &bearer.secret).await;
        }
        let file = match &self.who {
            Who::Machine => {
                let ask = ask::metadata_identity(&self.places, audience);
                return self.carrier.carry(&ask, |answer, times| answer.metadata_identity(audience, times)).await;
            }
            Who::File(file) => &file.kind,
        };
        match file {
            Kind::Account(account) => {
                let purpose = Purpose::Identity { audience: account.token_uri(), target: audience };
                let ask = self.grant(account, &purpose)?;
                self.carrier.carry(&ask, |answer, times| answer.id_token("id_token", audience, times)).await
            }
            Kind::Impersonated(file) => {
                let bearer = self.of_file(&file.source, &Scopes::cloud(), Asked::AtLeast, till).await?;
                self.generated(audience, (&file.target, &file.delegates), &bearer.secret).await
            }
            Kind::External(file) => {
                let Some(becoming) = &file.impersonation else { return Err(no_identity()) };
                let bearer = self.federated(file, &Scopes::iam()).await?;
                self.generated(audience, (&becoming.target, &[]), &bearer.secret).await
            }
            Kind::User(_) | Kind::ExternalUser(_) => Err(no_identity()),
        }
    }

    async fn generated(&self, audience: &str, becoming: (&Account, &[Account]), bearer: &Secret<String>) -> Result<Token, Trouble> {
        let becoming = Becoming { target: becoming.0, delegates: becoming.1 };
        let ask = ask::id_token(&self.places, &becoming, audience, bearer);
        self.carrier.carry(&ask, |answer, times| answer.id_token("token", audience, times)).await
    }

    /// The token that IAM wants to see, from whoever may become `target`. Never for Doorward's own account: what comes of that is not
    /// narrower (credentials 9.9).
    async fn for_becoming(&self, target: &Account, till: &Till<'_>) -> Result<Arc<Token>, Trouble> {
        if self.own().await?.is_some_and(|own| own == target) {
            return Err(Trouble::new("Google".to_owned(), Why::OwnAccount));
        }
        let clock = || self.carrier.env().now();
        let scopes = Scopes::cloud();
        self.held
            .token(clock, || async {
                match &self.who {
                    Who::Machine => self.access(&scopes, till).await,
                    Who::File(file) => self.of_file(&file.kind, &scopes, Asked::AtLeast, till).await,
                }
            })
            .await
    }

    fn of_file<'a>(&'a self, kind: &'a Kind, scopes: &'a Scopes, asked: Asked, till: &'a Till<'_>) -> Minting<'a> {
        // Boxed: credentials stand in credentials, one level deep.
        Box::pin(async move {
            match kind {
                Kind::User(user) => {
                    // What a person allowed once is all that their token can be for; IAM is part of it, or is not.
                    let scopes = Some(scopes).filter(|_| asked == Asked::Exactly);
                    self.carrier.carry(&ask::refresh(user, scopes), Answer::access_token).await
                }
                Kind::Account(account) => self.of_account(account, scopes).await,
                Kind::Impersonated(file) => self.of_impersonated(file, scopes, till).await,
                Kind::External(external) => self.of_workload(external, scopes).await,
                Kind::ExternalUser(user) => self.of_external_user(user, till).await,
            }
        })
    }

    async fn of_account(&self, account: &ServiceAccount, scopes: &Scopes) -> Result<Token, Trouble> {
        if self.places.universe() != Places::google().universe() {
            // Other universes have no token endpoint: what the key signs is the token.
            let now = self.carrier.env().now();
            let secret = account.itself(scopes, now).map_err(|bad| here(bad.to_string()))?;
            let expires = now.after(ServiceAccount::LIFE);
            return Ok(Token { secret, expires, life: Life::Told, scopes: None });
        }
        let purpose = Purpose::Access { audience: account.token_uri(), scopes, subject: None };
        self.carrier.carry(&self.grant(account, &purpose)?, Answer::access_token).await
    }

    fn grant(&self, account: &ServiceAccount, purpose: &Purpose<'_>) -> Result<Ask, Trouble> {
        ask::grant(account, purpose, self.carrier.env().now()).map_err(|bad| here(bad.to_string()))
    }

    async fn of_impersonated(&self, file: &Impersonated, scopes: &Scopes, till: &Till<'_>) -> Result<Token, Trouble> {
        let bearer = self.of_file(&file.source, &Scopes::cloud(), Asked::AtLeast, till).await?;
        let becoming = Becoming { target: &file.target, delegates: &file.delegates };
        let ask = ask::access_token(&self.places, &becoming, scopes, BETWEEN, &bearer.secret);
        self.carrier.carry(&ask, Answer::impersonated).await
    }

    async fn of_workload(&self, external: &External, scopes: &Scopes) -> Result<Token, Trouble> {
        let Some(impersonation) = &external.impersonation else { return self.federated(external, scopes).await };
        let bearer = self.federated(external, &Scopes::iam()).await?;
        let becoming = Becoming { target: &impersonation.target, delegates: &[] };
        let ask = ask::access_token(&self.places, &becoming, scopes, impersonation.lifetime, &bearer.secret);
        self.carrier.carry(&ask, Answer::impersonated).await
    }

    async fn federated(&self, external: &External, scopes: &Scopes) -> Result<Token, Trouble> {
        let subject = self.subject(external).await?;
        self.carrier.carry(&ask::exchange_subject(external, &subject, scopes), Answer::access_token).await
    }

    async fn subject(&self, external: &External) -> Result<Secret<String>, Trouble> {
        match &external.source {
            SubjectSource::File { path, format } => {
                // Read anew each time: whoever writes it renews it.
                let (read, _) = file::document(path).map_err(|cause| here(format!("credential_source.file: {cause}")))?;
                subject::token(&Bytes::from(read), format).map_err(no_subject)
            }
            SubjectSource::Url { url, headers, format } => {
                let ask = subject::at(url, headers);
                let read =
                    |answer: &Answer, _| subject::token(answer.bytes()?, format).map_err(|bad| answer.trouble(Why::Here(bad.to_string())));
                self.carrier.carry(&ask, read).await
            }
            SubjectSource::Aws(aws) => {
                let now = self.carrier.env().now();
                let (region, keys) = self.of_aws(aws).await?;
                let keys = keys.as_ref().or(self.aws.keys.as_ref()).ok_or_else(|| no_subject(NoSubject::Keys))?;
                subject::signed_request(&external.audience, &region, keys, now).map_err(no_subject)
            }
        }
    }

    /// Region and keys: of variables, else of the metadata service of AWS, in a session of its second version alone.
    async fn of_aws(&self, aws: &Aws) -> Result<(String, Option<Keys>), Trouble> {
        let known = self.aws.region.clone();
        if let (Some(region), true) = (&known, self.aws.keys.is_some()) {
            return Ok((region.clone(), None));
        }
        let session_url = aws.session_url.as_deref().ok_or_else(|| no_subject(NoSubject::Keys))?;
        let text = |answer: &Answer, _| {
            let text = std::str::from_utf8(answer.bytes()?).ok().map(|text| text.trim().to_owned());
            text.filter(|text| !text.is_empty() && text.len() <= 4_096).ok_or_else(|| answer.trouble(Why::Form("it is no text")))
        };
        let session = Secret::new(self.carrier.carry(&subject::imds_session(session_url), text).await?);
        let region = match (known, &aws.region_url) {
            (Some(region), _) => region,
            (None, Some(url)) => {
                let zone = self.carrier.carry(&subject::imds(url, &session), text).await?;
                subject::region_of(&zone).map_err(no_subject)?
            }
            (None, None) => return Err(no_subject(NoSubject::Region)),
        };
        if self.aws.keys.is_some() {
            return Ok((region, None));
        }
        let roles = aws.keys_url.as_deref().ok_or_else(|| no_subject(NoSubject::Keys))?;
        let role = self.carrier.carry(&subject::imds(roles, &session), text).await?;
        let url = subject::keys_url(aws, &role).map_err(no_subject)?;
        let read = |answer: &Answer, _| subject::keys(answer.bytes()?).map_err(|bad| answer.trouble(Why::Here(bad.to_string())));
        let keys = self.carrier.carry(&subject::imds(&url, &session), read).await?;
        Ok((region, Some(keys)))
    }

    /// The provider may give another refresh token with each access token; then the one before counts no more. The new one is in the
    /// vault before the access token is used (credentials 8.4).
    async fn of_external_user(&self, user: &ExternalUser, till: &Till<'_>) -> Result<Token, Trouble> {
        let lost = |_| here("the refresh token that the provider gave last is not at hand: the vault does not answer".to_owned());
        let owner = UserId::new("doorward", "gateway").map_err(|bad| here(bad.to_string()))?;
        let digest = sha256(user.refresh_token().expose().as_bytes());
        let name = format!("google-refresh-{}", hex(&digest));
        let kept = till.store.secret(&owner, &name).await.map_err(lost)?;
        let kept = kept.and_then(|(value, _)| String::from_utf8(value.expose().clone()).ok()).map(Secret::new);
        let ask = ask::refresh_external(user, kept.as_ref().unwrap_or_else(|| user.refresh_token()));
        let both = |answer: &Answer, times| Ok((answer.access_token(times)?, answer.next_refresh_token()?));
        let (token, next) = self.carrier.carry(&ask, both).await?;
        if let Some(next) = next {
            let value = Secret::new(next.expose().clone().into_bytes());
            till.store.put_secret(&owner, &name, &value).await.map_err(lost)?;
        }
        Ok(token)
    }
}

/// What of scopes is asked of a person's refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// These and no others.
    Exactly,
    /// Whatever the person allowed, with these among it.
    AtLeast,
}

fn here(what: String) -> Trouble {
    Trouble::new("here".to_owned(), Why::Here(what))
}

fn no_subject(bad: NoSubject) -> Trouble {
    here(bad.to_string())
}

fn no_identity() -> Trouble {
    here("a person has no ID token for an audience of choice: name a service_account".to_owned())
}
