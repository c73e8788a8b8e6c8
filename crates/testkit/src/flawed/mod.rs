//! A server with one flaw, for the auditor: an MCP endpoint of both eras and its authorization server on one address, right in
//! everything that the rules look at, but for the [`Flaw`] that it is started with. Counts what must not happen to it.
//!
//! Nobody signs in here and no token opens anything elsewhere: [`OWN`], [`SECOND`] and [`FOREIGN`] are words.

pub mod hostile;
mod ids;
mod mcp;
mod oauth;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use doorward_core::secret::sha256;
use http::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The token of the first identity.
pub const OWN: &str = "own-token-of-the-testkit";
/// The token of the second identity.
pub const SECOND: &str = "second-token-of-the-testkit";
/// A token that was made for another server.
pub const FOREIGN: &str = "foreign-token-of-the-testkit";
/// What errors of [`Flaw::StackTrace`] hold besides, and no report may show.
pub const LEAKED: &str = "hunter2-in-a-stack-trace";

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Whoever comes is let in.
    NoCredential,
    /// Every bearer token is let in.
    AnyToken,
    /// A JWT counts by its issuer alone: neither signature nor audience is looked at.
    UncheckedJwt,
    /// The token of another server is let in.
    ForeignAudience,
    /// 401 without the address of the metadata.
    SilentChallenge,
    /// 401 without a challenge.
    NoChallenge,
    /// The metadata is of another resource.
    WrongResource,
    /// The challenge names metadata that is not there.
    NoMetadata,
    /// The authorization server calls itself something else.
    WrongIssuer,
    /// PKCE is not offered.
    NoPkce,
    /// PKCE with the method plain.
    PlainPkce,
    /// Authorizations without PKCE are granted.
    UncheckedPkce,
    /// No `iss` in authorization responses.
    NoIss,
    /// Every redirect URI is registered.
    OpenRegistration,
    /// A redirect URI counts if the registered host stands in it.
    LooseRedirect,
    /// A wildcard in a redirect URI is registered, and counts as one.
    WildcardRedirect,
    /// A new client is sent on to a third party.
    NoConsent,
    /// The scope that means everything.
    WildcardScope,
    /// A catalogue of scopes.
    ManyScopes,
    /// Session ids are counted.
    CountedSessions,
    /// Session ids are short.
    ShortSessions,
    /// Session ids are the time.
    TimedSessions,
    /// Two sessions have one id.
    RepeatedSessions,
    /// Session ids are SHA-256 of a counter.
    HashedCounter,
    /// Session ids are SHA-1 of the time in milliseconds.
    HashedTime,
    /// Session ids are MD5 of the user and a counter.
    HashedUser,
    /// Session ids are MD5 of the number of a process and a counter, written as a random UUID is.
    HashedProcess,
    /// Session ids are UUIDs of version 5 of a word and a counter.
    NamedUuid,
    /// A session works for every identity.
    SharedSession,
    /// A session id is enough, without a token.
    NakedSession,
    /// A session works after DELETE.
    UndyingSession,
    /// Events are replayed to every session.
    ForeignEvents,
    /// Origin is not looked at.
    AnyOrigin,
    /// Host is not looked at.
    AnyHost,
    /// Every origin may come with the cookies of the user.
    OpenCors,
    /// A token in the query counts.
    TokenInUrl,
    /// Errors hold a stack trace.
    StackTrace,
    /// The method header is not compared with the body.
    HeaderMismatch,
    /// The token of the caller goes to the upstream.
    Passthrough,
    /// The same, where resources are listed alone.
    PassthroughOfResources,
    /// A description holds characters that nobody sees.
    HiddenText,
    /// A description holds orders.
    OrderingText,
    /// The instructions of the server hold orders.
    OrderingInstructions,
    /// A definition changes from list to list.
    ChangingTools,
    /// A tool is called as one of another server, and its text speaks of one.
    Shadowing,
}

/// What a request did that no auditor may do, and what it left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traces {
    /// Tools that were called.
    pub calls: usize,
    /// Sessions that were not ended.
    pub sessions: usize,
    /// Clients that are still registered.
    pub clients: usize,
    /// Requests in all.
    pub requests: usize,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Flawed {
    /// Where it is.
    pub address: SocketAddr,
    shop: Arc<Shop>,
    task: JoinHandle<()>,
}

/// Everything that a server knows.
#[derive(Debug)]
struct Shop {
    flaw: Option<Flaw>,
    /// Its own origin, as it is reached.
    base: String,
    /// Where [`Flaw::Passthrough`] leads.
    upstream: Option<SocketAddr>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    count: u64,
    /// The last time that an id was made of. Milliseconds.
    last: u64,
    lists: usize,
    sessions: BTreeMap<String, Session>,
    clients: BTreeMap<String, Vec<String>>,
    traces: Traces,
}

#[derive(Debug, Clone, Default)]
struct Session {
    owner: String,
    ended: bool,
    /// Event ids, and the data that followed each.
    events: Vec<(String, String)>,
}

/// Starts a server with this flaw, or without any, on a free port of this computer.
///
/// # Errors
/// When no port is free.
pub async fn serve(flaw: Option<Flaw>, upstream: Option<SocketAddr>) -> std::io::Result<Flawed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shop = Arc::new(Shop { flaw, base: format!("http://{address}"), upstream, memory: Mutex::default() });
    let router = Router::new().fallback(answer).with_state(Arc::clone(&shop));
    let task = tokio::spawn(async move {
        // It ends with the test.
        let _ended = axum::serve(listener, router).await;
    });
    Ok(Flawed { address, shop, task })
}

async fn answer(State(shop): State<Arc<Shop>>, request: Request) -> Response {
    shop.memory().traces.requests += 1;
    match request.uri().path() {
        "/mcp" => mcp::answer(&shop, request).await,
        _ => oauth::answer(&shop, request).await,
    }
}

// === impl Flaw ===

impl Flaw {
    /// Every one.
    pub const ALL: [Self; 45] = [
        Self::NoCredential,
        Self::AnyToken,
        Self::UncheckedJwt,
        Self::ForeignAudience,
        Self::SilentChallenge,
        Self::NoChallenge,
        Self::WrongResource,
        Self::NoMetadata,
        Self::WrongIssuer,
        Self::NoPkce,
        Self::PlainPkce,
        Self::UncheckedPkce,
        Self::NoIss,
        Self::OpenRegistration,
        Self::LooseRedirect,
        Self::WildcardRedirect,
        Self::NoConsent,
        Self::WildcardScope,
        Self::ManyScopes,
        Self::CountedSessions,
        Self::ShortSessions,
        Self::TimedSessions,
        Self::RepeatedSessions,
        Self::HashedCounter,
        Self::HashedTime,
        Self::HashedUser,
        Self::HashedProcess,
        Self::NamedUuid,
        Self::SharedSession,
        Self::NakedSession,
        Self::UndyingSession,
        Self::ForeignEvents,
        Self::AnyOrigin,
        Self::AnyHost,
        Self::OpenCors,
        Self::TokenInUrl,
        Self::StackTrace,
        Self::HeaderMismatch,
        Self::Passthrough,
        Self::PassthroughOfResources,
        Self::HiddenText,
        Self::OrderingText,
        Self::OrderingInstructions,
        Self::ChangingTools,
        Self::Shadowing,
    ];
}

// === impl Flawed ===

impl Flawed {
    /// The MCP endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/mcp", self.shop.base)
    }

    /// What was done to it until now.
    #[must_use]
    pub fn traces(&self) -> Traces {
        let memory = self.shop.memory();
        let sessions = memory.sessions.values().filter(|session| !session.ended).count();
        Traces { sessions, clients: memory.clients.len(), ..memory.traces }
    }
}

impl Drop for Flawed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Shop ===

impl Shop {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Memory ===

impl Memory {
    /// A word that looks like chance and is the same in each run. Whoever does not know what goes in cannot compute it.
    fn word(&mut self) -> String {
        self.count += 1;
        sha256(format!("what only this server knows, {}", self.count).as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn json(status: StatusCode, value: &Value) -> Response {
    with(plain(status), "content-type", "application/json").map(|_| Body::from(value.to_string()))
}

/// With a header; a value that is none is left out.
fn with(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    response
}

fn field<'a>(request: &'a http::request::Parts, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

fn is(request: &http::request::Parts, method: &Method, path: &str) -> bool {
    request.method == method && request.uri.path() == path
}
