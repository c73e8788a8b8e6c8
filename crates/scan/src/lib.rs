//! The auditor of Doorward: finds what is wrong in MCP set-ups. Empty so far.
