//! Changes of the configuration file: everything else in it stays as it was written, and nothing is written that would not load.

use crate::args::Global;
use crate::console::{Console, inert};
use crate::exchange::{self, Unwritten};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use similar::{ChangeTag, TextDiff};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table};

/// A change that was not written yet.
#[derive(Debug)]
pub(in crate::command) struct Draft {
    path: PathBuf,
    before: Option<String>,
    document: DocumentMut,
}

// === impl Draft ===

impl Draft {
    /// The file as it is; empty where there is none.
    pub(in crate::command) fn open(global: &Global) -> Result<Self, Failure> {
        let named = settings::place(global)?;
        // A link stays a link: what it leads to is changed.
        let path = fs::canonicalize(&named).or_else(|_| beside(&named)).unwrap_or(named);
        if path.extension().is_some_and(|ending| ending == "json") {
            let help = "change it by hand, or name a TOML file: --config FILE";
            return Err(Failure::new(
                Exit::Configuration,
                "config.not_toml",
                format!("{} is JSON and is not changed here", path.display()),
                help,
            ));
        }
        let before = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unwritable(&path, &error)),
        };
        if before.is_some() {
            // Modes, owners and every problem it may have already.
            settings::read(global, Vec::new())?;
        }
        let document = before.as_deref().unwrap_or_default().parse().map_err(|error: toml_edit::TomlError| {
            Failure::new(Exit::Configuration, "config.unusable", format!("{} is not TOML", path.display()), "see doorward config check")
                .because(error)
        })?;
        Ok(Self { path, before, document })
    }

    /// The file.
    pub(in crate::command) fn path(&self) -> &Path {
        &self.path
    }

    /// The text as it was; `None` where there is no file.
    pub(in crate::command) fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// The text as it would be. Whatever is only added leaves the rest byte for byte: its line ends, a byte order mark.
    pub(in crate::command) fn after(&self) -> String {
        let before = self.before.as_deref().unwrap_or_default();
        as_before(before, &self.document.to_string())
    }

    /// Adds `[server.NAME]`.
    pub(in crate::command) fn add(&mut self, name: &str, server: Table) -> Result<(), Failure> {
        let servers = self.document.entry("server").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let servers = servers
            .as_table_like_mut()
            .ok_or_else(|| Failure::new(Exit::Configuration, "config.unusable", "\"server\" is no table", "see doorward config check"))?;
        servers.insert(name, Item::Table(server));
        Ok(())
    }

    /// Sets one key of `[server.NAME]`, which must be in this file.
    pub(super) fn set(&mut self, name: &str, key: &str, text: &str) -> Result<(), Failure> {
        let server = self.document.get_mut("server").and_then(Item::as_table_like_mut).and_then(|servers| servers.get_mut(name));
        let server = server.and_then(Item::as_table_like_mut).ok_or_else(|| {
            let help = format!("write {key} = \"{text}\" where [server.{name}] is");
            let message = format!("{name} is not defined in {}", self.path.display());
            Failure::new(Exit::Configuration, "server.elsewhere", message, help)
        })?;
        server.insert(key, toml_edit::value(text));
        Ok(())
    }

    /// Takes `[server.NAME]` out. True if it was there.
    pub(in crate::command) fn remove(&mut self, name: &str) -> bool {
        let Some(servers) = self.document.get_mut("server").and_then(Item::as_table_like_mut) else { return false };
        let gone = servers.remove(name).is_some();
        if servers.is_empty() {
            self.document.remove("server");
        }
        gone
    }

    /// Shows what would change, and checks that the result loads.
    pub(super) fn show(&self, console: &mut Console) -> Result<(), Failure> {
        let after = self.after();
        settings::preview(&self.path, &after)?;
        console.say(format_args!(" {}", self.path.display()));
        for line in difference(self.before.as_deref().unwrap_or_default(), &after) {
            console.say(line);
        }
        Ok(())
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(self) -> Result<PathBuf, Failure> {
        let failed = |error: io::Error| unwritable(&self.path, &error);
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let draft = format!(".{name}.{}", std::process::id());
        exchange::replace(&self.path, self.before.as_deref(), &self.after(), &draft).map_err(|error| match error {
            Unwritten::Changed => {
                let message = format!("{} was changed meanwhile", self.path.display());
                Failure::new(Exit::Configuration, "config.changed", message, "nothing was written; try again")
            }
            other => Failure::new(
                Exit::Configuration,
                "config.unwritable",
                format!("{} cannot be changed", self.path.display()),
                "name another file: --config FILE",
            )
            .because(other),
        })?;
        Ok(self.path)
    }
}

/// Where a file that is not there would really be made.
fn beside(named: &Path) -> io::Result<PathBuf> {
    let parent = fs::canonicalize(named.parent().unwrap_or(Path::new("/")))?;
    Ok(parent.join(named.file_name().unwrap_or_default()))
}

/// The library writes every line end as `\n` and no byte order mark: both become again what they were.
fn as_before(before: &str, after: &str) -> String {
    let crlf = before.matches("\r\n").count();
    let only = crlf > 0 && crlf == before.matches('\n').count();
    let text = if only { after.replace("\r\n", "\n").replace('\n', "\r\n") } else { after.to_owned() };
    if before.starts_with('\u{feff}') && !text.starts_with('\u{feff}') { format!("\u{feff}{text}") } else { text }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Configuration,
        "config.unwritable",
        format!("{} cannot be changed", path.display()),
        "name another file: --config FILE",
    )
    .because(settings::reason(error))
}

/// The lines that differ, with one line around them.
pub(in crate::command) fn difference(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (at, group) in diff.grouped_ops(1).iter().enumerate() {
        if at > 0 {
            lines.push("   ...".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!(" {sign} {}", inert(change.value().trim_end_matches(['\n', '\r']))).trim_end().to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_leaves_every_other_byte() {
        for before in
            ["", "a = 1", "# c\na = 1  # d\n", "\u{feff}# c\r\na = 'x'\r\n\r\n[server.y]\r\nurl = \"u\" # e\r\n", "[b]\n\n\n# end"]
        {
            let document: DocumentMut = before.parse().expect("TOML");
            let mut draft = Draft { path: PathBuf::from("/x"), before: Some(before.to_owned()), document };
            let mut table = Table::new();
            table.insert("url", toml_edit::value("https://x.example/mcp"));
            draft.add("x", table).expect("added");
            let after = draft.after();
            let patch = doorward_edit::Patch::between(before, &after);
            assert!(patch.pieces().iter().all(|piece| piece.range.is_empty()), "{before:?} became {after:?}");
        }
    }

    #[test]
    fn only_lines_that_differ_are_shown() {
        let before = "# mine\nname = \"a\"\n\n[listen]\naddress = \"127.0.0.1:1\"\n";
        let after = format!("{before}\n[server.x]\nurl = \"https://x.example/mcp\"\n");
        let lines = difference(before, &after);
        assert_eq!(lines, ["   address = \"127.0.0.1:1\"", " +", " + [server.x]", " + url = \"https://x.example/mcp\""]);
        assert!(difference("a\n", "a\u{1b}[2J\n").iter().all(|line| !line.contains('\u{1b}')));
    }
}
