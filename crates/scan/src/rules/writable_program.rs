//! DW023: the program of a server, its script or its directory can be changed by other users of this computer. On Windows
//! paths modes mean nothing and are not looked at.

use super::Rule;
use super::open_file::quoted;
use crate::disk::{is_local, look_from_afar};
use crate::estate::{Document, Estate};
use crate::finding::{Confidence, Finding, Severity};
use crate::launch::launch;
use crate::layout::Os;
use crate::server::Server;
use std::collections::BTreeSet;
use std::path::PathBuf;

pub(super) static RULE: Rule = Rule {
    id: "DW023",
    severity: Severity::Medium,
    title: "Others may change the program",
    why: "Whoever may write there runs code as this user at the next start of the server.",
    fix: "take the right away: chmod go-w, and keep programs out of directories that everybody may write to",
    check,
};

/// What interpreters start.
const SCRIPTS: [&str; 11] = [".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".jar", ".php", ".exe", ".pyz"];
/// Options with a directory that a program is started in or found in.
const DIRECTORIES: [&str; 5] = ["--directory", "--project", "--prefix", "--cwd", "-C"];

fn check(estate: &Estate) -> Vec<Finding> {
    if estate.layout.os == Os::Windows {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        for path in programs(estate, document, server) {
            // The file itself, else the directory in which somebody could replace it.
            let bad = [Some(path.as_path()), path.parent()].into_iter().flatten().find_map(|path| {
                let rights = look_from_afar(path).filter(|rights| rights.writable_by_others())?;
                Some((path, rights))
            });
            if let Some((path, rights)) = bad {
                let shown = estate.layout.shown(path);
                let evidence = format!("{shown} has mode {:04o}", rights.mode);
                let at = server.command.as_ref().map_or(server.at, |command| command.at);
                found.push(
                    Finding::new(
                        &RULE,
                        if rights.mode & 0o002 != 0 { Confidence::High } else { Confidence::Medium },
                        document.site(at),
                        document.subject(server),
                        evidence,
                    )
                    .fixed_by(format!("take the right away: chmod go-w {}", quoted(&shown))),
                );
            }
        }
    }
    found
}

/// Paths that an entry starts, as far as they are spelled out.
fn programs(estate: &Estate, document: &Document, server: &Server) -> BTreeSet<PathBuf> {
    let base = server.directory.as_ref().and_then(|field| estate.layout.meant(field.text.peek(), document.path.parent()));
    let mut texts: Vec<String> = Vec::new();
    let launch = launch(server);
    // A container has its own files.
    if launch.container.is_none() {
        texts.extend(launch.words.first().map(|word| word.text.clone()).filter(|text| text.contains('/')));
        let mut before = "";
        for word in launch.words.iter().skip(1) {
            if SCRIPTS.iter().any(|ending| word.text.ends_with(ending)) || DIRECTORIES.contains(&before) {
                texts.push(word.text.clone());
            }
            before = word.text.as_str();
        }
    }
    let mut paths: BTreeSet<PathBuf> =
        texts.iter().filter(|text| !text.contains("://")).filter_map(|text| estate.layout.meant(text, base.as_deref())).collect();
    paths.extend(base);
    paths.retain(|path| is_local(path));
    paths
}
