//! Every rule against a planted violation: a rule that finds nothing proves nothing.

use crate::finding::{Finding, exceptions, excused};
use crate::tree::Tree;
use crate::{coverage, described, edges, form, fresh, papers, sites};

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// Exactly these findings, by the front of what they print.
fn found(findings: &[Finding], wanted: &[&str]) {
    let lines = lines(findings);
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.starts_with(wanted), "{line} is not {wanted}");
    }
}

#[test]
fn t01_an_edge_against_the_order_and_a_runtime_in_the_core_are_found() {
    let tree = Tree::planted(&[
        ("crates/store/Cargo.toml", "[dependencies]\ndoorward-core.workspace = true\ndoorward-gateway.workspace = true\n"),
        ("crates/core/Cargo.toml", "[dependencies]\nserde = \"1\"\ntokio.workspace = true\n[dev-dependencies]\ndoorward-testkit = {}\n"),
        ("crates/new/Cargo.toml", "[dependencies]\n"),
    ]);
    found(
        &edges::crates(&tree),
        &[
            "crates/core/Cargo.toml:3: T1: the core stays pure",
            "crates/core/Cargo.toml:5: T1: core must not use doorward-testkit",
            "crates/new/Cargo.toml: T1: add the new crate",
            "crates/store/Cargo.toml:3: T1: store must not use doorward-gateway",
        ],
    );
}

#[test]
fn t02_a_station_that_knows_another_is_found_however_it_is_written() {
    let tree = Tree::planted(&[
        ("crates/gateway/src/session.rs", "//! s\nuse crate::{\n    policy::Final,\n    env::Env,\n};\nuse super::upstream::Way;\n"),
        (
            "crates/gateway/src/policy.rs",
            "//! p\nfn f() { crate::credential::lend(); } // crate::answer\nconst S: &str = \"crate::answer\";\n",
        ),
        ("crates/gateway/src/upstream/mod.rs", "//! u\nuse super::identify::Records;\n"),
        ("crates/gateway/src/upstream/http.rs", "//! h\nuse super::own;\n#[cfg(test)]\nmod tests {\n    use crate::policy::x;\n}\n"),
        ("crates/gateway/src/credential.rs", "//! c\n"),
        ("crates/gateway/src/identify.rs", "//! i\n"),
        ("crates/gateway/src/env.rs", "//! e\n"),
        ("crates/gateway/src/answer.rs", "//! a\n"),
    ]);
    found(
        &edges::rooms(&tree),
        &[
            "crates/gateway/src/policy.rs:2: T2: policy must not import credential: stations",
            "crates/gateway/src/session.rs:2: T2: session must not import policy: stations",
            "crates/gateway/src/session.rs:6: T2: session must not import upstream: stations",
            "crates/gateway/src/upstream/mod.rs:2: T2: upstream must not import identify: stations",
        ],
    );
    assert!(edges::graph(&tree).contains("session    -> env policy upstream\n"));
}

#[test]
fn t03_long_files_functions_and_inline_tests_are_found() {
    let long = format!("//! l\n{}", "const A: u8 = 1;\n".repeat(600));
    let function = format!("//! f\npub async fn f(\n    a: u8,\n) {{\n{}}}\n", "    g();\n".repeat(96));
    let longer = function.replace("g();\n}", "g();\n    g();\n}");
    let tests = format!("//! t\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    const A: u8 = 1;\n".repeat(700));
    let tree = Tree::planted(&[
        ("crates/core/src/a.rs", &long),
        ("crates/core/src/b.rs", &function),
        ("crates/core/src/c.rs", &longer),
        ("crates/core/src/d.rs", &tests),
    ]);
    found(
        &form::sizes(&tree),
        &[
            "crates/core/src/a.rs: T3: 601 lines",
            "crates/core/src/c.rs:2: T3: f has 101 lines",
            "crates/core/src/d.rs:2: T3: 703 lines of tests",
        ],
    );
}

const GUARDED: &str = r#"
[[guarded]]
rule = "T4"
name = "decide"
function = "policy::decide::decide"
find = ["decide::decide("]
not = ["era::decide("]
instead = "no"
[[guarded.site]]
path = "crates/gateway/src/policy.rs"
times = 1
why = "the station"
[[guarded.site]]
path = "crates/gateway/src/gone.rs"
times = 1
why = "was there once"
"#;

#[test]
fn t04_calls_that_are_not_listed_more_than_listed_and_gone_are_found() {
    let call = "//! p\nuse doorward_core::policy::{decide::{Denied, decide}, rules::Rules};\nfn a() { decide(x); decide(y) }\n";
    let tree = Tree::planted(&[
        ("crates/gateway/src/policy.rs", call),
        (
            "crates/gateway/src/other.rs",
            "//! o\nfn a() { policy::decide::decide(x) }\n// decide::decide(\n#[cfg(test)]\nfn t() { decide::decide(x) }\n",
        ),
        ("crates/gateway/src/era.rs", "//! e\nuse doorward_core::session::era;\nfn a() { era::decide(x); self.decide(y); }\n"),
    ]);
    found(
        &sites::judge(&tree, "T4", &sites::list(GUARDED)),
        &[
            "crates/gateway/src/other.rs:2: T4: decide: no",
            "crates/testkit/tests/tidy/sites.toml: T4: decide: crates/gateway/src/policy.rs calls it 2 times, listed: 1",
            "crates/testkit/tests/tidy/sites.toml: T4: decide: remove the site crates/gateway/src/gone.rs",
        ],
    );
}

#[test]
fn t05_a_door_to_the_world_is_found_outside_strings_and_tests() {
    let list = "[[guarded]]\nrule = \"T5\"\nname = \"spawn\"\nfind = [\"tokio::spawn\"]\ninstead = \"use tasks\"\n";
    let text = "//! a\nfn f() { tokio::spawn(x); }\nconst S: &str = r#\"tokio::spawn\"#;\nconst C: char = '\"'; // tokio::spawn\n/* tokio::spawn\n*/ fn g() { my_tokio::spawn(x) }\n";
    let tree = Tree::planted(&[("crates/gateway/src/a.rs", text), ("crates/gateway/src/a/tests.rs", "tokio::spawn(x);")]);
    found(&sites::judge(&tree, "T5", &sites::list(list)), &["crates/gateway/src/a.rs:2: T5: spawn: use tasks"]);
}

#[test]
fn t06_sql_elsewhere_and_an_edited_migration_are_found() {
    let tree = Tree::planted(&[
        ("crates/gateway/src/a.rs", "//! SELECT nothing\nconst Q: &str = \"SELECT 1\";\n"),
        ("crates/store/src/a.rs", "//! s\nconst Q: &str = \"SELECT 1\";\n"),
        ("crates/store/migrations/0001_a.sql", "edited"),
        ("crates/store/migrations/0002_b.sql", "new"),
    ]);
    found(&sites::sql(&tree), &["crates/gateway/src/a.rs:2: T6: SQL"]);
    let promises = "packages = { at_most = 1, reason = \"\" }\nroutes = { table = \"\", public = [] }\n[[migration]]\npath = \"crates/store/migrations/0001_a.sql\"\nsha256 = \"00\"\n";
    found(
        &fresh::migrations(&tree, &fresh::promises(promises)),
        &[
            "crates/store/migrations/0001_a.sql: T6: a released migration was edited",
            "crates/store/migrations/0002_b.sql: T6: list the new migration",
        ],
    );
}

#[test]
fn t07_paths_crates_and_reasons_that_are_not_there_are_found() {
    let paper = "`crates/core/src/a.rs` `crates/core/src/{a,b}.rs` [x](other.md) [y](https://a.test/b.md) `c.rs` `doorward-core` `doorward-ghost`\n\
                 ```\ncrates/gone/src: text\n```\n";
    let code = "//! a\nfn f() { Refusal::new(Station::Listen, \"not_told\", x); }\n";
    let tree = Tree::planted(&[
        ("README.md", paper),
        ("crates/core/src/a.rs", code),
        ("crates/core/Cargo.toml", ""),
        ("docs/http-status.md", "| `long_gone` | 400 |\n"),
    ]);
    found(
        &papers::papers(&tree),
        &[
            "README.md:1: T7: crates/core/src/b.rs does not exist",
            "README.md:1: T7: c.rs does not exist",
            "README.md:1: T7: there is no crate or program doorward-ghost",
            "README.md:1: T7: other.md does not exist",
            "README.md:3: T7: crates/gone/src does not exist",
        ],
    );
    found(
        &papers::reasons(&tree),
        &["crates/core/src/a.rs:2: T7: explain the reason `not_told`", "docs/http-status.md:1: T7: nothing is refused for `long_gone`"],
    );
}

#[test]
fn t08_a_package_too_many_and_a_double_that_is_gone_are_found() {
    let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\n";
    let tree = Tree::planted(&[("Cargo.lock", lock), ("deny.toml", "[bans]\nskip = [{ crate = \"a@1.0.0\" }, { crate = \"b@0.9.0\" }]\n")]);
    let promises = "packages = { at_most = 1, reason = \"long enough to be a reason\" }\nroutes = { table = \"\", public = [] }\n";
    found(&fresh::packages(&tree, &fresh::promises(promises)), &["Cargo.lock: T8: 2 packages, promised: at most 1"]);
    found(&fresh::doubles(&tree), &["deny.toml: T8: b 0.9.0 is not in Cargo.lock"]);
}

#[test]
fn t09_files_without_a_head_allowed_lints_globs_and_promises_are_found() {
    let later = concat!("//! a\n#[allow(dead_code)]\nuse b::*;\n// TO", "DO: later\n// TO", "DO(#12): later\n");
    let tree = Tree::planted(&[("crates/core/src/a.rs", later), ("crates/core/src/b.rs", "use a;\n")]);
    found(
        &form::forms(&tree),
        &[
            "crates/core/src/a.rs:2: T9: write #[expect",
            "crates/core/src/a.rs:3: T9: import by name",
            "crates/core/src/b.rs:1: T9: open with",
            "crates/core/src/a.rs:4: T9: do it now",
        ],
    );
}

#[test]
fn t10_a_generated_file_that_nobody_compares_is_found() {
    let tree = Tree::planted(&[("docs/a.json", "{}"), ("crates/core/src/tests.rs", "nothing")]);
    let promises = "packages = { at_most = 1, reason = \"\" }\nroutes = { table = \"\", public = [] }\n[[generated]]\npath = \"docs/a.json\"\nguard = \"crates/core/src/tests.rs\"\nmark = \"docs/a.json\"\n";
    found(
        &fresh::generated(&tree, &fresh::promises(promises)),
        &["crates/testkit/tests/tidy/promises.toml: T10: crates/core/src/tests.rs no longer compares"],
    );
}

#[test]
fn t11_a_route_that_became_public_and_an_unwalked_table_are_found() {
    let table = "//! r\npub const ROUTES: [(&str, bool); 3] =\n    [(\"/healthz\", true), (\"/mcp\", true), (\"/admin\", false)];\n";
    let tree = Tree::planted(&[("crates/gateway/src/listen/route.rs", table)]);
    let promises = "packages = { at_most = 1, reason = \"\" }\nroutes = { table = \"crates/gateway/src/listen/route.rs\", public = [\"/healthz\", \"/readyz\"] }\n";
    found(
        &fresh::routes(&tree, &fresh::promises(promises)),
        &[
            "crates/gateway/src/listen/route.rs:3: T11: /mcp became public",
            "crates/testkit/tests/tidy/promises.toml: T11: /readyz is no longer public",
            "crates/gateway/src/listen/route.rs: T11: no test walks ROUTES",
        ],
    );
}

#[test]
fn t12_getters_vague_names_and_bool_parameters_are_found() {
    let text = "//! a\npub struct StoreManager;\nfn get_user() {}\npub fn set(\n    name: &str,\n    on: bool,\n) -> bool {\n}\nfn private(on: bool) {\n}\npub fn is() -> bool {\n}\n";
    let tree = Tree::planted(&[("crates/core/src/a.rs", text)]);
    found(
        &form::names(&tree),
        &["crates/core/src/a.rs:3: T12: name what", "crates/core/src/a.rs:4: T12: no bool", "crates/core/src/a.rs:2: T12: StoreManager"],
    );
}

#[test]
fn t13_a_route_or_an_error_that_the_description_lacks_or_has_too_much_is_found() {
    let routes = "//! routes\npub const ROUTES: [(&str, bool); 4] = [\n    (\"/new\", true),\n    (\"/mcp\", false),\n    (\"/both\", true),\n    \
                  (\"/oauth/token\", true),\n];\n";
    let description = r##"{
        "paths": {"/mcp": {}, "/both": {}, "/gone": {}, "/oauth/token": {"$ref": "#/items/t"}}, "x-elsewhere": {"/both": "a page"},
        "items": {"t": {"post": {"responses": {"400": {"$ref": "#/answers/a"}, "415": {"$ref": "#/answers/b"}}}}},
        "answers": {
            "a": {"content": {"application/json": {"schema": {"properties": {"error": {"enum": ["invalid_grant", "invented"]}}}}}},
            "b": {"content": {"application/json": {"schema": {"properties": {"error": {"enum": ["invalid_request"]}}}}}}
        }
    }"##;
    let statuses = "## Registration of clients\n| 201 | | registered |\n## Tokens, revocation, introspection\n| 400 | `invalid_grant` | `x` | y |\n\
                    | 401 | `invalid_client` | `x` | y |\n## Other\n| 500 | `other` | y |\n";
    let tree = Tree::planted(&[
        ("crates/gateway/src/listen/route.rs", routes),
        ("docs/oauth-api.json", description),
        ("docs/http-status.md", statuses),
    ]);
    let promises = "packages = { at_most = 1, reason = \"\" }\nroutes = { table = \"crates/gateway/src/listen/route.rs\", public = [] }\n";
    found(
        &described::described(&tree, &fresh::promises(promises)),
        &[
            "crates/gateway/src/listen/route.rs:3: T13: describe /new",
            "crates/gateway/src/listen/route.rs:4: T13: docs/oauth-api.json describes /mcp, which does not answer everybody",
            "crates/gateway/src/listen/route.rs:5: T13: /both stands in docs/oauth-api.json and in x-elsewhere",
            "docs/oauth-api.json: T13: there is no route /gone",
            "docs/oauth-api.json: T13: say that `invalid_client` is answered with 401",
            "docs/http-status.md: T13: ## Tokens, revocation, introspection: docs/oauth-api.json has `invented` with 400",
        ],
    );
}

#[test]
fn an_exception_covers_what_it_names_and_a_stale_one_is_found() {
    let list = exceptions(
        "[[exception]]\nrule = \"T3\"\npath = \"a.rs\"\nabout = \"f has\"\nreason = \"a table that is read as one\"\n\
         [[exception]]\nrule = \"T3\"\npath = \"b.rs\"\nreason = \"was long once, no more\"\n",
    );
    let findings = vec![Finding::at("a.rs", 0, "T3", "f has 101 lines"), Finding::at("a.rs", 9, "T3", "g has 101 lines")];
    found(
        &excused("T3", &findings, &list),
        &["a.rs:10: T3: g has", "crates/testkit/tests/tidy/exceptions.toml: T3: remove the exception for b.rs"],
    );
}

#[test]
fn coverage_counts_tests_of_the_product_and_believes_no_empty_claim() {
    let areas = coverage::cases(
        "[[area]]\nid = \"SES\"\ntitle = \"s\"\n\
         [[area.case]]\nid = \"SES-01\"\ntitle = \"a\"\ncovered = \"all of it\"\n\
         [[area.case]]\nid = \"SES-02\"\ntitle = \"b\"\n\
         [[area.case]]\nid = \"SES-03\"\ntitle = \"c\"\nopen = \"the wire\"\n\
         [[area.case]]\nid = \"SES-04\"\ntitle = \"d\"\n",
    );
    let tree = Tree::planted(&[
        ("crates/testkit/src/lax/tests.rs", "#[test]\nfn ses_01_the_attacker_works() {\n}\n"),
        (
            "crates/core/src/a.rs",
            "//! a\nfn ses_04_no_test() {\n}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn ses_02_x() {\n    }\n    fn ses_09_y() {\n    }\n}\n",
        ),
        ("scripts/wire.py", "def test_ses_03_over_the_wire():\n    pass\n"),
    ]);
    found(
        &coverage::faults(&tree, &areas),
        &[
            "crates/testkit/tests/tidy/cases.toml: coverage: SES-01 is called covered",
            "crates/testkit/tests/tidy/cases.toml: coverage: SES-02 has tests",
            "crates/core/src/a.rs: coverage: a test names SES-09",
        ],
    );
    let report = coverage::report(&tree, &areas);
    for row in
        ["| SES-03 | c | partly | the wire |", "| SES-04 | d | not yet |  |", "- SES-03 `scripts/wire.py`: test_ses_03_over_the_wire"]
    {
        assert!(report.contains(row), "{row} is not in\n{report}");
    }
}
