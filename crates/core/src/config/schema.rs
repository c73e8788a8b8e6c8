//! The JSON Schema of the configuration, and the walk that holds a tree against it: unknown keys, wrong types, wrong words.
//!
//! There is one description of the form (`file`); what is published and what is enforced come from it.

use super::file::ConfigFile;
use super::problem::{Problem, nearest};
use super::source::{Kind, Place};
use super::tree::{Member, Node, Value};
use super::unready;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Where the schema of format version 1 is published.
pub const ID: &str = "https://doorward.example/schema/v1/doorward.json";

/// The schema, pretty-printed, with a final newline.
#[must_use]
pub fn published() -> String {
    let mut schema = document();
    if let Json::Object(members) = &mut schema {
        members.insert("$id".to_owned(), Json::from(ID));
        members.insert("title".to_owned(), Json::from("Doorward configuration, version 1"));
    }
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Keys with their type and meaning under one path (`server`, `listen.tls`), or at the top; `None` if nothing is there.
#[must_use]
pub fn keys(path: &[&str]) -> Option<Vec<Key>> {
    let root = document();
    let mut at = &root;
    for step in path {
        at = follow(&root, at, step)?;
    }
    let table = table_form(&root, at)?;
    let properties = table.get("properties").and_then(Json::as_object)?;
    let key = |(name, form): (&String, &Json)| Key {
        name: name.clone(),
        form: in_words(&root, form),
        meaning: form.get("description").and_then(Json::as_str).unwrap_or_default().to_owned(),
    };
    Some(properties.iter().map(key).collect())
}

/// A key, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What its value looks like.
    pub form: String,
    /// What it means.
    pub meaning: String,
}

/// Holds a tree against the form. Gives the problems, and the paths of what does not fit.
pub(super) fn hold(tree: &Node) -> (Vec<Problem>, Vec<Vec<String>>) {
    let root = document();
    let mut walk = Walk { root: &root, problems: Vec::new(), misfits: Vec::new() };
    walk.node(tree, &root, &mut Vec::new());
    (walk.problems, walk.misfits)
}

struct Walk<'a> {
    root: &'a Json,
    problems: Vec<Problem>,
    misfits: Vec<Vec<String>>,
}

fn document() -> Json {
    let mut document = schemars::schema_for!(ConfigFile).to_value();
    without_null(&mut document);
    document
}

/// An absent key is absent: `null`, which derived schemas allow for it, is not a value here.
fn without_null(form: &mut Json) {
    if let Json::Object(members) = form {
        if let Some(Json::Array(types)) = members.get_mut("type") {
            types.retain(|name| name != "null");
            if let [one] = types.as_slice() {
                let one = one.clone();
                members.insert("type".to_owned(), one);
            }
        }
        if let Some(Json::Array(forms)) = members.get_mut("anyOf") {
            forms.retain(|form| form.get("type").and_then(Json::as_str) != Some("null"));
            if let [Json::Object(one)] = forms.as_slice() {
                let one = one.clone();
                members.remove("anyOf");
                members.extend(one.into_iter().filter(|(key, _)| key != "description"));
            }
        }
        members.values_mut().for_each(without_null);
    } else if let Json::Array(items) = form {
        items.iter_mut().for_each(without_null);
    }
}

fn resolve<'a>(root: &'a Json, form: &'a Json) -> &'a Json {
    let target = form.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(form)
}

/// The forms that a value may have.
fn choices<'a>(root: &'a Json, form: &'a Json) -> Vec<&'a Json> {
    let form = resolve(root, form);
    match form.get("anyOf").and_then(Json::as_array) {
        Some(forms) => forms.iter().flat_map(|form| choices(root, form)).collect(),
        None => vec![form],
    }
}

fn has_type(form: &Json, name: &str) -> bool {
    match form.get("type") {
        Some(Json::String(one)) => one == name,
        Some(Json::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

fn words(form: &Json) -> Option<Vec<&str>> {
    if let Some(words) = form.get("enum").and_then(Json::as_array) {
        return Some(words.iter().filter_map(Json::as_str).collect());
    }
    if let Some(one) = form.get("const").and_then(Json::as_str) {
        return Some(vec![one]);
    }
    let several = form.get("oneOf").and_then(Json::as_array)?;
    Some(several.iter().filter_map(words).flatten().collect())
}

fn is_text(form: &Json) -> bool {
    has_type(form, "string") || words(form).is_some()
}

fn table_form<'a>(root: &'a Json, form: &'a Json) -> Option<&'a Json> {
    choices(root, form).into_iter().find(|form| has_type(form, "object"))
}

fn follow<'a>(root: &'a Json, form: &'a Json, step: &str) -> Option<&'a Json> {
    let table = table_form(root, form)?;
    let named = table.get("properties").and_then(|properties| properties.get(step));
    let mut next = named.or_else(|| table.get("additionalProperties").filter(|form| form.is_object()))?;
    // A table by name is shown as one of its members.
    if let Some(member) =
        table_form(root, next).and_then(|form| form.get("additionalProperties")).filter(|form| table_form(root, form).is_some())
    {
        next = member;
    }
    Some(next)
}

fn in_words(root: &Json, form: &Json) -> String {
    let forms = choices(root, form);
    let word = |form: &&Json| {
        if let Some(words) = words(form) {
            return words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" | ");
        }
        let name = ["string", "integer", "boolean", "array", "object"].into_iter().find(|name| has_type(form, name));
        match name {
            Some("string") => "text",
            Some("integer") => "number",
            Some("boolean") => "true | false",
            Some("array") => "list of texts",
            _ => "table",
        }
        .to_owned()
    };
    forms.iter().map(word).collect::<Vec<_>>().join(" | ")
}

// === impl Walk ===

impl<'a> Walk<'a> {
    fn node(&mut self, node: &Node, form: &'a Json, path: &mut Vec<String>) {
        let forms = choices(self.root, form);
        let fitting = |fits: &dyn Fn(&Json) -> bool| forms.iter().copied().find(|form| fits(form));
        match &node.value {
            Value::Table(members) => match fitting(&|form| has_type(form, "object")) {
                Some(form) => self.table(members, form, path),
                None => self.wrong_type(node, &forms, path),
            },
            Value::List(items) => match fitting(&|form| has_type(form, "array")).and_then(|form| form.get("items")) {
                Some(form) => {
                    for (at, item) in items.iter().enumerate() {
                        path.push(at.to_string());
                        self.node(item, form, path);
                        path.pop();
                    }
                }
                None => self.wrong_type(node, &forms, path),
            },
            Value::Text(text) => match fitting(&is_text) {
                Some(form) => self.text(node, text, form, path),
                None => self.wrong_type(node, &forms, path),
            },
            Value::Integer(number) => match fitting(&|form| has_type(form, "integer")) {
                Some(form) => self.number(node, *number, form, path),
                None => self.wrong_type(node, &forms, path),
            },
            Value::Boolean(_) if fitting(&|form| has_type(form, "boolean")).is_some() => {}
            Value::Boolean(_) | Value::Float(_) | Value::Date(_) | Value::Null => self.wrong_type(node, &forms, path),
        }
    }

    fn table(&mut self, members: &BTreeMap<String, Member>, form: &'a Json, path: &mut Vec<String>) {
        let properties = form.get("properties").and_then(Json::as_object);
        let any = form.get("additionalProperties").filter(|form| form.is_object());
        if self.unready_kind(members, path) {
            return;
        }
        for (key, member) in members {
            path.push(key.clone());
            match properties.and_then(|properties| properties.get(key)).or(any) {
                Some(form) => self.node(&member.node, form, path),
                None => {
                    let keys: Vec<&str> = properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str).collect();
                    self.unknown_key(key, &member.key, &keys, path);
                }
            }
            path.pop();
        }
    }

    /// A credential of a planned kind is one problem, not one for each of its keys.
    fn unready_kind(&mut self, members: &BTreeMap<String, Member>, path: &[String]) -> bool {
        let Some(Member { node: Node { value: Value::Text(kind), place }, .. }) = members.get("kind") else { return false };
        let mut at = path.to_vec();
        at.push("kind".to_owned());
        let unready = unready::is_unready_value(&at, kind);
        if unready {
            self.unready_value(kind, place, &at);
            self.misfits.push(path.to_vec());
        }
        unready
    }

    fn unready_value(&mut self, text: &str, place: &Place, path: &[String]) {
        let message = format!("{} = \"{text}\" is not available in this version", written(path));
        let key = path.last().map(String::as_str).unwrap_or_default();
        let help =
            format!("choose another {key}, or use a version of Doorward that has it; the choices: doorward config schema {}", parent(path));
        self.problems.push(Problem::new("config.not_available", message, "not available in this version", help).at(Some(place.clone())));
    }

    fn unknown_key(&mut self, key: &str, place: &Place, known: &[&str], path: &[String]) {
        self.misfits.push(path.to_vec());
        let shown = escaped(key);
        let schema =
            format!("all keys: doorward config schema{}", if path.len() > 1 { format!(" {}", parent(path)) } else { String::new() });
        let problem = if unready::is_unready_key(path) {
            let message = format!("{} is not available in this version", written(path));
            let help = format!("remove it, or use a version of Doorward that has it; {schema}");
            Problem::new("config.not_available", message, "not available in this version", help)
        } else {
            let near = nearest(&key.replace('-', "_").to_lowercase(), known.iter().copied());
            let help = near.map_or_else(|| schema.clone(), |near| format!("did you mean \"{near}\"?   {schema}"));
            let (id, message) = if place.source().kind() == Kind::Environment {
                ("config.unknown_variable", format!("{} sets {}, and there is no such key", place.source().name(), written(path)))
            } else if path.len() > 1 {
                (
                    "config.unknown_key",
                    format!("there is no key \"{shown}\" in {}", written(path.get(..path.len() - 1).unwrap_or_default())),
                )
            } else {
                ("config.unknown_key", format!("there is no key \"{shown}\""))
            };
            Problem::new(id, message, "unknown", help)
        };
        self.problems.push(problem.at(Some(place.clone())));
    }

    fn text(&mut self, node: &Node, text: &str, form: &Json, path: &[String]) {
        let Some(words) = words(form) else { return };
        if words.contains(&text) {
            return;
        }
        self.misfits.push(path.to_vec());
        if unready::is_unready_value(path, text) {
            self.unready_value(text, &node.place, path);
            return;
        }
        let choices = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let help = match nearest(&text.to_lowercase(), words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?   the choices: {choices}"),
            None => format!("the choices: {choices}"),
        };
        let message = format!("{} cannot be \"{}\"", written(path), escaped(text));
        self.problems.push(Problem::new("config.unknown_value", message, "none of the choices", help).at(Some(node.place.clone())));
    }

    fn number(&mut self, node: &Node, number: i64, form: &Json, path: &[String]) {
        let least = form.get("minimum").and_then(Json::as_i64).unwrap_or(0);
        if number >= least && u32::try_from(number).is_ok() {
            return;
        }
        self.misfits.push(path.to_vec());
        let message = format!("{} cannot be {number}", written(path));
        let help = format!("a whole number from {least} to {}", u32::MAX);
        self.problems.push(Problem::new("config.out_of_range", message, "out of range", help).at(Some(node.place.clone())));
    }

    fn wrong_type(&mut self, node: &Node, forms: &[&Json], path: &[String]) {
        self.misfits.push(path.to_vec());
        let root = self.root;
        let wanted = forms.iter().map(|form| in_words(root, form)).collect::<Vec<_>>().join(" or ");
        let help = match (&node.value, forms.iter().any(|form| is_text(form))) {
            (Value::Null, _) => "leave the key out to get its default".to_owned(),
            (Value::Integer(number), true) => format!("it wants {wanted}: write it in quotes, with its unit if it has one: \"{number}\""),
            (Value::Text(text), false) if forms.iter().any(|form| has_type(form, "integer")) && text.parse::<u32>().is_ok() => {
                format!("it wants a number: write {text} without quotes")
            }
            (Value::Text(_), false) if forms.iter().any(|form| has_type(form, "array")) => "it wants a list: write [\"...\"]".to_owned(),
            _ => format!("it wants {wanted}"),
        };
        let message = format!("{} cannot be {}", written(path), node.value.kind());
        self.problems.push(Problem::new("config.wrong_type", message, node.value.kind(), help).at(Some(node.place.clone())));
    }
}

/// A path as it would be written in TOML.
pub(super) fn written(path: &[String]) -> String {
    let mut text = String::new();
    for (at, step) in path.iter().enumerate() {
        let bare = !step.is_empty() && step.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let of_names = at == 1 && path.first().is_some_and(|first| first == "server");
        if at > 0 && !of_names && !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()) {
            text.push_str(&format!("[{step}]"));
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        if bare { text.push_str(step) } else { text.push_str(&format!("\"{}\"", escaped(step))) }
    }
    if text.is_empty() { "the configuration".to_owned() } else { text }
}

fn parent(path: &[String]) -> String {
    let before = path.get(..path.len().saturating_sub(1)).unwrap_or_default();
    let mut steps: Vec<&str> = before.iter().map(String::as_str).collect();
    if steps.first() == Some(&"server") && steps.len() > 1 {
        steps.remove(1);
    }
    steps.join(".")
}

/// Text from a file, inert on a terminal and not endless.
pub(super) fn escaped(text: &str) -> String {
    let cut: String = text.chars().take(64).collect();
    let more = if cut.len() < text.len() { ".." } else { "" };
    let inert = cut.chars().flat_map(|c| if is_inert(c) { vec![c] } else { c.escape_unicode().collect() });
    inert.collect::<String>() + more
}

pub(super) fn is_inert(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{e0000}'..='\u{e007f}')
}
