//! The endpoints of the third party: metadata, registration, authorization, tokens and revocation, with what a test made go wrong.

use super::ledger::{Asked, Ledger, Minted};
use super::serve::{Answer, Heard, Peer};
use super::{ACCOUNT, Fault, Iss, Manners, Shared, changed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward_core::oauth::form::{Form, encoded};
use serde_json::{Value, json};

impl Peer for Shared {
    async fn answer(&self, heard: Heard) -> Answer {
        let path = heard.path.clone();
        self.inside().heard.push(heard.clone());
        let fault = self.fault_at(&path).await;
        match fault {
            None => self.act(&heard),
            Some(Fault::Lost) => {
                let _lost = self.act(&heard);
                Answer::Nothing
            }
            Some(Fault::Slow(pause)) => {
                tokio::time::sleep(pause).await;
                self.act(&heard)
            }
            Some(fault) => said(&fault),
        }
    }
}

/// What is answered instead.
fn said(fault: &Fault) -> Answer {
    let error = |status: u16, code: &str| Answer::json(status, &json!({"error": code, "error_description": "canary-of-the-third-party"}));
    match fault {
        Fault::Error(status, code) => error(*status, code),
        Fault::InvalidClient => error(401, "invalid_client").with("WWW-Authenticate", "Basic realm=\"third party\""),
        Fault::TooMany(seconds) => error(429, "slow_down").with("Retry-After", &seconds.to_string()),
        Fault::Status(status) => Answer::text(*status, "text/plain", "canary-of-the-third-party"),
        Fault::Page => Answer::text(200, "text/html", "<title>Sign in</title>canary-of-the-third-party"),
        Fault::Says(status, body) => Answer::text(*status, "application/json", body.clone()),
        Fault::Leads(to) => Answer::leading(302, to),
        Fault::Twice => {
            let body = r#"{"access_token":"third-party-access-token-a","access_token":"third-party-access-token-b","token_type":"Bearer"}"#;
            Answer::text(200, "application/json", body)
        }
        Fault::Deaf | Fault::Lost | Fault::Slow(_) | Fault::Waits => Answer::Nothing,
    }
}

impl Shared {
    /// What goes wrong at this path now; one that waits is over when this comes back.
    async fn fault_at(&self, path: &str) -> Option<Fault> {
        loop {
            let mut told = std::pin::pin!(self.changed.notified());
            // Before the look: what changes after it is heard.
            told.as_mut().enable();
            let fault = self.inside().next_fault(path);
            if fault != Some(Fault::Waits) {
                return fault;
            }
            told.await;
        }
    }

    fn act(&self, heard: &Heard) -> Answer {
        let mut inside = self.inside();
        let manners = inside.manners.clone();
        let ledger = &mut inside.ledger;
        match (heard.method.as_str(), heard.path.as_str()) {
            ("GET", path) if self.well_known().iter().any(|known| known == path) => {
                Answer::json(200, &changed(self.metadata(), &manners.metadata))
            }
            ("POST", "/register") => match ledger.register(&heard.json()) {
                Ok(client) => Answer::json(201, &changed(client, &manners.registration)),
                Err(code) => Answer::json(400, &json!({"error": code})),
            },
            ("GET", "/authorize") => self.authorize(ledger, &manners, heard),
            ("POST", "/authorize") => self.approve(ledger, &manners, heard),
            ("POST", "/token") => token(ledger, &manners, heard),
            ("POST", "/revoke") => match (client_of(ledger, heard), heard.form()) {
                (Some(client), Some(form)) => match ledger.revoke(&client, &form) {
                    Ok(()) => Answer::text(200, "application/json", ""),
                    Err(code) => Answer::json(400, &json!({"error": code})),
                },
                _ => said(&Fault::InvalidClient),
            },
            _ => Answer::text(404, "text/plain", "nothing here"),
        }
    }

    /// Where its metadata is: RFC 8414 before the path of the issuer, OpenID Connect before and after it.
    fn well_known(&self) -> [String; 3] {
        let path = self.issuer.strip_prefix(&self.base).unwrap_or_default();
        [
            format!("/.well-known/oauth-authorization-server{path}"),
            format!("/.well-known/openid-configuration{path}"),
            format!("{path}/.well-known/openid-configuration"),
        ]
    }

    fn metadata(&self) -> Value {
        let (issuer, base) = (&self.issuer, &self.base);
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "registration_endpoint": format!("{base}/register"),
            "revocation_endpoint": format!("{base}/revoke"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "authorization_response_iss_parameter_supported": true,
            "scopes_supported": ["read", "write", "offline_access"],
        })
    }

    /// A browser opens the address: who is known and has said yes to this client goes straight back, everybody else sees a form.
    pub(super) fn authorize(&self, ledger: &mut Ledger, manners: &Manners, heard: &Heard) -> Answer {
        let Some(form) = heard.form() else { return Answer::text(400, "text/plain", "bad request") };
        let asked = match ledger.asked(&form) {
            Ok(asked) => asked,
            Err(why) => return Answer::text(400, "text/plain", why),
        };
        if let Some(code) = manners.refuses {
            return Answer::leading(303, &self.back(&asked, manners, &format!("error={code}&error_description=canary-of-the-third-party")));
        }
        match heard.cookie(ACCOUNT) {
            Some(account) if !manners.asks_again && ledger.has_consented(account, &asked.client) => {
                let code = ledger.code(&asked, account);
                Answer::leading(303, &self.back(&asked, manners, &format!("code={}", encoded(&code))))
            }
            known => Answer::text(200, "text/html; charset=utf-8", page(&form, &asked, known.unwrap_or("alice"))),
        }
    }

    /// The form: the account that was typed says yes, and this browser is known from now on.
    pub(super) fn approve(&self, ledger: &mut Ledger, manners: &Manners, heard: &Heard) -> Answer {
        let Some(form) = heard.form() else { return Answer::text(400, "text/plain", "bad request") };
        let account = form.get("account").filter(|account| account.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let (asked, Some(account)) = (ledger.asked(&form), account) else { return Answer::text(400, "text/plain", "no account") };
        let asked = match asked {
            Ok(asked) => asked,
            Err(why) => return Answer::text(400, "text/plain", why),
        };
        let code = ledger.code(&asked, account);
        let to = self.back(&asked, manners, &format!("code={}", encoded(&code)));
        Answer::leading(303, &to).with("Set-Cookie", &format!("{ACCOUNT}={account}; Path=/; HttpOnly; SameSite=Lax"))
    }

    fn back(&self, asked: &Asked, manners: &Manners, answer: &str) -> String {
        let join = if asked.redirect.contains('?') { '&' } else { '?' };
        let state = asked.state.as_ref().map(|state| format!("&state={}", encoded(state))).unwrap_or_default();
        let iss = match &manners.iss {
            Iss::Right => format!("&iss={}", encoded(&self.issuer)),
            Iss::Missing => String::new(),
            Iss::Other(other) => format!("&iss={}", encoded(other)),
        };
        format!("{}{join}{answer}{state}{iss}", asked.redirect)
    }
}

/// One click, in the account that the browser is known with.
fn page(form: &Form, asked: &Asked, account: &str) -> String {
    let fields: String =
        form.pairs().map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", plain(name), plain(value))).collect();
    format!(
        "<!doctype html><title>Third party</title><h1>Let {} in?</h1><p>It asks for: {}</p><form method=\"post\" action=\"/authorize\">{fields}\
         <label>Account <input name=\"account\" value=\"{}\"></label><button id=\"approve\">Approve</button></form>",
        plain(&asked.client),
        plain(&asked.scopes.join(" ")),
        plain(account)
    )
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The client that proves itself in one of the three ways, and in one alone.
fn client_of(ledger: &Ledger, heard: &Heard) -> Option<String> {
    let form = heard.form()?;
    let (id, secret) = match heard.field("authorization") {
        Some(_) if form.get("client_secret").is_some() => return None,
        Some(basic) => {
            let pair = String::from_utf8(STANDARD.decode(basic.strip_prefix("Basic ")?).ok()?).ok()?;
            let (id, secret) = pair.split_once(':')?;
            // Both are form-encoded (RFC 6749 section 2.3.1).
            let decoded = Form::parse(&format!("id={id}&secret={secret}")).ok()?;
            (decoded.get("id")?.to_owned(), decoded.get("secret").map(str::to_owned))
        }
        None => (form.get("client_id")?.to_owned(), form.get("client_secret").map(str::to_owned)),
    };
    ledger.proves(&id, secret.as_deref()).then_some(id)
}

fn token(ledger: &mut Ledger, manners: &Manners, heard: &Heard) -> Answer {
    let Some(client) = client_of(ledger, heard) else { return said(&Fault::InvalidClient) };
    let Some(form) = heard.form() else { return Answer::json(400, &json!({"error": "invalid_request"})) };
    let minted = match form.get("grant_type") {
        Some("authorization_code") => ledger.exchange(&client, &form, manners.rotation),
        Some("refresh_token") => ledger.refresh(&client, &form, manners.rotation),
        _ => Err("unsupported_grant_type"),
    };
    match minted {
        Ok(Minted { access, refresh, scopes }) => {
            let answer = json!({"access_token": access, "token_type": "Bearer", "expires_in": manners.expires, "refresh_token": refresh,
                "scope": scopes.join(" ")});
            // A null is no member.
            let answer: Value = answer
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            Answer::json(200, &changed(answer, &manners.tokens)).with("Cache-Control", "no-store")
        }
        Err(code) => said(&Fault::Error(400, code)),
    }
}
