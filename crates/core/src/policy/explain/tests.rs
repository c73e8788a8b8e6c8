//! The explanation of a decision names the rules that made it.

use super::*;
use crate::policy::rules::Source;
use std::net::Ipv4Addr;

#[test]
fn a_forbid_is_named_with_what_it_overrules() {
    let text = "@id(\"engineering-write\")\npermit (principal in Group::\"engineering\", action == Action::\"call\", resource in Server::\"github\");\n\n@id(\"no-merge\")\n@message(\"Merging is for people.\")\nforbid (principal, action == Action::\"call\", resource == Tool::\"github__merge\");\n";
    let rules = Rules::load(&[Source { name: "p/github.cedar".to_owned(), text: text.to_owned() }], None).expect("loads");
    let question = Question {
        user: UserId::new("https://id.example", "bob").expect("id"),
        groups: vec![GroupName::new("engineering").expect("id")],
        client: ClientId::new("cursor").expect("id"),
        via: Vec::new(),
        agent: None,
        client_verified: false,
        level: Level::OAuth,
        granted: BTreeSet::from(["github:write".to_owned()]),
        server: ServerName::new("github").expect("name"),
        subject: Subject::Tool { name: "merge".to_owned(), class: RiskClass::Write },
        arguments: None,
        era: Era::Modern,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: Timestamp::from_millis(1_795_496_611_007),
        seen: BTreeSet::new(),
        able: Vec::new(),
    };
    let explanation = explain(&rules, &question);
    insta::assert_snapshot!(explanation.to_string().trim_end(), @r#"
    DENY   no-merge  p/github.cedar:4  "Merging is for people."
      because  policy_denied
      would otherwise be allowed by  engineering-write (p/github.cedar:1)
      principal User::"https:%2F%2Fid.example/bob"
      groups engineering
      client cursor (not verified)
      level oauth
      granted github:write
      needs github:write
      peer 127.0.0.1 at 2026-11-24T05:03:31.007Z
    "#);
    let other = Question { subject: Subject::Tool { name: "open".to_owned(), class: RiskClass::Write }, ..question };
    let allowed = explain(&rules, &other);
    assert_eq!(allowed.denied, None);
    assert_eq!(allowed.rules.first().map(ToString::to_string).as_deref(), Some("engineering-write  p/github.cedar:1"));
}
