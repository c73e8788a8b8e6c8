//! Abuses of the corridor's types, each refused by the compiler. Nothing but documentation stands here.
//!
//! Each example that does not compile stands beside one that does and differs in one respect: a `compile_fail` example
//! passes on any error, and the twin shows that it is not another. Those of the permit stand in [`crate::policy::permit`].
//! What types cannot show, that a maker was given true facts, the tidy test narrows down by listing every call of one.
//!
//! # Forge a caller (RS-04)
//!
//! ```compile_fail
//! use doorward_core::identity::caller::{Caller, Record};
//! use std::sync::Arc;
//! fn forge(record: Arc<Record>) -> Caller {
//!     Caller { record }
//! }
//! ```
//!
//! A record is a fact; the witness comes from `verify`, with what was presented:
//!
//! ```
//! use doorward_core::identity::caller::{Door, Found, Record, Verdict, verify};
//! use doorward_core::identity::presented::Presented;
//! use doorward_core::time::Timestamp;
//! use std::sync::Arc;
//! fn prove(presented: &Presented, record: Arc<Record>, now: Timestamp) -> Verdict {
//!     verify(presented, Door::Key, None, Some(Found::Stored(record)), now)
//! }
//! ```
//!
//! # Use a token that is bound to a key without a proof of it (TK-13)
//!
//! ```compile_fail
//! use doorward_core::identity::caller::{Record, Verdict, verify_held};
//! use doorward_core::identity::presented::Presented;
//! use doorward_core::oauth::dpop::{Possession, Thumbprint};
//! use doorward_core::time::Timestamp;
//! use std::sync::Arc;
//! fn forge(presented: &Presented, record: Arc<Record>, key: Thumbprint, token: [u8; 32], now: Timestamp) -> Verdict {
//!     verify_held(presented, None, record, Possession { key, token }, now)
//! }
//! ```
//!
//! A possession is what the word of the store makes of a checked proof:
//!
//! ```
//! use doorward_core::identity::caller::{Record, Verdict, verify_held};
//! use doorward_core::identity::presented::Presented;
//! use doorward_core::oauth::dpop::{BadProof, Proven};
//! use doorward_core::oauth::token::Used;
//! use doorward_core::time::Timestamp;
//! use std::sync::Arc;
//! fn prove(presented: &Presented, record: Arc<Record>, proven: Proven, used: Used, now: Timestamp) -> Result<Verdict, BadProof> {
//!     Ok(verify_held(presented, None, record, proven.used_up(used)?, now))
//! }
//! ```
//!
//! # Take what a header says for the certificate of a connection (RS-10)
//!
//! ```compile_fail
//! use doorward_core::identity::presented::Presented;
//! fn claim(presented: Presented, header: Vec<u8>) -> Presented {
//!     presented.over(Some(header.into()))
//! }
//! ```
//!
//! What stands beside the headers is made of a handshake:
//!
//! ```
//! use doorward_core::identity::presented::Presented;
//! use doorward_core::identity::svid::PeerCertificate;
//! use std::sync::Arc;
//! fn show(presented: Presented, peer: &Arc<PeerCertificate>) -> Presented {
//!     presented.over(Some(Arc::clone(peer)))
//! }
//! ```
//!
//! # Forge a bound session (SES-02)
//!
//! ```compile_fail
//! use doorward_core::{id::ServerName, identity::caller::Caller, mcp::version::Era, session::Bound};
//! fn forge(caller: Caller, server: ServerName) -> Bound {
//!     Bound { caller, server, era: Era::Modern, session: None }
//! }
//! ```
//!
//! The twin is the one of the next abuse: `open`, with a caller.
//!
//! # Look up a bare session id (SES-02)
//!
//! ```compile_fail
//! use doorward_core::id::ServerName;
//! use doorward_core::session::{Bound, Claim, Lifetimes, Stored, UnknownSession, open};
//! use doorward_core::time::Timestamp;
//! use std::sync::Arc;
//! fn look_up(server: &ServerName, found: Arc<Stored>, lives: Lifetimes, now: Timestamp) -> Result<Bound, UnknownSession> {
//!     open(server, Claim::Existing(Some(found)), lives, now)
//! }
//! ```
//!
//! With a caller, whose session it must be:
//!
//! ```
//! use doorward_core::{id::ServerName, identity::caller::Caller};
//! use doorward_core::session::{Bound, Claim, Lifetimes, Stored, UnknownSession, open};
//! use doorward_core::time::Timestamp;
//! use std::sync::Arc;
//! fn look_up(
//!     caller: Caller,
//!     server: &ServerName,
//!     found: Arc<Stored>,
//!     lives: Lifetimes,
//!     now: Timestamp,
//! ) -> Result<Bound, UnknownSession> {
//!     open(caller, server, Claim::Existing(Some(found)), lives, now)
//! }
//! ```
//!
//! # Read what was presented (PT-01)
//!
//! ```compile_fail
//! use doorward_core::{identity::presented::Presented, secret::Secret};
//! fn read(presented: Presented) -> Option<Secret<String>> {
//!     presented.bearer
//! }
//! ```
//!
//! It can be digested:
//!
//! ```
//! use doorward_core::identity::presented::Presented;
//! use doorward_core::secret::{ApiKey, NotAToken, TokenHash};
//! fn digest(presented: &Presented) -> Option<Result<TokenHash<ApiKey>, NotAToken>> {
//!     presented.hash::<ApiKey>()
//! }
//! ```
//!
//! # Send what was presented to an upstream (PT-01)
//!
//! ```compile_fail
//! use doorward_core::credential::{Origin, UpstreamSecret};
//! use doorward_core::identity::presented::Presented;
//! fn pass_through(presented: Presented, origin: Origin) -> UpstreamSecret {
//!     UpstreamSecret::from_source("authorization".into(), presented, origin)
//! }
//! ```
//!
//! A secret of our own source goes:
//!
//! ```
//! use doorward_core::credential::{Origin, UpstreamSecret};
//! use doorward_core::secret::Secret;
//! fn of_ours(secret: Secret<String>, origin: Origin) -> UpstreamSecret {
//!     UpstreamSecret::from_source("authorization".into(), secret, origin)
//! }
//! ```
//!
//! # Print a secret (AUD-05)
//!
//! ```compile_fail
//! use doorward_core::secret::Secret;
//! fn print(secret: &Secret<String>) -> String {
//!     format!("{secret}")
//! }
//! ```
//!
//! Its `Debug` form says that it is one, and nothing more:
//!
//! ```
//! use doorward_core::secret::Secret;
//! fn print(secret: &Secret<String>) -> String {
//!     format!("{secret:?}")
//! }
//! ```
//!
//! # Clone a secret (PT-01)
//!
//! ```compile_fail
//! use doorward_core::secret::Secret;
//! fn copy(secret: &Secret<String>) -> Secret<String> {
//!     secret.clone()
//! }
//! ```
//!
//! Whoever needs another copy exposes it, at a place that the tidy test lists:
//!
//! ```
//! use doorward_core::secret::Secret;
//! fn copy(secret: &Secret<String>) -> Secret<String> {
//!     Secret::new(secret.expose().clone())
//! }
//! ```
//!
//! # Edit the arguments of a decoded call (RPC-01)
//!
//! ```compile_fail
//! use doorward_core::{json::RawJson, mcp::call::Call};
//! fn edit(mut call: Call, other: RawJson) -> Call {
//!     call.arguments = Some(other);
//!     call
//! }
//! ```
//!
//! They can be read:
//!
//! ```
//! use doorward_core::{json::RawJson, mcp::call::Call};
//! fn read(call: &Call) -> Option<&RawJson> {
//!     call.arguments()
//! }
//! ```
//!
//! # Forge an intent (AUD-01)
//!
//! ```compile_fail
//! use doorward_core::{audit::intent::Intent, id::CorrelationId, policy::permit::Permit};
//! fn forge(permit: Permit, id: CorrelationId) -> Intent {
//!     Intent { permit, id, seq: 1 }
//! }
//! ```
//!
//! A chain makes it, together with the line that is to be written:
//!
//! ```
//! use doorward_core::audit::{chain::Chain, event::Line, intent::Intent};
//! use doorward_core::{credential::Principal, id::CorrelationId, policy::permit::Permit, time::Timestamp};
//! fn record(chain: &mut Chain, permit: Permit, whom: &Principal, id: CorrelationId, now: Timestamp) -> (Intent, Line) {
//!     chain.intend(permit, whom, id, now)
//! }
//! ```
//!
//! # Two intents for one permit (AUD-01)
//!
//! ```compile_fail
//! use doorward_core::audit::chain::Chain;
//! use doorward_core::{credential::Principal, id::CorrelationId, policy::permit::Permit, time::Timestamp};
//! fn twice(chain: &mut Chain, permit: Permit, whom: &Principal, id: CorrelationId, now: Timestamp) {
//!     let _one = chain.intend(permit, whom, id, now);
//!     let _two = chain.intend(permit, whom, id, now);
//! }
//! ```
//!
//! Two permits, two intents:
//!
//! ```
//! use doorward_core::audit::chain::Chain;
//! use doorward_core::{credential::Principal, id::CorrelationId, policy::permit::Permit, time::Timestamp};
//! fn both(chain: &mut Chain, permit: Permit, other: Permit, whom: &Principal, id: CorrelationId, now: Timestamp) {
//!     let _one = chain.intend(permit, whom, id, now);
//!     let _two = chain.intend(other, whom, id, now);
//! }
//! ```
//!
//! # Settle one intent twice (AUD-01)
//!
//! ```compile_fail
//! use doorward_core::audit::{chain::Chain, intent::Intent, outcome::Outcome};
//! use doorward_core::time::Timestamp;
//! fn twice(chain: &mut Chain, intent: Intent, outcome: &Outcome, now: Timestamp) {
//!     let _one = chain.settle(intent, outcome, now);
//!     let _two = chain.settle(intent, outcome, now);
//! }
//! ```
//!
//! Each intent once:
//!
//! ```
//! use doorward_core::audit::{chain::Chain, intent::Intent, outcome::Outcome};
//! use doorward_core::time::Timestamp;
//! fn both(chain: &mut Chain, intent: Intent, other: Intent, outcome: &Outcome, now: Timestamp) {
//!     let _one = chain.settle(intent, outcome, now);
//!     let _two = chain.settle(other, outcome, now);
//! }
//! ```
//!
//! # Grant a lease on a permit that is not recorded (AUD-02)
//!
//! ```compile_fail
//! use doorward_core::credential::{Lease, Principal};
//! use doorward_core::{policy::permit::Permit, time::Timestamp};
//! fn grant(permit: &Permit, whom: Principal, until: Timestamp) -> Lease<'_> {
//!     Lease::grant(permit, None, whom, until)
//! }
//! ```
//!
//! On its intent:
//!
//! ```
//! use doorward_core::credential::{Lease, Principal};
//! use doorward_core::{audit::intent::Intent, time::Timestamp};
//! fn grant(intent: &Intent, whom: Principal, until: Timestamp) -> Lease<'_> {
//!     Lease::grant(intent, None, whom, until)
//! }
//! ```
//!
//! # Let a lease outlive its intent (AUD-02)
//!
//! ```compile_fail
//! use doorward_core::credential::{Lease, Principal};
//! use doorward_core::{audit::intent::Intent, time::Timestamp};
//! fn outlive<'a>(intent: Intent, whom: Principal, until: Timestamp) -> Lease<'a> {
//!     Lease::grant(&intent, None, whom, until)
//! }
//! ```
//!
//! As long as its intent:
//!
//! ```
//! use doorward_core::credential::{Lease, Principal};
//! use doorward_core::{audit::intent::Intent, time::Timestamp};
//! fn lent<'a>(intent: &'a Intent, whom: Principal, until: Timestamp) -> Lease<'a> {
//!     Lease::grant(&intent, None, whom, until)
//! }
//! ```
//!
//! # Use a lease twice (AUD-01)
//!
//! ```compile_fail
//! use doorward_core::credential::Lease;
//! fn twice(lease: Lease<'_>) {
//!     let _one = lease.outgoing();
//!     let _two = lease.outgoing();
//! }
//! ```
//!
//! Two leases, two requests:
//!
//! ```
//! use doorward_core::credential::Lease;
//! fn both(lease: Lease<'_>, other: Lease<'_>) {
//!     let _one = lease.outgoing();
//!     let _two = other.outgoing();
//! }
//! ```
//!
//! # Settle while the lease is still out (AUD-01)
//!
//! ```compile_fail
//! use doorward_core::audit::{chain::Chain, intent::Intent, outcome::Outcome};
//! use doorward_core::credential::{Lease, Principal};
//! use doorward_core::time::Timestamp;
//! fn early(chain: &mut Chain, intent: Intent, whom: Principal, outcome: &Outcome, now: Timestamp) {
//!     let lease = Lease::grant(&intent, None, whom, now);
//!     let _settled = chain.settle(intent, outcome, now);
//!     let _late = lease.outgoing();
//! }
//! ```
//!
//! Afterwards:
//!
//! ```
//! use doorward_core::audit::{chain::Chain, intent::Intent, outcome::Outcome};
//! use doorward_core::credential::{Lease, Principal};
//! use doorward_core::time::Timestamp;
//! fn in_order(chain: &mut Chain, intent: Intent, whom: Principal, outcome: &Outcome, now: Timestamp) {
//!     let lease = Lease::grant(&intent, None, whom, now);
//!     let _first = lease.outgoing();
//!     let _settled = chain.settle(intent, outcome, now);
//! }
//! ```
//!
//! # Build an upstream request by hand (PT-01)
//!
//! ```compile_fail
//! use doorward_core::{audit::intent::Intent, credential::Outgoing};
//! fn by_hand(intent: &Intent) -> Outgoing<'_> {
//!     Outgoing { intent, secret: None }
//! }
//! ```
//!
//! Out of a lease:
//!
//! ```
//! use doorward_core::credential::{Lease, Outgoing};
//! fn lent(lease: Lease<'_>) -> Outgoing<'_> {
//!     lease.outgoing()
//! }
//! ```
//!
//! # Call an upstream's words screened (PT-03)
//!
//! ```compile_fail
//! use doorward_core::{json::RawJson, screen::Screened};
//! fn unseen(content: RawJson) -> Screened {
//!     Screened { content }
//! }
//! ```
//!
//! After the screen has looked at it:
//!
//! ```
//! use doorward_core::json::RawJson;
//! use doorward_core::screen::{Blocked, Means, Screened, Shape, apply};
//! fn seen(means: &Means<'_>, shape: Shape<'_>, content: RawJson) -> Result<Screened, Blocked> {
//!     apply(means, shape, None, content)
//! }
//! ```
//!
//! # Forge a receipt (AUD-02)
//!
//! ```compile_fail
//! use doorward_core::audit::intent::Receipt;
//! fn forge() -> Receipt {
//!     Receipt { seq: 1 }
//! }
//! ```
//!
//! A record gives it:
//!
//! ```
//! use doorward_core::audit::{chain::Chain, event::Line, intent::Receipt};
//! use doorward_core::{blame::Refusal, id::CorrelationId, time::Timestamp};
//! fn record(chain: &mut Chain, refusal: &Refusal, id: CorrelationId, now: Timestamp) -> (Receipt, Line) {
//!     chain.refused(refusal, id, now)
//! }
//! ```
//!
//! # Release an answer without a receipt (AUD-02)
//!
//! ```compile_fail
//! use doorward_core::audit::intent::Answer;
//! fn leave(answer: Answer<()>) -> http::Response<()> {
//!     answer.release()
//! }
//! ```
//!
//! With its receipt:
//!
//! ```
//! use doorward_core::audit::intent::{Answer, Receipt};
//! fn leave(answer: Answer<()>, receipt: Receipt) -> http::Response<()> {
//!     answer.release(receipt)
//! }
//! ```
//!
//! # Release two answers on one receipt (AUD-02)
//!
//! ```compile_fail
//! use doorward_core::audit::intent::{Answer, Receipt};
//! fn twice(answer: Answer<()>, other: Answer<()>, receipt: Receipt) {
//!     let _one = answer.release(receipt);
//!     let _two = other.release(receipt);
//! }
//! ```
//!
//! Two receipts:
//!
//! ```
//! use doorward_core::audit::intent::{Answer, Receipt};
//! fn both(answer: Answer<()>, other: Answer<()>, receipt: Receipt, another: Receipt) {
//!     let _one = answer.release(receipt);
//!     let _two = other.release(another);
//! }
//! ```
//!
//! # Redirect to an address that the client did not register (AZ-06)
//!
//! ```compile_fail
//! use doorward_core::oauth::redirect::{RedirectTarget, Registered};
//! fn forge(other: Registered) -> RedirectTarget {
//!     RedirectTarget { text: other.as_str().to_owned() }
//! }
//! ```
//!
//! A target is one of this client's own, found by `check`:
//!
//! ```
//! use doorward_core::oauth::client::Client;
//! use doorward_core::oauth::redirect::{BadRedirect, RedirectTarget, check};
//! fn prove(client: &Client, asked: Option<&str>) -> Result<RedirectTarget, BadRedirect> {
//!     check(client, asked)
//! }
//! ```
//!
//! # Redeem a code that did not come back to the person, browser and connection that it was asked for (OC-03)
//!
//! ```compile_fail
//! use doorward_core::connection::client::UpstreamClient;
//! use doorward_core::connection::request::{OtherClient, TokenRequest, exchange};
//! use doorward_core::connection::trip::{Arrived, Trip};
//! fn forge(trip: Trip, code: String, client: &UpstreamClient) -> Result<TokenRequest, OtherClient> {
//!     exchange(&Arrived { trip, code }, client)
//! }
//! ```
//!
//! One that arrived:
//!
//! ```
//! use doorward_core::connection::client::UpstreamClient;
//! use doorward_core::connection::request::{OtherClient, TokenRequest, exchange};
//! use doorward_core::connection::trip::Arrived;
//! fn redeem(arrived: Arrived, client: &UpstreamClient) -> Result<TokenRequest, OtherClient> {
//!     exchange(&arrived, client)
//! }
//! ```
