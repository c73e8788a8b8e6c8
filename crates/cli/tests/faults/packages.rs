//! STD-08: package runners behind the real program, with real npm and pip and a registry that lies.
//!
//! Where npm or pip is not installed, its tests are skipped; with `DOORWARD_TEST_PACKAGES=required` they fail instead.

use super::client::Client;
use super::house::{House, Said};
use super::within;
use doorward_testkit::registry::{Place, Registry};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A server that says what a package that it needs says, and its own arguments.
const SERVER: &str = r#"#!/usr/bin/env node
const { word } = require("helper");
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const tools = [{ name: "word", inputSchema: { type: "object" }, annotations: { readOnlyHint: true } }];
  if (method === "initialize") {
    say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "f", version: "1" } } });
  } else if (method === "tools/list") say({ id, result: { tools } });
  else if (method === "tools/call") say({ id, result: { content: [{ type: "text", text: `${word} ${process.argv.slice(2)}` }] } });
  else say({ id, error: { code: -32601, message: "no" } });
});
"#;

/// A test that cannot be run here.
fn without(what: &str) {
    let strict = std::env::var_os("DOORWARD_TEST_PACKAGES").is_some_and(|value| value == "required");
    assert!(!strict, "{what}, and DOORWARD_TEST_PACKAGES=required");
    eprintln!("\n!!!! SKIPPED: {what}. !!!!\n");
}

/// An installation with a runner that would tell on itself, and real programs beside it.
struct Stage {
    house: House,
    registry: Registry,
}

impl Stage {
    /// Nothing where npm is not installed.
    fn open() -> Option<Self> {
        let at = |name: &str| ["/usr/local/bin", "/usr/bin"].iter().map(|bin| Path::new(bin).join(name)).find(|path| path.exists());
        let (Some(node), Some(npm)) = (at("node"), at("npm")) else {
            without("node and npm are not installed");
            return None;
        };
        let house = House::empty();
        let runner = house.file("bin/npx", &format!("#!/bin/sh\ntouch {}\n", house.path("runner-ran").display()));
        fs::set_permissions(&runner, fs::Permissions::from_mode(0o700)).expect("modes");
        symlink(node, house.path("bin/node")).expect("a link");
        symlink(npm, house.path("bin/npm")).expect("a link");
        Some(Self { house, registry: Registry::start().expect("a registry") })
    }

    /// A package as npm packs it, with scripts that would leave a mark, put into the registry.
    fn publish(&self, name: &str, more: &Value, file: &str, text: &str) {
        let (folder, touch) = (format!("source/{name}"), format!("touch {}", self.house.path("script-ran").display()));
        let mut described = json!({
            "name": name, "version": "1.0.0",
            "scripts": { "preinstall": touch, "install": touch, "postinstall": touch },
        });
        described.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        self.house.file(&format!("{folder}/{file}"), text);
        self.house.file(&format!("{folder}/package.json"), &described.to_string());
        let mut pack = Command::new(self.house.path("bin/npm"));
        pack.args(["pack", "--json", "--ignore-scripts", "--offline"]).current_dir(self.house.path(&folder));
        let packed = pack.env("HOME", self.house.path("home")).output().expect("npm");
        assert!(packed.status.success(), "{packed:?}");
        let packed: Value = serde_json::from_slice(&packed.stdout).expect("JSON");
        let (tarball, hash) = (packed[0]["filename"].as_str().expect("a name"), packed[0]["integrity"].as_str().expect("a hash"));
        let path = format!("/{name}/-/{name}-1.0.0.tgz");
        let packed = self.house.path(&folder).join(tarball);
        self.registry.put(&path, fs::read(&packed).expect("a tarball"));
        fs::remove_file(packed).expect("not part of the next one");
        let url = format!("{}{}", self.registry.url(), path.trim_start_matches('/'));
        described["dist"] = json!({ "tarball": url, "integrity": hash });
        described["hasInstallScript"] = json!(true);
        let packument = json!({ "name": name, "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": described } });
        self.registry.put(&format!("/{name}"), packument.to_string().into_bytes());
    }

    fn publish_all(&self, word: &str) {
        self.publish("helper", &json!({}), "index.js", &format!("exports.word = \"{word}\";\n"));
        self.publish("files-server", &json!({ "bin": "server.js", "dependencies": { "helper": "^1.0.0" } }), "server.js", SERVER);
    }

    /// The configuration; the command is the runner with these arguments.
    fn configure(&self, policy: &str, arguments: &[&str], more: &str) {
        let mut command = vec![self.house.path("bin/npx").display().to_string()];
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n\n{policy}\n[server.fixture]\ncommand = {}\n\
             timeout = \"8s\"\n{more}\n[server.fixture.limits]\nmemory = \"2GiB\"\n",
            json!(command)
        );
        self.house.file("doorward.toml", &text);
    }

    fn install(&self) -> Said {
        self.house.run(&["server", "install", "fixture", "--registry", &self.registry.url()])
    }

    fn approve(&self) -> Said {
        self.house.run(&["server", "approve", "fixture", "--command", "--all"])
    }

    /// Neither a script of a package nor the runner was started.
    fn nothing_ran(&self) {
        assert!(!self.house.path("script-ran").exists(), "a script of a package ran");
        assert!(!self.house.path("runner-ran").exists(), "the runner ran");
    }

    fn configuration(&self) -> String {
        fs::read_to_string(self.house.path("doorward.toml")).expect("a file")
    }

    /// The directory of the installed package.
    fn tree(&self) -> PathBuf {
        let text = self.configuration();
        let hex = text.split("sha256:").nth(1).expect("an integrity").split('"').next().expect("digits").to_owned();
        self.house.path("state/packages").join(hex)
    }

    fn client(&self, url: &str) -> Client {
        Client::new(url, &self.house.run(&["apikey", "create", "--grant", "read,write,destructive"]).out)
    }
}

fn word(client: &Client) -> Value {
    let reply = client.legacy(&client.session(), "tools/call", json!({ "name": "word", "arguments": {} }));
    reply.json().pointer("/result/content/0/text").cloned().unwrap_or_else(|| reply.json())
}

const PINNED: &str = "[launch]\npackage_runners = \"pinned\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn std_08_unpinned_runners_are_refused_with_the_fix_or_warned_of_and_recorded() {
    let Some(stage) = Stage::open() else { return };
    for (arguments, says) in [
        (["-y", "files-server"].as_slice(), "files-server@1.2.3"),
        (&["-y", "files-server@latest"], "name one version"),
        (&["-y", "files-server@1.0.0"], "doorward server install fixture"),
        (&["-y", "github:x/files-server"], "npm ci"),
    ] {
        stage.configure(PINNED, arguments, "");
        let said = stage.approve();
        let words = said.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.exit == 1 && words.contains(says), "{said}");
    }
    assert_eq!(stage.install().exit, 2, "only exact versions are installed");
    stage.nothing_ran();
    let refuse = "[launch]\npackage_runners = \"refuse\"\n";
    stage.configure(refuse, &["-y", "files-server@1.0.0"], "");
    let said = stage.approve();
    assert!(said.exit == 1 && said.err.contains("no runner may start here"), "{said}");
    // A command that was approved under another policy does not start either, and the record says why.
    stage.configure("", &["-y", "files-server"], "");
    let said = stage.approve();
    assert!(said.err.contains("whatever version of files-server"), "laptop mode warns: {said}");
    assert!(stage.house.path("runner-ran").exists(), "and starts it");
    fs::remove_file(stage.house.path("runner-ran")).expect("removed");
    stage.configure(PINNED, &["-y", "files-server"], "");
    let gateway = stage.house.listen();
    let reply = stage.client(&gateway.url).initialize();
    assert_eq!(reply.json().pointer("/error/data/reason"), Some(&json!("package_refused")), "{reply:?}");
    gateway.stop();
    stage.nothing_ran();
    let record = stage.house.record();
    assert!(record.contains("package_refused") && !record.contains("package_unpinned"), "{record}");
    stage.configure("", &["-y", "files-server"], "");
    let before = stage.house.record().len();
    stage.house.listen().stop();
    let record = stage.house.record();
    let (_, since) = record.split_at(before);
    assert!(since.contains("\"reason\":\"package_unpinned\"") && since.contains("whatever version of files-server"), "{since}");
    // Outside of laptop mode pins are wanted by default.
    let public = "public_url = \"https://mcp.example\"\n";
    stage.configure("", &["-y", "files-server"], "");
    let text = format!(
        "{public}{}",
        stage
            .configuration()
            .replace("address = \"127.0.0.1:0\"", "address = \"127.0.0.1:0\"\ntls = \"proxy\"\ntrusted_proxies = [\"127.0.0.1/32\"]")
    );
    stage.house.file("doorward.toml", &text);
    let said = stage.approve();
    assert!(said.exit == 1 && said.err.contains("name one version"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn std_08_a_package_runs_from_a_checked_copy_or_not_at_all() {
    let Some(stage) = Stage::open() else { return };
    stage.publish_all("right");
    stage.configure(PINNED, &["-y", "files-server@1.0.0", "--root", "/data"], "");
    let said = stage.install();
    assert!(said.exit == 0 && said.err.contains("files-server@1.0.0") && said.out.contains("sha256:"), "{said}");
    stage.nothing_ran();
    let first = stage.tree();
    assert_eq!(fs::metadata(&first).expect("a tree").permissions().mode() & 0o777, 0o500, "nobody writes in it");
    assert_eq!(stage.house.run(&["server", "test", "fixture"]).exit, 1, "nobody approved it yet");
    // The registry is away from here on, and nobody asks it.
    stage.registry.be(Place::Away);
    assert!(!stage.registry.asked().is_empty());
    let said = stage.approve();
    assert_eq!(said.exit, 0, "{said}");
    for _ in 0..2 {
        let gateway = stage.house.listen();
        assert_eq!(word(&stage.client(&gateway.url)), json!("right --root,/data"));
        gateway.stop();
    }
    assert_eq!(stage.registry.asked(), Vec::<String>::new(), "offline from the copy");
    stage.nothing_ran();
    // Somebody changes what a package that it needs says: it does not run, also not while the gateway runs.
    let gateway = stage.house.listen();
    let client = stage.client(&gateway.url);
    assert_eq!(word(&client), json!("right --root,/data"));
    let helper = first.join("node_modules/helper/index.js");
    let mark = stage.house.path("script-ran");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o600)).expect("modes");
    fs::write(&helper, format!("require(\"fs\").writeFileSync(\"{}\", \"\");\nexports.word = \"wrong\";\n", mark.display()))
        .expect("written");
    let reason = || client.initialize().json().pointer("/error/data/reason").cloned();
    assert!(within(Duration::from_secs(5), || reason() == Some(json!("package_changed"))), "{:?}", reason());
    stage.nothing_ran();
    doorward_gateway::upstream::stdio::package::remove(&first).expect("removed");
    assert!(within(Duration::from_secs(5), || reason() == Some(json!("package_missing"))), "{:?}", reason());
    gateway.stop();
    // It is away: nothing can be installed, and nothing half is left.
    let said = stage.install();
    assert_eq!(said.exit, 4, "{said}");
    // It answers another tarball for the same version: what was resolved before knows its hash, and the configuration the whole.
    stage.registry.be(Place::Here);
    stage.publish_all("wrong");
    let said = stage.install();
    assert!(said.exit == 4 && said.err.contains("EINTEGRITY"), "{said}");
    fs::remove_file(first.with_extension("lock")).expect("a lock");
    let said = stage.install();
    assert!(said.exit == 6 && said.err.contains("not what the configuration names"), "{said}");
    assert!(!first.exists());
    let left: Vec<_> = fs::read_dir(stage.house.path("state/packages")).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
    // As it was, it comes back and needs no new approval.
    stage.publish_all("right");
    let said = stage.install();
    assert!(said.exit == 0 && first.exists(), "{said}");
    let gateway = stage.house.listen();
    assert_eq!(word(&stage.client(&gateway.url)), json!("right --root,/data"));
    gateway.stop();
    // A name that looks like it is another command: neither approved nor the same package.
    stage.publish("fi1es-server", &json!({ "bin": "server.js", "dependencies": { "helper": "^1.0.0" } }), "server.js", SERVER);
    let squat = stage.configuration().replace("files-server@", "fi1es-server@");
    stage.house.file("doorward.toml", &squat);
    let said = stage.install();
    assert!(said.exit == 4 && !said.out.contains("installed"), "{said}");
    let said = stage.house.run(&["server", "test", "fixture"]);
    assert!(said.exit == 1 && said.err.contains("not approved"), "{said}");
    stage.nothing_ran();
}

/// A wheel of the server, which needs another one; made by the standard library alone.
const WHEELS: &str = r#"
import hashlib, sys, zipfile
out, word = sys.argv[1:]
def wheel(name, files, more="", points=""):
    path, info = f"{out}/{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    files = dict(files)
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if points:
        files[f"{info}/entry_points.txt"] = points
    record = "".join(f"{f},," + "\n" for f in files) + f"{info}/RECORD,,\n"
    files[f"{info}/RECORD"] = record
    with zipfile.ZipFile(path, "w") as z:
        for f, text in files.items():
            z.writestr(zipfile.ZipInfo(f), text)
    digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
    page = f'<!DOCTYPE html><a href="/files/{name}-1.0-py3-none-any.whl#sha256={digest}">{name}-1.0-py3-none-any.whl</a>'
    open(f"{out}/{name}.html", "w").write(page)
server = '''
import json, sys
from helper import word
def main():
    for line in sys.stdin:
        m = json.loads(line)
        if "id" not in m: continue
        r = {"jsonrpc": "2.0", "id": m["id"]}
        if m["method"] == "initialize":
            version, info = m["params"]["protocolVersion"], {"name": "f", "version": "1"}
            r["result"] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        elif m["method"] == "tools/list":
            r["result"] = {"tools": [{"name": "word", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]}
        elif m["method"] == "tools/call":
            r["result"] = {"content": [{"type": "text", "text": word + " " + ",".join(sys.argv[1:])}]}
        else:
            r["error"] = {"code": -32601, "message": "no"}
        print(json.dumps(r), flush=True)
'''
wheel("helper", {"helper.py": f"word = {word!r}\n"})
wheel("files_server", {"files_server.py": server}, "Requires-Dist: helper>=1\n", "[console_scripts]\nfiles-server = files_server:main\n")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn std_08_a_package_of_python_runs_from_a_checked_copy_too() {
    let python = Path::new("/usr/bin/python3");
    if !Command::new(python).args(["-I", "-m", "pip", "--version"]).output().is_ok_and(|output| output.status.success()) {
        without("pip is not installed");
        return;
    }
    let (house, registry) = (House::empty(), Registry::start().expect("a registry"));
    let runner = house.file("bin/uvx", &format!("#!/bin/sh\ntouch {}\n", house.path("runner-ran").display()));
    fs::set_permissions(&runner, fs::Permissions::from_mode(0o700)).expect("modes");
    let script = house.file("wheels/make.py", WHEELS);
    let publish = |word: &str| {
        let made = Command::new(python).arg(&script).arg(house.path("wheels")).arg(word).status().expect("python");
        assert!(made.success());
        for (name, project) in [("helper", "helper"), ("files_server", "files-server")] {
            let read = |file: String| fs::read(house.path("wheels").join(file)).expect("a file");
            registry.put(&format!("/simple/{project}/"), read(format!("{name}.html")));
            registry.put(&format!("/files/{name}-1.0-py3-none-any.whl"), read(format!("{name}-1.0-py3-none-any.whl")));
        }
    };
    let configure = |arguments: &Value| {
        let text = format!("[listen]\naddress = \"127.0.0.1:0\"\n{PINNED}\n[server.fixture]\ncommand = {arguments}\ntimeout = \"8s\"\n");
        house.file("doorward.toml", &text);
    };
    let install = || house.run(&["server", "install", "fixture", "--registry", &format!("{}simple/", registry.url())]);
    publish("right");
    configure(&json!([runner.display().to_string(), "files-server", "--root", "/data"]));
    let said = install();
    assert!(said.exit == 2 && said.err.contains("files-server==1.2.3"), "{said}");
    configure(&json!([runner.display().to_string(), "files-server==1.0", "--root", "/data"]));
    let said = install();
    assert!(said.exit == 0 && said.out.contains("sha256:"), "{said}");
    registry.be(Place::Away);
    assert!(!registry.asked().is_empty());
    let said = house.run(&["server", "approve", "fixture", "--command", "--all"]);
    assert_eq!(said.exit, 0, "{said}");
    let gateway = house.listen();
    let client = Client::new(&gateway.url, &house.run(&["apikey", "create", "--grant", "read"]).out);
    assert_eq!(word(&client), json!("right --root,/data"));
    assert_eq!(registry.asked(), Vec::<String>::new(), "offline from the copy");
    // Changed: refused. Installed again from a registry that lies: refused by its hash, and without the lock by the whole.
    let text = fs::read_to_string(house.path("doorward.toml")).expect("a file");
    let hex = text.split("sha256:").nth(1).expect("an integrity").split('"').next().expect("digits").to_owned();
    let tree = house.path("state/packages").join(&hex);
    let helper = tree.join("site/helper.py");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o600)).expect("modes");
    fs::write(&helper, "word = \"wrong\"\n").expect("written");
    let reason = || client.initialize().json().pointer("/error/data/reason").cloned();
    assert!(within(Duration::from_secs(5), || reason() == Some(json!("package_changed"))), "{:?}", reason());
    gateway.stop();
    registry.be(Place::Here);
    publish("wrong");
    let said = install();
    assert!(said.exit == 4 && said.err.contains("hash"), "{said}");
    fs::remove_file(tree.with_extension("lock")).expect("a lock");
    assert_eq!(install().exit, 6);
    publish("right");
    let said = install();
    assert_eq!(said.exit, 0, "{said}");
    let gateway = house.listen();
    let client = Client::new(&gateway.url, &house.run(&["apikey", "create", "--grant", "read"]).out);
    assert_eq!(word(&client), json!("right --root,/data"));
    gateway.stop();
    assert!(!house.path("runner-ran").exists(), "the runner ran");
}

/// A repository whose `.npmrc` names a program for git, and which needs another repository: npm prepares it with an npm that obeys
/// that file, scripts or not.
fn repository(stage: &Stage) -> Option<String> {
    let git = |folder: &Path, arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@t.example"]).args(arguments).current_dir(folder);
        command.env("HOME", stage.house.path("home")).output().is_ok_and(|output| output.status.success())
    };
    let (own, other) = (stage.house.path("repository"), stage.house.path("other"));
    let touch = format!("touch {}", stage.house.path("script-ran").display());
    let needs = format!("git+file://{}", other.display());
    let described = json!({ "name": "evil", "version": "1.0.0", "scripts": { "prepare": touch }, "devDependencies": { "other": needs } });
    stage.house.file("other/package.json", &json!({ "name": "other", "version": "1.0.0" }).to_string());
    stage.house.file("repository/package.json", &described.to_string());
    stage.house.file("repository/.npmrc", "git=./evil.sh\nignore-scripts=false\nallow-git=all\n");
    let program = stage.house.file("repository/evil.sh", &format!("#!/bin/sh\n{touch}\nexec git \"$@\"\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("modes");
    let made = [&own, &other]
        .iter()
        .all(|folder| git(folder, &["init", "-q"]) && git(folder, &["add", "-A"]) && git(folder, &["commit", "-qm", "x"]));
    made.then(|| format!("git+file://{}", own.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn std_08_a_dependency_from_a_repository_or_an_address_runs_nothing_while_it_is_installed() {
    let Some(stage) = Stage::open() else { return };
    let Some(repository) = repository(&stage) else {
        without("git is not installed");
        return;
    };
    stage.publish("helper", &json!({}), "index.js", "exports.word = \"right\";\n");
    stage.configure(PINNED, &["-y", "files-server@1.0.0"], "");
    let address = format!("{}helper/-/helper-1.0.0.tgz", stage.registry.url());
    for (needs, installs) in [(repository.as_str(), false), (address.as_str(), true)] {
        stage.publish("files-server", &json!({ "bin": "server.js", "dependencies": { "helper": needs } }), "server.js", SERVER);
        let said = stage.install();
        stage.nothing_ran();
        // What has an address has bytes, which have a hash; a repository has none.
        assert_eq!(said.exit == 0, installs, "{needs}: {said}");
        assert_eq!(stage.configuration().contains("sha256:"), installs, "{needs}");
    }
}

/// Sources that bring what builds them: to ask them what they need runs it. One a file at an address, one a repository.
const SOURCES: &str = r#"
import hashlib, io, os, sys, tarfile, zipfile
out, mark, url = sys.argv[1:]
evil = f"open({mark!r}, 'w').close()\nraise SystemExit('it ran')\n"
files = {
    "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'evil'\nbackend-path = ['.']\n[project]\nname = 'evil'\nversion = '1.0'\n",
    "evil.py": evil,
    "setup.py": evil,
    "PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
}
os.makedirs(f"{out}/repository", exist_ok=True)
with tarfile.open(f"{out}/evil-1.0.tar.gz", "w:gz") as t:
    for name, text in files.items():
        entry = tarfile.TarInfo(f"evil-1.0/{name}")
        entry.size = len(text)
        t.addfile(entry, io.BytesIO(text.encode()))
        open(f"{out}/repository/{name}", "w").write(text)
digest = hashlib.sha256(open(f"{out}/evil-1.0.tar.gz", "rb").read()).hexdigest()
for name, needs in [("address", f"evil @ {url}files/evil-1.0.tar.gz"), ("hashed", f"evil @ {url}files/evil-1.0.tar.gz#sha256={digest}"),
                    ("named", "evil"), ("git", f"evil @ git+file://localhost{out}/repository")]:
    path, info = f"{out}/{name}.whl", "files_server-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("files_server.py", "def main(): pass\n")
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: files_server\nVersion: 1.0\nRequires-Dist: {needs}\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/entry_points.txt", "[console_scripts]\nfiles-server = files_server:main\n")
        z.writestr(f"{info}/RECORD", f"files_server.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/entry_points.txt,,\n{info}/RECORD,,\n")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn std_08_only_wheels_are_installed_whatever_a_package_needs() {
    let python = Path::new("/usr/bin/python3");
    if !Command::new(python).args(["-I", "-m", "pip", "--version"]).output().is_ok_and(|output| output.status.success()) {
        without("pip is not installed");
        return;
    }
    let (house, registry) = (House::empty(), Registry::start().expect("a registry"));
    let (mark, out) = (house.path("source-ran"), house.path("sources"));
    let runner = house.file("bin/uvx", &format!("#!/bin/sh\ntouch {}\n", mark.display()));
    fs::set_permissions(&runner, fs::Permissions::from_mode(0o700)).expect("modes");
    let script = house.file("sources/make.py", SOURCES);
    let made = Command::new(python).arg(script).arg(&out).arg(&mark).arg(registry.url()).status().expect("python");
    assert!(made.success());
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@t.example"]).args(arguments).current_dir(out.join("repository"));
        command.env("HOME", house.path("home")).output().is_ok_and(|output| output.status.success())
    };
    let has_git = git(&["init", "-q"]) && git(&["add", "-A"]) && git(&["commit", "-qm", "x"]);
    let read = |file: &str| fs::read(out.join(file)).expect("a file");
    registry.put("/files/evil-1.0.tar.gz", read("evil-1.0.tar.gz"));
    registry.put("/simple/evil/", b"<!DOCTYPE html><a href=\"/files/evil-1.0.tar.gz\">evil-1.0.tar.gz</a>".to_vec());
    let wheel = "files_server-1.0-py3-none-any.whl";
    registry.put("/simple/files-server/", format!("<!DOCTYPE html><a href=\"/files/{wheel}\">{wheel}</a>").into_bytes());
    let command = json!([runner.display().to_string(), "files-server==1.0"]);
    house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n{PINNED}\n[server.fixture]\ncommand = {command}\n"));
    for needs in ["address", "hashed", "named", "git"] {
        if needs == "git" && !has_git {
            without("git is not installed");
            continue;
        }
        registry.put(&format!("/files/{wheel}"), read(&format!("{needs}.whl")));
        let said = house.run(&["server", "install", "fixture", "--registry", &format!("{}simple/", registry.url())]);
        assert!(!mark.exists(), "{needs}: something of the package ran: {said}");
        assert_eq!(said.exit, 4, "{needs}: {said}");
        let left: Vec<_> = fs::read_dir(house.path("state/packages")).map(|all| all.flatten().collect()).unwrap_or_default();
        assert!(left.is_empty(), "{needs}: {left:?}");
    }
}
