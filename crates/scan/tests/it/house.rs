//! What the auditor promises about itself, read off its sources and its manifest: it starts nothing, connects nowhere, and
//! shows no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn crate_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![crate_root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("text");
                let product = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                found.push((path.to_string_lossy().into_owned(), product));
            }
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

#[test]
fn scn_03_no_source_can_start_a_program_or_open_a_connection() {
    let doors = [
        "std::process",
        "process::Command",
        "Command::new",
        "std::net::Tcp",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "UnixListener",
        "ToSocketAddrs",
        "lookup_host",
        "libc::",
        "extern \"C\"",
        "unsafe ",
        "dlopen",
        "env::var",
        "fs::write",
        "File::create",
        "fs::remove",
        "fs::rename",
        "create_dir",
        "set_permissions",
        ".write(true)",
        ".append(true)",
    ];
    for (path, text) in sources() {
        for door in doors {
            assert!(!text.contains(door), "{path}: {door}: the auditor reads files and does nothing else");
        }
        // Of std::net only the type of an address.
        for line in text.lines().filter(|line| line.contains("std::net")) {
            assert_eq!(line.trim(), "use std::net::IpAddr;", "{path}");
        }
    }
}

#[test]
fn scn_03_no_dependency_can_open_a_connection() {
    let lock: toml::Table = fs::read_to_string(crate_root().join("../../Cargo.lock")).expect("lock").parse().expect("TOML");
    let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name").to_owned();
        let below = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        edges.entry(name).or_default().extend(below.filter_map(|one| one.as_str()?.split(' ').next().map(str::to_owned)));
    }
    // Of our own crates the lock mixes in what their tests use, so those two are read from their manifests.
    let direct = |manifest: &str| -> Vec<String> {
        let table: toml::Table = fs::read_to_string(crate_root().join(manifest)).expect("manifest").parse().expect("TOML");
        assert!(table.get("build-dependencies").is_none(), "{manifest}: nothing is run when it is built");
        table["dependencies"].as_table().expect("dependencies").keys().cloned().collect()
    };
    edges.insert("doorward-core".to_owned(), direct("../core/Cargo.toml"));
    let mut open = direct("Cargo.toml");
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if seen.insert(name.clone()) {
            open.extend(edges.get(&name).unwrap_or_else(|| panic!("{name} is not in the lock")).iter().cloned());
        }
    }
    for forbidden in [
        // Who asks servers knows the auditor of files, never the other way round (ADR 8).
        "doorward-probe",
        "tokio",
        "mio",
        "socket2",
        "hyper",
        "reqwest",
        "ureq",
        "curl",
        "rustls",
        "native-tls",
        "async-std",
        "smol",
        "quinn",
        "process-wrap",
        "git2",
        "gix",
    ] {
        assert!(!seen.contains(forbidden), "{forbidden} is below doorward-scan");
    }
    // Crates of system calls come in below these (miette asks how wide the terminal is), but a source can only name what its
    // own manifest names, and that is this.
    let own = direct("Cargo.toml");
    assert_eq!(own, ["base64", "doorward-core", "saphyr-parser", "serde_json", "thiserror", "toml", "zeroize"]);
    assert!(seen.contains("saphyr-parser") && seen.len() > 20, "the walk saw the dependencies");
}

#[test]
fn scn_03_what_servers_showed_comes_in_through_one_file() {
    for (path, text) in sources() {
        let seam = path.ends_with("/src/report/live.rs") || path.ends_with("/src/rules/mod.rs");
        assert!(seam || !text.contains("crates/probe"), "{path}: only the seam of the reports speaks of who asks");
        assert!(!text.contains("async ") && !text.contains("doorward_probe"), "{path}: nothing here waits for anybody");
    }
}

#[test]
fn only_rules_and_readers_look_into_raw_text() {
    for (path, text) in sources() {
        let name = path.rsplit_once("/src/").map_or("", |(_, name)| name);
        // One place in the reports: the sieve, which takes secrets out.
        let sieve = if name == "report/mod.rs" { 2 } else { 0 };
        if name.starts_with("report/") || matches!(name, "finding.rs" | "manual.rs" | "inert.rs" | "lib.rs") {
            assert_eq!(text.matches(".peek()").count(), sieve, "{name}: reports hold no text of files");
        }
    }
}

#[test]
fn every_rule_has_its_file_its_fixture_and_its_reason() {
    let registered = fs::read_to_string(crate_root().join("src/rules/mod.rs")).expect("rules");
    for rule in doorward_scan::RULES {
        let own: Vec<String> = sources()
            .into_iter()
            .filter(|(path, text)| path.contains("/rules/") && text.contains(&format!("id: \"{}\"", rule.id)))
            .map(|(path, _)| path)
            .collect();
        assert_eq!(own.len(), 1, "{} stands in one file", rule.id);
        let text = fs::read_to_string(&own[0]).expect("text");
        assert!(text.starts_with(&format!("//! {}: ", rule.id)), "{}: say in the head of the file what it finds", own[0]);
        assert!(rule.why.ends_with('.') && !rule.fix.ends_with('.') && rule.title.len() < 50, "{}: form of its texts", rule.id);
        assert!(crate_root().join(format!("tests/rules/{}.toml", rule.id.to_ascii_lowercase())).exists());
    }
    assert_eq!(registered.matches("::RULE,").count(), doorward_scan::RULES.len());
}
