//! Fixtures, hostile peers and the tidy test of Doorward; used by tests only. Empty so far.
