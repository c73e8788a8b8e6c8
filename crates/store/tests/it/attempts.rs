//! UI, REG-02: attempts to connect are of one person or of nobody, bounded in number and size, and never in the way.

use crate::bench::{Bench, NOW, client, damaged, later, server, user};
use crate::grants::allow;
use doorward_core::id::CredentialId;
use doorward_core::oauth::attempt::{AttemptId, Mark, Standing, Step};
use doorward_core::secret::{AuthorizationCode, PlainToken, sha256};
use doorward_store::{HeardOf, Named, NewAttempt};

fn ticket(of: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&of.to_be_bytes());
    bytes
}

fn nobodys(of: u64, peer: &str, mark: Mark) -> NewAttempt {
    let named = Named { id: client("c"), name: Some("Client".to_owned()), identity: Some("self-claimed") };
    NewAttempt {
        id: AttemptId::of_request(&ticket(of), None),
        user: None,
        client: Some(named),
        server: Some(server("alpha")),
        peer: Some(peer.to_owned()),
        grant: None,
        marks: vec![mark],
        takes: Vec::new(),
    }
}

fn theirs(of: u64, who: &str, mark: Mark) -> NewAttempt {
    let (id, user) = (AttemptId::of_request(&ticket(of), Some(&user(who))), Some(user(who)));
    NewAttempt { id, user, peer: None, ..nobodys(of, "", mark) }
}

fn request(seconds: u64) -> Mark {
    Mark::done(Step::Request, later(seconds))
}

pub(crate) async fn an_attempt_is_of_its_owner_alone_and_takes_what_was_nobodys(bench: &Bench) {
    let registered = NewAttempt {
        id: AttemptId::of_registration(&client("c")),
        server: None,
        ..nobodys(0, "192.0.2.1", Mark::done(Step::Registration, NOW))
    };
    bench.a.tell_attempt(&registered).await.expect("told");
    bench.b.tell_attempt(&nobodys(1, "192.0.2.1", request(1))).await.expect("told");
    assert_eq!(bench.a.list_attempts(None).await.expect("list").len(), 2);
    assert_eq!(bench.a.attempts_of(&user("alice")).await.expect("list"), [], "nobody's is nobody's");
    let of_nobody = AttemptId::of_request(&ticket(1), None);
    let mine = NewAttempt { takes: vec![of_nobody, registered.id], ..theirs(1, "alice", Mark::done(Step::SignIn, later(2))) };
    bench.b.tell_attempt(&mine).await.expect("told");
    let found = bench.a.attempt_of(&user("alice"), mine.id).await.expect("answer").expect("hers");
    let steps: Vec<Step> = found.way.marks().iter().map(Mark::step).collect();
    assert_eq!(steps, [Step::Registration, Step::Request, Step::SignIn]);
    assert_eq!((found.begun, found.last, found.peer.as_deref()), (NOW, later(2), None), "no address is kept of who is known");
    assert_eq!(bench.a.attempt_of(&user("bob"), mine.id).await.expect("answer"), None);
    assert_eq!(bench.a.attempt_of(&user("alice"), of_nobody).await.expect("answer"), None);
    assert_eq!(bench.a.attempt(of_nobody).await.expect("answer"), None, "taken");
    assert_eq!(bench.a.list_attempts(Some(&sha256(b"c"))).await.expect("list"), [found]);
    assert_eq!(bench.a.list_attempts(Some(&sha256(b"d"))).await.expect("list"), []);
    // What is somebody's is never taken, whoever names it.
    let thief = NewAttempt { takes: vec![mine.id], ..theirs(2, "bob", request(3)) };
    bench.b.tell_attempt(&thief).await.expect("told");
    assert_eq!(bench.a.attempts_of(&user("bob")).await.expect("list")[0].way.marks().len(), 1);
    assert!(bench.a.attempt_of(&user("alice"), mine.id).await.expect("answer").is_some());
    // Nor written under another's name.
    let forged = NewAttempt { id: mine.id, ..theirs(1, "bob", Mark::refused(Step::Token, later(9), "planted")) };
    bench.b.tell_attempt(&forged).await.expect("told");
    assert!(!bench.a.attempt(mine.id).await.expect("answer").expect("hers").way.to_string().contains("planted"));
}

pub(crate) async fn later_steps_find_their_attempt_by_consent_and_code(bench: &Bench) {
    assert!(allow(&bench.a, 1, None).await.expect("allowed"));
    let grant = CredentialId::new("grant-1").expect("id");
    let of = HeardOf::Grant(grant.clone());
    assert!(!bench.a.tell_more(&of, &Mark::done(Step::Call, NOW)).await.expect("answer"), "there is no attempt");
    let new = NewAttempt { grant: Some(grant), ..theirs(1, "alice", Mark::done(Step::Answer, later(1))) };
    bench.a.tell_attempt(&new).await.expect("told");
    let code = HeardOf::Code(PlainToken::<AuthorizationCode>::mint(&[1; 32]).hashed());
    let wrong = HeardOf::Code(PlainToken::<AuthorizationCode>::mint(&[77; 32]).hashed());
    let refused = Mark::refused(Step::Token, later(2), "foreign_grant");
    assert!(!bench.b.tell_more(&wrong, &refused).await.expect("answer"));
    assert!(bench.b.tell_more(&code, &refused).await.expect("answer"), "by the digest of the code");
    let read = async || bench.a.attempt(new.id).await.expect("answer").expect("there");
    assert_eq!(read().await.way.standing(later(3)), Standing::Stopped(Step::Token, Some("foreign_grant")));
    assert!(bench.b.tell_more(&of, &Mark::done(Step::Token, later(4))).await.expect("answer"));
    assert!(bench.b.tell_more(&of, &Mark::done(Step::Call, later(5))).await.expect("answer"));
    assert_eq!((read().await.way.standing(later(6)), read().await.last), (Standing::Arrived, later(5)));
}

pub(crate) async fn fifty_that_tell_at_once_lose_nothing(bench: &Bench) {
    let grant = CredentialId::new("g").expect("id");
    let new = NewAttempt { grant: Some(grant.clone()), ..theirs(1, "alice", request(0)) };
    let id = new.id;
    let told = bench
        .race(move |store, _| {
            let new = new.clone();
            async move { store.tell_attempt(&new).await }
        })
        .await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    let steps = [Step::SignIn, Step::Question, Step::Decision, Step::Answer, Step::Token];
    let told = bench.race(move |store, n| {
        let (of, mark) = (HeardOf::Grant(grant.clone()), Mark::done(steps[n % steps.len()], later(1)));
        async move { store.tell_more(&of, &mark).await }
    });
    assert!(told.await.into_iter().all(|told| told.expect("told")));
    assert_eq!(bench.a.attempt(id).await.expect("answer").expect("there").way.marks().len(), 6);
    assert_eq!(bench.a.list_attempts(None).await.expect("list").len(), 1);
}

pub(crate) async fn strangers_fill_nothing_and_push_nobody_out(bench: &Bench) {
    bench.a.tell_attempt(&theirs(1, "alice", request(0))).await.expect("told");
    bench.a.tell_attempt(&nobodys(1, "198.51.100.7", request(0))).await.expect("told");
    for n in 2..60 {
        bench.a.tell_attempt(&nobodys(n, "192.0.2.1", request(n))).await.expect("told");
    }
    let all = bench.b.list_attempts(None).await.expect("list");
    let from = |peer: &str| all.iter().filter(|attempt| attempt.peer.as_deref() == Some(peer)).count();
    assert_eq!((from("192.0.2.1"), from("198.51.100.7"), all.len()), (20, 1, 22), "one address has its share");
    assert_eq!(all[0].id, AttemptId::of_request(&ticket(59), None), "the oldest go first");
    for n in 60..620 {
        bench.a.tell_attempt(&nobodys(n, &format!("10.0.{}.{}", n / 200, n % 200), request(n))).await.expect("told");
    }
    let all = bench.b.list_attempts(None).await.expect("list");
    assert_eq!(all.iter().filter(|attempt| attempt.user.is_none()).count(), 500);
    assert_eq!(bench.b.attempts_of(&user("alice")).await.expect("list").len(), 1, "who is somebody keeps theirs");
    for n in 1000..1070 {
        bench.a.tell_attempt(&theirs(n, "bob", request(n))).await.expect("told");
    }
    assert_eq!(bench.b.attempts_of(&user("bob")).await.expect("list").len(), 50);
    assert_eq!(bench.b.attempts_of(&user("alice")).await.expect("list").len(), 1);
}

pub(crate) async fn reg_02_what_is_kept_of_a_client_is_short_and_old_attempts_go(bench: &Bench) {
    let name = format!("\u{1b}[31m\0{}", "<b>".repeat(1000));
    let named = Named { id: client(&"x".repeat(1000)), name: Some(name), identity: None };
    let peer = format!("\n{}", "9".repeat(500));
    let new = NewAttempt { client: Some(named), peer: Some(peer), ..nobodys(1, "", request(0)) };
    bench.a.tell_attempt(&new).await.expect("told");
    let found = bench.b.attempt(new.id).await.expect("answer").expect("there");
    let name = found.name.expect("a name");
    assert!(name.chars().count() == 60 && !name.contains(char::is_control), "{name:?}");
    assert_eq!(found.peer.map(|peer| peer.len()), Some(64));
    let swept = async |seconds| bench.a.sweep(later(seconds), crate::bench::LIVES).await.expect("swept").attempts;
    assert_eq!((swept(7 * 86_400 - 1).await, swept(7 * 86_400).await, swept(7 * 86_400).await), (0, 1, 0));
    bench.a.tell_attempt(&theirs(1, "alice", request(0))).await.expect("told");
    bench.raw("UPDATE attempts SET steps = '1 <b>'").await;
    assert!(damaged(&bench.a.attempts_of(&user("alice")).await, "attempts", "steps"));
    // A damaged row fails alone, and leaves nothing half done.
    let taking = NewAttempt { takes: vec![AttemptId::of_request(&ticket(1), Some(&user("alice")))], ..theirs(1, "alice", request(1)) };
    assert!(damaged(&bench.a.tell_attempt(&taking).await, "attempts", "steps"));
    bench.a.tell_attempt(&theirs(2, "bob", request(1))).await.expect("told");
    assert_eq!(bench.b.attempts_of(&user("bob")).await.expect("list").len(), 1);
}
