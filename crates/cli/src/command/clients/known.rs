//! Clients as lines for people: ids cut, names quoted and inert. What is known of them says the gateway's own list.

use crate::command::apikey::unavailable;
use crate::console::{counted, inert};
use crate::failure::Failure;
use crate::house::House;
use doorward_core::config::clients::StaticAuth;
use doorward_core::oauth::admission::Blocked;
use doorward_gateway::admin::known::{self, By, Known};
use doorward_store::Store;
use std::collections::BTreeMap;

/// Longest id that is shown whole, and how much of a longer one.
const WHOLE: usize = 80;
const BEGINNING: usize = 24;

/// Reads all of them, by the digests of their ids.
///
/// # Errors
/// [`Failure`] of the store.
pub(super) async fn read(house: &House, store: &Store) -> Result<BTreeMap<[u8; 32], Known>, Failure> {
    known::read(&house.config().clients, store, house.env.now()).await.map_err(|error| unavailable(&error))
}

/// How a client of the configuration proves itself, by the name in metadata.
pub(super) const fn method(auth: &StaticAuth) -> &'static str {
    match auth {
        StaticAuth::None => "none",
        StaticAuth::Basic(_) => "client_secret_basic",
        StaticAuth::Post(_) => "client_secret_post",
        StaticAuth::PrivateKeyJwt(_) => "private_key_jwt",
    }
}

/// An id as it fits into a line, inert.
pub(in crate::command) fn shortened(id: &str) -> String {
    if id.len() <= WHOLE {
        return inert(id);
    }
    let start: String = id.chars().take(BEGINNING).collect();
    format!("{}...", inert(&start))
}

/// For people.
pub(super) fn lines(known: &Known) -> Vec<String> {
    let digest = Blocked::Digest(known.digest).to_string();
    let first = match &known.id {
        Some(id) => shortened(id.as_str()),
        None => digest.clone(),
    };
    let name = known.name.as_deref().map(|name| format!("  \"{}\"", inert(name))).unwrap_or_default();
    let mut lines = vec![format!("{first}{name}  {}, {}", known.kind.as_str(), inert(&known.identified))];
    let mut facts = Vec::new();
    facts.extend(known.id.as_ref().filter(|id| id.as_str().len() > WHOLE).map(|_| digest));
    facts.extend(known.since.map(|at| format!("since {at}")));
    facts.push(known.used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}")));
    facts.push(counted(known.consents, "consent"));
    lines.push(format!("    {}", facts.join("  ")));
    lines.extend(known.blocked.iter().map(|by| format!("    {}", words(by))));
    lines
}

fn words(by: &By) -> String {
    match by {
        By::Configuration => "blocked by clients.block".to_owned(),
        By::Administrator { since, reason: None } => format!("blocked since {since}"),
        By::Administrator { since, reason: Some(reason) } => format!("blocked since {since}: {}", inert(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::id::ClientId;
    use doorward_core::secret::sha256;
    use doorward_core::time::Timestamp;
    use doorward_gateway::admin::known::Kind;

    #[test]
    fn what_others_chose_cannot_draw_and_long_ids_stand_for_themselves_by_their_digest() {
        let id = ClientId::new(&format!("dwc_{}", "A".repeat(300))).expect("id");
        let digest = sha256(id.as_str().as_bytes());
        let known = Known {
            id: Some(id),
            digest,
            name: Some("Nice\u{1b}[2J\u{202e}".to_owned()),
            kind: Kind::Registration,
            identified: "says so itself".to_owned(),
            since: None,
            used: None,
            consents: 0,
            blocked: Vec::new(),
        };
        let shown = lines(&known).join("\n");
        assert!(shown.starts_with("dwc_AAAAAAAAAAAAAAAAAAAA...  \"Nice\\u{1b}[2J\\u{202e}\"  registration"), "{shown}");
        assert!(shown.contains(&Blocked::Digest(digest).to_string()), "what clients block takes: {shown}");
        assert!(known.as_json()["id"].as_str().is_some_and(|id| id.len() == 304), "whole for programs");
        let by = By::Administrator { since: Timestamp::from_millis(0), reason: Some("x\u{7}".to_owned()) };
        assert!(!words(&by).contains('\u{7}'));
    }
}
