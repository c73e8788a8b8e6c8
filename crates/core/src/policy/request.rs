//! From plain facts to a question for Cedar, and back. The one place where requests are built: calls, lists, dry runs and
//! tests of policies all come through here, so they cannot drift apart.

use super::arguments::{Misfit, Shape};
use super::expr::{ARGUMENTS, NETWORK, NOW, SEEN};
use super::memory::{Kept, Key, Known};
use super::rules::{Reads, Rule, Rules};
use super::slices::{Action, Bucket};
use crate::id::{ClientId, GroupName, SeenLabel, ServerName, UserId};
use crate::identity::caller::Level;
use crate::json::RawJson;
use crate::mcp::version::Era;
use crate::policy::facts::RiskClass;
use crate::time::Timestamp;
use cedar_policy::{Context, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request, RestrictedExpression};
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// Who asks where, without a witness: a dry run has none.
#[derive(Debug, Clone)]
pub(super) struct Who<'a> {
    pub(super) user: &'a UserId,
    pub(super) groups: &'a [GroupName],
    pub(super) client: &'a str,
    pub(super) via: &'a [ClientId],
    pub(super) agent: Option<&'a str>,
    pub(super) level: Level,
    pub(super) granted: &'a BTreeSet<String>,
    pub(super) verified: bool,
    pub(super) server: &'a ServerName,
    pub(super) era: Era,
    pub(super) peer: IpAddr,
    pub(super) now: Timestamp,
    pub(super) seen: &'a BTreeSet<SeenLabel>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'a> {
    Tool { name: &'a str, class: RiskClass },
    Resource { uri: &'a str },
    Prompt { name: &'a str },
    Server,
}

/// Which question about it.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    /// May this be done, with these arguments?
    Call(Option<&'a RawJson>),
    /// May it go on, with whatever arguments it began?
    Later,
    /// Could it be done with some arguments, by somebody who has seen nothing yet?
    List,
}

/// Which grants count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grants {
    /// Those of the credential.
    Held,
    /// And the one that is missing for this, to find out whether it alone is missing.
    WithNeeded,
}

/// What Cedar said.
#[derive(Debug, Clone, Default)]
pub(super) struct Ruling {
    /// Satisfied permits, in the order of the files.
    pub(super) permits: Vec<usize>,
    /// Satisfied forbids.
    pub(super) forbids: Vec<usize>,
    /// Rules that could not be evaluated, and anything else that went wrong. One is enough for a denial.
    pub(super) faults: Vec<String>,
    /// The argument that does not fit, and the rule that reads it.
    pub(super) misfit: Option<(usize, Misfit)>,
    /// How many rules were looked at.
    pub(super) evaluated: usize,
}

/// Rulings of one list about what every rule treats alike, by the class that it needs. One kind of thing only.
pub(super) type Alike = HashMap<Option<RiskClass>, (Arc<Ruling>, Lasting)>;

/// How long a ruling holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    /// As long as the rules.
    AsRules,
    /// As long as the rules, for callers at this address.
    Here,
    /// For this question: a rule reads the time, the arguments or what was seen.
    Once,
}

/// For questions over rules of any scope.
const EVERYTHING: Reads = Reads { resource: true, now: true, network: true, seen: true };

/// The names of the schema, parsed once.
#[derive(Debug)]
pub(super) struct Kinds {
    user: EntityTypeName,
    group: EntityTypeName,
    tool: EntityTypeName,
    server: EntityTypeName,
    resource: EntityTypeName,
    prompt: EntityTypeName,
    risks: [EntityUid; 3],
    actions: HashMap<Action, EntityUid>,
}

/// One caller at one server, ready to ask several questions.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    rules: &'a Rules,
    who: Who<'a>,
    /// What Cedar calls them: made when Cedar is asked, which is seldom.
    named: OnceCell<Named>,
    /// Rulings for this caller at this server.
    kept: Arc<Kept>,
}

/// Caller and server, for Cedar.
#[derive(Debug)]
struct Named {
    user: EntityUid,
    /// `None`, the user, the groups.
    principals: Vec<Option<EntityUid>>,
    server: EntityUid,
}

/// A question that is ready but for the action's own part.
struct Subject {
    action: Action,
    uid: EntityUid,
    /// `None`, the resource itself, what it is in.
    resources: Vec<Option<EntityUid>>,
    attribute: Option<(&'static str, String)>,
}

// === impl Who ===

impl Who<'_> {
    /// The scope that `what` needs, `<server>:<class>`; opening a server needs none.
    pub(super) fn needed(&self, what: What<'_>) -> Option<String> {
        what.class().map(|class| format!("{}:{}", self.server, class.as_str()))
    }

    /// All that rulings depend on here, apart from the address and the time.
    fn key(&self) -> Key {
        let mut key = Key::default();
        key.part(self.user.issuer()).part(self.user.subject());
        key.parts(self.groups.iter().map(GroupName::as_str));
        key.part(self.client).parts(self.agent.into_iter()).parts(self.via.iter().map(ClientId::as_str));
        key.part(self.level.as_str()).part(if self.verified { "verified" } else { "" });
        key.parts(self.granted.iter().map(String::as_str));
        key.part(self.server.as_str()).part(match self.era {
            Era::Legacy(_) => "legacy",
            Era::Modern => "modern",
        });
        key
    }

    /// Whether the credential was granted what `what` needs, by the server's name or through `*`.
    pub(super) fn holds(&self, what: What<'_>) -> bool {
        let Some(class) = what.class() else { return true };
        self.granted
            .iter()
            .filter_map(|scope| scope.split_once(':'))
            .any(|(server, granted)| granted == class.as_str() && (server == "*" || server == self.server.as_str()))
    }
}

// === impl What ===

impl What<'_> {
    /// The class that must be granted; opening a server needs none.
    const fn class(self) -> Option<RiskClass> {
        match self {
            Self::Tool { class, .. } => Some(class),
            Self::Resource { .. } | Self::Prompt { .. } => Some(RiskClass::Read),
            Self::Server => None,
        }
    }

    const fn action(self) -> Action {
        match self {
            Self::Tool { .. } => Action::Call,
            Self::Resource { .. } => Action::Read,
            Self::Prompt { .. } => Action::Prompt,
            Self::Server => Action::Use,
        }
    }
}

// === impl Ruling ===

impl Ruling {
    /// No forbid, no fault, and a permit.
    pub(super) const fn allows(&self) -> bool {
        !self.permits.is_empty() && self.forbids.is_empty() && self.faults.is_empty() && self.misfit.is_none()
    }

    fn fault(text: impl Into<String>) -> Self {
        Self { faults: vec![text.into()], ..Self::default() }
    }
}

// === impl Kinds ===

impl Kinds {
    pub(super) fn new() -> Result<Self, String> {
        let kind = |name: &str| EntityTypeName::from_str(name).map_err(|error| error.to_string());
        let (risk, action) = (kind("Risk")?, kind("Action")?);
        let uid = |kind: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        Ok(Self {
            user: kind("User")?,
            group: kind("Group")?,
            tool: kind("Tool")?,
            server: kind("Server")?,
            resource: kind("Resource")?,
            prompt: kind("Prompt")?,
            risks: [RiskClass::Read, RiskClass::Write, RiskClass::Destructive].map(|class| uid(&risk, class.as_str())),
            actions: Action::ALL.into_iter().map(|known| (known, uid(&action, known.as_str()))).collect(),
        })
    }

    /// True for rules that allow one resource of a server and not another, or look at the URI.
    pub(super) fn tells_resources_apart(&self, rule: &Rule) -> bool {
        rule.actions.contains(&Action::Read)
            && (rule.reads.resource || rule.resource.as_ref().is_some_and(|uid| *uid.type_name() == self.resource))
    }

    fn risk(&self, class: RiskClass) -> &EntityUid {
        let [read, write, destructive] = &self.risks;
        match class {
            RiskClass::Read => read,
            RiskClass::Write => write,
            RiskClass::Destructive => destructive,
        }
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// `<issuer>/<subject>`; `%` and `/` inside the parts are escaped, so two users never have one id.
pub(super) fn user_id(user: &UserId) -> String {
    let escape = |part: &str| part.replace('%', "%25").replace('/', "%2F");
    format!("{}/{}", escape(user.issuer()), escape(user.subject()))
}

// === impl Asker ===

impl<'a> Asker<'a> {
    pub(super) fn new(rules: &'a Rules, who: Who<'a>) -> Self {
        let kept = rules.memory.of(who.key());
        Self { rules, who, named: OnceCell::new(), kept }
    }

    fn named(&self) -> &Named {
        self.named.get_or_init(|| {
            let kinds = &self.rules.kinds;
            let user = uid(&kinds.user, &user_id(self.who.user));
            let groups = self.who.groups.iter().map(|group| uid(&kinds.group, group.as_str()));
            let principals = [None, Some(user.clone())].into_iter().chain(groups.map(Some)).collect();
            Named { user, principals, server: uid(&kinds.server, self.who.server.as_str()) }
        })
    }

    pub(super) const fn who(&self) -> &Who<'a> {
        &self.who
    }

    pub(super) const fn rules(&self) -> &'a Rules {
        self.rules
    }

    /// Whether a rule that can concern `what` asks what was seen before.
    pub(super) fn asks_what_was_seen(&self, what: What<'_>) -> bool {
        let subject = self.subject(what);
        self.rules.slices.concerning(subject.action, &self.named().principals, &subject.resources).any(|bucket| bucket.reads.seen)
    }

    /// Asks Cedar about one thing, unless the answer is known.
    pub(super) fn ask(&self, what: What<'_>, view: View<'_>, grants: Grants) -> Arc<Ruling> {
        let key = Self::key_of(what, view, grants);
        self.recall(&key).unwrap_or_else(|| {
            let (ruling, lasting) = self.work_out(&self.subject(what), what, view, grants);
            self.keep(key, &ruling, lasting);
            ruling
        })
    }

    /// Whether `what` can be called with some arguments, among other entries of a list: what every rule treats alike is
    /// worked out once for each class. `alike` is that of the list.
    pub(super) fn ask_among(&self, what: What<'_>, alike: &mut Alike) -> Arc<Ruling> {
        let key = Self::key_of(what, View::List, Grants::Held);
        if let Some(known) = self.recall(&key) {
            return known;
        }
        let subject = self.subject(what);
        let work_out = || self.work_out(&subject, what, View::List, Grants::Held);
        let (ruling, lasting) =
            if self.is_uniform(&subject) { alike.entry(what.class()).or_insert_with(work_out).clone() } else { work_out() };
        self.keep(key, &ruling, lasting);
        ruling
    }

    fn keep(&self, key: Key, ruling: &Arc<Ruling>, lasting: Lasting) {
        match lasting {
            Lasting::AsRules => self.kept.keep(key, ruling),
            Lasting::Here => {
                self.kept.keep(self.with_address(key.clone()), ruling);
                self.kept.keep_by_address(key);
            }
            Lasting::Once => {}
        }
    }

    fn recall(&self, key: &Key) -> Option<Arc<Ruling>> {
        let known = match self.kept.recall(key)? {
            Known::ByAddress => self.kept.recall(&self.with_address(key.clone()))?,
            known @ Known::Ruling(_) => known,
        };
        match known {
            Known::Ruling(ruling) => Some(ruling),
            Known::ByAddress => None,
        }
    }

    fn work_out(&self, subject: &Subject, what: What<'_>, view: View<'_>, grants: Grants) -> (Arc<Ruling>, Lasting) {
        let buckets: Vec<&Bucket> = self.rules.slices.concerning(subject.action, &self.named().principals, &subject.resources).collect();
        let reads = buckets.iter().fold(Reads::default(), |all, bucket| all.or(bucket.reads));
        let arguments = match self.arguments(&buckets, view) {
            Ok(arguments) => arguments,
            Err(ruling) => return (Arc::new(ruling), Lasting::Once),
        };
        let ruling = match self.question(subject, self.context(what, arguments, grants, reads)) {
            Ok((request, entities)) => self.evaluate(&buckets, &request, &entities, |bucket| match view {
                View::Call(_) => &bucket.call,
                View::Later => &bucket.later,
                View::List => &bucket.listing,
            }),
            Err(fault) => Ruling::fault(fault),
        };
        let lasting = if reads.now || reads.seen || buckets.iter().any(|bucket| !bucket.readers.is_empty()) {
            Lasting::Once
        } else if reads.network {
            Lasting::Here
        } else {
            Lasting::AsRules
        };
        (Arc::new(ruling), lasting)
    }

    /// All that Cedar is told, apart from the caller, the address, the time and the arguments: those of
    /// [`Self::context`], [`Self::entities`] and [`Self::subject`], and which form of the rules is asked.
    fn key_of(what: What<'_>, view: View<'_>, grants: Grants) -> Key {
        let mut key = Key::default();
        key.part(match (view, grants) {
            (View::Call(_), Grants::Held) => "call",
            (View::Call(_), Grants::WithNeeded) => "call+",
            (View::Later, Grants::Held) => "later",
            (View::Later, Grants::WithNeeded) => "later+",
            (View::List, Grants::Held) => "list",
            (View::List, Grants::WithNeeded) => "list+",
        });
        match what {
            What::Tool { name, class } => key.part("tool").part(class.as_str()).part(name),
            What::Resource { uri } => key.part("resource").part(uri),
            What::Prompt { name } => key.part("prompt").part(name),
            What::Server => key.part("server"),
        };
        key
    }

    fn with_address(&self, mut key: Key) -> Key {
        match self.who.peer.to_canonical() {
            IpAddr::V4(address) => key.bytes(&address.octets()),
            IpAddr::V6(address) => key.bytes(&address.octets()),
        };
        key
    }

    /// The permits that would hold if there were no forbids. For explanations only.
    pub(super) fn otherwise(&self, what: What<'_>, view: View<'_>) -> Vec<usize> {
        let subject = self.subject(what);
        let buckets: Vec<&Bucket> = self.rules.slices.concerning(subject.action, &self.named().principals, &subject.resources).collect();
        let Ok(arguments) = self.arguments(&buckets, view) else { return Vec::new() };
        let Ok((request, entities)) = self.question(&subject, self.context(what, arguments, Grants::Held, EVERYTHING)) else {
            return Vec::new();
        };
        let permits = buckets.iter().flat_map(|bucket| &bucket.members).filter_map(|at| self.rules.rules.get(*at));
        let permits = permits.filter(|rule| rule.effect == Effect::Permit).map(|rule| rule.policy.clone());
        let Ok(set) = PolicySet::from_policies(permits) else { return Vec::new() };
        let mut ruling = Ruling::default();
        self.ask_cedar(&set, &request, &entities, &mut ruling);
        ruling.permits.sort_unstable();
        ruling.permits
    }

    /// The same question over all rules at once.
    #[cfg(test)]
    pub(super) fn ask_unsliced(&self, what: What<'_>) -> Ruling {
        let subject = self.subject(what);
        let arguments = RestrictedExpression::new_record([]).expect("empty record");
        let (request, entities) = self.question(&subject, self.context(what, arguments, Grants::Held, EVERYTHING)).expect("request");
        let set = PolicySet::from_policies(self.rules.rules.iter().map(|rule| rule.policy.clone())).expect("set");
        let mut ruling = Ruling { evaluated: self.rules.rules.len(), ..Ruling::default() };
        self.ask_cedar(&set, &request, &entities, &mut ruling);
        ruling.permits.sort_unstable();
        ruling.forbids.sort_unstable();
        ruling
    }

    /// Whether every rule that can concern it treats all things of its kind and class alike.
    fn is_uniform(&self, subject: &Subject) -> bool {
        let principals = &self.named().principals;
        let Some((_, rest)) = subject.resources.split_first() else { return false };
        let own = rest.first().into_iter().cloned().collect::<Vec<_>>();
        let named = self.rules.slices.concerning(subject.action, principals, &own).next().is_some();
        !named && self.rules.slices.concerning(subject.action, principals, &subject.resources).all(|bucket| !bucket.reads.resource)
    }

    fn subject(&self, what: What<'_>) -> Subject {
        let kinds = &self.rules.kinds;
        let within = |name: &str| format!("{}__{name}", self.who.server);
        let server = Some(self.named().server.clone());
        let (uid, in_what, attribute) = match what {
            What::Tool { name, class } => {
                (uid(&kinds.tool, &within(name)), vec![server, Some(kinds.risk(class).clone())], Some(("name", name.to_owned())))
            }
            What::Resource { uri } => (uid(&kinds.resource, &within(uri)), vec![server], Some(("uri", uri.to_owned()))),
            What::Prompt { name } => (uid(&kinds.prompt, &within(name)), vec![server], Some(("name", name.to_owned()))),
            What::Server => (self.named().server.clone(), Vec::new(), None),
        };
        let resources = [None, Some(uid.clone())].into_iter().chain(in_what).collect();
        Subject { action: what.action(), uid, resources, attribute }
    }

    /// The arguments as far as rules read them, in the types that they use.
    fn arguments(&self, buckets: &[&Bucket], view: View<'_>) -> Result<RestrictedExpression, Ruling> {
        let empty = || RestrictedExpression::new_record([]).map_err(|error| Ruling::fault(error.to_string()));
        let View::Call(raw) = view else { return empty() };
        let readers: Vec<usize> = buckets.iter().flat_map(|bucket| bucket.readers.iter().copied()).collect();
        let Some(raw) = raw.filter(|_| !readers.is_empty()) else { return empty() };
        let refused_by = |at, misfit| Ruling { misfit: Some((at, misfit)), ..Ruling::default() };
        // The strict reader has passed it; what is left to fail is nesting beyond what this reader bears (128).
        let value = serde_json::from_slice(raw.as_bytes()).map_err(|_| {
            let at = readers.first().copied().unwrap_or_default();
            refused_by(at, Misfit { path: ARGUMENTS.to_owned(), expected: "nested less deep" })
        })?;
        let mut all = Shape::Present;
        for at in readers {
            let Some(shape) = self.rules.rules.get(at).and_then(|rule| rule.shape.as_ref()) else { continue };
            let refused = |misfit| refused_by(at, misfit);
            shape.fit(&value, &mut Vec::new()).map_err(refused)?;
            // Two rules in force that use an argument as two types: no value could satisfy both.
            all = all
                .and(shape.clone())
                .ok_or_else(|| refused(Misfit { path: ARGUMENTS.to_owned(), expected: "not what rules use as two different types" }))?;
        }
        all.fit(&value, &mut Vec::new()).map_err(|misfit| Ruling::fault(format!("argument {}: not {}", misfit.path, misfit.expected)))
    }

    /// What `reads` does not name is left out where it is dear to make: no rule asks for it.
    fn context(&self, what: What<'_>, arguments: RestrictedExpression, grants: Grants, reads: Reads) -> Result<Context, String> {
        let who = &self.who;
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let record = |pairs: Vec<(&str, RestrictedExpression)>| {
            RestrictedExpression::new_record(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)))
                .map_err(|error| error.to_string())
        };
        // A static key can be copied by anyone who reads it: it proves no client.
        let verified = who.verified && who.level != Level::StaticKey;
        let mut client = vec![("id", text(who.client)), ("verified", RestrictedExpression::new_bool(verified))];
        client.push(("via", RestrictedExpression::new_set(who.via.iter().map(|client| text(client.as_str())))));
        client.extend(who.agent.map(|agent| ("agent", text(agent))));
        let needed = who.needed(what);
        let extra = needed.clone().filter(|_| grants == Grants::WithNeeded);
        let era = match who.era {
            Era::Legacy(_) => "legacy",
            Era::Modern => "modern",
        };
        let mut pairs = vec![
            ("client", record(client)?),
            ("level", text(who.level.as_str())),
            ("granted", self.granted(extra)),
            ("session", record(vec![("era", text(era))])?),
        ];
        if reads.network {
            pairs.push((NETWORK, record(vec![("peer", RestrictedExpression::new_ip(who.peer.to_canonical().to_string()))])?));
        }
        if reads.now {
            pairs.push((NOW, RestrictedExpression::new_datetime(who.now.to_string())));
        }
        if reads.seen {
            let labels = who.seen.iter().map(|label| RestrictedExpression::new_string(label.as_str().to_owned()));
            pairs.push((SEEN, RestrictedExpression::new_set(labels)));
        }
        pairs.extend(needed.map(|needed| ("needs", RestrictedExpression::new_string(needed))));
        if matches!(what, What::Tool { .. } | What::Prompt { .. }) {
            pairs.push((ARGUMENTS, arguments));
        }
        Context::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))).map_err(|error| error.to_string())
    }

    /// `*:class` means this server's class here.
    fn granted(&self, extra: Option<String>) -> RestrictedExpression {
        let spelled = self.who.granted.iter().map(|scope| match scope.strip_prefix("*:") {
            Some(class) => format!("{}:{class}", self.who.server),
            None => scope.clone(),
        });
        let all: BTreeSet<String> = spelled.chain(extra).collect();
        RestrictedExpression::new_set(all.into_iter().map(RestrictedExpression::new_string))
    }

    fn question(&self, subject: &Subject, context: Result<Context, String>) -> Result<(Request, Entities), String> {
        let action = self.rules.kinds.actions.get(&subject.action).ok_or("unknown action")?;
        let request = Request::new(self.named().user.clone(), action.clone(), subject.uid.clone(), context?, None)
            .map_err(|error| error.to_string())?;
        let entities = Entities::from_entities(self.entities(subject)?, None).map_err(|error| error.to_string())?;
        Ok((request, entities))
    }

    fn entities(&self, subject: &Subject) -> Result<Vec<Entity>, String> {
        let groups: HashSet<EntityUid> = self.named().principals.iter().skip(2).flatten().cloned().collect();
        let parents: HashSet<EntityUid> = subject.resources.iter().skip(2).flatten().cloned().collect();
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let user = [("issuer", self.who.user.issuer()), ("subject", self.who.user.subject())];
        let user = user.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
        let mut entities: Vec<Entity> =
            groups.iter().chain(&parents).map(|uid| Entity::new_no_attrs(uid.clone(), HashSet::new())).collect();
        entities.push(Entity::new(self.named().user.clone(), user, groups).map_err(|error| error.to_string())?);
        let attributes = subject.attribute.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        entities.push(Entity::new(subject.uid.clone(), attributes, parents).map_err(|error| error.to_string())?);
        Ok(entities)
    }

    fn evaluate<'b>(
        &self,
        buckets: &[&'b Bucket],
        request: &Request,
        entities: &Entities,
        set_of: impl Fn(&'b Bucket) -> &'b PolicySet,
    ) -> Ruling {
        let mut ruling = Ruling::default();
        for bucket in buckets {
            ruling.evaluated += bucket.members.len();
            self.ask_cedar(set_of(bucket), request, entities, &mut ruling);
        }
        ruling.permits.sort_unstable();
        ruling.forbids.sort_unstable();
        ruling
    }

    /// Cedar's own rule: a satisfied forbid wins over every permit. Unlike Cedar's, an error wins over both.
    fn ask_cedar(&self, set: &PolicySet, request: &Request, entities: &Entities, ruling: &mut Ruling) {
        let response = self.rules.authorizer.is_authorized(request, set, entities);
        ruling.faults.extend(response.diagnostics().errors().map(ToString::to_string));
        for id in response.diagnostics().reason() {
            let at = self.rules.by_id.get(AsRef::<str>::as_ref(id)).copied();
            match at.and_then(|at| self.rules.rules.get(at).map(|rule| (at, rule.effect))) {
                Some((at, Effect::Permit)) => ruling.permits.push(at),
                Some((at, Effect::Forbid)) => ruling.forbids.push(at),
                None => ruling.faults.push(format!("unknown rule {id}")),
            }
        }
    }
}
