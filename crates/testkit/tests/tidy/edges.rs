//! T1 and T2: which crate may use which, and which room of the gateway.
//!
//! Rooms are the modules under `crates/gateway/src`. A station takes what the one before it made and must not know its
//! neighbours; what two rooms share belongs to a room that both may know.

use crate::finding::Finding;
use crate::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Crate edges: who may use which of ours, as dependency and in tests.
const CRATES: [(&str, &[&str], &[&str]); 8] = [
    ("core", &[], &[]),
    ("store", &["core"], &["testkit"]),
    ("scan", &["core"], &["testkit"]),
    // ADR 6: scan reads files and must not know who asks servers.
    ("probe", &["core", "scan"], &["testkit"]),
    // ADR 11: text in, text out, and nothing else.
    ("edit", &[], &[]),
    ("gateway", &["core", "store"], &["testkit"]),
    ("cli", &["core", "store", "gateway", "scan", "probe", "edit"], &["testkit"]),
    ("testkit", &["core"], &[]),
];

/// What the core must not depend on, not even for tests: runtimes, sockets, databases, clocks of others, random sources.
const FORBIDDEN_IN_CORE: [&str; 20] = [
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "rustix",
    "hyper",
    "hyper-util",
    "reqwest",
    "axum",
    "tower",
    "rustls",
    "tokio-rustls",
    "sqlx",
    "rusqlite",
    "chrono",
    "time",
    "rand",
    "getrandom",
    "tracing",
];

/// Rooms that stand in the corridor: none imports another.
const STATIONS: [&str; 6] = ["identify", "session", "policy", "credential", "upstream", "answer"];

/// What each room may import of the gateway besides the `Gateway` itself. `lib` wires everything and is not listed.
const ROOMS: [(&str, &[&str]); 36] = [
    ("env", &[]),
    ("limits", &["listen"]),
    ("tasks", &[]),
    ("skew", &[]),
    // What replies take, from where they are read to where they are sent.
    ("replies", &[]),
    ("sources", &[]),
    ("egress", &["tasks"]),
    ("audit", &["env", "tasks"]),
    ("epoch", &["tasks"]),
    ("listen", &["env", "tasks"]),
    // What the command line did through the store.
    ("orders", &[]),
    // What a credential is worth beyond what it says of itself.
    ("standing", &[]),
    // Notes for people: of listen what counts as one address.
    ("trace", &["listen"]),
    ("errand", &["path"]),
    ("path", &["batch", "errand", "listen", "identify", "session", "policy", "credential", "upstream", "answer", "audit", "tasks"]),
    ("batch", &["listen", "path", "replies"]),
    ("identify", &["env", "epoch", "idp", "listen"]),
    ("session", &["env", "errand"]),
    ("policy", &["env", "catalogue", "errand", "path", "seen"]),
    ("seen", &["env"]),
    // Of egress the door to whoever gives credentials: tokens of Google, among them those of the metadata service.
    // Of audit the recorder: what brokers do beside calls. Of tasks that a renewal ends whoever waits for it.
    ("credential", &["audit", "env", "egress", "sources", "tasks"]),
    // Of limits only the seat: a stream has its place before anything is sent, and gives it back when it ends.
    ("upstream", &["env", "egress", "errand", "limits", "tasks", "live", "path", "replies"]),
    ("answer", &["env", "errand", "listen", "live", "path", "replies", "tasks"]),
    ("catalogue", &["env", "egress", "errand", "tasks", "path", "upstream"]),
    ("live", &["env", "tasks"]),
    ("screen", &["env"]),
    // The front office. Of egress the door to documents of clients, of limits the form of a rate.
    ("oauth", &["egress", "env", "idp", "limits", "listen", "signin", "ui", "when"]),
    // Identity providers: what they say, through the door out. Knows no browser.
    ("idp", &["egress", "tasks"]),
    ("signin", &["env", "idp", "listen", "ui"]),
    // Of audit the reader: what the record says of this person. Of credential how a connection is made: its pages are here.
    ("account", &["audit", "credential", "listen", "signin", "ui", "when"]),
    // Of audit the reader, of session how long one lives. Knows no OAuth.
    ("admin", &["audit", "listen", "session", "signin", "ui", "when"]),
    ("office", &["account", "admin", "listen", "oauth", "signin", "tasks", "ui"]),
    ("when", &[]),
    // Of proofs what the configuration asks of them. Knows no headers of answers but its own.
    ("proof", &[]),
    // Pages are filled by others and know nobody.
    ("ui", &[]),
    (
        "setup",
        &[
            "admin",
            "answer",
            "audit",
            "catalogue",
            "credential",
            "egress",
            "env",
            "epoch",
            "identify",
            "idp",
            "limits",
            "listen",
            "live",
            "oauth",
            "orders",
            "path",
            "policy",
            "proof",
            "screen",
            "replies",
            "seen",
            "session",
            "signin",
            "skew",
            "sources",
            "tasks",
            "trace",
            "upstream",
        ],
    ),
];

const GATEWAY: &str = "crates/gateway/src/";

/// T1.
pub(crate) fn crates(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.starts_with("crates/") && path.ends_with("/Cargo.toml")) {
        let name = path.trim_start_matches("crates/").trim_end_matches("/Cargo.toml");
        let Some((_, may, in_tests)) = CRATES.iter().find(|(known, ..)| *known == name) else {
            found.push(Finding::whole(path, "T1", "add the new crate to the table of crate edges, with an ADR"));
            continue;
        };
        let manifest: toml::Table = text.parse().unwrap_or_default();
        for (section, allowed) in [("dependencies", *may), ("dev-dependencies", *in_tests), ("build-dependencies", &[][..])] {
            let names = manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            for dependency in names {
                let ours = if dependency == "doorward" { Some("cli") } else { dependency.strip_prefix("doorward-") };
                let line = line_of(text, dependency);
                let in_cargo_order = ours.is_none_or(|ours| may.contains(&ours) || allowed.contains(&ours));
                if !in_cargo_order {
                    found.push(Finding::at(
                        path,
                        line,
                        "T1",
                        format!("{name} must not use {dependency}: see the crate edges in ARCHITECTURE.md"),
                    ));
                }
                if name == "core" && FORBIDDEN_IN_CORE.contains(&dependency.as_str()) {
                    found.push(Finding::at(
                        path,
                        line,
                        "T1",
                        format!("the core stays pure: no {dependency}; hand the fact in as an argument"),
                    ));
                }
            }
        }
        if manifest.get("target").is_some() && name == "core" {
            found.push(Finding::whole(path, "T1", "the core is the same on every target: no [target] section"));
        }
    }
    found
}

/// T2.
pub(crate) fn rooms(tree: &Tree) -> Vec<Finding> {
    let rooms = known(tree);
    let mut found: Vec<Finding> = rooms
        .iter()
        .filter(|room| !ROOMS.iter().any(|(known, _)| known == *room))
        .map(|room| Finding::whole(&format!("{GATEWAY}{room}"), "T2", "add the new room to the table of rooms in tests/tidy/edges.rs"))
        .collect();
    for (path, line, from, to) in uses(tree, &rooms) {
        let may = ROOMS.iter().find(|(room, _)| *room == from).map_or(&[][..], |(_, may)| may);
        if may.contains(&to.as_str()) {
            continue;
        }
        let advice = if STATIONS.contains(&from.as_str()) && STATIONS.contains(&to.as_str()) {
            format!("{from} must not import {to}: stations do not know one another; move what both need to a room that both may know")
        } else {
            format!("{from} must not import {to}: take it as an argument, or change the table in tests/tidy/edges.rs with a reason")
        };
        found.push(Finding::at(&path, line, "T2", advice));
    }
    found
}

/// The graph as it stands in `ARCHITECTURE.md`: a line per room that imports another.
pub(crate) fn graph(tree: &Tree) -> String {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, _, from, to) in uses(tree, &known(tree)) {
        edges.entry(from).or_default().insert(to);
    }
    let lines = edges.iter().map(|(from, to)| format!("{from:<10} -> {}\n", to.iter().cloned().collect::<Vec<_>>().join(" ")));
    format!("```\n{}```\n", lines.collect::<String>())
}

fn known(tree: &Tree) -> BTreeSet<String> {
    let inside = tree.rust.keys().filter_map(|path| path.strip_prefix(GATEWAY));
    inside
        .filter_map(|path| path.split('/').next())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|name| name != "lib")
        .collect()
}

/// Every mention of another room: file, line (from 0), from, to.
fn uses(tree: &Tree, rooms: &BTreeSet<String>) -> Vec<(String, usize, String, String)> {
    let mut found = Vec::new();
    for (path, source) in tree.product() {
        let Some(inside) = path.strip_prefix(GATEWAY).filter(|inside| *inside != "lib.rs") else { continue };
        let from = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        // In the file that opens a room `super` is the crate itself.
        let roots: &[&str] = if inside.contains('/') && !inside.ends_with("/mod.rs") || inside.matches('/').count() > 1 {
            &["crate::"]
        } else {
            &["crate::", "super::"]
        };
        let mut see = |line: usize, text: &str| {
            for root in roots {
                for (at, _) in text.match_indices(root) {
                    let bare =
                        text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_' && before != ':');
                    let to: String =
                        text[at + root.len()..].chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                    if bare && to != from && rooms.contains(&to) {
                        found.push((path.to_owned(), line, from.to_owned(), to));
                    }
                }
            }
        };
        for (line, import) in source.imports() {
            if !source.is_test(line) {
                see(line, &import);
            }
        }
        for (line, text) in source.shipped() {
            if !text.trim_start().starts_with("use ") && !text.trim_start().starts_with("pub use ") {
                see(line, text);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn line_of(text: &str, name: &str) -> usize {
    text.lines().position(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '.', '='])).unwrap_or_default()
}
