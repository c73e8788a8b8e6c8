//! Requests of Doorward's own: finding out the era, opening and closing sessions and processes, reading whole lists.
//!
//! Never for a caller and never with a caller's identity: what serves the catalogue is upkeep (house 6, background work).

use super::exchange::{Exchange, Item};
use super::fault::Fault;
use super::http::{HttpServer, Line};
use super::pipe::Pipe;
use super::{Known, PipeKey, Reached, Upstream, no_capabilities};
use crate::egress::pool::PoolKey;
use crate::tasks::Tasks;
use doorward_core::config::Share;
use doorward_core::credential::UpstreamSecret;
use doorward_core::id::CorrelationId;
use doorward_core::json::RawJson;
use doorward_core::json::write::ObjectWriter;
use doorward_core::mcp::encode::{self, Wire};
use doorward_core::mcp::error::{HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION};
use doorward_core::mcp::reply::{Incoming, ReplyBody, RpcError, supported_versions};
use doorward_core::mcp::version::{Era, Version};
use doorward_core::session::UpstreamSessionId;
use std::sync::Arc;
use std::time::Duration;

/// A way to a server, in one era.
#[derive(Debug, Clone)]
pub enum Way {
    /// HTTP, with the session in the line where there is one.
    Http(Arc<HttpServer>, Line),
    /// A process.
    Pipe(Arc<Pipe>),
}

impl Way {
    /// The same way for this request of the record.
    #[must_use]
    pub fn on_record(self, id: CorrelationId) -> Self {
        match self {
            Self::Http(server, line) => Self::Http(server, Line { why: Some(id), ..line }),
            Self::Pipe(pipe) => Self::Pipe(pipe),
        }
    }

    /// The same way with another credential, and connections of its own.
    #[must_use]
    pub fn lent(&self, secret: &Arc<UpstreamSecret>) -> Self {
        match self {
            Self::Http(server, line) => {
                let pool = PoolKey { version: secret.version(), ..line.pool.clone() };
                Self::Http(
                    Arc::clone(server),
                    Line { pool, secret: Some(Arc::clone(secret)), session: line.session.clone(), why: line.why },
                )
            }
            Self::Pipe(pipe) => Self::Pipe(Arc::clone(pipe)),
        }
    }
}

/// A legacy session towards a server.
#[derive(Debug)]
pub struct OpenedSession {
    /// The way, with the session.
    pub way: Way,
    /// The version that the server negotiated.
    pub version: Version,
    /// Its `InitializeResult`.
    pub result: RawJson,
}

/// What an own request gave.
pub type Answered = Result<RawJson, RpcError>;

/// Pages and entries of one list; more is an error that the administrator sees, never a short list (protocol 14).
const MOST_PAGES: usize = 100;
const MOST_ENTRIES: usize = 10_000;
/// How long a process may take for its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

impl Upstream {
    /// A way without a session: HTTP as it is, or the process that serves this owner.
    ///
    /// # Errors
    /// [`Fault`] of the launch.
    pub async fn stateless(
        &self,
        pool: &PoolKey,
        secret: Option<Arc<UpstreamSecret>>,
        key: PipeKey,
        tasks: &Tasks,
        approved: Option<[u8; 32]>,
    ) -> Result<Way, Fault> {
        match &self.reach {
            Reached::Http(server) => Ok(Way::Http(Arc::clone(server), Line { pool: pool.clone(), secret, session: None, why: None })),
            Reached::Stdio(stdio) => {
                // Before a process that runs, too: it may have been started while it was still approved (I9).
                if approved.is_none() {
                    return Err(Fault::NotApproved);
                }
                let key = if stdio.command.share == Share::All { PipeKey { owner: None } } else { key };
                // One start at a time for each key. The map is not held meanwhile: who restarts a process that keeps
                // ending waits alone.
                let turn = stdio.turn(&key);
                let _mine = turn.lock().await;
                let known = stdio.pipes.lock().await.get(&key).cloned();
                match known {
                    Some(pipe) if !pipe.is_gone() => return Ok(Way::Pipe(pipe)),
                    // Stays in the map until another takes its place, so that giving up the wait spares nobody theirs.
                    Some(_) => stdio.before_restart(&key).await?,
                    None => {}
                }
                let pipe = stdio.launch(self, tasks, approved).await?;
                if stdio.command.share == Share::All {
                    pipe.share();
                }
                stdio.pipes.lock().await.insert(key, Arc::clone(&pipe));
                Ok(Way::Pipe(pipe))
            }
        }
    }

    /// Makes sure that the server speaks 2026-07-28 (protocol 5). Never probed with a method that a legacy server could run.
    ///
    /// # Errors
    /// [`Fault::NoEra`], or what went wrong on the way.
    pub async fn ensure_modern(&self, way: &Way) -> Result<(), Fault> {
        self.permits(Known::Modern)?;
        match self.known() {
            Some(Known::Modern) => return Ok(()),
            Some(Known::NotModern) => return Err(not_modern()),
            None => {}
        }
        let answered = tokio::time::timeout(FIRST_ANSWER, self.own(way, Era::Modern, "server/discover", &RawJson::empty_object())).await;
        let known = match answered {
            Ok(Ok(Ok(_))) => Known::Modern,
            Ok(Ok(Err(error))) => match i32::try_from(error.code) {
                Ok(HEADER_MISMATCH | MISSING_CAPABILITY) => Known::Modern,
                Ok(UNSUPPORTED_VERSION) if supported_versions(&error).contains(&Version::V2026_07_28) => Known::Modern,
                _ => Known::NotModern,
            },
            // The statuses with which an older server says that it has no such thing (3c).
            Ok(Err(Fault::Status(400 | 404 | 405) | Fault::SessionLost)) => Known::NotModern,
            // Not modern now, as far as this caller can tell; nothing that others are held to for a minute.
            Ok(Err(Fault::Status(401..500) | Fault::Bad(_))) => return Err(not_modern()),
            Ok(Err(fault)) => return Err(fault),
            Err(_) if matches!(way, Way::Pipe(_)) => return Err(not_modern()),
            Err(_) => return Err(Fault::Silent),
        };
        self.learn(Some(known.clone()));
        if known == Known::Modern { Ok(()) } else { Err(not_modern()) }
    }

    /// Opens a legacy session: `initialize` with these capabilities.
    ///
    /// # Errors
    /// [`Fault::NoEra`] where the server does not speak it, or what went wrong.
    pub async fn open_session(&self, way: Way, version: Version, capabilities: &RawJson) -> Result<Result<OpenedSession, RpcError>, Fault> {
        self.permits(Known::NotModern)?;
        let id = self.next_id();
        let body = encode::initialize(id, version, capabilities);
        let (incoming, session) = match &way {
            Way::Http(server, line) => {
                let mut posted = server.post(line, &[], Era::Legacy(version), Some(id), body.bytes().clone()).await?;
                (answer(&mut posted.exchange, id, FIRST_ANSWER).await?, posted.session)
            }
            Way::Pipe(pipe) => {
                let mut exchange = Exchange::Pipe(pipe.call(id, body.bytes().clone(), None).await?);
                (answer(&mut exchange, id, FIRST_ANSWER).await?, None)
            }
        };
        let result = match incoming {
            ReplyBody::Result(result) => result,
            ReplyBody::Error(error) if i32::try_from(error.code) == Ok(UNSUPPORTED_VERSION) => {
                return Err(Fault::NoEra(supported_versions(&error)));
            }
            ReplyBody::Error(error) => return Ok(Err(error)),
        };
        let spoken = result.member("protocolVersion").and_then(|text| Version::parse(text.as_text()?.as_ref()));
        let spoken = spoken.filter(|spoken| !spoken.is_modern()).ok_or(Fault::NoEra(vec![]))?;
        let way = match way {
            Way::Http(server, line) => Way::Http(server, Line { session, ..line }),
            Way::Pipe(pipe) => Way::Pipe(pipe),
        };
        Ok(Ok(OpenedSession { way, version: spoken, result }))
    }

    /// Says that the session may begin.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn initialized(&self, way: &Way, version: Version) -> Result<(), Fault> {
        self.tell(way, version, &encode::notification("notifications/initialized", &RawJson::empty_object())).await
    }

    /// Sends a notification or an answer in a legacy session.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn tell(&self, way: &Way, version: Version, message: &RawJson) -> Result<(), Fault> {
        let era = Era::Legacy(version);
        match way {
            Way::Http(server, line) => server.post(line, &encode::own_headers("", era), era, None, message.bytes().clone()).await.map(drop),
            Way::Pipe(pipe) => pipe.send(message.bytes().clone()).await,
        }
    }

    /// Ends a session or a process that was opened for Doorward itself.
    pub async fn close(&self, way: &Way, version: Version) {
        match way {
            Way::Http(server, line) if line.session.is_some() => server.end(line, version).await,
            Way::Http(..) => {}
            Way::Pipe(pipe) => pipe.close().await,
        }
    }

    /// One own request.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn own(&self, way: &Way, era: Era, method: &str, params: &RawJson) -> Result<Answered, Fault> {
        let id = self.next_id();
        let wire = Wire { era, id, capabilities: no_capabilities(), cursor: None, state: None, task: None, replaced: Vec::new() };
        let body = encode::own_request(method, params, &wire).bytes().clone();
        let mut exchange = match way {
            Way::Http(server, line) => server.post(line, &encode::own_headers(method, era), era, Some(id), body).await?.exchange,
            Way::Pipe(pipe) => Exchange::Pipe(pipe.ask(id, body).await?),
        };
        match answer(&mut exchange, id, self.config.timeout).await? {
            ReplyBody::Result(result) => Ok(Ok(result)),
            ReplyBody::Error(error) => Ok(Err(error)),
        }
    }

    /// Every entry of a list: `member` of the results of `method`.
    ///
    /// # Errors
    /// [`Fault::Flood`] beyond the limits, [`Fault::Incomplete`] when a page has no such member.
    pub async fn whole_list(&self, way: &Way, era: Era, method: &str, member: &str) -> Result<Result<Vec<RawJson>, RpcError>, Fault> {
        let mut entries = Vec::new();
        let mut params = RawJson::empty_object();
        for _ in 0..MOST_PAGES {
            let result = match self.own(way, era, method, &params).await? {
                Ok(result) => result,
                Err(error) => return Ok(Err(error)),
            };
            entries.extend(result.member(member).and_then(|list| list.elements()).ok_or(Fault::Incomplete)?);
            if entries.len() > MOST_ENTRIES {
                return Err(Fault::Flood);
            }
            // An empty string is a cursor like any other; only its absence is the end.
            match result.member("nextCursor").filter(|cursor| !cursor.is_null()) {
                None => return Ok(Ok(entries)),
                Some(cursor) => {
                    let mut next = ObjectWriter::with_capacity(64);
                    next.raw("cursor", &cursor);
                    params = next.finish();
                }
            }
        }
        Err(Fault::Flood)
    }

    /// The session id in a way.
    #[must_use]
    pub fn session_of(way: &Way) -> Option<UpstreamSessionId> {
        match way {
            Way::Http(_, line) => line.session.clone(),
            Way::Pipe(_) => None,
        }
    }
}

/// The answer to request `id`; what comes before it belongs to nobody.
async fn answer(exchange: &mut Exchange, id: i64, patience: Duration) -> Result<ReplyBody, Fault> {
    let wait = async {
        loop {
            match exchange.next().await? {
                Some(Item::Message(Incoming::Response { id: doorward_core::mcp::call::RpcId::Number(got), body })) if got == id => {
                    return Ok(body);
                }
                Some(_) => {}
                None => return Err(Fault::Incomplete),
            }
        }
    };
    tokio::time::timeout(patience, wait).await.map_err(|_| Fault::Silent)?
}

fn not_modern() -> Fault {
    Fault::NoEra(doorward_core::mcp::version::LEGACY.to_vec())
}
