//! Every rule against a planted violation: a rule that finds nothing proves nothing.
