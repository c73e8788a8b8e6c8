//! T3, T9 and T12: sizes, module documentation, attributes and names.

use crate::finding::Finding;
use crate::tree::Tree;

/// Lines of a file without its tests.
const FILE: usize = 600;
/// Lines of a function, head and braces included.
const FUNCTION: usize = 100;
/// Lines of tests inside the file that they test.
const INLINE_TESTS: usize = 150;

/// T3.
pub(crate) fn sizes(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, source) in tree.rust.iter().filter(|(path, _)| path.starts_with("crates/")) {
        for (line, lines) in source.inline_tests().filter(|(_, lines)| *lines > INLINE_TESTS) {
            let advice = format!("{lines} lines of tests: move them to {}/tests.rs", path.trim_end_matches(".rs").trim_end_matches("/mod"));
            found.push(Finding::at(path, line, "T3", advice));
        }
        for function in source.functions().into_iter().filter(|function| function.lines > FUNCTION) {
            let name = function.head.split("fn ").nth(1).unwrap_or_default().split(['(', '<']).next().unwrap_or_default().to_owned();
            found.push(Finding::at(path, function.line, "T3", format!("{name} has {} lines: cut it where a thought ends", function.lines)));
        }
        let shipped = source.shipped().count();
        if shipped > FILE && !source.whole_test {
            found.push(Finding::whole(path, "T3", format!("{shipped} lines without tests: give a part of it a file of its own")));
        }
    }
    found
}

/// T9.
pub(crate) fn forms(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, source) in &tree.rust {
        let first = source.lines.iter().find(|line| !line.starts_with("#!"));
        if !first.is_some_and(|line| line.starts_with("//!")) {
            found.push(Finding::at(path, 0, "T9", "open with `//!`: what the file owns and what it must not know"));
        }
        for (line, code) in source.code.iter().enumerate() {
            if code.contains("#[allow") || code.contains("#![allow") {
                found.push(Finding::at(path, line, "T9", "write #[expect(lint, reason = \"..\")]: it fails once it is not needed"));
            }
            if code.trim_start().starts_with("use ") && code.contains("::*") && !source.is_test(line) {
                found.push(Finding::at(path, line, "T9", "import by name: nobody sees who depends on whom behind a glob"));
            }
        }
    }
    // Spelled in pieces, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];
    let written = |path: &&String| {
        [".rs", ".py", ".sh", ".toml", ".sql", ".cjs", ".cedar"].iter().any(|end| path.ends_with(end)) || path.starts_with("scripts/")
    };
    for path in tree.texts.keys().filter(written) {
        for (line, text) in tree.text(path).lines().enumerate() {
            if marks.iter().any(|mark| text.contains(mark) && !text.contains(&format!("{mark}(#"))) {
                found.push(Finding::at(path, line, "T9", "do it now, or name the issue: (#123)"));
            }
        }
    }
    found
}

/// T12.
pub(crate) fn names(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, source) in tree.rust.iter().filter(|(path, _)| path.starts_with("crates/")) {
        for function in source.functions() {
            if source.is_test(function.line) {
                continue;
            }
            let (front, rest) = function.head.split_once("fn ").unwrap_or_default();
            if rest.starts_with("get_") {
                found.push(Finding::at(path, function.line, "T12", "name what it gives: a getter has no `get_`"));
            }
            let parameters = rest.split("->").next().unwrap_or_default();
            let public = ["pub ", "pub(crate) "].iter().any(|word| front.trim_start().starts_with(word));
            if public
                && parameters.split([',', '(']).any(|parameter| {
                    parameter.split_once(':').is_some_and(|(_, kind)| kind.trim().trim_end_matches([')', ' ', '{', ';']) == "bool")
                })
            {
                found.push(Finding::at(
                    path,
                    function.line,
                    "T12",
                    "no bool parameter: an enum with two named variants says at the call what is meant",
                ));
            }
        }
        for (line, code) in source.shipped() {
            for kind in ["struct ", "enum ", "trait ", "mod ", "type "] {
                let Some((front, rest)) = code.split_once(kind) else { continue };
                let name: String = rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                let declares = front.split_whitespace().all(|word| word.starts_with("pub"));
                let vague = ["Manager", "Util", "Utils", "Service", "Helper"].iter().any(|word| name.ends_with(word))
                    || ["util", "utils", "helpers", "common", "misc"].contains(&name.as_str());
                if declares && vague {
                    found.push(Finding::at(path, line, "T12", format!("{name} says nothing: use a noun of the domain")));
                }
            }
        }
    }
    found
}
