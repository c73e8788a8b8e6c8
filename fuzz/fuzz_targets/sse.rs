//! Event streams. Input: a byte that says how to cut, then the stream. The same events whatever the cuts, and those that a
//! plain reading of the standard gives; a JSON text framed as an event comes back as one event with the same content.
#![no_main]

use bytes::Bytes;
use doorward_core::json::RawJson;
use doorward_core::mcp::sse::{BadStream, Event, Reader, frame, priming};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, stream)) = data.split_first() else { return };
    for limit in [usize::MAX, 64] {
        let whole = read([stream], limit);
        assert_eq!(read(stream.chunks(1), limit), whole, "byte by byte");
        assert_eq!(read(stream.chunks(usize::from(cut % 23) + 1), limit), whole);
        let (head, tail) = stream.split_at(usize::from(cut).min(stream.len()));
        assert_eq!(read([head, &[], tail], limit), whole);
        if limit == usize::MAX {
            if let Ok(text) = std::str::from_utf8(stream) {
                assert_eq!(whole.1, Ok(()));
                assert_eq!(whole.0, plainly(text));
            }
        } else {
            assert!(whole.0.iter().all(|event| event.data.len() <= limit && event.id.as_ref().is_none_or(|id| id.len() <= limit)));
        }
    }
    let bytes = Bytes::copy_from_slice(stream);
    if let Ok(json) = RawJson::parse(&bytes, 64) {
        let id = format!("s-{cut}");
        let framed = frame(Some(&id), &json);
        let (events, end) = read(framed.chunks(usize::from(cut % 7) + 1), usize::MAX);
        assert_eq!((events.len(), end), (1, Ok(())));
        assert_eq!(events[0].id.as_deref(), Some(id.as_str()));
        let data = RawJson::parse(&Bytes::from(events[0].data.clone()), 64).expect("the data is strict JSON");
        assert_eq!(data.canonical_digest(), json.canonical_digest());
        let (events, _) = read([priming(&id, Some(Duration::from_millis(u64::from(cut)))).as_ref()], usize::MAX);
        assert_eq!(events, [Event { id: Some(id), data: String::new(), retry: Some(u64::from(cut)) }]);
    }
});

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> (Vec<Event>, Result<(), BadStream>) {
    let mut reader = Reader::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(bad) = reader.push(piece, &mut events) {
            return (events, Err(bad));
        }
    }
    (events, Ok(()))
}

/// The standard's own order: strip the mark, cut into lines, take each line as a field.
fn plainly(text: &str) -> Vec<Event> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let Some((complete, _)) = text.rsplit_once('\n') else { return Vec::new() };
    let (mut events, mut event, mut data) = (Vec::new(), Event::default(), Vec::new());
    for line in complete.split('\n') {
        if line.is_empty() {
            event.data = data.join("\n");
            let event = std::mem::take(&mut event);
            if !data.is_empty() || event.id.is_some() || event.retry.is_some() {
                events.push(event);
            }
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').map_or((line, ""), |(field, value)| (field, value.strip_prefix(' ').unwrap_or(value)));
        match field {
            "data" => data.push(value),
            "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => event.retry = value.parse().ok(),
            _ => {}
        }
    }
    events
}
