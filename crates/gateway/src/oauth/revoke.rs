//! `/oauth/revoke` (RFC 7009): a client gives back what is its own. Whatever else it names is answered alike and stays.

use super::credential;
use super::token::presented;
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::not_allowed;
use doorward_core::audit::outcome::Notice;
use doorward_core::oauth::form::Form;
use doorward_core::oauth::token::{AuthenticatedClient, TokenError};
use doorward_core::secret::{AccessToken, RefreshToken, TokenHash};
use doorward_store::{Owner, StoreError};
use http::{Method, Response};
use serde_json::json;

impl Gateway {
    /// `/oauth/revoke`. A refresh token ends its consent with every token; an access token ends alone. `token_type_hint` is not
    /// needed: the kinds have prefixes.
    pub(crate) async fn revoke(&self, mut request: OfficeRequest) -> Response<Body> {
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        let (form, shown) = match presented(&mut request).await {
            Ok(both) => both,
            Err(error) => return self.token_refused(&request, error, None).await,
        };
        let client = match self.authenticated(&shown).await {
            Ok(client) => client,
            Err(error) => return self.token_refused(&request, error, Some(&shown)).await,
        };
        match self.given_back(&client, &form).await {
            Ok(Some(reason)) => {
                let notice = Notice { reason, id: Some(request.id), client: Some(client.id()), ..Notice::default() };
                self.note(&notice).await;
                credential(200, &json!({}))
            }
            Ok(None) => credential(200, &json!({})),
            Err(error) => self.token_refused(&request, error, Some(&shown)).await,
        }
    }

    async fn given_back(&self, client: &AuthenticatedClient, form: &Form) -> Result<Option<&'static str>, TokenError> {
        let token = form.get("token").ok_or(TokenError::request("token is missing"))?;
        let unavailable = |_: StoreError| TokenError::unavailable();
        let now = self.env.now();
        if let Ok(hash) = TokenHash::<AccessToken>::of(token) {
            let ended = self.store.end_access_token(&hash, client.id(), now).await.map_err(unavailable)?;
            return Ok(ended.then_some("token_revoked"));
        }
        let Ok(hash) = TokenHash::<RefreshToken>::of(token) else { return Ok(None) };
        let Some(id) = self.store.grant_of_refresh_token(&hash).await.map_err(unavailable)? else { return Ok(None) };
        let ended = self.store.revoke_grant(&id, Owner::Client(client.id()), now).await.map_err(unavailable)?;
        Ok(ended.then_some("consent_revoked_by_client"))
    }
}
