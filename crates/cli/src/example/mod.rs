//! A small MCP server of Doorward's own, to try a gateway with: an echo, a clock and a few invented notes.
//!
//! It speaks both eras on a loopback socket like any server behind the gateway; nothing in the gateway knows it. Owns what
//! the tools are and do; how requests travel is `door`.

mod door;
mod tools;

pub use tools::Tool;

use doorward_core::secret::{Secret, sha256};
use doorward_gateway::env::Env;
use doorward_gateway::tasks::Tasks;
use http::HeaderName;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

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
    fields: Vec<(String, Arc<Secret<String>>)>,
}

/// An example server that serves; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    state: Arc<State>,
    /// Everything of this server ends when this is gone.
    _there: watch::Sender<()>,
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

/// Whether a port of 127.0.0.1 can be listened on at this moment.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
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
        let (there, gone) = watch::channel(());
        let tasks = Tasks::new();
        tasks.spawn(door::serve(listener, Arc::clone(&state), tasks.clone(), gone));
        Ok(Self { address, state, _there: there })
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

impl Visit {
    /// Whether it has a header field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    /// Whether any header field holds a text.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        self.fields.iter().any(|(_, value)| value.expose().contains(text))
    }

    /// SHA-256 of the first value of a header field.
    #[must_use]
    pub fn digest(&self, name: &str) -> Option<[u8; 32]> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(sha256(value.expose().as_bytes()))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
