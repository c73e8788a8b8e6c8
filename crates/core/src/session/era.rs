//! The era decision (protocol 3.3): from the version header, `_meta`, the session header and the method; nothing else.
