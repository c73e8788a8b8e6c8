//! Sealed blobs. Arbitrary text never opens; a genuine blob opens for its own purpose, binding and time; what an input
//! makes of a genuine blob opens only where it changed nothing.
#![no_main]

use doorward_core::id::{ClientId, ServerName, UserId};
use doorward_core::secret::Secret;
use doorward_core::session::sealed::{BadSeal, Binding, Fresh, Purpose, SealingKeys};
use doorward_core::time::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);
const LIFE: Duration = Duration::from_secs(600);
const DIGEST: [u8; 32] = [7; 32];

struct Place {
    keys: SealingKeys,
    user: UserId,
    client: ClientId,
    server: ServerName,
    blob: String,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let mut place = Place {
        keys: SealingKeys::derive(&Secret::new([1; 32])).expect("keys"),
        user: UserId::new("local", "alice").expect("id"),
        client: ClientId::new("key:1").expect("id"),
        server: ServerName::new("alpha").expect("name"),
        blob: String::new(),
    };
    place.blob = place.seal(Purpose::State, "the state of an upstream", [3; 16]);
    place
});

impl Place {
    fn binding<'a>(&'a self, method: &'a str, digest: &'a [u8; 32]) -> Binding<'a> {
        Binding { user: &self.user, client: &self.client, server: &self.server, method, digest }
    }

    fn seal(&self, purpose: Purpose, inner: &str, seed: [u8; 16]) -> String {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&seed[..12]);
        let fresh = Fresh { nonce, jti: seed };
        self.keys.seal(purpose, self.binding("tools/call", &DIGEST), inner, fresh, NOW.after(LIFE)).expect("sealed")
    }
}

fuzz_target!(|data: &[u8]| {
    let place = &*PLACE;
    let text = String::from_utf8_lossy(data);
    let mine = || place.binding("tools/call", &DIGEST);
    for purpose in [Purpose::State, Purpose::Cursor] {
        let opened = place.keys.open(purpose, mine(), &text, NOW);
        assert_eq!(opened.is_ok(), purpose == Purpose::State && text == place.blob, "{text}");
    }

    // An edit of the genuine blob: where, how much is cut out, what is put in.
    if let [at, cut, put @ ..] = data {
        let mut bytes = place.blob.clone().into_bytes();
        let from = usize::from(*at).min(bytes.len());
        let to = (from + usize::from(*cut % 32)).min(bytes.len());
        bytes.splice(from..to, put.iter().copied());
        if let Ok(edited) = String::from_utf8(bytes) {
            let opened = place.keys.open(Purpose::State, mine(), &edited, NOW);
            assert_eq!(opened.is_ok(), edited == place.blob, "{edited}");
        }
    }

    // What was sealed comes back, to its owner and in its time only.
    let mut seed = [9; 16];
    seed.iter_mut().zip(data).for_each(|(seed, byte)| *seed ^= byte);
    let blob = place.seal(Purpose::Cursor, &text, seed);
    match place.keys.open(Purpose::Cursor, mine(), &blob, NOW) {
        Ok(opened) => assert_eq!(opened.inner, text),
        Err(BadSeal) => assert!(blob.len() > 64 * 1024),
    }
    assert!(place.keys.open(Purpose::State, mine(), &blob, NOW).is_err());
    assert!(place.keys.open(Purpose::Cursor, mine(), &blob, NOW.after(LIFE)).is_err());
    assert!(place.keys.open(Purpose::Cursor, place.binding(&text, &DIGEST), &blob, NOW).is_err() || text == "tools/call");
    if let Some(user) = UserId::new("local", &text).ok().filter(|user| *user != place.user) {
        let theirs = Binding { user: &user, ..mine() };
        assert!(place.keys.open(Purpose::Cursor, theirs, &blob, NOW).is_err());
    }
    if let Some(client) = ClientId::new(&text).ok().filter(|client| *client != place.client) {
        let theirs = Binding { client: &client, ..mine() };
        assert!(place.keys.open(Purpose::Cursor, theirs, &blob, NOW).is_err());
    }
});
