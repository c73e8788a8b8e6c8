//! Sealed blobs: `requestState` and cursors, bound to user, client, server and request (protocol 12.1).
