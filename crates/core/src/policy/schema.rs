//! The schema that rules are validated against, with the arguments of each rule filled in.

use super::arguments::Shape;
use cedar_policy::{Schema, SchemaFragment};
use serde_json::{Value, json};

/// The built-in schema, as `doorward policy show --schema` prints it.
pub(super) const BUILTIN: &str = include_str!("builtin.cedarschema");

/// A schema text as data, so that `type Arguments` can be replaced.
#[derive(Debug)]
pub(super) struct Base {
    json: Value,
}

impl Base {
    /// Reads a schema in Cedar's own notation.
    ///
    /// # Errors
    /// Words for the administrator.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (fragment, _warnings) = SchemaFragment::from_cedarschema_str(text).map_err(|error| error.to_string())?;
        let json = fragment.to_json_value().map_err(|error| error.to_string())?;
        let base = Self { json };
        if base.common_types().is_none_or(|types| !types.contains_key("Arguments")) {
            return Err("the schema does not declare `type Arguments = {};`".to_owned());
        }
        base.with_arguments(None)?;
        Ok(base)
    }

    /// The schema in which `context.arguments` has this type.
    ///
    /// # Errors
    /// Words for the administrator.
    pub(super) fn with_arguments(&self, shape: Option<&Shape>) -> Result<Schema, String> {
        let mut json = self.json.clone();
        let arguments = shape.map_or_else(|| json!({"type": "Record", "attributes": {}}), Shape::to_schema);
        let types = json.get_mut("").and_then(|namespace| namespace.get_mut("commonTypes")).and_then(Value::as_object_mut);
        if let Some(types) = types {
            types.insert("Arguments".to_owned(), arguments);
        }
        Schema::from_json_value(json).map_err(|error| error.to_string())
    }

    fn common_types(&self) -> Option<&serde_json::Map<String, Value>> {
        self.json.get("")?.get("commonTypes")?.as_object()
    }
}
