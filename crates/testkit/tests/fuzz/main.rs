#![cfg(test)]
//! FLT-14: every fuzz target is built, starts from inputs that are kept, and is told of. `scripts/fuzz` runs them, `.ci/run` all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Largest input that is kept, in bytes.
const LARGEST: u64 = 60 * 1024;

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn flt_14_every_fuzz_target_has_a_corpus_and_a_line_in_the_documents() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    // What stands beside them is no target.
    let targets: BTreeSet<String> = names(&root.join("fuzz/fuzz_targets"))
        .into_iter()
        .filter(|name| root.join(format!("fuzz/fuzz_targets/{name}.rs")).exists())
        .collect();
    assert!(targets.len() >= 11, "{targets:?}");
    assert_eq!(names(&root.join("fuzz/corpus")), targets, "a corpus for each, and none that is of no target");
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("a manifest");
    let documents = fs::read_to_string(root.join("docs/fuzzing.md")).expect("a document");
    let (what, runs) = documents.split_once("Last runs").expect("what was run");
    for target in &targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not built");
        let row = format!("| `{target}` |");
        assert!(what.contains(&row) && runs.contains(&row), "docs/fuzzing.md does not tell of {target}");
        let inputs = fs::read_dir(root.join("fuzz/corpus").join(target)).expect("inputs");
        let sizes: Vec<u64> = inputs.map(|input| input.expect("an input").metadata().expect("a size").len()).collect();
        assert!(!sizes.is_empty() && sizes.iter().all(|size| *size <= LARGEST), "{target}: {sizes:?}");
    }
}
