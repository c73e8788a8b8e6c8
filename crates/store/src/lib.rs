//! The records of Doorward in SQLite or PostgreSQL, the only crate with SQL. Empty so far.
