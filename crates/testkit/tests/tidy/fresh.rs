//! T6 (migrations), T8, T10 and T11: what is written down once and must not drift.

use crate::finding::Finding;
use crate::tree::Tree;
use serde::Deserialize;

/// The file of promises.
pub(crate) const PROMISES: &str = "crates/testkit/tests/tidy/promises.toml";

/// Numbers and lists that were promised.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promises {
    pub packages: Packages,
    pub routes: Routes,
    #[serde(default)]
    pub migration: Vec<Migration>,
    #[serde(default)]
    pub generated: Vec<Generated>,
}

/// Ceiling of `Cargo.lock`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packages {
    pub at_most: usize,
    pub reason: String,
}

/// Routes that answer without a credential.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routes {
    pub public: Vec<String>,
    pub table: String,
}

/// A migration. Once released it has a digest, for ever.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Migration {
    pub path: String,
    pub sha256: Option<String>,
}

/// A file that a program writes, and the test that compares it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generated {
    pub path: String,
    pub guard: String,
    pub mark: String,
}

/// More than this many public routes were never promised. Lower it when a route goes; raising it needs an ADR
/// (the front office: ADR 12; the end of sessions at a provider: ADR 29; administration: ADR 31).
const PUBLIC_ROUTES: usize = 42;

/// The promises of this text.
pub(crate) fn promises(text: &str) -> Promises {
    toml::from_str(text).unwrap_or_else(|fault| panic!("{PROMISES}: {fault}"))
}

/// T6: a released migration is never edited, and every migration is listed.
pub(crate) fn migrations(tree: &Tree, promises: &Promises) -> Vec<Finding> {
    let mut found = Vec::new();
    for migration in &promises.migration {
        let is = hex(&doorward_core::secret::sha256(tree.text(&migration.path).as_bytes()));
        if !tree.has(&migration.path) {
            found.push(Finding::whole(PROMISES, "T6", format!("{} is gone: a released migration stays", migration.path)));
        } else if migration.sha256.as_ref().is_some_and(|was| *was != is) {
            found.push(Finding::whole(&migration.path, "T6", format!("a released migration was edited (sha256 {is}): write a new one")));
        }
    }
    let here = tree.texts.keys().filter(|path| path.starts_with("crates/store/migrations/"));
    let unlisted = here.filter(|path| !promises.migration.iter().any(|migration| migration.path == **path));
    found.extend(
        unlisted.map(|path| Finding::whole(path, "T6", "list the new migration in tests/tidy/promises.toml; the release adds its sha256")),
    );
    found
}

/// T8.
pub(crate) fn packages(tree: &Tree, promises: &Promises) -> Vec<Finding> {
    let count = tree.text("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    let mut found = Vec::new();
    if count > promises.packages.at_most {
        let advice = format!(
            "{count} packages, promised: at most {}; drop one, or raise the number and say what it buys",
            promises.packages.at_most
        );
        found.push(Finding::whole("Cargo.lock", "T8", advice));
    }
    if promises.packages.reason.trim().len() < 20 {
        found.push(Finding::whole(PROMISES, "T8", "say what the packages buy"));
    }
    found
}

/// T10: a generated file exists and a test compares it. Those tests rewrite it under `DOORWARD_BLESS=1`.
pub(crate) fn generated(tree: &Tree, promises: &Promises) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &promises.generated {
        if !tree.has(&file.path) {
            found.push(Finding::whole(PROMISES, "T10", format!("{} does not exist", file.path)));
        }
        if !tree.text(&file.guard).contains(&file.mark) {
            found.push(Finding::whole(
                PROMISES,
                "T10",
                format!("{} no longer compares {}: `{}` is not in it", file.guard, file.path, file.mark),
            ));
        }
    }
    found
}

/// T11: the public routes are those that were promised, and no more.
pub(crate) fn routes(tree: &Tree, promises: &Promises) -> Vec<Finding> {
    let table = &promises.routes.table;
    let routes = routes_of(tree, table);
    let mut found = Vec::new();
    if routes.is_empty() {
        found.push(Finding::whole(table, "T11", "the table `ROUTES` was not found here"));
    }
    for (line, route, public) in &routes {
        if *public && !promises.routes.public.contains(route) {
            found.push(Finding::at(table, *line, "T11", format!("{route} became public: the list of public routes may only shrink")));
        }
    }
    for route in &promises.routes.public {
        if !routes.iter().any(|(_, path, public)| path == route && *public) {
            found.push(Finding::whole(PROMISES, "T11", format!("{route} is no longer public: remove it from the list")));
        }
    }
    if promises.routes.public.len() > PUBLIC_ROUTES {
        found.push(Finding::whole(PROMISES, "T11", format!("{} public routes, promised: {PUBLIC_ROUTES}", promises.routes.public.len())));
    }
    let walks = |path: &str, line: usize, code: &str| {
        !path.contains("/tidy/") && tree.rust.get(path).is_some_and(|source| source.is_test(line)) && code.contains("ROUTES")
    };
    let walked = tree.rust.iter().any(|(path, source)| source.code.iter().enumerate().any(|(line, code)| walks(path, line, code)));
    if !walked {
        found.push(Finding::whole(
            table,
            "T11",
            "no test walks ROUTES: show that every route that is not public refuses without a credential",
        ));
    }
    found
}

/// Line, path and whether it is public of each entry of the table.
pub(crate) fn routes_of(tree: &Tree, table: &str) -> Vec<(usize, String, bool)> {
    let mut found = Vec::new();
    let Some(source) = tree.rust.get(table) else { return found };
    let mut inside = false;
    for (line, text) in source.spoken.iter().enumerate() {
        inside |= text.contains("const ROUTES");
        if !inside {
            continue;
        }
        for entry in text.split("(\"").skip(1) {
            if let Some((path, rest)) = entry.split_once('"') {
                found.push((line, path.to_owned(), rest.trim_start_matches([',', ' ']).starts_with("true")));
            }
        }
        if text.trim_end().ends_with("];") {
            break;
        }
    }
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// T8: versions that `deny.toml` lets stand beside a newer one are there. One that is gone from the lock is let stand no more.
pub(crate) fn doubles(tree: &Tree) -> Vec<Finding> {
    let paper = "deny.toml";
    let lock: toml::Table = tree.text("Cargo.lock").parse().unwrap_or_default();
    let packages = lock.get("package").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let is_there = |name: &str, version: &str| {
        let is = |package: &toml::Value, key: &str, text: &str| package.get(key).and_then(toml::Value::as_str) == Some(text);
        packages.iter().any(|package| is(package, "name", name) && is(package, "version", version))
    };
    let deny: toml::Table = tree.text(paper).parse().unwrap_or_default();
    let skipped = deny.get("bans").and_then(|bans| bans.get("skip")).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let named = skipped.iter().filter_map(|entry| entry.get("crate")?.as_str()?.split_once('@'));
    named
        .filter(|(name, version)| !is_there(name, version))
        .map(|(name, version)| Finding::whole(paper, "T8", format!("{name} {version} is not in Cargo.lock any more: remove the entry")))
        .collect()
}
