//! TK-10: what comes of a token is never more than it.

use super::*;
use crate::id::UserId;
use crate::identity::caller::Level;
use crate::oauth::client::{Client, ClientAuth};
use crate::oauth::token::{Authentication, authenticate, shown};
use crate::secret::PlainToken;
use proptest::collection::btree_set;
use proptest::prelude::{any, prop, prop_assert, proptest};

const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);

fn client(name: &str) -> AuthenticatedClient {
    let known = Client::configured(ClientId::new(name).expect("id"), name.to_owned(), Vec::new(), ClientAuth::None);
    let shown = shown(None, &Form::parse(&format!("client_id={name}")).expect("a form")).expect("shown");
    match authenticate(&known, &shown, None, ("https://a.example", "https://a.example/oauth/token"), NOW) {
        Ok(Authentication::Done(client)) => client,
        other => panic!("{other:?}"),
    }
}

fn server(name: &str) -> ServerName {
    ServerName::new(name).expect("name")
}

fn record() -> Record {
    Record {
        credential: CredentialId::new("grant-1").expect("id"),
        level: Level::OAuth,
        user: UserId::new("https://id.example", "alice").expect("id"),
        groups: Vec::new(),
        client: ClientId::new("app").expect("id"),
        agent: None,
        audience: Audience::Only(BTreeSet::from([server("alpha")])),
        granted: BTreeSet::from(["alpha:read".to_owned(), "alpha:write".to_owned()]),
        expires: NOW.after(Duration::from_secs(600)),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    }
}

fn asked() -> Asked<'static> {
    Asked { scopes: None, server: None, bound: None, life: Duration::from_secs(3_600), now: NOW }
}

fn hash() -> TokenHash<AccessToken> {
    PlainToken::<AccessToken>::mint(&[1; 32]).hashed()
}

fn judged(subject: &Record, asked: Asked<'_>) -> Result<Delegated, NotDelegated> {
    judge(&client("agent"), |_| true, (hash(), subject), Actor::NotShown, asked)
}

/// What is different, and what is said of it.
type Case = (&'static str, fn(&mut Record), NotDelegated);

#[test]
fn tk_10_the_record_of_a_token_that_may_not_be_exchanged_buys_nothing() {
    let cases: [Case; 8] = [
        ("revoked", |record| record.revoked = Some(NOW), NotDelegated::Subject("revoked_credential")),
        ("ends now", |record| record.expires = NOW, NotDelegated::Subject("expired_credential")),
        ("disabled", |record| record.user_disabled = true, NotDelegated::Subject("user_disabled")),
        ("a static key", |record| record.level = Level::StaticKey, NotDelegated::Subject("wrong_door")),
        ("a cloud identity", |record| record.level = Level::Cloud, NotDelegated::Subject("wrong_door")),
        ("bound", |record| record.bound = Some(Thumbprint::from_stored([1; 32])), NotDelegated::Subject("bound_token_as_bearer")),
        ("for all servers", |record| record.audience = Audience::Every, NotDelegated::Target),
        ("for nothing", |record| record.granted.clear(), NotDelegated::Scope),
    ];
    assert!(judged(&record(), asked()).is_ok());
    for (name, change, why) in cases {
        let mut subject = record();
        change(&mut subject);
        assert_eq!(judged(&subject, asked()).expect_err(name), why, "{name}");
    }
    let nobody = judge(&client("agent"), |_| false, (hash(), &record()), Actor::NotShown, asked());
    assert_eq!(nobody.expect_err("not allowed"), NotDelegated::Subject("exchange_not_allowed"));
}

#[test]
fn tk_10_an_actor_is_the_client_itself_or_nobody() {
    let own = |name: &str, issuer: &str| Record {
        client: ClientId::new(name).expect("id"),
        user: UserId::new(issuer, name).expect("id"),
        ..record()
    };
    let with = |actor: Actor<'_>| judge(&client("agent"), |_| true, (hash(), &record()), actor, asked()).map(|_| ());
    assert_eq!(with(Actor::Known(&own("agent", "client"))), Ok(()));
    assert_eq!(with(Actor::Unknown), Err(NotDelegated::Actor), "unknown");
    assert_eq!(with(Actor::Known(&own("other", "client"))), Err(NotDelegated::Actor));
    assert_eq!(with(Actor::Known(&own("agent", "https://id.example"))), Err(NotDelegated::Actor), "a person's, given to it");
    assert_eq!(with(Actor::Known(&Record { revoked: Some(NOW), ..own("agent", "client") })), Err(NotDelegated::Actor));
}

#[test]
fn a_name_is_of_what_it_stands_for() {
    let name = |subject: &Record, asked| judged(subject, asked).expect("delegated").record().credential.clone();
    let first = name(&record(), asked());
    assert_eq!(name(&record(), asked()), first, "a session goes on");
    let narrower = Scopes::parse(Some("alpha:read"));
    assert_ne!(name(&record(), Asked { scopes: Some(&narrower), ..asked() }), first);
    assert_ne!(name(&record(), Asked { bound: Some(Thumbprint::from_stored([2; 32])), ..asked() }), first);
    assert!(first.as_str().starts_with(EXCHANGED));
    let of_a_machine = Record { credential: CredentialId::new("own_1").expect("id"), ..record() };
    assert!(name(&of_a_machine, asked()).as_str().starts_with(OWN_ACCESS), "nobody consented to that either");
}

proptest! {
    #[test]
    fn tk_10_nothing_is_won(
        granted in btree_set(prop::sample::select(vec!["alpha:read", "alpha:write", "alpha:destructive", "beta:read"]), 0..4),
        wanted in prop::option::of(btree_set(prop::sample::select(vec!["alpha:read", "alpha:write", "alpha:destructive", "beta:read"]), 0..4)),
        left in 1_u64..10_000_000,
        life in any::<u32>(),
        chain in 0_usize..6,
    ) {
        let via: Vec<ClientId> = (0..chain).map(|at| ClientId::new(&format!("c{at}")).expect("id")).collect();
        let delegation = (chain > 0).then(|| Delegation { parent: CredentialId::new("grant-0").expect("id"), via: via.clone() });
        let subject = Record {
            granted: granted.iter().map(|&scope| scope.to_owned()).collect(),
            expires: NOW.after(Duration::from_millis(left)),
            delegation,
            ..record()
        };
        let scopes = wanted.as_ref().map(|wanted| wanted.iter().filter_map(|text| super::super::scope::Scope::parse(text)).collect());
        let asked = Asked { scopes: scopes.as_ref(), life: Duration::from_millis(u64::from(life)), ..asked() };
        if let Ok(delegated) = judged(&subject, asked) {
            let new = delegated.record();
            prop_assert!(new.granted.is_subset(&subject.granted) && !new.granted.is_empty());
            prop_assert!(new.expires <= subject.expires && new.expires <= NOW.after(Duration::from_millis(u64::from(life))));
            prop_assert!(new.user == subject.user && new.audience == subject.audience);
            prop_assert!(new.via().len() == chain + 1 && new.via().len() <= LONGEST_CHAIN);
            prop_assert!(new.via()[..chain] == via[..] && new.via()[chain] == subject.client);
            prop_assert!(new.delegation.as_ref().is_some_and(|delegation| delegation.parent == subject.credential));
        } else {
            let fits = wanted.is_none_or(|wanted| wanted.is_subset(&granted) && !wanted.is_empty());
            prop_assert!(granted.is_empty() || !fits || chain >= LONGEST_CHAIN);
        }
    }
}
