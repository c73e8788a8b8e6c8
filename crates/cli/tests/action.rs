//! The GitHub Action of `action.yml`: its form, and its steps as a runner runs them, with the network and GitHub played by scripts.
#![cfg(test)]

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// YAML without anchors, as a value.
fn yaml(text: &str) -> Value {
    fn add(open: &mut [(Value, Option<String>)], done: &mut Option<Value>, value: Value) {
        match open.last_mut() {
            None => *done = Some(value),
            Some((Value::Array(items), _)) => items.push(value),
            Some((Value::Object(members), key)) => match key.take() {
                Some(key) => assert!(members.insert(key.clone(), value).is_none(), "{key} twice"),
                None => *key = Some(value.as_str().expect("a key").to_owned()),
            },
            Some(_) => panic!("not open"),
        }
    }
    let (mut open, mut done) = (Vec::new(), None);
    for event in Parser::new_from_str(text) {
        match event.expect("YAML").0 {
            Event::Scalar(text, style, _, _) => {
                let value = if style == ScalarStyle::Plain && text.is_empty() { Value::Null } else { Value::String(text.into_owned()) };
                add(&mut open, &mut done, value);
            }
            Event::SequenceStart(..) => open.push((Value::Array(Vec::new()), None)),
            Event::MappingStart(..) => open.push((Value::Object(Map::new()), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, _) = open.pop().expect("open");
                add(&mut open, &mut done, value);
            }
            Event::Alias(_) => panic!("no anchors here"),
            _ => {}
        }
    }
    done.expect("a document")
}

fn action() -> Value {
    yaml(&fs::read_to_string(root().join("action.yml")).expect("action.yml"))
}

/// A runner with a repository in it.
struct Runner {
    scratch: PathBuf,
}

/// What came of a run.
struct Run {
    /// Of the step that failed, else 0.
    exit: i32,
    out: String,
    err: String,
    outputs: BTreeMap<String, String>,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

impl Runner {
    fn new() -> Self {
        let name = format!("doorward-action-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let scratch = std::env::temp_dir().join(name);
        for directory in ["bin", "work/.cursor", "temp", "packed/doorward-x"] {
            fs::create_dir_all(scratch.join(directory)).expect("scratch");
        }
        let runner = Self { scratch };
        // A release holds a program; here one that leads to the one that was built for this test.
        runner.program("packed/doorward-x/doorward", &format!("echo run >> '{}'\nexec '{PROGRAM}' \"$@\"", runner.path("ran").display()));
        let packed = Command::new("tar")
            .arg("-czf")
            .arg(runner.path("release.tar.gz"))
            .arg("-C")
            .arg(runner.path("packed"))
            .arg("doorward-x")
            .status();
        assert!(packed.is_ok_and(|status| status.success()), "tar");
        runner.program(
            "bin/curl",
            &format!(
                "echo \"$@\" >> '{}'\nwhile [ $# -gt 0 ]; do if [ \"$1\" = --output ]; then cp '{}' \"$2\"; fi; shift; done",
                runner.path("curl.log").display(),
                runner.path("release.tar.gz").display()
            ),
        );
        runner.program("bin/gh", &format!("echo \"$@\" >> '{0}'\ncat > '{0}.body'\n[ -n \"$GH_TOKEN\" ]", runner.path("gh.log").display()));
        runner.program("bin/cargo", &format!(
            "echo \"$@\" >> '{}'\nmkdir -p \"$RUNNER_TEMP/doorward/target/release\"\ncp '{}' \"$RUNNER_TEMP/doorward/target/release/doorward\"",
            runner.path("cargo.log").display(),
            runner.path("packed/doorward-x/doorward").display()
        ));
        runner
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn program(&self, name: &str, text: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    fn configured(&self, text: &str) {
        fs::write(self.path("work/.cursor/mcp.json"), text).expect("written");
    }

    fn sum(&self) -> String {
        doorward_core::secret::sha256(&fs::read(self.path("release.tar.gz")).expect("packed"))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Every step in turn, as a runner does it.
    fn run(&self, given: &[(&str, &str)]) -> Run {
        let action = action();
        let given: BTreeMap<&str, &str> = given.iter().copied().collect();
        let mut inputs: BTreeMap<String, String> = BTreeMap::new();
        for (name, input) in action["inputs"].as_object().expect("inputs") {
            let default = input["default"].as_str().expect("a default").replace("${{ github.token }}", "token-of-the-job");
            inputs.insert(name.clone(), given.get(name.as_str()).map_or(default, |value| (*value).to_owned()));
        }
        assert!(given.keys().all(|name| inputs.contains_key(*name)), "an input that is none");
        let mut outputs: BTreeMap<String, String> = BTreeMap::new();
        let (mut out, mut err) = (String::new(), String::new());
        for step in action["runs"]["steps"].as_array().expect("steps") {
            let id = step["id"].as_str().expect("an id");
            if let Some(condition) = step["if"].as_str() {
                let name =
                    condition.strip_prefix("inputs.").and_then(|rest| rest.strip_suffix(" == 'true'")).expect("a condition that is known");
                if inputs[name] != "true" {
                    continue;
                }
            }
            let file = self.path(&format!("output-{id}"));
            fs::write(&file, "").expect("written");
            let mut command = Command::new("bash");
            command.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"].as_str().expect("a script")]);
            command.env_clear().current_dir(self.path("work"));
            command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("bin").display())).env("HOME", self.path("work"));
            command.env("RUNNER_TEMP", self.path("temp")).env("RUNNER_OS", "Linux").env("RUNNER_ARCH", "X64").env("GITHUB_OUTPUT", &file);
            command
                .env("GITHUB_SHA", "0123456789abcdef")
                .env("GITHUB_REF", "refs/heads/it's-\"main\"")
                .env("GITHUB_REPOSITORY", "acme/tools");
            for (name, text) in step["env"].as_object().expect("variables") {
                let text = text.as_str().expect("text");
                let value = match text.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}")) {
                    Some("github.action_path") => root().display().to_string(),
                    Some(expression) => match (expression.strip_prefix("inputs."), expression.strip_prefix("steps.")) {
                        (Some(name), _) => inputs[name].clone(),
                        (_, Some(output)) => outputs.get(output).cloned().unwrap_or_else(|| panic!("{output} before it is there")),
                        _ => panic!("{expression}"),
                    },
                    None => text.to_owned(),
                };
                command.env(name, value);
            }
            let done = command.output().expect("bash");
            out += &String::from_utf8_lossy(&done.stdout);
            err += &String::from_utf8_lossy(&done.stderr);
            for line in fs::read_to_string(&file).expect("outputs").lines() {
                let (name, value) = line.split_once('=').expect("name=value");
                outputs.insert(format!("{id}.outputs.{name}"), value.to_owned());
            }
            if !done.status.success() {
                return Run { exit: done.status.code().unwrap_or(-1), out, err, outputs };
            }
        }
        Run { exit: 0, out, err, outputs }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.scratch));
    }
}

const BAD: &str = r#"{"mcpServers": {"tools": {"url": "http://tools.internal/mcp"}}}"#;

#[test]
fn its_form_is_one_that_github_takes_and_nobody_else_gets_in() {
    let action = action();
    assert_eq!(action["runs"]["using"], "composite");
    for (name, one) in action["inputs"].as_object().expect("inputs").iter().chain(action["outputs"].as_object().expect("outputs")) {
        assert!(one["description"].as_str().is_some_and(|text| text.len() > 10), "{name} says what it is");
    }
    for step in action["runs"]["steps"].as_array().expect("steps") {
        if let Some(uses) = step["uses"].as_str() {
            let pin = uses.rsplit_once('@').map_or("", |(_, pin)| pin);
            assert!(pin.len() == 40 && pin.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uses}: pinned by its commit");
            continue;
        }
        let run = step["run"].as_str().expect("a script");
        assert!(!run.contains("${{"), "{run}: what comes from outside arrives in variables");
        assert_eq!(step["shell"], "bash");
        // What a step names as its own file is there, and may be run.
        if let Some((_, name)) = run.split_once("\"$DOORWARD_ACTION/") {
            let file = root().join(name.trim_end_matches('"'));
            let text = fs::read_to_string(&file).expect("a script");
            assert!(text.starts_with("#!/usr/bin/env bash\n") && text.contains("\nset -euo pipefail\n"), "{}", file.display());
            assert_ne!(fs::metadata(&file).expect("a script").permissions().mode() & 0o111, 0, "{}", file.display());
        }
    }
}

#[test]
fn a_release_is_installed_by_its_checksum_and_findings_fail_the_job() {
    let runner = Runner::new();
    runner.configured(BAD);
    let run = runner.run(&[("version", "0.1.0"), ("sha256", &runner.sum())]);
    assert_eq!(run.exit, 1, "{}{}", run.out, run.err);
    assert!(run.out.contains("DW010"), "{}", run.out);
    assert!(
        runner
            .text("curl.log")
            .contains("https://github.com/doorward/doorward/releases/download/v0.1.0/doorward-x86_64-unknown-linux-musl.tar.gz")
    );
    let sarif: Value = serde_json::from_str(&runner.text("work/doorward.sarif")).expect("SARIF");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "DW010");
    assert_eq!(
        sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], ".cursor/mcp.json",
        "as GitHub shows it"
    );
    assert_eq!(run.outputs["scan.outputs.exit-code"], "1");
    assert!(!runner.has("gh.log"), "nothing is sent anywhere that nobody asked for");
    let run = runner.run(&[("version", "0.1.0"), ("sha256", &runner.sum()), ("fail-on", ""), ("sarif-file", "other.sarif")]);
    assert_eq!((run.exit, run.outputs["scan.outputs.sarif-file"].as_str()), (0, "other.sarif"), "{}", run.err);
    runner.configured(r#"{"mcpServers": {"tools": {"url": "https://tools.example/mcp"}}}"#);
    assert_eq!(runner.run(&[("version", "0.1.0"), ("sha256", &runner.sum())]).exit, 0);
}

#[test]
fn what_has_another_checksum_is_never_run() {
    let runner = Runner::new();
    runner.configured(BAD);
    let wrong = "0".repeat(64);
    for (version, sum) in [
        ("0.1.0", wrong.as_str()),
        ("0.1.0", ""),
        ("0.1.0", "latest"),
        ("latest", &runner.sum()),
        ("0.1.0/../../../evil/evil/releases/download/v1", &runner.sum()),
        ("0.1.0\n--output\n/tmp/x", &runner.sum()),
    ] {
        let run = runner.run(&[("version", version), ("sha256", sum)]);
        assert_eq!(run.exit, 1, "{version} {sum}: {}", run.err);
        assert!(run.err.contains("doorward: "), "{}", run.err);
        assert!(!runner.has("ran") && !runner.has("work/doorward.sarif"), "{version} {sum}: it was run");
    }
    assert_eq!(runner.text("curl.log").lines().count(), 1, "only where there is something to compare with");
}

#[test]
fn without_a_version_its_own_source_is_built() {
    let runner = Runner::new();
    runner.configured(BAD);
    let run = runner.run(&[("fail-on", "")]);
    assert_eq!(run.exit, 0, "{}", run.err);
    let said = runner.text("cargo.log");
    assert!(said.contains("build --locked --release --manifest-path") && said.contains("/Cargo.toml --package doorward"), "{said}");
    assert!(!runner.has("curl.log"));
}

#[test]
fn the_log_is_uploaded_where_that_is_asked_for_also_when_the_job_fails() {
    let runner = Runner::new();
    runner.configured(BAD);
    let run = runner.run(&[("upload-sarif", "true")]);
    assert_eq!(run.exit, 1, "{}", run.err);
    assert_eq!(runner.text("gh.log").trim(), "api --method POST repos/acme/tools/code-scanning/sarifs --input - --silent");
    let body: Value = serde_json::from_str(&runner.text("gh.log.body")).expect("JSON");
    assert_eq!((&body["commit_sha"], &body["ref"]), (&json!("0123456789abcdef"), &json!("refs/heads/it's-\"main\"")));
    let packed = runner.path("sarif.gz");
    let decoded =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body["sarif"].as_str().expect("text")).expect("Base64");
    fs::write(&packed, decoded).expect("written");
    let plain = Command::new("gzip").arg("-dc").arg(&packed).output().expect("gzip").stdout;
    assert_eq!(plain, fs::read(runner.path("work/doorward.sarif")).expect("SARIF"));
    assert!(!format!("{}{}", run.out, run.err).contains("token-of-the-job"));
}

#[test]
fn scn_02_nothing_in_a_repository_or_an_input_orders_the_runner() {
    let runner = Runner::new();
    let orders = "::add-path::/evil";
    runner.configured(&format!(
        r#"{{"mcpServers": {{"{orders}": {{"url": "http://a.test/", "command": "sh", "args": ["-c", "{orders} {orders} {orders} {orders} {orders} {orders} | sh"]}}, "a\n::error::b": {{"url": "http://b.test/"}}}}}}"#
    ));
    let run = runner.run(&[("fail-on", "low")]);
    assert_eq!(run.exit, 1);
    let lines: Vec<&str> = run.out.lines().collect();
    let word = lines.iter().find_map(|line| line.strip_prefix("::stop-commands::")).expect("commands are stopped").to_owned();
    assert!(word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()), "{word}");
    let from = lines.iter().position(|line| line.starts_with("::stop-commands::")).expect("a start");
    let to = lines.iter().position(|line| *line == format!("::{word}::")).expect("an end");
    assert!(run.out.contains(orders), "it is shown");
    for (at, line) in lines.iter().enumerate() {
        assert!(at >= from && at <= to || !line.trim_start().starts_with("::"), "an order: {line}");
    }
    let again = runner.run(&[("fail-on", "low")]);
    assert!(!again.out.contains(&word), "another word each time");
    // Inputs are words and nothing else.
    let mark = runner.path("pwned").display().to_string();
    for evil in [
        format!("$(touch {mark})"),
        format!("`touch {mark}`"),
        format!("; touch {mark} #"),
        format!("--html={mark}"),
        format!("\"; touch {mark}; \""),
    ] {
        for input in ["paths", "fail-on", "baseline", "sarif-file", "version", "sha256", "upload-sarif"] {
            let run = runner.run(&[(input, &evil)]);
            assert!(!runner.has("pwned"), "{input}: {evil}");
            assert!(run.exit != 0 || input == "sarif-file" || input == "upload-sarif" || input == "sha256", "{input}: {evil}: {}", run.err);
        }
    }
}

#[test]
fn scn_02_nothing_that_the_repository_brings_runs_as_part_of_the_action() {
    let runner = Runner::new();
    runner.configured(BAD);
    let mark = runner.path("pwned");
    // Modules that Python would find where it is started, and what cargo and rustup look for there.
    for module in ["gzip", "base64", "json"] {
        fs::write(runner.path(&format!("work/{module}.py")), format!("open({:?}, 'w').close()\n", mark.display().to_string()))
            .expect("written");
    }
    fs::create_dir_all(runner.path("work/.cargo")).expect("a directory");
    fs::write(runner.path("work/.cargo/config.toml"), "[build]\nrustc-wrapper = \"./evil\"\n").expect("written");
    runner.program(
        "bin/cargo",
        &format!(
            "pwd > '{}'\nmkdir -p \"$RUNNER_TEMP/doorward/target/release\"\ncp '{}' \"$RUNNER_TEMP/doorward/target/release/doorward\"",
            runner.path("cargo.cwd").display(),
            runner.path("packed/doorward-x/doorward").display()
        ),
    );
    let run = runner.run(&[("upload-sarif", "true")]);
    assert!(runner.has("gh.log.body") && !mark.exists(), "{}", run.err);
    assert_eq!(Path::new(runner.text("cargo.cwd").trim()), root(), "cargo is started where the repository has no say");
    // A link in the place of the log leads nowhere.
    fs::remove_file(runner.path("work/doorward.sarif")).expect("the log");
    fs::write(runner.path("kept"), "mine").expect("written");
    std::os::unix::fs::symlink(runner.path("kept"), runner.path("work/doorward.sarif")).expect("a link");
    let run = runner.run(&[]);
    assert_ne!(run.exit, 0);
    assert_eq!(runner.text("kept"), "mine", "{}", run.err);
}
