//! What is found and read, on each system, and what happens with files that are not as they should be.

use crate::stage::{Planted, Stage, all_forms};
use doorward_scan::{Color, Computer, Depth, Layout, Moved, Os, Report, Request, Target, scan};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

fn planted(path: &str, text: &str) -> Planted {
    Planted { path: path.to_owned(), text: text.to_owned(), mode: None, tracked: false, above: None }
}

const ENTRY: &str = r#"{"mcpServers": {"a": {"url": "http://tools.internal/mcp"}}}"#;

fn servers(report: &Report) -> u64 {
    report.json()["summary"]["servers"].as_u64().expect("a number")
}

#[test]
fn every_client_is_found_on_its_systems() {
    let json = |key: &str| format!(r#"{{"{key}": {{"a": {{"url": "http://tools.internal/mcp"}}}}}}"#);
    let usual = json("mcpServers");
    let vscode = json("servers");
    let codex = "[mcp_servers.a]\nurl = \"http://tools.internal/mcp\"\n".to_owned();
    let opencode = json("mcp");
    let zed = json("context_servers");
    let all = [Os::Linux, Os::MacOs, Os::Windows];
    let cases: Vec<(&[Os], &str, &str, &str)> = vec![
        (&[Os::Linux], "Claude Desktop", "~/.config/Claude/claude_desktop_config.json", &usual),
        (&[Os::MacOs], "Claude Desktop", "~/Library/Application Support/Claude/claude_desktop_config.json", &usual),
        (&[Os::Windows], "Claude Desktop", "~/AppData/Roaming/Claude/claude_desktop_config.json", &usual),
        (&all, "Claude Code", "~/.claude.json", &usual),
        (&all, "Claude Code", "~/.claude/plugins/cache/acme/1.0.0/.mcp.json", r#"{"a": {"url": "http://tools.internal/mcp"}}"#),
        (&all, "Claude Code", ".mcp.json", &usual),
        (&[Os::Linux], "Claude Code", "/etc/claude-code/managed-mcp.json", &usual),
        (&[Os::MacOs], "Claude Code", "/Library/Application Support/ClaudeCode/managed-mcp.json", &usual),
        (&[Os::Windows], "Claude Code", "/Program Files/ClaudeCode/managed-mcp.json", &usual),
        (&[Os::Linux], "VS Code", "~/.config/Code/User/mcp.json", &vscode),
        (&[Os::Linux], "VS Code", "~/.config/Code/User/profiles/ab12/mcp.json", &vscode),
        (&[Os::MacOs], "VS Code", "~/Library/Application Support/Code/User/mcp.json", &vscode),
        (&[Os::Windows], "VS Code", "~/AppData/Roaming/Code - Insiders/User/mcp.json", &vscode),
        (&all, "VS Code", "~/.vscode-server/data/User/mcp.json", &vscode),
        (&all, "VS Code", ".vscode/mcp.json", &vscode),
        (&all, "VS Code", ".vscode/settings.json", r#"{"mcp.servers": {"a": {"url": "http://tools.internal/mcp"}}}"#),
        (&all, "VS Code", "acme.code-workspace", r#"{"settings": {"mcp": {"servers": {"a": {"url": "http://tools.internal/mcp"}}}}}"#),
        (
            &all,
            "VS Code",
            ".devcontainer/devcontainer.json",
            r#"{"customizations": {"vscode": {"mcp": {"servers": {"a": {"url": "http://tools.internal/mcp"}}}}}}"#,
        ),
        (&all, "Copilot CLI", "~/.copilot/mcp-config.json", &usual),
        (&all, "Cursor", "~/.cursor/mcp.json", &usual),
        (&all, "Cursor", ".cursor/mcp.json", &usual),
        (&all, "Devin Desktop", "~/.config/devin/mcp_config.json", &usual),
        (&[Os::Windows], "Devin Desktop", "~/AppData/Roaming/devin/mcp_config.json", &usual),
        (&all, "Windsurf", "~/.codeium/windsurf/mcp_config.json", r#"{"mcpServers": {"a": {"serverUrl": "http://tools.internal/mcp"}}}"#),
        (&all, "Gemini CLI", "~/.gemini/settings.json", r#"{"mcpServers": {"a": {"httpUrl": "http://tools.internal/mcp"}}}"#),
        (&all, "Antigravity", "~/.gemini/config/mcp_config.json", r#"{"mcpServers": {"a": {"serverUrl": "http://tools.internal/mcp"}}}"#),
        (&all, "Codex", "~/.codex/config.toml", &codex),
        (&all, "Codex", "~/.codex/work.config.toml", &codex),
        (&all, "Codex", ".codex/config.toml", &codex),
        (&all, "Zed", "~/.config/zed/settings.json", &zed),
        (&all, "OpenCode", "~/.config/opencode/opencode.jsonc", &opencode),
        (&all, "OpenCode", "opencode.json", &opencode),
        (&all, "JetBrains Junie", "~/.junie/mcp/mcp.json", &usual),
        (
            &all,
            "Continue",
            "~/.continue/config.yaml",
            "mcpServers:\n  - name: a\n    type: streamable-http\n    url: http://tools.internal/mcp\n",
        ),
        (
            &[Os::Linux, Os::MacOs],
            "Goose",
            "~/.config/goose/config.yaml",
            "extensions:\n  a:\n    type: streamable_http\n    uri: http://tools.internal/mcp\n",
        ),
        (
            &[Os::Windows],
            "Goose",
            "~/AppData/Roaming/Block/goose/config/config.yaml",
            "extensions:\n  a:\n    uri: http://tools.internal/mcp\n",
        ),
        (&all, "LM Studio", "~/.lmstudio/mcp.json", &usual),
        (&all, "Amazon Q CLI", "~/.aws/amazonq/cli-agents/default.json", &usual),
        (&all, "Kiro", "~/.kiro/settings/mcp.json", &usual),
        (
            &[Os::MacOs],
            "Cline",
            "~/Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
            &usual,
        ),
        (&all, "Amp", "~/.config/amp/settings.json", r#"{"amp.mcpServers": {"a": {"url": "http://tools.internal/mcp"}}}"#),
        (&[Os::Linux], "Trae", "~/.config/Trae/User/mcp.json", &usual),
        (&all, "Factory", "~/.factory/mcp.json", &usual),
        (&all, "Kimi", "~/.kimi/mcp.json", &usual),
        (&all, "Qoder", "~/.qoder/mcp.json", &usual),
        (&all, "Mistral Vibe", "~/.vibe/config.toml", "[[mcp_servers]]\nname = \"a\"\nurl = \"http://tools.internal/mcp\"\n"),
        (&all, "Crush", "~/.config/crush/crush.json", &opencode),
    ];
    for (systems, client, path, text) in cases {
        for os in all {
            let mut stage = Stage::new();
            stage.os = os;
            stage.plant(&planted(path, text));
            let report = stage.scan();
            let clients = report.json()["summary"]["clients"].to_string();
            let due = systems.contains(&os);
            assert_eq!(report.findings().iter().any(|finding| finding.id() == "DW010"), due, "{path} on {os:?}: {clients}");
            assert_eq!(clients.contains(client), due, "{path} on {os:?} is of {client}: {clients}");
        }
    }
}

#[test]
fn variables_move_directories() {
    let mut stage = Stage::new();
    stage.plant(&planted("elsewhere/config.toml", "[mcp_servers.a]\nurl = \"http://tools.internal/mcp\"\n"));
    let moved = vec![Moved { from: "~/.codex", to: stage.project().join("elsewhere") }];
    let layout = Layout { os: Os::Linux, home: stage.home(), root: None, moved, here: None };
    let report = scan(&Request { layout, computer: Computer::Read, paths: Vec::new() });
    assert_eq!(servers(&report), 1);
}

fn named(stage: &Stage, path: PathBuf) -> Report {
    let layout = Layout { os: Os::Linux, home: stage.home(), root: None, moved: Vec::new(), here: Some(stage.project()) };
    scan(&Request { layout, computer: Computer::Leave, paths: vec![Target { path, depth: Depth::Below }] })
}

#[test]
fn a_file_or_directory_that_is_named_is_read() {
    let mut stage = Stage::new();
    stage.plant(&planted("some/odd-name.json", ENTRY));
    stage.plant(&planted("packages/web/.cursor/mcp.json", ENTRY));
    stage.plant(&planted("node_modules/x/.mcp.json", ENTRY));
    stage.plant(&planted("notes.json", r#"{"a": 1}"#));
    assert_eq!(servers(&named(&stage, stage.path("some/odd-name.json"))), 1);
    assert_eq!(servers(&named(&stage, stage.project())), 1, "what was installed is not the project's own");
    assert!(named(&stage, stage.path("notes.json")).text(80, Color::Plain).contains("no MCP servers were recognised"));
    assert!(named(&stage, stage.path("nothing.json")).text(80, Color::Plain).contains("there is no such file"));
}

#[test]
fn scn_03_links_lead_nowhere_else() {
    let mut stage = Stage::new();
    stage.plant(&planted("/outside.json", r#"{"mcpServers": {"a": {"command": "x", "env": {"TOKEN": "@@github@@"}}}}"#));
    stage.plant(&planted("~/dotfiles/mcp.json", ENTRY));
    fs::create_dir_all(stage.path("~/.cursor")).expect("made");
    fs::create_dir_all(stage.path("~/.kiro/settings")).expect("made");
    fs::create_dir_all(stage.path("~/.qoder")).expect("made");
    symlink(stage.path("/outside.json"), stage.path("~/.cursor/mcp.json")).expect("linked");
    symlink(stage.path("~/dotfiles/mcp.json"), stage.path("~/.kiro/settings/mcp.json")).expect("linked");
    symlink(stage.path("~/nowhere"), stage.path("~/.qoder/mcp.json")).expect("linked");
    let report = stage.scan();
    assert_eq!((servers(&report), report.problems()), (1, 2), "a link within the home is followed, others are named");
    stage.assert_no_secret_in(&all_forms(&report), "a link out");
}

#[test]
fn scn_03_a_link_that_is_walked_is_walked_to_its_end() {
    let mut stage = Stage::new();
    stage.plant(&planted("~/dotfiles/deep/mcp.json", ENTRY));
    let link = |target: &str, at: &str| {
        fs::create_dir_all(stage.path(at).parent().expect("a parent")).expect("made");
        symlink(target, stage.path(at)).expect("linked");
    };
    // Within: over a directory that is a link, by an absolute way, by one with `..` in it.
    link("dotfiles", "~/short");
    link("../short/deep/mcp.json", "~/.cursor/mcp.json");
    link(&stage.path("~/short/deep/../deep/mcp.json").to_string_lossy(), "~/.kimi/mcp.json");
    // Out, by way of the inside; in a circle; past the top.
    link("/", "~/slash");
    link("../slash/etc/hostname", "~/.qoder/mcp.json");
    link("mcp.json", "~/.factory/mcp.json");
    link("../../../../../../../../etc/hostname", "~/.lmstudio/mcp.json");
    let report = stage.scan();
    // One file behind two links is one file.
    assert_eq!((servers(&report), report.problems()), (1, 3), "{}", report.text(100, Color::Plain));
}

#[test]
fn scn_03_a_repository_leads_no_further_than_git_would_keep_it() {
    let secret = r#"{"mcpServers": {"a": {"command": "x", "env": {"TOKEN": "@@github@@"}}}}"#;
    let tracked = |prepare: &dyn Fn(&mut Stage)| {
        let mut stage = Stage::new();
        stage.plant(&Planted { tracked: true, ..planted(".mcp.json", secret) });
        // The index is written by a scan, then moved to where the case wants it.
        stage.scan();
        prepare(&mut stage);
        let layout = Layout { os: Os::Linux, home: stage.home(), root: None, moved: Vec::new(), here: Some(stage.project()) };
        let paths = vec![Target { path: stage.project(), depth: Depth::Below }];
        scan(&Request { layout, computer: Computer::Leave, paths }).findings().iter().any(|finding| finding.id() == "DW002")
    };
    let elsewhere = |stage: &mut Stage, place: &str, text: &str| {
        let to = stage.path(place);
        fs::create_dir_all(to.parent().expect("a parent")).expect("made");
        fs::rename(stage.path(".git"), &to).expect("moved");
        fs::write(stage.path(".git"), text.replace("%TO%", &to.to_string_lossy())).expect("written");
    };
    assert!(tracked(&|_| ()), "as it is");
    assert!(tracked(&|stage| elsewhere(stage, "/main/.git/worktrees/one", "gitdir: %TO%\n")), "a work tree");
    assert!(tracked(&|stage| elsewhere(stage, "/main/.git/modules/a/b", "gitdir: ../root/main/.git/modules/a/b\n")), "a submodule");
    assert!(!tracked(&|stage| elsewhere(stage, "/main/secrets", "gitdir: %TO%\n")), "anywhere else");
    let aside = |stage: &mut Stage, name: &str| {
        fs::rename(stage.path(name), stage.path("/aside")).expect("moved");
        symlink(stage.path("/aside"), stage.path(name)).expect("linked");
    };
    assert!(!tracked(&|stage| aside(stage, ".git")), "a link out of the repository");
    assert!(!tracked(&|stage| aside(stage, ".git/index")), "an index that is one");
}

#[test]
fn scn_03_an_entry_does_not_decide_what_is_read_elsewhere() {
    let mut stage = Stage::new();
    stage.plant(&planted("/elsewhere/adc.json", r#"{"token_url": "https://evil.test/"}"#));
    let outside = stage.path("/elsewhere/adc.json").to_string_lossy().into_owned();
    let entry =
        |path: &str| format!(r#"{{"mcpServers": {{"a": {{"command": "x", "env": {{"GOOGLE_APPLICATION_CREDENTIALS": "{path}"}}}}}}}}"#);
    stage.plant(&planted("~/.cursor/mcp.json", &entry(&outside)));
    stage.plant(&planted("~/.kimi/mcp.json", &entry("~/../root/elsewhere/adc.json")));
    let report = stage.scan();
    assert!(report.findings().is_empty() && !report.text(80, Color::Plain).contains("evil.test"));
}

#[test]
fn scn_03_files_that_are_none_are_named_and_skipped() {
    let mut stage = Stage::new();
    stage.plant(&planted("~/.cursor/mcp.json", "{ \"mcpServers\": { \"a\": { \"env\": { \"T\": \"@@github@@\" } "));
    stage.plant(&planted("~/.codex/config.toml", "[mcp_servers.a]\ntoken = \"@@github@@\ncommand = 1\n"));
    stage.plant(&planted("~/.continue/config.yaml", "mcpServers:\n\t- @@github@@: [\n"));
    stage.plant(&planted("~/.kimi/mcp.json", "\u{0}\u{1}binary"));
    stage.plant(&planted("~/.factory/mcp.json", &format!("{{\"a\": \"{}\"}}", "x".repeat(6 << 20))));
    stage.plant(&planted("~/.gemini/settings.json", &"[".repeat(100_000)));
    stage.plant(&planted("~/.qoder/mcp.json", ""));
    stage.plant(&planted("~/.claude.json", ENTRY));
    fs::create_dir_all(stage.path("~/.lmstudio/mcp.json")).expect("a directory in its place");
    fs::create_dir_all(stage.path("~/.junie/mcp")).expect("made");
    let pipe = stage.path("~/.junie/mcp/mcp.json");
    let socket = std::os::unix::net::UnixListener::bind(&pipe).expect("a socket in its place");
    let report = stage.scan();
    drop(socket);
    let text = report.text(100, Color::Plain);
    for line in [
        "~/.codex/config.toml:2:",
        "~/.continue/config.yaml:2:",
        "~/.cursor/mcp.json:1:",
        "~/.factory/mcp.json: larger than 5 MiB",
        "~/.gemini/settings.json:1:65: nested too deep",
        "~/.junie/mcp/mcp.json: not a regular file",
        "~/.kimi/mcp.json: not text",
        "~/.lmstudio/mcp.json: not a regular file",
        "not everything could be read",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!((report.problems(), report.unread(), servers(&report)), (8, 8, 1), "{text}");
    stage.assert_no_secret_in(&all_forms(&report), "a broken file");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let mut stage = Stage::new();
    stage.plant(&planted("~/.cursor/mcp.json", ENTRY));
    let path = stage.path("~/.cursor/mcp.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("chmod");
    // Root may read everything; then there is nothing to see here.
    if fs::read(&path).is_err() {
        assert!(stage.scan().text(80, Color::Plain).contains("may not be read by this user"));
    }
}

#[test]
fn a_dotfiles_repository_in_the_home_counts() {
    let mut stage = Stage::new();
    stage.plant(&Planted {
        tracked: true,
        ..planted("~/.cursor/mcp.json", r#"{"mcpServers": {"a": {"command": "x", "env": {"TOKEN": "@@github@@"}}}}"#)
    });
    assert!(stage.scan().findings().iter().any(|finding| finding.id() == "DW002"));
}

proptest::proptest! {
    #[test]
    fn scn_03_no_text_makes_it_panic(text in "[ -~\\n\\t\u{80}-\u{2fff}]{0,200}", json in "[\\[\\]{}\",:a-f0-9$@/=\\\\ \\n-]{0,300}") {
        let mut stage = Stage::new();
        for path in ["~/.cursor/mcp.json", "~/.codex/config.toml", "~/.continue/config.yaml", "~/.config/doorward/doorward.toml"] {
            stage.plant(&planted(path, &text.replace("@@", "")));
        }
        stage.plant(&planted("~/.kiro/settings/mcp.json", &json.replace("@@", "")));
        let entry = serde_json::json!({"mcpServers": {"a": {"command": text.clone(), "args": [json, text.clone()], "url": text, "env": {"TOKEN": text}}}});
        stage.plant(&planted("~/.qoder/mcp.json", &entry.to_string().replace("@@", "")));
        let _ = all_forms(&stage.scan());
    }
}
