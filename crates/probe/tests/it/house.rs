//! What the live auditor promises about itself, read off its sources: sockets in two files, nothing started, nothing written, and
//! for each rule a file, a page and a server with its flaw.

use doorward_probe::RULES;
use doorward_scan::{explain, ids};
use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("text");
                let product = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                found.push((path.to_string_lossy().into_owned(), product));
            }
        }
    }
    assert!(found.len() > 25, "the sources were not found");
    found
}

#[test]
fn scn_02_sockets_are_in_two_files_and_nothing_is_started_read_or_written() {
    for (path, text) in sources() {
        let name = path.rsplit_once("/src/").map_or("", |(_, name)| name);
        for door in ["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "lookup_host", "client::conn", "TlsConnector"] {
            let home = name == "door.rs" || (name == "upstream.rs" && door.starts_with("Tcp"));
            assert!(home || !text.contains(door), "{name}: {door}: every request goes through the door");
        }
        for never in
            ["std::process", "Command::new", "std::fs", "tokio::fs", "env::var", "unsafe ", "tokio::spawn", "SystemTime", "Instant::now"]
        {
            let clock = never == "Instant::now" && name == "door.rs";
            assert!(clock || !text.contains(never), "{name}: {never}");
        }
        assert!(!text.contains("\"tools/call\""), "{name}: no tool is called");
    }
}

#[test]
fn every_rule_has_its_file_its_page_and_its_flaw() {
    let flaws = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/flaws.rs")).expect("text");
    for live in RULES {
        let rule = &live.rule;
        let own: Vec<(String, String)> =
            sources().into_iter().filter(|(path, text)| path.contains("/rules/") && text.contains(&format!("\"{}\"", rule.id))).collect();
        assert_eq!(own.len(), 1, "{} stands in one file", rule.id);
        assert!(own[0].1.starts_with(&format!("//! {}: ", rule.id)), "{}: say in the head of the file what it finds", own[0].0);
        assert!(rule.why.ends_with('.') && !rule.fix.ends_with('.') && rule.title.len() < 50, "{}: form of its texts", rule.id);
        // What is wrong with TLS has servers of its own, in `tls.rs`.
        assert!(rule.id == "DW113" || flaws.contains(&format!("\"{}\"", rule.id)), "{}: no server has its flaw", rule.id);
        let page = explain(rule.id).unwrap_or_else(|| panic!("docs/scan.md: no section {}", rule.id));
        assert!(page.starts_with(&format!("## {}: {}", rule.id, rule.title)), "docs/scan.md: {}: the title is {:?}", rule.id, rule.title);
        for part in [format!("Severity: {}.", rule.severity.name()), "**Wrong**".to_owned(), "**Right**".to_owned()] {
            assert!(page.contains(&part), "docs/scan.md: {}: say {part}", rule.id);
        }
    }
    let pages: Vec<&str> = ids().filter(|id| !id.starts_with("DW0")).collect();
    assert_eq!(pages, RULES.map(|live| live.rule.id));
}
