//! Keys, tokens and users.

use crate::bench::{Bench, NOW, client, credential, damaged, group, later, new_key, plain_key, record, user};
use doorward_core::id::{AgentLabel, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::secret::{AccessToken, PlainToken, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::{NewApiKey, Refused, Standing, StoreError, UserInfo};
use std::collections::BTreeSet;

fn token(byte: u8) -> TokenHash<AccessToken> {
    PlainToken::<AccessToken>::mint(&[byte; 32]).hashed()
}

fn grant(id: &str, subject: &str) -> Record {
    Record { level: Level::OAuth, client: client("https://client.example/meta.json"), ..record(id, subject) }
}

pub(crate) async fn a_key_comes_back_as_it_was_recorded(bench: &Bench) {
    let mut key = new_key(1, "k1", "alice");
    key.record.agent = Some(AgentLabel::new("nightly").expect("label"));
    bench.a.create_api_key(&key).await.expect("created");
    let mut every = new_key(2, "k2", "alice");
    every.record.audience = Audience::Every;
    every.record.granted = BTreeSet::new();
    bench.a.create_api_key(&every).await.expect("created");
    for key in [&key, &every] {
        let found = bench.b.api_key(&key.hash).await.expect("answer").expect("found");
        assert_eq!(*found, key.record);
    }
    assert!(bench.a.api_key(&plain_key(3).hashed()).await.expect("answer").is_none());
    let again = NewApiKey { hash: plain_key(9).hashed(), ..new_key(1, "k1", "alice") };
    assert!(matches!(bench.a.create_api_key(&again).await, Err(StoreError::Conflict)), "same id");
    assert!(matches!(bench.a.create_api_key(&new_key(1, "k9", "alice")).await, Err(StoreError::Conflict)), "same digest");
}

pub(crate) async fn a_key_is_listed_without_its_digest_and_touched(bench: &Bench) {
    for (byte, id, subject) in [(1, "k1", "alice"), (2, "k2", "alice"), (3, "k3", "bob")] {
        bench.a.create_api_key(&new_key(byte, id, subject)).await.expect("created");
    }
    let (k1, k3) = (credential("k1"), credential("k3"));
    bench.a.touch_api_key(&k1, later(9)).await.expect("touched");
    bench.a.touch_api_key(&k1, later(5)).await.expect("touched");
    assert!(bench.a.revoke_api_key(&k3, later(7)).await.expect("revoked"));
    let all = bench.b.list_api_keys(None).await.expect("list");
    assert_eq!(all.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["k1", "k2", "k3"]);
    assert_eq!((all[0].last_used, all[0].revoked), (Some(later(9)), None), "a use does not move back");
    assert_eq!((all[2].last_used, all[2].revoked), (None, Some(later(7))));
    assert_eq!((all[1].label.as_str(), all[1].client.as_str(), all[1].created), ("label of k2", "key:k2", NOW));
    assert_eq!((&all[1].user, &all[1].audience), (&user("alice"), &record("k2", "alice").audience));
    assert_eq!((&all[1].granted, all[1].expires), (&record("k2", "alice").granted, later(1_000)));
    let bobs = bench.a.list_api_keys(Some(&user("bob"))).await.expect("list");
    assert_eq!(bobs.len(), 1);
    assert_eq!(bobs[0].id, k3);
    assert!(bench.a.list_api_keys(Some(&user("eve"))).await.expect("list").is_empty());
}

pub(crate) async fn a_revoked_key_says_so_and_raises_the_epoch(bench: &Bench) {
    let key = new_key(1, "k1", "alice");
    bench.a.create_api_key(&key).await.expect("created");
    let before = bench.b.epoch().await.expect("epoch");
    assert!(bench.a.revoke_api_key(&credential("k1"), later(3)).await.expect("revoked"));
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1);
    assert_eq!(bench.b.api_key(&key.hash).await.expect("answer").expect("found").revoked, Some(later(3)));
    assert!(!bench.a.revoke_api_key(&credential("k1"), later(4)).await.expect("again"));
    assert!(!bench.a.revoke_api_key(&credential("k2"), later(4)).await.expect("unknown"));
    assert_eq!(bench.b.api_key(&key.hash).await.expect("answer").expect("found").revoked, Some(later(3)), "the first time stays");
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1, "nothing was taken away");
}

pub(crate) async fn a_disabled_user_is_seen_on_every_credential_and_raises_the_epoch(bench: &Bench) {
    let (key, other) = (new_key(1, "k1", "alice"), new_key(2, "k2", "bob"));
    bench.a.create_api_key(&key).await.expect("created");
    bench.a.create_api_key(&other).await.expect("created");
    bench.a.put_access_token(&token(1), &grant("g1", "alice"), NOW).await.expect("put");
    let before = bench.a.epoch().await.expect("epoch");
    bench.a.disable_user(&user("alice"), later(1)).await.expect("disabled");
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1);
    assert!(bench.b.api_key(&key.hash).await.expect("answer").expect("found").user_disabled);
    assert!(bench.b.access_token(&token(1)).await.expect("answer").expect("found").user_disabled);
    assert!(!bench.b.api_key(&other.hash).await.expect("answer").expect("found").user_disabled);
    bench.a.put_user(&user("alice"), &[group("staff")], later(2)).await.expect("signed in again");
    assert!(bench.b.api_key(&key.hash).await.expect("answer").expect("found").user_disabled, "a sign-in enables nobody");
    assert!(bench.a.enable_user(&user("alice"), later(3)).await.expect("enabled"));
    assert!(!bench.a.enable_user(&user("alice"), later(3)).await.expect("again"));
    assert!(!bench.b.api_key(&key.hash).await.expect("answer").expect("found").user_disabled);

    bench.a.disable_user(&user("carol"), later(1)).await.expect("disabled before the first sign-in");
    let late = new_key(3, "k3", "carol");
    bench.a.create_api_key(&late).await.expect("created");
    assert!(bench.b.api_key(&late.hash).await.expect("answer").expect("found").user_disabled);
}

pub(crate) async fn rs_08_a_provider_describes_a_user_anew(bench: &Bench) {
    let alice = user("alice");
    let told = async |groups: &[_], email, at| bench.a.admit_user(&alice, groups, email, later(at)).await.expect("told");
    let before = bench.a.epoch().await.expect("epoch");
    assert_eq!(told(&[group("b"), group("a")], Some("alice@acme.example"), 0).await, Standing::Good);
    let first = bench.b.epoch().await.expect("epoch");
    assert_eq!(first, before, "nobody holds a record of somebody new");
    // The same groups in another order are no change; another address is none either.
    assert_eq!(told(&[group("a"), group("b")], Some("al@acme.example"), 1).await, Standing::Good);
    assert_eq!(bench.b.epoch().await.expect("epoch"), first);
    let listed = bench.b.list_users().await.expect("list");
    assert_eq!((listed.len(), listed[0].email.as_deref(), listed[0].groups.len()), (1, Some("al@acme.example"), 2));
    // What cannot be shown is no address, and one that is gone is gone.
    told(&[group("a")], Some("a\nb@acme.example"), 2).await;
    assert_eq!(bench.b.list_users().await.expect("list")[0].email, None);
    assert!(bench.b.epoch().await.expect("epoch") > first, "a group was lost");
    // Who is disabled stays so, and is described nevertheless.
    bench.a.disable_user(&alice, later(3)).await.expect("disabled");
    assert_eq!(told(&[], None, 4).await, Standing::Disabled);
    assert!(bench.b.list_users().await.expect("list")[0].groups.is_empty());
    let nobody = format!("{}@acme.example", "x".repeat(300));
    assert_eq!(told(&[], Some(&nobody), 5).await, Standing::Disabled);
}

pub(crate) async fn rs_08_users_are_listed_with_their_standing(bench: &Bench) {
    assert!(bench.a.list_users().await.expect("list").is_empty());
    bench.a.create_api_key(&new_key(1, "k1", "bob")).await.expect("created");
    bench.a.put_user(&user("alice"), &[group("staff")], NOW).await.expect("put");
    bench.a.disable_user(&user("bob"), later(1)).await.expect("disabled");
    let listed = bench.b.list_users().await.expect("list");
    let alice = UserInfo { user: user("alice"), groups: vec![group("staff")], email: None, disabled: None };
    assert_eq!(listed, [alice, UserInfo { disabled: Some(later(1)), ..listed[1].clone() }]);
    assert_eq!(listed[1].user, user("bob"));
    assert_eq!(bench.b.user(&user("bob")).await.expect("answer").as_ref(), Some(&listed[1]));
    assert_eq!(bench.b.user(&user("carol")).await.expect("answer"), None);
    assert!(bench.b.knows_user(&user("bob")).await.expect("answer") && !bench.b.knows_user(&user("carol")).await.expect("answer"));
}

pub(crate) async fn rs_08_a_group_is_taken_at_once_and_only_from_who_is_known(bench: &Bench) {
    let key = new_key(1, "k1", "alice");
    bench.a.create_api_key(&key).await.expect("created");
    bench.a.put_user(&user("alice"), &[group("eng"), group("staff")], NOW).await.expect("put");
    let before = bench.a.epoch().await.expect("epoch");
    let left = bench.a.change_groups(&user("alice"), &[group("ops")], &[group("eng")], later(1)).await.expect("changed");
    assert_eq!(left, Some(vec![group("ops"), group("staff")]));
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1, "every replica hears of it");
    assert_eq!(bench.b.api_key(&key.hash).await.expect("answer").expect("found").groups, [group("ops"), group("staff")]);
    let same = bench.b.change_groups(&user("alice"), &[group("ops")], &[group("eng")], later(2)).await.expect("the same again");
    assert_eq!((same, bench.a.epoch().await.expect("epoch")), (left, before + 1), "nothing changed, nobody is told");
    let both = bench.a.change_groups(&user("alice"), &[group("eng")], &[group("eng")], later(3)).await.expect("both ways");
    assert!(!both.expect("known").contains(&group("eng")), "what is taken away stays away");
    assert_eq!(bench.a.change_groups(&user("alcie"), &[group("eng")], &[], later(4)).await.expect("answer"), None);
    assert!(!bench.a.knows_user(&user("alcie")).await.expect("answer"), "a mistyped name is nobody");
    // Two at once are both obeyed.
    let (ours, theirs) = ([group("x")], [group("y")]);
    let (one, two) = (user("alice"), user("alice"));
    let (first, second) =
        tokio::join!(bench.a.change_groups(&one, &ours, &[], later(5)), bench.b.change_groups(&two, &theirs, &[], later(5)));
    first.expect("changed");
    second.expect("changed");
    let groups = bench.a.api_key(&key.hash).await.expect("answer").expect("found").groups.clone();
    assert!(groups.contains(&group("x")) && groups.contains(&group("y")), "{groups:?}");
}

pub(crate) async fn groups_are_those_of_the_user_now(bench: &Bench) {
    let key = new_key(1, "k1", "alice");
    bench.a.create_api_key(&key).await.expect("created");
    let before = bench.a.epoch().await.expect("epoch");
    bench.a.put_user(&user("alice"), &[group("staff")], later(1)).await.expect("put");
    assert_eq!(bench.a.epoch().await.expect("epoch"), before, "nothing changed");
    let groups = [group("a \"quoted\" group"), group("ünïcode")];
    bench.a.put_user(&user("alice"), &groups, later(2)).await.expect("put");
    let [one, two] = groups.clone();
    bench.a.put_user(&user("alice"), &[two, one.clone(), one], later(3)).await.expect("the same in another order");
    assert_eq!(bench.a.epoch().await.expect("epoch"), before + 1);
    assert_eq!(bench.b.api_key(&key.hash).await.expect("answer").expect("found").groups, groups);
    bench.a.put_access_token(&token(1), &grant("g1", "alice"), NOW).await.expect("put");
    assert_eq!(bench.b.access_token(&token(1)).await.expect("answer").expect("found").groups, groups, "a record brings no groups");
}

pub(crate) async fn an_access_token_comes_back_and_is_revoked_with_its_grant(bench: &Bench) {
    let first = grant("g1", "alice");
    bench.a.put_access_token(&token(1), &first, NOW).await.expect("put");
    bench.a.put_access_token(&token(2), &first, NOW).await.expect("second token of the grant");
    bench.a.put_access_token(&token(3), &grant("g2", "alice"), NOW).await.expect("put");
    assert_eq!(*bench.b.access_token(&token(1)).await.expect("answer").expect("found"), first);
    assert!(bench.b.access_token(&token(4)).await.expect("answer").is_none());
    assert!(matches!(bench.a.put_access_token(&token(1), &first, NOW).await, Err(StoreError::Conflict)));
    let before = bench.a.epoch().await.expect("epoch");
    assert!(bench.a.revoke_access_token(&credential("g1"), later(1)).await.expect("revoked"));
    assert!(!bench.a.revoke_access_token(&credential("g1"), later(2)).await.expect("again"));
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1);
    for (byte, revoked) in [(1, Some(later(1))), (2, Some(later(1))), (3, None)] {
        assert_eq!(bench.b.access_token(&token(byte)).await.expect("answer").expect("found").revoked, revoked, "token {byte}");
    }
}

pub(crate) async fn records_that_are_not_fresh_are_refused(bench: &Bench) {
    type Change = fn(&mut NewApiKey);
    let changes: [(&str, Change); 7] = [
        ("level", |key| key.record.level = Level::OAuth),
        ("client", |key| key.record.client = client("other")),
        ("revoked", |key| key.record.revoked = Some(NOW)),
        ("disabled", |key| key.record.user_disabled = true),
        ("empty audience", |key| key.record.audience = Audience::Only(BTreeSet::new())),
        ("empty label", |key| key.label.clear()),
        ("NUL in the label", |key| key.label.push('\0')),
    ];
    for (what, change) in changes {
        let mut key = new_key(1, "k1", "alice");
        change(&mut key);
        assert!(matches!(bench.a.create_api_key(&key).await, Err(StoreError::Refused(Refused::Unfit(_)))), "{what}");
    }
    let key = record("k1", "alice");
    assert!(matches!(bench.a.put_access_token(&token(1), &key, NOW).await, Err(StoreError::Refused(Refused::Unfit("level")))));
    assert!(bench.a.list_api_keys(None).await.expect("list").is_empty());
}

pub(crate) async fn users_whose_printed_forms_are_equal_stay_apart(bench: &Bench) {
    let (one, two) = (UserId::new("a/b", "c").expect("user"), UserId::new("a", "b/c").expect("user"));
    assert_eq!(one.to_string(), two.to_string());
    let mut key = new_key(1, "k1", "alice");
    key.record.user = one.clone();
    bench.a.create_api_key(&key).await.expect("created");
    assert!(bench.a.list_api_keys(Some(&two)).await.expect("list").is_empty());
    bench.a.disable_user(&two, NOW).await.expect("disabled");
    assert!(!bench.a.api_key(&key.hash).await.expect("answer").expect("found").user_disabled);
    bench.a.put_secret(&one, "n", &crate::bench::secret("v")).await.expect("put");
    assert!(bench.a.secret(&two, "n").await.expect("answer").is_none());
}

pub(crate) async fn impossible_rows_are_errors_that_name_them(bench: &Bench) {
    let key = new_key(1, "k1", "alice");
    bench.a.create_api_key(&key).await.expect("created");
    for (change, table, column) in [
        ("api_keys SET audience_kind = 'every'", "api_keys", "audience_kind"),
        ("api_keys SET audience_kind = 'only', audience = '[]'", "api_keys", "audience_kind"),
        ("api_keys SET audience = '[\"Not A Server\"]'", "api_keys", "audience"),
        ("api_keys SET audience = '[\"alpha\"]', granted = '{}'", "api_keys", "granted"),
        ("api_keys SET granted = '[]', expires = -1", "api_keys", "expires"),
        ("api_keys SET expires = 1, revoked = -1", "api_keys", "revoked"),
        ("users SET member_of = '[\"\"]'", "users", "member_of"),
    ] {
        assert_eq!(bench.raw(&format!("UPDATE {change}")).await, 1);
        let answer = bench.a.api_key(&key.hash).await;
        assert!(damaged(&answer, table, column), "{change}: {answer:?}");
        assert!(answer.expect_err("damaged").to_string().contains(if table == "users" { "alice" } else { "k1" }), "the row is named");
    }
}

pub(crate) async fn times_beyond_the_column_are_refused(bench: &Bench) {
    let mut key = new_key(1, "k1", "alice");
    key.record.expires = Timestamp::from_millis(u64::MAX);
    assert!(matches!(bench.a.create_api_key(&key).await, Err(StoreError::Refused(Refused::Unfit(_)))));
    key.record.expires = Timestamp::from_millis(i64::MAX as u64);
    bench.a.create_api_key(&key).await.expect("the last instant");
    assert_eq!(bench.a.api_key(&key.hash).await.expect("answer").expect("found").expires, key.record.expires);
}

pub(crate) async fn people_are_found_by_a_part_of_their_name_and_counted(bench: &Bench) {
    for subject in ["alice", "Alan_1", "bob", "100%"] {
        bench.a.put_user(&user(subject), &[group("eng")], NOW).await.expect("put");
    }
    bench.a.disable_user(&user("bob"), NOW).await.expect("disabled");
    let found = |part: &'static str| async move {
        let (people, count) = bench.b.search_users(part).await.expect("answer");
        let names: Vec<String> = people.iter().map(|info| info.user.subject().to_owned()).collect();
        assert_eq!(count, names.len() as u64);
        names
    };
    assert_eq!(found("AL").await, ["Alan_1", "alice"]);
    assert_eq!((found("_").await, found("%").await), (vec!["Alan_1".to_owned()], vec!["100%".to_owned()]), "no patterns");
    assert_eq!((found("").await.len(), found("nobody").await.len()), (4, 0));
    assert_eq!(bench.b.count_users().await.expect("answer"), (4, 1));
    let alice = bench.b.user(&user("alice")).await.expect("answer").expect("known");
    assert_eq!((alice.groups, alice.disabled), (vec![group("eng")], None));
    assert!(bench.b.user(&user("ghost")).await.expect("answer").is_none());
    bench.a.create_api_key(&new_key(1, "k1", "alice")).await.expect("created");
    assert_eq!(bench.b.api_key_info(&credential("k1")).await.expect("answer").expect("known").user, user("alice"));
    assert!(bench.b.api_key_info(&credential("k9")).await.expect("answer").is_none());
}
