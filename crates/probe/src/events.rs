//! A stream of events, read as it comes: finds the message of one id and looks at every byte once, whatever a server sends.
//! WHATWG HTML section 9.2.6.

use serde_json::Value;

/// What was read of a stream.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// The data of the event that is under way.
    data: Vec<u8>,
    line: Vec<u8>,
}

/// Larger events are not looked into. Bytes.
const LARGEST: usize = 1 << 20;

// === impl Events ===

impl Events {
    /// Takes more bytes; gives the message with this id once it is there.
    pub(crate) fn take(&mut self, bytes: &[u8], wanted: &str) -> Option<Value> {
        for byte in bytes {
            match byte {
                b'\n' => {
                    if let Some(found) = self.line_ended(wanted) {
                        return Some(found);
                    }
                }
                b'\r' => {}
                byte if self.line.len() < LARGEST => self.line.push(*byte),
                _ => {}
            }
        }
        None
    }

    fn line_ended(&mut self, wanted: &str) -> Option<Value> {
        let line = std::mem::take(&mut self.line);
        if let Some(data) = line.strip_prefix(b"data:") {
            if self.data.len() + data.len() < LARGEST {
                self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
                self.data.push(b'\n');
            }
            return None;
        }
        if !line.is_empty() {
            return None;
        }
        let data = std::mem::take(&mut self.data);
        let message: Value = serde_json::from_slice(&data).ok()?;
        (message.get("id").and_then(Value::as_str) == Some(wanted)).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_message_is_found_in_any_pieces() {
        let stream = b": hello\nid: 1\ndata: \n\nevent: message\r\ndata: {\"id\":\"other\"}\r\n\r\ndata: {\"id\":\ndata: \"a\"}\n\n";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let found = stream.chunks(size).find_map(|piece| events.take(piece, "a"));
            assert_eq!(found.expect("found")["id"], "a", "{size}");
        }
        assert!(Events::default().take(stream, "b").is_none());
    }
}
