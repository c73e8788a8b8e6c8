//! One visit to one server: what rules share. The first look says who is let in, which eras are spoken, what the metadata and the
//! tools are; after it each rule asks its own questions. Every session that is opened is closed, no tool is ever called.

use crate::ask::{Ask, Key, Reply};
use crate::door::{Door, Stop, Trouble};
use crate::metadata::{self, Metadata};
use crate::registration::{self, Client, REDIRECT};
use crate::upstream::Upstream;
use doorward_core::secret::sha256;
use doorward_scan::{Confidence, Finding, Note, Rule};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use tokio::sync::OnceCell;
use url::Url;
use zeroize::Zeroizing;

/// Pages of a list that are read, and tools that are looked at.
const PAGES: usize = 20;
const TOOLS: usize = 2000;

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Who has the credential that was given.
    Keyed,
    /// Nobody that we could be.
    Locked,
}

/// Whether a server does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Yes,
    No,
}

/// The credentials of a visit.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) own: Option<Key>,
    pub(crate) second: Option<Key>,
    pub(crate) foreign: Option<Key>,
}

/// What the first look found.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) access: Access,
    /// Whether the given credential is accepted.
    pub(crate) own: Does,
    /// Revisions with sessions.
    pub(crate) legacy: Does,
    /// The revision of 2026-07-28.
    pub(crate) modern: Does,
    /// How a request without a credential was refused.
    pub(crate) refusal: Option<Reply>,
    pub(crate) metadata: Metadata,
    pub(crate) tools: Vec<Value>,
    /// The same list, asked for once more.
    pub(crate) again: Vec<Value>,
    /// What the server tells models about itself.
    pub(crate) instructions: Vec<String>,
}

/// A session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// None where the server gave none.
    pub(crate) id: Option<String>,
    pub(crate) key: Option<Key>,
    /// The answer to `initialize`.
    pub(crate) reply: Reply,
}

/// One visit.
pub(crate) struct Visit {
    pub(crate) door: Door,
    pub(crate) url: Url,
    pub(crate) keys: Keys,
    pub(crate) upstream: Option<Upstream>,
    client: OnceCell<Option<Client>>,
    registered: RefCell<Vec<Client>>,
    trouble: Cell<Option<Trouble>>,
    names: Vec<String>,
    seed: [u8; 32],
    known: OnceCell<Known>,
    count: Cell<u64>,
    hidden: RefCell<Vec<Zeroizing<String>>>,
    notes: RefCell<Vec<Note>>,
}

// === impl Visit ===

impl Visit {
    pub(crate) fn new(door: Door, url: Url, keys: Keys, upstream: Option<Upstream>, seed: [u8; 32]) -> Self {
        let hidden = [&keys.own, &keys.second, &keys.foreign].into_iter().flatten().map(Key::hidden);
        let mut hidden: Vec<Zeroizing<String>> = hidden.collect();
        hidden.extend(url.query_pairs().map(|(_, value)| Zeroizing::new(value.into_owned())));
        Self {
            door,
            url,
            keys,
            upstream,
            client: OnceCell::new(),
            registered: RefCell::default(),
            trouble: Cell::new(None),
            names: Vec::new(),
            seed,
            known: OnceCell::new(),
            count: Cell::new(0),
            hidden: RefCell::new(hidden),
            notes: RefCell::default(),
        }
    }

    /// With user names that ids may be made of.
    pub(crate) fn with_names(mut self, names: &[String]) -> Self {
        self.names = names.to_vec();
        self
    }

    /// The user names that are known: those that were given, and those that a given JWT has in clear text.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = self.names.clone();
        for key in [&self.keys.own, &self.keys.second].into_iter().flatten() {
            names.extend(key.claims(&["sub", "preferred_username", "username", "email", "upn", "name", "client_id"]));
        }
        names.sort();
        names.dedup();
        names
    }

    /// The address as reports show it: a query may hold a secret.
    pub(crate) fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    }

    /// What was found first. None before [`Visit::look`], or where no MCP server answers.
    pub(crate) fn known(&self) -> Option<&Known> {
        self.known.get()
    }

    /// What was found first.
    ///
    /// # Errors
    /// [`Stop::Untried`] where there was no first look.
    pub(crate) fn seen(&self) -> Result<&Known, Stop> {
        self.known.get().ok_or(Stop::Untried("no MCP server answered"))
    }

    pub(crate) fn note(&self, id: &'static str, meaning: impl Into<String>) {
        self.notes.borrow_mut().push(Note { url: self.shown(), id, meaning: meaning.into() });
    }

    pub(crate) fn notes(&self) -> Vec<Note> {
        self.notes.borrow().clone()
    }

    pub(crate) fn hide(&self, text: &str) {
        self.hidden.borrow_mut().push(Zeroizing::new(text.to_owned()));
    }

    pub(crate) fn hidden(&self) -> Vec<Zeroizing<String>> {
        self.hidden.borrow().clone()
    }

    pub(crate) fn finding(&self, rule: &'static Rule, sure: Confidence, subject: &str, evidence: impl Into<String>) -> Finding {
        Finding::seen(rule, sure, &self.shown(), subject, evidence)
    }

    /// A word that nobody else has, the same for the same purpose within a visit. 32 characters of hexadecimal.
    pub(crate) fn word(&self, purpose: &str) -> String {
        let mut text = self.seed.to_vec();
        text.extend_from_slice(purpose.as_bytes());
        sha256(&text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A new id for a message.
    pub(crate) fn id(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("dw-{}", self.count.get())
    }

    pub(crate) async fn send(&self, ask: Ask) -> Result<Reply, Stop> {
        self.door.send(ask).await
    }

    /// The identity that is let in: the given credential, or nobody's.
    ///
    /// # Errors
    /// [`Stop::Untried`] where nobody is.
    pub(crate) fn identity(&self) -> Result<Option<&Key>, Stop> {
        let known = self.seen()?;
        match known.access {
            Access::Open | Access::Keyed => Ok(self.keys.own.as_ref().filter(|_| known.own == Does::Yes)),
            Access::Locked => Err(Stop::Untried("it wants a credential that the server accepts: --probe-token")),
        }
    }

    /// The identity that is let in, of a server with sessions.
    ///
    /// # Errors
    /// [`Stop::Untried`] where nobody is, or there are none.
    pub(crate) fn with_sessions(&self) -> Result<Option<&Key>, Stop> {
        let key = self.identity()?;
        if self.seen()?.legacy == Does::Yes { Ok(key) } else { Err(Stop::Untried("the server has no sessions")) }
    }

    /// Opens a session of the older era, and says so to the server.
    pub(crate) async fn open(&self, key: Option<&Key>) -> Result<Session, Stop> {
        let session = self.start(key).await?;
        if session.reply.result().is_some() {
            let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            let ask = Ask::message(self.url.clone(), &ready).field("mcp-protocol-version", session.version());
            // Nothing comes back to it; a server that opens a stream for it does not make its asker wait.
            self.send(ask.by(key).in_session(session.id.as_deref()).lingering()).await?;
        }
        Ok(session)
    }

    /// Only `initialize`.
    pub(crate) async fn start(&self, key: Option<&Key>) -> Result<Session, Stop> {
        let reply = self.send(Ask::initialize(self.url.clone(), &self.id()).by(key)).await?;
        let id = reply.field("mcp-session-id").map(str::to_owned);
        if let Some(id) = &id {
            self.hide(id);
        }
        Ok(Session { id, key: key.cloned(), reply })
    }

    /// Ends a session; a server that lets nobody do so keeps it.
    pub(crate) async fn close(&self, session: &Session) -> Result<Reply, Stop> {
        let Some(id) = &session.id else { return Ok(Reply::default()) };
        let ask = Ask::new(Method::DELETE, self.url.clone()).field("mcp-protocol-version", session.version());
        self.send(ask.by(session.key.as_ref()).in_session(Some(id))).await
    }

    /// `tools/list` of the older era.
    pub(crate) async fn list(&self, key: Option<&Key>, session: Option<&str>) -> Result<Reply, Stop> {
        self.send(Ask::legacy(self.url.clone(), &self.id(), "tools/list", &json!({})).by(key).in_session(session)).await
    }

    /// A request of the newer era.
    pub(crate) async fn modern(&self, key: Option<&Key>, method: &str) -> Result<Reply, Stop> {
        self.send(Ask::modern(self.url.clone(), &self.id(), method, json!({})).by(key)).await
    }

    /// A client of the probe at the authorization server, registered once. None where nobody may register.
    pub(crate) async fn client(&self) -> Result<Option<&Client>, Stop> {
        Ok(self.client.get_or_try_init(|| registration::register(self, REDIRECT)).await?.as_ref())
    }

    /// Remembers a registration that is to be taken back.
    pub(crate) fn registered(&self, client: Client) {
        self.registered.borrow_mut().push(client);
    }

    /// Takes back what was registered.
    pub(crate) async fn leave(&self) -> Result<(), Stop> {
        let clients = self.registered.take();
        for client in &clients {
            registration::unregister(self, client).await?;
        }
        Ok(())
    }

    /// Why the server could not be asked at all.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.get()
    }

    /// Whether a session id that nobody was given works like one: then ids mean nothing here.
    pub(crate) async fn takes_any_session(&self, key: Option<&Key>) -> Result<Does, Stop> {
        let invented = self.word("session");
        Ok(if self.list(key, Some(&invented)).await?.result().is_some() { Does::Yes } else { Does::No })
    }

    /// Whether this credential, or none, is let in: its answer to a list.
    pub(crate) async fn lets_in(&self, key: Option<&Key>) -> Result<Option<String>, Stop> {
        let session = self.open(key).await?;
        if session.reply.result().is_some() {
            let listed = self.list(key, session.id.as_deref()).await?;
            self.close(&session).await?;
            if listed.result().is_some() {
                return Ok(Some("initialize and tools/list were answered".to_owned()));
            }
        }
        if self.modern(key, "server/discover").await?.result().is_some() && self.modern(key, "tools/list").await?.result().is_some() {
            return Ok(Some("server/discover and tools/list were answered".to_owned()));
        }
        Ok(None)
    }

    /// The first look.
    ///
    /// # Errors
    /// [`Stop`]; [`Stop::Untried`] if nothing like an MCP server answers, with a note that says what did.
    pub(crate) async fn look(&self) -> Result<(), Stop> {
        let plain = self.start(None).await?;
        if plain.reply.status.is_none() {
            self.trouble.set(self.door.trouble());
            let why = self.door.trouble().map_or_else(|| "did not answer".to_owned(), |trouble| trouble.to_string());
            self.note("unreachable", format!("the server {why}: nothing else was asked"));
            return Err(Stop::Untried("the server could not be asked"));
        }
        let bare = self.modern(None, "server/discover").await?;
        let refused = |reply: &Reply| reply.is(StatusCode::UNAUTHORIZED) || reply.is(StatusCode::FORBIDDEN);
        let refusal = [&plain.reply, &bare].into_iter().find(|reply| refused(reply)).cloned();
        let open = self.lets_in(None).await?.is_some();
        self.close(&plain).await?;
        let (mut legacy, mut modern) = (plain.reply.result().is_some(), bare.result().is_some());
        let mut first = [plain.reply.clone(), bare];
        let mut keyed = false;
        if let Some(own) = &self.keys.own {
            let session = self.start(Some(own)).await?;
            let discovered = self.modern(Some(own), "server/discover").await?;
            self.close(&session).await?;
            keyed = session.reply.result().is_some() || discovered.result().is_some();
            legacy |= session.reply.result().is_some();
            modern |= discovered.result().is_some();
            if keyed {
                first = [session.reply, discovered];
            } else {
                self.note("refused", "the server refuses the credential that was given");
            }
        }
        if !legacy && !modern && refusal.is_none() {
            self.note("no-mcp", format!("does not answer like an MCP server ({}); no redirect is followed", plain.reply.told()));
            return Err(Stop::Untried("no MCP server answered"));
        }
        let access = match (keyed, open) {
            (true, false) => Access::Keyed,
            (_, true) => Access::Open,
            (false, false) => Access::Locked,
        };
        let does = |yes| if yes { Does::Yes } else { Does::No };
        let metadata = metadata::read(self, refusal.as_ref()).await?;
        let instructions = first.iter().filter_map(|reply| reply.result()?.get("instructions")?.as_str().map(str::to_owned)).collect();
        let mut known = Known {
            access,
            own: does(keyed),
            legacy: does(legacy),
            modern: does(modern),
            refusal,
            metadata,
            tools: Vec::new(),
            again: Vec::new(),
            instructions,
        };
        if access != Access::Locked {
            let key = self.keys.own.as_ref().filter(|_| keyed);
            known.tools = self.tools(key, known.legacy).await?;
            known.again = self.tools(key, known.legacy).await?;
        }
        drop(self.known.set(known));
        Ok(())
    }

    async fn tools(&self, key: Option<&Key>, legacy: Does) -> Result<Vec<Value>, Stop> {
        let session = if legacy == Does::Yes { Some(self.open(key).await?) } else { None };
        let mut tools = Vec::new();
        let mut cursor: Option<Value> = None;
        for _ in 0..PAGES {
            let params = cursor.take().map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
            let ask = match &session {
                Some(session) => Ask::legacy(self.url.clone(), &self.id(), "tools/list", &params).in_session(session.id.as_deref()),
                None => Ask::modern(self.url.clone(), &self.id(), "tools/list", params),
            };
            let reply = self.send(ask.by(key)).await?;
            let Some(result) = reply.result() else { break };
            tools.extend(result.get("tools").and_then(Value::as_array).into_iter().flatten().take(TOOLS - tools.len()).cloned());
            cursor = result.get("nextCursor").filter(|next| next.is_string()).cloned();
            if cursor.is_none() || tools.len() >= TOOLS {
                break;
            }
        }
        if let Some(session) = &session {
            self.close(session).await?;
        }
        Ok(tools)
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit").field("url", &self.shown()).finish_non_exhaustive()
    }
}

// === impl Session ===

impl Session {
    /// The revision that was agreed upon.
    pub(crate) fn version(&self) -> &str {
        self.reply.result().and_then(|result| result.get("protocolVersion")).and_then(Value::as_str).unwrap_or(crate::ask::LEGACY)
    }
}
