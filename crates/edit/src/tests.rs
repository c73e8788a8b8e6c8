//! Entries in all three languages and many hands: what an edit makes of them, and that it is taken back to the byte.

use crate::{Change, Fault, Form, Patch, Put, Step, literal, rewrite};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

const ANCHORS: &[&str] = &["command", "cmd", "url"];
const DROP: &[&str] = &["command", "cmd", "args", "env", "url", "headers", "type", "http_headers"];

fn path(text: &str) -> Vec<Step> {
    text.split('/').map(|part| part.parse().map_or_else(|_| Step::Key(part.to_owned()), Step::At)).collect()
}

fn put() -> Vec<(&'static str, Put)> {
    vec![("command", Put::Text("/bin/doorward".to_owned())), ("args", Put::List(vec!["bridge".to_owned(), "x".to_owned()]))]
}

fn edited(form: Form, text: &str, at: &str) -> Result<String, Fault> {
    let put = put();
    let change = Change { anchors: ANCHORS, drop: DROP, put: &put };
    let rewrite = rewrite(form, text, &path(at), &change)?;
    let after = rewrite.patch.apply(text);
    let inverse = rewrite.patch.inverse(text);
    assert_eq!(inverse.apply(&after), text, "taken back");
    assert_eq!(inverse.inverse(&after), rewrite.patch, "the inverse of the inverse");
    let hull = rewrite.hull.clone();
    for piece in rewrite.patch.pieces() {
        assert!(piece.range.start >= hull.start && piece.range.end <= hull.end, "{piece:?} is outside of {hull:?} in {text}");
    }
    let moved = rewrite.patch.moved(&hull);
    assert_eq!(after.get(..moved.start), text.get(..hull.start), "before the entry");
    assert_eq!(after.get(moved.end..), text.get(hull.end..), "behind the entry");
    Ok(after)
}

#[track_caller]
fn becomes(form: Form, at: &str, before: &str, after: &str) {
    assert_eq!(edited(form, before, at).as_deref(), Ok(after), "{before}");
}

#[test]
fn json_keeps_comments_commas_and_indentation() {
    becomes(
        Form::Json,
        "mcpServers/x",
        "// head\n{\n  \"mcpServers\": {\n    \"x\": { // mine\n      \"type\": \"stdio\", // how\n      \"command\": \"npx\", // what\n      \"args\": [\"-y\"],\n      \"timeout\": 5, // s\n      \"env\": {\"A\": \"b\"},\n    },\n    \"y\": {}\n  }\n}\n",
        "// head\n{\n  \"mcpServers\": {\n    \"x\": { // mine\n // how\n      \"command\": \"/bin/doorward\",\n      \"args\": [\"bridge\", \"x\"], // what\n      \"timeout\": 5, // s\n    },\n    \"y\": {}\n  }\n}\n",
    );
    becomes(
        Form::Json,
        "m/x",
        "{\"m\":{\"x\":{\"command\":\"npx\",\"args\":[\"-y\"],\"env\":{\"A\":\"b\"}}}}",
        "{\"m\":{\"x\":{\"command\":\"/bin/doorward\", \"args\":[\"bridge\", \"x\"]}}}",
    );
    becomes(
        Form::Json,
        "m/x",
        "\u{feff}{\r\n\t\"m\": {\r\n\t\t\"x\": {\r\n\t\t\t\"url\": \"https://a\",\r\n\t\t\t\"headers\": {}\r\n\t\t}\r\n\t}\r\n}",
        "\u{feff}{\r\n\t\"m\": {\r\n\t\t\"x\": {\r\n\t\t\t\"command\": \"/bin/doorward\",\r\n\t\t\t\"args\": [\"bridge\", \"x\"]\r\n\t\t}\r\n\t}\r\n}",
    );
    becomes(
        Form::Json,
        "m/x",
        "{\"m\": {\"x\": {\"args\": [], /* a */ \"env\": {}, \"command\": \"c\", \"keep\": 1, \"type\": \"t\"}}}",
        "{\"m\": {\"x\": { /* a */ \"command\": \"/bin/doorward\", \"args\": [\"bridge\", \"x\"], \"keep\": 1}}}",
    );
}

#[test]
fn json_that_means_two_things_is_not_edited() {
    for (text, fault) in [
        ("{\"m\": {\"x\": {\"command\": \"a\"}, \"x\": {\"command\": \"b\"}}}", Fault::Twice),
        ("{\"m\": {}, \"m\": {\"x\": {\"command\": \"b\"}}}", Fault::Twice),
        ("{\"m\": {\"x\": {\"command\": \"a\", \"command\": \"b\"}}}", Fault::Twice),
        ("{\"m\": {\"x\": {\"command\": \"a\", \"c\\u006fmmand\": \"b\"}}}", Fault::Twice),
        ("{\"m\": {\"x\": 5}}", Fault::Form),
        ("{\"m\": {\"x\": {\"other\": 5}}}", Fault::Form),
        ("{\"m\": {}}", Fault::Missing),
        ("{\"m\": [}", Fault::Broken),
        ("{\"m\": {\"x\": {\"command\": \"a\" /* }}", Fault::Broken),
        ("", Fault::Broken),
    ] {
        assert_eq!(edited(Form::Json, text, "m/x"), Err(fault), "{text}");
    }
    assert_eq!(edited(Form::Json, &"[".repeat(100_000), "m/x"), Err(Fault::Broken));
}

#[test]
fn toml_in_tables_dots_and_braces() {
    becomes(
        Form::Toml,
        "mcp_servers/x",
        "# head\nmodel = \"m\"\n\n[mcp_servers.x] # mine\n# what\ncommand = \"npx\" # c\nargs = [\n  \"-y\", # yes\n]\ntimeout = 5\n\n[mcp_servers.x.env] # e\nA = \"b\"\n# end\n\n[other]\na = 1\n",
        "# head\nmodel = \"m\"\n\n[mcp_servers.x] # mine\n# what\ncommand = \"/bin/doorward\" # c\nargs = [\"bridge\", \"x\"]\ntimeout = 5\n\n# end\n\n[other]\na = 1\n",
    );
    becomes(
        Form::Toml,
        "mcp_servers/x",
        "[mcp_servers]\nx.command = 'npx'\nx.args=['y']\nx.env.A = \"b\"\ny = {command=\"c\"}",
        "[mcp_servers]\nx.command = \"/bin/doorward\"\nx.args = [\"bridge\", \"x\"]\ny = {command=\"c\"}",
    );
    becomes(
        Form::Toml,
        "mcp_servers/x",
        "mcp_servers = { x = { url = \"https://a\", http_headers = { A = \"b\" } }, y = {} }",
        "mcp_servers = { x = { command = \"/bin/doorward\", args = [\"bridge\", \"x\"] }, y = {} }",
    );
    becomes(
        Form::Toml,
        "mcp_servers/1",
        "[[mcp_servers]]\nname = \"a\"\ncommand = \"c\"\n[[mcp_servers]]\r\nname = \"b\"\r\nurl = \"https://b\"\r\n[mcp_servers.headers]\r\nA = \"b\"",
        "[[mcp_servers]]\nname = \"a\"\ncommand = \"c\"\n[[mcp_servers]]\r\nname = \"b\"\r\ncommand = \"/bin/doorward\"\r\nargs = [\"bridge\", \"x\"]\r\n",
    );
    becomes(
        Form::Toml,
        "m/x",
        "\u{feff}[m.\"x\"]\ncommand = \"c\"",
        "\u{feff}[m.\"x\"]\ncommand = \"/bin/doorward\"\nargs = [\"bridge\", \"x\"]",
    );
    assert_eq!(edited(Form::Toml, "[m.x]\ncommand = \"a\"\ncommand = \"b\"\n", "m/x"), Err(Fault::Twice));
    assert_eq!(edited(Form::Toml, "[m.x\n", "m/x"), Err(Fault::Broken));
    assert_eq!(edited(Form::Toml, "[m.y]\n", "m/x"), Err(Fault::Missing));
}

#[test]
fn yaml_in_blocks_items_and_braces() {
    becomes(
        Form::Yaml,
        "mcpServers/1",
        "# head\nmcpServers:\n  - name: a\n    command: c\n  - name: b # mine\n    type: stdio\n    command: npx # c\n    args:\n      - -y\n      # in\n    env:\n      A: |\n        b\n    timeout: 5\nmore: 1\n",
        "# head\nmcpServers:\n  - name: a\n    command: c\n  - name: b # mine\n    command: \"/bin/doorward\" # c\n    args: [\"bridge\", \"x\"]\n      # in\n    timeout: 5\nmore: 1\n",
    );
    becomes(
        Form::Yaml,
        "extensions/x",
        "extensions:\n  x:\n    type: stdio\n    cmd: uvx\n    args: [a]\n    envs: {}\n  y: {type: builtin}\n",
        "extensions:\n  x:\n    command: \"/bin/doorward\"\n    args: [\"bridge\", \"x\"]\n    envs: {}\n  y: {type: builtin}\n",
    );
    becomes(
        Form::Yaml,
        "l/0",
        "l:\n- type: stdio\n  command: c\n  name: é\n- url: https://b",
        "l:\n- command: \"/bin/doorward\"\n  args: [\"bridge\", \"x\"]\n  name: é\n- url: https://b",
    );
    becomes(
        Form::Yaml,
        "l/1",
        "l:\n- command: c\n- url: https://b",
        "l:\n- command: c\n- command: \"/bin/doorward\"\n  args: [\"bridge\", \"x\"]",
    );
    becomes(
        Form::Yaml,
        "m/x",
        "\u{feff}m: {x: {command: c, env: {A: \"b\"}}, y: 1}\n",
        "\u{feff}m: {x: {command: \"/bin/doorward\", args: [\"bridge\", \"x\"]}, y: 1}\n",
    );
    for text in [
        "a: &a {command: c}\nm:\n  x: *a\n",
        "m:\n  x: &a\n    command: c\n  y: *a\n",
        "a: &a {env: {}}\nm:\n  x:\n    <<: *a\n    command: c\n",
    ] {
        assert_eq!(edited(Form::Yaml, text, "m/x"), Err(Fault::Shared), "{text}");
    }
    assert_eq!(edited(Form::Yaml, "m:\n  x:\n    command: a\n    command: b\n", "m/x"), Err(Fault::Twice));
    assert!(edited(Form::Yaml, "m: [\n", "m/x").is_err());
}

#[test]
fn a_literal_is_what_stands_between_the_quotes() {
    let of = |form, text: &str, at: &str| literal(form, text, &path(at)).map(|range| text.get(range).expect("characters").to_owned());
    assert_eq!(of(Form::Json, "{\"a\": {\"b\": [\"x\", \"y\\\"z\"]}}", "a/b/1").as_deref(), Ok("y\\\"z"));
    assert_eq!(of(Form::Json, "{\"a\": 15}", "a").as_deref(), Ok("15"));
    assert_eq!(of(Form::Toml, "[a]\nb.c = 'x'\n[a.d]\ne = \"y\"\n", "a/d/e").as_deref(), Ok("y"));
    assert_eq!(of(Form::Toml, "a = { b = { c = \"\"\"x\"\"\" } }", "a/b/c").as_deref(), Ok("x"));
    assert_eq!(of(Form::Yaml, "a:\n  - b: plain text\n    c: 'q'\n", "a/0/b").as_deref(), Ok("plain text"));
    assert_eq!(of(Form::Yaml, "é: ü\na: \"ö\"\n", "a").as_deref(), Ok("ö"));
    assert_eq!(of(Form::Json, "{\"a\": {}}", "a"), Err(Fault::Form));
}

#[test]
fn what_is_between_two_texts_is_one_piece() {
    for (before, after) in [("", ""), ("", "x"), ("aa", "a"), ("a\u{e9}b", "a\u{e8}b"), ("aba", "ababa"), ("[x]\n", "[x]\n\n[y]\n")] {
        let patch = Patch::between(before, after);
        assert_eq!(patch.apply(before), after);
        assert_eq!(patch.inverse(before).apply(after), before);
    }
}

/// White space and comments as somebody may have typed them.
fn space() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        3 => Just(" ".to_owned()),
        2 => Just("\n    ".to_owned()),
        1 => Just("\r\n\t".to_owned()),
        1 => Just(" // c, {\" }\n".to_owned()),
        1 => Just("/* , } */".to_owned())
    ]
}

/// An entry in JSON: members in any order, with anything between them.
fn entry() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        Just("\"args\": [\"-y\", \"a,b}\"]"),
        Just("\"env\" :{\"T\":\"s\"}"),
        Just("\"type\":\"stdio\""),
        Just("\"timeout\": 5"),
        Just("\"d\\u0069sabled\": false"),
        Just("\"autoApprove\": [ ]")
    ];
    let members = prop::collection::vec((member, space(), space()), 0..5);
    (members, any::<prop::sample::Index>(), space(), any::<bool>()).prop_map(|(mut members, at, last, trailing)| {
        members.sort_by_key(|(member, ..)| *member);
        members.dedup_by_key(|(member, ..)| *member);
        let place = at.index(members.len() + 1);
        members.insert(place, ("\"command\": \"npx\"", String::new(), " ".to_owned()));
        let texts: Vec<String> = members.iter().map(|(member, before, behind)| format!("{before}{member}{behind}")).collect();
        format!("{{{}{}{last}}}", texts.join(","), if trailing { "," } else { "" })
    })
}

proptest! {
    #[test]
    fn any_entry_of_json_is_edited_and_taken_back(front in space(), x in entry(), y in entry(), behind in space()) {
        let text = format!("{front}{{\"m\": {{\"y\": {y},{behind}\"x\": {x}{behind}}}}}{front}");
        let after = edited(Form::Json, &text, "m/x").map_err(|fault| proptest::test_runner::TestCaseError::fail(format!("{fault}: {text}")))?;
        let root = crate::json::parse(&after).map_err(|_| proptest::test_runner::TestCaseError::fail(format!("broken: {text}\n{after}")))?;
        let names = |root: &crate::tree::Node, at: &str| match &root.at(&path(at)).expect("there").node.value {
            crate::tree::Value::Map(map) => map.members.iter().map(|member| member.name.clone()).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let before = crate::json::parse(&text).expect("valid");
        let kept = |name: &String| matches!(name.as_str(), "timeout" | "disabled" | "autoApprove");
        let mut wanted: Vec<String> = names(&before, "m/x").into_iter().filter(kept).chain(["args".to_owned(), "command".to_owned()]).collect();
        let mut found = names(&root, "m/x");
        wanted.sort();
        found.sort();
        prop_assert_eq!(found, wanted, "{}\n{}", text, after);
        prop_assert!(after.contains(&y), "the neighbour stays");
        prop_assert_eq!(after.matches("// c, {").count(), text.matches("// c, {").count(), "comments stay: {}", after);
    }

    #[test]
    fn no_text_makes_an_edit_panic_or_lose_bytes(text in "[\\[\\]{}\"',:#/*\\\\ \n\r\tmx=.&-]{0,60}", form in prop_oneof![Just(Form::Json), Just(Form::Toml), Just(Form::Yaml)]) {
        drop(edited(form, &text, "m/x"));
        drop(edited(form, &text, "m"));
        drop(literal(form, &text, &path("m/x")));
    }

    #[test]
    fn patches_and_their_inverses(before in "[abé\n]{0,30}", after in "[abé\n]{0,30}") {
        let patch = Patch::between(&before, &after);
        prop_assert_eq!(patch.apply(&before), after.clone());
        prop_assert_eq!(patch.inverse(&before).apply(&after), before);
    }
}
