//! RS-11, SES-06: clients that are blocked and sessions that are ended from outside, whichever replica hears of it.

use crate::bench::{Bench, LIVES, NOW, RACERS, client, find, later, of_one, session, user};
use crate::grants::allow;
use doorward_core::secret::{BrowserSecret, PlainToken, sha256};
use doorward_core::session::Stored;
use doorward_store::{Block, BrowserInfo, Ended, Ending, OnRecord, Refused, SessionCaps, StoreError};

fn block(id: &str, reason: Option<&str>) -> Block {
    let reason = reason.map(str::to_owned);
    Block { digest: sha256(id.as_bytes()), client: Some(client(id)), reason, since: NOW }
}

pub(crate) async fn rs_11_a_block_is_known_to_every_replica_at_once_and_lifted_once(bench: &Bench) {
    let before = bench.b.epoch().await.expect("epoch");
    assert!(bench.a.block_client(&block("bad", Some("phishing")), OnRecord::Later).await.expect("blocked"));
    assert!(bench.b.is_client_blocked(&client("bad")).await.expect("answer"));
    assert!(!bench.b.is_client_blocked(&client("bad2")).await.expect("answer"));
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1);
    assert!(!bench.b.block_client(&block("bad", Some("again")), OnRecord::Later).await.expect("answer"));
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1, "nothing was taken away");
    assert_eq!(bench.b.list_blocks().await.expect("list"), [block("bad", Some("phishing"))], "the first reason stays");
    // By its digest alone, as the id of a registration is blocked.
    let nameless = Block { client: None, since: later(1), ..block("long", None) };
    assert!(bench.b.block_client(&nameless, OnRecord::Later).await.expect("blocked"));
    assert!(bench.a.is_client_blocked(&client("long")).await.expect("answer"));
    assert_eq!(bench.a.list_blocks().await.expect("list"), [nameless.clone(), block("bad", Some("phishing"))]);
    assert!(bench.b.unblock_client(&nameless.digest, OnRecord::Later, later(2)).await.expect("lifted"));
    assert!(!bench.a.unblock_client(&nameless.digest, OnRecord::Later, later(2)).await.expect("answer"), "once");
    assert!(!bench.a.is_client_blocked(&client("long")).await.expect("answer"));
    assert_eq!(bench.a.epoch().await.expect("epoch"), before + 3, "a caller that was refused is let in at once");
}

pub(crate) async fn rs_11_what_cannot_be_a_block_changes_nothing(bench: &Bench) {
    let before = bench.a.epoch().await.expect("epoch");
    for reason in ["", "two\nlines", &"x".repeat(256)] {
        let answer = bench.a.block_client(&block("bad", Some(reason)), OnRecord::Later).await;
        assert!(matches!(answer, Err(StoreError::Refused(Refused::Unfit("reason")))), "{answer:?}");
    }
    let other = Block { client: Some(client("good")), ..block("bad", None) };
    assert!(matches!(bench.a.block_client(&other, OnRecord::Later).await, Err(StoreError::Refused(Refused::Unfit("client")))));
    assert!(!bench.b.is_client_blocked(&client("bad")).await.expect("answer"));
    assert_eq!(bench.a.epoch().await.expect("epoch"), before);
    assert!(bench.a.deeds().await.expect("deeds").is_empty());
}

pub(crate) async fn rs_11_fifty_blocks_at_once_are_one(bench: &Bench) {
    let before = bench.a.epoch().await.expect("epoch");
    let answers = bench.race(|store, _| async move { store.block_client(&block("bad", None), OnRecord::Later).await }).await;
    assert_eq!(answers.len(), RACERS);
    assert_eq!(answers.into_iter().filter(|answer| *answer.as_ref().expect("answer")).count(), 1);
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1);
    assert_eq!(bench.b.deeds().await.expect("deeds").len(), 1);
}

pub(crate) async fn what_was_done_from_outside_waits_for_a_record(bench: &Bench) {
    bench.a.block_client(&block("bad", Some("phishing")), OnRecord::Later).await.expect("blocked");
    bench.a.unblock_client(&block("bad", None).digest, OnRecord::Later, later(1)).await.expect("lifted");
    let waiting = bench.b.deeds().await.expect("deeds");
    let reasons: Vec<&str> = waiting.iter().map(|(_, deed)| deed.reason).collect();
    assert_eq!(reasons, ["client_block_set", "client_block_lifted"], "in their order");
    let (epoch, first) = &waiting[0];
    assert_eq!((first.client.as_ref(), first.done), (Some(&client("bad")), NOW));
    assert!(first.cause.starts_with("sha256:") && first.cause.ends_with(": phishing"), "{}", first.cause);
    assert_eq!(bench.a.deeds().await.expect("deeds"), waiting, "reading takes nothing");
    bench.a.deed_recorded(*epoch).await.expect("noted");
    bench.b.deed_recorded(*epoch).await.expect("twice is no harm");
    assert_eq!(bench.b.deeds().await.expect("deeds").len(), 1);
    // Of a program that knows more words, and of a hand that wrote past it.
    bench.raw("INSERT INTO deeds (epoch, reason, cause, done) VALUES (-1, 'clients_pardoned', 'all of them', 5)").await;
    let waiting = bench.b.deeds().await.expect("deeds");
    assert_eq!(waiting.iter().map(|(_, deed)| deed.reason).collect::<Vec<_>>(), ["deed_not_understood", "client_block_lifted"]);
    assert!(waiting[0].1.cause.contains("clients_pardoned"), "{}", waiting[0].1.cause);
}

pub(crate) async fn ses_06_a_session_that_was_ended_is_nobodys_at_any_replica(bench: &Bench) {
    let (one, two) = (session("one", "alice"), session("two", "alice"));
    let bobs = Stored { client: client("other"), ..session("three", "bob") };
    for stored in [&one, &two, &bobs] {
        bench.a.open_session(stored, of_one(2)).await.expect("opened");
    }
    assert_eq!(bench.b.list_sessions(LIVES, NOW).await.expect("list").len(), 3);
    assert!(bench.b.list_sessions(LIVES, later(3_601)).await.expect("list").is_empty(), "what nobody can use is not listed");
    assert_eq!(bench.b.sessions_beginning(&one.digest[..8]).await.expect("found").len(), 1);
    assert_eq!(bench.b.sessions_beginning(&[]).await.expect("found").len(), 2, "no more than shows that several are meant");
    let before = bench.a.epoch().await.expect("epoch");
    let ended = bench.b.end_from_outside(Ending::Session(&one.digest), OnRecord::Later, NOW).await.expect("ended");
    assert_eq!(ended, Ended { sessions: 1, browsers: 0 });
    assert_eq!(bench.b.end_from_outside(Ending::Session(&one.digest), OnRecord::Later, NOW).await.expect("again"), Ended::default());
    assert_eq!(bench.a.epoch().await.expect("epoch"), before + 1);
    assert!(find(&bench.a, &one).await.expect("answer").is_none());
    assert!(find(&bench.a, &two).await.expect("answer").is_some());
    assert_eq!(bench.a.ended_sessions().await.expect("list"), [one.digest]);
    bench
        .raw(
            "INSERT INTO sessions (digest, issuer, subject, client, credential, server, version, capabilities, upstream_revision, \
               upstream_version, created, used, ended) SELECT substr(digest, 1, 31), issuer, subject, client, credential, server, version, \
               capabilities, upstream_revision, upstream_version, created, used, ended FROM sessions WHERE ended IS NOT NULL",
        )
        .await;
    assert_eq!(bench.a.ended_sessions().await.expect("list"), [one.digest], "a damaged row keeps no other one going");
    bench.raw("DELETE FROM sessions WHERE length(digest) = 31").await;
    let full = SessionCaps { per_user: 5, of_all: 3 };
    bench.a.open_session(&session("room", "carol"), full).await.expect("what has ended takes nobody's place");
    let more = bench.a.open_session(&session("more", "carol"), full).await;
    assert!(matches!(more, Err(StoreError::Refused(Refused::Full))), "{more:?}");
    bench.raw("DELETE FROM sessions WHERE subject = 'carol'").await;
    bench.a.open_session(&session("four", "alice"), of_one(2)).await.expect("what has ended takes no place");
    let through = bench.a.end_from_outside(Ending::Through(&client("client")), OnRecord::Later, NOW).await.expect("ended");
    assert_eq!(through.sessions, 2);
    assert!(find(&bench.b, &bobs).await.expect("answer").is_some(), "another client");
    assert_eq!(bench.b.sweep(later(599), LIVES).await.expect("swept").sessions, 0, "replicas may not have heard of it");
    assert_eq!(bench.b.sweep(later(601), LIVES).await.expect("swept").sessions, 3);
    assert!(find(&bench.b, &bobs).await.expect("answer").is_some());
}

pub(crate) async fn ses_06_a_client_is_found_by_its_digest_among_any_number_of_newer_sessions(bench: &Bench) {
    let digest = |id: &str| sha256(id.as_bytes());
    let old = Stored { client: client("zz-old"), ..session("old", "alice") };
    bench.a.open_session(&old, of_one(2)).await.expect("opened");
    // As many that are newer as are ever listed, and one more, each of a client of its own.
    for at in 0..1_001 {
        let stored = session(&format!("new-{at}"), &format!("user-{at}"));
        let stored = Stored { client: client(&format!("c-{at:04}")), created: later(1), used: later(1), ..stored };
        bench.b.open_session(&stored, of_one(2)).await.expect("opened");
    }
    let listed = bench.b.list_sessions(LIVES, later(2)).await.expect("list");
    assert!(listed.len() == 1_000 && listed.iter().all(|one| one.client != old.client), "cut, and not among them");
    assert_eq!(bench.b.count_usable_sessions(LIVES, later(2)).await.expect("count"), 1_002);
    assert_eq!(bench.b.count_usable_sessions(LIVES, later(4_000)).await.expect("count"), 0);
    for known in ["zz-old", "c-0000", "c-1000"] {
        assert_eq!(bench.b.client_in_session(&digest(known)).await.expect("answer"), Some(client(known)));
    }
    assert_eq!(bench.b.client_in_session(&digest("nobody")).await.expect("answer"), None);
    bench.a.end_from_outside(Ending::Through(&client("zz-old")), OnRecord::Later, later(2)).await.expect("ended");
    assert_eq!(bench.b.client_in_session(&digest("zz-old")).await.expect("answer"), None, "it has none any more");
}

pub(crate) async fn ses_06_a_person_is_signed_out_everywhere_and_nobody_else_is(bench: &Bench) {
    let browser = |id: &str, of: &str| BrowserInfo {
        id: id.to_owned(),
        user: user(of),
        groups: Vec::new(),
        email: None,
        label: "Browser".to_owned(),
        created: NOW,
        used: NOW,
        expires: later(3_600),
        disabled: false,
    };
    for (at, (id, of)) in [(1, ("a1", "alice")), (2, ("a2", "alice")), (3, ("b1", "bob"))] {
        bench.a.put_browser(&PlainToken::<BrowserSecret>::mint(&[at; 32]).hashed(), &browser(id, of), None).await.expect("signed in");
    }
    bench.a.open_session(&session("one", "alice"), of_one(2)).await.expect("opened");
    let one = bench.b.end_from_outside(Ending::Browser("a1"), OnRecord::Later, NOW).await.expect("ended");
    assert_eq!(one, Ended { sessions: 0, browsers: 1 });
    assert_eq!(
        bench.b.end_from_outside(Ending::Of(&user("alice")), OnRecord::Later, NOW).await.expect("ended"),
        Ended { sessions: 1, browsers: 1 }
    );
    let left: Vec<String> = bench.a.list_browsers(None, NOW).await.expect("list").into_iter().map(|browser| browser.id).collect();
    assert_eq!(left, ["b1"]);
    let deeds = bench.a.deeds().await.expect("deeds");
    assert_eq!(deeds.last().expect("a deed").1.user, Some(user("alice")));
}

pub(crate) async fn clients_are_known_by_what_they_were_given(bench: &Bench) {
    assert!(bench.a.known_clients(NOW).await.expect("list").is_empty());
    for of in 1..=2 {
        assert!(allow(&bench.a, of, Some(later(100))).await.expect("allowed"));
    }
    let known = bench.b.known_clients(NOW).await.expect("list");
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].client.as_str(), known[0].consents, known[0].since), ("c", 2, NOW));
    assert_eq!(known[0].shown, Some(("Client".to_owned(), "self-claimed".to_owned())));
    assert_eq!(bench.b.known_clients(later(100)).await.expect("list")[0].consents, 0, "ended, and known");
    assert_eq!(bench.b.grants_of_client(&client("c"), NOW).await.expect("list").len(), 2);
    assert!(bench.b.grants_of_client(&client("d"), NOW).await.expect("list").is_empty());
}
