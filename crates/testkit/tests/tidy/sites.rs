//! T4, T5 and T6: who may call what. The list stands in `sites.toml`: a call that is not listed is a finding, and so is a
//! listed one that is gone.

use crate::finding::Finding;
use crate::tree::Tree;
use serde::Deserialize;

/// The list.
pub(crate) const SITES: &str = "crates/testkit/tests/tidy/sites.toml";

/// Something that only listed places may call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guarded {
    /// `T4` or `T5`.
    pub rule: String,
    /// What is guarded, in words for the finding.
    pub name: String,
    /// Texts that call it. A text that begins with a letter must stand alone on its left.
    pub find: Vec<String>,
    /// A function that is imported and called by its bare name: the tail of its path, `policy::decide::decide`.
    #[serde(default)]
    pub function: String,
    /// Texts that look the same and are something else.
    #[serde(default)]
    pub not: Vec<String>,
    /// What to do instead.
    pub instead: String,
    #[serde(default)]
    pub site: Vec<Site>,
}

/// A place that may.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    /// A file, or a folder with `/` at its end.
    pub path: String,
    /// How often, in a file; folders are not counted.
    pub times: Option<usize>,
    pub why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    guarded: Vec<Guarded>,
}

/// The list of this text.
pub(crate) fn list(text: &str) -> Vec<Guarded> {
    toml::from_str::<File>(text).unwrap_or_else(|fault| panic!("{SITES}: {fault}")).guarded
}

/// T4 or T5.
pub(crate) fn judge(tree: &Tree, rule: &'static str, list: &[Guarded]) -> Vec<Finding> {
    list.iter().filter(|guarded| guarded.rule == rule).flat_map(|guarded| one(tree, rule, guarded)).collect()
}

fn one(tree: &Tree, rule: &'static str, guarded: &Guarded) -> Vec<Finding> {
    let calls = calls(tree, guarded);
    let mut found = Vec::new();
    for (path, line) in &calls {
        if !guarded.site.iter().any(|site| site.covers(path)) {
            found.push(Finding::at(path, *line, rule, format!("{}: {}", guarded.name, guarded.instead)));
        }
    }
    for site in &guarded.site {
        let seen = calls.iter().filter(|(path, _)| site.covers(path)).count();
        let due = site.times;
        if seen == 0 {
            found.push(Finding::whole(SITES, rule, format!("{}: remove the site {}: nothing is called there", guarded.name, site.path)));
        } else if due.is_none() && !site.path.ends_with('/') || due.is_some_and(|due| due != seen) {
            let was = due.map_or("not stated".to_owned(), |due| due.to_string());
            found.push(Finding::whole(
                SITES,
                rule,
                format!("{}: {} calls it {seen} times, listed: {was}; look at the new call, then set times", guarded.name, site.path),
            ));
        }
        if site.why.trim().len() < 8 {
            found.push(Finding::whole(SITES, rule, format!("{}: say why {} may", guarded.name, site.path)));
        }
    }
    found
}

impl Site {
    fn covers(&self, path: &str) -> bool {
        self.path == path || (self.path.ends_with('/') && path.starts_with(&self.path))
    }
}

/// Every call, with its line from 0.
fn calls(tree: &Tree, guarded: &Guarded) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (path, source) in tree.product() {
        let (module, bare) = guarded.function.rsplit_once("::").unwrap_or_default();
        let imported = !bare.is_empty() && source.imports().iter().any(|(_, import)| import.ends_with(&guarded.function));
        let inside = !bare.is_empty() && path.trim_end_matches("/mod.rs").trim_end_matches(".rs").ends_with(&module.replace("::", "/"));
        for (line, code) in source.shipped() {
            if code.trim_start().starts_with("use ") || guarded.not.iter().any(|other| code.contains(other.as_str())) {
                continue;
            }
            let mut times: usize = guarded.find.iter().map(|text| occurrences(code, text)).sum();
            if imported || inside {
                let call = format!("{bare}(");
                let alone = |at: usize| {
                    code[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && !['_', '.', ':'].contains(&before))
                };
                times += code.match_indices(&call).filter(|(at, _)| alone(*at) && !code[..*at].trim_end().ends_with("fn")).count();
            }
            found.extend(std::iter::repeat_n((path.to_owned(), line), times));
        }
    }
    found
}

fn occurrences(code: &str, text: &str) -> usize {
    let word = text.starts_with(|first: char| first.is_alphabetic());
    let alone = |at: usize| !word || code[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
    code.match_indices(text).filter(|(at, _)| alone(*at) && !code[..*at].trim_end().ends_with("fn")).count()
}

/// T6: SQL is spoken in the store only.
pub(crate) fn sql(tree: &Tree) -> Vec<Finding> {
    const SPOKEN: [&str; 9] =
        ["SELECT ", "INSERT INTO", "INSERT OR", "DELETE FROM", "CREATE TABLE", "ALTER TABLE", "DROP TABLE", "PRAGMA ", " RETURNING "];
    let mut found = Vec::new();
    for (path, source) in
        tree.rust.iter().filter(|(path, _)| path.starts_with("crates/") && !path.starts_with("crates/store/") && !path.contains("/tidy/"))
    {
        for (line, text) in source.spoken.iter().enumerate() {
            if SPOKEN.iter().any(|word| text.contains(word)) || (text.contains("\"UPDATE ") && text.contains(" SET ")) {
                found.push(Finding::at(path, line, "T6", "SQL is spoken in crates/store only: give it a method that speaks the domain"));
            }
        }
    }
    found
}
