//! T13: the description of the OAuth API names every route that there is, and the errors that `docs/http-status.md` tells of. What a
//! gateway answers is held against it by a test of the corridor (methods) and by `scripts/api` (everything).

use crate::finding::Finding;
use crate::fresh::{Promises, routes_of};
use crate::tree::Tree;
use serde_json::Value;
use std::collections::BTreeSet;

/// The description.
const DESCRIPTION: &str = "docs/oauth-api.json";
/// That of the API of administrators: routes that answer nobody but them.
const ADMINISTRATION: &str = "docs/admin-api.json";
/// Where errors are told with their statuses.
const STATUSES: &str = "docs/http-status.md";
/// Tables of errors there, and the endpoints that answer so.
const TABLES: [(&str, &[&str]); 2] = [
    ("## Registration of clients", &["/oauth/register"]),
    ("## Tokens, revocation, introspection", &["/oauth/token", "/oauth/device", "/oauth/revoke", "/oauth/introspect"]),
];
/// Told beside their table: size and type of a form.
const BESIDE: [(&str, &str); 2] = [("413", "invalid_request"), ("415", "invalid_request")];

/// Status and `error`.
type Errors = BTreeSet<(String, String)>;

/// T13.
pub(crate) fn described(tree: &Tree, promises: &Promises) -> Vec<Finding> {
    let Ok(whole) = serde_json::from_str::<Value>(tree.text(DESCRIPTION)) else {
        return vec![Finding::whole(DESCRIPTION, "T13", "this is no JSON")];
    };
    let administration = serde_json::from_str::<Value>(tree.text(ADMINISTRATION)).unwrap_or_default();
    let mut found = routes(tree, (&whole, &administration), &promises.routes.table);
    for (heading, paths) in TABLES {
        let (told, described) = (told(tree.text(STATUSES), heading), errors(&whole, paths));
        let lost =
            told.difference(&described).map(|(status, error)| (DESCRIPTION, format!("say that `{error}` is answered with {status}")));
        let more = described.difference(&told).filter(|(status, error)| !BESIDE.contains(&(status, error)));
        let more =
            more.map(|(status, error)| (STATUSES, format!("{heading}: {DESCRIPTION} has `{error}` with {status}, and the table has not")));
        found.extend(lost.chain(more).map(|(paper, advice)| Finding::whole(paper, "T13", advice)));
    }
    found
}

/// Each route stands in one of the descriptions, or under `x-elsewhere` with what it is; what the first describes is public, what the second
/// describes is not.
fn routes(tree: &Tree, (whole, administration): (&Value, &Value), table: &str) -> Vec<Finding> {
    let names = |of: &Value, member: &str| -> BTreeSet<String> {
        of.get(member).and_then(Value::as_object).map(|members| members.keys().cloned().collect()).unwrap_or_default()
    };
    let (described, elsewhere, administered) = (names(whole, "paths"), names(whole, "x-elsewhere"), names(administration, "paths"));
    let routes = routes_of(tree, table);
    let mut found = Vec::new();
    for (line, route, public) in &routes {
        let places = [(&described, DESCRIPTION), (&elsewhere, "x-elsewhere"), (&administered, ADMINISTRATION)];
        let named: Vec<&str> = places.iter().filter(|(names, _)| names.contains(route)).map(|(_, place)| *place).collect();
        let advice = match (named.as_slice(), public) {
            ([], _) => format!("describe {route} in {DESCRIPTION} or {ADMINISTRATION}, or say under x-elsewhere what it is"),
            ([one, other, ..], _) => format!("{route} stands in {one} and in {other}"),
            ([DESCRIPTION], false) => format!("{DESCRIPTION} describes {route}, which does not answer everybody"),
            ([ADMINISTRATION], true) => format!("{ADMINISTRATION} describes {route}, which answers everybody"),
            _ => continue,
        };
        found.push(Finding::at(table, *line, "T13", advice));
    }
    let of = [(&described, DESCRIPTION), (&elsewhere, DESCRIPTION), (&administered, ADMINISTRATION)];
    let gone = of.iter().flat_map(|(names, place)| names.iter().map(move |path| (path, *place)));
    let gone = gone.filter(|(path, _)| !routes.iter().any(|(_, route, _)| route == *path));
    found.extend(gone.map(|(path, place)| Finding::whole(place, "T13", format!("there is no route {path} any more"))));
    found
}

/// The errors of a table: the first two columns of its rows.
fn told(paper: &str, heading: &str) -> Errors {
    let lines = paper.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    lines
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (status, error) = (cells.next()?, cells.next()?);
            status.parse::<u16>().ok()?;
            Some((status.to_owned(), error.strip_prefix('`')?.strip_suffix('`')?.to_owned()))
        })
        .collect()
}

/// The errors that the description has for these paths.
fn errors(whole: &Value, paths: &[&str]) -> Errors {
    let mut found = Errors::new();
    for path in paths {
        let operation = &followed(whole, &whole["paths"][*path])["post"];
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let schema = followed(whole, &followed(whole, response)["content"]["application/json"]["schema"]);
            let codes = schema["properties"]["error"]["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            found.extend(codes.map(|code| (status.clone(), code.to_owned())));
        }
    }
    found
}

/// What a reference means.
fn followed<'a>(whole: &'a Value, value: &'a Value) -> &'a Value {
    let place = value.get("$ref").and_then(Value::as_str).and_then(|place| place.strip_prefix('#'));
    place.and_then(|place| whole.pointer(place)).unwrap_or(value)
}
