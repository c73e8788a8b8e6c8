//! The front office as browsers and OAuth clients meet it: cookies kept, forms filled in from the page, codes taken from where the
//! browser is sent.

use super::house::{House, Key};
use super::wire::{Ask, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::id::{CredentialId, UserId};
use doorward_core::oauth::form::encoded;
use doorward_core::secret::sha256;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:61036/callback";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXkdBjftJ";

/// A browser with its cookies.
#[derive(Debug, Default, Clone)]
pub(crate) struct Browser {
    pub(crate) jar: BTreeMap<String, String>,
}

/// A form as a page shows it.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// What a client is given for a code.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) scope: String,
}

impl Browser {
    /// Opens an address as a person does: typed, or by a link of another program.
    pub(crate) async fn open(&mut self, house: &House, target: &str) -> Reply {
        self.send(
            house,
            Ask::new("GET", target).field("Sec-Fetch-Site", "none").field("Sec-Fetch-Mode", "navigate").field("Sec-Fetch-Dest", "document"),
        )
        .await
    }

    /// Sends a form of a page of the gateway.
    pub(crate) async fn submit(&mut self, house: &House, form: &Form) -> Reply {
        self.send(house, form.ask().field("Sec-Fetch-Site", "same-origin").field("Origin", "null")).await
    }

    /// Sends a request with the cookies that are kept, and keeps those that come.
    pub(crate) async fn send(&mut self, house: &House, ask: Ask) -> Reply {
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let ask = if cookies.is_empty() { ask } else { ask.field("Cookie", &cookies.join("; ")) };
        let reply = house.ask(ask).await;
        for (_, value) in reply.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (pair, attributes) = value.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            if attributes.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Signs in with a link as the terminal prints it.
    pub(crate) async fn sign_in(&mut self, house: &House) -> Reply {
        let link = house.gateway.new_link(&administrator()).await.expect("a link");
        let page = self.open(house, "/setup").await;
        assert_eq!(page.status, 200, "{}", page.text());
        self.submit(house, &Form::of(&page).with("code", link.reveal())).await
    }
}

impl Form {
    /// The only form of a page that decides something: its hidden fields.
    pub(crate) fn of(page: &Reply) -> Self {
        let text = page.text();
        let form = text.split("<form").nth(1).unwrap_or_else(|| panic!("no form in {text}"));
        let form = form.split("</form>").next().unwrap_or_default();
        let action = attribute(form.split('>').next().unwrap_or_default(), "action").expect("action");
        let hidden = form.split("<input").skip(1).map(|input| input.split('>').next().unwrap_or_default());
        let hidden = hidden.filter(|input| input.contains("type=\"hidden\""));
        let fields = hidden.map(|input| (attribute(input, "name").expect("name"), attribute(input, "value").unwrap_or_default())).collect();
        Self { action, fields }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn ask(&self) -> Ask {
        let pairs: Vec<String> = self.fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        Ask { body: pairs.join("&").into_bytes(), ..Ask::new("POST", &self.action) }
            .field("Content-Type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// The value of an attribute, as a browser reads it.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&#38;", "&")
            .replace("&amp;", "&")
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">"),
    )
}

/// Where a hand-off page sends the browser.
pub(crate) fn sent_to(page: &Reply) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("http-equiv=\"refresh\"").unwrap_or_else(|| panic!("no refresh in {text}"));
    let content = attribute(rest, "content").expect("content");
    content.split_once("url=").expect("an address").1.trim_matches('\'').to_owned()
}

/// A parameter of an address.
pub(crate) fn parameter(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    doorward_core::oauth::form::Form::parse(query).ok()?.get(name).map(str::to_owned)
}

pub(crate) fn administrator() -> UserId {
    UserId::new("local", "admin").expect("user")
}

pub(crate) fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()))
}

impl House {
    /// Registers a client as most of them do.
    pub(crate) async fn register(&self, name: &str, redirects: &[&str]) -> String {
        let body = json!({"client_name": name, "redirect_uris": redirects, "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]});
        let reply = self.ask(Ask::post("/oauth/register", body.to_string())).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["client_id"].as_str().expect("client_id").to_owned()
    }

    /// The address of an authorization request, with what is changed or (empty) left out.
    pub(crate) fn authorize(&self, client: &str, server: &str, changes: &[(&str, &str)]) -> String {
        let mut fields = BTreeMap::from([
            ("response_type", "code".to_owned()),
            ("client_id", client.to_owned()),
            ("redirect_uri", CALLBACK.to_owned()),
            ("state", "st 1&2".to_owned()),
            ("code_challenge", challenge()),
            ("code_challenge_method", "S256".to_owned()),
            ("resource", self.resource(server)),
            ("scope", format!("{server}:read")),
        ]);
        for (name, value) in changes {
            fields.insert(name, (*value).to_owned());
        }
        let pairs: Vec<String> =
            fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        format!("/oauth/authorize?{}", pairs.join("&"))
    }

    pub(crate) fn resource(&self, server: &str) -> String {
        format!("http://{}/s/{server}/mcp", self.address)
    }

    /// Waits as long as a person reads.
    pub(crate) fn read_the_page(&self) {
        self.shift.by(2);
    }

    /// Goes the whole way to a code: the consent page, these ticks, the answer.
    pub(crate) async fn code(&self, browser: &mut Browser, client: &str, server: &str, ticks: &[&str]) -> String {
        let page = browser.open(self, &self.authorize(client, server, &[])).await;
        let address = sent_to(&self.allow(browser, &page, ticks).await);
        parameter(&address, "code").unwrap_or_else(|| panic!("no code in {address}"))
    }

    /// Allows what a consent page asks for.
    pub(crate) async fn allow(&self, browser: &mut Browser, page: &Reply, ticks: &[&str]) -> Reply {
        let mut form = Form::of(page).with("decision", "allow").with("duration", "8h");
        for tick in ticks {
            form = form.with("grant", tick);
        }
        self.read_the_page();
        browser.submit(self, &form).await
    }

    /// A request to the token endpoint.
    pub(crate) async fn token_request(&self, fields: &[(&str, &str)]) -> Reply {
        self.ask(token_ask(fields)).await
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&self, client: &str, code: &str) -> Reply {
        self.token_request(&[
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ])
        .await
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str) -> Reply {
        self.token_request(&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]).await
    }

    /// Everything from nothing to tokens.
    pub(crate) async fn connected(&self, browser: &mut Browser, client: &str, server: &str, ticks: &[&str]) -> Tokens {
        let code = self.code(browser, client, server, ticks).await;
        Tokens::of(&self.redeem(client, &code).await)
    }
}

/// The browser of the administrator.
pub(crate) async fn signed_in(house: &House) -> Browser {
    let mut browser = Browser::default();
    browser.sign_in(house).await;
    browser
}

/// The browser of another person of this installation.
pub(crate) async fn other(house: &House, name: &str) -> Browser {
    let user = UserId::new("local", name).unwrap();
    house.store.put_user(&user, &[], house.env.now()).await.unwrap();
    let link = house.gateway.new_link(&user).await.unwrap();
    let mut browser = Browser::default();
    let page = browser.open(house, "/setup").await;
    browser.submit(house, &Form::of(&page).with("code", link.reveal())).await;
    browser
}

pub(crate) fn token_ask(fields: &[(&str, &str)]) -> Ask {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    Ask { body: pairs.join("&").into_bytes(), ..Ask::new("POST", "/oauth/token") }
        .field("Content-Type", "application/x-www-form-urlencoded")
}

impl Tokens {
    pub(crate) fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let json = reply.json();
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        assert_eq!(json["token_type"], "Bearer");
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        Self { access: text("access_token"), refresh: text("refresh_token"), scope: text("scope") }
    }

    /// As what the other tests of the corridor call with.
    pub(crate) fn key(&self) -> Key {
        Key { text: self.access.clone(), id: CredentialId::new("grant").expect("id"), user: administrator(), path: "/s" }
    }
}

/// The error of the token endpoint.
pub(crate) fn error_of(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}

/// A JSON document that anybody may read.
pub(crate) async fn document(house: &House, path: &str) -> Value {
    let reply = house.ask(Ask::new("GET", path)).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    assert_eq!(reply.field("access-control-allow-origin"), Some("*"), "{path}");
    reply.json()
}
