//! What an approved definition says of a tool's arguments and results, compiled once and asked at each call (RPC-12, RPC-08).
//!
//! Owns the compiled schemas and the verdict [`Fit`]. A schema is the work of a server, and what it is held against may be
//! hostile too, so both are bounded: no reference leaves the document, patterns run in time that grows with the text alone,
//! and what could take long is not begun (JSON Schema 2020-12, section 9.4.1). Must not know what a verdict leads to: that is
//! `policy` for arguments and the relay for results.

mod weigh;

use crate::json::RawJson;
use crate::mcp::call::Method;
use crate::mcp::version::{Era, Version};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use weigh::Weight;

/// Both schemas of one definition. Made by [`Contract::of`] from the definition whose digest was approved, and shared by all
/// calls of the tool.
#[derive(Debug)]
pub struct Contract {
    arguments: Side,
    results: Side,
}

/// What is done about a call or a result that does not keep to what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// It is refused.
    Refuse,
    /// It goes on, and the record carries a [`Flag`](crate::flag::Flag).
    Flag,
    /// Nobody looks.
    #[default]
    Off,
}

/// A contract, and what is done about who does not keep to it.
#[derive(Debug, Clone)]
pub struct Promise {
    /// What was approved.
    pub contract: Arc<Contract>,
    /// What is done.
    pub measure: Measure,
}

/// One schema.
#[derive(Debug)]
enum Side {
    /// The definition has none, or one that every value fits.
    Silent,
    /// To be asked.
    Checks(Box<Schema>),
    /// Nothing can be held against it.
    Unusable(Unusable),
}

#[derive(Debug)]
struct Schema {
    validator: Validator,
    weight: Weight,
    /// Names of members that the schema itself gives: only these are repeated in a [`Misfit`].
    names: HashSet<String>,
}

/// Whether a value fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It does, or the definition says nothing of it.
    Fits,
    /// It does not.
    Misfit(Misfit),
    /// Nobody knows: asking would cost too much, or cannot be done.
    Unchecked(Unchecked),
    /// Nobody knows: the schema cannot be used.
    Unusable(Unusable),
}

/// Where a value does not fit, and by which keyword. No value is in it, and no name that stands only in the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} ({keyword})")]
pub struct Misfit {
    path: String,
    keyword: String,
}

/// Why a value was not held against its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unchecked {
    /// More values in it than are counted out.
    #[error("too many values to check")]
    TooBroad,
    /// Value and schema together would take too long.
    #[error("too much to check against this schema")]
    TooCostly,
    /// A number beyond the range of a double, or nested deeper than the reader goes.
    #[error("numbers or nesting beyond what can be checked")]
    Unreadable,
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// More text than a schema may have.
    #[error("it is larger than 256 KiB")]
    TooLarge,
    /// It refers to something outside itself, or in a way that is not followed here.
    #[error("it refers to something outside itself")]
    Reference,
    /// References and nesting unfold to more than a schema may have.
    #[error("it unfolds to too much")]
    TooInvolved,
    /// Not a schema of the draft that it names (2020-12 where it names none), or with a pattern that takes back what it read.
    #[error("it is not a schema that can be compiled")]
    Invalid,
}

/// Largest schema, in bytes.
const LARGEST: usize = 256 * 1024;
/// Texts up to this size are read without counting first: they cannot hold more values than bytes.
const SMALL: usize = 64 * 1024;
/// Most values in arguments or a result that are checked.
const MOST_VALUES: usize = 100_000;
/// Most steps of one check: values times schema. At some tens of nanoseconds a step this is a fraction of a second, and only
/// for who approved a schema of thousands of parts.
const MOST_STEPS: u64 = 20_000_000;
/// Memory of one compiled pattern, and of what it remembers while it runs.
const PATTERN: usize = 1 << 20;
/// Most askings inside of one another, and how many need no stack of their own.
const MOST_LEVELS: usize = 2_000;
const FEW_LEVELS: usize = 100;
/// Stack for the compiler and the checker: several kibibytes for each level. Memory only as far as it is used.
const STACK: usize = 32 << 20;
const RED_ZONE: usize = 1 << 20;
/// Drafts that are understood, without the empty fragment.
const DRAFTS: [&str; 5] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
];
/// A path in a [`Misfit`] has at most this many parts.
const MOST_PARTS: usize = 16;

// === impl Contract ===

impl Contract {
    /// Compiles `inputSchema` and `outputSchema` of a definition. Costs tens of microseconds to milliseconds: for each approved
    /// digest once, never for each call. A schema that cannot be used is kept as such; see [`Contract::unusable`].
    #[must_use]
    pub fn of(definition: &RawJson) -> Self {
        let side = |name, compile: fn(&RawJson) -> Side| {
            let schema = definition.member(name).filter(|schema| !schema.is_null());
            schema.map_or(Side::Silent, |schema| compile(&schema))
        };
        let arguments = |schema: &RawJson| if says_nothing_of_objects(schema) { Side::Silent } else { Side::of(schema) };
        Self { arguments: side("inputSchema", arguments), results: side("outputSchema", Side::of) }
    }

    /// Whether arguments fit `inputSchema`. Arguments that are absent count as an empty object, as servers read them.
    #[must_use]
    pub fn arguments(&self, arguments: Option<&RawJson>) -> Fit {
        match (&self.arguments, arguments) {
            (Side::Silent, _) => Fit::Fits,
            (side, Some(arguments)) => side.fit(arguments),
            (side, None) => side.fit(&RawJson::empty_object()),
        }
    }

    /// Whether `structuredContent` fits `outputSchema`.
    #[must_use]
    pub fn structured(&self, content: &RawJson) -> Fit {
        self.results.fit(content)
    }

    /// Whether the result that answers `method` keeps to `outputSchema`, as its server gave it. A finished result that is no
    /// error must have `structuredContent` where a schema was promised (2025-06-18, server/tools, Output Schema); what is there
    /// must fit in any case. Tasks are looked at when they give their result.
    #[must_use]
    pub fn result(&self, method: Method, era: Era, result: &RawJson) -> Fit {
        let of_task;
        let result = match method {
            Method::ToolsCall | Method::TasksResult => result,
            Method::TasksGet => match result.member("result") {
                Some(inner) => {
                    of_task = inner;
                    &of_task
                }
                None => return Fit::Fits,
            },
            _ => return Fit::Fits,
        };
        if let Some(content) = result.member("structuredContent") {
            return self.structured(&content);
        }
        let is = |key: &str, text: &[u8]| result.member(key).is_some_and(|value| value.as_bytes() == text);
        let finished = match era {
            Era::Modern => result.member("resultType").is_none() || is("resultType", b"\"complete\""),
            Era::Legacy(version) => version >= Version::V2025_06_18 && result.member("task").is_none(),
        };
        if finished && !is("isError", b"true") { self.unstructured() } else { Fit::Fits }
    }

    /// What a finished result without `structuredContent` is.
    #[must_use]
    pub fn unstructured(&self) -> Fit {
        match &self.results {
            Side::Silent => Fit::Fits,
            Side::Checks(_) => Fit::Misfit(Misfit { path: "/".to_owned(), keyword: "absent".to_owned() }),
            Side::Unusable(why) => Fit::Unusable(*why),
        }
    }

    /// The schemas that cannot be used, by the names that they have in the definition: for whoever approves it.
    #[must_use]
    pub fn unusable(&self) -> Vec<(&'static str, Unusable)> {
        let sides = [("inputSchema", &self.arguments), ("outputSchema", &self.results)];
        let why = |side: &Side| if let Side::Unusable(why) = side { Some(*why) } else { None };
        sides.into_iter().filter_map(|(name, side)| why(side).map(|why| (name, why))).collect()
    }
}

// === impl Side ===

impl Side {
    fn of(schema: &RawJson) -> Self {
        stacker::grow(STACK, || match Schema::compile(schema) {
            Ok(schema) => Self::Checks(Box::new(schema)),
            Err(why) => Self::Unusable(why),
        })
    }

    fn fit(&self, value: &RawJson) -> Fit {
        match self {
            Self::Silent => Fit::Fits,
            Self::Checks(schema) => schema.fit(value),
            Self::Unusable(why) => Fit::Unusable(*why),
        }
    }
}

// === impl Schema ===

impl Schema {
    fn compile(json: &RawJson) -> Result<Self, Unusable> {
        if json.as_bytes().len() > LARGEST {
            return Err(Unusable::TooLarge);
        }
        let schema = json.to_value().map_err(|_| Unusable::Invalid)?;
        if !schema.get("$schema").is_none_or(|draft| draft.as_str().is_some_and(is_known_draft)) {
            return Err(Unusable::Invalid);
        }
        let (weight, names) = weigh::weigh(&schema)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN).dfa_size_limit(PATTERN);
        let options = jsonschema::options().offline().should_validate_formats(false).with_pattern_options(patterns);
        let validator = options.build(&schema).map_err(|_| Unusable::Invalid)?;
        Ok(Self { validator, weight, names })
    }

    fn fit(&self, json: &RawJson) -> Fit {
        let bytes = json.as_bytes();
        if bytes.len() > SMALL && commas(bytes) > MOST_VALUES {
            return Fit::Unchecked(Unchecked::TooBroad);
        }
        let Ok(value) = json.to_value() else { return Fit::Unchecked(Unchecked::Unreadable) };
        let levels = self.weight.levels(depth(&value));
        if self.weight.steps(values(&value), bytes.len()) > MOST_STEPS || levels > MOST_LEVELS {
            return Fit::Unchecked(Unchecked::TooCostly);
        }
        // The checker calls itself for each level.
        let ask = || if self.validator.is_valid(&value) { Fit::Fits } else { Fit::Misfit(self.misfit(&value)) };
        if levels > FEW_LEVELS { stacker::grow(STACK, ask) } else { stacker::maybe_grow(RED_ZONE, STACK, ask) }
    }

    /// Where it does not fit. The asking above remembers what it knows of each part, this walk does not: on a schema that
    /// refers to itself it could take exponential time, so there the place is not looked for.
    fn misfit(&self, value: &Value) -> Misfit {
        let whole = || Misfit { path: "/".to_owned(), keyword: "schema".to_owned() };
        if self.weight.refers_to_itself() {
            return whole();
        }
        let Err(error) = self.validator.validate(value) else { return whole() };
        let mut path = String::new();
        for part in error.instance_path().as_str().split('/').skip(1).take(MOST_PARTS) {
            let name = part.replace("~1", "/").replace("~0", "~");
            let known = self.names.contains(&name) || (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
            path.push('/');
            path.push_str(if known { part } else { "*" });
        }
        if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind() {
            path.push('/');
            path.push_str(name);
        }
        if path.is_empty() {
            path.push('/');
        }
        Misfit { path, keyword: error.kind().keyword().to_owned() }
    }
}

/// What the compiler does not know it would read as the latest draft.
fn is_known_draft(draft: &str) -> bool {
    DRAFTS.contains(&draft.trim_end_matches('#'))
}

/// True for a schema that every object fits: arguments are objects already.
fn says_nothing_of_objects(schema: &RawJson) -> bool {
    if schema.as_bytes() == b"true" {
        return true;
    }
    let Some(members) = schema.members() else { return false };
    members.iter().all(|(key, value)| match key.as_str() {
        "type" => value.as_text().is_some_and(|kind| kind == "object"),
        "properties" => value.members().is_some_and(|members| members.is_empty()),
        "additionalProperties" => value.as_bytes() == b"true",
        "$schema" => value.as_text().is_some_and(|draft| is_known_draft(&draft)),
        "title" | "description" => value.as_text().is_some(),
        _ => false,
    })
}

/// Commas outside of texts: one less than the values of an array.
fn commas(json: &[u8]) -> usize {
    let (mut found, mut inside, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (inside, byte) {
            _ if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => inside = !inside,
            (false, b',') => found += 1,
            _ => {}
        }
    }
    found
}

/// How deep values are nested; 1 for one that holds none.
fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => None,
    }
    .unwrap_or(0)
}

/// How many values there are, at all levels.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
