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

/// Every page of `docs/` stands in its index: what nobody finds is not read.
pub(crate) fn index(tree: &Tree) -> Vec<Finding> {
    const INDEX: &str = "docs/README.md";
    let listed = tree.text(INDEX);
    let pages =
        tree.texts.keys().filter_map(|path| path.strip_prefix("docs/")).filter(|page| page.ends_with(".md") && *page != "README.md");
    pages
        .filter(|page| !listed.contains(&format!("]({page})")))
        .map(|page| Finding::at(INDEX, 0, "T7", format!("{page} is not listed")))
        .collect()
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

/// The document that explains every reason for which a request can be refused.
const STATUSES: &str = "docs/http-status.md";

/// T7: every reason in the code is explained, and every explained one is in the code.
pub(crate) fn reasons(tree: &Tree) -> Vec<Finding> {
    let paper = tree.text(STATUSES);
    let rows: Vec<(usize, &str)> =
        paper.lines().enumerate().filter_map(|(line, text)| Some((line, text.strip_prefix("| `")?.split_once('`')?.0))).collect();
    let given = given(tree);
    let mut found: Vec<Finding> = given
        .iter()
        .filter(|(_, _, reason)| !rows.iter().any(|(_, row)| row == reason))
        .map(|(path, line, reason)| Finding::at(path, *line, "T7", format!("explain the reason `{reason}` in {STATUSES}")))
        .collect();
    let gone = rows.iter().filter(|(_, row)| !given.iter().any(|(_, _, reason)| reason == row));
    found.extend(gone.map(|(line, row)| Finding::at(STATUSES, *line, "T7", format!("nothing is refused for `{row}` any more"))));
    found
}

/// Reasons of refusals: the text behind the station, and what functions called `reason` give.
fn given(tree: &Tree) -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    for (path, source) in tree.product().filter(|(path, _)| !path.contains("/config/") && !path.starts_with("crates/cli/")) {
        for (line, text) in source.spoken.iter().enumerate().filter(|(line, _)| !source.is_test(*line)) {
            let named = ["Station::", "refuse("].iter().any(|word| text.contains(word));
            if named && let Some(reason) = reason_after(&source.spoken, line) {
                found.push((path.to_owned(), line, reason));
            }
        }
        let functions =
            source.functions().into_iter().filter(|function| function.head.contains("fn reason(") && !source.is_test(function.line));
        for function in functions.filter(|_| path != "crates/cli/src/settings.rs") {
            for (line, text) in source.spoken.iter().enumerate().skip(function.line).take(function.lines) {
                let literals = text.split('"').skip(1).step_by(2);
                found.extend(literals.filter(|one| is_reason(one)).map(|one| (path.to_owned(), line, one.to_owned())));
            }
        }
    }
    found
}

/// The first literal behind the station, there or on the next line.
fn reason_after(lines: &[String], line: usize) -> Option<String> {
    let text = lines.get(line)?;
    let at = text.find("Station::").or_else(|| text.find("refuse("))?;
    let rest = format!("{} {}", text.get(at..)?, lines.get(line + 1).map_or("", |next| next.trim()));
    let (front, literal) = rest.split_once('"')?;
    let direct = front.matches(',').count() <= 1 && !front.contains(['{', '=', '.', ';']);
    let literal = literal.split('"').next()?;
    (direct && is_reason(literal)).then(|| literal.to_owned())
}

fn is_reason(text: &str) -> bool {
    text.contains('_') && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        || ["batch", "unrecorded"].contains(&text)
}
