//! What an upstream sends: read, bounded, and written again for a client as strict JSON with the same content.
#![no_main]

use bytes::Bytes;
use doorward_core::json::RawJson;
use doorward_core::mcp::encode;
use doorward_core::mcp::reply::{self, Incoming, ReplyBody, ResultType};
use libfuzzer_sys::fuzz_target;

const DEPTH: usize = 64;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    if let Some(error) = reply::read_bare_error(&bytes, DEPTH) {
        bounded(&error);
    }
    let incoming = match reply::read(&bytes, DEPTH) {
        Ok(incoming) => incoming,
        Err(bad) => return drop(format!("{bad} {bad:?}")),
    };
    let json = RawJson::parse(&bytes, DEPTH).expect("a message is strict JSON");
    match incoming {
        Incoming::Response { id, body } => {
            let id = id.to_raw();
            let original = json.member("id").expect("an id");
            assert_eq!(id.canonical_digest(), plain(&original).canonical_digest(), "{original:?}");
            match body {
                ReplyBody::Result(result) => {
                    assert_eq!(Some(&result), json.member("result").as_ref());
                    let _ = ResultType::of(&result);
                    let _ = encode::server_capabilities(&result);
                    let sent = encode::answer(&id, "result", &result);
                    let again = reply::read(sent.bytes(), DEPTH);
                    assert!(matches!(again, Ok(Incoming::Response { body: ReplyBody::Result(same), .. }) if same == result));
                }
                ReplyBody::Error(error) => bounded(&error),
            }
        }
        Incoming::Request { id, method, params } => {
            let sent = encode::downstream(Some(&id.to_raw()), &method, params.as_ref());
            let again = reply::read(sent.bytes(), DEPTH).expect("a question stays one");
            let Incoming::Request { id: other, method: same, params: kept } = again else { panic!("{again:?}") };
            assert_eq!((other, same, kept), (id, method, params));
        }
        Incoming::Notification { method, params } => {
            let sent = encode::downstream(None, &method, params.as_ref());
            let again = reply::read(sent.bytes(), DEPTH).expect("a notification stays one");
            let Incoming::Notification { method: same, params: kept } = again else { panic!("{again:?}") };
            assert_eq!((same, kept), (method, params));
        }
    }
});

/// `-0` is the integer 0.
fn plain(id: &RawJson) -> RawJson {
    id.as_integer().map_or_else(|| id.clone(), RawJson::integer)
}

fn bounded(error: &reply::RpcError) {
    assert!(error.message.len() <= 2048 && error.data.as_ref().is_none_or(|data| data.as_bytes().len() <= 16 * 1024));
    let _ = reply::supported_versions(error);
}
