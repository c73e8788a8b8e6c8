//! One normalised model of a server entry, whatever client it was written for, and how an entry is read into it.

use crate::clients::Client;
use crate::document::{Node, Position, Value};
use crate::raw::Raw;

/// A server as a client is told to reach it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    /// The way to it in the document.
    pub(crate) steps: Vec<Step>,
    pub(crate) at: Position,
    pub(crate) transport: Transport,
    pub(crate) command: Option<Field>,
    pub(crate) args: Vec<Field>,
    pub(crate) env: Vec<Field>,
    pub(crate) directory: Option<Field>,
    pub(crate) url: Option<Field>,
    pub(crate) headers: Vec<Field>,
    /// Everything else that stands in the entry.
    pub(crate) settings: Vec<Field>,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) state: State,
}

/// A step of the way to a value: a key, or an item of a list from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// An item of a list, from 0.
    At(usize),
}

/// A value of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// `env.TOKEN`, `args[2]`, `headers.Authorization`.
    pub(crate) path: String,
    /// The last part: `TOKEN`.
    pub(crate) key: String,
    pub(crate) text: Raw,
    pub(crate) at: Position,
}

/// A setting by which tools run without a question.
#[derive(Debug, Clone)]
pub(crate) struct Approval {
    pub(crate) path: String,
    pub(crate) reach: Reach,
    pub(crate) at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every tool.
    All,
    /// This many named tools.
    Some(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Stdio,
    Http,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    Disabled,
}

pub(crate) const URLS: [&str; 6] = ["url", "serverUrl", "httpUrl", "uri", "endpoint", "server_url"];
pub(crate) const ENVS: [&str; 3] = ["env", "environment", "envs"];
pub(crate) const HEADERS: [&str; 4] = ["headers", "http_headers", "httpHeaders", "requestHeaders"];
pub(crate) const DIRECTORIES: [&str; 3] = ["cwd", "workingDirectory", "working_directory"];
/// Lists of tools that run without a question.
const APPROVED_LISTS: [&str; 4] = ["autoApprove", "alwaysAllow", "auto_approve", "always_allow"];
/// Switches for all tools.
const APPROVED_ALL: [&str; 4] = ["trust", "autoApproveAll", "auto_approve_all", "autoRun"];

/// The servers of a document, at the places where this client keeps them.
pub(crate) fn servers(root: &Node, places: &[&[&str]]) -> Vec<Server> {
    let mut found = Vec::new();
    for place in places {
        let mut containers: Vec<(Vec<Step>, &Node)> = vec![(Vec::new(), root)];
        for key in *place {
            containers = containers.into_iter().flat_map(|(steps, node)| children(&steps, node, key)).collect();
        }
        for (steps, container) in containers {
            let whole = place.is_empty();
            let to = |step: Step| steps.iter().cloned().chain([step]).collect::<Vec<Step>>();
            found.extend(
                container
                    .members()
                    .iter()
                    .filter(|member| !whole || looks_like_one(&member.node))
                    .filter_map(|member| Server::read(&member.key, to(Step::Key(member.key.clone())), member.at, &member.node)),
            );
            found.extend(container.items().iter().enumerate().filter_map(|(number, item)| {
                let name = item.child("name").and_then(Node::text).map_or("(no name)", Raw::peek);
                Server::read(name, to(Step::At(number)), item.at, item)
            }));
        }
    }
    found.sort_by_key(|server| server.at);
    found.dedup_by_key(|server| server.at);
    found
}

/// One entry by itself.
pub(crate) fn read(name: &str, node: &Node) -> Option<Server> {
    Server::read(name, Vec::new(), node.at, node)
}

/// What stands below a node under a key, or under any.
fn children<'a>(steps: &[Step], node: &'a Node, key: &str) -> Vec<(Vec<Step>, &'a Node)> {
    let to = |key: &str| steps.iter().cloned().chain([Step::Key(key.to_owned())]).collect();
    match key {
        "*" => node.members().iter().map(|member| (to(&member.key), &member.node)).collect(),
        key => node.child(key).map(|node| (to(key), node)).into_iter().collect(),
    }
}

/// Whether a member of a file that may be anything is an entry.
fn looks_like_one(node: &Node) -> bool {
    ["command", "cmd"].into_iter().chain(URLS).any(|key| node.child(key).is_some())
}

// === impl Server ===

impl Server {
    fn read(name: &str, steps: Vec<Step>, at: Position, node: &Node) -> Option<Self> {
        let mut server = Self {
            name: name.to_owned(),
            steps,
            at,
            transport: Transport::Unknown,
            command: None,
            args: Vec::new(),
            env: Vec::new(),
            directory: None,
            url: None,
            headers: Vec::new(),
            settings: Vec::new(),
            approvals: Vec::new(),
            state: State::Enabled,
        };
        for member in node.members() {
            server.take(&member.key, &member.node);
        }
        server.transport = match (&server.url, &server.command) {
            (Some(_), _) => Transport::Http,
            (None, Some(_)) => Transport::Stdio,
            (None, None) => Transport::Unknown,
        };
        // What has neither is something else: a setting of the client beside the servers, an extension that is built in.
        (server.transport != Transport::Unknown).then_some(server)
    }

    fn take(&mut self, key: &str, node: &Node) {
        match key {
            "command" | "cmd" => self.command(key, node),
            "args" | "arguments" => self.args.extend(strings(key, node)),
            _ if ENVS.contains(&key) => self.env.extend(strings(key, node)),
            _ if HEADERS.contains(&key) => self.headers.extend(strings(key, node)),
            _ if URLS.contains(&key) && node.text().is_some() => self.url = strings(key, node).into_iter().next(),
            _ if DIRECTORIES.contains(&key) => self.directory = strings(key, node).into_iter().next(),
            "disabled" => self.state = if node.truth() == Some(true) { State::Disabled } else { self.state },
            "enabled" => self.state = if node.truth() == Some(false) { State::Disabled } else { self.state },
            _ if APPROVED_LISTS.contains(&key) => self.approvals.extend(listed(key, node)),
            _ if APPROVED_ALL.contains(&key) && node.truth() == Some(true) => self.approve_all(key, node),
            "default_tools_approval_mode" if node.is_text("approve") => self.approve_all(key, node),
            "tools" => self.tools(node),
            _ => self.settings.extend(strings(key, node)),
        }
    }

    /// A text, or the whole command line as a list; Zed once wrote a map.
    fn command(&mut self, key: &str, node: &Node) {
        match &node.value {
            Value::Map(_) => {
                for member in node.members() {
                    match member.key.as_str() {
                        "path" | "command" => self.command(key, &member.node),
                        other => self.take(other, &member.node),
                    }
                }
            }
            _ => {
                let mut words = strings(key, node).into_iter();
                self.command = words.next();
                self.args.splice(0..0, words);
            }
        }
    }

    /// Codex: `tools.NAME.approval_mode = "approve"`.
    fn tools(&mut self, node: &Node) {
        let approved = |node: &Node| node.child("approval_mode").is_some_and(|mode| mode.is_text("approve"));
        let approved: Vec<_> = node.members().iter().filter(|member| approved(&member.node)).collect();
        if let Some(first) = approved.first() {
            self.approvals.push(Approval { path: "tools.*.approval_mode".to_owned(), reach: Reach::Some(approved.len()), at: first.at });
        }
        if node.members().is_empty() {
            self.settings.extend(strings("tools", node));
        }
    }

    fn approve_all(&mut self, key: &str, node: &Node) {
        self.approvals.push(Approval { path: key.to_owned(), reach: Reach::All, at: node.at });
    }

    /// Command and arguments in order.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Field> {
        self.command.iter().chain(&self.args)
    }

    /// Every value of the entry.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.words().chain(&self.env).chain(&self.url).chain(&self.headers).chain(&self.settings).chain(&self.directory)
    }
}

/// A list of tools that run without a question.
pub(crate) fn listed(path: &str, node: &Node) -> Option<Approval> {
    let reach = match &node.value {
        Value::Bool(true) => Reach::All,
        _ if node.is_text("*") => Reach::All,
        Value::List(items) if items.iter().any(|item| item.is_text("*")) => Reach::All,
        Value::List(items) if !items.is_empty() => Reach::Some(items.len()),
        _ => return None,
    };
    Some(Approval { path: path.to_owned(), reach, at: node.at })
}

fn strings(key: &str, node: &Node) -> Vec<Field> {
    let mut found = Vec::new();
    node.leaves(key, &mut |path, last, text, at| {
        found.push(Field { path: path.to_owned(), key: last.to_owned(), text, at });
    });
    found
}

/// Settings of a whole file by which tools of MCP servers run without a question.
pub(crate) fn approvals(root: &Node, client: Option<&Client>) -> Vec<Approval> {
    let mut found = Vec::new();
    let mut all = |path: &str, node: &Node| found.push(Approval { path: path.to_owned(), reach: Reach::All, at: node.at });
    for switch in [
        "chat.tools.autoApprove",
        "chat.tools.global.autoApprove",
        "enableAllProjectMcpServers",
        "amp.dangerouslyAllowAll",
        "autoApproveAll",
    ] {
        if let Some(node) = root.child(switch).filter(|node| node.truth() == Some(true)) {
            all(switch, node);
        }
    }
    for (path, value) in [
        (&["approval_policy"][..], "never"),
        (&["permissions", "defaultMode"], "bypassPermissions"),
        (&["agent", "tool_permissions", "default"], "allow"),
        (&["GOOSE_MODE"], "auto"),
        (&["permission"], "allow"),
        (&["permission", "*"], "allow"),
    ] {
        if let Some(node) = root.path(path).filter(|node| node.is_text(value)) {
            all(&path.join("."), node);
        }
    }
    if let Some(node) = root.path(&["agent", "always_allow_tool_actions"]).filter(|node| node.truth() == Some(true)) {
        all("agent.always_allow_tool_actions", node);
    }
    for path in [&["permissions", "allow"][..], &["permissions", "allowed_tools"], &["allowedTools"]] {
        let Some(node) = root.path(path) else { continue };
        let whole = |item: &&Node| {
            item.text().is_some_and(|text| {
                let text = text.peek();
                text == "*"
                    || text == "mcp__*"
                    || (text.starts_with("mcp__") && text.matches("__").count() == 1)
                    || (text.starts_with('@') && !text.contains('/') && client.is_some_and(|client| client.id == "amazon-q"))
            })
        };
        if let Some(item) = node.items().iter().find(whole) {
            all(&path.join("."), item);
        }
    }
    found
}
