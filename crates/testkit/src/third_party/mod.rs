//! A third party where people have accounts: an OAuth 2.1 authorization server with everything a client may meet, and an MCP server
//! that takes its tokens ([`protected`]). Right in everything until a test tells it otherwise: [`Manners`] says what it is like,
//! [`Fault`]s say what goes wrong at a path, once or until it is mended.
//!
//! It rotates refresh tokens and ends their family when one comes twice, knows a browser again by a cookie and then asks nobody (the
//! condition of a confused deputy), and writes down every request. Nothing in it is random and nothing depends on a clock: an access
//! token ends when a test says so ([`ThirdParty::age`]), whatever `expires_in` promised.

mod endpoints;
pub mod ledger;
pub mod protected;
pub mod serve;

#[cfg(test)]
mod tests;

use ledger::{Counts, Holder, Ledger, Rotation};
use serde_json::{Value, json};
use serve::{Answer, Heard};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A third party that listens.
#[derive(Debug)]
pub struct ThirdParty {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<std::io::Result<()>>,
}

/// What it is like.
#[derive(Debug, Clone)]
pub struct Manners {
    /// Members of the metadata that are others; null for none.
    pub metadata: Value,
    /// Members of the answer to a registration that are others; null for none.
    pub registration: Value,
    /// Members of the answer of the token endpoint that are others; null for none.
    pub tokens: Value,
    /// `expires_in`; null for none.
    pub expires: Value,
    /// `iss` in the answer to the browser.
    pub iss: Iss,
    /// How refresh tokens live.
    pub rotation: Rotation,
    /// Asks even the browser that it knows.
    pub asks_again: bool,
    /// Says no at the authorization endpoint, with this code.
    pub refuses: Option<&'static str>,
}

/// `iss` of an answer to a browser (RFC 9207).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Iss {
    /// The issuer.
    #[default]
    Right,
    /// None.
    Missing,
    /// Another one.
    Other(String),
}

/// What goes wrong at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An OAuth error with this status and code; nothing is done.
    Error(u16, &'static str),
    /// 401 `invalid_client`.
    InvalidClient,
    /// 429 with `Retry-After` of so many seconds.
    TooMany(u32),
    /// A status with a text that is no JSON.
    Status(u16),
    /// A page, with 200.
    Page,
    /// A status with this text, declared as JSON.
    Says(u16, String),
    /// 302 to this address.
    Leads(String),
    /// Tokens, each member of them twice.
    Twice,
    /// It does what was asked and closes the connection without a byte.
    Lost,
    /// It closes the connection without a byte and does nothing.
    Deaf,
    /// It does what was asked after this time.
    Slow(Duration),
    /// It does nothing until the fault is gone, then what was asked.
    Waits,
}

/// The cookie by which a browser is known again; its value is the account.
pub const ACCOUNT: &str = "third_party_account";

#[derive(Debug)]
struct Shared {
    base: String,
    issuer: String,
    state: Mutex<Inside>,
    /// Told whenever its faults change.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    manners: Manners,
    ledger: Ledger,
    always: BTreeMap<String, Fault>,
    once: BTreeMap<String, VecDeque<Fault>>,
    heard: Vec<Heard>,
}

// === impl Manners ===

impl Default for Manners {
    fn default() -> Self {
        Self {
            metadata: Value::Null,
            registration: Value::Null,
            tokens: Value::Null,
            expires: json!(3600),
            iss: Iss::default(),
            rotation: Rotation::default(),
            asks_again: false,
            refuses: None,
        }
    }
}

// === impl ThirdParty ===

impl ThirdParty {
    /// Starts one on a free port of 127.0.0.1, whose issuer is the root of its origin.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_under("").await
    }

    /// The same with an issuer under a path, such as `/tenant`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start_under(path: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let base = format!("http://{address}");
        let shared = Arc::new(Shared { issuer: format!("{base}{path}"), base, state: Mutex::default(), changed: Notify::new() });
        let task = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it is like.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.shared.inside().manners);
    }

    /// From now on this goes wrong at `path`, after what goes wrong there once.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.shared.inside().always.insert(path.to_owned(), fault);
        self.shared.changed.notify_waiters();
    }

    /// The next request at `path` goes wrong; several are taken in their order.
    pub fn fault_once(&self, path: &str, fault: Fault) {
        self.shared.inside().once.entry(path.to_owned()).or_default().push_back(fault);
        self.shared.changed.notify_waiters();
    }

    /// Nothing goes wrong any more, and it is as it was at first. What it remembers stays.
    pub fn mend(&self) {
        {
            let mut inside = self.shared.inside();
            inside.always.clear();
            inside.once.clear();
            inside.manners = Manners::default();
        }
        self.shared.changed.notify_waiters();
    }

    /// A client that its people wrote down, with its redirect URIs.
    pub fn client(&self, id: &str, secret: Option<&str>, redirects: &[&str]) {
        self.shared.inside().ledger.write_down(id, secret, redirects);
    }

    /// What a browser meets that opens an authorization address, known as `account` or to nobody: the page, or the way back.
    #[must_use]
    pub fn open(&self, address: &str, account: Option<&str>) -> Answer {
        let cookie = account.map(|account| ("Cookie".to_owned(), format!("{ACCOUNT}={account}")));
        let heard = self.browsed("GET", address, cookie.into_iter().collect(), "");
        let mut inside = self.shared.inside();
        let manners = inside.manners.clone();
        self.shared.authorize(&mut inside.ledger, &manners, &heard)
    }

    /// What happens when `account` approves at an authorization address: where its browser is sent back to. Empty when it is not.
    #[must_use]
    pub fn approve(&self, address: &str, account: &str) -> String {
        let (_, query) = address.split_once('?').unwrap_or((address, ""));
        let heard = self.browsed("POST", address, Vec::new(), &format!("{query}&account={account}"));
        let mut inside = self.shared.inside();
        let manners = inside.manners.clone();
        location(&self.shared.approve(&mut inside.ledger, &manners, &heard))
    }

    /// Every access token is over now, as if time had gone by.
    pub fn age(&self) {
        self.shared.inside().ledger.age();
    }

    /// An account takes back what it said: its tokens of every kind are over.
    pub fn withdraw(&self, account: &str) {
        self.shared.inside().ledger.withdraw(account);
    }

    /// Whose an access token is, if it is good.
    #[must_use]
    pub fn who(&self, bearer: &str) -> Option<Holder> {
        self.shared.inside().ledger.who(bearer)
    }

    /// Refresh tokens of an account that would still be taken.
    #[must_use]
    pub fn renewable(&self, account: &str) -> usize {
        self.shared.inside().ledger.renewable(account)
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.inside().ledger.counts
    }

    /// Every request to `path`, in order.
    #[must_use]
    pub fn heard(&self, path: &str) -> Vec<Heard> {
        self.shared.inside().heard.iter().filter(|heard| heard.path == path).cloned().collect()
    }

    /// The paths of all requests, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.shared.inside().heard.iter().map(|heard| heard.path.clone()).collect()
    }

    fn browsed(&self, method: &str, address: &str, fields: Vec<(String, String)>, body: &str) -> Heard {
        let (place, query) = address.split_once('?').unwrap_or((address, ""));
        let path = place.strip_prefix(&self.shared.base).unwrap_or(place).to_owned();
        let heard = Heard { method: method.to_owned(), path, query: query.to_owned(), fields, body: body.as_bytes().to_vec() };
        self.shared.inside().heard.push(heard.clone());
        heard
    }
}

impl Drop for ThirdParty {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where an answer leads; empty when nowhere.
#[must_use]
pub fn location(answer: &Answer) -> String {
    let Answer::Whole { fields, .. } = answer else { return String::new() };
    fields.iter().find(|(name, _)| name == "Location").map(|(_, to)| to.clone()).unwrap_or_default()
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// One that waits is left where it is: whoever it holds up looks again.
    fn next_fault(&mut self, path: &str) -> Option<Fault> {
        let waiting = self.once.get_mut(path);
        match waiting.and_then(|all| if all.front() == Some(&Fault::Waits) { all.front().cloned() } else { all.pop_front() }) {
            Some(fault) => Some(fault),
            None => self.always.get(path).cloned(),
        }
    }
}

fn changed(mut whole: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            whole.as_object_mut().map(|members| members.remove(name));
        } else if let Some(members) = whole.as_object_mut() {
            members.insert(name.clone(), value.clone());
        }
    }
    whole
}
