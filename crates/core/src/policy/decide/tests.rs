//! Every reason of a denial is reached by the request that deserves it, and nothing else is allowed.

use super::*;
use crate::contract::{Contract, Measure, Promise};
use crate::id::{ClientId, CredentialId, GroupName, ServerName, ToolName, UserId};
use crate::identity::caller::{Audience, Caller, Door, Found, Level, Record, Verdict, verify};
use crate::identity::presented::Presented;
use crate::json::RawJson;
use crate::mcp::call::{Form, Reference, RpcId};
use crate::mcp::version::Version;
use crate::policy::facts::{Checks, RiskClass, ToolFacts};
use crate::policy::filter;
use crate::policy::permit::Obligation;
use crate::policy::request::{Grants, user_id};
use crate::policy::rules::Source;
use crate::secret::{ApiKey, PlainToken, Secret};
use crate::session::{Claim, Lifetimes, open};
use crate::time::Timestamp;
use bytes::Bytes;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);

fn rules(text: &str) -> Rules {
    let sources = [Source { name: "a.cedar".to_owned(), text: text.to_owned() }];
    Rules::load(&sources, None).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn caller(user: &str, groups: &[&str], granted: &[&str]) -> Caller {
    let record = Record {
        credential: CredentialId::new("key-1").expect("id"),
        level: Level::StaticKey,
        user: UserId::new("local", user).expect("id"),
        groups: groups.iter().map(|group| GroupName::new(group).expect("group")).collect(),
        client: ClientId::new("key:key-1").expect("id"),
        agent: None,
        audience: Audience::Every,
        granted: granted.iter().map(|&scope| scope.to_owned()).collect(),
        expires: NOW.after(Duration::from_secs(60)),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    };
    let key = Presented::bearer(Secret::new(PlainToken::<ApiKey>::mint(&[1; 32]).reveal().to_owned()));
    match verify(&key, Door::Key, None, Some(Found::Stored(Arc::new(record))), NOW) {
        Verdict::Verified(caller) => caller,
        other => panic!("{other:?}"),
    }
}

fn bound_as(caller: Caller, claim: Claim) -> Bound {
    let server = ServerName::new("github").expect("name");
    let lifetimes = Lifetimes { idle: Duration::from_secs(60), absolute: Duration::from_secs(60) };
    open(caller, &server, claim, lifetimes, NOW).expect("opens")
}

fn bound(groups: &[&str], granted: &[&str]) -> Bound {
    bound_as(caller("alice", groups, granted), Claim::PerRequest)
}

fn tool(name: &str, class: RiskClass) -> ToolFacts {
    ToolFacts { name: ToolName::new(name).expect("name"), class, approved: true, digest: [0; 32] }
}

fn facts(tool: Option<ToolFacts>) -> Facts {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (able, seen) = (Vec::new(), BTreeSet::new());
    Facts { tool, visible: true, client_verified: false, peer, able, now: NOW, seen, checks: Checks::default() }
}

fn json(value: &serde_json::Value) -> RawJson {
    RawJson::parse(&Bytes::from(value.to_string()), 32).expect("strict JSON")
}

fn call(name: &str) -> Call {
    Call::for_tests(name, [7; 32])
}

fn with(name: &str, arguments: &serde_json::Value) -> Call {
    call(name).with_arguments(json(arguments))
}

fn other(method: Method, target: &str) -> Call {
    call(target).with_method(method, Form::Request(RpcId::Text(Arc::from("q\"1"))))
}

fn ids(rules: &[RuleId]) -> Vec<&str> {
    rules.iter().map(RuleId::as_str).collect()
}

const READ_ALL: &str = r#"@id("read-all") permit (principal, action == Action::"call", resource in Risk::"read");"#;
const ACME: &str = r#"
@id("acme") permit (principal, action == Action::"call", resource == Tool::"github__get_issue")
when { context.arguments has repo && context.arguments.repo like "acme/*" };"#;

fn get_issue() -> Facts {
    facts(Some(tool("get_issue", RiskClass::Read)))
}

fn acme(arguments: &serde_json::Value) -> Result<Permit, Denied> {
    decide(&rules(ACME), &get_issue(), bound(&[], &["github:read"]), with("get_issue", arguments))
}

#[test]
fn a_permit_holds_call_caller_and_rules() {
    let permit = decide(&rules(READ_ALL), &get_issue(), bound(&[], &["github:read"]), call("get_issue")).expect("permitted");
    assert_eq!(ids(permit.rules()), ["read-all"]);
    assert_eq!(permit.call().target(), Some("get_issue"));
    assert_eq!(permit.bound().caller().user().subject(), "alice");
    assert!(permit.obligations().is_empty());
}

#[test]
fn pol_01_without_a_rule_everything_is_refused() {
    for text in ["", "// empty", r#"@id("x") permit (principal in Group::"eng", action, resource);"#] {
        let rules = rules(text);
        let denied = decide(&rules, &get_issue(), bound(&[], &["*:read"]), call("get_issue")).expect_err(text);
        assert_eq!(denied.why(), Why::Policy);
        assert_eq!(denied.refusal().known.rule.as_deref(), Some("no-rule"));
        for method in [Method::ResourcesRead, Method::PromptsGet, Method::ToolsList, Method::Initialize] {
            assert!(decide(&rules, &facts(None), bound(&[], &["*:read"]), other(method, "x")).is_err(), "{method:?}");
        }
    }
}

#[test]
fn pol_01_a_forbid_wins_in_any_order_and_any_bucket() {
    let forbid = r#"@id("no") @message("Never.") forbid (principal in Group::"eng", action, resource in Server::"github");"#;
    for text in [format!("{READ_ALL}\n{forbid}"), format!("{forbid}\n{READ_ALL}")] {
        let rules = rules(&text);
        let denied = decide(&rules, &get_issue(), bound(&["eng"], &["github:read"]), call("get_issue")).expect_err("forbidden");
        assert_eq!((denied.why(), ids(denied.rules())), (Why::Policy, vec!["no"]));
        assert_eq!(denied.message(), Some("Never."));
        let refusal = denied.refusal();
        assert_eq!(refusal.public, "Unknown tool: get_issue", "a hidden tool is not explained");
        assert_eq!(refusal.known.rule.as_deref(), Some("no"));
        assert!(decide(&rules, &get_issue(), bound(&[], &["github:read"]), call("get_issue")).is_ok());
    }
}

#[test]
fn rpc_09_hidden_and_unknown_tools_answer_alike() {
    let rules = rules(READ_ALL);
    let hidden = decide(&rules, &facts(Some(tool("x", RiskClass::Write))), bound(&[], &["github:write"]), call("x")).expect_err("hidden");
    let unknown = decide(&rules, &facts(None), bound(&[], &["github:write"]), call("x")).expect_err("unknown");
    let mistaken = decide(&rules, &get_issue(), bound(&[], &["*:read"]), call("x")).expect_err("facts of another tool");
    assert_eq!((hidden.why(), unknown.why(), mistaken.why()), (Why::Policy, Why::Unknown, Why::Unknown));
    let seen = |denied: Denied| {
        let refusal = denied.refusal();
        (refusal.wire, refusal.public, refusal.retry)
    };
    let expected = (Wire::Rpc { status: 200, code: -32602, data: None }, "Unknown tool: x".to_owned(), Retry::Never);
    assert_eq!(seen(hidden), expected);
    assert_eq!(seen(unknown), expected);
    assert_eq!(seen(mistaken), expected);
}

#[test]
fn rs_06_a_class_that_was_not_granted_is_refused_whatever_rules_say() {
    let rules = rules(r#"@id("all") permit (principal, action, resource);"#);
    for (granted, class, allowed) in [
        (&["github:read"][..], RiskClass::Read, true),
        (&["github:read"], RiskClass::Write, false),
        (&["github:write"], RiskClass::Read, false),
        (&["*:write"], RiskClass::Write, true),
        (&["linear:write"], RiskClass::Write, false),
        (&["*:*", "github:*", "*", "github"], RiskClass::Write, false),
        (&["*:read", "github:write"], RiskClass::Destructive, false),
        (&[], RiskClass::Read, false),
    ] {
        let outcome = decide(&rules, &facts(Some(tool("t", class))), bound(&[], granted), call("t"));
        assert_eq!(outcome.is_ok(), allowed, "{granted:?} {class:?}");
        if let Err(denied) = outcome {
            let scope = format!("github:{}", class.as_str());
            assert_eq!((denied.why(), denied.missing()), (Why::NotGranted, Some(scope.as_str())));
            let refusal = denied.refusal();
            assert_eq!(refusal.wire, Wire::ToolResult);
            assert_eq!(refusal.public, format!("Not allowed: not-granted – This credential was not granted {scope}."));
            assert_eq!(refusal.known.rule.as_deref(), Some("not-granted"));
        }
    }
    for method in [Method::ResourcesRead, Method::PromptsGet] {
        assert!(decide(&rules, &facts(None), bound(&[], &["github:read"]), other(method, "x")).is_ok());
        let denied = decide(&rules, &facts(None), bound(&[], &["github:write"]), other(method, "x")).expect_err("no read");
        assert_eq!(denied.why(), Why::NotGranted);
        assert!(matches!(denied.refusal().wire, Wire::Rpc { code: -32602, .. }));
    }
}

#[test]
fn a_missing_grant_is_told_only_to_those_whom_the_rules_would_allow() {
    let write = facts(Some(tool("x", RiskClass::Write)));
    let denied = decide(&rules(READ_ALL), &write, bound(&[], &[]), call("x")).expect_err("hidden");
    assert_eq!((denied.why(), denied.missing()), (Why::Policy, None));
    assert_eq!(denied.refusal().public, "Unknown tool: x");
    // The rule itself asks for the grant: with it the caller would be allowed.
    let laptop = Rules::laptop().expect("loads");
    let denied = decide(&laptop, &write, bound(&[], &["github:read"]), call("x")).expect_err("not granted");
    assert_eq!((denied.why(), denied.missing()), (Why::NotGranted, Some("github:write")));
    assert!(decide(&laptop, &write, bound(&[], &["*:write"]), call("x")).is_ok());
}

#[test]
fn pol_02_a_changed_definition_is_not_callable_and_not_listed() {
    let rules = rules(READ_ALL);
    let mut changed = tool("get_issue", RiskClass::Read);
    changed.approved = false;
    let caller = || bound(&[], &["github:read"]);
    assert_eq!(filter::tools(&rules, &facts(None), &caller(), std::slice::from_ref(&changed)), [false]);
    let denied = decide(&rules, &facts(Some(changed.clone())), caller(), call("get_issue")).expect_err("quarantined");
    assert_eq!(denied.why(), Why::Quarantined);
    let refusal = denied.refusal();
    assert_eq!(refusal.wire, Wire::ToolResult);
    assert_eq!(refusal.public, "Tool get_issue of github changed since it was approved. An administrator has to look at it.");
    // Who could not call it anyway learns nothing.
    changed.class = RiskClass::Write;
    let denied = decide(&rules, &facts(Some(changed)), bound(&[], &["github:write"]), call("get_issue")).expect_err("hidden");
    assert_eq!(denied.refusal().public, "Unknown tool: get_issue");
}

#[test]
fn rs_06_arguments_decide_and_are_told() {
    assert!(acme(&serde_json::json!({"repo": "acme/x", "unread": [1, null, 1.5]})).is_ok());
    let denied = acme(&serde_json::json!({"repo": "other/x"})).expect_err("other");
    assert_eq!(denied.why(), Why::Arguments);
    let refusal = denied.refusal();
    assert_eq!(refusal.wire, Wire::ToolResult);
    assert_eq!(refusal.public, "Not allowed: no-rule – The rules do not allow this call with these arguments.");
    assert_eq!(acme(&serde_json::json!({})).expect_err("missing").why(), Why::Arguments);
    let none = decide(&rules(ACME), &get_issue(), bound(&[], &["github:read"]), call("get_issue"));
    assert_eq!(none.expect_err("no arguments").why(), Why::Arguments);
}

#[test]
fn rs_06_a_forbid_on_arguments_names_its_rule_and_message() {
    let text = format!(
        "{READ_ALL}\n@id(\"no-prod\") @message(\"Production is for people.\") forbid (principal, action == Action::\"call\", resource) when {{ context.arguments has env && context.arguments.env == \"prod\" }};"
    );
    let rules = rules(&text);
    let listed = filter::tools(&rules, &facts(None), &bound(&[], &["github:read"]), &[tool("get_issue", RiskClass::Read)]);
    assert_eq!(listed, [true]);
    let call = with("get_issue", &serde_json::json!({"env": "prod"}));
    let refusal = decide(&rules, &get_issue(), bound(&[], &["github:read"]), call).expect_err("prod").refusal();
    assert_eq!(refusal.public, "Not allowed: no-prod – Production is for people.");
    assert_eq!((refusal.reason, refusal.known.rule.as_deref()), ("policy_denied_arguments", Some("no-prod")));
}

#[test]
fn rs_06_arguments_nested_too_deep_are_the_callers_fault() {
    let deep = format!("{{\"repo\":\"acme/x\",\"deep\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let deep = RawJson::parse(&Bytes::from(deep), 512).expect("strict JSON");
    let outcome = decide(&rules(ACME), &get_issue(), bound(&[], &["github:read"]), call("get_issue").with_arguments(deep));
    assert_eq!(outcome.expect_err("too deep").why(), Why::ArgumentType);
}

#[test]
fn rs_06_arguments_of_the_wrong_type_are_refused() {
    for bad in [serde_json::json!(["acme/x"]), serde_json::json!(null), serde_json::json!(1), serde_json::json!({"a": 1})] {
        let denied = acme(&serde_json::json!({"repo": bad})).expect_err("wrong type");
        assert_eq!((denied.why(), ids(denied.rules())), (Why::ArgumentType, vec!["acme"]));
        assert_eq!(denied.refusal().public, "Not allowed: acme – The argument repo must be a text.");
    }
    // A forbid cannot be dodged by a value that it cannot be compared with.
    let text = format!(
        "{READ_ALL}\n@id(\"cap\") forbid (principal, action == Action::\"call\", resource) when {{ context.arguments has n && context.arguments.n > 9 }};\n\
         @id(\"force\") forbid (principal, action == Action::\"call\", resource) when {{ context.arguments has force && context.arguments.force == true }};\n\
         @id(\"tag\") forbid (principal, action == Action::\"call\", resource) when {{ context.arguments has tags && context.arguments.tags.contains(\"x\") }};"
    );
    let rules = rules(&text);
    let outcome =
        |arguments| decide(&rules, &get_issue(), bound(&[], &["github:read"]), with("get_issue", &arguments)).map_err(|d| d.why());
    for good in [serde_json::json!({"n": 9, "force": false, "tags": ["y"]}), serde_json::json!({}), serde_json::json!({"tags": []})] {
        assert!(outcome(good.clone()).is_ok(), "{good}");
    }
    for (bad, why) in [
        (serde_json::json!({"n": 10}), Why::Arguments),
        (serde_json::json!({"n": 1e9}), Why::ArgumentType),
        (serde_json::json!({"n": 1.0}), Why::ArgumentType),
        (serde_json::json!({"n": 18_446_744_073_709_551_615_u64}), Why::ArgumentType),
        (serde_json::json!({"n": "10"}), Why::ArgumentType),
        (serde_json::json!({"n": null}), Why::ArgumentType),
        (serde_json::json!({"force": "true"}), Why::ArgumentType),
        (serde_json::json!({"force": 1}), Why::ArgumentType),
        (serde_json::json!({"tags": "x"}), Why::ArgumentType),
        (serde_json::json!({"tags": ["y", 1]}), Why::ArgumentType),
        (serde_json::json!({"tags": ["y", null]}), Why::ArgumentType),
    ] {
        assert_eq!(outcome(bad.clone()).map(|_| ()), Err(why), "{bad}");
    }
}

#[test]
fn rs_06_paths_that_read_two_ways_are_refused() {
    for bad in ["acme/../other/x", "acme/%2e%2e/other/x", "acme\\..\\other", "acme/\u{2215}..", "acme//x", "acme/x\0"] {
        let denied = acme(&serde_json::json!({"repo": bad})).expect_err(bad);
        assert_eq!(denied.why(), Why::ArgumentType, "{bad:?}");
    }
    let text = r#"
@id("files") permit (principal, action == Action::"read", resource) when { resource.uri like "file:///public/*" };
@id("notes") permit (principal, action == Action::"read", resource == Resource::"github__note://1");"#;
    let rules = rules(text);
    let read = |uri| decide(&rules, &facts(None), bound(&[], &["github:read"]), other(Method::ResourcesRead, uri)).map_err(|d| d.why());
    assert!(read("file:///public/a").is_ok());
    assert!(read("note://1").is_ok());
    for bad in ["file:///public/../etc/passwd", "file:///public/%2e%2e/x", "file:///public/a%2fb", "file:///public/\u{ff0e}./x"] {
        assert_eq!(read(bad).map(|_| ()), Err(Why::AmbiguousUri), "{bad}");
    }
    for hidden in ["file:///etc/passwd", "note://2"] {
        assert_eq!(read(hidden).map(|_| ()), Err(Why::Policy), "{hidden}");
    }
}

#[test]
fn two_rules_that_disagree_about_an_argument_refuse_it() {
    let text = format!(
        "{ACME}\n@id(\"n\") forbid (principal, action == Action::\"call\", resource in Server::\"github\") when {{ context.arguments has repo && context.arguments.repo > 1 }};"
    );
    for value in [serde_json::json!("acme/x"), serde_json::json!(1)] {
        let call = with("get_issue", &serde_json::json!({"repo": value}));
        let denied = decide(&rules(&text), &get_issue(), bound(&[], &["github:read"]), call).expect_err("no value fits both");
        assert_eq!(denied.why(), Why::ArgumentType);
    }
}

#[test]
fn an_evaluation_error_denies_even_beside_a_permit() {
    // Cedar alone would skip the forbid that overflows and let the permit stand.
    let text = format!(
        "{READ_ALL}\n@id(\"sum\") forbid (principal, action == Action::\"call\", resource) when {{ context.arguments has n && context.arguments.n + 1 > 10 }};"
    );
    let outcome = |n: i64| {
        let call = with("get_issue", &serde_json::json!({"n": n}));
        decide(&rules(&text), &get_issue(), bound(&[], &["github:read"]), call)
    };
    assert!(outcome(1).is_ok());
    let denied = outcome(i64::MAX).expect_err("overflow");
    assert_eq!(denied.why(), Why::Fault);
    let refusal = denied.refusal();
    assert!(refusal.is_ours(), "an operator is told");
    assert_eq!(refusal.wire, Wire::ToolResult);
    assert!(!refusal.public.contains("overflow"), "{}", refusal.public);
    assert!(refusal.private.is_some_and(|text| text.contains("overflow")));
    // Where even the list cannot be decided, the tool does not exist.
    let broken =
        format!("{READ_ALL}\n@id(\"a\") forbid (principal, action == Action::\"call\", resource) when {{ 9223372036854775807 + 1 > 0 }};");
    let denied = decide(&rules(&broken), &get_issue(), bound(&[], &["github:read"]), call("get_issue")).expect_err("overflow");
    assert_eq!(denied.why(), Why::Fault);
    assert_eq!(denied.refusal().public, "Unknown tool: get_issue");
}

#[test]
fn obligations_are_carried_or_refused_and_never_dropped() {
    let text = r#"
@id("asks") @obligation("approve") permit (principal, action == Action::"call", resource in Risk::"write");
@id("looks") @obligation("redact, screen") permit (principal, action == Action::"call", resource in Risk::"read");
@id("plain") permit (principal in Group::"eng", action == Action::"call", resource);"#;
    let rules = rules(text);
    let ask = |class, able: &[Obligation]| {
        let facts = Facts { able: able.to_vec(), ..facts(Some(tool("t", class))) };
        decide(&rules, &facts, bound(&["eng"], &["*:read", "*:write"]), call("t"))
    };
    let permit = ask(RiskClass::Read, &[Obligation::Screen, Obligation::Redact]).expect("able");
    assert_eq!(permit.obligations(), [Obligation::Screen, Obligation::Redact]);
    assert_eq!(ids(permit.rules()), ["looks", "plain"], "a rule without the obligation does not lift it");
    assert_eq!(ask(RiskClass::Read, &[Obligation::Screen]).expect_err("cannot redact").why(), Why::ObligationUnavailable);
    let denied = ask(RiskClass::Write, &[Obligation::Screen, Obligation::Redact]).expect_err("cannot ask");
    assert_eq!(denied.why(), Why::ApprovalUnavailable);
    let refusal = denied.refusal();
    assert_eq!(refusal.reason, "approval_unavailable");
    assert_eq!(refusal.public, "Not allowed: asks – A person must approve this call, and approvals are not available here.");
    let listed = filter::tools(&rules, &facts(None), &bound(&["eng"], &["*:write"]), &[tool("t", RiskClass::Write)]);
    assert_eq!(listed, [false], "what nobody can approve is not listed");
}

#[test]
fn a_server_that_is_not_visible_does_not_exist() {
    let rules = rules(r#"@id("all") permit (principal, action, resource);"#);
    let hidden = Facts { visible: false, ..get_issue() };
    for call in [call("get_issue"), other(Method::ToolsList, "x"), other(Method::ResourcesRead, "x"), other(Method::EndSession, "x")] {
        let denied = decide(&rules, &hidden, bound(&[], &["*:read"]), call).expect_err("invisible");
        assert_eq!(denied.why(), Why::Invisible);
        assert_eq!(denied.refusal().wire, Wire::Http(404));
    }
    assert_eq!(filter::tools(&rules, &hidden, &bound(&[], &["*:read"]), &[tool("t", RiskClass::Read)]), [false]);
    assert_eq!(filter::prompts(&rules, &hidden, &bound(&[], &["*:read"]), &["p"]), [false]);
}

#[test]
fn rs_05_every_method_is_decided() {
    use Method as M;
    let server = [
        M::Initialize,
        M::Discover,
        M::Ping,
        M::ToolsList,
        M::PromptsList,
        M::ResourcesList,
        M::ResourceTemplatesList,
        M::SetLevel,
        M::Listen,
        M::TasksCancel,
        M::TasksList,
        M::Initialized,
        M::Cancelled,
        M::ClientProgress,
        M::RootsChanged,
        M::OtherNotification,
        M::Answer,
        M::OpenStream,
        M::EndSession,
    ];
    let resource = [M::ResourcesRead, M::ResourcesSubscribe, M::ResourcesUnsubscribe];
    let completion = |kind| other(M::Complete, "x").completing(kind);
    let only = |action: &str| rules(&format!("@id(\"only\") permit (principal, action == Action::\"{action}\", resource);"));
    let ask = |rules: &Rules, call| decide(rules, &facts(Some(tool("x", RiskClass::Read))), bound(&[], &["github:read"]), call);
    for action in ["call", "read", "prompt", "use"] {
        let rules = only(action);
        for method in server {
            assert_eq!(ask(&rules, other(method, "x")).is_ok(), action == "use", "{action} {method:?}");
        }
        for method in resource {
            assert_eq!(ask(&rules, other(method, "x")).is_ok(), action == "read", "{action} {method:?}");
        }
        for about_a_task in [M::TasksGet, M::TasksUpdate, M::TasksResult] {
            assert_eq!(ask(&rules, other(about_a_task, "t-1")).is_ok(), action == "call", "{action} {about_a_task:?}");
        }
        assert_eq!(ask(&rules, other(M::ToolsCall, "x")).is_ok(), action == "call");
        assert_eq!(ask(&rules, other(M::PromptsGet, "x")).is_ok(), action == "prompt");
        assert_eq!(ask(&rules, completion(Some(Reference::Prompt))).is_ok(), action == "prompt");
        assert_eq!(ask(&rules, completion(Some(Reference::Template))).is_ok(), action == "read");
        assert!(ask(&rules, completion(None)).is_err());
        assert!(ask(&rules, other(M::Complete, "x")).is_err());
    }
    let refused = only("prompt");
    assert_eq!(ask(&refused, other(M::ToolsList, "x")).expect_err("no use").refusal().wire, Wire::Http(403));
}

#[test]
fn ses_09_a_task_is_judged_as_its_tool_and_refused_like_an_unknown_one() {
    let rules = rules(
        r#"@id("few") permit (principal, action == Action::"call", resource) when { context.arguments has x && context.arguments.x == "y" };"#,
    );
    let ask = |tool, granted| decide(&rules, &facts(tool), bound(&[], &[granted]), other(Method::TasksGet, "t-1"));
    assert!(ask(Some(tool("x", RiskClass::Read)), "github:read").is_ok(), "with some arguments it may be called");
    let changed = ToolFacts { approved: false, ..tool("x", RiskClass::Read) };
    for (tool, granted) in [(None, "github:read"), (Some(changed), "github:read"), (Some(tool("x", RiskClass::Write)), "github:read")] {
        let refusal = ask(tool, granted).expect_err("no right to the tool").refusal();
        assert_eq!((refusal.wire, refusal.public.as_str()), (Wire::Rpc { status: 200, code: -32602, data: None }, "Unknown task."));
    }
}

#[test]
fn denied_resources_and_prompts_answer_as_the_protocol_does() {
    let rules = rules(READ_ALL);
    let ask = |call| decide(&rules, &facts(None), bound(&[], &["github:read"]), call).expect_err("denied").refusal();
    let modern = ask(other(Method::ResourcesRead, "file:///a"));
    assert_eq!(modern.wire, Wire::Rpc { status: 200, code: -32602, data: Some(serde_json::json!({"uri": "file:///a"})) });
    let legacy = ask(other(Method::ResourcesRead, "file:///a").in_era(Era::Legacy(Version::V2025_11_25)));
    assert_eq!(legacy.wire, Wire::Rpc { status: 200, code: -32002, data: Some(serde_json::json!({"uri": "file:///a"})) });
    let prompt = ask(other(Method::PromptsGet, "p"));
    assert_eq!((prompt.wire, prompt.public.as_str()), (Wire::Rpc { status: 200, code: -32602, data: None }, "Unknown prompt: p"));
    let known = prompt.known;
    assert_eq!(known.rpc_id.as_deref(), Some(r#""q\"1""#));
    assert_eq!((known.method.as_deref(), known.name.as_deref(), known.digest), (Some("prompts/get"), Some("p"), Some([7; 32])));
    assert!(known.user.is_some() && known.client.is_some() && known.server.is_some());
}

#[test]
fn a_static_key_never_proves_a_client() {
    let rules = rules(r#"@id("v") permit (principal, action == Action::"call", resource) when { context.client.verified };"#);
    let claimed = Facts { client_verified: true, ..get_issue() };
    assert!(decide(&rules, &claimed, bound(&[], &["github:read"]), call("get_issue")).is_err());
}

#[test]
fn the_context_holds_what_the_schema_promises() {
    let text = r#"
@id("c") permit (principal == User::"local/alice", action == Action::"call", resource)
when { principal.issuer == "local" && principal.subject == "alice" && resource.name == "get_issue" }
when { context.client.id == "key:key-1" && !(context.client has agent) && context.level == "static-key" }
when { context.granted.containsAll(["github:read", "linear:write"]) && context.needs == "github:read" && context.session.era == "modern" }
when { context.network.peer.isLoopback() && context.now == datetime("2026-11-24T05:03:31.007Z") };"#;
    let denied = decide(&rules(text), &get_issue(), bound(&[], &["*:read", "linear:write"]), call("get_issue"));
    assert!(denied.is_ok(), "{denied:?}");
}

proptest! {
    #[test]
    fn two_users_never_share_an_entity(a in "[%/a2F5]{1,6}", b in "[%/a2F5]{1,6}", c in "[%/a2F5]{1,6}", d in "[%/a2F5]{1,6}") {
        let (one, two) = (UserId::new(&a, &b).expect("id"), UserId::new(&c, &d).expect("id"));
        prop_assert_eq!(one == two, user_id(&one) == user_id(&two));
    }
}

/// A rule without conditions on arguments.
#[test]
fn a_bound_of_the_legacy_era_says_so() {
    let rules = rules(r#"@id("l") permit (principal, action == Action::"use", resource) when { context.session.era == "legacy" };"#);
    let legacy = bound_as(caller("alice", &[], &[]), Claim::New(Version::V2025_11_25));
    assert!(decide(&rules, &facts(None), legacy, other(Method::Initialize, "")).is_ok());
    assert!(decide(&rules, &facts(None), bound(&[], &[]), other(Method::Ping, "")).is_err());
}

#[test]
fn rpc_12_only_who_may_call_a_tool_learns_what_its_schema_says() {
    let contract = Contract::of(&RawJson::of(&serde_json::json!({ "inputSchema": { "required": ["owner"] } })));
    let checks = Checks {
        schemas: Some(Promise { contract: Arc::new(contract), measure: Measure::Refuse }),
        foreign_tokens: Measure::Refuse,
        screen: None,
    };
    let facts = Facts { checks, ..get_issue() };
    let deny = rules("");
    let token = serde_json::json!({ "a": "ghp_012345678901234567890123456789012345" });
    let denied = decide(&deny, &facts, bound(&[], &[]), with("get_issue", &token)).expect_err("no rule");
    assert_eq!(denied.why(), Why::Policy);
    assert_eq!(denied.refusal().public, "Unknown tool: get_issue");
    let permit = rules(r#"@id("all") permit (principal, action, resource);"#);
    let denied = decide(&permit, &facts, bound(&[], &["github:read"]), call("get_issue")).expect_err("misfit");
    assert_eq!((denied.why(), ids(denied.rules())), (Why::Misfit, vec!["all"]));
    let refusal = denied.refusal();
    assert_eq!(refusal.wire, Wire::Rpc { status: 200, code: -32602, data: None });
    assert_eq!(refusal.public, "The arguments do not fit the approved schema of this tool: /owner (required).");
    assert_eq!((refusal.reason, refusal.blame), ("arguments_misfit", Blame::Caller));
    let facts = Facts { checks: Checks { schemas: None, ..facts.checks }, ..facts };
    let denied = decide(&permit, &facts, bound(&[], &["github:read"]), with("get_issue", &token)).expect_err("token");
    assert_eq!(
        denied.refusal().public,
        "The arguments hold what looks like a token of github. Credentials of others are not passed on here."
    );
}

mod properties;
mod rulings;
mod seen;
