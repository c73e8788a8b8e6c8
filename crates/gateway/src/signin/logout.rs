//! `/login/<idp>/logout`: an identity provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0 sections 2.5 to
//! 2.8; attacks UI-01, UI-05).
//!
//! Anybody may call it, and only what the provider signed has an effect, once. No browser is asked: it is the provider that calls. What is
//! refused is on the record as long as that has room for strangers; of whoever was not signed in here there is nothing to record.

use super::is_form;
use crate::Gateway;
use crate::idp::{NotSignedIn, Provider};
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::{document, not_allowed};
use crate::ui::headers::{Class, Transport, headers};
use doorward_core::audit::outcome::Notice;
use doorward_core::id::ProviderName;
use doorward_core::oauth::form::Form;
use doorward_core::oidc::jose::BadToken;
use doorward_core::oidc::keys::NoKey;
use doorward_core::oidc::logout::Reach;
use doorward_store::SignedOut;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Method, Response};
use serde_json::{Value, json};

/// Why nobody was signed out.
enum Unheard {
    /// It is no logout request, or not one of this provider, or an old one: why, for the record.
    Refused(String),
    /// Nobody knows whether it is one: the keys, or the store.
    Unknown(String),
}

impl Gateway {
    /// `/login/<idp>/logout`.
    pub(crate) async fn provider_logout(&self, mut request: OfficeRequest, name: &ProviderName) -> Response<Body> {
        let provider = self.providers.find(name).cloned();
        let Some((provider, reach)) = provider.and_then(|provider| provider.config.logout.map(|reach| (provider, reach))) else {
            return self.nothing_here(request.id);
        };
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        match self.logged_out(&mut request, &provider, reach).await {
            Ok(ended) => {
                for one in &ended {
                    self.note_logged_out(&request, name, one).await;
                }
                if ended.is_empty() {
                    self.note_nobody(&request, name, reach).await;
                }
                answer(200, &json!({}))
            }
            Err(why) => self.logout_refused(&request, name, why).await,
        }
    }

    async fn logged_out(&self, request: &mut OfficeRequest, provider: &Provider, reach: Reach) -> Result<Vec<SignedOut>, Unheard> {
        let form = posted(request).await;
        let token = form.as_ref().and_then(|form| form.get("logout_token"));
        let token = token.ok_or_else(|| Unheard::Refused("malformed_logout".to_owned()))?;
        let told = provider.logged_out(token, || self.env.now()).await.map_err(|why| match why {
            NotSignedIn::Trouble(trouble) => Unheard::Unknown(trouble.reason()),
            // Perhaps a new one: keys are read anew once in half a minute, however many tokens name others, and a provider that is told
            // "never" does not say it again.
            NotSignedIn::Token(BadToken::Key(NoKey::Unknown)) => Unheard::Unknown("unknown_key".to_owned()),
            other => Unheard::Refused(other.reason()),
        })?;
        match self.store.log_out(&told, reach, self.env.now()).await {
            Ok(Some(ended)) => Ok(ended),
            Ok(None) => Err(Unheard::Refused("replayed".to_owned())),
            Err(error) => {
                tracing::warn!(id = %request.id, %error, "what a provider said of a logout had no effect");
                Err(Unheard::Unknown("store_unavailable".to_owned()))
            }
        }
    }

    async fn note_logged_out(&self, request: &OfficeRequest, name: &ProviderName, ended: &SignedOut) {
        let SignedOut { user, sign_ins, consents, tokens } = ended;
        let cause = format!("sign-ins: {sign_ins}, consents: {consents}, tokens: {tokens} at {name}");
        let (id, user, cause) = (Some(request.id), Some(user), Some(cause.as_str()));
        self.note(&Notice { reason: "signed_out_by_provider", id, user, cause, ..Notice::default() }).await;
    }

    /// A logout that reached nobody. Where it should have taken back what was allowed, somebody may have to do that: a provider that names its
    /// session alone names nobody once the browser is signed out here.
    async fn note_nobody(&self, request: &OfficeRequest, name: &ProviderName, reach: Reach) {
        tracing::debug!(id = %request.id, provider = %name, "somebody signed out at a provider who was not signed in here");
        if reach == Reach::Consents {
            let (id, cause) = (Some(request.id), Some(name.as_str()));
            self.note(&Notice { reason: "logout_reached_nobody", id, cause, ..Notice::default() }).await;
        }
    }

    /// Refusals count against their address, as those of the token endpoint do.
    async fn logout_refused(&self, request: &OfficeRequest, name: &ProviderName, why: Unheard) -> Response<Body> {
        // The specification has 400 for everything (section 2.8); what is ours to mend is 503, so that a provider may try again.
        let (status, error, why, limit) = match &why {
            Unheard::Refused(why) => (400, "invalid_request", why, self.strangers.as_ref()),
            Unheard::Unknown(why) => (503, "temporarily_unavailable", why, &self.untold),
        };
        if let Err(wait) = limit.check(request.peer) {
            self.turn_away_office(request.peer);
            return after(wait.as_secs().saturating_add(1), answer(429, &json!({"error": "temporarily_unavailable"})));
        }
        let cause = format!("{why} at {name}");
        self.note(&Notice { reason: "logout_refused", id: Some(request.id), cause: Some(&cause), ..Notice::default() }).await;
        let response = answer(status, &json!({"error": error, "error_description": "nobody was signed out"}));
        if status == 503 { after(30, response) } else { response }
    }
}

/// A form in the body, and nothing in the query.
async fn posted(request: &mut OfficeRequest) -> Option<Form> {
    if !is_form(&request.headers) || request.query.as_deref().is_some_and(|query| !query.is_empty()) {
        return None;
    }
    let body = request.read().await.ok()?;
    Form::parse(std::str::from_utf8(&body).ok()?).ok()
}

/// An answer that nobody may keep.
fn answer(status: u16, content: &Value) -> Response<Body> {
    document(status, content, &headers(Class::Credential, Transport::Http))
}

fn after(seconds: u64, mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
