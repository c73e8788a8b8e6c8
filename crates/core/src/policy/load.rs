//! From the texts of policies to [`Rules`], or to every fault in them.

use super::arguments::{Shape, shape_of_clauses};
use super::depth::{self, Unreadable, unreadable};
use super::expr::{ARGUMENTS, NETWORK, NOW, SEEN, body, reads_context, reads_resource};
use super::memory::Memory;
use super::permit::Obligation;
use super::relax::{Relaxed, narrowed, relax};
use super::request::Kinds;
use super::rules::{PolicyError, Reads, Rule, Rules, Source};
use super::schema::{BUILTIN, Base};
use super::slices::{Action, Slices};
use crate::id::{RuleId, SeenLabel};
use aws_lc_rs::digest::{Context, SHA256};
use cedar_policy::{
    ActionConstraint, Authorizer, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint, Validator, pst,
};
use miette::Diagnostic;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

/// Annotations that mean something. Any other is a mistake: a mistyped `@obligation` would silently drop an approval.
const ANNOTATIONS: [&str; 4] = ["id", "message", "obligation", "seen"];
/// Ids that refusals use when no written rule decided.
pub(super) const RESERVED: [&str; 2] = ["not-granted", "no-rule"];
/// Labels of one `@seen`.
const LABEL_LIMIT: usize = 8;
/// Bytes of a `@message`.
const MESSAGE_LIMIT: usize = 500;

struct Loader<'a> {
    builtin: Base,
    own: Option<Base>,
    sources: &'a [Source],
    rules: Vec<(usize, usize, Rule)>,
    errors: Vec<PolicyError>,
}

/// See [`Rules::load`].
pub(super) fn load(sources: &[Source], schema: Option<&str>) -> Result<Rules, Vec<PolicyError>> {
    let mut deep: Vec<PolicyError> = sources.iter().filter_map(nested).collect();
    deep.extend(schema.and_then(|text| nested(&Source { name: "schema".to_owned(), text: text.to_owned() })));
    if !deep.is_empty() {
        return Err(deep);
    }
    // Whoever loads rules may stand on the small stack of a worker thread.
    stacker::grow(depth::STACK, || load_on_this_stack(sources, schema))
}

/// Why the text is not for those that read it after this.
fn nested(source: &Source) -> Option<PolicyError> {
    let (offset, message, help) = match unreadable(&source.text)? {
        Unreadable::Deep(at) => (
            at,
            format!("nested deeper than {} brackets and operators", depth::LIMIT),
            "Write several rules, or a set with `.contains(...)` instead of many alternatives.",
        ),
        Unreadable::Unpaired(at) => (at, "unexpected bracket: it closes none of its kind".to_owned(), "Brackets go in pairs."),
    };
    Some(error_at(source, offset, message, Some(help.to_owned())))
}

fn load_on_this_stack(sources: &[Source], schema: Option<&str>) -> Result<Rules, Vec<PolicyError>> {
    let in_schema = |message: String| vec![plain("schema", message)];
    let builtin = Base::read(BUILTIN).map_err(in_schema)?;
    let own = schema.map(Base::read).transpose().map_err(in_schema)?;
    let kinds = Kinds::new().map_err(in_schema)?;
    let mut loader = Loader { builtin, own, sources, rules: Vec::new(), errors: Vec::new() };
    for (file, source) in sources.iter().enumerate() {
        loader.read(file, source);
    }
    loader.refuse_repeated_ids();
    loader.validate();
    if !loader.errors.is_empty() {
        loader.errors.sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
        loader.errors.dedup();
        return Err(loader.errors);
    }
    let rules: Vec<Rule> = loader.rules.into_iter().map(|(_, _, rule)| rule).collect();
    let slices = Slices::new(&rules).map_err(|error| vec![plain("policies", error.to_string())])?;
    Ok(Rules {
        by_id: rules.iter().enumerate().map(|(at, rule)| (rule.id.as_str().to_owned(), at)).collect(),
        tells_resources_apart: rules.iter().any(|rule| kinds.tells_resources_apart(rule)),
        asks_what_was_seen: rules.iter().any(|rule| rule.reads.seen),
        slices,
        rules,
        kinds,
        authorizer: Authorizer::new(),
        memory: Memory::default(),
        version: version(sources, schema),
    })
}

fn version(sources: &[Source], schema: Option<&str>) -> Arc<str> {
    let mut context = Context::new(&SHA256);
    let texts = sources.iter().map(|source| source.text.as_str());
    for text in [BUILTIN, schema.unwrap_or_default()].into_iter().chain(texts) {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let digest = context.finish();
    let hex = digest.as_ref().iter().take(8).fold(String::new(), |mut hex, byte| {
        let _written = write!(hex, "{byte:02x}");
        hex
    });
    Arc::from(hex)
}

fn plain(file: &str, message: String) -> PolicyError {
    PolicyError { file: file.to_owned(), line: 1, column: 1, message, help: None }
}

fn error_at(source: &Source, offset: usize, message: String, help: Option<String>) -> PolicyError {
    let before = source.text.get(..offset).unwrap_or(&source.text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    PolicyError { file: source.name.clone(), line, column, message, help }
}

/// A Cedar error at the place that it names, else at `fallback`.
fn from_cedar(source: &Source, error: &dyn Diagnostic, fallback: usize) -> PolicyError {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(fallback, |label| label.offset());
    error_at(source, offset, error.to_string(), error.help().map(|help| help.to_string()))
}

// === impl Loader ===

impl Loader<'_> {
    fn read(&mut self, file: usize, source: &Source) {
        let set = match PolicySet::from_str(&source.text) {
            Ok(set) => set,
            Err(errors) => {
                self.errors.extend(errors.iter().map(|error| from_cedar(source, error, 0)));
                return;
            }
        };
        for template in set.templates() {
            let text = template.to_cedar();
            let offset = source.text.find(&text).unwrap_or_default();
            let help = Some("Write the user or group into the policy; groups come from the identity provider.".to_owned());
            self.errors.push(error_at(source, offset, "templates (?principal, ?resource) are not supported".to_owned(), help));
        }
        let mut policies: Vec<&Policy> = set.policies().collect();
        policies.sort_by_key(|policy| position(policy.id()));
        let mut cursor = 0;
        for policy in policies {
            let text = policy.to_cedar().unwrap_or_default();
            let offset = source.text.get(cursor..).and_then(|rest| rest.find(&text)).map_or(cursor, |at| cursor + at);
            cursor = offset + text.len();
            match rule(source, offset, policy) {
                Ok(rule) => self.rules.push((file, offset, rule)),
                Err(errors) => self.errors.extend(errors),
            }
        }
    }

    fn refuse_repeated_ids(&mut self) {
        let mut seen: HashMap<&str, &Rule> = HashMap::new();
        for (file, offset, rule) in &self.rules {
            if let Some(first) = seen.insert(rule.id.as_str(), rule)
                && let Some(source) = self.sources.get(*file)
            {
                let message = format!("the id `{}` is already used at {}:{}", rule.id, first.file, first.line);
                self.errors.push(error_at(
                    source,
                    *offset,
                    message,
                    Some("Ids stand in audit records: each rule needs its own.".to_owned()),
                ));
            }
        }
    }

    /// Every rule against the built-in schema and, if there is one, the administrator's.
    fn validate(&mut self) {
        let mut errors = Vec::new();
        for base in std::iter::once(&self.builtin).chain(self.own.as_ref()) {
            let plain_rules: Vec<usize> =
                self.rules.iter().enumerate().filter_map(|(at, (_, _, rule))| rule.shape.is_none().then_some(at)).collect();
            self.validate_against(base, None, &plain_rules, Form::Call, &mut errors);
            for (at, (_, _, rule)) in self.rules.iter().enumerate() {
                if rule.shape.is_some() {
                    self.validate_against(base, rule.shape.as_ref(), &[at], Form::Call, &mut errors);
                    self.validate_against(base, None, &[at], Form::Later, &mut errors);
                }
                if rule.shape.is_some() || rule.reads.seen {
                    self.validate_against(base, None, &[at], Form::List, &mut errors);
                }
            }
        }
        self.errors.extend(errors);
    }

    fn validate_against(&self, base: &Base, shape: Option<&Shape>, rules: &[usize], form: Form, errors: &mut Vec<PolicyError>) {
        // Under these names ids that are used twice do not hide each other.
        let mut set = PolicySet::new();
        for at in rules {
            let policy = self.rules.get(*at).and_then(|(_, _, rule)| match form {
                Form::Call => Some(&rule.policy),
                Form::Later => rule.later.as_ref(),
                Form::List => rule.listing.as_ref(),
            });
            if let Some(policy) = policy
                && let Err(error) = set.add(policy.new_id(PolicyId::new(at.to_string())))
            {
                errors.push(plain("policies", error.to_string()));
            }
        }
        let schema = match base.with_arguments(shape) {
            Ok(schema) => schema,
            Err(message) => return errors.push(plain("schema", message)),
        };
        let result = Validator::new(schema).validate(&set, cedar_policy::ValidationMode::Strict);
        let found = result
            .validation_errors()
            .map(|error| (error.policy_id(), error as &dyn Diagnostic))
            .chain(result.validation_warnings().map(|warning| (warning.policy_id(), warning as &dyn Diagnostic)));
        for (id, error) in found {
            let Some((file, offset, rule)) = AsRef::<str>::as_ref(id).parse().ok().and_then(|at: usize| self.rules.get(at)) else {
                continue;
            };
            let Some(source) = self.sources.get(*file) else { continue };
            let mut found = from_cedar(source, error, *offset);
            // Cedar speaks of the name under which the rule was validated.
            found.message = found.message.replace(&format!("policy `{id}`"), &format!("rule `{}`", rule.id));
            let (place, part) = match form {
                Form::Call => ("", ""),
                Form::Later => ("for tasks and completions, where no arguments exist", "arguments"),
                Form::List => ("for lists, where no arguments exist and nothing was seen", "arguments or what was seen"),
            };
            if !place.is_empty() {
                found.message = format!("{place}: {}", found.message);
                found.help = Some(format!(
                    "There this rule stands without the conditions that read {part}. Put tests that other conditions rely on into a \
                     condition of their own."
                ));
            }
            errors.push(found);
        }
    }
}

/// As which the rule is validated.
#[derive(Clone, Copy)]
enum Form {
    Call,
    Later,
    List,
}

/// Cedar numbers policies in the order of the text.
fn position(id: &PolicyId) -> usize {
    AsRef::<str>::as_ref(id).trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

fn rule(source: &Source, offset: usize, policy: &Policy) -> Result<Rule, Vec<PolicyError>> {
    let mut errors = Vec::new();
    let mut fail = |message: String, help: &str| errors.push(error_at(source, offset, message, Some(help.to_owned())));
    for (name, _) in policy.annotations().filter(|(name, _)| !ANNOTATIONS.contains(name)) {
        fail(format!("unknown annotation `@{name}`"), "Known are @id, @message, @obligation and @seen.");
    }
    let id = match policy.annotation("id") {
        None => {
            fail("the rule has no @id".to_owned(), "Write @id(\"...\") before it: refusals and audit records name rules.");
            None
        }
        Some(text) if RESERVED.contains(&text) => {
            fail(format!("the id `{text}` is reserved"), "It names refusals that no rule made.");
            None
        }
        Some(text) => RuleId::new(text).map_err(|_| fail("the @id is empty, too long or has control characters".to_owned(), "")).ok(),
    };
    let message = policy.annotation("message");
    if message.is_some_and(|text| text.is_empty() || text.len() > MESSAGE_LIMIT || text.chars().any(char::is_control)) {
        fail(
            format!("the @message is empty, longer than {MESSAGE_LIMIT} bytes or has control characters"),
            "It is shown to people and agents.",
        );
    }
    let obligations = policy.annotation("obligation").map_or_else(|| Ok(Vec::new()), obligations).unwrap_or_else(|unknown| {
        fail(format!("unknown obligation `{unknown}`"), "Known are approve, screen and redact, several separated by commas.");
        Vec::new()
    });
    if !obligations.is_empty() && policy.effect() == Effect::Forbid {
        fail("an obligation on a forbid has no effect".to_owned(), "Obligations go with permits.");
    }
    let shows = policy.annotation("seen").map_or_else(|| Some(Vec::new()), labels).unwrap_or_else(|| {
        let help = "Write labels such as @seen(\"private\"), several separated by commas: small letters, digits and hyphens, at most 8.";
        fail("the @seen has no labels, too many, or something else".to_owned(), help);
        Vec::new()
    });
    if !shows.is_empty() && policy.effect() == Effect::Forbid {
        fail("a @seen on a forbid has no effect".to_owned(), "It says what those are let see whom a permit lets pass.");
    }
    let form = typed(policy).map_err(|error| fail(error, "See the schema for what rules can speak about.")).ok();
    match (id, form) {
        (Some(id), Some(Typed { shape, listing, later, reads })) if errors.is_empty() => {
            let named = PolicyId::new(id.as_str());
            let line = error_at(source, offset, String::new(), None).line;
            Ok(Rule {
                effect: policy.effect(),
                file: Arc::from(source.name.as_str()),
                line,
                message: message.map(str::to_owned),
                obligations,
                listing: listing.map(|listing| listing.new_id(named.clone())),
                later: later.map(|later| later.new_id(named.clone())),
                shows,
                shape,
                reads,
                actions: actions(policy),
                principal: principal(policy),
                resource: resource(policy),
                policy: policy.new_id(named),
                id,
            })
        }
        _ => Err(errors),
    }
}

fn obligations(text: &str) -> Result<Vec<Obligation>, String> {
    let named: Result<BTreeSet<Obligation>, String> =
        text.split(',').map(str::trim).map(|name| Obligation::parse(name).ok_or_else(|| name.to_owned())).collect();
    named.map(|set| set.into_iter().collect())
}

/// The labels of a `@seen`.
fn labels(text: &str) -> Option<Vec<SeenLabel>> {
    let named: Result<BTreeSet<SeenLabel>, _> = text.split(',').map(|name| SeenLabel::new(name.trim())).collect();
    named.ok().filter(|labels| labels.len() <= LABEL_LIMIT).map(|labels| labels.into_iter().collect())
}

/// What the conditions of a rule come to.
struct Typed {
    /// The arguments that it reads.
    shape: Option<Shape>,
    /// Its form for lists.
    listing: Option<Policy>,
    /// Its form for what goes on.
    later: Option<Policy>,
    /// What else it looks at.
    reads: Reads,
}

fn typed(policy: &Policy) -> Result<Typed, String> {
    let tree = policy.to_pst().map_err(|error| error.to_string())?;
    let template = tree.body();
    let shape = shape_of_clauses(template.clauses()).map_err(|error| error.to_string())?;
    let conditions = || template.clauses().iter().map(body);
    let reads = Reads {
        resource: conditions().any(|condition| reads_resource(condition)),
        now: conditions().any(|condition| reads_context(condition, NOW)),
        network: conditions().any(|condition| reads_context(condition, NETWORK)),
        seen: conditions().any(|condition| reads_context(condition, SEEN)),
    };
    let without = |unknown: &[&str]| match relax(template, unknown) {
        Relaxed::Same => Ok(Some(policy.clone())),
        Relaxed::Dropped => Ok(None),
        Relaxed::Clauses(clauses) => rewritten(template, clauses).map(Some),
    };
    let later = if template.effect == pst::Effect::Forbid && shape.is_some() && reads.seen {
        // What arguments it began with is not known, and what was seen is: there the rule stands for all of them.
        let clauses = narrowed(template, ARGUMENTS);
        if !clauses.iter().any(|clause| reads_context(body(clause), SEEN)) {
            return Err("the test of context.seen cannot be told from that of arguments: put it into a `when` of its own".to_owned());
        }
        Some(rewritten(template, clauses)?)
    } else {
        without(&[ARGUMENTS])?
    };
    Ok(Typed { listing: without(&[ARGUMENTS, SEEN])?, later, shape, reads })
}

/// The rule with other clauses.
fn rewritten(template: &pst::Template, clauses: Vec<pst::Clause>) -> Result<Policy, String> {
    let changed = template.clone().try_with_clauses(clauses).map_err(|error| error.to_string())?;
    let changed = pst::StaticPolicy::try_from(changed).map_err(|error| error.to_string())?;
    Policy::from_pst(pst::Policy::Static(changed)).map_err(|error| error.to_string())
}

fn actions(policy: &Policy) -> Vec<Action> {
    let named = |uid: &EntityUid| Action::parse(AsRef::<str>::as_ref(uid.id()));
    match policy.action_constraint() {
        ActionConstraint::Any => Action::ALL.to_vec(),
        ActionConstraint::Eq(uid) => named(&uid).into_iter().collect(),
        ActionConstraint::In(uids) => Action::ALL.into_iter().filter(|action| uids.iter().any(|uid| named(uid) == Some(*action))).collect(),
    }
}

fn principal(policy: &Policy) -> Option<EntityUid> {
    match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) | PrincipalConstraint::IsIn(_, uid) => Some(uid),
    }
}

fn resource(policy: &Policy) -> Option<EntityUid> {
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) | ResourceConstraint::IsIn(_, uid) => Some(uid),
    }
}
