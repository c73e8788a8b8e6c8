//! `doorward demo` as a person would run it: whole, in parts, interrupted.
#![expect(clippy::expect_used, reason = "a test that cannot set its stage has failed")]

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A directory for the temporary files of one run.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("doorward-test-demo-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("directory");
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(arguments).env_clear().env("TMPDIR", &self.0).env("HOME", "/nonexistent").stdin(Stdio::null());
        command
    }

    fn left_over(&self) -> Vec<PathBuf> {
        listing(&self.0)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn listing(path: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(path).expect("listing").map(|entry| entry.expect("entry").path()).collect()
}

fn documents(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).expect("one JSON document a line")).collect()
}

#[test]
fn the_whole_demo_refuses_every_attack_and_leaves_nothing() {
    let room = Room::new("whole");
    let begun = Instant::now();
    let ran = room.command(&["demo", "--json"]).output().expect("ran");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(begun.elapsed() < Duration::from_secs(10), "D8: {:?}", begun.elapsed());
    let documents = documents(&ran.stdout);
    assert!(documents.iter().all(|document| document["v"] == 1));
    let attacks: Vec<&Value> = documents.iter().filter(|document| document.get("attack").is_some()).collect();
    let names: Vec<String> =
        attacks.iter().map(|attack| format!("{}-{}", attack["part"].as_str().unwrap(), attack["attack"].as_str().unwrap())).collect();
    let all = ["deputy", "passthrough", "session"].iter().flat_map(|part| ["a", "b", "c"].map(|letter| format!("{part}-{letter}")));
    assert_eq!(names, all.collect::<Vec<_>>());
    for attack in &attacks {
        assert_eq!(attack["refused"], true, "{attack}");
        assert!(!attack["records"].as_array().unwrap().is_empty(), "{attack}");
    }
    let end = documents.last().expect("an end");
    assert_eq!((&end["part"], &end["ok"], &end["refused"], &end["chain_whole"]), (&"end".into(), &true.into(), &9.into(), &true.into()));
    assert!(documents.iter().any(|document| document["part"] == "audit" && document["noticed"] == true));
    assert!(room.left_over().is_empty(), "{:?}", room.left_over());
}

#[test]
fn ses_02_a_stolen_session_is_worth_nothing_and_the_record_names_both_people() {
    let room = Room::new("session");
    let ran = room.command(&["demo", "--json", "--only", "session"]).output().expect("ran");
    assert_eq!(ran.status.code(), Some(0));
    let documents = documents(&ran.stdout);
    let stolen = documents.iter().find(|document| document["attack"] == "a").expect("attack a");
    let records = stolen["records"].as_array().expect("records");
    assert_eq!(records.len(), 3, "POST, GET, DELETE");
    for record in records {
        assert_eq!(record["user"]["sub"], "mallory");
        assert!(record["cause"].as_str().unwrap().contains("local/alice"), "{record}");
        assert_eq!(record["kind"], "refused");
    }
}

#[test]
fn the_shape_of_the_json_is_stable() {
    let room = Room::new("shape");
    let ran = room.command(&["demo", "--json"]).output().expect("ran");
    let shape: Vec<String> = documents(&ran.stdout).iter().map(|document| shape(document, 0)).collect();
    insta::assert_snapshot!(shape.join("\n"));
}

/// Keys with the kinds of their values; what varies from run to run is left out.
fn shape(value: &Value, depth: usize) -> String {
    match value {
        Value::Object(members) if depth < 1 => {
            let fixed = ["part", "step", "attack"];
            let members: Vec<String> =
                members
                    .iter()
                    .map(|(key, value)| {
                        if fixed.contains(&key.as_str()) { format!("{key}={value}") } else { format!("{key}:{}", shape(value, depth + 1)) }
                    })
                    .collect();
            members.join(" ")
        }
        Value::Object(_) => "object".to_owned(),
        Value::Array(_) => "list".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::Bool(_) => "flag".to_owned(),
        Value::Null => "null".to_owned(),
    }
}

#[test]
fn for_people_it_fits_80_columns_and_has_no_colour_without_a_terminal() {
    let room = Room::new("people");
    let ran = room.command(&["demo"]).output().expect("ran");
    assert_eq!(ran.status.code(), Some(0));
    let text = String::from_utf8(ran.stdout).expect("text");
    assert!(!text.contains('\u{1b}'));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    assert!(text.contains("Confused deputy"), "{text}");
    assert!(text.contains("9 attacks, 9 refused."), "{text}");
}

#[test]
fn interrupted_it_removes_everything_too() {
    let room = Room::new("interrupted");
    let mut child = room.command(&["demo", "--json", "--keep", "--port", "0"]).stdout(Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let kept = lines.map(|line| line.expect("line")).find(|line| line.contains("\"part\":\"kept\"")).expect("it stays");
    let kept: Value = serde_json::from_str(&kept).expect("json");
    let state = PathBuf::from(kept["state"].as_str().expect("state"));
    assert!(state.starts_with(&room.0) && state.exists());
    assert_eq!(mode(&state), 0o700);
    assert!(child.try_wait().expect("state").is_none(), "it stays until it is interrupted");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("pid")).expect("pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("interrupted");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert!(room.left_over().is_empty(), "{:?}", room.left_over());
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).expect("metadata").mode() & 0o777
}

#[test]
fn d1_it_obeys_no_configuration() {
    let room = Room::new("own");
    let ran = room.command(&["demo", "--json", "--state", "/nonexistent/state"]).output().expect("ran");
    assert_eq!(ran.status.code(), Some(2));
    let ran = room
        .command(&["demo", "--json", "--only", "audit"])
        .env("DOORWARD_LISTEN__ADDRESS", "0.0.0.0:1")
        .env("DOORWARD_NONSENSE", "x")
        .output()
        .expect("ran");
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stdout));
}
