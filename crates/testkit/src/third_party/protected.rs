//! An MCP server of both eras that takes the tokens of a [`ThirdParty`](super::ThirdParty) and no others: 401 with a challenge without
//! one, its metadata (RFC 9728) where the challenge points, `whoami` that answers with the account whose token came, `change` for who
//! has the scope `write`. Writes down every `Authorization` that it saw.

use super::ledger::Holder;
use super::serve::{Answer, Heard, Peer, accept};
use super::{Shared, ThirdParty, changed};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that listens.
#[derive(Debug)]
pub struct Protected {
    address: SocketAddr,
    desk: Arc<Desk>,
    task: JoinHandle<std::io::Result<()>>,
}

/// What it is like.
#[derive(Debug, Clone, Default)]
pub struct Habits {
    /// Members of its metadata that are others; null for none.
    pub resource: Value,
    /// Instead of its challenge this text; empty for none.
    pub challenge: Option<String>,
    /// It takes no token at all, however good.
    pub is_shut: bool,
    /// It does not look for whom a token was asked for.
    pub takes_any_resource: bool,
}

#[derive(Debug)]
struct Desk {
    base: String,
    issuer: String,
    provider: Arc<Shared>,
    state: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    habits: Habits,
    heard: Vec<Heard>,
    sessions: usize,
}

const PATH: &str = "/mcp";
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

// === impl Protected ===

impl Protected {
    /// Starts one on a free port of 127.0.0.1, which takes the tokens of this third party.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(provider: &ThirdParty) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk {
            base: format!("http://{address}"),
            issuer: provider.issuer().to_owned(),
            provider: Arc::clone(&provider.shared),
            state: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&desk)));
        Ok(Self { address, desk, task })
    }

    /// The MCP endpoint, which is also its name as a resource.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.desk.base)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it is like.
    pub fn behave(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.desk.notes().habits);
    }

    /// Every `Authorization` that came to the MCP endpoint, in order; empty where there was none.
    #[must_use]
    pub fn authorizations(&self) -> Vec<String> {
        let heard = self.heard(PATH);
        heard.iter().map(|heard| heard.field("authorization").unwrap_or_default().to_owned()).collect()
    }

    /// Every request to `path`, in order.
    #[must_use]
    pub fn heard(&self, path: &str) -> Vec<Heard> {
        self.desk.notes().heard.iter().filter(|heard| heard.path == path).cloned().collect()
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer for Desk {
    async fn answer(&self, heard: Heard) -> Answer {
        self.notes().heard.push(heard.clone());
        let habits = self.notes().habits.clone();
        if heard.method == "GET" && (heard.path == WELL_KNOWN || heard.path.strip_prefix(WELL_KNOWN) == Some(PATH)) {
            return Answer::json(200, &changed(self.metadata(), &habits.resource));
        }
        if heard.path != PATH {
            return Answer::text(404, "text/plain", "nothing here");
        }
        let Some(holder) = self.holder(&heard, &habits) else {
            let error = if heard.field("authorization").is_some() { ", error=\"invalid_token\"" } else { "" };
            return self.challenged(401, &habits, &format!("scope=\"read\"{error}"));
        };
        match heard.method.as_str() {
            "POST" => self.message(&heard, &holder, &habits),
            "DELETE" => Answer::text(200, "text/plain", ""),
            _ => Answer::text(405, "text/plain", ""),
        }
    }
}

impl Desk {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metadata(&self) -> Value {
        json!({
            "resource": format!("{}{PATH}", self.base),
            "authorization_servers": [self.issuer],
            "scopes_supported": ["read"],
            "bearer_methods_supported": ["header"],
        })
    }

    fn holder(&self, heard: &Heard, habits: &Habits) -> Option<Holder> {
        let token = heard.field("authorization")?.strip_prefix("Bearer ")?;
        let holder = self.provider.inside().ledger.who(token).filter(|_| !habits.is_shut)?;
        let own = format!("{}{PATH}", self.base);
        (habits.takes_any_resource || holder.resource.as_deref() == Some(&own)).then_some(holder)
    }

    fn challenged(&self, status: u16, habits: &Habits, rest: &str) -> Answer {
        let answer = Answer::json(status, &json!({"error": "canary-of-the-resource"}));
        let own = format!("Bearer resource_metadata=\"{}{WELL_KNOWN}{PATH}\", {rest}", self.base);
        match &habits.challenge {
            Some(text) if text.is_empty() => answer,
            Some(text) => answer.with("WWW-Authenticate", text),
            None => answer.with("WWW-Authenticate", &own),
        }
    }

    fn message(&self, heard: &Heard, holder: &Holder, habits: &Habits) -> Answer {
        let message = heard.json();
        let (Some(method), Some(id)) = (message.get("method").and_then(Value::as_str), message.get("id")) else {
            return Answer::text(202, "text/plain", "");
        };
        let version = message.pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion");
        let tool = message.pointer("/params/name").and_then(Value::as_str).unwrap_or_default();
        let has = |scope: &str| holder.scopes.iter().any(|one| one == scope);
        let text = |text: String| json!({"content": [{"type": "text", "text": text}]});
        let outcome = match (method, tool) {
            ("initialize", _) => Ok(initialize(&message)),
            ("server/discover", _) => Ok(json!({
                "supportedVersions": [MODERN],
                "capabilities": {"tools": {}},
                "ttlMs": 0,
                "cacheScope": "private",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "doorward-protected", "version": "1"}}
            })),
            ("ping", _) => Ok(json!({})),
            ("tools/list", _) => Ok(json!({"tools": tools()})),
            ("prompts/list", _) => Ok(json!({"prompts": []})),
            ("resources/list", _) => Ok(json!({"resources": []})),
            ("tools/call", "whoami") => Ok(text(holder.account.clone())),
            ("tools/call", "change") if !has("write") => {
                return self.challenged(403, habits, "error=\"insufficient_scope\", scope=\"read write\"");
            }
            ("tools/call", "change") => Ok(text(format!("changed by {}", holder.account))),
            ("tools/call", _) => Err(json!({"code": -32602, "message": "Unknown tool"})),
            _ => Err(json!({"code": -32601, "message": "Method not found"})),
        };
        let answer = match outcome {
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
            Ok(result) => {
                let more = match version {
                    None => Value::Null,
                    Some(_) if method.ends_with("/list") => json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}),
                    Some(_) => json!({"resultType": "complete"}),
                };
                json!({"jsonrpc": "2.0", "id": id, "result": changed(result, &more)})
            }
        };
        let answer = Answer::json(200, &answer);
        if method != "initialize" {
            return answer;
        }
        let mut notes = self.notes();
        notes.sessions += 1;
        answer.with("Mcp-Session-Id", &format!("protected-{}", notes.sessions))
    }
}

fn initialize(message: &Value) -> Value {
    let asked = message.pointer("/params/protocolVersion").and_then(Value::as_str).unwrap_or_default();
    let version = LEGACY.into_iter().find(|known| *known == asked).unwrap_or("2025-11-25");
    json!({"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "doorward-protected", "version": "1"}})
}

fn tools() -> Value {
    let tool = |name: &str, words: &str, reads: bool| json!({"name": name, "description": words, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": reads}});
    json!([tool("whoami", "Says whose account it is", true), tool("change", "Changes something, for who may write", false)])
}
