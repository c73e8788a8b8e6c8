//! AUD-06: what is old is taken away under a tombstone, what is recorded and how is on the record, exports are signed.

use super::client::Client;
use super::house::{House, Said};
use doorward_core::audit::chain::{Digests, WriterId};
use doorward_core::audit::outcome::Notice;
use doorward_core::time::Timestamp;
use doorward_gateway::audit::key;
use doorward_gateway::audit::recorder::{Durability, Options, Recorder};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400_000;

/// An installation whose record is older than itself: every ten days some events and a seal, from 455 to 395 days ago, and some
/// of so many days ago.
async fn old_house(newest: Option<u64>) -> House {
    let house = House::new("http://127.0.0.1:9/mcp");
    let state = house.path("state");
    fs::DirBuilder::new().mode(0o700).create(&state).expect("a directory");
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis()).expect("an instant");
    for age in (395..=455).rev().step_by(10).chain(newest) {
        let writer = WriterId::new("node-1").expect("id");
        let path = state.join("audit.jsonl");
        let options = Options { path, durability: Durability::Write, seal_every: 100, writer, digests: Digests::None };
        let then = Timestamp::from_millis(now - age * DAY);
        let recorder = Recorder::open_with(options, key::load_all(&state).expect("keys"), then).expect("opened");
        let chain = recorder.public_key().expect("a key");
        key::settle(&state, chain).expect("settled");
        for _ in 0..3 {
            recorder.event(&Notice { reason: "tick", ..Notice::default() }, then).await.expect("recorded");
        }
        recorder.checkpoint(then).await.expect("sealed");
    }
    house
}

fn json_of(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_old_records_go_by_the_command_under_a_tombstone_and_nothing_else_does() {
    let house = old_house(Some(1)).await;
    let (record, draft) = (house.path("state/audit.jsonl"), house.path("state/audit.jsonl.purging"));
    let whole = house.record();
    // Looking, hesitating, wanting too much: nothing happens.
    let said = house.run(&["audit", "purge", "--dry-run", "--json"]);
    let planned = json_of(&said);
    assert_eq!((said.exit, &planned["removed"], &planned["stretch"]["first"]), (0, &json!(false), &json!(1)), "{said}");
    let count = planned["stretch"]["records"].as_u64().expect("a number");
    assert!(count >= 15, "{said}");
    for (arguments, exit, says) in [
        (["audit", "purge"].as_slice(), 1, "nothing was removed"),
        (&["audit", "purge", "--yes", "--before", "30d"], 2, "the retention is 400d"),
        (&["audit", "purge", "--yes", "--before", "440d", "--dry-run"], 0, "would go"),
        (&["audit", "purge", "--yes", "--before", "yesterday"], 2, "not a time"),
    ] {
        let said = house.run(arguments);
        assert!(said.exit == exit && format!("{}{}", said.out, said.err).contains(says), "{said}");
    }
    assert_eq!(house.record(), whole);
    // Cut off behind the tombstone, as by a kill: the record is whole, and the next purge finishes.
    fs::create_dir(&draft).expect("in its way");
    let said = house.run(&["audit", "purge", "--yes", "--reason", "spring"]);
    assert!(said.exit == 4 && said.err.contains("the next one finishes it"), "{said}");
    let verified = json_of(&house.run(&["audit", "verify", "--json"]));
    assert_eq!((&verified["ok"], &verified["purged"]), (&json!(true), &json!(0)), "{verified}");
    assert!(house.record().starts_with(&whole));
    fs::remove_dir(&draft).expect("out of its way");
    let said = house.run(&["audit", "purge", "--yes", "--json"]);
    assert_eq!(json_of(&said)["left_over"].as_u64(), Some(count), "{said}");
    let said = house.run(&["audit", "verify"]);
    assert!(said.exit == 0 && said.out.contains("under signed tombstones"), "{said}");
    assert_eq!((mode(&record), mode(&house.path("state"))), (0o600, 0o700), "for its owner alone");
    let said = house.run(&["status"]);
    assert!(format!("{}{}", said.out, said.err).contains("follow one another"), "{said}");
    let said = house.run(&["audit", "tail", "--json"]);
    assert!(said.out.contains("\"kind\":\"purge\"") && said.out.contains("retention 400d: spring"), "{said}");
    let said = house.run(&["doctor"]);
    let text = format!("{}{}", said.out, said.err);
    assert!(text.contains("the chain is whole") && !text.contains("should stand here"), "doctor knows tombstones: {said}");
    assert!(house.run(&["audit", "purge", "--yes"]).out.contains("nothing is old enough"));
    // A gateway goes on behind it, and is not disturbed in its record.
    let gateway = house.listen();
    assert_eq!(Client::new(&gateway.url, "dwk_x").initialize().status, 401);
    let said = house.run(&["audit", "purge", "--yes", "--before", "400d"]);
    assert_eq!(said.exit, 0, "nothing to do: {said}");
    gateway.stop();
    let verified = json_of(&house.run(&["audit", "verify", "--json"]));
    assert_eq!((&verified["ok"], &verified["purged"].as_u64()), (&json!(true), &Some(count)), "{verified}");
    // Somebody else's hand: the young records of one day, and later the tombstone, go without a word.
    let kept = house.record();
    let lines: Vec<&str> = kept.split_inclusive('\n').collect();
    let young = lines.iter().position(|line| line.contains("\"tick\"")).expect("young records");
    let stone = lines.iter().position(|line| line.contains("\"kind\":\"purge\"")).expect("a tombstone");
    for gone in [young, stone] {
        let mut left = lines.clone();
        left.remove(gone);
        house.file("state/audit.jsonl", &left.concat());
        let said = house.run(&["audit", "verify"]);
        assert!(said.exit == 6 && said.err.contains("is not where it should be"), "{said}");
        assert_eq!(house.run(&["audit", "purge", "--yes"]).exit, 6, "and nothing is purged from it");
    }
    house.file("state/audit.jsonl", &kept);
    assert_eq!(house.run(&["audit", "verify"]).exit, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_a_clock_that_jumped_while_nothing_was_written_makes_nothing_old() {
    let house = old_house(None).await;
    let whole = house.record();
    let said = house.run(&["audit", "purge", "--yes"]);
    assert!(said.exit == 0 && said.out.contains("nothing is old enough"), "{said}");
    assert_eq!(house.record(), whole);
    assert_eq!(house.run(&["audit", "purge", "--yes", "--before", "400d"]).exit, 0, "who says so, says so");
    assert!(house.record().len() < whole.len() && house.run(&["audit", "verify"]).exit == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_a_record_in_use_is_not_purged() {
    let house = old_house(Some(1)).await;
    let gateway = house.listen();
    let said = house.run(&["audit", "purge", "--yes"]);
    assert!(said.exit == 4 && said.err.contains("is in use"), "{said}");
    assert!(!house.record().contains("\"kind\":\"purge\""));
    gateway.stop();
    assert_eq!(house.run(&["audit", "purge", "--yes"]).exit, 0);
    assert_eq!(house.run(&["audit", "verify"]).exit, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_changed_audit_settings_are_on_the_record_before_anything_is_served() {
    let house = House::new("http://127.0.0.1:9/mcp");
    let reasons = |text: &str| -> Vec<String> {
        let of = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["reason"].as_str().map(str::to_owned);
        text.lines().filter_map(of).collect()
    };
    let with = |audit: &str| {
        let text = format!("[listen]\naddress = \"127.0.0.1:0\"\n\n{audit}\n[server.fixture]\nurl = \"http://127.0.0.1:9/mcp\"\n");
        house.file("doorward.toml", &text);
    };
    house.listen().stop();
    assert_eq!(reasons(&house.record()), ["audit_settings"], "what is in force, at each start");
    house.listen().stop();
    let before = house.record().len();
    with("[audit]\narguments = \"none\"\nretention = \"90d\"\n");
    let gateway = house.listen();
    Client::new(&gateway.url, "dwk_x").initialize();
    gateway.stop();
    let record = house.record();
    let (_, since) = record.split_at(before);
    assert_eq!(reasons(since)[..4], ["record_resumed", "audit_settings_changed", "audit_settings", "mistyped_credential"]);
    assert!(since.contains("from arguments=hash durability=write retention=400d"), "{since}");
    assert!(since.contains("to arguments=none durability=write retention=90d"), "{since}");
    // Another file: the one that was kept until now says so at its end, under a seal.
    let elsewhere = house.path("elsewhere.jsonl");
    with(&format!("[audit]\nsink = [\"file:{}\"]\n", elsewhere.display()));
    house.listen().stop();
    let left = house.record();
    let last: Vec<&str> = left.lines().rev().take(2).collect();
    assert!(last[0].contains("\"kind\":\"checkpoint\"") && last[1].contains("audit_settings_changed"), "{last:?}");
    assert!(last[1].contains("elsewhere.jsonl"), "{last:?}");
    let moved = fs::read_to_string(&elsewhere).expect("a record");
    assert_eq!(reasons(&moved)[..2], ["audit_settings_changed", "audit_settings"]);
    for file in [house.path("state/audit.jsonl"), elsewhere] {
        assert_eq!(house.run(&["audit", "verify", "--file", &file.display().to_string()]).exit, 0);
        assert_eq!(mode(&file), 0o600);
    }
    // No configuration runs without a record.
    with("[audit]\nsink = []\n");
    assert_eq!(house.run(&["serve"]).exit, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_an_export_is_signed_and_checked_to_the_byte() {
    let house = old_house(None).await;
    let out = house.path("out.jsonl").display().to_string();
    let said = house.run(&["audit", "export", "--since", "425d", "--output", &out, "--signed"]);
    assert!(said.exit == 0 && said.out.is_empty(), "{said}");
    let check = |file: &str| house.run(&["audit", "verify", "--export", file]);
    let said = check(&out);
    assert!(said.exit == 0 && said.out.contains("signed by key"), "{said}");
    let text = fs::read_to_string(&out).expect("an export");
    assert!(text.lines().count() > 10 && house.record().contains(&text), "as it stands in the record");
    assert_eq!(mode(std::path::Path::new(&out)), 0o600);
    assert_eq!(house.run(&["audit", "export", "--output", &out, "--signed"]).exit, 4, "nothing is overwritten");
    let csv = house.path("out.csv").display().to_string();
    assert_eq!(house.run(&["audit", "export", "--format", "csv", "--output", &csv, "--signed"]).exit, 0);
    assert_eq!(json_of(&house.run(&["audit", "verify", "--json", "--export", &csv]))["export"]["format"], "csv");
    // One byte less, one byte else, the signature of another export, of another key.
    for altered in [text.chars().skip(1).collect(), text.replacen("tick", "tock", 1)] {
        fs::write(&out, altered).expect("written");
        let said = check(&out);
        assert!(said.exit == 6 && said.err.contains("not what was signed"), "{said}");
    }
    fs::write(&out, &text).expect("written");
    let signature = fs::read(format!("{out}.sig")).expect("a signature");
    fs::copy(format!("{csv}.sig"), format!("{out}.sig")).expect("copied");
    assert_eq!(check(&out).exit, 6);
    fs::write(format!("{out}.sig"), signature).expect("written");
    assert_eq!(check(&out).exit, 0);
    assert_eq!(house.run(&["audit", "verify", "--export", &out, "--key", &"ab".repeat(32)]).exit, 6);
    // A record that was altered is not exported under a signature.
    house.file("state/audit.jsonl", &house.record().replacen("tick", "tock", 1));
    let late = house.path("late.jsonl").display().to_string();
    assert_eq!(house.run(&["audit", "export", "--output", &late, "--signed"]).exit, 6);
    assert!(!house.path("late.jsonl.sig").exists());
}

/// The first start of a unit whose `ExecStartPre=` purges has no record yet.
#[test]
fn aud_06_no_record_yet_is_nothing_to_purge() {
    let house = House::new("http://127.0.0.1:9/mcp");
    for arguments in [["audit", "purge", "--yes"].as_slice(), &["audit", "purge", "--dry-run"]] {
        let said = house.run(arguments);
        assert!(said.exit == 0 && said.out.contains("no record yet: nothing to purge"), "{said}");
    }
    assert_eq!(json_of(&house.run(&["audit", "purge", "--yes", "--json"]))["removed"], json!(false));
    assert!(!house.path("state/audit.jsonl").exists() && !house.path("state/audit-key.pk8").exists(), "nothing is made");
    let named = house.path("state/audti.jsonl").display().to_string();
    assert_eq!(house.run(&["audit", "purge", "--yes", "--file", &named]).exit, 4, "a name that was mistyped is no success");
}

/// Root may do everything, and would take the record from the user of the gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_a_purge_as_another_user_is_refused_before_anything() {
    let house = old_house(Some(1)).await;
    let (record, whole) = (house.path("state/audit.jsonl"), house.record());
    if fs::metadata(&record).expect("there").uid() != 0 {
        // Only root can give files away; the comparison itself is tested in the gateway for everybody.
        return;
    }
    for theirs in [house.path("state"), record.clone()] {
        chown(&theirs, Some(65_534), None).expect("given away");
        let said = house.run(&["audit", "purge", "--yes"]);
        assert!(said.exit == 6 && said.err.contains("uid 65534") && said.err.contains("run it as that user"), "{said}");
        assert_eq!(
            (house.record(), fs::metadata(&record).expect("there").uid()),
            (whole.clone(), if theirs == record { 65_534 } else { 0 })
        );
        assert_eq!(house.run(&["audit", "purge", "--dry-run"]).exit, 0, "looking changes nothing");
        chown(&theirs, Some(0), None).expect("given back");
    }
    assert_eq!(house.run(&["audit", "purge", "--yes"]).exit, 0);
}

/// Who may name a configuration may name another retention: it is on the record, under a seal, before anything goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_another_retention_is_on_the_record_before_it_takes_anything_away() {
    let house = old_house(Some(200)).await;
    house.listen().stop();
    let note = fs::read_to_string(house.path("state/audit-settings")).expect("a note");
    let whole = house.record();
    let short =
        "[listen]\naddress = \"127.0.0.1:0\"\n\n[audit]\nretention = \"90d\"\n\n[server.fixture]\nurl = \"http://127.0.0.1:9/mcp\"\n";
    let usual = fs::read_to_string(house.path("doorward.toml")).expect("a configuration");
    house.file("doorward.toml", short);
    assert_eq!(house.run(&["audit", "purge", "--dry-run"]).exit, 0);
    assert_eq!(house.record(), whole, "looking puts nothing on the record");
    let said = house.run(&["audit", "purge", "--yes", "--reason", "spring", "--before", "100d"]);
    assert_eq!(said.exit, 0, "{said}");
    house.file("doorward.toml", &usual);
    assert_eq!(house.run(&["audit", "verify"]).exit, 0);
    let lines: Vec<Value> = house.record().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let change = lines.iter().position(|line| line["reason"] == "audit_settings_changed").expect("the change");
    let stone = lines.iter().position(|line| line["kind"] == "purge").expect("a tombstone");
    let cause = lines[change]["cause"].as_str().expect("a text");
    assert!(cause.contains("retention=400d to ") && cause.contains("retention=90d, for a purge"), "{cause}");
    assert_eq!(lines[change + 1]["kind"], "checkpoint", "under a seal");
    assert!(change + 1 < stone, "before anything goes");
    let why = lines[stone]["purged"]["why"].as_str().expect("a text");
    assert!(why.ends_with(": retention 90d: spring"), "{why}");
    assert_eq!(fs::read_to_string(house.path("state/audit-settings")).expect("a note"), note, "no start was with it");
    // What counts is what the last start said: a purge by that says nothing new.
    let changes = |house: &House| house.record().matches("audit_settings_changed").count();
    let before = changes(&house);
    house.run(&["audit", "purge", "--yes", "--before", "400d"]);
    assert_eq!(changes(&house), before);
    house.listen().stop();
    assert_eq!((house.run(&["audit", "verify"]).exit, changes(&house)), (0, before));
}
