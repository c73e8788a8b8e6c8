//! How an example server is reached: HTTP/1.1 on loopback, messages of both eras, one stream for each legacy session.

use super::tools::{Done, Round};
use super::{State, Tool, Visit, held};
use bytes::Bytes;
use doorward_core::mcp::error::{INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE, UNSUPPORTED_VERSION};
use doorward_core::secret::Secret;
use doorward_gateway::tasks::Tasks;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

/// Largest request body.
const MOST_BYTES: usize = 256 * 1024;
/// Legacy sessions at once; the oldest makes room.
const MOST_SESSIONS: usize = 256;
/// Connections at once.
const MOST_CONNECTIONS: usize = 256;
/// Messages that wait on a stream.
const WAITING: usize = 16;
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
const SESSION: &str = "mcp-session-id";
const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Legacy sessions, oldest first, each with its stream if one is open.
#[derive(Debug, Default)]
pub(super) struct Sessions(Vec<(String, Option<mpsc::Sender<Bytes>>)>);

/// A response body: a whole one, or events as they come.
enum Page {
    Whole(Option<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

/// A JSON-RPC answer with its status, and the session that it opens.
struct Answer {
    status: StatusCode,
    body: Option<Value>,
    session: Option<String>,
}

/// Serves until the server is gone.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>, tasks: Tasks, gone: watch::Receiver<()>) {
    let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut end = gone.clone();
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = end.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: give others time to close theirs.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (state, mut end) = (Arc::clone(&state), gone.clone());
        tasks.spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(state.respond(request).await) }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE);
            tokio::select! {
                ended = builder.serve_connection(TokioIo::new(stream), service) => if let Err(error) = ended {
                    tracing::debug!(%error, "example server");
                },
                _ = end.changed() => {}
            }
            drop(seat);
        });
    }
}

impl State {
    async fn respond(&self, request: Request<Incoming>) -> Response<Page> {
        let (parts, body) = request.into_parts();
        let host = parts.headers.get(HOST).is_some_and(|host| host.as_bytes() == self.authority.as_bytes());
        if !host || parts.headers.contains_key(ORIGIN) {
            return bare(StatusCode::FORBIDDEN);
        }
        if parts.uri.path() != "/mcp" {
            return bare(StatusCode::NOT_FOUND);
        }
        let collected = Limited::new(body, MOST_BYTES).collect().await;
        let Ok(bytes) = collected.map(http_body_util::Collected::to_bytes) else { return bare(StatusCode::PAYLOAD_TOO_LARGE) };
        let message: Option<Value> = serde_json::from_slice(&bytes).ok();
        self.remember(&parts.method, &parts.headers, message.as_ref());
        if !self.lets_in(&parts.headers) {
            return bare(StatusCode::UNAUTHORIZED);
        }
        let session = parts.headers.get(SESSION).and_then(|value| value.to_str().ok());
        match parts.method {
            Method::POST => match message {
                Some(message) => written(self.answer(&message, &parts.headers, session)),
                None => written(Answer::error(StatusCode::BAD_REQUEST, None, PARSE, "This is not JSON.")),
            },
            Method::GET => self.stream(&parts.headers, session),
            Method::DELETE => {
                bare(if session.is_some_and(|id| held(&self.sessions).end(id)) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
            }
            _ => {
                let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
                response
            }
        }
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some((name, value)) = &self.cast.wants else { return true };
        headers.get_all(name).iter().map(HeaderValue::as_bytes).eq([value.expose().as_bytes()])
    }

    fn remember(&self, method: &Method, headers: &HeaderMap, message: Option<&Value>) {
        let mut visits = held(&self.visits);
        if visits.len() >= self.cast.remembers {
            return;
        }
        let text = |pointer: &str| message.and_then(|message| message.pointer(pointer)).and_then(Value::as_str).map(str::to_owned);
        let secret = |value: &HeaderValue| Arc::new(Secret::new(String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let method = text("/method").unwrap_or_else(|| method.to_string());
        let tool = text("/params/name").filter(|_| method == "tools/call");
        let fields = headers.iter().map(|(name, value)| (name.as_str().to_owned(), secret(value))).collect();
        visits.push(Visit { method, tool, fields });
    }

    fn stream(&self, headers: &HeaderMap, session: Option<&str>) -> Response<Page> {
        if !headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/event-stream")) {
            return bare(StatusCode::NOT_ACCEPTABLE);
        }
        let (send, receive) = mpsc::channel(WAITING);
        if !session.is_some_and(|id| held(&self.sessions).open_stream(id, send)) {
            return bare(StatusCode::NOT_FOUND);
        }
        let mut response = Response::new(Page::Events(receive));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response
    }

    fn answer(&self, message: &Value, headers: &HeaderMap, session: Option<&str>) -> Answer {
        let id = message.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64());
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            // Answers to questions: this server asks none that are answered so.
            let known = message.get("result").or_else(|| message.get("error")).is_some();
            return if known {
                Answer::accepted()
            } else {
                Answer::error(StatusCode::BAD_REQUEST, None, INVALID_REQUEST, "Not a message.")
            };
        };
        let Some(id) = id else { return Answer::accepted() };
        let params = message.get("params").unwrap_or(&Value::Null);
        match params.get("_meta").and_then(|meta| meta.get("io.modelcontextprotocol/protocolVersion")).and_then(Value::as_str) {
            Some(version) => {
                let header = headers.get("mcp-protocol-version").map(HeaderValue::as_bytes);
                if version != MODERN || header != Some(MODERN.as_bytes()) {
                    return Answer::error(StatusCode::BAD_REQUEST, Some(id), UNSUPPORTED_VERSION, "Unsupported protocol version.");
                }
                self.modern(id, method, params)
            }
            None if method == "initialize" => self.initialize(id, params),
            None => match session.filter(|session| held(&self.sessions).knows(session)) {
                Some(session) => self.legacy(id, method, params, session),
                None => Answer::error(StatusCode::NOT_FOUND, Some(id), INVALID_REQUEST, "Session not found."),
            },
        }
    }

    fn initialize(&self, id: &Value, params: &Value) -> Answer {
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let version = LEGACY.into_iter().find(|known| asked == Some(known)).unwrap_or("2025-11-25");
        let Ok(random) = self.env.bytes::<16>() else {
            return Answer::error(StatusCode::SERVICE_UNAVAILABLE, Some(id), INVALID_REQUEST, "No session can be opened.");
        };
        let session: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        held(&self.sessions).begin(session.clone());
        let info = json!({"name": self.cast.name, "version": env!("CARGO_PKG_VERSION")});
        let result = json!({"protocolVersion": version, "capabilities": {"tools": {}, "logging": {}}, "serverInfo": info});
        Answer { session: Some(session), ..Answer::result(id, &result) }
    }

    fn legacy(&self, id: &Value, method: &str, params: &Value, session: &str) -> Answer {
        match method {
            "ping" | "logging/setLevel" => Answer::result(id, &json!({})),
            "tools/list" => Answer::result(id, &json!({"tools": self.definitions()})),
            "tools/call" => match self.call(params, Round::default()) {
                Ok((tool, done)) => {
                    held(&self.sessions).tell(
                        session,
                        &json!({
                            "jsonrpc": "2.0", "method": "notifications/message",
                            "params": {"level": "info", "logger": self.cast.name, "data": format!("{} was called", tool.name())},
                        }),
                    );
                    Answer::result(id, &finished(done))
                }
                Err(text) => Answer::error(StatusCode::OK, Some(id), INVALID_PARAMS, &text),
            },
            _ => Answer::error(StatusCode::OK, Some(id), METHOD_NOT_FOUND, "Method not found."),
        }
    }

    fn modern(&self, id: &Value, method: &str, params: &Value) -> Answer {
        let result = match method {
            "server/discover" => json!({
                "supportedVersions": [MODERN],
                "capabilities": {"tools": {}},
                "ttlMs": 0, "cacheScope": "private",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": self.cast.name, "version": env!("CARGO_PKG_VERSION")}},
            }),
            "tools/list" => json!({"tools": self.definitions(), "ttlMs": 0, "cacheScope": "private"}),
            "tools/call" => {
                let state = params.get("requestState").and_then(Value::as_str);
                match self.call(params, Round { state, answers: params.get("inputResponses"), may_ask: true }) {
                    Ok((_, done)) => finished(done),
                    Err(text) => return Answer::error(StatusCode::OK, Some(id), INVALID_PARAMS, &text),
                }
            }
            _ => return Answer::error(StatusCode::NOT_FOUND, Some(id), METHOD_NOT_FOUND, "Method not found."),
        };
        let mut result = result;
        if let Value::Object(members) = &mut result {
            members.entry("resultType").or_insert_with(|| "complete".into());
        }
        Answer::result(id, &result)
    }

    fn definitions(&self) -> Vec<Value> {
        self.cast.tools.iter().map(|tool| tool.definition()).collect()
    }

    fn call(&self, params: &Value, round: Round<'_>) -> Result<(Tool, Done), String> {
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let tool = self.cast.tools.iter().find(|tool| tool.name() == name).ok_or_else(|| "Unknown tool.".to_owned())?;
        Ok((*tool, tool.run(self, params.get("arguments").unwrap_or(&Value::Null), round)))
    }
}

fn finished(done: Done) -> Value {
    match done {
        Done::Said(text) => json!({"content": [{"type": "text", "text": text}]}),
        Done::Failed(text) => json!({"content": [{"type": "text", "text": text}], "isError": true}),
        Done::Asks { question, state } => {
            let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
            let params = json!({"mode": "form", "message": question, "requestedSchema": schema});
            json!({
                "resultType": "input_required",
                "inputRequests": {"recipient": {"method": "elicitation/create", "params": params}},
                "requestState": state,
            })
        }
    }
}

// === impl Sessions ===

impl Sessions {
    fn begin(&mut self, id: String) {
        if self.0.len() >= MOST_SESSIONS {
            self.0.remove(0);
        }
        self.0.push((id, None));
    }

    fn knows(&self, id: &str) -> bool {
        self.0.iter().any(|(known, _)| known == id)
    }

    fn end(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| known != id);
        self.0.len() < before
    }

    fn open_stream(&mut self, id: &str, stream: mpsc::Sender<Bytes>) -> bool {
        let found = self.0.iter_mut().find(|(known, _)| known == id);
        found.map(|(_, place)| *place = Some(stream)).is_some()
    }

    /// A message on the stream of a session; dropped where none is open or its reader is slow.
    fn tell(&self, id: &str, message: &Value) {
        if let Some((_, Some(stream))) = self.0.iter().find(|(known, _)| known == id) {
            drop(stream.try_send(Bytes::from(format!("data: {message}\n\n"))));
        }
    }
}

// === impl Answer ===

impl Answer {
    const fn accepted() -> Self {
        Self { status: StatusCode::ACCEPTED, body: None, session: None }
    }

    fn result(id: &Value, result: &Value) -> Self {
        Self { status: StatusCode::OK, body: Some(json!({"jsonrpc": "2.0", "id": id, "result": result})), session: None }
    }

    fn error(status: StatusCode, id: Option<&Value>, code: i32, text: &str) -> Self {
        let mut body = json!({"jsonrpc": "2.0", "error": {"code": code, "message": text}});
        if code == UNSUPPORTED_VERSION {
            body = json!({"jsonrpc": "2.0", "error": {"code": code, "message": text, "data": {"supported": [MODERN]}}});
        }
        if let (Value::Object(members), Some(id)) = (&mut body, id) {
            members.insert("id".to_owned(), id.clone());
        }
        Self { status, body: Some(body), session: None }
    }
}

// === impl Page ===

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => events.poll_recv(context).map(|event| event.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}

fn written(answer: Answer) -> Response<Page> {
    let Some(body) = answer.body else { return bare(answer.status) };
    let mut response = Response::new(Page::Whole(Some(Bytes::from(body.to_string()))));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(session) = answer.session.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(SESSION, session);
    }
    response
}

fn bare(status: StatusCode) -> Response<Page> {
    let mut response = Response::new(Page::Whole(None));
    *response.status_mut() = status;
    response
}
