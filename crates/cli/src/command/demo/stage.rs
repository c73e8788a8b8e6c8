//! The parts of the demo in one process, each behind its own loopback socket, and where its state is until it ends.

use crate::command::apikey::{CreateArguments, make, unavailable};
use crate::command::{audit, server};
use crate::example::{self, Cast, Running, Tool};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::settings::{self, Settings};
use base64::Engine as _;
use doorward_core::audit::checkpoint::PublicKey;
use doorward_core::audit::event::Record;
use doorward_core::audit::verify::{FirstBad, Summary, verify};
use doorward_core::config::load::{Form, Inputs, Text, load};
use doorward_core::id::{CredentialId, UserId};
use doorward_core::secret::{ApiKey, LinkSecret, PlainToken, Secret};
use doorward_gateway::Gateway;
use doorward_gateway::audit::key::PUBLIC;
use doorward_gateway::env::Env;
use doorward_gateway::sources::Sources;
use doorward_gateway::sources::env::Variables;
use http::HeaderName;
use std::fs;
use std::io::BufReader;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The MCP endpoint of `notes`.
pub(super) const NOTES: &str = "/k/notes/mcp";
/// The MCP endpoint of `clock`.
pub(super) const CLOCK: &str = "/k/clock/mcp";
/// The same for tokens that a person's consent gave.
pub(super) const TOKENS: &str = "/s/notes/mcp";
/// The header that `notes` wants.
pub(super) const WANTED: &str = "authorization";

const NOTES_TOOLS: [Tool; 4] = [Tool::ListNotes, Tool::ReadNote, Tool::ShareNote, Tool::DeleteNote];
const CLOCK_TOOLS: [Tool; 1] = [Tool::Clock];
/// Requests that a server of the demo remembers.
const REMEMBERED: usize = 4096;
/// The port that people know.
const USUAL_PORT: u16 = 8417;

/// A fresh directory of the system's temporary directory, for its owner alone.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

/// A person of the demo with the key of their client.
#[derive(Debug)]
pub(super) struct Person {
    /// The name.
    pub(super) name: &'static str,
    key: PlainToken<ApiKey>,
    id: CredentialId,
}

/// Everything that plays.
#[derive(Debug)]
pub(super) struct Stage {
    /// Where the gateway listens.
    pub(super) address: SocketAddr,
    /// The server with a credential of its own.
    pub(super) notes: Running,
    /// The server without.
    pub(super) clock: Running,
    /// Does everything right.
    pub(super) alice: Person,
    /// Attacks. She has a good key of her own.
    pub(super) mallory: Person,
    /// A good key of mallory for `clock` alone.
    pub(super) narrow: Person,
    gateway: Arc<Gateway>,
    config: doorward_core::config::Config,
    env: Env,
    state: PathBuf,
}

/// A record with the hash that it stands under.
pub(super) type Kept = (Record<'static>, [u8; 32]);

// === impl Person ===

impl Person {
    /// The key, for the client of this person.
    pub(super) fn key(&self) -> &str {
        self.key.reveal()
    }
}

// === impl Directory ===

impl Directory {
    pub(super) fn new() -> Result<Self, Failure> {
        let failed = |why: String| {
            Failure::new(Exit::Unreachable, "demo.directory", "no temporary directory can be made", "check TMPDIR and its disk")
                .because(why)
        };
        let random: [u8; 8] = Env::system().bytes().map_err(|error| failed(error.to_string()))?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("doorward-demo-{name}"));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| failed(settings::reason(&error)))?;
        Ok(Self { path })
    }

    /// Removes everything.
    pub(super) fn remove(self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.path).map_err(|error| {
            let message = format!("{} cannot be removed", self.path.display());
            Failure::new(Exit::Unreachable, "demo.directory", message, "remove it by hand").because(settings::reason(&error))
        })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Already gone after `remove`; this is for ways out that did not reach it.
        fs::remove_dir_all(&self.path).ok();
    }
}

// === impl Stage ===

impl Stage {
    pub(super) async fn build(directory: &Directory, port: Option<u16>, keep: bool) -> Result<Self, Failure> {
        let env = Env::system();
        let random = |_| Failure::new(Exit::Internal, "random", "the system gives no random bytes", "try again");
        let socket = |error: std::io::Error| {
            Failure::new(Exit::Unreachable, "demo.socket", "no port is free on 127.0.0.1", "try again").because(settings::reason(&error))
        };
        let held: [u8; 18] = env.bytes().map_err(random)?;
        let held = format!("Bearer notes-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(held));
        let key = base64::engine::general_purpose::STANDARD.encode(env.bytes::<32>().map_err(random)?);
        let wants = Some((HeaderName::from_static(WANTED), Secret::new(held.clone())));
        let cast = Cast { name: "notes", tools: &NOTES_TOOLS, wants, remembers: REMEMBERED };
        let notes = Running::start(example::bind().map_err(socket)?, cast, env.clone()).map_err(socket)?;
        let cast = Cast { name: "clock", tools: &CLOCK_TOOLS, wants: None, remembers: REMEMBERED };
        let clock = Running::start(example::bind().map_err(socket)?, cast, env.clone()).map_err(socket)?;
        let port = match (port, keep) {
            (Some(port), _) => port,
            (None, true) if example::is_free(USUAL_PORT) => USUAL_PORT,
            _ => 0,
        };
        let text = format!(
            "name = \"DEMO\"\n\
             [listen]\naddress = \"127.0.0.1:{port}\"\n\
             [store]\nencryption_key = \"plain:{key}\"\n\
             [server.notes]\nurl = \"http://{}/mcp\"\ncredential = {{ kind = \"header\", name = \"Authorization\", value = \"plain:{held}\" }}\n\
             [server.clock]\nurl = \"http://{}/mcp\"\n",
            notes.address(),
            clock.address(),
        );
        let house = house(text, directory.path.clone(), env.clone())?;
        let store = house.store().await?;
        server::approve_own(&house, &store, &["notes", "clock"], "demo").await?;
        let config = house.config().clone();
        let alice = person("alice", &["notes", "clock"], "read,write", &config, &env, &store).await?;
        let mallory = person("mallory", &["notes", "clock"], "read,write", &config, &env, &store).await?;
        let narrow = person("mallory", &["clock"], "read", &config, &env, &store).await?;
        store.close().await;
        let gateway = Gateway::build(house.parts()?).await.map_err(house::failed)?;
        let serving = gateway.listen(&config).await.map_err(crate::command::serve::taken)?;
        let state = directory.path.clone();
        Ok(Self { address: serving.address, notes, clock, alice, mallory, narrow, gateway, config, env, state })
    }

    /// The keys of the script end, and a person gets one.
    pub(super) async fn hand_over(&self) -> Result<Person, Failure> {
        let store = self.gateway.store();
        for person in [&self.alice, &self.mallory, &self.narrow] {
            store.revoke_api_key(&person.id, self.env.now()).await.map_err(|error| unavailable(&error))?;
        }
        person("alice", &["notes", "clock"], "read,write", &self.config, &self.env, store).await
    }

    /// A link that signs somebody in once.
    pub(super) async fn link(&self, user: &UserId) -> Option<PlainToken<LinkSecret>> {
        self.gateway.new_link(user).await.ok()
    }

    /// Where the state is.
    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    /// The file of the record.
    pub(super) fn record(&self) -> PathBuf {
        self.state.join(audit::FILE)
    }

    /// Every record so far.
    pub(super) fn records(&self) -> Vec<Kept> {
        let bytes = fs::read(self.record()).unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').filter_map(|line| Record::read(line).ok()).collect()
    }

    /// Whether the live record is whole.
    pub(super) fn verify(&self) -> Result<Summary, String> {
        self.verify_file(&self.record()).map_err(|bad| bad.why.to_string())
    }

    /// Whether a file is a whole record under the key of this gateway.
    pub(super) fn verify_file(&self, path: &Path) -> Result<Summary, FirstBad> {
        let unreadable = |why: String| FirstBad {
            line: 0,
            seq: None,
            why: doorward_core::audit::verify::Why::Unreadable(why),
            last_good: 0,
            last_sealed: 0,
        };
        let key = fs::read_to_string(self.state.join(PUBLIC)).map_err(|error| unreadable(error.to_string()))?;
        let key: PublicKey = key.parse().map_err(|_| unreadable("the public key is none".to_owned()))?;
        let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
        verify(BufReader::new(file), &key, None)
    }

    pub(super) async fn close(self) {
        // What is left after this goes with the process; the state goes in any case.
        tokio::time::timeout(Duration::from_secs(3), self.gateway.stop()).await.ok();
    }
}

fn house(text: String, state: PathBuf, env: Env) -> Result<House, Failure> {
    let files = vec![Text { name: "demo".to_owned(), form: Form::Toml, bytes: text.into_bytes(), base: state.clone() }];
    let inputs = Inputs { files, environment: Vec::new(), options: Vec::new(), default_name: "DEMO".to_owned(), ..Inputs::default() };
    let loaded = load(inputs).map_err(|problems| Failure::configuration("the configuration of the demo", problems))?;
    let sources = Sources::new(Variables::new(std::iter::empty()));
    Ok(House { settings: Settings { loaded, file: None }, state, sources, env, built_in: None })
}

async fn person(
    name: &'static str,
    servers: &[&str],
    grant: &str,
    config: &doorward_core::config::Config,
    env: &Env,
    store: &doorward_store::Store,
) -> Result<Person, Failure> {
    let arguments = CreateArguments {
        label: format!("demo of {name}"),
        user: name.to_owned(),
        groups: Vec::new(),
        agent: None,
        servers: servers.iter().map(|server| (*server).to_owned()).collect(),
        grant: grant.split(',').map(str::to_owned).collect(),
        ttl: "1h".to_owned(),
    };
    let (key, id) = make(config, env, store, &arguments).await?;
    Ok(Person { name, key, id })
}
