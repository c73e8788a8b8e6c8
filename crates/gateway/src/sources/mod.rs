//! Where secret references lead: `env:` and `file:`.
