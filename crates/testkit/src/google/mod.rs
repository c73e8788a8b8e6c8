//! A Google that is right in everything until a test tells it otherwise: metadata server, OAuth token endpoint, security token service
//! and IAM Service Account Credentials on one port of this computer, told apart by their paths as the real ones are by their hosts.
//!
//! It knows whose each token is ([`Google::whose`]), so that a fake upstream can say who came, and counts what it was asked. Who may
//! become whom is a table of the test ([`Google::allow`]). [`Fault`] is what goes wrong, service by service.

mod answers;

use super::provider::sign::Signer;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The account of the machine, as its metadata server tells.
pub const MACHINE: &str = "gateway@corp-sec.iam.gserviceaccount.com";
/// The account whose key [`Google::key_file`] holds.
pub const KEYED: &str = "keyed@corp-sec.iam.gserviceaccount.com";
/// The refresh token of [`Google::person_file`].
pub const REFRESH: &str = "1//refresh-token-of-a-person";
/// The token of another provider that the security token service believes.
pub const SUBJECT: &str = "subject.token.of-a-workload";

/// A Google that listens.
#[derive(Debug)]
pub struct Google {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// One of its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Metadata server.
    Metadata,
    /// OAuth token endpoint.
    OAuth,
    /// Security token service.
    Sts,
    /// IAM Service Account Credentials.
    Iam,
}

/// What goes wrong at a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// This status, with a body of its kind.
    Status(u16),
    /// The same for the next request alone.
    Once(u16),
    /// 429, with this `Retry-After` in seconds.
    Later(u64),
    /// A page with 200.
    Page,
    /// JSON that is none of what was asked for.
    Garbage,
    /// Tokens that have ended.
    Expired,
    /// A way to another address.
    Elsewhere,
    /// Two megabytes.
    Huge,
    /// No answer until this says something else.
    Silent,
    /// Without `Metadata-Flavor`.
    NoFlavor,
    /// Numbers as texts, as some proxies have them.
    TextNumbers,
    /// One member twice.
    Twice,
}

/// Whose a token is, and what it may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The account or person.
    pub identity: String,
    /// Of an access token: its scopes.
    pub scopes: Vec<String>,
    /// Of an ID token: who it is for.
    pub audience: Option<String>,
    /// Of an impersonated one: who became the account.
    pub by: Option<String>,
    /// Of an impersonated one: `lifetime` as it was asked for.
    pub lifetime: Option<String>,
}

/// One question that was asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Of which service.
    pub part: Part,
    /// The method and the path with its query.
    pub line: String,
    /// The body as text.
    pub body: String,
    /// `Authorization`.
    pub authorization: Option<String>,
}

#[derive(Debug)]
struct Shared {
    base: String,
    state: Mutex<Inside>,
    /// Told whenever a fault changes.
    changed: Notify,
}

#[derive(Debug)]
struct Inside {
    faults: BTreeMap<Part, Fault>,
    signer: Signer,
    tokens: BTreeMap<String, Whose>,
    allowed: BTreeMap<String, BTreeSet<String>>,
    asked: Vec<Question>,
    made: usize,
    /// Seconds that its clock goes ahead.
    ahead: u64,
}

const LARGEST: usize = 64 * 1024;

impl Google {
    /// Starts one on a free port of this computer.
    ///
    /// # Errors
    /// When no port is free, or no key can be made.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let inside = Inside {
            faults: BTreeMap::new(),
            signer: Signer::new("key-of-keyed")?,
            tokens: BTreeMap::new(),
            allowed: BTreeMap::new(),
            asked: Vec::new(),
            made: 0,
            ahead: 0,
        };
        let shared = Arc::new(Shared { base: format!("http://{address}"), state: Mutex::new(inside), changed: Notify::new() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends with the test.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, task })
    }

    /// Scheme, host and port of each of its services.
    #[must_use]
    pub fn base(&self) -> String {
        self.shared.base.clone()
    }

    /// `[endpoints]` of a configuration that has no other Google than this one.
    #[must_use]
    pub fn endpoints(&self) -> String {
        let base = self.base();
        format!("[endpoints]\niamcredentials = \"{base}\"\nsts = \"{base}\"\noauth2 = \"{base}\"\nmetadata = \"{base}\"\n")
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what goes wrong at a service.
    pub fn break_down(&self, part: Part, fault: Fault) {
        self.shared.inside().faults.insert(part, fault);
        self.shared.changed.notify_waiters();
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        self.shared.inside().faults.clear();
        self.shared.changed.notify_waiters();
    }

    /// Time goes by here too.
    pub fn pass(&self, seconds: u64) {
        self.shared.inside().ahead += seconds;
    }

    /// Whoever is `by` may become `target` from now on.
    pub fn allow(&self, by: &str, target: &str) {
        self.shared.inside().allowed.entry(target.to_owned()).or_default().insert(by.to_owned());
    }

    /// And no longer.
    pub fn deny(&self, by: &str, target: &str) {
        self.shared.inside().allowed.entry(target.to_owned()).or_default().remove(by);
    }

    /// Whose a token is that somebody shows, with or without `Bearer`; `None` for a token that this Google never gave.
    #[must_use]
    pub fn whose(&self, shown: &str) -> Option<Whose> {
        self.shared.inside().tokens.get(shown.strip_prefix("Bearer ").unwrap_or(shown)).cloned()
    }

    /// Every question so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Question> {
        self.shared.inside().asked.clone()
    }

    /// How many questions a service was asked whose line holds this text.
    #[must_use]
    pub fn count(&self, part: Part, text: &str) -> usize {
        self.shared.inside().asked.iter().filter(|asked| asked.part == part && asked.line.contains(text)).count()
    }

    /// As if it had been asked nothing.
    pub fn forget(&self) {
        self.shared.inside().asked.clear();
    }

    /// A file of `gcloud auth application-default login`: a person.
    #[must_use]
    pub fn person_file(&self) -> Value {
        json!({"type": "authorized_user", "client_id": "gcloud", "client_secret": "d-secret", "refresh_token": REFRESH,
            "quota_project_id": "corp-quota", "token_uri": format!("{}/token", self.shared.base)})
    }

    /// A file with the key of [`KEYED`].
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn key_file(&self) -> std::io::Result<Value> {
        Ok(json!({"type": "service_account", "client_email": KEYED, "private_key_id": "key-of-keyed", "project_id": "corp-sec",
            "private_key": self.shared.inside().signer.pem()?, "token_uri": format!("{}/token", self.shared.base)}))
    }

    /// A file by which the holder of another one becomes `target`.
    #[must_use]
    pub fn impersonating_file(&self, source: &Value, target: &str) -> Value {
        json!({"type": "impersonated_service_account", "source_credentials": source, "delegates": [],
            "service_account_impersonation_url": self.impersonation_url(target)})
    }

    /// A file of a workload that shows a token out of `source` (`credential_source`).
    #[must_use]
    pub fn workload_file(&self, source: &Value, target: Option<&str>) -> Value {
        let mut file = json!({"type": "external_account", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/ci",
            "token_url": format!("{}/v1/token", self.shared.base), "credential_source": source});
        if let (Some(target), Some(members)) = (target, file.as_object_mut()) {
            members.insert("service_account_impersonation_url".to_owned(), self.impersonation_url(target).into());
        }
        file
    }

    fn impersonation_url(&self, target: &str) -> String {
        format!("{}/v1/projects/-/serviceAccounts/{target}:generateAccessToken", self.shared.base)
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Part {
    fn of(path: &str) -> Option<Self> {
        if path.starts_with("/computeMetadata/") {
            return Some(Self::Metadata);
        }
        if path.starts_with("/v1/projects/-/serviceAccounts/") {
            return Some(Self::Iam);
        }
        match path {
            "/token" => Some(Self::OAuth),
            "/v1/token" | "/v1/oauthtoken" => Some(Self::Sts),
            _ => None,
        }
    }
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong, once this service says anything at all.
    async fn fault(&self, part: Part) -> Fault {
        loop {
            let mut told = std::pin::pin!(self.changed.notified());
            // Before the look: what changes after it is heard.
            told.as_mut().enable();
            let fault = self.inside().faults.get(&part).copied().unwrap_or_default();
            if fault != Fault::Silent {
                if let Fault::Once(status) = fault {
                    self.inside().faults.remove(&part);
                    return Fault::Status(status);
                }
                return fault;
            }
            told.await;
        }
    }
}

impl Inside {
    /// A token that nobody guesses and that every search finds.
    fn mint(&mut self, whose: Whose) -> String {
        self.made += 1;
        let token = format!("ya29.canary-of-google-{}-{}", self.made, self.now());
        self.tokens.insert(token.clone(), whose);
        token
    }

    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) + self.ahead
    }

    fn mint_identity(&mut self, whose: Whose, claims: &Value) -> String {
        let token = self.signer.sign_kind("JWT", claims);
        self.tokens.insert(token.clone(), whose);
        token
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8_lossy(&to_bytes(body, LARGEST).await.unwrap_or_default()).into_owned();
    let Some(part) = Part::of(parts.uri.path()) else { return answers::text(404, "text/plain", "nothing here") };
    let field = |name: &str| text_of(&parts.headers, name);
    let line = format!("{} {}", parts.method, parts.uri);
    shared.inside().asked.push(Question { part, line, body: body.clone(), authorization: field("authorization") });
    let fault = shared.fault(part).await;
    let mut inside = shared.inside();
    let query = parts.uri.query().unwrap_or_default();
    match part {
        Part::Metadata => answers::metadata(&mut inside, fault, (parts.uri.path(), query), field("metadata-flavor").as_deref()),
        Part::OAuth => answers::oauth(&mut inside, fault, &format!("{}/token", shared.base), &body),
        Part::Sts => answers::sts(&mut inside, fault, field("authorization").as_deref(), &body),
        Part::Iam => answers::iam(&mut inside, fault, parts.uri.path(), field("authorization").as_deref(), &body),
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
