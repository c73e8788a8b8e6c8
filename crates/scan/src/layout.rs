//! Where things lie on a computer: its system, its home, its root, and what variables have moved. All are parameters, so
//! that each system can be scanned, and tested, on any other.

use std::path::{Path, PathBuf};

/// The system whose paths are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    /// Linux and what is like it.
    Linux,
    /// macOS.
    MacOs,
    /// Windows; `AppData` below the home, `C:` at the root.
    Windows,
}

/// Where to look.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Whose paths.
    pub os: Os,
    /// The home directory.
    pub home: PathBuf,
    /// The root of files of the whole computer, `/`; `None` leaves those out.
    pub root: Option<PathBuf>,
    /// Directories that variables put elsewhere: `~/.codex` by `CODEX_HOME`.
    pub moved: Vec<Moved>,
    /// Paths below this directory are shown from there.
    pub here: Option<PathBuf>,
}

/// A directory that a variable puts elsewhere.
#[derive(Debug, Clone)]
pub struct Moved {
    /// Where it would be, as `~/.codex`.
    pub from: &'static str,
    /// Where it is.
    pub to: PathBuf,
}

/// Variables that move directories of clients, and what they move.
pub const MOVES: [(&str, &str); 3] = [("CODEX_HOME", "~/.codex"), ("CLAUDE_CONFIG_DIR", "~/.claude"), ("XDG_CONFIG_HOME", "~/.config")];

/// A pattern of paths, and the directory that links must not leave.
pub(crate) struct Place {
    pub(crate) pattern: PathBuf,
    pub(crate) root: PathBuf,
}

// === impl Os ===

impl Os {
    /// The system that this program was built for.
    #[must_use]
    pub const fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Linux
        }
    }
}

// === impl Layout ===

impl Layout {
    /// The place of a path of the table of clients: `~/` below the home, `/` below the root. `None` where it does not apply.
    pub(crate) fn place(&self, path: &str) -> Option<Place> {
        for moved in &self.moved {
            if let Some(rest) = path.strip_prefix(moved.from).and_then(|rest| rest.strip_prefix('/')) {
                return Some(Place { pattern: moved.to.join(rest), root: moved.to.clone() });
            }
        }
        if let Some(rest) = path.strip_prefix("~/") {
            return Some(Place { pattern: self.home.join(rest), root: self.home.clone() });
        }
        let root = self.root.as_ref()?;
        Some(Place { pattern: root.join(path.strip_prefix('/')?), root: root.clone() })
    }

    /// A path as people write it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        if let Some(rest) = self.here.as_ref().filter(|here| **here != self.home).and_then(|here| path.strip_prefix(here).ok())
            && !rest.as_os_str().is_empty()
        {
            return rest.to_string_lossy().into_owned();
        }
        match path.strip_prefix(&self.home) {
            Ok(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Ok(rest) => format!("~/{}", rest.to_string_lossy()),
            Err(_) => path.to_string_lossy().into_owned(),
        }
    }

    /// The path that a text in a file means; `None` for relative ones without a base.
    pub(crate) fn meant(&self, text: &str, base: Option<&Path>) -> Option<PathBuf> {
        if let Some(rest) = ["~/", "$HOME/", "${HOME}/"].iter().find_map(|prefix| text.strip_prefix(prefix)) {
            return Some(self.home.join(rest));
        }
        let path = Path::new(text);
        if path.is_absolute() { Some(path.to_owned()) } else { base.map(|base| base.join(path)) }
    }
}
