//! The texts of the rules that a configuration names, read once for every command that needs them. What they mean is decided in core.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use doorward_core::config::problem::Problem;
use doorward_core::config::source::{self, Place};
use doorward_core::config::{Config, FileGlob};
use doorward_core::policy::rules::{PolicyError, Rules, Source};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The rules as they are written.
#[derive(Debug)]
pub struct Policies {
    /// Where they come from.
    pub origin: Origin,
    /// The files, in the order in which they count.
    pub sources: Vec<Source>,
    /// The administrator's own schema, with its path.
    pub schema: Option<Source>,
}

/// Where rules come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Built in: laptop mode without `policy.files`.
    Laptop,
    /// A gateway for others without `policy.files`: nothing is permitted.
    Nothing,
    /// Files that were named.
    Files,
}

/// Bytes of one file of rules or tests, and files of one directory.
const MAX_TEXT: u64 = 4 << 20;
const MAX_FILES: usize = 1024;

impl Policies {
    /// The rules of a configuration.
    ///
    /// # Errors
    /// [`Failure`] for a file that cannot be read.
    pub fn read(config: &Config) -> Result<Self, Failure> {
        let policy = &config.policy;
        let schema = policy.schema.as_ref().map(|path| source(path)).transpose()?;
        let Some(globs) = &policy.files else {
            let origin = if config.public_url.is_none() { Origin::Laptop } else { Origin::Nothing };
            return Ok(Self { origin, sources: Vec::new(), schema });
        };
        let mut sources = Vec::new();
        for glob in globs {
            sources.extend(files(glob)?.iter().map(|path| source(path)).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { origin: Origin::Files, sources, schema })
    }

    /// The rules of these files alone, with the schema of the configuration.
    ///
    /// # Errors
    /// As [`Policies::read`].
    pub fn of(paths: &[PathBuf], config: &Config) -> Result<Self, Failure> {
        let schema = config.policy.schema.as_ref().map(|path| source(path)).transpose()?;
        let sources = paths.iter().map(|path| source(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { origin: Origin::Files, sources, schema })
    }

    /// The rules, checked.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn rules(&self) -> Result<Rules, Vec<PolicyError>> {
        match self.origin {
            Origin::Laptop => Rules::laptop(),
            Origin::Nothing | Origin::Files => Rules::load(&self.sources, self.schema.as_ref().map(|schema| schema.text.as_str())),
        }
    }

    /// The rules, checked, or a failure that shows every fault with its lines.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn usable(&self) -> Result<Rules, Failure> {
        self.rules().map_err(|errors| {
            let problems = errors.iter().map(|error| self.problem(error)).collect();
            Failure::several("policy.unusable", "the policies are not usable", problems)
        })
    }

    /// A fault as a problem that can be shown with its line.
    #[must_use]
    pub fn problem(&self, error: &PolicyError) -> Problem {
        let help = error.help.clone().unwrap_or_else(|| "the language of rules: doorward policy show --schema".to_owned());
        let own = self.schema.as_ref().filter(|_| error.file == "schema");
        let text = self.sources.iter().find(|source| source.name == error.file).or(own);
        let place = text.map(|text| {
            let from = offset(&text.text, error.line, error.column);
            let rest = text.text.get(from..).unwrap_or_default();
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let named = source::Source::new(text.name.clone(), source::Kind::Toml, text.text.clone(), PathBuf::new());
            Place::new(&Arc::new(named.without_secrets()), from..from + word.max(first))
        });
        Problem::new("policy.fault", error.message.clone(), "here", help).at(place)
    }
}

/// Byte offset of a line and column that both count from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// The files of a glob, in byte order of their names. A directory that is not there is a mistake, an empty one is not.
///
/// # Errors
/// [`Failure`].
pub fn files(glob: &FileGlob) -> Result<Vec<PathBuf>, Failure> {
    let listing = std::fs::read_dir(&glob.directory).map_err(|error| unreadable(&glob.directory, &error))?;
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(|error| unreadable(&glob.directory, &error))?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| glob.names.matches(name)) {
            paths.push(path);
        }
    }
    if paths.len() > MAX_FILES {
        let message = format!("{} holds more than {MAX_FILES} files that fit", glob.directory.display());
        return Err(Failure::new(Exit::Configuration, "policy.too_many_files", message, "merge some of them"));
    }
    paths.sort();
    Ok(paths)
}

/// One file as text.
///
/// # Errors
/// [`Failure`] if it cannot be read, is not UTF-8 or has more than 4 MiB.
pub fn source(path: &Path) -> Result<Source, Failure> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let read = file.take(MAX_TEXT + 1).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_TEXT {
        let message = format!("{} is larger than 4 MiB", path.display());
        return Err(Failure::new(Exit::Configuration, "policy.too_large", message, "split it"));
    }
    Ok(Source { name: path.display().to_string(), text })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Configuration, "policy.unreadable", format!("{} cannot be read", path.display()), "check [policy] files")
        .because(settings::reason(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_end_with_the_text() {
        assert_eq!(offset("abc\ndef\n", 2, 2), 5);
        assert_eq!(offset("ä\nöx", 2, 2), 5);
        assert_eq!(offset("abc", 9, 9), 3);
        assert_eq!(offset("", 1, 1), 0);
    }
}
