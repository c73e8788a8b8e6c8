//! FLT-13: mutated configurations, each refused for its own reason, in TOML and in JSON; and what good ones mean.

mod mutations;

use self::mutations::MUTATIONS;
use super::clients::StaticAuth;
use super::load::{Form, Given, Inputs, Loaded, Text, load};
use super::problem::Problem;
use super::source::Kind;
use super::{Asking, CredentialConfig, KeptArguments, Measure, StoreTarget, Target, Tls, schema};
use crate::id::ClientId;
use crate::identity::issuer::Forms;
use crate::policy::facts::RiskClass;
use crate::screen::{Binary, Mode, Modes};
use std::path::{Path, PathBuf};

fn file(name: &str, form: Form, bytes: impl Into<Vec<u8>>) -> Text {
    Text { name: name.to_owned(), form, bytes: bytes.into(), base: PathBuf::from("/etc/doorward") }
}

fn read(files: Vec<Text>) -> Result<Loaded, Vec<Problem>> {
    load(Inputs { files, default_name: "host".to_owned(), ..Inputs::default() })
}

fn toml(text: &str) -> Result<Loaded, Vec<Problem>> {
    read(vec![file("doorward.toml", Form::Toml, text)])
}

fn with_variables(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<Problem>> {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let files = vec![file("doorward.toml", Form::Toml, text)];
    load(Inputs { files, environment, default_name: "host".to_owned(), ..Inputs::default() })
}

fn ids(problems: &[Problem]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.id).collect()
}

const TEAM: &str = r#"
version = 1
name = "Acme tools"
public_url = "https://mcp.acme.example"

[listen]
address = "0.0.0.0:8443"
tls = { cert = "tls.crt", key = "file:tls.key", min_version = "1.3" }
trusted_proxies = ["10.0.3.0/24"]
hosts = ["mcp.internal:8443"]
origins = ["https://app.acme.example"]
metrics = "127.0.0.1:9464"
max_body = "1MiB"

[store]
url = "postgres://doorward@db.internal/doorward"
password = "cred:db-password"
encryption_key = "env:KEK"
pool = 8

[idp.okta]
issuer = "https://acme.okta.com"
client_id = "0oa1b2c3d4"
client_secret = "file:okta-secret"
groups_claim = "roles"
algs = ["RS256", "ES256"]

[login]
allowed_email_domains = ["acme.example"]
allowed_groups = ["staff"]
admins = ["group:platform-security", "user:okta/00u1"]
session = "8h"

[tokens]
access = "30m"
dpop = "required"

[clients]
metadata_documents = "any"
dynamic_registration = "off"
device_grant = "any"
allow = ["https://app.acme.example/client.json"]
block = ["dwc_bad", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
custom_schemes = ["cursor"]
require_dpop = ["https://app.acme.example/client.json"]
registration_rate = "5/m"

[[clients.static]]
id = "portal"
name = "Portal"
auth = { kind = "secret", secret = "file:portal-secret", method = "post" }
redirect_uris = ["https://portal.acme.example/callback", "cursor://acme/cb"]

[[clients.static]]
id = "tool"
redirect_uris = ["http://127.0.0.1/cb"]

[[clients.static]]
id = "builder"
device_grant = true

[[clients.static]]
id = "nightly"
auth = { kind = "private_key_jwt", jwks = "file:nightly.jwks" }
redirect_uris = []
scopes = ["github:write", "github:read"]

[[clients.static]]
id = "reporter"
auth = { kind = "private_key_jwt", jwks = "https://reporter.acme.example/jwks.json" }
scopes = ["warehouse:read"]
redirect_uris = ["https://reporter.acme.example/callback"]

[server.github]
url = "https://api.githubcopilot.com/mcp/"
title = "GitHub"
credential = { kind = "header", name = "Authorization", value = "file:github-token" }
tools = { allow = ["get_*", "create_issue"], deny = ["get_secret*"], read = ["get_*"], destructive = ["*_delete"] }
visible_to = ["group:engineering", "user:local/alice", "user:https://acme.okta.com/00u1"]
headers = { X-Team = "tools" }

[server.warehouse]
command = ["/opt/mcp/postgres-mcp", "--access-mode=restricted"]
env = { DATABASE_URI = "file:/run/uri" }
limits = { memory = "256MiB", cpu = "0.5" }
sampling = "allow"
arguments = "strict"
foreign_tokens = "off"
screening = { secrets = "flag", binary = "block" }

[screening]
secrets = "block"
arguments = "block"
injection = "block"

[policy]
files = ["policies/*.cedar"]

[limits]
per_user = "100/m"
per_tool = { warehouse__query = "20/m", "github__*" = "5/s" }

[audit]
sink = ["file:/var/log/doorward/audit.jsonl"]
arguments = "none"
durability = "fsync"

[egress]
allow_private = ["10.20.0.0/16"]
"#;

#[test]
fn a_whole_configuration_means_what_it_says() {
    let loaded = toml(TEAM).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let config = &loaded.config;
    assert_eq!(config.public_url.as_ref().map(super::PublicUrl::as_str), Some("https://mcp.acme.example"));
    assert!(matches!(&config.listen.tls, Tls::Here { cert, .. } if cert == &PathBuf::from("/etc/doorward/tls.crt")));
    assert!(matches!(&config.store.target, StoreTarget::Postgres(url) if url.host_str() == Some("db.internal")));
    let github = config.servers.values().find(|server| server.name.as_str() == "github").expect("github");
    assert!(matches!(&github.credential, CredentialConfig::Header { name, .. } if name == "authorization"));
    assert!(github.tools.allowed("get_me") && !github.tools.allowed("get_secret_x") && !github.tools.allowed("merge"));
    assert_eq!(github.tools.class("get_me"), Some(RiskClass::Read));
    assert_eq!(github.tools.class("get_delete"), Some(RiskClass::Read).max(Some(RiskClass::Destructive)));
    assert_eq!(github.tools.class("create_issue"), None);
    assert_eq!((github.elicitation, github.sampling), (Asking::Allowed, Asking::Denied));
    // Tokens of other providers are as all credentials in arguments, unless the server says another thing.
    assert_eq!((github.arguments, github.foreign_tokens), (Measure::Flag, Measure::Refuse));
    let of_all = Modes { secrets: Mode::Block, arguments: Mode::Block, injection: Mode::Block, ..Modes::DEFAULT };
    assert_eq!((github.screening, config.screening), (of_all, of_all));
    let warehouse = config.servers.values().find(|server| server.name.as_str() == "warehouse").expect("warehouse");
    assert!(matches!(&warehouse.target, Target::Stdio(stdio) if stdio.limits.cpu_millis.get() == 500));
    assert_eq!((warehouse.arguments, warehouse.foreign_tokens), (Measure::Refuse, Measure::Off));
    assert_eq!(warehouse.screening, Modes { secrets: Mode::Flag, binary: Binary::Block, ..of_all });
    assert_eq!(config.audit.arguments, KeptArguments::None);
    assert_eq!(config.limits.per_tool.len(), 2);
    let clients = &config.clients;
    assert!(matches!(&clients.fixed[0].auth, StaticAuth::Post(_)) && matches!(&clients.fixed[1].auth, StaticAuth::None));
    assert_eq!(clients.fixed[1].name, "tool");
    assert!(clients.admission.blocks(&ClientId::new("abc").expect("id")), "by its digest");
    insta::assert_snapshot!(sheet(&loaded));
}

#[test]
fn nothing_at_all_is_laptop_mode_with_safe_values() {
    let loaded = read(Vec::new()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(loaded.config.public_url.is_none());
    assert!(loaded.config.listen.address.ip().is_loopback());
    assert!(loaded.config.servers.is_empty());
    insta::assert_snapshot!(sheet(&loaded));
}

#[test]
fn json_means_the_same_as_toml() {
    let value: serde_json::Value = toml::from_str(TEAM).expect("TOML");
    let text = serde_json::to_string_pretty(&value).expect("JSON");
    let json = read(vec![file("doorward.json", Form::Json, text)]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let toml = toml(TEAM).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(json.config.entries(), toml.config.entries());
    assert_eq!(format!("{:?}", json.config), format!("{:?}", toml.config));
}

fn sheet(loaded: &Loaded) -> String {
    let line = |entry: super::show::Entry| {
        let path: Vec<&str> = entry.path.iter().map(String::as_str).collect();
        let origin = loaded.origin(&path).map_or_else(|| "default".to_owned(), |place| place.to_string());
        format!("{} = {}   # {origin}", entry.key(), entry.value)
    };
    loaded.config.entries().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn certificates_of_clients_are_those_of_one_trust_domain() {
    let text = r#"
        public_url = "https://mcp.acme.example"
        [listen]
        tls = { cert = "tls.crt", key = "file:tls.key", client_ca = "mesh.pem" }
        [server.a]
        url = "https://a.example"
        [idp.mesh]
        kind = "spiffe"
        issuer = "spiffe://td"
        svids = ["x509"]
        subject_pattern = ["spiffe://td/ns/agents/*"]
        scopes = ["a:read"]
        [idp.other]
        kind = "spiffe"
        issuer = "spiffe://other"
        jwks = "other.json"
        scopes = ["a:read"]
    "#;
    let loaded = toml(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let Tls::Here { client_ca, .. } = &loaded.config.listen.tls else { panic!("no TLS") };
    assert_eq!(client_ca.as_deref(), Some(Path::new("/etc/doorward/mesh.pem")));
    let forms = |name: &str| loaded.config.issuers.iter().find(|issuer| issuer.rule.name.as_str() == name).map(|found| found.rule.forms);
    assert_eq!((forms("mesh"), forms("other")), (Some(Forms::Certificates), Some(Forms::Tokens)));
    let shown = sheet(&loaded);
    for line in ["listen.tls.client_ca = \"/etc/doorward/mesh.pem\"", "idp.mesh.svids = [\"x509\"]"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn opaque_tokens_of_google_count_beside_its_others_and_in_one_table() {
    let table = |name: &str| {
        format!(
            "[idp.{name}]\nkind = \"google-access-token\"\ndanger_accept_google_access_tokens = true\nclient_ids = [\"c\"]\n\
             subject_pattern = [\"42\"]\nscopes = [\"a:read\"]\n"
        )
    };
    let others = "[server.a]\nurl = \"https://a.example\"\n[idp.people]\nissuer = \"https://accounts.google.com\"\nclient_id = \"c\"\n\
                  client_secret = \"env:S\"\ndomains = [\"acme.example\"]\n[idp.tokens]\nkind = \"google-id-token\"\n\
                  domains = [\"acme.example\"]\nscopes = [\"a:read\"]\n";
    let loaded = toml(&format!("{others}{}", table("opaque"))).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let shown = sheet(&loaded);
    for line in
        ["idp.opaque.danger_accept_google_access_tokens = true", "idp.opaque.tokeninfo = \"https://oauth2.googleapis.com/tokeninfo\""]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let two = toml(&format!("{others}{}{}", table("opaque"), table("again"))).expect_err("whose would a token be?");
    assert_eq!(ids(&two), ["config.idp_issuer"; 2]);
}

#[test]
fn flt_13_every_mutation_is_refused_for_its_own_reason_in_both_forms() {
    assert!(MUTATIONS.len() >= 60);
    for (id, text) in MUTATIONS {
        let in_toml = toml(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(ids(&in_toml), [*id], "{text}\n{in_toml:#?}");
        let value: serde_json::Value = toml::from_str(text).expect("TOML");
        let json = serde_json::to_string_pretty(&value).expect("JSON");
        let in_json = read(vec![file("doorward.json", Form::Json, json)]).err().unwrap_or_else(|| panic!("accepted as JSON: {text}"));
        assert_eq!(ids(&in_json), [*id], "{text}\n{in_json:#?}");
        assert_eq!(in_toml[0].message, in_json[0].message);
        for problem in in_toml.iter().chain(&in_json) {
            let place = problem.place.as_ref().unwrap_or_else(|| panic!("no place: {problem}"));
            let written = place.to_string();
            assert!(written.starts_with("doorward.toml:") || written.starts_with("doorward.json:"), "{written}");
            assert!(!place.span().is_empty(), "{problem}");
            assert!(!problem.help.is_empty() && !problem.label.is_empty() && !problem.message.ends_with('.'), "{problem}");
            let shown = format!("{problem} {}", place.source().shown());
            assert!(!shown.contains("hunter2"), "shows a secret: {shown}");
        }
    }
}

#[test]
fn flt_13_broken_texts_are_refused_with_their_place() {
    let deep = format!("a = {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep_json = format!("{{\"a\": {}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let large = format!("# {}", "x".repeat(10 << 20));
    let cases: Vec<(&str, Form, Vec<u8>)> = vec![
        ("config.syntax", Form::Toml, b"name = ".to_vec()),
        ("config.syntax", Form::Toml, b"name : a".to_vec()),
        ("config.syntax", Form::Toml, b"name = 'a\nx = 1".to_vec()),
        ("config.syntax", Form::Json, b"{\"name\": \"a\",}".to_vec()),
        ("config.syntax", Form::Json, b"// hello\n{}".to_vec()),
        ("config.syntax", Form::Json, b"{} {}".to_vec()),
        ("config.syntax", Form::Json, b"".to_vec()),
        ("config.syntax", Form::Json, b"{\"name\": \"\\ud800\"}".to_vec()),
        ("config.duplicate_key", Form::Toml, b"name = \"a\"\nname = \"b\"".to_vec()),
        ("config.duplicate_key", Form::Toml, b"[listen]\n[listen]".to_vec()),
        ("config.duplicate_key", Form::Toml, b"[server.a]\nurl = \"https://a\"\n[server.a]\nurl = \"https://b\"".to_vec()),
        ("config.duplicate_key", Form::Json, b"{\"name\": \"a\", \"na\\u006de\": \"b\"}".to_vec()),
        ("config.wrong_type", Form::Json, b"{\"name\": null}".to_vec()),
        ("config.wrong_type", Form::Json, b"[]".to_vec()),
        ("config.wrong_type", Form::Toml, b"name = 2026-11-24".to_vec()),
        ("config.byte_order_mark", Form::Toml, b"\xef\xbb\xbfname = \"a\"".to_vec()),
        ("config.byte_order_mark", Form::Json, b"\xef\xbb\xbf{}".to_vec()),
        ("config.not_utf8", Form::Toml, b"name = \"\xff\"".to_vec()),
        ("config.not_utf8", Form::Json, b"{\"name\": \"\xff\"}".to_vec()),
        ("config.too_deep", Form::Toml, deep.into_bytes()),
        ("config.too_deep", Form::Json, deep_json.into_bytes()),
        ("config.too_large", Form::Toml, large.into_bytes()),
    ];
    for (id, form, bytes) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let problems = read(vec![file("doorward.toml", form, bytes)]).err().unwrap_or_else(|| panic!("accepted: {shown}"));
        assert_eq!(problems.first().map(|problem| problem.id), Some(id), "{shown}\n{problems:#?}");
        assert!(problems.iter().all(|problem| problem.place.is_some()), "{shown}\n{problems:#?}");
    }
}

#[test]
fn all_problems_come_at_once_and_in_order() {
    let problems =
        toml("nam = \"a\"\nversion = 1\n[listen]\naddress = \"0.0.0.0:1\"\n[server.A]\nurl = \"http://a.example\"\ntimeout = 5\n")
            .expect_err("broken");
    assert_eq!(
        ids(&problems),
        ["config.unknown_key", "config.laptop_listener", "config.server_name", "config.plain_http", "config.wrong_type"]
    );
    let lines: Vec<usize> = problems.iter().filter_map(|problem| problem.place.as_ref()).map(|place| place.line_column().0).collect();
    assert_eq!(lines, [1, 4, 5, 6, 7]);
}

#[test]
fn a_wrong_public_url_does_not_bring_the_complaints_of_laptop_mode() {
    let problems =
        toml("public_url = 5\n[listen]\naddress = \"0.0.0.0:1\"\ntls = \"proxy\"\ntrusted_proxies = [\"10.0.0.0/8\"]").expect_err("broken");
    assert_eq!(ids(&problems), ["config.wrong_type"]);
}

#[test]
fn later_layers_win_and_every_value_knows_where_it_came_from() {
    let files = vec![
        file("doorward.toml", Form::Toml, "name = \"one\"\n[listen]\naddress = \"127.0.0.1:1\"\nmax_body = \"1MiB\"\n"),
        file("config.d/10.toml", Form::Toml, "name = \"two\"\n[listen]\naddress = \"127.0.0.1:2\"\n"),
        file("config.d/20.json", Form::Json, "{\"server\": {\"a\": {\"url\": \"https://a.example\"}}}"),
    ];
    let environment =
        vec![("DOORWARD_LISTEN__ADDRESS".to_owned(), "127.0.0.1:3".to_owned()), ("DOORWARD_STORE__POOL".to_owned(), "3".to_owned())];
    let options = vec![Given { option: "--listen", path: &["listen", "address"], text: "127.0.0.1:4".to_owned(), base: "/".into() }];
    let loaded = load(Inputs { files, environment, options, default_name: "host".into(), ..Inputs::default() })
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(loaded.config.listen.address.port(), 4);
    assert_eq!(loaded.config.name, "two");
    let origin = |path: &[&str]| loaded.origin(path).map(|place| place.to_string());
    assert_eq!(origin(&["name"]).as_deref(), Some("config.d/10.toml:1:8"));
    assert_eq!(origin(&["listen", "address"]).as_deref(), Some("--listen"));
    assert_eq!(origin(&["listen", "max_body"]).as_deref(), Some("doorward.toml:4:12"));
    assert_eq!(origin(&["store", "pool"]).as_deref(), Some("DOORWARD_STORE__POOL"));
    assert_eq!(origin(&["server", "a", "url"]).as_deref(), Some("config.d/20.json:1:26"));
    assert_eq!(origin(&["limits", "per_user"]), None);
}

#[test]
fn a_server_is_defined_once_or_overridden_in_so_many_words() {
    let two = |second: &str| {
        let first = file("doorward.toml", Form::Toml, "[server.a]\nurl = \"https://a.example\"\ntitle = \"A\"\n");
        read(vec![first, file("config.d/b.toml", Form::Toml, second)])
    };
    assert_eq!(ids(&two("[server.a]\nurl = \"https://b.example\"").expect_err("twice")), ["config.server_twice"]);
    assert_eq!(ids(&two("[server.a]\noverride = false\nurl = \"https://b.example\"").expect_err("twice")), ["config.server_twice"]);
    let loaded = two("[server.a]\noverride = true\nurl = \"https://b.example\"").expect("overridden");
    let server = loaded.config.servers.values().next().expect("a server");
    assert!(matches!(&server.target, Target::Http { url } if url.as_str() == "https://b.example/"));
    assert_eq!(server.title, "A");
}

#[test]
fn variables_that_lead_nowhere_are_errors() {
    for (name, value) in [
        ("DOORWARD_LISTEN_ADDRESS", "127.0.0.1:1"),
        ("DOORWARD_LISTEN__ADRESS", "127.0.0.1:1"),
        ("DOORWARD_", "x"),
        ("DOORWARD_listen__address", "127.0.0.1:1"),
        ("DOORWARD_SERVER__A__URLL", "https://a.example"),
    ] {
        let problems = with_variables("[server.a]\nurl = \"https://a.example\"\n", &[(name, value)]).expect_err(name);
        assert_eq!(ids(&problems), ["config.unknown_variable"], "{name}");
        assert!(problems[0].place.as_ref().is_some_and(|place| place.source().kind() == Kind::Environment && place.to_string() == name));
    }
    let problems = with_variables("", &[("DOORWARD_STORE__ENCRYPTION_KEY", "hunter2hunter2")]).expect_err("literal");
    assert_eq!(ids(&problems), ["config.literal_secret"]);
    assert!(problems[0].place.as_ref().is_some_and(|place| !place.source().shown().contains("hunter2")));
    let problems = with_variables("", &[("DOORWARD_EGRESS__CA", "ca.pem")]).expect_err("relative");
    assert_eq!(ids(&problems), ["config.relative_path"]);
}

#[test]
fn secrets_in_texts_that_cannot_be_parsed_are_covered_too() {
    for (form, text) in [
        (Form::Toml, "[store]\npassword = \"hunter2\n[listen\n"),
        (Form::Toml, "credential = { kind = \"header\", value = \"hunter2\", }}\n"),
        (Form::Toml, "[server.a]\nenv = { PGPASSWORD = \"hunter2\" \n"),
        (Form::Json, "{\"store\": {\"password\": \"hunter2\",}}"),
    ] {
        for problem in read(vec![file("doorward.toml", form, text)]).expect_err("broken") {
            let place = problem.place.as_ref().expect("a place");
            assert!(!place.source().shown().contains("hunter2"), "{}", place.source().shown());
            assert_eq!(place.source().shown().len(), text.len());
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
}

#[test]
fn a_plain_secret_is_allowed_and_named() {
    let loaded = toml("[store]\nencryption_key = \"plain:hunter2hunter2\"").expect("allowed");
    assert_eq!(ids(&loaded.notices), ["config.plain_secret"]);
    let shown = format!("{:?} {:?} {}", loaded.config, loaded.notices, sheet(&loaded));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_published_schema_is_what_is_enforced() {
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/doorward.schema.json");
    let fresh = schema::published();
    if std::env::var_os("DOORWARD_BLESS").is_some() {
        std::fs::write(published, &fresh).expect("written");
    }
    assert_eq!(std::fs::read_to_string(published).ok().as_deref(), Some(fresh.as_str()), "run this test with DOORWARD_BLESS=1");
}

#[test]
fn the_schema_can_be_asked_for_single_tables() {
    let names = |path: &[&str]| schema::keys(path).map(|keys| keys.into_iter().map(|key| key.name).collect::<Vec<_>>());
    assert!(names(&["server"]).is_some_and(|keys| keys.contains(&"credential".to_owned())));
    assert!(names(&["server", "limits"]).is_some_and(|keys| keys.contains(&"memory".to_owned())));
    assert!(names(&["listen", "tls"]).is_some_and(|keys| keys.contains(&"cert".to_owned())));
    assert_eq!(names(&["nothing"]), None);
    assert_eq!(names(&["name"]), None);
}
