//! `/oauth/introspect` (RFC 7662): a client that proves itself asks about access tokens of its own. Whatever else it names is not active.
//!
//! As little as answers the question: neither whose consent a token stands on, nor anything of a token of somebody else.

use super::credential;
use super::token::{presented, token_type, unavailable};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::not_allowed;
use doorward_core::identity::caller::{Audience, Door, Record};
use doorward_core::oauth::client;
use doorward_core::oauth::dpop::Binding;
use doorward_core::oauth::form::Form;
use doorward_core::oauth::scope::resource;
use doorward_core::oauth::token::{AuthenticatedClient, TokenError};
use doorward_core::secret::{AccessToken, TokenHash};
use http::{Method, Response};
use serde_json::{Value, json};
use std::sync::Arc;

impl Gateway {
    /// `/oauth/introspect`.
    pub(crate) async fn introspect(&self, mut request: OfficeRequest) -> Response<Body> {
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        let (form, shown) = match presented(&mut request).await {
            Ok(both) => both,
            Err(error) => return self.token_refused(&request, error, None).await,
        };
        let told = match self.authenticated(&shown).await {
            // Who shows nothing could ask in anybody's name (RFC 7662 section 2.1).
            Ok(client) if !client.is_confidential() => Err(TokenError::client("public_client_asks")),
            Ok(client) => self.told_of(&client, &form).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(told) => credential(200, &told),
            Err(error) => self.token_refused(&request, error, Some(&shown)).await,
        }
    }

    async fn told_of(&self, client: &AuthenticatedClient, form: &Form) -> Result<Value, TokenError> {
        let token = form.get("token").ok_or(TokenError::request("token is missing"))?;
        let Ok(hash) = TokenHash::<AccessToken>::of(token) else { return Ok(inactive()) };
        let record = self.store.access_token(&hash).await.map_err(|error| unavailable(&error))?;
        let is_theirs = |record: &Arc<Record>| {
            record.client == *client.id()
                && record.counts(Door::OAuth, None, self.env.now()).is_ok()
                && (record.bound.is_none() || self.proofs.binding() != Binding::Off)
        };
        let Some(record) = record.filter(is_theirs) else { return Ok(inactive()) };
        match self.still_counts(&record).await.map_err(|error| unavailable(&error))? {
            Ok(()) => Ok(self.described(&record)),
            Err(_) => Ok(inactive()),
        }
    }

    fn described(&self, record: &Record) -> Value {
        let mut told = json!({
            "active": true,
            "iss": self.root(),
            "client_id": record.client.as_str(),
            "scope": record.granted.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            "exp": record.expires.as_millis() / 1_000,
            "token_type": token_type(record.bound),
        });
        if let Some(members) = told.as_object_mut() {
            // RFC 9449 section 6.2.
            if let Some(key) = record.bound {
                members.insert("cnf".to_owned(), json!({"jkt": key.to_string()}));
            }
            if let Audience::Only(servers) = &record.audience {
                let all: Vec<String> = servers.iter().map(|server| resource(self.root(), server)).collect();
                members.insert("aud".to_owned(), json!(all));
            }
            if let Some(actor) = actors(record) {
                members.insert("act".to_owned(), actor);
            }
            if record.user.issuer() == client::ISSUER {
                members.insert("sub".to_owned(), json!(record.user.subject()));
            }
        }
        told
    }
}

/// Who acts for the user (RFC 8693 section 4.1): the client that has the token, within it those that exchanged before. The first of all
/// acted for nobody: it was allowed by the user.
fn actors(record: &Record) -> Option<Value> {
    let acted = record.via().iter().skip(1).chain([&record.client]);
    let nested = acted.fold(None, |before: Option<Value>, client| {
        let mut actor = json!({"sub": client.as_str(), "client_id": client.as_str()});
        if let (Some(before), Some(members)) = (before, actor.as_object_mut()) {
            members.insert("act".to_owned(), before);
        }
        Some(actor)
    });
    nested.filter(|_| record.delegation.is_some())
}

fn inactive() -> Value {
    json!({"active": false})
}
