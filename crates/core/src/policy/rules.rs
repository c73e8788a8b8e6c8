//! Cedar policies, read and checked once.
