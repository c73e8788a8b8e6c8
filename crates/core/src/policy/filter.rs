//! The same decision over the entries of a list.
