//! The confused deputy: mallory tries to have alice's access by what alice allowed somebody else. A scripted browser plays alice, through
//! the pages that people see: it signs in with a one-time link, keeps cookies, reads forms and waits as long as the page wants (D5).

use super::attacks::{Attempt, Before, NOT_CALLED};
use super::flow::{Trouble, expect};
use super::stage::{Stage, TOKENS};
use crate::client::{Ask, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::audit::event::Kind;
use doorward_core::id::UserId;
use doorward_core::oauth::form::encoded;
use doorward_core::secret::sha256;
use http::header::SET_COOKIE;
use http::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// A browser as the script plays it.
struct Browser<'a> {
    stage: &'a Stage,
    cookies: BTreeMap<String, String>,
}

/// A form of a page, as a browser would send it.
#[derive(Clone)]
struct Shown {
    action: String,
    fields: Vec<(String, String)>,
}

/// From where a browser says that a request comes.
#[derive(Clone, Copy)]
enum From {
    /// Typed, or opened by a program.
    Nowhere,
    /// A page of the gateway.
    Here,
    /// A page of mallory's.
    Mallory,
}

/// The client that alice uses, and the one that mallory registered.
const GENUINE: (&str, &str) = ("Demo Client", "http://127.0.0.1:52117/callback");
const FALSE: (&str, &str) = ("Totally Notes", "http://127.0.0.1:52118/callback");
const VERIFIER: &str = "the-verifier-of-the-demo-is-no-secret-to-anybody";
/// A decision that comes sooner is no decision (product C11).
const READING: Duration = Duration::from_millis(750);

/// What was allowed to one client is nothing to another, and nobody decides for alice but alice in her own browser (I6).
pub(super) async fn attacks(stage: &Stage) -> Result<Vec<Attempt>, Trouble> {
    let mut alice = Browser::of(stage, stage.alice.name).await?;
    let mut mallory = Browser::of(stage, stage.mallory.name).await?;
    let genuine = registered(stage, GENUINE).await?;
    let tokens = alice.allows(&genuine, GENUINE.1).await?;
    let call = Ask::modern(TOKENS, "tools/call", json!({"name": "read_note", "arguments": {"id": "1"}})).with_key(&tokens);
    let read = call.send(stage.address).await?;
    expect("what alice allowed works", read.text().as_deref() == Some("Buy milk"), &read)?;
    let false_one = registered(stage, FALSE).await?;
    Ok(vec![
        led(&mut alice, &false_one).await?,
        forged(&mut alice, &false_one).await?,
        finished(&mut alice, &mut mallory, &false_one).await?,
    ])
}

/// a: alice follows mallory's link. She has allowed a client before; this is another one.
async fn led(alice: &mut Browser<'_>, client: &str) -> Result<Attempt, Trouble> {
    let before = Before::new(alice.stage);
    let page = alice.goes(&begun(alice.stage, client, FALSE.1), From::Mallory).await?;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let asked = page.status == StatusCode::OK && page.field("location").is_none() && Shown::of(&page).is_some();
    let named = text.contains(FALSE.0) && text.contains("Nobody has checked") && text.contains("127.0.0.1:52118");
    let not_called = !before.was_called();
    let declined = match Shown::of(&page) {
        Some(form) => alice.sends(&form.with("decision", "cancel"), From::Here).await?,
        None => page,
    };
    let attempt = Attempt {
        letter: 'a',
        tried: "alice follows mallory's link to approve",
        saw: "asked anew, by its name",
        upstream: NOT_CALLED,
        records: before.records(Kind::Event, "consent_declined"),
        wrong: Vec::new(),
    };
    Ok(attempt.judged(&[
        ("alice is asked, and sent nowhere", asked),
        ("the page says who asks, and that nobody vouches for it", named),
        ("notes was not called", not_called),
        ("her no gives mallory no code", !holds_code(&declined)),
    ]))
}

/// b: mallory's page posts the approval through alice's browser. It even knows every hidden field.
async fn forged(alice: &mut Browser<'_>, client: &str) -> Result<Attempt, Trouble> {
    let page = alice.goes(&begun(alice.stage, client, FALSE.1), From::Nowhere).await?;
    let Some(form) = Shown::of(&page) else { return Err(Trouble::Unexpected("no consent page".to_owned())) };
    tokio::time::sleep(READING).await;
    let before = Before::new(alice.stage);
    let reply = alice.sends(&form.approved(), From::Mallory).await?;
    let attempt = Attempt {
        letter: 'b',
        tried: "mallory's page posts alice's approval for her",
        saw: "403, not from our page",
        upstream: NOT_CALLED,
        records: before.records(Kind::Event, "forged_form"),
        wrong: Vec::new(),
    };
    Ok(attempt.judged(&[
        ("the answer is 403", reply.status == StatusCode::FORBIDDEN),
        ("there is no code", !holds_code(&reply)),
        ("nothing was allowed", before.records(Kind::Event, "consent_given").is_empty()),
        ("notes was not called", !before.was_called()),
    ]))
}

/// c: mallory begins in her browser, and alice is to finish in hers.
async fn finished(alice: &mut Browser<'_>, mallory: &mut Browser<'_>, client: &str) -> Result<Attempt, Trouble> {
    let page = mallory.goes(&begun(mallory.stage, client, FALSE.1), From::Nowhere).await?;
    let Some(form) = Shown::of(&page) else { return Err(Trouble::Unexpected("no consent page".to_owned())) };
    tokio::time::sleep(READING).await;
    let before = Before::new(alice.stage);
    let begun = form.fields.iter().find(|(name, _)| name == "txn").map(|(_, value)| value.as_str()).unwrap_or_default();
    let opened = alice.goes(&format!("/oauth/consent?txn={}", encoded(begun)), From::Mallory).await?;
    let posted = alice.sends(&form.approved(), From::Here).await?;
    let attempt = Attempt {
        letter: 'c',
        tried: "mallory begins, alice is to finish",
        saw: "400, another browser",
        upstream: NOT_CALLED,
        records: before.records(Kind::Event, "other_browser"),
        wrong: Vec::new(),
    };
    let refused = |reply: &Reply| reply.status == StatusCode::BAD_REQUEST && !holds_code(reply) && Shown::of(reply).is_none();
    Ok(attempt.judged(&[
        ("alice is shown no form", refused(&opened)),
        ("and no form of mallory's counts", refused(&posted)),
        ("nothing was allowed", before.records(Kind::Event, "consent_given").is_empty()),
        ("notes was not called", !before.was_called()),
    ]))
}

/// Registers a client as clients do (RFC 7591).
async fn registered(stage: &Stage, (name, callback): (&str, &str)) -> Result<String, Trouble> {
    let body = json!({"client_name": name, "redirect_uris": [callback], "token_endpoint_auth_method": "none"});
    let reply = Ask::json("/oauth/register", &body).send(stage.address).await?;
    let id = reply.message().and_then(|message| message.get("client_id")?.as_str().map(str::to_owned));
    expect("a client registers", reply.status == StatusCode::CREATED && id.is_some(), &reply)?;
    Ok(id.unwrap_or_default())
}

/// The address of an authorization request for `notes`.
fn begun(stage: &Stage, client: &str, callback: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()));
    let resource = format!("http://{}{TOKENS}", stage.address);
    let fields = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", callback),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", &resource),
        ("scope", "notes:read"),
        ("state", "demo"),
    ];
    format!("/oauth/authorize?{}", written(fields.iter().copied()))
}

fn written<'t>(fields: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    fields.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

/// Whether anything in the answer is a code.
fn holds_code(reply: &Reply) -> bool {
    reply.field("location").is_some_and(|to| to.contains("dwac_")) || String::from_utf8_lossy(&reply.body).contains("dwac_")
}

// === impl Browser ===

impl<'a> Browser<'a> {
    /// Signed in with a link as the terminal prints it.
    async fn of(stage: &'a Stage, name: &str) -> Result<Self, Trouble> {
        let mut browser = Self { stage, cookies: BTreeMap::new() };
        let trouble = |what: &str| Trouble::Unexpected(format!("{what} for {name}"));
        let user = UserId::new("local", name).map_err(|_| trouble("no user"))?;
        let link = stage.link(&user).await.ok_or_else(|| trouble("no link"))?;
        let page = browser.goes("/setup", From::Nowhere).await?;
        let form = Shown::of(&page).ok_or_else(|| trouble("no sign-in page"))?;
        let signed_in = browser.sends(&form.with("code", link.reveal()), From::Here).await?;
        expect("a link signs in", signed_in.status == StatusCode::SEE_OTHER, &signed_in)?;
        Ok(browser)
    }

    /// Allows a client to read, as a person does, and gives it the token for its code.
    async fn allows(&mut self, client: &str, callback: &str) -> Result<String, Trouble> {
        let page = self.goes(&begun(self.stage, client, callback), From::Nowhere).await?;
        let Some(form) = Shown::of(&page) else { return Err(Trouble::Unexpected("no consent page".to_owned())) };
        tokio::time::sleep(READING).await;
        let left = self.sends(&form.approved(), From::Here).await?;
        let text = String::from_utf8_lossy(&left.body).into_owned();
        let sent = text.split_once("code=").and_then(|(_, rest)| rest.split(['&', '"', '\'']).next()).unwrap_or_default();
        expect("alice's yes gives a code", left.status == StatusCode::OK && sent.starts_with("dwac_"), &left)?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", sent),
            ("code_verifier", VERIFIER),
            ("redirect_uri", callback),
        ];
        let reply = Ask::form("/oauth/token", written(fields.iter().copied())).send(self.stage.address).await?;
        let token = reply.message().and_then(|message| message.get("access_token")?.as_str().map(str::to_owned));
        expect("the code gives a token", token.is_some(), &reply)?;
        Ok(token.unwrap_or_default())
    }

    async fn goes(&mut self, target: &str, from: From) -> Result<Reply, Trouble> {
        self.asks(Ask::new(Method::GET, target), from).await
    }

    async fn sends(&mut self, form: &Shown, from: From) -> Result<Reply, Trouble> {
        let fields = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.asks(Ask::form(&form.action, written(fields)), from).await
    }

    async fn asks(&mut self, ask: Ask, from: From) -> Result<Reply, Trouble> {
        let (site, origin) = match from {
            From::Nowhere => ("none", None),
            From::Here => ("same-origin", Some("null")),
            // A page may hide its origin; the browser still says that it is another site.
            From::Mallory => ("cross-site", Some("null")),
        };
        let mut ask = ask.field("sec-fetch-site", site);
        if let Some(origin) = origin.filter(|_| ask.is_post()) {
            ask = ask.field("origin", origin);
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            ask = ask.field("cookie", &cookies.join("; "));
        }
        let reply = ask.send(self.stage.address).await?;
        for cookie in reply.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(reply)
    }
}

// === impl Shown ===

impl Shown {
    /// The first form of a page that sends something, with its hidden fields.
    fn of(page: &Reply) -> Option<Self> {
        let text = String::from_utf8_lossy(&page.body).into_owned();
        let form = text.split("<form").skip(1).find(|form| form.contains("method=\"post\""))?;
        let form = form.split("</form>").next()?;
        let action = attribute(form.split('>').next()?, "action")?;
        let hidden = form.split("<input").skip(1).filter_map(|input| input.split('>').next());
        let hidden = hidden.filter(|input| input.contains("type=\"hidden\""));
        let fields = hidden.filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default()))).collect();
        Some(Self { action, fields })
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn approved(&self) -> Self {
        self.clone().with("decision", "allow").with("duration", "8h").with("grant", "notes:read")
    }
}

/// The value of an attribute. What stands in ours besides letters is escaped as a number or a name.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!("{name}=\""))?.1.split('"').next()?;
    let escapes = [("&#38;", "&"), ("&amp;", "&"), ("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">")];
    Some(escapes.iter().fold(value.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}
