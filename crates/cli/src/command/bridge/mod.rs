//! `doorward bridge`: a client that only speaks stdio, connected to a server behind a gateway (protocol 3.6).
//!
//! Lines of JSON-RPC come in, HTTP goes out, messages come back as lines. Both eras may interleave; which one a message
//! belongs to is told by its `_meta` alone. Ids and contents are passed on as they are. The bridge decides nothing: every
//! rule is the gateway's. Nothing but messages goes to stdout.

mod far;
mod legacy;
mod lines;
mod modern;
mod relay;

use super::connect;
use crate::args::Global;
use crate::console::{Console, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house;
use crate::running;
use crate::state;
use bytes::Bytes;
use clap::Args;
use doorward_core::blame::{Refusal, Wire};
use doorward_core::id::ServerName;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::RpcId;
use doorward_core::mcp::decode::{self, Message, Shape};
use doorward_core::mcp::error::{INTERNAL, INVALID_REQUEST, PARSE, body};
use doorward_gateway::sources::env::Variables;
use doorward_gateway::sources::{Reference, Sources};
use doorward_gateway::tasks::Tasks;
use far::Far;
use legacy::Legacy;
use lines::{Line, Lines, Out};
use modern::Mirrors;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

/// Options of `bridge`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The server's name behind the gateway
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// The gateway; http:// only on this machine [default: the one that runs on the state directory, else http://127.0.0.1:8417]
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Where the key is: env:NAME, file:/PATH or cred:NAME, never the key itself [default: what doorward connect made for this server]
    #[arg(long, value_name = "REFERENCE")]
    pub key: Option<String>,
    /// Certificate authorities of the gateway besides the system's, PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// What all tasks of a bridge share.
#[derive(Debug)]
struct Bridge {
    far: Far,
    out: Out,
    calls: Mutex<HashMap<RpcId, Arc<Call>>>,
    open: watch::Sender<usize>,
    mirrors: Mirrors,
    tasks: Tasks,
}

/// A request of the client that was not answered yet.
#[derive(Debug)]
struct Call {
    id: RpcId,
    era: Spoken,
    cancel: Notify,
    cancelled: AtomicBool,
}

/// How a request is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    /// Alone, by its `_meta`.
    Modern,
    /// Within the session that `initialize` began.
    Legacy,
}

/// Where a gateway of laptop mode listens.
const USUAL: &str = "http://127.0.0.1:8417";
/// Requests in flight; the gateway takes as many of one session.
const MOST_CALLS: usize = 128;
/// Nesting of a client's JSON, as the gateway's.
const DEPTH: usize = 128;
/// After the end of stdin, calls in flight have this long.
const DRAIN: Duration = Duration::from_secs(10);

/// Connects until stdin ends or a signal comes.
///
/// # Errors
/// [`Failure`] when it cannot start.
pub fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let name = ServerName::new(&arguments.server).map_err(|_| {
        Failure::new(
            Exit::Usage,
            "bridge.server",
            format!("\"{}\" is no name of a server", inert(&arguments.server)),
            "see doorward server list",
        )
    })?;
    let own = || state::directory(global);
    let reference = match &arguments.key {
        Some(text) => text.clone(),
        None => format!("file:{}", own()?.join(connect::KEYS).join(format!("{name}.key")).display()),
    };
    let reference = Reference::parse(&reference).map_err(|bad| {
        // The text is not repeated: it may be the key itself.
        Failure::new(Exit::Usage, "bridge.key", "--key is not a reference", "--key env:NAME or --key file:/PATH").because(bad)
    })?;
    let key = Sources::new(Variables::new(std::env::vars_os())).secret(&reference).map_err(|missing| {
        let help = "doorward connect makes one; or make it with doorward apikey create, and keep it in a file that only you can read";
        Failure::new(Exit::SignIn, "bridge.key", "the key cannot be read", help).because(missing)
    })?;
    let tasks = Tasks::new();
    let gateway = match &arguments.gateway {
        Some(url) => url.clone(),
        None => nearest(own().ok().as_deref()),
    };
    let far = Far::new(&gateway, &name, &key, arguments.ca.as_deref(), &tasks)?;
    let runtime = house::runtime()?;
    let exit = runtime.block_on(carry(far, tasks, console));
    // A read of stdin cannot be called back; the process ends without waiting for it.
    runtime.shutdown_background();
    exit
}

/// The gateway that runs on this state directory, else where one would.
fn nearest(state: Option<&Path>) -> String {
    match state.and_then(running::other).flatten() {
        Some(notice) if notice.address.ip().is_loopback() => format!("http://{}", notice.address),
        _ => USUAL.to_owned(),
    }
}

async fn carry(far: Far, tasks: Tasks, console: &mut Console) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Internal, "signal", "signals cannot be heard", "try again").because(error);
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let (out, mut gone) = lines::writer(tokio::io::stdout(), &tasks);
    let bridge = Arc::new(Bridge {
        far,
        out,
        calls: Mutex::default(),
        open: watch::Sender::new(0),
        mirrors: Mirrors::default(),
        tasks: tasks.clone(),
    });
    let legacy = Legacy::start(&bridge);
    let mut input = Lines::new(tokio::io::stdin());
    let exit = loop {
        tokio::select! {
            line = input.next() => match line {
                Ok(Some(Line::Whole(line))) => bridge.take(line, &legacy).await,
                Ok(Some(Line::TooLong)) => bridge.out.send(&body(None, INVALID_REQUEST, "The message is larger than 16 MiB.", None)).await,
                Ok(None) => {
                    bridge.drain(&legacy).await;
                    break Exit::Fine;
                }
                Err(error) => {
                    console.fail(format_args!("doorward bridge: stdin: {error}"));
                    break Exit::Unreachable;
                }
            },
            _ = gone.wait_for(|gone| *gone) => break Exit::Fine,
            _ = term.recv() => break Exit::Fine,
            _ = int.recv() => break Exit::Interrupted,
        }
    };
    legacy.close(&bridge).await;
    bridge.cancel_all();
    tasks.stop(Duration::from_secs(1)).await;
    Ok(exit)
}

// === impl Bridge ===

impl Bridge {
    /// One line of the client.
    async fn take(self: &Arc<Self>, line: Bytes, legacy: &Legacy) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let json = match RawJson::parse(&line, DEPTH) {
            Ok(json) => json,
            Err(fault) => return self.out.send(&body(None, PARSE, &format!("This is not usable JSON: {fault}."), None)).await,
        };
        if let Some(elements) = json.elements() {
            return legacy.batch(self, json, &elements).await;
        }
        let message = match decode::message(&json) {
            Ok(message) => message,
            Err(refusal) => return self.out.send(&refused(&refusal)).await,
        };
        let era = if message.meta("protocolVersion").is_some() { Spoken::Modern } else { Spoken::Legacy };
        match message.shape() {
            Shape::Request { id, .. } => {
                let call = match self.begin(id, era) {
                    Ok(call) => call,
                    Err(what) => return self.out.send(&body(Some(&id.to_json()), INVALID_REQUEST, what, None)).await,
                };
                match era {
                    Spoken::Modern => {
                        let bridge = Arc::clone(self);
                        self.tasks.spawn(async move { bridge.alone(call, json, message).await });
                    }
                    Spoken::Legacy => legacy.request(self, call, json, message).await,
                }
            }
            Shape::Notification { method } => {
                if method == "notifications/cancelled" && self.cancel(&message) == Some(Spoken::Modern) {
                    return;
                }
                // Nothing is defined for notifications of the modern era over HTTP.
                if era == Spoken::Legacy {
                    legacy.plain(json, message).await;
                }
            }
            Shape::Answer { .. } => legacy.plain(json, message).await,
        }
    }

    /// Notes that a request is under way.
    fn begin(&self, id: &RpcId, era: Spoken) -> Result<Arc<Call>, &'static str> {
        let mut calls = self.calls();
        if calls.len() >= MOST_CALLS {
            return Err("Too many requests are open. Wait for some of them.");
        }
        if calls.contains_key(id) {
            return Err("This id is in use.");
        }
        let call = Arc::new(Call { id: id.clone(), era, cancel: Notify::new(), cancelled: AtomicBool::new(false) });
        calls.insert(id.clone(), Arc::clone(&call));
        self.open.send_replace(calls.len());
        Ok(call)
    }

    /// The request is over; its answer, if there is one, goes to the client unless the client does not want it any more.
    async fn end(&self, call: &Call, answer: Option<&RawJson>) {
        // The id is free before the client sees the answer: it may be used again at once.
        let wanted = !call.cancelled.load(Ordering::Acquire);
        let left = {
            let mut calls = self.calls();
            if calls.get(&call.id).is_some_and(|known| std::ptr::eq(known.as_ref(), call)) {
                calls.remove(&call.id);
            }
            calls.len()
        };
        if let Some(answer) = answer.filter(|_| wanted) {
            self.out.send(answer).await;
        }
        self.open.send_replace(left);
    }

    /// The client gives a request up. Says how that request was carried, if it is known.
    fn cancel(&self, message: &Message) -> Option<Spoken> {
        let id = message.param("requestId")?;
        let id = id.as_integer().map(RpcId::Number).or_else(|| id.as_text().map(|text| RpcId::Text(Arc::from(text.as_ref()))))?;
        let call = self.calls().get(&id).cloned()?;
        call.cancelled.store(true, Ordering::Release);
        if call.era == Spoken::Modern {
            call.cancel.notify_one();
        }
        Some(call.era)
    }

    fn cancel_all(&self) {
        for call in self.calls().values() {
            call.cancelled.store(true, Ordering::Release);
            call.cancel.notify_one();
        }
    }

    /// Waits for the answers that are still to come; what never ends by itself is not waited for longer than [`DRAIN`].
    async fn drain(&self, legacy: &Legacy) {
        let mut open = self.open.subscribe();
        let done = async {
            legacy.sent().await;
            open.wait_for(|open| *open == 0).await.is_ok()
        };
        if tokio::time::timeout(DRAIN, done).await.is_err() {
            self.out.note("stdin ended with calls in flight; they are given up");
        }
        self.out.written().await;
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<RpcId, Arc<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal of this side, before anything was sent.
fn refused(refusal: &Refusal) -> RawJson {
    let (code, data) = match &refusal.wire {
        Wire::Rpc { code, data, .. } => (*code, data.as_ref().map(RawJson::of)),
        _ => (INTERNAL, None),
    };
    body(refusal.known.rpc_id.as_deref(), code, &refusal.public, data.as_ref())
}
