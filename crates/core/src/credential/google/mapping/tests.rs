//! Who becomes whom, and that nobody becomes more than a row says.

use super::*;
use proptest::prelude::*;

fn grant(name: &str) -> Grant {
    let account = Account::named(&format!("{name}@p.iam.gserviceaccount.com")).expect("an account");
    Grant { account, scopes: Scopes::new([name]).expect("scopes"), lifetime: Lifetime::DEFAULT }
}

fn row(name: &str) -> Row {
    Row::for_all(grant(name))
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).expect("a group")
}

const NOBODY: Calling<'static> = Calling { user: None, groups: &[], client: None, agent: None, tool: None };

fn whom(mapping: &Mapping, calling: &Calling<'_>) -> Result<String, NoGrant> {
    mapping.grant(calling).map(|grant| grant.scopes.joined())
}

#[test]
fn cld_01_each_class_of_tool_has_its_account() {
    let reader = Row { tools: vec![Tools::Class(RiskClass::Read)], ..row("reader") };
    let writer = Row { tools: vec![Tools::Class(RiskClass::Write)], groups: vec![group("eng")], ..row("writer") };
    let mapping = Mapping::new(vec![reader, writer]).expect("rows");
    let (name, eng) = (ToolName::new("run").expect("a tool"), [group("eng")]);
    let calling = |class, groups| Calling { groups, tool: Some((&name, class)), ..NOBODY };
    assert_eq!(whom(&mapping, &calling(RiskClass::Read, &[])), Ok("reader".to_owned()));
    assert_eq!(whom(&mapping, &calling(RiskClass::Write, &eng)), Ok("writer".to_owned()));
    assert_eq!(whom(&mapping, &calling(RiskClass::Write, &[])), Err(NoGrant::NoRow), "not in the group");
    assert_eq!(whom(&mapping, &calling(RiskClass::Destructive, &eng)), Err(NoGrant::NoRow), "no row for it");
    assert_eq!(whom(&mapping, &NOBODY), Ok("reader".to_owned()), "what calls no tool reads");
}

#[test]
fn cld_06_the_first_row_that_fits_decides_and_a_disabled_one_is_no_reason_to_look_on() {
    let (one, two) = (Row { groups: vec![group("one")], ..row("first") }, Row { groups: vec![group("two")], ..row("second") });
    let groups = [group("two"), group("one")];
    let calling = Calling { groups: &groups, ..NOBODY };
    let mapping = Mapping::new(vec![one.clone(), two.clone()]).expect("rows");
    assert_eq!(whom(&mapping, &calling), Ok("first".to_owned()), "in the order of the rows, not of the groups");
    let other = Mapping::new(vec![two.clone(), one.clone()]).expect("rows");
    assert_eq!(whom(&other, &calling), Ok("second".to_owned()));
    let off = Row { state: State::Disabled, ..one };
    let disabled = Mapping::new(vec![off, two]).expect("rows");
    assert_eq!(whom(&disabled, &calling), Err(NoGrant::Disabled(1)));
    assert_eq!(whom(&disabled, &NOBODY), Err(NoGrant::NoRow), "none fits: nobody becomes anybody");
    assert_eq!(Mapping::new(Vec::new()), None);
}

#[test]
fn every_condition_of_a_row_has_to_hold() {
    let (ann, bob) = (UserId::new("local", "ann").expect("a user"), UserId::new("local", "bob").expect("a user"));
    let (client, other) = (ClientId::new("c").expect("a client"), ClientId::new("d").expect("a client"));
    let (agent, tool) = (AgentLabel::new("etl").expect("a label"), ToolName::new("get_x").expect("a tool"));
    let groups = [group("g")];
    let all = Row {
        tools: vec![Tools::Named(Glob::parse("get_*").expect("a pattern"))],
        users: vec![ann.clone()],
        groups: groups.to_vec(),
        clients: vec![client.clone()],
        agents: vec![agent.clone()],
        ..row("x")
    };
    let right =
        Calling { user: Some(&ann), groups: &groups, client: Some(&client), agent: Some(&agent), tool: Some((&tool, RiskClass::Write)) };
    assert!(all.fits(&right));
    let put = ToolName::new("put_x").expect("a tool");
    for wrong in [
        Calling { user: Some(&bob), ..right },
        Calling { user: None, ..right },
        Calling { groups: &[], ..right },
        Calling { client: Some(&other), ..right },
        Calling { client: None, ..right },
        Calling { agent: None, ..right },
        Calling { tool: Some((&put, RiskClass::Write)), ..right },
        Calling { tool: None, ..right },
    ] {
        assert!(!all.fits(&wrong), "{wrong:?}");
    }
    assert!(row("x").fits(&NOBODY));
}

#[test]
fn cld_06_the_gateway_itself_is_nobody_and_looks_as_nobody_may() {
    let admin = Row { groups: vec![group("admins")], ..row("admin") };
    let writer = Row { tools: vec![Tools::Class(RiskClass::Write)], ..row("writer") };
    let reader = Row { tools: vec![Tools::Class(RiskClass::Read)], ..row("reader") };
    let of = |rows: Vec<Row>| Mapping::new(rows).expect("rows").upkeep().map(|grant| grant.scopes.joined());
    assert_eq!(of(vec![admin.clone(), writer.clone(), reader.clone()]), Ok("reader".to_owned()), "not as the first account that there is");
    assert_eq!(of(vec![admin.clone(), writer.clone()]), Err(NoGrant::NoRow), "a row for some people gives nobody anything");
    let looks = Row { looks: Looks::Yes, ..admin.clone() };
    assert_eq!(of(vec![reader.clone(), looks.clone()]), Ok("admin".to_owned()), "it is written");
    assert_eq!(of(vec![writer, Row { state: State::Disabled, ..looks }]), Err(NoGrant::Disabled(2)));
    assert_eq!(of(vec![Row { state: State::Disabled, ..reader }]), Err(NoGrant::Disabled(1)));
}

#[test]
fn ones_own_account_is_found_however_it_is_spelled() {
    let mapping = Mapping::new(vec![row("a"), row("own")]).expect("rows");
    assert!(mapping.leads_to(&Account::new("OWN@p.iam.gserviceaccount.com").expect("an account")));
    assert!(!mapping.leads_to(&Account::new("other@p.iam.gserviceaccount.com").expect("an account")));
}

proptest! {
    /// Whoever calls whatever: what is granted is what one row says whose conditions hold, and no row before it fits.
    #[test]
    fn nothing_is_granted_that_no_row_says(
        rows in proptest::collection::vec((proptest::collection::vec("[abc]", 0..3), proptest::option::of(0usize..3), any::<bool>()), 1..6),
        mine in proptest::collection::vec("[abc]", 0..3),
        class in 0usize..3,
    ) {
        let classes = [RiskClass::Read, RiskClass::Write, RiskClass::Destructive];
        let rows: Vec<Row> = rows.into_iter().enumerate().map(|(at, (groups, of, on))| Row {
            groups: groups.iter().map(|name| group(name)).collect(),
            tools: of.map(|of| Tools::Class(classes[of])).into_iter().collect(),
            state: if on { State::Enabled } else { State::Disabled },
            ..row(&format!("r{at}"))
        }).collect();
        let mapping = Mapping::new(rows.clone()).expect("rows");
        let (mine, name) = (mine.iter().map(|name| group(name)).collect::<Vec<_>>(), ToolName::new("t").expect("a tool"));
        let calling = Calling { groups: &mine, tool: Some((&name, classes[class])), ..NOBODY };
        let holds = |row: &Row| (row.groups.is_empty() || row.groups.iter().any(|g| mine.contains(g)))
            && (row.tools.is_empty() || row.tools == [Tools::Class(classes[class])]);
        match mapping.grant(&calling) {
            Ok(grant) => {
                let at = rows.iter().position(|row| row.grant == *grant).expect("a row says it");
                prop_assert!(holds(&rows[at]) && rows[at].state == State::Enabled && !rows[..at].iter().any(holds));
            }
            Err(NoGrant::Disabled(at)) => {
                prop_assert!(holds(&rows[at - 1]) && rows[at - 1].state == State::Disabled && !rows[..at - 1].iter().any(holds));
            }
            Err(NoGrant::NoRow) => prop_assert!(!rows.iter().any(holds)),
        }
    }
}
