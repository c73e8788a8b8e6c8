//! The clients and where each keeps its servers and tokens (product 4.1 and 4.2), as data. Knows nothing of what is wrong.

use crate::layout::Os;

/// A program that connects to MCP servers.
#[derive(Debug)]
pub(crate) struct Client {
    /// Stable id: `claude-code`.
    pub(crate) id: &'static str,
    /// Its name for people.
    pub(crate) name: &'static str,
    /// Whether it can sign in with OAuth to a server over HTTP.
    pub(crate) oauth: Oauth,
    /// Where it keeps servers.
    pub(crate) files: &'static [Spec],
    /// Where it keeps tokens in clear text.
    pub(crate) tokens: &'static [&'static str],
}

/// How a client writes an entry that starts a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    /// The member that says what kind of entry it is, with its value.
    pub(crate) kind: (&'static str, &'static str),
    pub(crate) when: When,
    /// Where program and arguments stand.
    pub(crate) words: Words,
}

/// Whether an entry must say of what kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Only if it said so before.
    Kept,
}

/// Where program and arguments stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// The program under this key, its arguments under `args`.
    Apart(&'static str),
    /// Both in one list under this key.
    Together(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oauth {
    Can,
    Cannot,
}

/// Files of a client.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) on: On,
    pub(crate) scope: Scope,
    /// `~/` is the home, `/` the root, anything else the project. `*` and `**` stand for names.
    pub(crate) path: &'static str,
    /// Where in the file servers stand: paths of keys, `*` for any key. A map from names, or a list with `name` in each.
    pub(crate) servers: &'static [&'static [&'static str]],
}

/// On which systems a path exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    All,
    Linux,
    MacOs,
    Windows,
}

/// For whom a configuration counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    User,
    Project,
    Managed,
    /// Named on the command line.
    Named,
}

type Paths = &'static [&'static [&'static str]];

const USUAL: Paths = &[&["mcpServers"]];
/// The empty path is the file itself: plugins write servers without a key around them.
const PLUGIN: Paths = &[&["mcpServers"], &[]];
const CLAUDE: Paths = &[&["mcpServers"], &["projects", "*", "mcpServers"]];
const VSCODE: Paths = &[&["servers"], &["mcpServers"]];
const VSCODE_SETTINGS: Paths = &[&["mcp", "servers"], &["mcp.servers"]];
const WORKSPACE: Paths = &[&["settings", "mcp", "servers"], &["settings", "mcp.servers"], &["mcp", "servers"]];
const DEVCONTAINER: Paths = &[&["customizations", "vscode", "mcp", "servers"]];
const CODEX: Paths = &[&["mcp_servers"], &["profiles", "*", "mcp_servers"]];
const ZED: Paths = &[&["context_servers"]];
const MCP: Paths = &[&["mcp"]];
const GOOSE: Paths = &[&["extensions"]];
const AMP: Paths = &[&["amp.mcpServers"], &["amp", "mcpServers"]];
const NONE: Paths = &[];

/// Everywhere that servers stand in any client's file, for files whose client is not known.
pub(crate) const ANYWHERE: Paths = &[
    &["mcpServers"],
    &["projects", "*", "mcpServers"],
    &["servers"],
    &["mcp", "servers"],
    &["mcp.servers"],
    &["settings", "mcp", "servers"],
    &["settings", "mcp.servers"],
    &["customizations", "vscode", "mcp", "servers"],
    &["mcp_servers"],
    &["context_servers"],
    &["mcp"],
    &["extensions"],
    &["amp.mcpServers"],
    &["amp", "mcpServers"],
    &[],
];

const fn user(path: &'static str, servers: Paths) -> Spec {
    Spec { on: On::All, scope: Scope::User, path, servers }
}

const fn linux(path: &'static str, servers: Paths) -> Spec {
    Spec { on: On::Linux, scope: Scope::User, path, servers }
}

const fn mac(path: &'static str, servers: Paths) -> Spec {
    Spec { on: On::MacOs, scope: Scope::User, path, servers }
}

const fn windows(path: &'static str, servers: Paths) -> Spec {
    Spec { on: On::Windows, scope: Scope::User, path, servers }
}

const fn project(path: &'static str, servers: Paths) -> Spec {
    Spec { on: On::All, scope: Scope::Project, path, servers }
}

const fn managed(on: On, path: &'static str, servers: Paths) -> Spec {
    Spec { on, scope: Scope::Managed, path, servers }
}

const fn client(id: &'static str, name: &'static str, oauth: Oauth, files: &'static [Spec]) -> Client {
    Client { id, name, oauth, files, tokens: &[] }
}

/// Every client of the table.
pub(crate) const CLIENTS: &[Client] = &[
    client(
        "claude-desktop",
        "Claude Desktop",
        Oauth::Cannot,
        &[
            linux("~/.config/Claude/claude_desktop_config.json", USUAL),
            linux("~/.config/claude/claude_desktop_config.json", USUAL),
            mac("~/Library/Application Support/Claude/claude_desktop_config.json", USUAL),
            windows("~/AppData/Roaming/Claude/claude_desktop_config.json", USUAL),
        ],
    ),
    Client {
        id: "claude-code",
        name: "Claude Code",
        oauth: Oauth::Can,
        files: &[
            user("~/.claude.json", CLAUDE),
            user("~/.claude/.claude.json", CLAUDE),
            user("~/.claude/settings.json", NONE),
            user("~/.claude/plugins/cache/**/.mcp.json", PLUGIN),
            project(".mcp.json", PLUGIN),
            project(".claude/settings.json", NONE),
            project(".claude/settings.local.json", NONE),
            managed(On::Linux, "/etc/claude-code/managed-mcp.json", USUAL),
            managed(On::MacOs, "/Library/Application Support/ClaudeCode/managed-mcp.json", USUAL),
            managed(On::Windows, "/Program Files/ClaudeCode/managed-mcp.json", USUAL),
        ],
        tokens: &["~/.claude/.credentials.json"],
    },
    client(
        "vscode",
        "VS Code",
        Oauth::Can,
        &[
            linux("~/.config/Code/User/mcp.json", VSCODE),
            linux("~/.config/Code/User/profiles/*/mcp.json", VSCODE),
            linux("~/.config/Code/User/settings.json", VSCODE_SETTINGS),
            linux("~/.config/Code - Insiders/User/mcp.json", VSCODE),
            linux("~/.config/Code - Insiders/User/settings.json", VSCODE_SETTINGS),
            mac("~/Library/Application Support/Code/User/mcp.json", VSCODE),
            mac("~/Library/Application Support/Code/User/profiles/*/mcp.json", VSCODE),
            mac("~/Library/Application Support/Code/User/settings.json", VSCODE_SETTINGS),
            mac("~/Library/Application Support/Code - Insiders/User/mcp.json", VSCODE),
            mac("~/Library/Application Support/Code - Insiders/User/settings.json", VSCODE_SETTINGS),
            windows("~/AppData/Roaming/Code/User/mcp.json", VSCODE),
            windows("~/AppData/Roaming/Code/User/profiles/*/mcp.json", VSCODE),
            windows("~/AppData/Roaming/Code/User/settings.json", VSCODE_SETTINGS),
            windows("~/AppData/Roaming/Code - Insiders/User/mcp.json", VSCODE),
            windows("~/AppData/Roaming/Code - Insiders/User/settings.json", VSCODE_SETTINGS),
            user("~/.vscode-server/data/User/mcp.json", VSCODE),
            user("~/.vscode-server/data/User/settings.json", VSCODE_SETTINGS),
            project(".vscode/mcp.json", VSCODE),
            project(".vscode/settings.json", VSCODE_SETTINGS),
            project("*.code-workspace", WORKSPACE),
            project(".devcontainer/devcontainer.json", DEVCONTAINER),
            project(".devcontainer.json", DEVCONTAINER),
        ],
    ),
    Client {
        id: "copilot-cli",
        name: "Copilot CLI",
        oauth: Oauth::Can,
        files: &[user("~/.copilot/mcp-config.json", USUAL)],
        tokens: &["~/.copilot/mcp-oauth-config/*.tokens.json"],
    },
    client(
        "cursor",
        "Cursor",
        Oauth::Can,
        &[
            user("~/.cursor/mcp.json", USUAL),
            user("~/.cursor/plugins/cache/**/.mcp.json", PLUGIN),
            user("~/.cursor/plugins/local/**/.mcp.json", PLUGIN),
            project(".cursor/mcp.json", USUAL),
        ],
    ),
    client(
        "devin",
        "Devin Desktop",
        Oauth::Can,
        &[
            user("~/.config/devin/mcp_config.json", USUAL),
            windows("~/AppData/Roaming/devin/mcp_config.json", USUAL),
            project(".devin/mcp_config.json", USUAL),
        ],
    ),
    client(
        "windsurf",
        "Windsurf",
        Oauth::Can,
        &[user("~/.codeium/windsurf/mcp_config.json", USUAL), user("~/.codeium/mcp_config.json", USUAL)],
    ),
    Client {
        id: "gemini-cli",
        name: "Gemini CLI",
        oauth: Oauth::Can,
        files: &[
            user("~/.gemini/settings.json", USUAL),
            project(".gemini/settings.json", USUAL),
            managed(On::Linux, "/etc/gemini-cli/settings.json", USUAL),
        ],
        tokens: &["~/.gemini/mcp-oauth-tokens.json"],
    },
    Client {
        id: "antigravity",
        name: "Antigravity",
        oauth: Oauth::Can,
        files: &[
            user("~/.gemini/config/mcp_config.json", USUAL),
            user("~/.gemini/antigravity/mcp_config.json", USUAL),
            project(".agents/mcp_config.json", USUAL),
        ],
        tokens: &["~/.gemini/antigravity/mcp_oauth_tokens.json"],
    },
    Client {
        id: "codex",
        name: "Codex",
        oauth: Oauth::Can,
        files: &[
            user("~/.codex/config.toml", CODEX),
            user("~/.codex/*.config.toml", CODEX),
            project(".codex/config.toml", CODEX),
            managed(On::Linux, "/etc/codex/*.toml", CODEX),
            managed(On::MacOs, "/etc/codex/*.toml", CODEX),
        ],
        tokens: &["~/.codex/.credentials.json"],
    },
    client(
        "zed",
        "Zed",
        Oauth::Can,
        &[
            user("~/.config/zed/settings.json", ZED),
            windows("~/AppData/Roaming/Zed/settings.json", ZED),
            project(".zed/settings.json", ZED),
        ],
    ),
    Client {
        id: "opencode",
        name: "OpenCode",
        oauth: Oauth::Can,
        files: &[
            user("~/.config/opencode/opencode.json", MCP),
            user("~/.config/opencode/opencode.jsonc", MCP),
            user("~/.opencode/opencode.json", MCP),
            user("~/.opencode/opencode.jsonc", MCP),
            project("opencode.json", MCP),
            project("opencode.jsonc", MCP),
            managed(On::Linux, "/etc/opencode/opencode.json", MCP),
            managed(On::Linux, "/etc/opencode/opencode.jsonc", MCP),
        ],
        tokens: &["~/.local/share/opencode/mcp-auth.json"],
    },
    client("junie", "JetBrains Junie", Oauth::Cannot, &[user("~/.junie/mcp/mcp.json", USUAL), project(".junie/mcp/mcp.json", USUAL)]),
    client("continue", "Continue", Oauth::Cannot, &[user("~/.continue/config.yaml", USUAL), project(".continue/mcpServers/*.yaml", USUAL)]),
    client(
        "goose",
        "Goose",
        Oauth::Can,
        &[
            linux("~/.config/goose/config.yaml", GOOSE),
            mac("~/.config/goose/config.yaml", GOOSE),
            windows("~/AppData/Roaming/Block/goose/config/config.yaml", GOOSE),
        ],
    ),
    client("lm-studio", "LM Studio", Oauth::Cannot, &[user("~/.lmstudio/mcp.json", USUAL), user("~/.cache/lm-studio/mcp.json", USUAL)]),
    client(
        "amazon-q",
        "Amazon Q CLI",
        Oauth::Can,
        &[
            user("~/.aws/amazonq/mcp.json", USUAL),
            user("~/.aws/amazonq/cli-agents/*.json", USUAL),
            project(".amazonq/mcp.json", USUAL),
            project(".amazonq/cli-agents/*.json", USUAL),
        ],
    ),
    client("kiro", "Kiro", Oauth::Can, &[user("~/.kiro/settings/mcp.json", USUAL), project(".kiro/settings/mcp.json", USUAL)]),
    client(
        "cline",
        "Cline",
        Oauth::Cannot,
        &[
            linux("~/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", USUAL),
            mac("~/Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", USUAL),
            windows("~/AppData/Roaming/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", USUAL),
            user("~/.vscode-server/data/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", USUAL),
        ],
    ),
    client("amp", "Amp", Oauth::Can, &[user("~/.config/amp/settings.json", AMP)]),
    client(
        "trae",
        "Trae",
        Oauth::Cannot,
        &[
            linux("~/.config/Trae/User/mcp.json", USUAL),
            mac("~/Library/Application Support/Trae/User/mcp.json", USUAL),
            windows("~/AppData/Roaming/Trae/User/mcp.json", USUAL),
        ],
    ),
    client("factory", "Factory", Oauth::Cannot, &[user("~/.factory/mcp.json", USUAL)]),
    client("kimi", "Kimi", Oauth::Cannot, &[user("~/.kimi/mcp.json", USUAL)]),
    client("qoder", "Qoder", Oauth::Cannot, &[user("~/.qoder/mcp.json", USUAL)]),
    client("vibe", "Mistral Vibe", Oauth::Cannot, &[user("~/.vibe/config.toml", CODEX)]),
    client(
        "crush",
        "Crush",
        Oauth::Cannot,
        &[user("~/.config/crush/crush.json", MCP), project(".crush.json", MCP), project("crush.json", MCP)],
    ),
    Client { id: "mcp-remote", name: "mcp-remote", oauth: Oauth::Can, files: &[], tokens: &["~/.mcp-auth/**/*_tokens.json"] },
];

/// Configurations of Doorward itself.
pub(crate) const DOORWARD: &[&str] = &[
    "~/.config/doorward/doorward.toml",
    "~/.config/doorward/config.d/*.toml",
    "/etc/doorward/doorward.toml",
    "/etc/doorward/config.d/*.toml",
];

/// Files with which programs sign in to a cloud.
pub(crate) const CREDENTIALS: &[&str] =
    &["~/.config/gcloud/application_default_credentials.json", "~/AppData/Roaming/gcloud/application_default_credentials.json"];

// === impl Client ===

impl Client {
    /// How it writes an entry that starts a program.
    pub(crate) fn local(&self) -> Local {
        let (kind, when, words) = match self.id {
            "copilot-cli" => (("type", "local"), When::Always, Words::Apart("command")),
            "opencode" => (("type", "local"), When::Always, Words::Together("command")),
            "crush" | "factory" => (("type", "stdio"), When::Always, Words::Apart("command")),
            "goose" => (("type", "stdio"), When::Always, Words::Apart("cmd")),
            "vibe" => (("transport", "stdio"), When::Always, Words::Apart("command")),
            "devin" | "kimi" => (("transport", "stdio"), When::Kept, Words::Apart("command")),
            "zed" => (("source", "custom"), When::Always, Words::Apart("command")),
            _ => (("type", "stdio"), When::Kept, Words::Apart("command")),
        };
        Local { kind, when, words }
    }
}

// === impl On ===

impl On {
    pub(crate) const fn covers(self, os: Os) -> bool {
        matches!((self, os), (Self::All, _) | (Self::Linux, Os::Linux) | (Self::MacOs, Os::MacOs) | (Self::Windows, Os::Windows))
    }
}

// === impl Scope ===

impl Scope {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Managed => "managed",
            Self::Named => "named",
        }
    }
}

// === impl Spec ===

impl Spec {
    /// Whether a file that was named could be one of these: its path ends like the pattern.
    pub(crate) fn resembles(&self, path: &str) -> bool {
        let own = self.path.trim_start_matches("~/").trim_start_matches('/');
        !own.contains('*') && (path == own || path.strip_suffix(own).is_some_and(|front| front.ends_with('/')))
    }
}
