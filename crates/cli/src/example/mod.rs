//! A small MCP server of Doorward's own, to try a gateway with: an echo, a clock and a few invented notes.
//!
//! It speaks both eras on a loopback socket like any server behind the gateway; nothing in the gateway knows it. Owns what
//! the tools are and do; how requests travel is `door`.

mod door;
mod tools;

pub use tools::Tool;

use doorward_core::secret::Secret;
use doorward_gateway::env::Env;
use http::HeaderName;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinHandle;

/// What an example server is.
#[derive(Debug)]
pub struct Cast {
    /// Its name in `serverInfo`.
    pub name: &'static str,
    /// Its tools, in the order of its list.
    pub tools: &'static [Tool],
    /// The header that every request must carry, if any.
    pub wants: Option<(HeaderName, Secret<String>)>,
    /// How many requests it remembers, for [`Running::visits`].
    pub remembers: usize,
}

/// The server that laptop mode adds by itself.
pub const BUILT_IN: [Tool; 4] = [Tool::Echo, Tool::Clock, Tool::ReadNote, Tool::DeleteNote];

/// One request as the server got it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The MCP method, or the HTTP method where there is no message.
    pub method: String,
    /// The tool of a call.
    pub tool: Option<String>,
    /// Every header field.
    pub fields: Vec<(String, Arc<Secret<String>>)>,
}

/// An example server that serves; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

/// What its requests share.
#[derive(Debug)]
struct State {
    cast: Cast,
    env: Env,
    authority: String,
    notes: Mutex<BTreeMap<String, &'static str>>,
    sessions: Mutex<door::Sessions>,
    visits: Mutex<Vec<Visit>>,
}

/// A free port of 127.0.0.1, taken.
///
/// # Errors
/// When there is none.
pub fn bind() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

// === impl Running ===

impl Running {
    /// Serves on a socket from [`bind`]. Needs a runtime.
    ///
    /// # Errors
    /// When the socket is of no use.
    pub fn start(listener: TcpListener, cast: Cast, env: Env) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            cast,
            env,
            authority: address.to_string(),
            notes: Mutex::new(tools::notes()),
            sessions: Mutex::default(),
            visits: Mutex::default(),
        });
        let serving = tokio::spawn(door::serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, serving })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that it remembers, oldest first.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        held(&self.state.visits).clone()
    }

    /// How often it was asked anything.
    #[must_use]
    pub fn count(&self) -> usize {
        held(&self.state.visits).len()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Visit {
    /// The first value of a header field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Secret<String>> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_ref())
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
