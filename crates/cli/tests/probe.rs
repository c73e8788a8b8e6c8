//! `doorward scan --probe` as a program: Doorward itself is clean, a flawed server is found out, nothing is asked without a yes,
//! and no credential is shown.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot set its stage has failed")]

#[expect(dead_code, reason = "not everything is needed here")]
#[path = "it/house.rs"]
mod house;

use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use doorward_testkit::flawed::{self, Flaw};
use house::{House, Said};
use serde_json::Value;
use std::process::{Command, Stdio};

fn report(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scn_01_doorward_itself_is_clean() {
    for era in [Era::Dual, Era::Legacy, Era::Modern] {
        let upstream = Running::start(era, 0).await.expect("a server");
        let house = House::new(&upstream.url());
        let gateway = house.serve();
        let [own, second] = ["own", "second"].map(|label| house.key(label, "read,write,destructive"));
        let (own_text, url) = (std::fs::read_to_string(&own).expect("a key"), format!("{}/k/fixture/mcp", gateway.url));
        let (own, second) = (format!("file:{}", own.display()), format!("file:{}", second.display()));
        let arguments = ["scan", "--json", "--probe", &url, "--yes-probe", "--probe-token", &own, "--probe-second-token", &second];
        let said = house.run(&[&arguments[..], &["--probe-samples", "20", "--fail-on", "low"]].concat());
        assert_eq!(said.exit, 0, "{era:?}: {said}");
        let report = report(&said);
        assert_eq!(report["findings"].as_array().map(Vec::len), Some(0), "{era:?}: {report:#}");
        assert_eq!(report["summary"]["grade"], "A");
        // What was not tried is only what nothing was given for, and what does not apply.
        let notes: Vec<String> = report["problems"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|note| format!("{} {}", note["id"].as_str().unwrap_or_default(), note["message"].as_str().unwrap_or_default()))
            .collect();
        assert!(notes.iter().all(|note| note.starts_with("not-tried ")), "{era:?}: {notes:#?}");
        let applies: &[&str] = match era {
            Era::Dual => &["DW106", "DW107", "DW108", "DW115", "DW116", "DW117"],
            Era::Legacy => &["DW106", "DW107", "DW108", "DW115", "DW116"],
            Era::Modern => &["DW108", "DW116", "DW117"],
        };
        for tried in applies {
            assert!(!notes.iter().any(|note| note.contains(tried)), "{era:?}: {notes:#?}");
        }
        assert!(!said.out.contains(own_text.trim()) && !said.err.contains(own_text.trim()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scn_01_a_flawed_server_is_found_out_by_the_program() {
    let server = flawed::serve(Some(Flaw::NoCredential), None).await.expect("a server");
    let house = House::empty();
    let url = server.url();
    let said = house.run(&["scan", "--probe", &url, "--yes-probe", "--probe-samples", "16", "--fail-on", "high"]);
    assert_eq!(said.exit, 1, "{said}");
    assert!(said.out.contains(" HIGH  DW101  Answers without a credential"), "{said}");
    assert!(said.out.contains("Nothing was started, no tool was called."), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_without_a_yes() {
    let server = flawed::serve(None, None).await.expect("a server");
    let house = House::empty();
    let url = server.url();
    let said = house.run(&["scan", "--probe", &url]);
    assert_eq!(said.exit, 2, "{said}");
    assert!(said.err.contains("--yes-probe"), "{said}");
    assert_eq!(server.traces().requests, 0);
}

#[test]
fn no_secret_is_taken_from_or_repeated_to_a_command_line() {
    let house = House::empty();
    let secret = "hunter2-and-more";
    for arguments in [
        vec!["scan", "--probe", "http://127.0.0.1:1/mcp", "--yes-probe", "--probe-token", secret],
        vec!["scan", "--probe", "https://user:hunter2-and-more@mcp.test/mcp", "--yes-probe"],
        vec!["scan", "--probe", "ftp://mcp.test/mcp?key=hunter2-and-more", "--yes-probe"],
        vec!["scan", "--probe", "http://127.0.0.1:1/mcp?key=hunter2-and-more", "--yes-probe", "--json"],
    ] {
        let said = house.run(&arguments);
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{said}");
    }
}

#[test]
fn a_server_that_is_not_there_lets_no_gate_pass() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.args(["scan", "--probe", "http://127.0.0.1:1/mcp", "--yes-probe", "--fail-on", "high"]);
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("cannot be reached"));
}
