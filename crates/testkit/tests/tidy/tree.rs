//! The workspace as text: every file that belongs to the project, read once. Knows nothing of the rules.

use crate::rust::Source;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Files by path from the root, with `/` between the parts.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub texts: BTreeMap<String, String>,
    pub rust: BTreeMap<String, Source>,
}

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 5] = ["target", "node_modules", "__pycache__", ".git", ".venv"];

/// Larger files are data, not text that somebody wrote.
const LARGEST: u64 = 2 << 20;

/// The workspace that this test belongs to.
pub(crate) static WORKSPACE: LazyLock<Tree> = LazyLock::new(|| Tree::read(&root()));

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Tree {
    /// Reads all files below `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut texts = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder of the workspace").flatten() {
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                let kind = entry.file_type().expect("a kind");
                if kind.is_dir() && !FOREIGN.contains(&name.as_str()) {
                    folders.push(path);
                } else if kind.is_file() && entry.metadata().is_ok_and(|about| about.len() <= LARGEST) {
                    let inside = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                    if let Ok(text) = fs::read_to_string(&path) {
                        texts.insert(inside, text);
                    }
                }
            }
        }
        Self::of(texts)
    }

    /// A tree of these texts; for tests of the rules themselves.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        Self::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn of(texts: BTreeMap<String, String>) -> Self {
        let mut rust: BTreeMap<String, Source> =
            texts.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| (path.clone(), Source::new(path, text))).collect();
        let tests: Vec<String> = rust.iter().flat_map(|(path, source)| source.test_files(path)).collect();
        for (path, source) in &mut rust {
            let below = |test: &String| path == test || path.starts_with(&format!("{}/", test.trim_end_matches(".rs")));
            if tests.iter().any(below) {
                source.mark_as_test();
            }
        }
        Self { texts, rust }
    }

    /// The text of one file; empty if there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.texts.get(path).map_or("", String::as_str)
    }

    /// Sources of the product: every crate but the test kit, tests left out line by line through [`Source::is_test`].
    pub(crate) fn product(&self) -> impl Iterator<Item = (&str, &Source)> {
        let ours = |path: &str| path.starts_with("crates/") && path.contains("/src/") && !path.starts_with("crates/testkit/");
        self.rust.iter().filter(move |(path, source)| ours(path) && !source.whole_test).map(|(path, source)| (path.as_str(), source))
    }

    /// True if the path names a file or a folder that holds one.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.texts.contains_key(path)
            || self.texts.range(format!("{path}/")..).next().is_some_and(|(found, _)| found.starts_with(&format!("{path}/")))
    }
}
