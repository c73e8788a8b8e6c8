//! Everything that was found to look at: documents with their servers and secrets, and what could not be read. Built once;
//! rules only look at it.

use crate::clients::{ANYWHERE, CLIENTS, CREDENTIALS, Client, DOORWARD, Scope};
use crate::disk::{self, Rights, Trouble};
use crate::document::{self, Form, Node, Position, Why};
use crate::finding::Site;
use crate::git::{self, Repository};
use crate::layout::Layout;
use crate::raw::Raw;
use crate::secrets::{self, PLAIN, Secret};
use crate::server::{self, Approval, Field, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Directories that hold nothing of the project's own.
const FOREIGN: [&str; 6] = [".git", "node_modules", "target", ".venv", "__pycache__", "vendor"];
/// Directories of one named path that are searched.
const MAX_DIRECTORIES: usize = 20_000;
/// No file has more servers, nor more secrets, that are looked at.
const MAX_SERVERS: usize = 2000;
const MAX_SECRETS: usize = 500;
/// Names in a directory.
const MAX_NAMES: usize = 100_000;
/// Names of files with servers whose client is not known.
const LIKELY: [&str; 3] = ["mcp.json", "mcp-config.json", "claude_desktop_config.json"];

/// What to look at.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where things lie.
    pub layout: Layout,
    /// Whether the files of the user and of the computer are read.
    pub computer: Computer,
    /// Files and directories besides. A directory is searched as a project.
    pub paths: Vec<Target>,
}

/// Whether the files of the user and of the computer are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Computer {
    /// They are.
    Read,
    /// Only what is named.
    Leave,
}

/// A file or directory to look at.
#[derive(Debug, Clone)]
pub struct Target {
    /// An absolute path.
    pub path: PathBuf,
    /// How far down.
    pub depth: Depth,
}

/// How far down a directory is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The directory itself.
    Top,
    /// With all below it.
    Below,
}

pub(crate) struct Estate {
    pub(crate) layout: Layout,
    pub(crate) documents: Vec<Document>,
    pub(crate) problems: Vec<Problem>,
}

/// A file that was read.
pub(crate) struct Document {
    pub(crate) kind: Kind,
    pub(crate) scope: Scope,
    pub(crate) path: PathBuf,
    pub(crate) shown: String,
    pub(crate) root: Node,
    pub(crate) rights: Rights,
    pub(crate) tracked: Tracked,
    pub(crate) servers: Vec<Server>,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) sightings: Vec<Sighting>,
    /// Links must not lead out of here.
    pub(crate) top: PathBuf,
    /// What was read, where it is asked for.
    pub(crate) text: Option<Raw>,
}

/// Whether the texts that were read stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    Keep,
    Leave,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Of a client, if it is known which.
    Client(Option<&'static Client>),
    Tokens(&'static Client),
    Doorward,
    Credential,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracked {
    Yes,
    No,
}

/// A secret in a document.
pub(crate) struct Sighting {
    /// The server that it belongs to, if it is in one.
    pub(crate) server: Option<usize>,
    pub(crate) path: String,
    pub(crate) at: Position,
    pub(crate) secret: Secret,
}

/// A file that could not be looked at, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The path as people write it.
    pub(crate) file: String,
    pub(crate) at: Option<Position>,
    pub(crate) id: &'static str,
    pub(crate) meaning: String,
}

/// A path to read and how.
struct Lead {
    path: PathBuf,
    root: PathBuf,
    kind: Kind,
    scope: Scope,
    servers: &'static [&'static [&'static str]],
}

struct Collector<'a> {
    layout: &'a Layout,
    texts: Texts,
    documents: Vec<Document>,
    problems: Vec<Problem>,
    seen: BTreeSet<PathBuf>,
    repositories: BTreeMap<PathBuf, Option<Repository>>,
}

/// Reads everything that a request names.
pub(crate) fn collect(request: &Request, texts: Texts) -> Estate {
    let mut collector = Collector {
        layout: &request.layout,
        texts,
        documents: Vec::new(),
        problems: Vec::new(),
        seen: BTreeSet::new(),
        repositories: BTreeMap::new(),
    };
    if request.computer == Computer::Read {
        collector.computer();
    }
    for target in &request.paths {
        collector.target(target);
    }
    let named: Vec<PathBuf> = collector.documents.iter().flat_map(|document| credentials_of(document, &request.layout)).collect();
    // An entry decides neither what is read elsewhere nor whether a file there exists.
    let own = |path: &PathBuf| path.starts_with(&request.layout.home) || request.paths.iter().any(|target| path.starts_with(&target.path));
    for path in named.into_iter().filter(own) {
        let root =
            if path.starts_with(&request.layout.home) { request.layout.home.clone() } else { path.parent().unwrap_or(&path).to_owned() };
        collector.read(Lead { path, root, kind: Kind::Credential, scope: Scope::Named, servers: &[] });
    }
    Estate { layout: request.layout.clone(), documents: collector.documents, problems: collector.problems }
}

/// Files of credentials that entries name.
fn credentials_of(document: &Document, layout: &Layout) -> Vec<PathBuf> {
    let named = |field: &&Field| field.key == "GOOGLE_APPLICATION_CREDENTIALS" || field.key == "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE";
    document
        .servers
        .iter()
        .flat_map(|server| server.env.iter().filter(named))
        .filter_map(|field| layout.meant(field.text.peek(), document.path.parent()))
        .collect()
}

// === impl Collector ===

impl Collector<'_> {
    fn computer(&mut self) {
        for client in CLIENTS {
            for spec in client.files.iter().filter(|spec| spec.on.covers(self.layout.os) && spec.scope != Scope::Project) {
                self.pattern(spec.path, Kind::Client(Some(client)), spec.scope, spec.servers);
            }
            for path in client.tokens {
                self.pattern(path, Kind::Tokens(client), Scope::User, &[]);
            }
        }
        for path in DOORWARD {
            let scope = if path.starts_with('/') { Scope::Managed } else { Scope::User };
            self.pattern(path, Kind::Doorward, scope, &[]);
        }
        for path in CREDENTIALS {
            self.pattern(path, Kind::Credential, Scope::User, &[]);
        }
    }

    fn pattern(&mut self, path: &str, kind: Kind, scope: Scope, servers: &'static [&'static [&'static str]]) {
        let Some(place) = self.layout.place(path) else { return };
        let (found, trouble) = disk::expand(&place.pattern, &place.root);
        if let Some(trouble) = trouble {
            self.problem(&place.pattern, None, trouble.id(), trouble.meaning());
        }
        for path in found {
            self.read(Lead { path, root: place.root.clone(), kind, scope, servers });
        }
    }

    fn target(&mut self, target: &Target) {
        match disk::look(&target.path) {
            Some(rights) if rights.directory == disk::Directory::Yes => {
                let mut left = MAX_DIRECTORIES;
                self.directory(&target.path, &target.path, target.depth, &mut left);
                if left == 0 {
                    self.problem(&target.path, None, Trouble::TooMany.id(), Trouble::TooMany.meaning());
                }
            }
            Some(_) => self.file(&target.path),
            None if target.path.symlink_metadata().is_ok() => {
                self.problem(&target.path, None, Trouble::LinkOut.id(), Trouble::LinkOut.meaning())
            }
            None => self.problem(&target.path, None, "not-there", "there is no such file or directory"),
        }
    }

    fn directory(&mut self, at: &Path, root: &Path, depth: Depth, left: &mut usize) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        for client in CLIENTS {
            for spec in client.files.iter().filter(|spec| spec.scope == Scope::Project) {
                let pattern = at.join(spec.path);
                let found = if spec.path.contains('*') { disk::expand(&pattern, root).0 } else { vec![pattern] };
                for path in found {
                    self.read(Lead {
                        path,
                        root: root.to_owned(),
                        kind: Kind::Client(Some(client)),
                        scope: Scope::Project,
                        servers: spec.servers,
                    });
                }
            }
        }
        for name in LIKELY {
            self.read(Lead {
                path: at.join(name),
                root: root.to_owned(),
                kind: Kind::Client(None),
                scope: Scope::Project,
                servers: ANYWHERE,
            });
        }
        self.read(Lead {
            path: at.join("doorward.toml"),
            root: root.to_owned(),
            kind: Kind::Doorward,
            scope: Scope::Project,
            servers: &[],
        });
        if depth == Depth::Top {
            return;
        }
        let Ok(listing) = std::fs::read_dir(at) else { return };
        let mut below: Vec<PathBuf> = listing
            .take(MAX_NAMES)
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        below.sort();
        for path in below {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Directories of clients are looked into from above.
            if !FOREIGN.contains(&name.as_str()) && !name.starts_with('.') {
                self.directory(&path, root, Depth::Below, left);
            }
        }
    }

    /// A file that was named: read as whatever its path looks like.
    fn file(&mut self, path: &Path) {
        let root = path.parent().unwrap_or(path).to_owned();
        let text = path.to_string_lossy().replace('\\', "/");
        let ends = |pattern: &&&str| {
            let own = pattern.trim_start_matches("~/");
            !own.contains('*') && text.strip_suffix(own).is_some_and(|front| front.ends_with('/'))
        };
        let known =
            CLIENTS.iter().flat_map(|client| client.files.iter().map(move |spec| (client, spec))).find(|(_, spec)| spec.resembles(&text));
        let tokens = CLIENTS.iter().find(|client| client.tokens.iter().any(|pattern| ends(&pattern)));
        let (kind, servers) = match (known, tokens) {
            (Some((client, spec)), _) => (Kind::Client(Some(client)), spec.servers),
            (None, Some(client)) => (Kind::Tokens(client), &[][..]),
            (None, None) if text.ends_with("/doorward.toml") => (Kind::Doorward, &[][..]),
            (None, None) if CREDENTIALS.iter().any(|pattern| ends(&pattern)) => (Kind::Credential, &[][..]),
            (None, None) => (Kind::Client(None), ANYWHERE),
        };
        let before = self.documents.len();
        self.read(Lead { path: path.to_owned(), root, kind, scope: Scope::Named, servers });
        let nothing = |document: &Document| matches!(document.kind, Kind::Client(None)) && document.servers.is_empty();
        if self.documents.get(before).is_some_and(nothing) {
            self.problem(path, None, "no-servers", "no MCP servers were recognised in it");
        }
    }

    fn read(&mut self, lead: Lead) {
        let content = match disk::read(&lead.path, &lead.root) {
            Ok(None) => return,
            Ok(Some(content)) => content,
            Err(trouble) => return self.problem(&lead.path, None, trouble.id(), trouble.meaning()),
        };
        let real = std::fs::canonicalize(&lead.path).unwrap_or_else(|_| lead.path.clone());
        if !self.seen.insert(real) {
            return;
        }
        let name = lead.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let form = Form::of(&name);
        // Files that clients make and leave empty.
        if content.text.trim().is_empty() {
            return;
        }
        let root = match document::parse(form, &content.text) {
            Ok(root) => root,
            Err(fault) => {
                let meaning = match fault.why {
                    Why::Syntax => format!("not valid {}: not looked into", form.name()),
                    Why::TooDeep => "nested too deep: not looked into".to_owned(),
                    Why::TooMany => "holds too many values: not looked into".to_owned(),
                };
                return self.problem(&lead.path, Some(fault.at), "broken", &meaning);
            }
        };
        let client = if let Kind::Client(client) = lead.kind { client } else { None };
        let approvals = if matches!(lead.kind, Kind::Client(_)) { server::approvals(&root, client) } else { Vec::new() };
        let mut document = Document {
            kind: lead.kind,
            scope: lead.scope,
            shown: self.layout.shown(&lead.path),
            servers: server::servers(&root, lead.servers),
            approvals,
            sightings: Vec::new(),
            rights: content.rights,
            tracked: self.tracked(&lead.path, lead.scope),
            path: lead.path,
            root,
            top: lead.root,
            text: (self.texts == Texts::Keep).then(|| Raw::new(content.text.as_str())),
        };
        if document.servers.len() > MAX_SERVERS {
            document.servers.truncate(MAX_SERVERS);
            self.problem(&document.path, None, "too-many-servers", "has more servers than are looked at: some were left out");
        }
        document.sightings = sightings(&document);
        if document.sightings.len() > MAX_SECRETS {
            document.sightings.truncate(MAX_SECRETS);
            self.problem(&document.path, None, "too-many-secrets", "has more secrets than are told: some were left out");
        }
        self.documents.push(document);
    }

    fn tracked(&mut self, path: &Path, scope: Scope) -> Tracked {
        let highest = if scope == Scope::User { self.layout.home.as_path() } else { Path::new("/") };
        let Some(top) = git::around(path, highest) else { return Tracked::No };
        let repository = self.repositories.entry(top).or_insert_with_key(|top| Repository::open(top, &self.layout.home));
        if repository.as_ref().is_some_and(|repository| repository.tracks(path)) { Tracked::Yes } else { Tracked::No }
    }

    fn problem(&mut self, path: &Path, at: Option<Position>, id: &'static str, meaning: &str) {
        let problem = Problem { file: self.layout.shown(path), at, id, meaning: meaning.to_owned() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// The secrets in a document.
fn sightings(document: &Document) -> Vec<Sighting> {
    let mut found = Vec::new();
    match document.kind {
        Kind::Client(_) => {
            for (at, server) in document.servers.iter().enumerate() {
                in_server(at, server, &mut found);
            }
            // Variables for all servers, and answers that were filled in beforehand.
            for top in ["env", "inputs"] {
                if let Some(node) = document.root.child(top) {
                    node.leaves(top, &mut |path, key, text, at| see(None, path, key, &text, at, &mut found));
                }
            }
        }
        Kind::Tokens(_) => document.root.leaves("", &mut |path, key, text, at| see(None, path, key, &text, at, &mut found)),
        Kind::Credential => document.root.leaves("", &mut |path, key, text, at| see(None, path, key, &text, at, &mut found)),
        Kind::Doorward => document.root.leaves("", &mut |path, key, text, at| match text.peek().strip_prefix("plain:") {
            Some(value) if !value.is_empty() => {
                let secret = Secret { kind: &PLAIN, value: Raw::new(value), confidence: crate::finding::Confidence::High };
                found.push(Sighting { server: None, path: path.to_owned(), at, secret });
            }
            _ => see(None, path, key, &text, at, &mut found),
        }),
    }
    found
}

fn in_server(number: usize, server: &Server, found: &mut Vec<Sighting>) {
    for field in server.env.iter().chain(&server.url).chain(&server.headers).chain(&server.settings).chain(&server.directory) {
        see(Some(number), &field.path, &field.key, &field.text, field.at, found);
    }
    let mut before = String::new();
    for field in server.words() {
        let text = field.text.peek();
        let (key, value) = keyed(text, &before);
        see(Some(number), &field.path, key, &Raw::new(value), field.at, found);
        text.clone_into(&mut before);
    }
}

/// A word of a command as a key with its value: `--token=X`, `NAME=X`, `Header: X`, or the value of the option before.
pub(crate) fn keyed<'a>(text: &'a str, before: &'a str) -> (&'a str, &'a str) {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let sign = text.find(['=', ':']).filter(|at| text.get(..*at).is_some_and(is_name));
    match sign {
        Some(at) if !text.get(at..).is_some_and(|rest| rest.starts_with("://")) => {
            (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default().trim())
        }
        _ if before.starts_with('-') => (before, text),
        _ => ("", text),
    }
}

fn see(server: Option<usize>, path: &str, key: &str, text: &Raw, at: Position, found: &mut Vec<Sighting>) {
    found.extend(secrets::find(key, text.peek()).into_iter().map(|secret| Sighting { server, path: path.to_owned(), at, secret }));
}

// === impl Document ===

impl Document {
    pub(crate) fn site(&self, at: Position) -> Site {
        Site { file: self.shown.clone(), at: Some(at) }
    }

    pub(crate) const fn client(&self) -> Option<&'static Client> {
        match self.kind {
            Kind::Client(client) => client,
            Kind::Tokens(client) => Some(client),
            _ => None,
        }
    }

    /// What the file is, for people.
    pub(crate) fn owner(&self) -> &'static str {
        match self.kind {
            Kind::Client(Some(client)) => client.name,
            Kind::Client(None) => "MCP configuration",
            Kind::Tokens(_) => "token store",
            Kind::Doorward => "Doorward",
            Kind::Credential => "credential file",
        }
    }

    /// A server of it, for people.
    pub(crate) fn subject(&self, server: &Server) -> String {
        match self.scope {
            Scope::User | Scope::Named => format!("{} server {}", self.owner(), server.name),
            Scope::Project | Scope::Managed => format!("{} server {} ({})", self.owner(), server.name, self.scope.name()),
        }
    }
}

// === impl Estate ===

impl Estate {
    /// Every server with its document. One that is switched off counts: its secrets lie there all the same.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (&Document, &Server)> {
        self.documents.iter().flat_map(|document| document.servers.iter().map(move |server| (document, server)))
    }
}
