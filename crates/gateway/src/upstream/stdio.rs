//! Child processes that speak MCP over their standard input and output.
