//! How deep a text of rules may nest, found out before anybody reads it.
//!
//! Cedar's parser, and whoever walks through its trees, calls itself for every bracket, operator and attribute; a text with very
//! many of them in a row would end the process instead of being refused. Knows tokens only, and counts generously: the measure
//! is never less than the depth of the tree.

/// Levels that a rule or a schema may have. A level costs up to 80 KiB of stack while rules are read (measured without
/// optimisation), so this many fit three times into [`STACK`].
pub(super) const LIMIT: usize = 250;

/// Bytes of stack on which rules are read; taken from the system page by page as they are used, and given back.
pub(super) const STACK: usize = 64 << 20;

/// Words that put a level over what stands beside them. As a name of an attribute they are counted, too: too much, never too little.
const WORDS: [&str; 8] = ["if", "then", "else", "in", "has", "like", "is", "when"];

/// One open bracket, or the text outside of all.
#[derive(Default)]
struct Level {
    /// The deepest member that has ended.
    deepest: usize,
    /// The deepest bracket in the present member.
    inner: usize,
    /// Operators of the present member: each may have all others below it.
    operators: usize,
}

/// Why a text is not given to the parser, with the place in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It nests deeper than [`LIMIT`].
    Deep(usize),
    /// A bracket closes another kind, or nothing. The parser would look for its partner on and on.
    Unpaired(usize),
}

/// What keeps `text` from the parser.
pub(super) fn unreadable(text: &str) -> Option<Unreadable> {
    let mut outer: Vec<(char, Level)> = Vec::new();
    let mut level = Level::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let token = token(rest, first);
        rest = rest.get(token..)?;
        match first {
            '(' | '[' | '{' => outer.push((first, std::mem::take(&mut level))),
            ')' | ']' | '}' => {
                let depth = level.depth() + 1;
                level = match (outer.pop(), first) {
                    (Some(('(', level)), ')') | (Some(('[', level)), ']') | (Some(('{', level)), '}') => level,
                    _ => return Some(Unreadable::Unpaired(at)),
                };
                level.inner = level.inner.max(depth);
                // What follows a bracket may belong to it: an index, another clause.
                level.operators += 1;
            }
            ',' | ';' => level = Level { deepest: level.depth(), ..Level::default() },
            '/' if token > 1 => {}
            '"' => {}
            '<' | '>' | '&' | '|' | '=' | '!' | '+' | '-' | '*' | '.' | ':' | '?' => level.operators += 1,
            _ if WORDS.contains(&text.get(at..at + token)?) => level.operators += 1,
            _ => {}
        }
        // Outside of brackets each member is a rule of its own; how deep an earlier one was has been looked at.
        if outer.is_empty() && matches!(first, ';') {
            level = Level::default();
        }
        if outer.len() + level.depth() > LIMIT {
            return Some(Unreadable::Deep(at));
        }
    }
    None
}

/// The bytes of the token at the beginning of `rest`.
fn token(rest: &str, first: char) -> usize {
    match first {
        '/' if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
        '"' => {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(at, _)| at + 1)
        }
        c if c.is_alphanumeric() || c == '_' => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
        '&' if rest.starts_with("&&") => 2,
        '|' if rest.starts_with("||") => 2,
        ':' if rest.starts_with("::") => 2,
        c => c.len_utf8(),
    }
}

// === impl Level ===

impl Level {
    const fn depth(&self) -> usize {
        let present = self.inner + self.operators;
        if present > self.deepest { present } else { self.deepest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(condition: &str) -> String {
        format!("@id(\"r\") permit (principal, action, resource) when {{ {condition} }};\n")
    }

    #[test]
    fn what_stands_beside_each_other_is_not_deep() {
        let names: Vec<String> = (0..5000).map(|n| format!("\"{n}((((&&\"")).collect();
        let many: String = (0..500).map(|_| rule("context.level == \"oauth\" && !(resource.name like \"a*\")")).collect();
        let comment = format!("// {}\n{}", "(".repeat(500), rule("true"));
        for text in [rule(&format!("[{}].contains(resource.name)", names.join(", "))), many, comment, rule(r#""\"((((" == "\\""#)] {
            assert_eq!(unreadable(&text), None);
        }
        assert_eq!(unreadable(super::super::schema::BUILTIN), None);
    }

    #[test]
    fn every_way_down_is_seen() {
        let n = LIMIT + 1;
        let below = |inner: &str, after: &str| (0..n / 8).fold("true".to_owned(), |text, _| format!("({inner}{text}{})", after.repeat(8)));
        for deep in [
            format!("{}true{}", "(".repeat(n), ")".repeat(n)),
            format!("{}true", "!".repeat(n)),
            format!("true{}", " && true".repeat(n)),
            format!("true{}", " || true".repeat(n)),
            format!("1{} == 1", " + 1".repeat(n)),
            format!("context{}", ".a".repeat(n)),
            format!("context{}", "[\"a\"]".repeat(n)),
            format!("context has a{}", ".a".repeat(n)),
            format!("{}true{}", "if true then ".repeat(n), " else true".repeat(n)),
            format!("{}{}", "[".repeat(n), "]".repeat(n)),
            format!("{}1{}", "{a: ".repeat(n), "}".repeat(n)),
            // Deep because of what follows the brackets, which on their own are few.
            below("", " && true"),
        ] {
            // Cedar ends a comment at CR, too.
            for text in [rule(&deep), rule(&format!("true // \r && {deep}"))] {
                let Some(Unreadable::Deep(place)) = unreadable(&text) else { panic!("not seen: {text}") };
                assert!(place > 40, "the place lies in the condition: {place}");
            }
        }
        let clauses = format!("@id(\"r\") permit (principal, action, resource) {};", "when { true } ".repeat(n));
        assert!(matches!(unreadable(&clauses), Some(Unreadable::Deep(_))));
    }

    #[test]
    fn brackets_that_do_not_pair_are_named() {
        for bad in ["f(], f(], f(]", "(]", ")", "true }", "[(])"] {
            assert!(matches!(unreadable(&rule(bad)), Some(Unreadable::Unpaired(_))), "{bad}");
        }
        assert_eq!(unreadable("permit ((("), None, "what stays open is the parser's to tell");
    }
}
