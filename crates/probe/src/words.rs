//! What the texts of a tool hold that people do not see, or that is said to the model instead of about the tool. Pure; reads the
//! texts of one definition and knows no server.

use doorward_scan::strange;
use serde_json::Value;

/// Deeper values of a definition are not looked into; so many texts of one are.
const DEPTH: usize = 32;
const TEXTS: usize = 2000;

/// What is said to a model and to nobody else. All lower case, with single spaces.
const ORDERS: [(&str, &str); 23] = [
    ("<important>", "a tag that makes models obey"),
    ("<system>", "a tag that makes models obey"),
    ("[system]", "a tag that makes models obey"),
    ("<|im_start|>", "a mark of a chat format"),
    ("ignore previous instructions", "an order to ignore instructions"),
    ("ignore all previous instructions", "an order to ignore instructions"),
    ("ignore all other instructions", "an order to ignore instructions"),
    ("disregard previous", "an order to ignore instructions"),
    ("disregard all previous", "an order to ignore instructions"),
    ("do not tell the user", "an order to keep silent"),
    ("don't tell the user", "an order to keep silent"),
    ("do not mention", "an order to keep silent"),
    ("don't mention", "an order to keep silent"),
    ("without telling the user", "an order to keep silent"),
    ("without informing the user", "an order to keep silent"),
    ("hide this from the user", "an order to keep silent"),
    ("before using this tool, read", "an order to read something first"),
    ("before using any other tool", "an order about other tools"),
    ("instead of using the", "an order about other tools"),
    ("~/.ssh", "the place of a secret"),
    ("id_rsa", "the place of a secret"),
    ("~/.aws/credentials", "the place of a secret"),
    ("reveal your system prompt", "an order to give away instructions"),
];

/// Something in a text that does not belong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Poison {
    /// Characters that nobody sees; how many, and the first.
    Hidden(usize, char),
    /// Words to a model, and what they are.
    Order(&'static str, &'static str),
}

/// What is wrong with a text.
pub(crate) fn poison(text: &str) -> Vec<Poison> {
    let mut found = Vec::new();
    let hidden: Vec<char> = text.chars().filter(|c| strange(*c) && !matches!(c, '\n' | '\t' | '\r' | '\u{fe0f}')).collect();
    // One joiner may belong to a word or an emoji; a word is hidden in many.
    let joiners = hidden.iter().filter(|c| matches!(c, '\u{200c}' | '\u{200d}')).count();
    if let Some(first) = hidden.iter().find(|c| hidden.len() > 8 || hidden.len() > joiners || !matches!(c, '\u{200c}' | '\u{200d}')) {
        found.push(Poison::Hidden(hidden.len(), *first));
    }
    let plain = plain(text);
    for (words, meaning) in ORDERS {
        if plain.contains(words) && !found.iter().any(|known| matches!(known, Poison::Order(_, known) if *known == meaning)) {
            found.push(Poison::Order(words, meaning));
        }
    }
    found
}

/// A text as a model may read it: without what is hidden, in lower case, with single spaces.
pub(crate) fn plain(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !strange(*c) || c.is_whitespace()).collect();
    seen.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every text in a value, keys of objects included, each with the key under which it stands.
pub(crate) fn texts<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    collect("", value, DEPTH, found);
}

fn collect<'a>(key: &'a str, value: &'a Value, deeper: usize, found: &mut Vec<(&'a str, &'a str)>) {
    if deeper == 0 || found.len() >= TEXTS {
        return;
    }
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Array(items) => items.iter().for_each(|item| collect(key, item, deeper - 1, found)),
        Value::Object(members) => {
            for (key, value) in members {
                found.push(("a key", key));
                collect(key, value, deeper - 1, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name without what makes two names look different to nobody: case, separators, letters of other alphabets that look alike.
pub(crate) fn skeleton(name: &str) -> String {
    let alike = |c: char| match c {
        'а' | 'α' => 'a',
        'е' | 'ε' => 'e',
        'о' | 'ο' | '0' => 'o',
        'р' | 'ρ' => 'p',
        'с' => 'c',
        'х' | 'χ' => 'x',
        'у' => 'y',
        'і' | 'ι' | '1' | 'l' => 'i',
        'ѕ' => 's',
        c => c,
    };
    name.chars().filter(|c| !strange(*c) && !matches!(c, '-' | '_' | '.' | ' ' | '/')).flat_map(char::to_lowercase).map(alike).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_ordering_texts_are_seen() {
        assert_eq!(poison("Adds.\u{e0041}\u{e0042}"), [Poison::Hidden(2, '\u{e0041}')]);
        assert_eq!(poison("red \u{1b}[31m"), [Poison::Hidden(1, '\u{1b}')]);
        assert_eq!(poison("a\u{202e}b"), [Poison::Hidden(1, '\u{202e}')]);
        let order = Poison::Order("do not tell the user", "an order to keep silent");
        assert_eq!(poison("Adds.\n  Do NOT\ttell  the user."), std::slice::from_ref(&order));
        assert_eq!(poison("do n\u{200b}ot tell the user"), [Poison::Hidden(1, '\u{200b}'), order]);
    }

    #[test]
    fn honest_texts_are_left_alone() {
        for honest in [
            "Reads a file.\nSecond line.",
            "Größe 日本 👩\u{200d}💻 ❤\u{fe0f}",
            "Tells the user what the system does. Important: slow.",
            "می\u{200c}خواهم",
        ] {
            assert_eq!(poison(honest), [], "{honest}");
        }
    }

    #[test]
    fn names_that_look_alike_are_one() {
        assert_eq!(skeleton("get_issue"), skeleton("Get-Issue"));
        assert_eq!(skeleton("get_issue"), skeleton("gеt_issuе"));
        assert_ne!(skeleton("get_issue"), skeleton("set_issue"));
    }
}
