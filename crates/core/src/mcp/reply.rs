//! MCP: reply.
