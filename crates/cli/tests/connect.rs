//! `doorward connect` and `disconnect` with the real program: files of clients, the gateway, a call through what was written.

#![expect(clippy::expect_used, reason = "a test that cannot set its stage has failed")]

#[expect(dead_code, reason = "not everything is needed here")]
#[path = "it/house.rs"]
mod house;

use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use house::{House, Said};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// Something of the shape of a token; it belongs to nobody.
const TOKEN: &str = concat!("gh", "p_Zq7Wx3Ke9Rt2Yu6Ip4Ls8Dh5Gj1Mn0VbZq7W");
const KEY: &str = "a1b2c3d4-unclear";

/// A user with two clients, one secret in both, one of unclear kind, and a program that must not be started.
fn user() -> House {
    let house = House::empty();
    let program = house.file("bin/server", "#!/bin/sh\ntouch \"$HOME/started\"\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("mode");
    let cursor = format!(
        "{{\r\n  // mine\r\n  \"mcpServers\": {{\r\n    \"github\": {{\r\n      \"command\": \"{0}\", // what\r\n      \"args\": [\"--stdio\"],\r\n      \"env\": {{ \"GITHUB_TOKEN\": \"{TOKEN}\", \"LOG_LEVEL\": \"debug\" }},\r\n      \"timeout\": 5,\r\n    }},\r\n    \"linear\": {{ \"url\": \"https://mcp.linear.app/mcp\" }},\r\n    \"search\": {{ \"url\": \"https://search.acme.test/mcp\", \"headers\": {{ \"X-Api-Key\": \"{KEY}\" }} }}\r\n  }}\r\n}}",
        program.display()
    );
    let codex = format!(
        "model = \"m\" # c\n\n[mcp_servers.github]\ncommand = \"{}\" # what\nargs = [\"--stdio\"]\n\n[mcp_servers.github.env]\nGITHUB_TOKEN = \"{TOKEN}\"\nLOG_LEVEL = \"debug\"\n\n[tui]\na = 1\n",
        program.display()
    );
    let goose = format!(
        "extensions:\n  github:\n    type: stdio\n    cmd: {}\n    args: [--stdio]\n    envs:\n      GITHUB_TOKEN: {TOKEN} # mine\n      LOG_LEVEL: debug\n    timeout: 300\n",
        program.display()
    );
    house.file(".cursor/mcp.json", &cursor);
    fs::set_permissions(house.path(".cursor/mcp.json"), fs::Permissions::from_mode(0o640)).expect("mode");
    house.file(".codex/config.toml", &codex);
    house.file(".config/goose/config.yaml", &goose);
    house
}

const FILES: [&str; 3] = [".cursor/mcp.json", ".codex/config.toml", ".config/goose/config.yaml"];

fn texts(house: &House) -> Vec<String> {
    FILES.iter().map(|name| fs::read_to_string(house.path(name)).expect("there")).collect()
}

/// Output without what differs from run to run.
fn plain(text: &str) -> String {
    let mut text = text.replace(env!("CARGO_BIN_EXE_doorward"), "/opt/doorward");
    while let Some(at) = text.find("Z.bak") {
        text.replace_range(at - 17..at + 5, "[time].bak");
    }
    text
}

fn silent(said: &Said) {
    for part in ["Zq7Wx3", "9Rt2Yu", "a1b2c3d4"] {
        assert!(!said.out.contains(part) && !said.err.contains(part), "a secret is shown: {said}");
    }
}

/// Everything below a directory: mode, inode, time of change and text.
fn tree(root: &Path) -> BTreeMap<String, (u32, u64, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(at) = open.pop() {
        let meta = at.symlink_metadata().expect("there");
        let text = if meta.is_file() { fs::read(&at).unwrap_or_default() } else { Vec::new() };
        found.insert(at.display().to_string(), (meta.mode(), meta.ino(), meta.ctime(), meta.ctime_nsec(), text));
        if meta.is_dir() {
            open.extend(fs::read_dir(&at).expect("listed").flatten().map(|entry| entry.path()));
        }
    }
    found
}

#[test]
fn a_dry_run_shows_everything_but_secrets_and_writes_nothing() {
    let house = user();
    let before = tree(&house.path(""));
    let said = house.run(&["connect", "--all", "--dry-run"]);
    silent(&said);
    assert_eq!(said.exit, 0, "{said}");
    insta::assert_snapshot!("dry_run", plain(&said.err));
    let said = house.run(&["connect", "--all", "--dry-run", "--json"]);
    silent(&said);
    insta::assert_snapshot!(
        "dry_run_json",
        plain(&serde_json::to_string_pretty(&serde_json::from_str::<Value>(&said.out).expect("JSON")).expect("text"))
    );
    // Nobody sits here, so nobody agrees.
    let said = house.run(&["connect", "--all"]);
    silent(&said);
    assert_eq!(said.exit, 2, "{said}");
    assert_eq!(tree(&house.path("")), before, "something was written");
}

#[test]
fn scn_03_what_is_connected_is_neither_started_nor_approved_and_comes_back_to_the_byte() {
    let house = user();
    let before = texts(&house);
    let said = house.run(&["connect", "--all", "--yes"]);
    silent(&said);
    assert_eq!(said.exit, 0, "{said}");
    for (name, text) in FILES.iter().zip(texts(&house)) {
        assert!(!text.contains(TOKEN) && !text.contains(KEY) && text.contains("bridge") && !text.contains("dwk_"), "{name}: {text}");
    }
    assert_eq!(fs::metadata(house.path(FILES[0])).expect("there").mode() & 0o7777, 0o640, "the mode stays");
    let kept = house.path("state/secrets/github/GITHUB_TOKEN");
    assert_eq!(fs::read_to_string(&kept).expect("kept"), TOKEN);
    assert_eq!(fs::metadata(&kept).expect("kept").mode() & 0o7777, 0o600);
    // No copy outside of Doorward's keeping: not in backups, not in the configuration, not in the journal.
    for (path, (.., text)) in tree(&house.path("")) {
        let text = String::from_utf8_lossy(&text);
        assert!(path.contains("/state/secrets/") || !text.contains(TOKEN) && !text.contains(KEY), "{path} has a secret");
    }
    let backup =
        fs::read_dir(house.path(".cursor")).expect("listed").flatten().find(|entry| entry.file_name().to_string_lossy().ends_with(".bak"));
    let backup = backup.expect("a backup");
    assert_eq!(
        fs::read_to_string(backup.path()).expect("there"),
        before[0].replace(TOKEN, "kept-by-doorward").replace(KEY, "kept-by-doorward")
    );
    assert_eq!(backup.metadata().expect("there").mode() & 0o7777, 0o640);
    let global = ["--config".to_owned(), house.path(".config/doorward/doorward.toml").display().to_string()];
    let listed = house.run(&["server", "list", &global[0], &global[1]]);
    assert!(listed.out.contains("github") && listed.out.contains("0 approved"), "{listed}");
    assert!(!house.path("started").exists(), "connect started a server");
    // Again: nothing to do, nothing written.
    let tree_before = tree(&house.path(""));
    let again = house.run(&["connect", "--all", "--yes"]);
    assert!(again.err.contains("goes through the gateway already") && again.err.contains("nothing was changed"), "{again}");
    assert_eq!(tree(&house.path("")), tree_before);
    let undone = house.run(&["connect", "--all", "--undo", "--with-secrets", "--yes"]);
    silent(&undone);
    assert_eq!(undone.exit, 0, "{undone}");
    assert_eq!(texts(&house), before);
    assert_eq!(fs::metadata(house.path(FILES[0])).expect("there").mode() & 0o7777, 0o640);
    assert!(!house.path(".config/doorward/doorward.toml").exists(), "a configuration that was not there is gone");
    assert!(!kept.exists() && !house.path("state/bridge/github.key").exists(), "nothing of it stays");
    let keys = house.run(&["apikey", "list"]);
    assert!(!keys.out.contains("active"), "{keys}");
}

#[test]
fn secrets_return_only_when_they_are_asked_for() {
    let house = user();
    let before = texts(&house);
    assert_eq!(house.run(&["connect", "codex", "--yes"]).exit, 0);
    assert_eq!(texts(&house)[0], before[0], "another client is left alone");
    let said = house.run(&["disconnect", "codex", "--yes"]);
    silent(&said);
    assert_eq!(said.exit, 0, "{said}");
    assert_eq!(texts(&house)[1], before[1].replace(TOKEN, "kept-by-doorward"));
    assert_eq!(fs::read_to_string(house.path("state/secrets/github/GITHUB_TOKEN")).expect("kept"), TOKEN);
    assert!(house.path(".config/doorward/doorward.toml").exists(), "the gateway goes on with the server");
}

#[test]
fn what_others_changed_since_stays() {
    let house = user();
    let before = texts(&house);
    assert_eq!(house.run(&["connect", "--all", "--yes"]).exit, 0);
    let cursor = fs::read_to_string(house.path(FILES[0])).expect("there");
    // A client has put something in front; somebody has changed the entry of another.
    house.file(FILES[0], &cursor.replace("  // mine", "  \"new\": 1,\r\n  // mine"));
    let codex = fs::read_to_string(house.path(FILES[1])).expect("there");
    let touched = codex.replace("\"bridge\"", "\"bridge\", \"--quiet\"");
    house.file(FILES[1], &touched);
    let said = house.run(&["disconnect", "--all", "--with-secrets", "--yes"]);
    silent(&said);
    assert_eq!(said.exit, 1, "{said}");
    assert!(said.err.contains("changed since"), "{said}");
    let after = texts(&house);
    assert_eq!(after[0], before[0].replace("  // mine", "  \"new\": 1,\r\n  // mine"));
    assert_eq!((after[1].as_str(), after[2].as_str()), (touched.as_str(), before[2].as_str()));
}

/// A file of the auditor's corpus.
#[derive(serde::Deserialize)]
struct Case {
    about: String,
    os: Option<String>,
    path: String,
    text: String,
    mode: Option<String>,
    #[serde(default)]
    more: Vec<More>,
}

#[derive(serde::Deserialize)]
struct More {
    path: String,
    #[serde(default)]
    text: String,
}

#[derive(serde::Deserialize)]
struct Group {
    case: Vec<Case>,
}

/// A text of the corpus with secrets in: of each kind its known beginning, and a body that is looked for afterwards.
fn with_secrets(text: &str, house: &House) -> String {
    let made = |(at, part): (usize, &str)| match (at % 2, part) {
        (0, _) => part.to_owned(),
        (_, "github" | "github2" | "githubpat") => TOKEN.to_owned(),
        (_, "password") => "Zq7Wx3Ke9Rt2Yu".to_owned(),
        (_, part) => format!("Zq7Wx3Ke9Rt2Yu6Ip4Ls8Dh5Gj1Mn0{:02}", part.len()),
    };
    let text: String = text.split("@@").enumerate().map(made).collect();
    text.replace("%HOME%", &house.path("").display().to_string())
}

#[test]
fn the_corpus_is_connected_and_comes_back_to_the_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scan/tests/corpus");
    let mut groups: Vec<_> = fs::read_dir(folder).expect("corpus").flatten().map(|entry| entry.path()).collect();
    groups.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    groups.sort();
    let read = |path: &std::path::PathBuf| toml::from_str::<Group>(&fs::read_to_string(path).expect("text")).expect("cases").case;
    let mut connected: BTreeMap<String, usize> = BTreeMap::new();
    for case in groups.iter().flat_map(read).filter(|case| matches!(case.os.as_deref(), None | Some("linux"))) {
        let house = House::empty();
        let project = house.path("project");
        let mut planted = Vec::new();
        for (path, text) in std::iter::once((&case.path, &case.text)).chain(case.more.iter().map(|more| (&more.path, &more.text))) {
            if path.starts_with('/') || path.contains("doorward") {
                continue;
            }
            let at = path.strip_prefix("~/").map_or_else(|| format!("project/{path}"), str::to_owned);
            planted.push(house.file(&at, &with_secrets(text, &house)));
            // Whatever may be a program is there, and nothing starts it.
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))) {
                let name = word.trim_start_matches("./");
                if (1..30).contains(&name.len())
                    && !name.contains("..")
                    && !name.starts_with(['/', '.', '-'])
                    && !name.ends_with(['/', '.'])
                {
                    let place = if word.starts_with("./") { format!("project/{name}") } else { format!("bin/{name}") };
                    let free = !house.path(&place).exists() && house.path(&place).ancestors().skip(1).all(|above| !above.is_file());
                    if free && (word.starts_with("./") || !name.contains('/')) {
                        let program = house.file(&place, "#!/bin/sh\ntouch \"$HOME/started\"\n");
                        fs::set_permissions(program, fs::Permissions::from_mode(0o700)).expect("mode");
                    }
                }
            }
        }
        if let (Some(mode), Some(first)) = (&case.mode, planted.first()) {
            fs::set_permissions(first, fs::Permissions::from_mode(u32::from_str_radix(mode, 8).expect("octal"))).expect("mode");
        }
        fs::create_dir_all(&project).expect("made");
        let facts = |path: &std::path::PathBuf| (fs::read(path).expect("there"), fs::metadata(path).expect("there").mode());
        let before: Vec<_> = planted.iter().map(facts).collect();
        let run = |arguments: &[&str]| {
            let mut command = house.command(arguments);
            command.env("PATH", house.path("bin")).current_dir(&project);
            let output = command.stdin(Stdio::null()).output().expect("it runs");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let said = Said { exit: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
            silent(&said);
            said
        };
        for project in [&[][..], &["--project"]] {
            let said = run(&[&["connect", "--all", "--yes"], project].concat());
            assert!(said.exit < 2, "{}: {said}", case.about);
            if said.err.contains("nothing was changed") {
                continue;
            }
            for line in said.err.lines().filter(|line| line.contains("written: ")) {
                *connected.entry(line.trim_start_matches(['\u{2713}', 'v', ' ']).to_owned()).or_default() += 1;
            }
            assert!(planted.iter().zip(&before).any(|(path, before)| facts(path) != *before), "{}: {said}", case.about);
            let said = run(&["connect", "--all", "--undo", "--with-secrets", "--yes"]);
            assert_eq!(said.exit, 0, "{}: {said}", case.about);
            for (path, before) in planted.iter().zip(&before) {
                assert_eq!(facts(path), *before, "{}: {}: {said}", case.about, path.display());
            }
        }
        assert!(!house.path("started").exists(), "{}: something was started", case.about);
    }
    let files = connected.keys().filter(|shown| !shown.contains("doorward.toml")).count();
    assert!(files > 25, "{files} different files: {connected:#?}");
}

#[test]
fn hostile_files_are_left_as_they_are() {
    let entry = format!("{{\"command\": \"/bin/true\", \"env\": {{\"A_TOKEN\": \"{TOKEN}\"}}}}");
    let many = |count: usize| (0..count).map(|number| format!("\"A{number}_TOKEN\": \"{TOKEN}\"")).collect::<Vec<_>>().join(", ");
    let servers = (0..300).map(|number| format!("\"s{number}\": {entry}")).collect::<Vec<_>>().join(", ");
    let cases: [(&str, String); 12] = [
        ("many values", format!("{{\"mcpServers\": {{\"a\": {{\"command\": \"/bin/true\", \"env\": {{{}}}}}}}}}", many(5_000))),
        ("many members", format!("{{\"mcpServers\": {{\"a\": {{\"command\": \"/bin/true\", {}}}}}}}", many(1_500))),
        ("many servers", format!("{{\"mcpServers\": {{{servers}}}}}")),
        ("an entry twice", format!("{{\"mcpServers\": {{\"a\": {entry}, \"a\": {entry}}}}}")),
        ("a key twice", "{\"mcpServers\": {\"a\": {\"command\": \"/bin/true\", \"command\": \"/bin/false\"}}}".to_owned()),
        ("servers twice", format!("{{\"mcpServers\": {{\"a\": {entry}}}, \"mcpServers\": {{\"a\": {entry}}}}}")),
        ("broken", format!("{{\"mcpServers\": {{\"a\": {entry}")),
        ("deep", "[".repeat(100_000)),
        ("huge", format!("{{\"mcpServers\": {{\"a\": {entry}}}, \"x\": \"{}\"}}", "x".repeat(6 << 20))),
        ("a secret among arguments", format!("{{\"mcpServers\": {{\"a\": {{\"command\": \"/bin/true\", \"args\": [\"--token\", \"{TOKEN}\"]}}}}}}")),
        ("a secret in the address", format!("{{\"mcpServers\": {{\"a\": {{\"url\": \"https://a.test/mcp?token={TOKEN}\"}}}}}}")),
        ("several lines", "{\"mcpServers\": {\"a\": {\"command\": \"/bin/true\", \"env\": {\"K\": \"-----BEGIN PRIVATE KEY-----\\nZq7Wx3Ke9Rt2Yu6Ip4Ls8Dh5\\n-----END PRIVATE KEY-----\"}}}}".to_owned()),
    ];
    for (what, text) in &cases {
        let house = House::empty();
        house.file(".cursor/mcp.json", text);
        let before = tree(&house.path(""));
        let said = house.run(&["connect", "--all", "--yes"]);
        silent(&said);
        assert!(said.err.contains("nothing was changed"), "{what}: {said}");
        assert_eq!(tree(&house.path("")), before, "{what}");
    }
}

#[test]
fn files_of_others_links_and_locks_are_left_as_they_are() {
    let entry = "{\"mcpServers\": {\"a\": {\"command\": \"/bin/true\"}}}";
    for what in ["read-only", "two names", "link out", "another owner"] {
        let house = House::empty();
        let path = house.file(".cursor/mcp.json", entry);
        let mut kept = path.clone();
        match what {
            "read-only" => fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("mode"),
            "two names" => fs::hard_link(&path, house.path("other")).expect("a name"),
            "link out" => {
                kept = std::env::temp_dir().join(format!("doorward-connect-out-{}", std::process::id()));
                fs::rename(&path, &kept).expect("moved");
                symlink(&kept, &path).expect("a link");
            }
            _ if !rustix::process::geteuid().is_root() => continue,
            _ => std::os::unix::fs::chown(&path, Some(12345), None).expect("given away"),
        }
        let said = house.run(&["connect", "--all", "--yes"]);
        assert_eq!(fs::read_to_string(&kept).expect("there"), entry, "{what}: {said}");
        assert!(said.exit == 1 && said.err.contains("stays as it is") || said.err.contains("not followed"), "{what}: {said}");
        assert!(!house.path(".config/doorward/doorward.toml").exists() && !house.path("state").exists(), "{what}: {said}");
        if what == "link out" {
            fs::remove_file(kept).expect("removed");
        }
    }
}

#[test]
fn a_link_inside_the_home_stays_a_link() {
    let house = House::empty();
    house.file("dotfiles/mcp.json", "{\"mcpServers\": {\"a\": {\"command\": \"/bin/true\"}}}");
    house.file(".cursor/x", "");
    symlink("../dotfiles/mcp.json", house.path(".cursor/mcp.json")).expect("a link");
    assert_eq!(house.run(&["connect", "cursor", "--yes"]).exit, 0);
    assert!(house.path(".cursor/mcp.json").symlink_metadata().expect("there").is_symlink());
    assert!(fs::read_to_string(house.path("dotfiles/mcp.json")).expect("there").contains("bridge"));
}

#[test]
fn what_a_server_of_the_gateway_is_counts_more_than_its_name() {
    let house = House::empty();
    house.file(".config/doorward/doorward.toml", "# mine\n[server.github]\nurl = \"https://api.example.test/mcp\"\n");
    house.file(".cursor/mcp.json", "{\"mcpServers\": {\"github\": {\"command\": \"/bin/true\"}}}");
    let said = house.run(&["connect", "cursor", "--yes"]);
    assert!(said.exit == 1 && said.err.contains("something else"), "{said}");
    assert_eq!(house.run(&["connect", "cursor", "--server", "github", "--yes"]).exit, 0, "named: it is meant");
    assert_eq!(
        fs::read_to_string(house.path(".config/doorward/doorward.toml")).expect("there"),
        "# mine\n[server.github]\nurl = \"https://api.example.test/mcp\"\n"
    );
}

#[test]
fn secrets_of_an_entry_leave_its_file_also_where_the_gateway_has_the_server() {
    let house = House::empty();
    house.file(".config/doorward/doorward.toml", "[server.github]\nurl = \"https://api.example.test/mcp\"\n");
    let cursor = format!(
        "{{\"mcpServers\": {{\"github\": {{\"command\": \"/bin/true\", \"args\": [\"--token\", \"{TOKEN}\"], \"env\": {{\"K\": \"{KEY}\"}}}}}}}}"
    );
    house.file(".cursor/mcp.json", &cursor);
    // The same name, the same variable, another value, with an escape.
    let kiro = "{\"mcpServers\": {\"github\": {\"command\": \"/bin/true\", \"env\": {\"K\": \"9Rt2Yu-\\u0041-other\"}}}}";
    house.file(".kiro/settings/mcp.json", kiro);
    let said = house.run(&["connect", "--all", "--server", "github", "--yes"]);
    silent(&said);
    assert_eq!(said.exit, 0, "{said}");
    for (path, (.., text)) in tree(&house.path("")) {
        let text = String::from_utf8_lossy(&text);
        let holds = [TOKEN, KEY, "9Rt2Yu"].iter().any(|secret| text.contains(secret));
        assert!(path.contains("/state/secrets/") || !holds, "{path} has a secret");
    }
    let said = house.run(&["disconnect", "--all", "--with-secrets", "--yes"]);
    silent(&said);
    let text = |name: &str| fs::read_to_string(house.path(name)).expect("there");
    assert_eq!((text(".cursor/mcp.json").as_str(), text(".kiro/settings/mcp.json").as_str()), (cursor.as_str(), kiro), "{said}");
}

#[test]
fn a_project_is_connected_only_when_it_is_asked_for() {
    let house = House::empty();
    let program = house.file("tools/mcp", "#!/bin/sh\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("mode");
    house.file(".vscode/mcp.json", "{\"servers\": {\"own\": {\"type\": \"stdio\", \"command\": \"./tools/mcp\"}}}");
    let said = house.run(&["connect", "vscode", "--yes"]);
    assert!(said.err.contains("nothing was changed"), "{said}");
    let said = house.run(&["connect", "vscode", "--project", "--yes"]);
    assert_eq!(said.exit, 0, "{said}");
    let text = fs::read_to_string(house.path(".vscode/mcp.json")).expect("there");
    assert!(text.contains("\"type\": \"stdio\", \"command\": ") && text.contains("\"bridge\", \"own\""), "{text}");
    let config = fs::read_to_string(house.path(".config/doorward/doorward.toml")).expect("there");
    assert!(config.contains("/tools/mcp\"]") && config.contains("cwd = "), "{config}");
}

#[test]
fn flt_01_killed_in_any_moment_it_is_taken_back() {
    let strace = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !strace.is_ok_and(|status| status.success()) {
        eprintln!("skipped: strace may not trace here");
        return;
    }
    // What makes a file another one: of secrets and backups, of the journal and keys, of the configuration and clients.
    let (mut killed, mut house_keys) = (0, 0);
    for (calls, number) in ["linkat", "rename", "renameat2", "unlinkat"].iter().flat_map(|call| (1..10).map(move |number| (*call, number)))
    {
        let house = user();
        let before = texts(&house);
        let inner = house.command(&["connect", "--all", "--yes"]);
        let mut outer = Command::new("strace");
        outer.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={calls}:signal=SIGKILL:when={number}"),
        ]);
        outer.arg(inner.get_program()).args(inner.get_args()).current_dir(house.path(""));
        outer
            .env_clear()
            .env("HOME", house.path(""))
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = outer.status().expect("strace");
        if status.success() {
            continue;
        }
        killed += 1;
        // Each file is the old one or the new one, whole.
        for (old, now) in before.iter().zip(texts(&house)) {
            assert!(*old == now || now.contains("bridge") && !now.contains(TOKEN), "killed at {calls} {number}: {now}");
        }
        let said = house.run(&["connect", "--all", "--undo", "--with-secrets", "--yes"]);
        silent(&said);
        assert_eq!(texts(&house), before, "killed at {calls} {number}: {said}");
        assert!(!house.path(".config/doorward/doorward.toml").exists(), "killed at {calls} {number}: {said}");
        for name in [".cursor", ".codex", ".config/goose"] {
            let left: Vec<String> = fs::read_dir(house.path(name))
                .expect("listed")
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            assert!(left.iter().all(|name| !name.starts_with('.')), "killed at {calls} {number}: {left:?}");
        }
        house_keys += house.run(&["apikey", "list"]).out.matches("active").count();
        if number % 4 == 0 {
            let again = house.run(&["connect", "--all", "--yes"]);
            assert_eq!(again.exit, 0, "killed at {calls} {number}: {again}");
        }
    }
    let keys = house_keys;
    assert!(killed > 15 && keys == 0, "{killed} times killed, {keys} keys stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_called_through_what_was_written() {
    let fixture = Running::start(Era::Legacy, 0).await.expect("a fixture");
    let house = House::empty();
    house.file("doorward.toml", "[listen]\naddress = \"127.0.0.1:0\"\n");
    let before = format!("{{\n  \"mcpServers\": {{ \"fixture\": {{ \"url\": \"{}\" }} }}\n}}\n", fixture.url());
    house.file(".cursor/mcp.json", &before);
    let said = house.run(&["connect", "cursor", "--yes"]);
    assert_eq!(said.exit, 0, "{said}");
    // Nothing is approved: a person does that.
    let gateway = house.serve();
    let written: Value = serde_json::from_str(&fs::read_to_string(house.path(".cursor/mcp.json")).expect("there")).expect("JSON");
    let entry = &written["mcpServers"]["fixture"];
    let words: Vec<&str> = entry["args"].as_array().expect("args").iter().map(|word| word.as_str().expect("text")).collect();
    assert_eq!(words[..2], ["bridge", "fixture"]);
    let mut child = Command::new(entry["command"].as_str().expect("a program"))
        .args(&words)
        .env_clear()
        .env("HOME", house.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut ask = |message: Value| writeln!(input, "{message}").expect("taken");
    let mut answer = |id: u64| -> Value {
        loop {
            let line = lines.next().expect("not the end").expect("readable");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == id {
                return message;
            }
        }
    };
    ask(
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}),
    );
    assert_eq!(answer(1)["result"]["protocolVersion"], "2025-11-25");
    ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    ask(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}));
    let list = answer(2);
    let tools = list["result"]["tools"].as_array().expect("tools");
    assert!(!tools.is_empty(), "a key that reads sees tools that read: {list}");
    let tool = tools.iter().find(|tool| tool["name"] == "test_simple_text").unwrap_or(&tools[0])["name"].clone();
    ask(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": tool, "arguments": {}}}));
    let called = answer(3);
    assert!(called["result"]["content"].is_array(), "{called}");
    child.kill().ok();
    child.wait().expect("waited");
    assert!(house.record().contains("\"fixture\""), "the call is on the record");
    gateway.stop();
    let said = house.run(&["connect", "--all", "--undo", "--yes"]);
    assert_eq!(said.exit, 0, "{said}");
    assert_eq!(fs::read_to_string(house.path(".cursor/mcp.json")).expect("there"), before);
    assert_eq!(fs::read_to_string(house.path("doorward.toml")).expect("there"), "[listen]\naddress = \"127.0.0.1:0\"\n");
}
