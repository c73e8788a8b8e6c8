//! `doorward policy explain`: a dry run of one decision. Facts about tools come from approvals and configuration, as in a call.

use super::short;
use crate::args::Global;
use crate::command::apikey::unavailable;
use crate::console::{Console, Form, inert, wrapped};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, ValueEnum};
use doorward_core::config::{Selector, Server, Somebody, Through};
use doorward_core::id::{AgentLabel, ClientId, GroupName, SeenLabel, ServerName, UserId};
use doorward_core::identity::caller::Level;
use doorward_core::json::RawJson;
use doorward_core::mcp::version::{Era, Version};
use doorward_core::policy::decide::Why;
use doorward_core::policy::explain::{Cited, Explanation, Question, Subject, explain};
use doorward_core::policy::facts::RiskClass;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// Options of `policy explain`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Who would ask: SUBJECT, or ISSUER/SUBJECT
    #[arg(long, value_name = "USER")]
    pub user: String,
    /// A group of that user; repeat for several
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// The application
    #[arg(long, value_name = "ID", default_value = "test")]
    pub client: String,
    /// The application proved its identity
    #[arg(long)]
    pub verified: bool,
    /// The administrator's label for the agent
    #[arg(long, value_name = "LABEL")]
    pub agent: Option<String>,
    /// A client through which the token came to that one (token exchange); several times, the first first.
    #[arg(long, value_name = "CLIENT")]
    pub via: Vec<String>,
    /// How the caller signed in
    #[arg(long, value_enum, default_value_t = Signed::StaticKey)]
    pub level: Signed,
    /// The tool
    #[arg(long, value_name = "SERVER__TOOL", required_unless_present_any = ["resource", "prompt", "server"], conflicts_with_all = ["resource", "prompt"])]
    pub tool: Option<String>,
    /// A resource of --server
    #[arg(long, value_name = "URI", requires = "server", conflicts_with = "prompt")]
    pub resource: Option<String>,
    /// A prompt of --server
    #[arg(long, value_name = "NAME", requires = "server")]
    pub prompt: Option<String>,
    /// The server, where no tool names it
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// The arguments of the call, as JSON
    #[arg(long, value_name = "JSON")]
    pub args: Option<String>,
    /// What the credential was granted: SERVER:CLASS or CLASS; repeat for several [default: every class]
    #[arg(long = "grant", value_name = "GRANT", value_delimiter = ',')]
    pub grants: Vec<String>,
    /// Where the caller is
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub peer: IpAddr,
    /// What the caller was let see before, a label of @seen; repeat for several
    #[arg(long = "seen", value_name = "LABEL", value_delimiter = ',')]
    pub seen: Vec<String>,
    /// The caller speaks a revision with sessions, up to 2025-11-25
    #[arg(long)]
    pub legacy: bool,
}

/// How a caller signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Signed {
    /// With a static key of Doorward.
    StaticKey,
    /// With a token of Doorward's authorization server.
    Oauth,
    /// With a token of a cloud's identity service.
    Cloud,
    /// As somebody else.
    Impersonation,
}

/// Nesting of `--args`.
const DEPTH: usize = 64;

/// Answers the question; exit 1 when it would be denied.
///
/// # Errors
/// [`Failure`] for a question that makes no sense.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    let rules = house.rules()?;
    let (server, subject, about) = house::runtime()?.block_on(addressed(arguments, &house))?;
    let question = question(arguments, &server.name, subject, &house)?;
    let mut explanation = explain(&rules, &question);
    let is_there = |client, agent| {
        let through = Through::Client(client, agent);
        Selector::is_visible(&server.visible_to, &Somebody { user: &question.user, groups: &question.groups, through })
    };
    let agents = &house.config().clients.agents;
    // As the gateway has it: where a token went through several hands, it is there for all of them or for none.
    if !is_there(&question.client, question.agent.as_ref()) || !question.via.iter().all(|client| is_there(client, agents.of(client))) {
        explanation = Explanation { denied: Some(Why::Invisible), rules: Vec::new(), otherwise: Vec::new(), ..explanation };
    }
    let denied = explanation.denied.is_some();
    if console.form() == Form::Json {
        console.document(super::super::config::object(as_json(&explanation, &about)));
    } else {
        for line in lines(&explanation, console.width()) {
            console.line(line);
        }
        let width = console.width().saturating_sub(2);
        for line in about.iter().flat_map(|line| wrapped(line, width)) {
            console.line(format_args!("  {line}"));
        }
        if arguments.grants.is_empty() {
            console.say("  every class was taken as granted: narrow it with --grant read");
        }
    }
    Ok(if denied { Exit::Findings } else { Exit::Fine })
}

/// What is addressed, with what is known of it.
async fn addressed(arguments: &Arguments, house: &House) -> Result<(std::sync::Arc<Server>, Subject, Vec<String>), Failure> {
    let named = match (&arguments.tool, &arguments.server) {
        (Some(tool), server) => {
            let (name, rest) =
                tool.split_once("__").ok_or_else(|| bad("--tool is SERVER__TOOL", "for example github__merge_pull_request"))?;
            if server.as_ref().is_some_and(|server| server != name) {
                return Err(bad("--server and --tool name two servers", "leave --server out"));
            }
            (name.to_owned(), Some(rest.to_owned()))
        }
        (None, Some(server)) => (server.clone(), None),
        (None, None) => return Err(bad("nothing is addressed", "--tool SERVER__TOOL")),
    };
    let found = ServerName::new(&named.0).ok().and_then(|name| house.config().servers.get(&name).cloned());
    let server = found.ok_or_else(|| bad(&format!("there is no server \"{}\"", inert(&named.0)), "see doorward server list"))?;
    let subject = match (named.1, &arguments.resource, &arguments.prompt) {
        (Some(tool), ..) => return tool_of(server, tool, house).await,
        (None, Some(uri), _) => Subject::Resource { uri: uri.clone() },
        (None, None, Some(name)) => Subject::Prompt { name: name.clone() },
        (None, None, None) => Subject::Server,
    };
    Ok((server, subject, Vec::new()))
}

async fn tool_of(
    server: std::sync::Arc<Server>,
    name: String,
    house: &House,
) -> Result<(std::sync::Arc<Server>, Subject, Vec<String>), Failure> {
    let store = house.store().await?;
    let pins = store.pins(&server.name).await.map_err(|error| unavailable(&error))?;
    store.close().await;
    let pin = pins.iter().find(|pin| pin.tool.as_str() == name);
    let ruled = server.tools.class(&name);
    let class = ruled.or_else(|| pin.map(|pin| pin.class)).unwrap_or(RiskClass::Destructive);
    let by = match (ruled, pin) {
        (Some(_), _) => "by the configuration",
        (None, Some(_)) => "as approved",
        (None, None) => "as nothing else is known",
    };
    let mut about = vec![format!("tool {}, class {} {by}", inert(&format!("{}__{name}", server.name)), class.as_str())];
    let hidden = !server.tools.allowed(&name);
    let approved = match pin {
        Some(pin) => format!("approved {} by {}, if the server still defines it so", pin.at, inert(&pin.by)),
        None => format!("never approved: doorward server approve {} --tool {}", server.name, inert(&name)),
    };
    about.push(approved);
    if hidden {
        about.push(format!("left out by the configuration: server.{}.tools", server.name));
    }
    let subject = if pin.is_some() && !hidden { Subject::Tool { name, class } } else { Subject::QuarantinedTool { name, class } };
    Ok((server, subject, about))
}

/// Issuer and subject. A subject may hold slashes: where it begins is known of the issuers of the configuration, and of others guessed.
fn whom<'a>(user: &'a str, house: &House) -> (&'a str, &'a str) {
    let config = house.config();
    let people = config.idps.values().map(|provider| provider.issuer.as_str());
    let tokens = config.issuers.iter().map(|issuer| issuer.rule.issuer());
    let known = people.chain(tokens).chain(["local", "client"]);
    let split = known.filter_map(|issuer| user.strip_prefix(issuer)?.strip_prefix('/').map(|name| (user.get(..issuer.len()), name)));
    let mut split = split.filter_map(|(issuer, name)| issuer.map(|issuer| (issuer, name)));
    split.next().or_else(|| user.rsplit_once('/')).unwrap_or(("local", user))
}

fn question(arguments: &Arguments, server: &ServerName, subject: Subject, house: &House) -> Result<Question, Failure> {
    let (issuer, name) = whom(&arguments.user, house);
    let text = arguments.args.as_ref().map(|text| RawJson::parse(&bytes::Bytes::from(text.clone()), DEPTH)).transpose();
    let given = text.map_err(|fault| bad(&format!("--args: {fault}"), "for example --args '{\"branch\": \"main\"}'"))?;
    if given.as_ref().is_some_and(|given| !given.is_object()) {
        return Err(bad("--args is not a JSON object", "for example --args '{\"branch\": \"main\"}'"));
    }
    let unfit = |what: &str| bad(&format!("--{what} is empty, too long or holds control characters"), "choose another name");
    let client = ClientId::new(&arguments.client).map_err(|_| unfit("client"))?;
    let asked = arguments.agent.as_deref().map(AgentLabel::new).transpose().map_err(|_| unfit("agent"))?;
    // As the gateway has it: a client is the agent that the configuration says.
    let configured = house.config().clients.agents.of(&client);
    if let (Some(asked), Some(configured)) = (&asked, configured)
        && asked != configured
    {
        let help = format!("leave --agent out: clients.agents calls it {}", inert(configured.as_str()));
        return Err(bad("--agent is not what the configuration calls this client", &help));
    }
    Ok(Question {
        user: UserId::new(issuer, name).map_err(|_| unfit("user"))?,
        groups: arguments.groups.iter().map(|group| GroupName::new(group)).collect::<Result<_, _>>().map_err(|_| unfit("group"))?,
        agent: asked.or_else(|| configured.cloned()),
        client,
        via: arguments.via.iter().map(|id| ClientId::new(id)).collect::<Result<_, _>>().map_err(|_| unfit("via"))?,
        client_verified: arguments.verified,
        level: arguments.level.level(),
        granted: granted(&arguments.grants, server)?,
        server: server.clone(),
        subject,
        arguments: given,
        era: if arguments.legacy { Era::Legacy(Version::V2025_11_25) } else { Era::Modern },
        peer: arguments.peer,
        now: house.env.now(),
        seen: arguments.seen.iter().map(|label| SeenLabel::new(label)).collect::<Result<_, _>>().map_err(|_| no_label())?,
        // No obligation can be fulfilled yet, neither here nor in a call.
        able: Vec::new(),
    })
}

fn granted(grants: &[String], server: &ServerName) -> Result<BTreeSet<String>, Failure> {
    if grants.is_empty() {
        return Ok([RiskClass::Read, RiskClass::Write, RiskClass::Destructive]
            .iter()
            .map(|class| format!("{server}:{}", class.as_str()))
            .collect());
    }
    let one = |grant: &String| {
        let (of, class) = grant.split_once(':').unwrap_or((server.as_str(), grant));
        let known = RiskClass::parse(class).is_some() && (of == "*" || ServerName::new(of).is_ok());
        known
            .then(|| format!("{of}:{class}"))
            .ok_or_else(|| bad(&format!("\"{}\" is no grant", inert(grant)), "read, write, destructive, or github:write"))
    };
    grants.iter().map(one).collect()
}

fn no_label() -> Failure {
    bad("--seen is no label", "small letters, digits and hyphens, as in @seen of a rule: --seen private")
}

fn bad(what: &str, help: &str) -> Failure {
    Failure::new(Exit::Usage, "policy.bad_question", what, help)
}

/// The answer in lines of at most `width` characters where its words allow it.
pub(super) fn lines(explanation: &Explanation, width: usize) -> Vec<String> {
    let word = if explanation.denied.is_some() { "DENY " } else { "ALLOW" };
    let mut lines = Vec::new();
    // Where the rules allow and something else denies, the rules are not what decided.
    let beside =
        matches!(explanation.denied, Some(Why::NotGranted | Why::Quarantined | Why::ApprovalUnavailable | Why::ObligationUnavailable));
    let (deciding, allowing): (&[Cited], &[Cited]) =
        if beside { (&[], &explanation.rules) } else { (&explanation.rules, &explanation.otherwise) };
    for rule in deciding {
        lines.push(format!("{word}  {}", place(rule)));
        let message = rule.message.as_ref().map(|message| wrapped(&format!("\"{}\"", inert(message)), width.saturating_sub(7)));
        lines.extend(message.into_iter().flatten().map(|line| format!("       {line}")));
    }
    if deciding.is_empty() {
        lines.push(match explanation.denied {
            Some(why) => format!("{word}  {}", meaning(why)),
            None => word.trim_end().to_owned(),
        });
    }
    let mut add = |text: String| lines.extend(wrapped(&text, width.saturating_sub(2)).into_iter().map(|line| format!("  {line}")));
    if let Some(why) = explanation.denied.filter(|why| !deciding.is_empty() && *why != Why::Policy) {
        add(format!("because {}", meaning(why)));
    }
    for rule in allowing {
        add(format!("would otherwise be allowed by {} ({}:{})", rule.id, short(&rule.file), rule.line));
    }
    if let Some(scope) = &explanation.missing {
        add(format!("the credential was not granted {scope}"));
    }
    if !explanation.obligations.is_empty() {
        let names: Vec<&str> = explanation.obligations.iter().map(|obligation| obligation.as_str()).collect();
        add(format!("obligations {}", names.join(", ")));
    }
    if !explanation.shows.is_empty() {
        let labels: Vec<&str> = explanation.shows.iter().map(SeenLabel::as_str).collect();
        add(format!("lets see {}", labels.join(", ")));
    }
    explanation.faults.iter().for_each(|fault| add(format!("fault {}", inert(fault))));
    explanation.facts.iter().for_each(|fact| add(inert(fact)));
    lines
}

fn place(rule: &Cited) -> String {
    format!("{}  {}:{}", rule.id, short(&rule.file), rule.line)
}

/// Why, in words.
const fn meaning(why: Why) -> &'static str {
    match why {
        Why::Invisible => "the server is not visible to this caller (visible_to)",
        Why::Unknown => "there is no such tool",
        Why::Policy => "of the rules",
        Why::NotGranted => "the credential was not granted this class",
        Why::Quarantined => "the tool is not approved as it is",
        Why::Arguments => "of these arguments; others would be allowed",
        Why::Seen => "of what the caller was let see before",
        Why::ArgumentType => "an argument has another type than a rule reads",
        Why::AmbiguousUri => "the URI names its resource in more than one way",
        Why::ApprovalUnavailable => "a person would have to approve, and nobody can be asked yet",
        Why::ObligationUnavailable => "this installation cannot fulfil an obligation",
        Why::Misfit => "the arguments do not fit the approved schema",
        Why::Unchecked => "the arguments cannot be held against the approved schema",
        Why::Unusable => "a schema was approved that cannot be used",
        Why::ForeignToken => "the arguments hold a token of another provider",
        Why::Secret => "the arguments hold a credential",
        Why::Fault => "a rule could not be evaluated",
    }
}

fn as_json(explanation: &Explanation, about: &[String]) -> Value {
    let cite = |rules: &[Cited]| -> Vec<Value> {
        rules.iter().map(|rule| json!({"id": rule.id.as_str(), "file": &*rule.file, "line": rule.line, "message": rule.message})).collect()
    };
    let obligations: Vec<&str> = explanation.obligations.iter().map(|obligation| obligation.as_str()).collect();
    json!({
        "decision": if explanation.denied.is_some() { "deny" } else { "allow" },
        "reason": explanation.denied.map(Why::reason),
        "rules": cite(&explanation.rules),
        "otherwise": cite(&explanation.otherwise),
        "missing": explanation.missing,
        "obligations": obligations,
        "shows": explanation.shows.iter().map(SeenLabel::as_str).collect::<Vec<_>>(),
        "faults": explanation.faults,
        "facts": explanation.facts,
        "tool": about,
    })
}

// === impl Signed ===

impl Signed {
    const fn level(self) -> Level {
        match self {
            Self::StaticKey => Level::StaticKey,
            Self::Oauth => Level::OAuth,
            Self::Cloud => Level::Cloud,
            Self::Impersonation => Level::Impersonation,
        }
    }
}
