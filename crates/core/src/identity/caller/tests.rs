//! Every variant of [`Why`] is reached by the request that deserves it.

use super::*;
use crate::secret::{PlainToken, Secret};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn server(name: &str) -> ServerName {
    ServerName::new(name).expect("server name")
}

fn record() -> Record {
    Record {
        credential: CredentialId::new("key-1").expect("id"),
        level: Level::StaticKey,
        user: UserId::new("local", "alice").expect("id"),
        groups: Vec::new(),
        client: ClientId::new("key:key-1").expect("id"),
        agent: None,
        audience: Audience::Only(BTreeSet::from([server("alpha")])),
        granted: BTreeSet::from(["alpha:read".to_owned()]),
        expires: Timestamp::from_millis(2_000_000),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    }
}

fn presented(text: &str) -> Presented {
    Presented::bearer(Secret::new(text.to_owned()))
}

fn key() -> Presented {
    presented(PlainToken::<ApiKey>::mint(&[1; 32]).reveal())
}

fn why(verdict: Verdict) -> Why {
    match verdict {
        Verdict::Refused(why, _) => why,
        Verdict::NotMine => Why::Absent,
        Verdict::Verified(caller) => panic!("verified {caller:?}"),
    }
}

fn judged(change: impl FnOnce(&mut Record)) -> Verdict {
    let mut record = record();
    change(&mut record);
    verify(&key(), Door::Key, Some(&server("alpha")), Some(Found::Stored(Arc::new(record))), NOW)
}

#[test]
fn a_good_key_is_verified_with_the_facts_of_its_record() {
    let Verdict::Verified(caller) = judged(|_| ()) else { panic!("refused") };
    assert_eq!(caller.user().to_string(), "local/alice");
    assert_eq!(caller.level(), Level::StaticKey);
}

#[test]
fn rs_01_each_defect_of_a_record_has_its_own_reason() {
    assert_eq!(why(judged(|r| r.revoked = Some(NOW))), Why::Revoked);
    assert_eq!(why(judged(|r| r.expires = NOW)), Why::Expired);
    assert_eq!(why(judged(|r| r.user_disabled = true)), Why::UserDisabled);
    assert_eq!(why(judged(|r| r.audience = Audience::Only(BTreeSet::from([server("beta")])))), Why::WrongAudience);
    assert_eq!(why(judged(|r| r.audience = Audience::Only(BTreeSet::new()))), Why::WrongAudience);
    assert_eq!(why(judged(|r| r.level = Level::OAuth)), Why::WrongDoor);
}

#[test]
fn rs_04_nothing_presented_is_never_an_identity() {
    let none = Presented::take(&mut http::HeaderMap::new(), None);
    assert!(matches!(verify(&none, Door::Key, None, Some(Found::Stored(Arc::new(record()))), NOW), Verdict::NotMine));
}

#[test]
fn rs_09_an_unknown_key_a_typo_and_the_other_doors_token_are_told_apart() {
    let token = presented(PlainToken::<AccessToken>::mint(&[2; 32]).reveal());
    assert_eq!(why(verify(&key(), Door::Key, None, None, NOW)), Why::Unknown);
    assert_eq!(why(verify(&presented("dwk_short"), Door::Key, None, None, NOW)), Why::Mistyped);
    assert_eq!(why(verify(&token, Door::Key, None, None, NOW)), Why::WrongDoor);
    assert_eq!(why(verify(&key(), Door::OAuth, None, None, NOW)), Why::WrongDoor);
}

#[test]
fn pt_02_foreign_tokens_are_named_and_stay_foreign_even_beside_a_record() {
    let github = presented("ghp_012345678901234567890123456789012345");
    let verdict = verify(&github, Door::Key, None, Some(Found::Stored(Arc::new(record()))), NOW);
    assert_eq!(why(verdict), Why::Foreign(ForeignKind::GitHub));
    assert_eq!(why(verify(&presented("anything"), Door::Key, None, None, NOW)), Why::Unknown);
}

#[test]
fn rs_04_several_credentials_are_400_and_the_rest_401() {
    assert_eq!(Why::Fault(Fault::Several).refusal().wire, Wire::Http(400));
    assert_eq!(Why::Revoked.refusal().wire, Wire::Challenge { presented: Presence::Presented });
    assert_eq!(Why::Absent.refusal().wire, Wire::Challenge { presented: Presence::Absent });
    assert_eq!(Why::Revoked.refusal().public, Why::Expired.refusal().public, "the client is not told which");
}

#[test]
fn tk_13_a_record_alone_never_verifies_what_is_bound_to_a_key() {
    let token = PlainToken::<AccessToken>::mint(&[2; 32]);
    let held = |scheme: &str, bound: Option<Thumbprint>| {
        let record = Record { level: Level::OAuth, bound, ..record() };
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("{scheme} {}", token.reveal()).parse().expect("a value"));
        let presented = Presented::take(&mut headers, None);
        verify(&presented, Door::OAuth, Some(&server("alpha")), Some(Found::Stored(Arc::new(record))), NOW)
    };
    let key = Some(Thumbprint::from_stored([1; 32]));
    assert!(matches!(held("Bearer", None), Verdict::Verified(caller) if caller.bound().is_none()));
    assert_eq!(why(held("Bearer", key)), Why::Unproven);
    assert_eq!(why(held("DPoP", None)), Why::Unbound);
    assert_eq!(why(held("dpop", key)), Why::Proof(BadProof::Missing));
    let mut headers = http::HeaderMap::new();
    let key_text = PlainToken::<ApiKey>::mint(&[1; 32]);
    headers.insert("authorization", format!("DPoP {}", key_text.reveal()).parse().expect("a value"));
    let presented = Presented::take(&mut headers, None);
    let verdict = verify(&presented, Door::Key, Some(&server("alpha")), Some(Found::Stored(Arc::new(record()))), NOW);
    assert_eq!(why(verdict), Why::Fault(Fault::OtherScheme), "keys are bound to nothing");
    for (refused, error) in
        [(Why::Unproven, "invalid_token"), (Why::MustBeBound, "invalid_token"), (Why::Proof(BadProof::Nonce), "use_dpop_nonce")]
    {
        assert!(matches!(refused.refusal().wire, Wire::BadProof { error: told, .. } if told == error), "{refused:?}");
    }
}
