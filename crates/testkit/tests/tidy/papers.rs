//! T7: what a document names exists. Reads code spans and links of every Markdown file.

use crate::finding::Finding;
use crate::tree::Tree;

/// Folders at the root that documents speak of.
const ROOTS: [&str; 8] = ["crates/", "docs/", "scripts/", "examples/", "fuzz/", "bench/", ".ci/", "packaging/"];

/// T7.
pub(crate) fn papers(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in tree.texts.keys().filter(|path| path.ends_with(".md")) {
        let mut fenced = false;
        for (line, text) in tree.text(path).lines().enumerate() {
            if text.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            let named = if fenced { in_fence(text) } else { [spans(text), links(text)].concat() };
            for name in named {
                if let Some(advice) = wrong(tree, path, &name) {
                    found.push(Finding::at(path, line, "T7", advice));
                }
            }
        }
    }
    found
}

fn wrong(tree: &Tree, paper: &str, name: &str) -> Option<String> {
    let name = name.split('#').next().unwrap_or_default().trim_start_matches("./");
    if let Some(krate) = name.strip_prefix("doorward-").filter(|rest| rest.chars().all(|letter| letter.is_ascii_lowercase())) {
        let known = tree.has(&format!("crates/{krate}")) || tree.texts.keys().any(|path| path.ends_with(&format!("/bin/{name}.rs")));
        return (!known).then(|| format!("there is no crate or program {name}"));
    }
    let is_path = ROOTS.iter().any(|root| name.starts_with(root));
    let is_file = ["rs", "md", "toml", "sql", "json", "cedar"].iter().any(|end| name.ends_with(&format!(".{end}")))
        && name.chars().all(|letter| letter.is_alphanumeric() || "._-/{},*".contains(letter));
    if !(is_path || is_file) || name.contains('<') || name.contains("NNNN") {
        return None;
    }
    let folder = paper.rsplit_once('/').map_or("", |(folder, _)| folder);
    let gone = expand(name).into_iter().find(|one| !exists(tree, folder, one, is_path));
    gone.map(|one| format!("{one} does not exist"))
}

fn exists(tree: &Tree, folder: &str, name: &str, is_path: bool) -> bool {
    if let Some((front, back)) = name.split_once('*') {
        return tree
            .texts
            .keys()
            .any(|path| (path.starts_with(front) || path.contains(&format!("/{front}"))) && path.ends_with(back.trim_start_matches('*')));
    }
    let beside = resolve(folder, name);
    // A bare file name may stand for the one file of that name.
    tree.has(name) || tree.has(&beside) || (!is_path && tree.texts.keys().any(|path| path.ends_with(&format!("/{name}"))))
}

fn resolve(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        if part == ".." {
            parts.pop();
        } else if part != "." {
            parts.push(part);
        }
    }
    parts.join("/")
}

fn expand(name: &str) -> Vec<String> {
    let Some((front, (middle, back))) = name.split_once('{').and_then(|(front, rest)| Some((front, rest.split_once('}')?))) else {
        return vec![name.to_owned()];
    };
    middle.split(',').flat_map(|one| expand(&format!("{front}{}{back}", one.trim()))).collect()
}

fn spans(text: &str) -> Vec<String> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.flat_map(|span| span.split_whitespace()).map(|word| word.trim_matches(['(', ')', ',', ';', ':']).to_owned()).collect()
}

fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

/// In a code block only whole paths below a known root are meant as paths.
fn in_fence(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| letter.is_whitespace() || "\"'(),;|".contains(letter));
    words
        .filter(|word| {
            ROOTS.iter().any(|root| word.strip_prefix(root).is_some_and(|rest| !rest.is_empty())) && !word.contains(['$', '<', '*'])
        })
        .map(|word| word.trim_end_matches([':', '.']).to_owned())
        .collect()
}
