//! What the third party remembers: clients, codes, and families of tokens, of which each refresh token is good once. Deterministic: names
//! are counted, time is a test's word. Must not know HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::oauth::form::Form;
use doorward_core::secret::sha256;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients that registered.
    pub registrations: usize,
    /// Codes that were given out.
    pub codes: usize,
    /// Codes that became tokens.
    pub exchanges: usize,
    /// Refresh tokens that became new tokens.
    pub refreshes: usize,
    /// Refresh tokens that came a second time: their family is gone.
    pub reuses: usize,
    /// Tokens that were revoked at the endpoint for that.
    pub revocations: usize,
}

/// Whose an access token is, and what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// The client that it was given to.
    pub client: String,
    /// The resource that it was asked for.
    pub resource: Option<String>,
}

/// Whether a refresh token is good once or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    /// Once; a second time ends the family (OAuth 2.1 section 4.3.1).
    #[default]
    Rotating,
    /// For ever, and none comes with new tokens.
    Lasting,
    /// There is none at all.
    None,
    /// Once, and only who was granted `offline_access` has one.
    Offline,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    clients: BTreeMap<String, Client>,
    consents: BTreeSet<(String, String)>,
    codes: BTreeMap<String, (Holder, Promise)>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Refresh>,
    ended: BTreeSet<usize>,
    families: usize,
    minted: usize,
    pub(super) counts: Counts,
}

#[derive(Debug, Clone)]
struct Client {
    secret: Option<String>,
    redirects: Vec<String>,
}

/// What has to come back with a code.
#[derive(Debug, Clone)]
struct Promise {
    redirect: String,
    challenge: String,
}

#[derive(Debug, Clone)]
struct Access {
    holder: Holder,
    family: usize,
    is_over: bool,
}

#[derive(Debug, Clone)]
struct Refresh {
    holder: Holder,
    family: usize,
    is_spent: bool,
}

/// An authorization request that this server would take.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) client: String,
    pub(super) redirect: String,
    pub(super) state: Option<String>,
    pub(super) scopes: Vec<String>,
    challenge: String,
    resource: Option<String>,
}

/// An error of RFC 6749 section 5.2.
pub(super) type Code = &'static str;

// === impl Ledger ===

impl Ledger {
    /// A client that somebody wrote down.
    pub(super) fn write_down(&mut self, id: &str, secret: Option<&str>, redirects: &[&str]) {
        let redirects = redirects.iter().map(|uri| (*uri).to_owned()).collect();
        self.clients.insert(id.to_owned(), Client { secret: secret.map(str::to_owned), redirects });
    }

    /// RFC 7591.
    pub(super) fn register(&mut self, asked: &Value) -> Result<Value, Code> {
        let redirects: Option<Vec<String>> = asked
            .get("redirect_uris")
            .and_then(Value::as_array)
            .and_then(|all| all.iter().map(|uri| uri.as_str().map(str::to_owned)).collect());
        let redirects = redirects.filter(|all| !all.is_empty()).ok_or("invalid_redirect_uri")?;
        let method = asked.get("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or("client_secret_basic");
        let needs_secret = match method {
            "client_secret_basic" | "client_secret_post" => true,
            "none" => false,
            _ => return Err("invalid_client_metadata"),
        };
        self.counts.registrations += 1;
        let number = self.counts.registrations;
        let id = format!("third-party-client-{number:04}");
        let secret = needs_secret.then(|| format!("third-party-secret-{number:04}"));
        let mut answer = asked.clone();
        if let Some(members) = answer.as_object_mut() {
            members.insert("client_id".to_owned(), json!(id));
            members.insert("token_endpoint_auth_method".to_owned(), json!(method));
            if let Some(secret) = &secret {
                members.insert("client_secret".to_owned(), json!(secret));
                members.insert("client_secret_expires_at".to_owned(), json!(0));
            }
        }
        self.clients.insert(id, Client { secret, redirects });
        Ok(answer)
    }

    /// Reads an authorization request.
    pub(super) fn asked(&self, form: &Form) -> Result<Asked, String> {
        let text = |name: &str| form.get(name).map(str::to_owned).ok_or(format!("no {name}"));
        let (client, redirect) = (text("client_id")?, text("redirect_uri")?);
        let known = self.clients.get(&client).ok_or("unknown client")?;
        if !known.redirects.contains(&redirect) {
            return Err("redirect_uri is not registered".to_owned());
        }
        if text("response_type")? != "code" || text("code_challenge_method")? != "S256" {
            return Err("response_type and code_challenge_method must be code and S256".to_owned());
        }
        Ok(Asked {
            client,
            redirect,
            state: form.get("state").map(str::to_owned),
            scopes: form.get("scope").into_iter().flat_map(|scope| scope.split(' ')).map(str::to_owned).collect(),
            challenge: text("code_challenge")?,
            resource: form.get("resource").map(str::to_owned),
        })
    }

    /// Whether this account has said yes to this client before.
    pub(super) fn has_consented(&self, account: &str, client: &str) -> bool {
        self.consents.contains(&(account.to_owned(), client.to_owned()))
    }

    /// A code for this account, which says yes to the client with it.
    pub(super) fn code(&mut self, asked: &Asked, account: &str) -> String {
        self.consents.insert((account.to_owned(), asked.client.clone()));
        self.counts.codes += 1;
        // With a blank and a sign, so that whoever forgets to encode it is found out.
        let code = format!("third-party code {:04} &", self.counts.codes);
        let holder = Holder {
            account: account.to_owned(),
            scopes: asked.scopes.clone(),
            client: asked.client.clone(),
            resource: asked.resource.clone(),
        };
        self.codes.insert(code.clone(), (holder, Promise { redirect: asked.redirect.clone(), challenge: asked.challenge.clone() }));
        code
    }

    /// Whether this is the client, with its secret.
    pub(super) fn proves(&self, id: &str, secret: Option<&str>) -> bool {
        self.clients.get(id).is_some_and(|client| client.secret.as_deref() == secret)
    }

    /// RFC 6749 section 4.1.3 with PKCE, each code once; a second time ends what it gave.
    pub(super) fn exchange(&mut self, client: &str, form: &Form, rotation: Rotation) -> Result<Minted, Code> {
        let (holder, promise) = form.get("code").and_then(|code| self.codes.remove(code)).ok_or("invalid_grant")?;
        let challenge = form.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())));
        let same = form.get("redirect_uri") == Some(&promise.redirect) && challenge.as_deref() == Some(&promise.challenge);
        if !same || holder.client != client {
            return Err("invalid_grant");
        }
        if form.get("resource") != holder.resource.as_deref() {
            return Err("invalid_target");
        }
        self.counts.exchanges += 1;
        self.families += 1;
        Ok(self.mint(holder, self.families, rotation))
    }

    /// RFC 6749 section 6.
    pub(super) fn refresh(&mut self, client: &str, form: &Form, rotation: Rotation) -> Result<Minted, Code> {
        let known = form.get("refresh_token").and_then(|token| self.refresh.get_mut(token)).ok_or("invalid_grant")?;
        if known.holder.client != client || self.ended.contains(&known.family) {
            return Err("invalid_grant");
        }
        if known.is_spent {
            self.counts.reuses += 1;
            self.ended.insert(known.family);
            return Err("invalid_grant");
        }
        if form.get("resource") != known.holder.resource.as_deref() {
            return Err("invalid_target");
        }
        let (holder, family) = (known.holder.clone(), known.family);
        known.is_spent = rotation != Rotation::Lasting;
        self.counts.refreshes += 1;
        let minted = self.mint(holder, family, rotation);
        Ok(Minted { refresh: minted.refresh.filter(|_| rotation != Rotation::Lasting), ..minted })
    }

    fn mint(&mut self, holder: Holder, family: usize, rotation: Rotation) -> Minted {
        self.minted += 1;
        let access = format!("third-party-access-token-{:06}", self.minted);
        self.access.insert(access.clone(), Access { holder: holder.clone(), family, is_over: false });
        let has_one = match rotation {
            Rotation::Rotating | Rotation::Lasting => true,
            Rotation::Offline => holder.scopes.iter().any(|scope| scope == "offline_access"),
            Rotation::None => false,
        };
        let refresh = has_one.then(|| format!("third-party-refresh-token-{:06}", self.minted));
        let scopes = holder.scopes.clone();
        if let Some(token) = &refresh {
            self.refresh.insert(token.clone(), Refresh { holder, family, is_spent: false });
        }
        Minted { access, refresh, scopes }
    }

    /// RFC 7009: what is not known is revoked already. With a refresh token its family goes.
    pub(super) fn revoke(&mut self, client: &str, form: &Form) -> Result<(), Code> {
        let token = form.get("token").ok_or("invalid_request")?;
        if let Some(known) = self.refresh.get(token).filter(|known| known.holder.client == client) {
            self.ended.insert(known.family);
            self.counts.revocations += 1;
        } else if let Some(known) = self.access.get_mut(token).filter(|known| known.holder.client == client) {
            known.is_over = true;
            self.counts.revocations += 1;
        }
        Ok(())
    }

    /// Whose this access token is, if it is good.
    pub(super) fn who(&self, token: &str) -> Option<Holder> {
        let known = self.access.get(token)?;
        (!known.is_over && !self.ended.contains(&known.family)).then(|| known.holder.clone())
    }

    /// Every access token is over now, as if time had gone by.
    pub(super) fn age(&mut self) {
        for known in self.access.values_mut() {
            known.is_over = true;
        }
    }

    /// An account takes back what it said to anybody.
    pub(super) fn withdraw(&mut self, account: &str) {
        self.consents.retain(|(who, _)| who != account);
        let families = self.refresh.values().map(|known| (&known.holder, known.family));
        let families = families.chain(self.access.values().map(|known| (&known.holder, known.family)));
        let gone: Vec<usize> = families.filter(|(holder, _)| holder.account == account).map(|(_, family)| family).collect();
        self.ended.extend(gone);
    }

    /// Refresh tokens of an account that would still be taken.
    pub(super) fn renewable(&self, account: &str) -> usize {
        let live = |known: &&Refresh| known.holder.account == account && !known.is_spent && !self.ended.contains(&known.family);
        self.refresh.values().filter(live).count()
    }
}

/// New tokens.
#[derive(Debug)]
pub(super) struct Minted {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) scopes: Vec<String>,
}
