//! What a schema unfolds to, counted before it is compiled: a server may write one that is short and endless.
//!
//! Counts each part as often as it can be reached, references included. Knows where keywords stand and where names or data
//! do; what it cannot follow makes the schema unusable. JSON Schema 2020-12, sections 8.2 and 9.

use super::Unusable;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// What one value costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    parts: u64,
    /// Most schemas that are applied to one value inside of one another.
    levels: usize,
    texts: Texts,
    shape: Shape,
}

/// Whether texts are read beyond a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    Compared,
    Read,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Tree,
    Cyclic,
}

/// Most parts that a schema may unfold to.
const MOST_PARTS: u64 = 20_000;
/// Deepest way through nesting and references.
const DEEPEST: usize = 100;
/// Bytes of text that cost as much as one value, where patterns read them and where not.
const READ: u64 = 16;
const COMPARED: u64 = 256;

/// What stands at a place of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// A schema.
    Schema,
    /// An object of schemas, by names.
    Names,
    /// Anything.
    Data,
}

struct Scale<'a> {
    root: &'a Value,
    anchors: HashMap<&'a str, &'a Value>,
    /// By address: parts of one document that is not changed meanwhile.
    known: HashMap<(usize, Place), u64>,
    open: HashSet<(usize, Place)>,
    names: HashSet<String>,
    schemas: Vec<&'a Value>,
    weight: Weight,
}

/// Weighs a schema, and collects the names of members that it gives.
///
/// # Errors
/// [`Unusable::Reference`] and [`Unusable::TooInvolved`].
pub(super) fn weigh(root: &Value) -> Result<(Weight, HashSet<String>), Unusable> {
    let mut anchors = HashMap::new();
    find_anchors(root, &mut anchors, 0)?;
    let weight = Weight { parts: 0, levels: 0, texts: Texts::Compared, shape: Shape::Tree };
    let (known, open, names) = (HashMap::new(), HashSet::new(), HashSet::new());
    let mut scale = Scale { root, anchors, known, open, names, schemas: Vec::new(), weight };
    let parts = scale.put(root, Place::Schema, 0)?;
    let mut heights = HashMap::new();
    let mut levels = 0;
    for schema in std::mem::take(&mut scale.schemas) {
        levels = levels.max(scale.height(schema, &mut heights, 0)?);
    }
    Ok((Weight { parts, levels, ..scale.weight }, scale.names))
}

fn find_anchors<'a>(value: &'a Value, anchors: &mut HashMap<&'a str, &'a Value>, depth: usize) -> Result<(), Unusable> {
    if depth > DEEPEST {
        return Err(Unusable::TooInvolved);
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| find_anchors(item, anchors, depth + 1)),
        Value::Object(members) => {
            for name in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(|key| members.get(key)?.as_str()) {
                anchors.insert(name, value);
            }
            members.values().try_for_each(|member| find_anchors(member, anchors, depth + 1))
        }
        _ => Ok(()),
    }
}

// === impl Weight ===

impl Weight {
    /// At most so many steps for a value of this size.
    pub(super) fn steps(self, values: usize, bytes: usize) -> u64 {
        let each = if self.texts == Texts::Read { READ } else { COMPARED };
        let size = |count| u64::try_from(count).unwrap_or(u64::MAX);
        self.parts.saturating_mul(size(values).saturating_add(size(bytes) / each))
    }

    /// At most so many askings inside of one another for a value of this depth.
    pub(super) const fn levels(self, depth: usize) -> usize {
        self.levels.saturating_mul(depth)
    }

    /// True when a part can be reached from itself.
    pub(super) fn refers_to_itself(self) -> bool {
        self.shape == Shape::Cyclic
    }
}

// === impl Scale ===

impl<'a> Scale<'a> {
    /// How many parts there are at and below a place, references followed.
    fn put(&mut self, value: &'a Value, place: Place, depth: usize) -> Result<u64, Unusable> {
        if depth > DEEPEST {
            return Err(Unusable::TooInvolved);
        }
        // By how it is read, too: what weighs nothing as data may be a schema that a reference reaches.
        let address = (std::ptr::from_ref(value).addr(), place);
        if let Some(parts) = self.known.get(&address) {
            return Ok(*parts);
        }
        if !self.open.insert(address) {
            self.weight.shape = Shape::Cyclic;
            return Ok(1);
        }
        if matches!(place, Place::Schema) {
            self.schemas.push(value);
        }
        let mut parts: u64 = 1;
        match (value, place) {
            (Value::Array(items), _) => {
                for item in items {
                    parts = parts.saturating_add(self.put(item, place, depth + 1)?);
                }
            }
            (Value::Object(members), Place::Schema) => {
                for (key, member) in members {
                    parts = parts.saturating_add(self.keyword(key, member, depth)?);
                }
            }
            (Value::Object(members), _) => {
                let below = if matches!(place, Place::Names) { Place::Schema } else { Place::Data };
                for member in members.values() {
                    parts = parts.saturating_add(self.put(member, below, depth + 1)?);
                }
            }
            _ => {}
        }
        self.open.remove(&address);
        self.known.insert(address, parts);
        if parts > MOST_PARTS { Err(Unusable::TooInvolved) } else { Ok(parts) }
    }

    fn keyword(&mut self, key: &str, member: &'a Value, depth: usize) -> Result<u64, Unusable> {
        match key {
            "$ref" | "$dynamicRef" | "$recursiveRef" => {
                let target = member.as_str().and_then(|text| self.target(text)).ok_or(Unusable::Reference)?;
                return self.put(target, Place::Schema, depth + 1).map(|parts| parts.saturating_add(1));
            }
            // A resource of its own inside: its references would start from there.
            "$id" if depth > 0 => return Err(Unusable::Reference),
            // The same of draft 4; a property of this name stands among names.
            "id" if depth > 0 && member.is_string() => return Err(Unusable::Reference),
            "pattern" | "patternProperties" | "contentEncoding" | "contentMediaType" | "uniqueItems" => {
                self.weight.texts = Texts::Read;
            }
            _ => {}
        }
        let place = match key {
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies" => Place::Names,
            "const" | "enum" | "default" | "examples" | "example" => Place::Data,
            _ => Place::Schema,
        };
        if let ("properties", Value::Object(members)) = (key, member) {
            self.names.extend(members.keys().cloned());
        }
        self.put(member, place, depth + 1)
    }

    /// How many schemas are applied to the same value from here on. One that comes back to itself without going down into the
    /// value has no meaning (2020-12, section 9.4.1), and asking it would take time without bound.
    fn height(&self, value: &'a Value, heights: &mut HashMap<usize, Option<usize>>, depth: usize) -> Result<usize, Unusable> {
        if depth > DEEPEST {
            return Err(Unusable::TooInvolved);
        }
        let Some(members) = value.as_object() else { return Ok(1) };
        let address = std::ptr::from_ref(value).addr();
        match heights.insert(address, None) {
            // Still open: this is the way that led here.
            Some(None) => return Err(Unusable::TooInvolved),
            Some(Some(height)) => {
                heights.insert(address, Some(height));
                return Ok(height);
            }
            None => {}
        }
        let mut below = 0;
        for (key, member) in members {
            let applied: Vec<&'a Value> = match (key.as_str(), member) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(text)) => self.target(text).into_iter().collect(),
                ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => items.iter().collect(),
                ("dependentSchemas" | "dependencies", Value::Object(named)) => named.values().collect(),
                ("not" | "if" | "then" | "else", schema) => vec![schema],
                _ => continue,
            };
            for schema in applied {
                below = below.max(self.height(schema, heights, depth + 1)?);
            }
        }
        heights.insert(address, Some(below + 1));
        Ok(below + 1)
    }

    /// `#`, `#/pointer` or `#anchor`. Nothing else is followed.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let fragment = reference.strip_prefix('#')?;
        match fragment.strip_prefix('/') {
            None if fragment.is_empty() => Some(self.root),
            None => self.anchors.get(fragment).copied(),
            // Percent signs would have to be undone first; nobody writes them in names of definitions.
            Some(_) if fragment.contains('%') => None,
            Some(_) => self.root.pointer(fragment),
        }
    }
}
