//! The three languages give one tree, with places, and refuse what is too deep, too much or broken.

use super::{Fault, Form, Node, Position, Value, Why, parse};

fn at(node: &Node, keys: &[&str]) -> (usize, usize) {
    let found = node.path(keys).expect("there");
    (found.at.line, found.at.column)
}

#[test]
fn json_with_comments_has_places() {
    let text =
        "\u{feff}// head\n{\n  /* a */ \"mcpServers\": {\n    \"a\\u00e9\\ud83d\\ude00\": {\"args\": [\"x\", 1, true, null,],},\n  },\n}\n";
    let root = parse(Form::Json, text).expect("reads");
    let entry = root.path(&["mcpServers", "aé😀", "args"]).expect("args");
    assert_eq!((entry.at, entry.items().len()), (Position { line: 4, column: 37 }, 4));
    assert!(matches!(entry.items()[2].value, Value::Bool(true)));
}

#[test]
fn toml_has_places_and_order() {
    let root = parse(Form::Toml, "z = 1\n[mcp_servers.b]\nurl = \"http://é\"\nn = 1.5\n[mcp_servers.a]\nargs = [\"x\"]\n").expect("reads");
    assert_eq!(at(&root, &["mcp_servers", "b", "url"]), (3, 7));
    let names: Vec<&str> = root.child("mcp_servers").expect("table").members().iter().map(|member| member.key.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn yaml_has_places_aliases_and_merges() {
    let text =
        "base: &b\n  env: {A: x}\nmcpServers:\n  - name: one\n    <<: *b\n    on: yes\n    port: 8080\n    'q': \"true\"\n---\nmore: 1\n";
    let root = parse(Form::Yaml, text).expect("reads");
    let one = &root.child("mcpServers").expect("list").items()[0];
    assert_eq!((one.at.line, one.at.column), (4, 5));
    assert!(one.path(&["env", "A"]).is_some_and(|node| node.is_text("x")));
    assert!(matches!(one.child("port").expect("port").value, Value::Number(_)));
    assert!(one.child("q").is_some_and(|node| node.is_text("true")));
    assert!(root.child("more").is_none());
}

#[test]
fn broken_texts_have_a_place() {
    let fault = |form, text: &str| parse(form, text).expect_err("broken");
    assert_eq!(fault(Form::Json, "{\n \"a\": tru\n}"), Fault { why: Why::Syntax, at: Position { line: 2, column: 7 } });
    assert_eq!(fault(Form::Json, "{} {}").at, Position { line: 1, column: 4 });
    assert_eq!(fault(Form::Json, "").at, Position::START);
    assert_eq!(fault(Form::Toml, "a = 1\na = 2\n").at.line, 2);
    assert_eq!(fault(Form::Yaml, "a: 1\n b: [\n").why, Why::Syntax);
}

#[test]
fn scn_03_depth_and_size_are_bounded() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(5000), close.repeat(5000));
    assert_eq!(parse(Form::Json, &deep("[", "]")).expect_err("deep").why, Why::TooDeep);
    assert!(parse(Form::Toml, &format!("a = {}", deep("[", "]"))).is_err());
    assert!(parse(Form::Yaml, &deep("[", "]")).is_err());
    assert_eq!(parse(Form::Json, &format!("[{}]", "0,".repeat(300_000))).expect_err("many").why, Why::TooMany);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
    }
    assert_eq!(parse(Form::Yaml, &bomb).expect_err("bomb").why, Why::TooMany);
}
