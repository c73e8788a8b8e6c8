//! The MCP headers: read, validated, rebuilt; never copied.

/// One mirrored `Mcp-Param-*` header in parsed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The part after `Mcp-Param-`, as sent.
    pub name: String,
    /// The decoded value.
    pub value: String,
}
