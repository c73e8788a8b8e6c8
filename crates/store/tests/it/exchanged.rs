//! TK-10: what was exchanged ends with what it came from, whoever comes first.

use crate::bench::{Bench, NOW, client, credential, later, server};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::oauth::client::{Client, ClientAuth};
use doorward_core::oauth::exchange::{Actor, Asked, Delegated, judge};
use doorward_core::oauth::form::Form;
use doorward_core::oauth::token::{Authentication, authenticate, shown};
use doorward_core::secret::{AccessToken, PlainToken, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::{Refused, Store, StoreError};
use std::collections::BTreeSet;
use std::time::Duration;

fn token(round: u8, step: u8) -> TokenHash<AccessToken> {
    let mut bytes = [step; 32];
    bytes[0] = round;
    PlainToken::<AccessToken>::mint(&bytes).hashed()
}

fn of_app(id: &str) -> Record {
    Record {
        level: Level::OAuth,
        client: client("app"),
        audience: Audience::Only(BTreeSet::from([server("alpha")])),
        granted: BTreeSet::from(["alpha:read".to_owned()]),
        ..crate::bench::record(id, "alice")
    }
}

/// What this client may have for a token.
fn delegated(name: &str, parent: TokenHash<AccessToken>, subject: &Record, now: Timestamp) -> Delegated {
    let known = Client::configured(client(name), name.to_owned(), Vec::new(), ClientAuth::None);
    let shown = shown(None, &Form::parse(&format!("client_id={name}")).expect("a form")).expect("shown");
    let Ok(Authentication::Done(agent)) = authenticate(&known, &shown, None, ("https://a.example", "https://a.example/t"), now) else {
        panic!("nobody");
    };
    let asked = Asked { scopes: None, server: None, bound: None, life: Duration::from_secs(60), now };
    judge(&agent, |_| true, (parent, subject), Actor::NotShown, asked).expect("delegated")
}

async fn counts(store: &Store, hash: &TokenHash<AccessToken>) -> bool {
    store.access_token(hash).await.expect("read").is_some_and(|record| record.revoked.is_none())
}

pub(crate) async fn tk_10_a_chain_is_read_back_and_ends_from_its_beginning(bench: &Bench) {
    let first = of_app("grant-1");
    bench.a.put_access_token(&token(0, 1), &first, NOW).await.expect("put");
    let second = delegated("agent", token(0, 1), &first, NOW);
    assert!(bench.a.issue_exchanged(&token(0, 2), &second, NOW).await.expect("stored"));
    let third = delegated("worker", token(0, 2), second.record(), NOW);
    assert!(bench.b.issue_exchanged(&token(0, 3), &third, NOW).await.expect("stored"));
    let read = bench.a.access_token(&token(0, 3)).await.expect("read").expect("there");
    assert_eq!(read.via(), [client("app"), client("agent")]);
    assert_eq!(read.delegation, third.record().delegation);

    // One in the middle is given back: what came before stays.
    assert!(bench.a.end_access_token(&token(0, 2), &client("agent"), NOW).await.expect("ended"));
    assert!(!counts(&bench.b, &token(0, 3)).await && counts(&bench.b, &token(0, 1)).await);
    let again = delegated("worker", token(0, 2), second.record(), NOW);
    assert!(!bench.a.issue_exchanged(&token(0, 4), &again, NOW).await.expect("judged"), "it counts no more");

    let second = delegated("agent", token(0, 1), &first, NOW);
    assert!(bench.a.issue_exchanged(&token(0, 5), &second, NOW).await.expect("stored"));
    assert!(bench.b.revoke_access_token(&credential("grant-1"), NOW).await.expect("revoked"));
    assert!(!counts(&bench.a, &token(0, 5)).await);
    assert!(!bench.a.issue_exchanged(&token(0, 6), &second, later(1)).await.expect("judged"));
}

pub(crate) async fn tk_10_no_client_takes_the_room_of_its_person(bench: &Bench) {
    let first = of_app("grant-1");
    bench.a.put_access_token(&token(0, 0), &first, NOW).await.expect("put");
    // As many as there may be, of whatever names: keys and scopes are no way around it.
    let copies = |first: u32, last: u32, revoked: &str| {
        format!(
            "INSERT INTO access_tokens (hash, id, level, issuer, subject, client, audience_kind, audience, granted, created, expires, revoked, \
             parent, via) SELECT {}, 'exc_' || n, level, issuer, subject, 'agent', audience_kind, audience, granted, created, expires, \
             {revoked}, id, '[\"app\"]' FROM access_tokens, \
             (WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) SELECT n FROM numbers) AS n \
             WHERE id = 'grant-1'",
            bench.digest_of("n"),
        )
    };
    assert_eq!(bench.raw(&copies(1, 999, "NULL")).await, 999);
    let next = || delegated("agent", token(0, 0), &first, NOW);
    assert!(bench.a.issue_exchanged(&token(1, 1), &next(), NOW).await.expect("stored"));
    let full = bench.a.issue_exchanged(&token(1, 2), &next(), NOW).await;
    assert!(matches!(full, Err(StoreError::Refused(Refused::TooMany))), "{full:?}");
    let other = delegated("other", token(0, 0), &first, NOW);
    assert!(bench.a.issue_exchanged(&token(1, 3), &other, NOW).await.expect("another client has room"));
    // What it gave back still takes its own room, and nobody else's.
    assert_eq!(bench.raw(&copies(1_001, 10_001, "1")).await, 9_001);
    assert!(bench.a.put_access_token(&token(1, 4), &of_app("grant-2"), NOW).await.is_ok(), "the person goes on");
    // All of it ends at once, with the consent.
    assert!(bench.b.revoke_access_token(&credential("grant-1"), NOW).await.expect("revoked"));
    assert!(!counts(&bench.a, &token(1, 1)).await && !counts(&bench.a, &token(1, 3)).await);
}

pub(crate) async fn tk_10_an_exchange_that_meets_the_end_leaves_nothing(bench: &Bench) {
    for round in 0..40 {
        let id = format!("grant-{round}");
        let first = of_app(&id);
        bench.a.put_access_token(&token(round, 1), &first, NOW).await.expect("put");
        let second = delegated("agent", token(round, 1), &first, NOW);
        // Half of the rounds end the first of a chain while its end grows.
        let (parent, new) = if round % 2 == 0 {
            (token(round, 2), second)
        } else {
            assert!(bench.a.issue_exchanged(&token(round, 2), &second, NOW).await.expect("stored"));
            (token(round, 3), delegated("worker", token(round, 2), second.record(), NOW))
        };
        let ending = credential(&id);
        let (issued, ended) = tokio::join!(bench.a.issue_exchanged(&parent, &new, NOW), bench.b.revoke_access_token(&ending, NOW));
        assert!(ended.expect("ended"));
        issued.expect("judged");
        assert!(!counts(&bench.a, &parent).await, "round {round}");
    }
}
