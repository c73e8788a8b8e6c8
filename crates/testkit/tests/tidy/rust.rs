//! Rust as text: which part is code, which is comment, string or test; imports and functions.
//!
//! Relies on rustfmt: an item ends at the brace under its first letter. Not a parser; that is enough here.

use std::ops::Range;

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it is on disk.
    pub lines: Vec<String>,
    /// Without comments; strings emptied.
    pub code: Vec<String>,
    /// Without comments; strings kept.
    pub spoken: Vec<String>,
    /// A file of tests from its first line to its last.
    pub whole_test: bool,
    tests: Vec<Range<usize>>,
}

/// A function: first line (from 0), how many lines, and its head up to the brace on one line.
#[derive(Debug)]
pub(crate) struct Function {
    pub line: usize,
    pub lines: usize,
    pub head: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, spoken) = masks(text);
        let split = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (lines, code, spoken) = (split(text), split(&code), split(&spoken));
        let tests = test_blocks(&code);
        let name = path.rsplit('/').next().unwrap_or(path);
        let whole_test = path.contains("/tests/") || path.contains("/benches/") || name == "tests.rs" || name.ends_with("_tests.rs");
        let whole_test = whole_test || code.iter().any(|line| line == "#![cfg(test)]");
        Self { lines, code, spoken, whole_test, tests }
    }

    pub(crate) fn mark_as_test(&mut self) {
        self.whole_test = true;
    }

    /// True if line `at` (from 0) is part of a test.
    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.whole_test || self.tests.iter().any(|block| block.contains(&at))
    }

    /// Inline blocks of tests: first line and length.
    pub(crate) fn inline_tests(&self) -> impl Iterator<Item = (usize, usize)> {
        self.tests.iter().map(|block| (block.start, block.len()))
    }

    /// Lines of code that are no test, numbered from 0.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().filter(|(at, _)| !self.is_test(*at)).map(|(at, line)| (at, line.as_str()))
    }

    /// Files that this one declares as tests with `#[cfg(test)] mod name;`.
    pub(crate) fn test_files(&self, path: &str) -> Vec<String> {
        let folder = match path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix("/lib.rs")).or_else(|| path.strip_suffix("/main.rs")) {
            Some(folder) => folder.to_owned(),
            None => path.trim_end_matches(".rs").to_owned(),
        };
        let declared = self.tests.iter().flat_map(|block| self.code.get(block.clone()).unwrap_or_default());
        declared
            .filter_map(|line| line.trim().trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';'))
            .map(|name| format!("{folder}/{name}.rs"))
            .collect()
    }

    /// Every import as a full path with its line, `use a::{b, c as d}` flattened to `a::b` and `a::c`.
    pub(crate) fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(line) = self.code.get(at) {
            let text = line.trim();
            let text = ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|front| text.strip_prefix(front)).unwrap_or(text);
            let Some(rest) = text.strip_prefix("use ") else {
                at += 1;
                continue;
            };
            let first = at;
            let mut tree = rest.to_owned();
            while !tree.contains(';') && at + 1 < self.code.len() {
                at += 1;
                tree.push_str(self.code[at].trim());
            }
            let tree = tree.split(';').next().unwrap_or_default().to_owned();
            flatten("", &tree, &mut |path| found.push((first, path)));
            at += 1;
        }
        found
    }

    /// Every function with a body, tests included.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (at, line) in self.code.iter().enumerate() {
            let text = line.trim_start();
            let Some(position) = text.find("fn ") else { continue };
            let front = text.get(..position).unwrap_or_default();
            if !front
                .split_whitespace()
                .all(|word| ["pub", "const", "async", "unsafe", "extern", "default", "pub(crate)", "pub(super)"].contains(&word))
            {
                continue;
            }
            let indent = line.len() - text.len();
            let mut head = String::new();
            let mut last = at;
            for (further, line) in self.code.iter().enumerate().skip(at) {
                head.push_str(line.trim());
                head.push(' ');
                last = further;
                if line.trim_end().ends_with('{')
                    || line.trim_end().ends_with(';')
                    || (line.contains('{') && line.trim_end().ends_with('}'))
                {
                    break;
                }
            }
            let opens = self.code.get(last).is_some_and(|line| line.trim_end().ends_with('{'));
            let end = if opens { self.close(last, indent) } else { last };
            found.push(Function { line: at, lines: end + 1 - at, head });
        }
        found
    }

    fn close(&self, from: usize, indent: usize) -> usize {
        close(&self.code, from, indent)
    }
}

fn close(code: &[String], from: usize, indent: usize) -> usize {
    let is_end = |line: &str| line.len() - line.trim_start().len() == indent && line.trim_start().starts_with('}');
    code.iter().enumerate().skip(from + 1).find(|(_, line)| is_end(line)).map_or(code.len().saturating_sub(1), |(at, _)| at)
}

fn test_blocks(code: &[String]) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for (at, line) in code.iter().enumerate() {
        let text = line.trim_start();
        if !(text.starts_with("#[cfg(test)]") || text.starts_with("#[cfg(all(test,")) || blocks.iter().any(|block| block.contains(&at)) {
            continue;
        }
        let indent = line.len() - text.len();
        let mut last = at + 1;
        while code.get(last).is_some_and(|line| {
            let line = line.trim();
            line.starts_with("#[") || !(line.ends_with(';') || line.contains('{') || line.ends_with(','))
        }) {
            last += 1;
        }
        let opens = code.get(last).is_some_and(|line| line.trim_end().ends_with('{'));
        let end = if opens { close(code, last, indent) } else { last };
        blocks.push(at..end + 1);
    }
    blocks
}

fn flatten(prefix: &str, tree: &str, tell: &mut dyn FnMut(String)) {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
        let prefix = format!("{prefix}{}", head.trim());
        let (mut depth, mut start) = (0_usize, 0);
        for (at, letter) in inner.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    flatten(&prefix, &inner[start..at], tell);
                    start = at + 1;
                }
                _ => {}
            }
        }
        flatten(&prefix, &inner[start..], tell);
    } else if !tree.is_empty() {
        let path = tree.split(" as ").next().unwrap_or(tree);
        let whole = format!("{prefix}{path}");
        tell(whole.strip_suffix("::self").map_or(whole.clone(), str::to_owned));
    }
}

/// Two copies of the text of the same layout: one without comments and string contents, one without comments.
fn masks(text: &str) -> (String, String) {
    let letters: Vec<char> = text.chars().collect();
    let (mut code, mut spoken) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let mut at = 0;
    let blank = |letter: char| if letter == '\n' { '\n' } else { ' ' };
    while let Some(&letter) = letters.get(at) {
        let next = letters.get(at + 1).copied();
        let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied();
        let end = match (letter, next) {
            ('/', Some('/')) => {
                let end = (at..letters.len()).find(|at| letters[*at] == '\n').unwrap_or(letters.len());
                hide(&letters[at..end], &mut [&mut code, &mut spoken], blank);
                end
            }
            ('/', Some('*')) => {
                let end = comment_end(&letters, at);
                hide(&letters[at..end], &mut [&mut code, &mut spoken], blank);
                end
            }
            ('r', Some('"' | '#'))
                if !before.is_some_and(|b| (b.is_alphanumeric() && b != 'b' && b != 'c') || b == '_')
                    && raw_fence(&letters, at).is_some() =>
            {
                let fence = raw_fence(&letters, at).unwrap_or_default();
                let end = raw_end(&letters, at + 2 + fence, fence);
                hide(&letters[at..end], &mut [&mut code], |l| if l == '"' { '"' } else { blank(l) });
                spoken.extend(&letters[at..end]);
                end
            }
            ('"', _) => {
                let end = string_end(&letters, at);
                code.push('"');
                hide(&letters[at + 1..end.saturating_sub(1).max(at + 1)], &mut [&mut code], blank);
                if end > at + 1 {
                    code.push('"');
                }
                spoken.extend(&letters[at..end]);
                end
            }
            ('\'', Some('\\')) => {
                let end = (at + 3..letters.len()).find(|at| letters[*at] == '\'').map_or(letters.len(), |at| at + 1);
                hide(&letters[at..end], &mut [&mut code, &mut spoken], blank);
                end
            }
            ('\'', Some(_)) if letters.get(at + 2) == Some(&'\'') => {
                hide(&letters[at..at + 3], &mut [&mut code, &mut spoken], blank);
                at + 3
            }
            _ => {
                code.push(letter);
                spoken.push(letter);
                at + 1
            }
        };
        at = end;
    }
    (code, spoken)
}

fn hide(letters: &[char], into: &mut [&mut String], blank: impl Fn(char) -> char) {
    for text in into {
        text.extend(letters.iter().map(|letter| blank(*letter)));
    }
}

fn comment_end(letters: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0_usize, from);
    while at < letters.len() {
        match (letters[at], letters.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn raw_fence(letters: &[char], at: usize) -> Option<usize> {
    let hashes = letters.iter().skip(at + 1).take_while(|letter| **letter == '#').count();
    (letters.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn raw_end(letters: &[char], from: usize, fence: usize) -> usize {
    let closes =
        |at: &usize| letters[*at] == '"' && letters.iter().skip(at + 1).take(fence).filter(|letter| **letter == '#').count() == fence;
    (from..letters.len()).find(closes).map_or(letters.len(), |at| at + 1 + fence)
}

fn string_end(letters: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(letter) = letters.get(at) {
        match letter {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}
