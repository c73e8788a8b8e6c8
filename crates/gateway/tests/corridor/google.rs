//! CLD: calls go to Google as the account that the configuration says, and as nobody else, whatever Google answers.

use super::house::{Directory, House, Key, LAPTOP, server};
use super::scripted::{Scripted, whole};
use super::speak::{legacy_call, modern_call};
use super::wire::Reply;
use doorward_core::id::ServerName;
use doorward_gateway::credential::Till;
use doorward_gateway::setup::{self, PROVIDER_PATIENCE};
use doorward_gateway::sources::Sources;
use doorward_gateway::sources::env::Variables;
use doorward_gateway::tasks::Tasks;
use doorward_testkit::google::{Fault, Google, KEYED, MACHINE, Part, SUBJECT, Whose};
use serde_json::{Value, json};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const READER: &str = "reader@corp-data.iam.gserviceaccount.com";
const WRITER: &str = "writer@corp-data.iam.gserviceaccount.com";
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery.readonly";
/// Every token of the fake begins so, and its error bodies are full of the second.
const CANARIES: [&str; 3] = ["ya29.canary-of-google", "canary of", SUBJECT];

/// A server with one tool that reads and one that writes.
async fn upstream() -> Scripted {
    let tools = json!([
        {"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
        {"name": "put", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": false, "destructiveHint": false}},
    ]);
    Scripted::at_once(move |asked| whole(&asked.plainly(&tools).unwrap_or_default())).await
}

fn credential(kind: &str, more: &str) -> String {
    format!("credential = {{ kind = \"{kind}\", {more} }}")
}

/// Reading tools go as one account, writing ones as another.
fn by_class(source: &str) -> String {
    let row = |tools: &str, account: &str, scope: &str| {
        format!("{{ tools = \"{tools}\", service_account = \"{account}\", scopes = \"{scope}\" }}")
    };
    let rows = [row("read", READER, SCOPE), row("write", WRITER, "https://www.googleapis.com/auth/bigquery")];
    credential("gcp-impersonate", &format!("source = \"{source}\", map = [{}]", rows.join(", ")))
}

async fn house(google: &Google, upstream: &Scripted, credential: &str) -> House {
    House::open(&format!("{}{}", google.endpoints(), server("alpha", &upstream.url(), credential))).await
}

/// A file in a directory of its own that nobody else can read.
fn file(directory: &Directory, name: &str, content: &Value) -> PathBuf {
    let path = directory.path().join(name);
    write(&path, content, 0o600);
    path
}

fn write(path: &Path, content: &Value, mode: u32) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path).expect("a file");
    file.write_all(format!("{content:#}\n").as_bytes()).expect("written");
}

/// Whose each call of a tool was that the server heard.
fn whose(google: &Google, upstream: &Scripted, tool: &str, header: &str) -> Vec<Whose> {
    let calls = upstream.calls("tools/call");
    let of_tool = calls.iter().filter(|asked| asked.json()["params"]["name"] == tool);
    of_tool.map(|asked| google.whose(asked.field(header).expect("a credential")).expect("a token of Google")).collect()
}

async fn call(house: &House, key: &Key, tool: &str) -> Reply {
    house.ask(modern_call(key, "alpha", 1, tool, json!({}))).await
}

fn failed(reply: &Reply) -> bool {
    reply.status == 200 && reply.result()["isError"] == true
}

fn went(reply: &Reply) -> bool {
    reply.status == 200 && reply.result()["isError"] != true && reply.result()["content"].is_array()
}

/// Time goes by for everybody.
fn pass(house: &House, google: &Google, seconds: u32) {
    house.shift.by(i64::from(seconds));
    google.pass(u64::from(seconds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_01_each_class_of_tool_goes_as_its_account_with_its_scopes_and_lifetime() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    google.allow(MACHINE, READER);
    google.allow(MACHINE, WRITER);
    let house = house(&google, &upstream, &by_class("metadata")).await;
    house.approve().await;
    let key = house.full("alice").await;
    let session = house.session(&key, "alpha").await;
    for tool in ["look", "put"] {
        assert!(went(&call(&house, &key, tool).await));
        let reply = house.ask(legacy_call(&key, "alpha", &session, 7, tool, json!({}))).await;
        assert!(went(&reply), "{}", reply.text());
    }
    for (tool, account, scope) in [("look", READER, SCOPE), ("put", WRITER, "https://www.googleapis.com/auth/bigquery")] {
        let seen = whose(&google, &upstream, tool, "authorization");
        assert_eq!(seen.len(), 2, "in both eras");
        for one in seen {
            assert_eq!((one.identity.as_str(), one.scopes.as_slice()), (account, &[scope.to_owned()][..]));
            assert_eq!((one.by.as_deref(), one.lifetime.as_deref()), (Some(MACHINE), Some("600s")));
        }
    }
    let ids: Vec<String> = house.records().iter().filter_map(|record| record["id"].as_str().map(str::to_owned)).collect();
    for asked in upstream.calls("tools/call") {
        let reason = asked.field("x-goog-request-reason").and_then(|text| text.strip_prefix("doorward/")).expect("a reason");
        assert!(ids.iter().any(|id| id == reason), "the logs of Google name the record: {reason}");
    }
    for asked in upstream.seen() {
        let one = google.whose(asked.field("authorization").expect("a credential")).expect("a token of Google");
        assert_ne!(one.identity, MACHINE, "the gateway's own token is for IAM alone");
    }
    assert_eq!(google.count(Part::Iam, "generateAccessToken"), 2 + 1, "one for each account, and one of whoever approved");
    let records = house.records();
    let of = |kind: &str, account: &str| {
        let named = |record: &&Value| record["kind"] == kind && record["principal"].as_str().is_some_and(|text| text.starts_with(account));
        records.iter().filter(named).count()
    };
    assert!(of("intent", WRITER) >= 2 && of("outcome", WRITER) >= 2 && of("outcome", READER) >= 2, "planned and acting");
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_06_no_row_or_one_that_is_off_is_nobody_and_never_the_gateway_itself() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    google.allow(MACHINE, READER);
    google.allow(MACHINE, WRITER);
    let rows = [
        format!("{{ tools = \"read\", users = \"local/bob\", service_account = \"{WRITER}\", scopes = \"w\", enabled = false }}"),
        format!("{{ tools = \"read\", service_account = \"{READER}\", scopes = \"{SCOPE}\" }}"),
    ];
    let rows = format!("source = \"metadata\", map = [{}]", rows.join(", "));
    let house = house(&google, &upstream, &credential("gcp-impersonate", &rows)).await;
    // The gateway itself is nobody: what is written for somebody, on or off, is nothing for it.
    house.approve().await;
    let looked: Vec<_> = upstream.seen().iter().filter_map(|asked| asked.field("authorization").map(str::to_owned)).collect();
    assert!(!looked.is_empty());
    for one in looked {
        assert_eq!(google.whose(&one).expect("a token of Google").identity, READER);
    }
    house.close(&CANARIES).await;

    let rows = [
        format!("{{ tools = \"read\", service_account = \"{READER}\", scopes = \"{SCOPE}\" }}"),
        format!("{{ tools = \"write\", users = \"local/bob\", service_account = \"{WRITER}\", scopes = \"w\", enabled = false }}"),
        format!("{{ tools = \"write\", users = [\"local/bob\", \"local/carol\"], service_account = \"{WRITER}\", scopes = \"w\" }}"),
    ];
    let rows = format!("source = \"metadata\", map = [{}]", rows.join(", "));
    let house = self::house(&google, &upstream, &credential("gcp-impersonate", &rows)).await;
    house.approve().await;
    let (alice, bob, carol) = (house.full("alice").await, house.full("bob").await, house.full("carol").await);
    for key in [&alice, &bob, &carol] {
        assert!(went(&call(&house, key, "look").await));
    }
    upstream.forget();
    google.forget();
    for (key, why) in [(&alice, "no row fits her"), (&bob, "the first row that fits him is off, and the next one would do")] {
        let reply = call(&house, key, "put").await;
        assert!(failed(&reply), "{why}: {}", reply.text());
        assert!(!reply.text().contains("gserviceaccount"), "accounts are the administrator's to know");
        assert_eq!(house.last_reason_of_calls(), "account_not_mapped", "{why}");
    }
    assert_eq!((upstream.calls("tools/call").len(), google.asked().len()), (0, 0), "nothing was asked of anybody");
    assert!(went(&call(&house, &carol, "put").await));
    assert_eq!(whose(&google, &upstream, "put", "authorization").first().map(|one| one.identity.clone()), Some(WRITER.to_owned()));
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_01_two_users_with_two_accounts_never_share_a_token() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    google.allow(MACHINE, READER);
    google.allow(MACHINE, WRITER);
    let rows = format!(
        "source = \"metadata\", map = [{{ users = \"local/alice\", catalogue = true, service_account = \"{READER}\", scopes = \"{SCOPE}\" }}, \
         {{ users = \"local/bob\", service_account = \"{WRITER}\", scopes = \"{SCOPE}\" }}]"
    );
    let house = house(&google, &upstream, &credential("gcp-impersonate", &rows)).await;
    house.approve().await;
    let keys = [house.full("alice").await, house.full("bob").await];
    for round in 0..20 {
        for (key, account) in keys.iter().zip([READER, WRITER]) {
            upstream.forget();
            assert!(went(&call(&house, key, "look").await), "{round}");
            let seen = whose(&google, &upstream, "look", "authorization");
            assert!(seen.len() == 1 && seen.iter().all(|one| one.identity == account), "{round}: {seen:?}");
        }
    }
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_the_metadata_server_make_of_a_call_whom_they_name() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    let files = Directory::new();
    google.allow(KEYED, READER);
    google.allow("ann@corp.example", READER);
    let workload = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/subject/ci";
    google.allow(workload, READER);
    let subject = files.path().join("subject");
    std::fs::write(&subject, format!("{SUBJECT}\n")).expect("written");
    let source = json!({"file": subject});
    let person = google.person_file();
    let cases = [
        ("person.json", person.clone(), "ann@corp.example"),
        ("key.json", google.key_file().unwrap(), KEYED),
        ("becoming.json", google.impersonating_file(&person, READER), READER),
        ("workload.json", google.workload_file(&source, None), workload),
        ("workload-becoming.json", google.workload_file(&source, Some(READER)), READER),
    ];
    for (name, content, expected) in cases {
        let path = file(&files, name, &content);
        let access = format!("source = \"file:{}\", scopes = \"{SCOPE}\"", path.display());
        let house = house(&google, &upstream, &credential("gcp-access-token", &access)).await;
        house.approve().await;
        let key = house.full("alice").await;
        upstream.forget();
        let reply = call(&house, &key, "put").await;
        assert!(went(&reply), "{name}: {}", reply.text());
        let seen = whose(&google, &upstream, "put", "authorization");
        assert_eq!(seen.iter().map(|one| one.identity.as_str()).collect::<Vec<_>>(), [expected], "{name}");
        assert!(seen.iter().all(|one| one.scopes == [SCOPE]), "{name}: {seen:?}");
        let billed = upstream.seen().iter().filter_map(|asked| asked.field("x-goog-user-project").map(str::to_owned)).next();
        assert_eq!(billed.as_deref(), (name == "person.json").then_some("corp-quota"), "{name}: whose file says so");
        house.close(&CANARIES).await;
    }
    let house = house(&google, &upstream, &credential("gcp-access-token", &format!("source = \"metadata\", scopes = \"{SCOPE}\""))).await;
    house.approve().await;
    let key = house.full("alice").await;
    upstream.forget();
    assert!(went(&call(&house, &key, "look").await));
    assert_eq!(whose(&google, &upstream, "look", "authorization").first().map(|one| one.identity.clone()), Some(MACHINE.to_owned()));
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_token_is_for_its_audience_and_stands_where_it_is_wanted() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    let files = Directory::new();
    google.allow(MACHINE, READER);
    google.allow("ann@corp.example", READER);
    let (key_file, person) = (file(&files, "key.json", &google.key_file().unwrap()), google.person_file());
    let becoming = file(&files, "becoming.json", &google.impersonating_file(&person, READER));
    let audience = "https://tools-abc.a.run.app";
    for (more, identity, header) in [
        ("source = \"metadata\"".to_owned(), MACHINE, "authorization"),
        (
            format!("source = \"metadata\", service_account = \"{READER}\", header = \"x-serverless-authorization\""),
            READER,
            "x-serverless-authorization",
        ),
        (format!("source = \"file:{}\"", key_file.display()), KEYED, "authorization"),
        (format!("source = \"file:{}\", header = \"proxy-authorization\"", becoming.display()), READER, "proxy-authorization"),
    ] {
        let house = house(&google, &upstream, &credential("gcp-id-token", &format!("{more}, audience = \"{audience}\""))).await;
        house.approve().await;
        let key = house.full("alice").await;
        upstream.forget();
        let reply = call(&house, &key, "look").await;
        assert!(went(&reply), "{more}: {}", reply.text());
        let seen = whose(&google, &upstream, "look", header);
        assert_eq!(seen.first().map(|one| (one.identity.as_str(), one.audience.as_deref())), Some((identity, Some(audience))), "{more}");
        house.close(&CANARIES).await;
    }
    let person = file(&files, "person.json", &person);
    let more = format!("source = \"file:{}\", audience = \"{audience}\"", person.display());
    assert!(refused(&google, &upstream, &credential("gcp-id-token", &more)).await.contains("an ID token needs an account"));
}

/// Why a gateway with this credential does not start.
async fn refused(google: &Google, upstream: &Scripted, credential: &str) -> String {
    let toml = format!("{}{}", google.endpoints(), server("alpha", &upstream.url(), credential));
    match House::try_built(Directory::new(), &toml, LAPTOP, ("", PROVIDER_PATIENCE)).await {
        Ok(_) => panic!("it started with {credential}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_02_a_credential_file_that_is_broken_open_or_hostile_refuses_the_start() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    let files = Directory::new();
    let with = |field: &str, value: Value| {
        let mut content = google.person_file();
        content[field] = value;
        content
    };
    let mut nested = google.impersonating_file(&google.person_file(), READER);
    nested = google.impersonating_file(&nested, READER);
    let cases = [
        ("executable", google.workload_file(&json!({"executable": {"command": "/bin/touch /tmp/evil"}}), None), "names a program"),
        ("certificate", google.workload_file(&json!({"certificate": {}}), None), "names a certificate"),
        ("url", google.workload_file(&json!({"url": "https://evil.test/"}), None), "url is not an address"),
        ("token", with("token_uri", json!("https://evil.test/token")), "token_uri is not a token endpoint"),
        ("universe", with("universe_domain", json!("evil.test")), "universe_domain"),
        ("nested", nested, "delegates"),
        ("type", with("type", json!("gdch_service_account")), "its type is not one of"),
        ("missing", with("refresh_token", json!(null)), "refresh_token is missing"),
    ];
    for (name, content, why) in cases {
        let path = file(&files, name, &content);
        let error = refused(&google, &upstream, &by_class(&format!("file:{}", path.display()))).await;
        assert!(error.contains(why) && !error.contains("d-secret") && !error.contains("refresh-token-of"), "{name}: {error}");
    }
    let open = files.path().join("open");
    write(&open, &google.person_file(), 0o644);
    assert!(refused(&google, &upstream, &by_class(&format!("file:{}", open.display()))).await.contains("lets others read it"));
    let nowhere = files.path().join("nowhere");
    assert!(refused(&google, &upstream, &by_class(&format!("file:{}", nowhere.display()))).await.contains("nothing of this name"));
    assert_eq!((google.asked().len(), upstream.seen().len()), (0, 0), "nobody was asked, nothing was run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_01_becoming_oneself_is_refused_at_start_or_before_iam_is_asked() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    let files = Directory::new();
    let path = file(&files, "key.json", &google.key_file().unwrap());
    let own = format!("source = \"file:{}\", service_account = \"{}\", scopes = \"{SCOPE}\"", path.display(), KEYED.to_uppercase());
    assert!(refused(&google, &upstream, &credential("gcp-impersonate", &own)).await.contains("own account"));
    // Who the machine is only its metadata server can tell.
    google.allow(MACHINE, MACHINE);
    google.allow(MACHINE, READER);
    let rows = format!(
        "source = \"metadata\", map = [{{ tools = \"read\", service_account = \"{READER}\", scopes = \"{SCOPE}\" }}, \
         {{ service_account = \"{MACHINE}\", scopes = \"{SCOPE}\" }}]"
    );
    let house = house(&google, &upstream, &credential("gcp-impersonate", &rows)).await;
    house.approve().await;
    let key = house.full("alice").await;
    google.forget();
    assert!(failed(&call(&house, &key, "put").await));
    let own = MACHINE.replace('@', "%40");
    assert_eq!((house.last_reason_of_calls().as_str(), google.count(Part::Iam, &own)), ("credential_refused", 0));
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_04_a_denial_is_a_denial_until_it_is_mended_and_no_other_account_takes_its_place() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    google.allow(MACHINE, READER);
    let house = house(&google, &upstream, &by_class("metadata")).await;
    house.approve().await;
    let key = house.full("alice").await;
    assert!(went(&call(&house, &key, "look").await));
    upstream.forget();
    google.forget();
    for _ in 0..20 {
        let reply = call(&house, &key, "put").await;
        assert!(failed(&reply), "{}", reply.text());
        assert!(!reply.text().contains("canary"), "{}", reply.text());
        assert_eq!(house.last_reason_of_calls(), "credential_refused");
    }
    assert_eq!(google.count(Part::Iam, ""), 1, "who was denied does not hammer");
    assert_eq!(upstream.calls("tools/call").len(), 0, "and goes as nobody else");
    assert!(went(&call(&house, &key, "look").await), "other accounts go on");
    google.allow(MACHINE, WRITER);
    assert!(failed(&call(&house, &key, "put").await));
    pass(&house, &google, 31);
    assert!(went(&call(&house, &key, "put").await), "without a restart");
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_04_whatever_a_service_answers_nothing_wrong_goes_on_and_all_is_well_afterwards() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    google.allow(MACHINE, READER);
    google.allow(MACHINE, WRITER);
    let toml = format!("{}{}", google.endpoints(), server("alpha", &upstream.url(), &by_class("metadata")));
    let house = House::waiting(&toml, Duration::from_millis(400)).await;
    house.approve().await;
    let key = house.full("alice").await;
    // The gateway knows now what tools there are.
    assert!(went(&call(&house, &key, "put").await));
    let faults = [
        Fault::Status(403),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Later(60),
        Fault::Page,
        Fault::Garbage,
        Fault::Expired,
        Fault::Elsewhere,
        Fault::Huge,
        Fault::Twice,
        Fault::Silent,
        Fault::NoFlavor,
    ];
    for (part, fault) in [Part::Iam, Part::Metadata].into_iter().flat_map(|part| faults.map(|fault| (part, fault))) {
        if part == Part::Iam && fault == Fault::NoFlavor {
            continue;
        }
        // What is kept has ended by then.
        pass(&house, &google, 4_000);
        google.break_down(part, fault);
        upstream.forget();
        google.forget();
        let replies = [call(&house, &key, "put").await, call(&house, &key, "put").await];
        for reply in replies {
            assert!(failed(&reply), "{part:?} {fault:?}: {} {} {}", reply.status, reply.text(), house.last_reason());
            assert!(!reply.text().contains("canary"), "{part:?} {fault:?}: {}", reply.text());
            let reason = house.last_reason_of_calls();
            assert!(reason == "credential_unavailable" || reason == "credential_refused", "{part:?} {fault:?}: {reason}");
        }
        assert!(google.asked().len() <= 5, "{part:?} {fault:?}: {} questions", google.asked().len());
        assert_eq!(upstream.calls("tools/call").len(), 0, "{part:?} {fault:?}");
        google.mend();
        pass(&house, &google, 61);
        let reply = call(&house, &key, "put").await;
        assert!(went(&reply), "{part:?} {fault:?}, mended: {}", reply.text());
        assert_eq!(whose(&google, &upstream, "put", "authorization").first().map(|one| one.identity.clone()), Some(WRITER.to_owned()));
    }
    for fault in [Fault::Once(500), Fault::Once(429), Fault::TextNumbers] {
        pass(&house, &google, 4_000);
        google.break_down(Part::Metadata, fault);
        google.break_down(Part::Iam, fault);
        let reply = call(&house, &key, "put").await;
        assert!(went(&reply), "{fault:?} is got over: {}", reply.text());
        google.mend();
    }
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_04_in_an_outage_what_still_counts_is_used_until_it_ends() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    let house = house(&google, &upstream, &credential("gcp-access-token", &format!("source = \"metadata\", scopes = \"{SCOPE}\""))).await;
    house.approve().await;
    let key = house.full("alice").await;
    assert!(went(&call(&house, &key, "put").await));
    google.break_down(Part::Metadata, Fault::Status(500));
    google.forget();
    pass(&house, &google, 3_500);
    for _ in 0..5 {
        assert!(went(&call(&house, &key, "put").await), "99 s are left");
    }
    assert!(google.asked().len() <= 6, "{} questions", google.asked().len());
    pass(&house, &google, 95);
    assert!(failed(&call(&house, &key, "put").await), "nothing that has ended is used");
    google.mend();
    pass(&house, &google, 5);
    assert!(went(&call(&house, &key, "put").await));
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_server_does_not_take_is_replaced_once_and_is_no_401_of_ours() {
    let google = Google::start().await.unwrap();
    let refused = Arc::new(std::sync::Mutex::new(String::new()));
    let tools = json!([{"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}}]);
    let of_script = Arc::clone(&refused);
    let upstream = Scripted::at_once(move |asked| {
        let word = of_script.lock().expect("a word").clone();
        let shown = asked.field("authorization").unwrap_or_default();
        match word.as_str() {
            "all" => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec(),
            word if word == shown => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec(),
            _ => whole(&asked.plainly(&tools).unwrap_or_default()),
        }
    })
    .await;
    google.allow(MACHINE, READER);
    let house = house(&google, &upstream, &by_class("metadata")).await;
    house.approve().await;
    let key = house.full("alice").await;
    assert!(went(&call(&house, &key, "look").await));
    let first = upstream.calls("tools/call").first().and_then(|asked| asked.field("authorization").map(str::to_owned)).expect("a token");
    refused.lock().expect("a word").clone_from(&first);
    google.forget();
    assert!(went(&call(&house, &key, "look").await), "with another token of the same account");
    assert_eq!(google.count(Part::Iam, "generateAccessToken"), 1);
    let last = upstream.calls("tools/call").pop().and_then(|asked| asked.field("authorization").map(str::to_owned)).expect("a token");
    assert!(last != first && google.whose(&last).is_some_and(|one| one.identity == READER));
    refused.lock().expect("a word").replace_range(.., "all");
    google.forget();
    for _ in 0..5 {
        let reply = call(&house, &key, "look").await;
        assert_ne!(reply.status, 401, "the client's own credential is good");
        assert!(reply.text().contains("upstream_credential"), "{}", reply.text());
    }
    assert_eq!(google.count(Part::Iam, ""), 0, "it is not the token: another was made a moment ago");
    house.close(&CANARIES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cld_04_a_thousand_cold_calls_cost_one_mint() {
    let (google, upstream) = (Google::start().await.unwrap(), upstream().await);
    google.allow(MACHINE, READER);
    let house = house(&google, &upstream, &by_class("metadata")).await;
    let (tasks, sources) = (Tasks::new(), Sources::new(Variables::new([])));
    let state = house.state.path();
    let servers = setup::servers(&house.config, state, &state.join("packages"), &sources, &house.env, &tasks).expect("servers");
    let (_, broker) = servers.into_iter().next().expect("one");
    let (broker, name) = (Arc::new(broker), ServerName::new("alpha").expect("a name"));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (broker, name, store, env) = (Arc::clone(&broker), name.clone(), house.store.clone(), house.env.clone());
        all.spawn(async move {
            let till = Till { store: &store, env: &env, audit: None, epoch: 0 };
            broker.of_nobody(&till, &name).await.expect("a credential").is_some()
        });
    }
    assert!(all.join_all().await.into_iter().all(|there| there));
    let counts = [(Part::Metadata, "/token"), (Part::Metadata, "/email"), (Part::Iam, "generateAccessToken")];
    assert_eq!(counts.map(|(part, text)| google.count(part, text)), [1, 1, 1]);
    house.close(&CANARIES).await;
}
