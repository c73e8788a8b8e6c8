//! What commands that need a gateway or its store begin with: configuration, rules, secrets, state directory, runtime.

use crate::args::Global;
use crate::example::{self, BUILT_IN, Cast};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policies::Policies;
use crate::settings::{self, Settings};
use crate::state;
use doorward_core::config::Config;
use doorward_core::config::load::{Form, Given, Text};
use doorward_core::policy::rules::Rules;
use doorward_gateway::env::Env;
use doorward_gateway::setup::{self, Parts, SetupError};
use doorward_gateway::sources::Sources;
use doorward_gateway::sources::env::Variables;
use doorward_store::Store;
use std::net::TcpListener;
use std::path::PathBuf;

/// Everything that was read from outside.
#[derive(Debug)]
pub struct House {
    /// The configuration.
    pub settings: Settings,
    /// The state directory, made.
    pub state: PathBuf,
    /// Where secret references lead.
    pub sources: Sources,
    /// Clock and randomness.
    pub env: Env,
    /// The socket of the built-in server, where nothing is configured.
    pub built_in: Option<TcpListener>,
}

/// Name of the built-in server.
pub const DEMO: &str = "demo";

impl House {
    /// Reads the configuration and makes the state directory. Where there is no configuration file, laptop mode has the
    /// built-in server `demo` (L12).
    ///
    /// # Errors
    /// [`Failure`].
    pub fn open(global: &Global) -> Result<Self, Failure> {
        Self::open_with(global, Vec::new)
    }

    /// The same, with options of the command line that set values.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn open_with(global: &Global, options: impl Fn() -> Vec<Given>) -> Result<Self, Failure> {
        let mut settings = settings::read(global, options())?;
        let mut built_in = None;
        if settings.file.is_none() && settings.loaded.config.public_url.is_none() {
            let no_port = |error: std::io::Error| {
                Failure::new(Exit::Unreachable, "demo.socket", "no port is free on 127.0.0.1", "try again")
                    .because(settings::reason(&error))
            };
            let listener = example::bind().map_err(no_port)?;
            let url = format!("http://{}/mcp", listener.local_addr().map_err(no_port)?);
            let text = format!("[server.{DEMO}]\nurl = \"{url}\"\ntitle = \"Built in, to try a client with\"\n");
            let text = Text { name: "built in".to_owned(), form: Form::Toml, bytes: text.into_bytes(), base: PathBuf::from("/") };
            settings = settings::read_else(global, options(), vec![text])?;
            built_in = Some(listener);
        }
        let state = state::directory(global)?;
        state::prepare(&state)?;
        let sources = Sources::new(Variables::new(std::env::vars_os()));
        Ok(Self { settings, state, sources, env: Env::system(), built_in })
    }

    /// Serves the built-in server, if there is one, until what is returned is dropped. Needs a runtime.
    ///
    /// # Errors
    /// [`Failure`] when its socket is of no use.
    pub fn serve_built_in(&mut self) -> Result<Option<example::Running>, Failure> {
        let Some(listener) = self.built_in.take() else { return Ok(None) };
        let cast = Cast { name: "doorward-demo", tools: &BUILT_IN, wants: None, remembers: 0 };
        let running = example::Running::start(listener, cast, self.env.clone());
        running.map(Some).map_err(|error| {
            Failure::new(Exit::Internal, "demo.socket", "the built-in server cannot be served", "try again")
                .because(settings::reason(&error))
        })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.settings.loaded.config
    }

    /// The rules that the configuration names, checked.
    ///
    /// # Errors
    /// [`Failure`] with every problem of every file.
    pub fn rules(&self) -> Result<Rules, Failure> {
        Policies::read(self.config())?.usable()
    }

    /// The store of this installation.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn store(&self) -> Result<Store, Failure> {
        setup::open_store(self.config(), &self.state, &self.sources, &self.env).await.map_err(failed)
    }

    /// The parts of a gateway.
    ///
    /// # Errors
    /// [`Failure`] of the rules.
    pub fn parts(self) -> Result<Parts, Failure> {
        let rules = self.rules()?;
        let provider_patience = setup::PROVIDER_PATIENCE;
        Ok(Parts { config: self.settings.loaded.config, state: self.state, rules, sources: self.sources, env: self.env, provider_patience })
    }
}

/// The runtime of a command.
///
/// # Errors
/// [`Failure`] when the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // A record that its disk does not take holds up one thread (ADR 2): others go on, on one core too.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, "runtime", "the system gives no threads", "try again").because(error))
}

/// A gateway or store that could not be set up, in words for the command line.
#[must_use]
pub fn failed(error: SetupError) -> Failure {
    let (exit, id, help) = match &error {
        SetupError::Secret(_) => (Exit::Unreachable, "setup.secret", "set the variable or file that the reference names"),
        SetupError::Key(_) => (Exit::Integrity, "setup.key", "put the key back that this state directory was made with"),
        SetupError::Served(_) => (Exit::Unreachable, "setup.served", "stop the other gateway, or put several over one PostgreSQL"),
        SetupError::Store(_) => (Exit::Unreachable, "setup.store", "check [store] and whether another process holds the database"),
        SetupError::Audit(_) | SetupError::AuditKey(_) => {
            (Exit::Integrity, "setup.audit", "another doorward may be running on this state directory; else see doorward audit verify")
        }
        SetupError::Launcher(_) => (Exit::Unreachable, "setup.launcher", "another doorward may be running on this state directory"),
        SetupError::Listen { .. } => (Exit::Unreachable, "setup.listen", "stop what listens there, or choose another listen.address"),
        SetupError::Target { .. } | SetupError::Tls(_) | SetupError::File { .. } | SetupError::Egress(_) => {
            (Exit::Configuration, "setup.configuration", "see doorward config check")
        }
        SetupError::Credential { .. } => {
            (Exit::Configuration, "setup.credential", "correct server.*.credential, the variable or the credential file that it names")
        }
        SetupError::Random(_) | SetupError::Other(_) => (Exit::Internal, "setup", "try again"),
    };
    Failure::new(exit, id, "the gateway cannot be set up", help).because(error)
}
