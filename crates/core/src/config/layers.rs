//! Which value wins: file < `config.d` < environment < options (product 3.2). Works on trees, so that every value keeps its place.

use super::problem::Problem;
use super::reference::is_variable;
use super::source::{Kind, Place, Source};
use super::tree::{MAX_DEPTH, Member, Node, Value, toml_value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Prefix of the variables that set values.
pub const PREFIX: &str = "DOORWARD_";

/// Lays `over` on `base`: tables merge, everything else is replaced.
pub(super) fn lay(base: &mut Node, over: Node) {
    match (&mut base.value, over) {
        (Value::Table(members), Node { value: Value::Table(more), .. }) => {
            for (key, member) in more {
                match members.get_mut(&key) {
                    Some(present) => lay(&mut present.node, member.node),
                    None => drop(members.insert(key, member)),
                }
            }
        }
        (_, over) => *base = over,
    }
}

/// Reports servers that an earlier file defines too, unless the later one says `override = true`.
pub(super) fn servers_twice(base: &Node, over: &Node, problems: &mut Vec<Problem>) {
    let table = ["server".to_owned()];
    let (Some(Node { value: Value::Table(first), .. }), Some(Node { value: Value::Table(second), .. })) =
        (base.find(&table), over.find(&table))
    else {
        return;
    };
    for (name, member) in second {
        let Some(before) = first.get(name) else { continue };
        let wanted = member.node.find(&["override".to_owned()]).is_some_and(|node| matches!(node.value, Value::Boolean(true)));
        if !wanted {
            let message = format!("the server \"{name}\" is defined twice");
            let label = format!("also at {}", before.key);
            let help = "rename one of them, or write override = true here to change single values of the first";
            problems.push(Problem::new("config.server_twice", message, label, help).at(Some(member.key.clone())));
        }
    }
}

/// A tree of one variable. `None`: the name leads nowhere that a key could be.
pub(super) fn variable(name: &str, text: &str) -> Result<Node, Problem> {
    let source = Arc::new(Source::new(name.to_owned(), Kind::Environment, format!("{name}={text}"), Path::new("").to_owned()));
    let from = name.len() + 1;
    let key = Place::new(&source, 0..name.len());
    let levels = name.strip_prefix(PREFIX).and_then(levels);
    let Some(levels) = levels else {
        let message = format!("{name} is not the name of a key");
        let help = "levels are separated by two underscores: DOORWARD_LISTEN__ADDRESS; all keys: doorward config schema";
        return Err(Problem::new("config.unknown_variable", message, "this variable", help).at(Some(key)));
    };
    let whole = || Place::new(&source, from..from + text.len());
    let value = toml_value(&source, from).unwrap_or_else(|| Node { value: Value::Text(text.to_owned()), place: whole() });
    Ok(wrap(levels, value, &key))
}

/// A tree of one option of the command line.
pub(super) fn option(name: &str, path: &[&str], text: &str, base: &Path) -> Node {
    let source = Arc::new(Source::new(name.to_owned(), Kind::Flag, format!("{name} {text}"), base.to_owned()));
    let from = name.len() + 1;
    let place = Place::new(&source, from..from + text.len());
    let node = Node { value: Value::Text(text.to_owned()), place };
    wrap(path.iter().map(|step| (*step).to_owned()).collect(), node, &Place::new(&source, 0..name.len()))
}

fn wrap(levels: Vec<String>, value: Node, key: &Place) -> Node {
    levels.into_iter().rev().fold(value, |node, level| Node {
        value: Value::Table(BTreeMap::from([(level, Member { key: key.clone(), node })])),
        place: key.clone(),
    })
}

/// `LISTEN__MAX_BODY` is `listen.max_body`; in names of servers `_` stands for `-`; names of variables stay as they are.
fn levels(rest: &str) -> Option<Vec<String>> {
    let mut levels: Vec<String> = Vec::new();
    for part in rest.split("__") {
        // Trees are walked by functions that call themselves: a name may lead no deeper than a file.
        if levels.len() == MAX_DEPTH {
            return None;
        }
        let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let of_server = levels.first().is_some_and(|first| first == "server");
        let level = match levels.len() {
            1 if of_server && plain => part.to_ascii_lowercase().replace('_', "-"),
            3 if of_server && levels.get(2).is_some_and(|level| level == "env") && is_variable(part) => part.to_owned(),
            _ if plain => part.to_ascii_lowercase(),
            _ => return None,
        };
        levels.push(level);
    }
    Some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_become_paths() {
        let path = |name: &str| levels(name).map(|levels| levels.join("."));
        assert_eq!(path("PUBLIC_URL").as_deref(), Some("public_url"));
        assert_eq!(path("LISTEN__MAX_BODY").as_deref(), Some("listen.max_body"));
        assert_eq!(path("SERVER__LEGACY_CRM__URL").as_deref(), Some("server.legacy-crm.url"));
        assert_eq!(path("SERVER__DB__ENV__PGUSER").as_deref(), Some("server.db.env.PGUSER"));
        for bad in ["", "__", "LISTEN__", "__LISTEN", "listen", "LISTEN____ADDRESS", "A.B"] {
            assert_eq!(path(bad), None, "{bad:?}");
        }
        assert!(path(&format!("A{}", "__A".repeat(MAX_DEPTH - 1))).is_some());
        let endless = format!("DOORWARD_A{}", "__A".repeat(20_000));
        assert_eq!(variable(&endless, "1").expect_err("too deep").id, "config.unknown_variable");
    }

    #[test]
    fn a_value_is_a_toml_literal_or_a_text() {
        let read = |text: &str| {
            let node = variable("DOORWARD_STORE__POOL", text).expect("a name");
            node.find(&["store".to_owned(), "pool".to_owned()]).map(|node| format!("{:?}", node.value))
        };
        assert_eq!(read("8").as_deref(), Some("Integer(8)"));
        assert_eq!(read("\"8\"").as_deref(), Some("Text(\"8\")"));
        assert_eq!(read("127.0.0.1:8").as_deref(), Some("Text(\"127.0.0.1:8\")"));
        assert_eq!(read("").as_deref(), Some("Text(\"\")"));
        assert!(read("[\"a\"]").is_some_and(|value| value.starts_with("List")));
    }
}
