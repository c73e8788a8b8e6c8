//! The corridor: the one way from a request to an answer, on one page. A station cannot be left out, because the next one
//! takes what the one before made, by value. See `ARCHITECTURE.md`.

mod asked;
mod line;

pub(crate) use self::asked::{Asked, answers_unread};
pub use self::line::Gone;
pub(crate) use self::line::HangUp;
use crate::Gateway;
use crate::batch::Batch;
use crate::errand::{Cleared, Errand};
use crate::identify::Stopped;
use crate::listen::Inbound;
use crate::listen::body::Body;
use crate::listen::guard::Turned;
use crate::listen::http::plain;
use crate::listen::room::Taken;
use crate::listen::route::McpRoute;
use crate::upstream::station::Reply;
use doorward_core::audit::intent::{Answer, Intent};
use doorward_core::blame::{Blame, Known, Refusal, Station, Wire};
use doorward_core::id::{CorrelationId, ServerName};
use doorward_core::identity::caller::{Caller, Door};
use doorward_core::identity::presented::Scheme;
use doorward_core::mcp::headers::Accept;
use doorward_core::mcp::version::Era;
use doorward_core::policy::permit::Permit;
use doorward_core::session::era::Claimed;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What accompanies one request besides its witnesses. Proves nothing.
#[derive(Debug)]
pub struct Walk {
    /// Names the request everywhere.
    pub id: CorrelationId,
    /// Where it came in.
    pub route: McpRoute,
    /// From where.
    pub peer: IpAddr,
    /// When.
    pub arrived: Instant,
    /// What the client takes.
    pub accept: Accept,
    /// How its credential was presented.
    pub scheme: Scheme,
    /// The room of its body.
    pub room: Taken,
    /// Whether the client has hung up before its answer.
    pub gone: Gone,
    /// Each epoch after the one under which the caller was proved: whoever waits for an answer hears of it (I8).
    pub epoch: watch::Receiver<u64>,
    /// The era, once it is known.
    pub era: Option<Era>,
}

impl Gateway {
    /// One request, from the door to the answer.
    pub async fn serve(self: Arc<Self>, inbound: Inbound) -> Response<Body> {
        let proves = inbound.presented.scheme() == Scheme::Dpop && inbound.route.door == Door::OAuth;
        let gateway = Arc::clone(&self);
        let mut response = self.passed_through(inbound).await;
        if proves {
            gateway.proofs.hand_out(response.headers_mut(), gateway.env.now());
        }
        response
    }

    async fn passed_through(self: Arc<Self>, mut inbound: Inbound) -> Response<Body> {
        let (hang_up, gone) = HangUp::pair();
        let mut walk = Walk::new(&inbound, gone, self.epoch.subscribe());
        let entered = match self.enter(&mut inbound, &mut walk).await {
            Ok(Entered { asked: Asked::Batch(elements), caller, server, claimed }) => {
                return Box::pin(self.serve_batch(&inbound, Batch { caller, server, claimed, elements }, walk)).await;
            }
            Ok(entered) => entered,
            Err(stopped) => return self.stopped(stopped, &walk).await,
        };
        let response = self.walk(entered, walk).await;
        drop(hang_up);
        response
    }

    /// The answer to a request that did not come in.
    pub(crate) async fn stopped(self: &Arc<Self>, stopped: Stopped, walk: &Walk) -> Response<Body> {
        match stopped {
            Stopped::Refused(refusal) => self.refuse(refusal, walk).await,
            Stopped::Stranger(wait) => {
                let public = "Too many requests without a valid credential.";
                self.put_off((Turned::Rate, StatusCode::TOO_MANY_REQUESTS), public, wait, walk.peer)
            }
            Stopped::Away(wait) => {
                let public = "Doorward cannot look up credentials at the moment.";
                self.put_off((Turned::Away, StatusCode::SERVICE_UNAVAILABLE), public, wait, walk.peer)
            }
        }
    }

    /// Recorded in sum only.
    fn put_off(
        self: &Arc<Self>,
        (what, status): (Turned, StatusCode),
        public: &'static str,
        wait: Duration,
        peer: IpAddr,
    ) -> Response<Body> {
        self.metrics.turned_away(what);
        self.turn_away(what, peer);
        let mut response = plain(status, public);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
        response
    }

    /// The way of one message that came in.
    pub(crate) async fn walk(self: &Arc<Self>, entered: Entered, mut walk: Walk) -> Response<Body> {
        match self.admit(entered, &mut walk).await {
            // Supervised: goes on to its outcome record when the client hangs up.
            Ok((permit, cleared)) => {
                self.note_call(permit.bound().caller());
                let errand = Errand::new(walk, cleared);
                let answer = self.tasks.supervise(Arc::clone(self).perform(permit, errand)).await;
                answer.unwrap_or_else(|_| crate::listen::http::plain(http::StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here."))
            }
            Err(refusal) => self.refuse(refusal, &walk).await,
        }
    }

    /// Who, at which server, with what in hand.
    async fn enter(&self, inbound: &mut Inbound, walk: &mut Walk) -> Result<Entered, Stopped> {
        let caller = self.identify(inbound).await?;
        self.within_rate(&caller, inbound.route.server.as_ref()).await?;
        let server = self.addressed(inbound, &caller)?;
        let asked = self.read(inbound, &caller, walk).await;
        let (claimed, asked) = asked.map_err(|refusal| refusal.informed(&caller.known(), &server))?;
        Ok(Entered { caller, server, claimed, asked })
    }

    /// In which session, asking what, allowed by which rule.
    async fn admit(&self, entered: Entered, walk: &mut Walk) -> Result<(Permit, Cleared), Refusal> {
        let Entered { caller, server, claimed, asked } = entered;
        let bound = self.session(caller, &server, &claimed).await?;
        walk.era = Some(bound.era());
        let call = asked.decode(bound.era()).map_err(|refusal| refusal.informed(&bound.known(), &server))?;
        let opened = self.resolve(&bound, &call).await?;
        let (permit, judged) = self.policy(bound, call, opened, walk).await?;
        let cleared = self.consume(judged, &permit).await?;
        Ok((permit, cleared))
    }

    /// On the record before and after.
    async fn perform(self: Arc<Self>, permit: Permit, mut errand: Errand) -> Response<Body> {
        let planned = self.plan(&permit);
        let intent = match self.audit.intend(permit, &planned, errand.id, self.env.now()).await {
            Ok(intent) => intent,
            Err(unrecorded) => return unrecorded.response(), // 503, nothing has happened
        };
        let carried = self.carry(&intent, &mut errand).await;
        let acting = errand.acting.take().unwrap_or(planned);
        self.answer(intent, carried, errand, acting).await // settles the intent before anything leaves
    }

    /// As whom, there and back. Each message that comes back passes the screen in its relay.
    async fn carry(&self, intent: &Intent, errand: &mut Errand) -> Result<Reply, Refusal> {
        let lease = self.credential(intent).await?;
        (errand.acting, errand.account) = (Some(lease.as_whom().clone()), lease.account());
        self.upstream(lease.outgoing(), errand).await
    }

    /// A refusal is recorded exactly like a success.
    pub(crate) async fn refuse(&self, refusal: Refusal, walk: &Walk) -> Response<Body> {
        self.metrics.refused(refusal.station.as_str(), refusal.reason);
        self.note_refusal(&refusal, (walk.route.door, walk.route.server.as_ref()), walk.peer);
        match self.audit.refused(&refusal, walk.id, self.env.now()).await {
            Ok(receipt) => Answer::new(self.refusal(&refusal, walk, walk.era)).release(receipt),
            Err(unrecorded) => unrecorded.response(),
        }
    }

    /// The server of the route. One that the caller may not know of is answered like one that is not there, before
    /// anything of the request is read: no status or error tells the two apart (RS-05).
    fn addressed(&self, inbound: &Inbound, caller: &Caller) -> Result<ServerName, Refusal> {
        let refuse = |reason| Refusal::new(Station::Policy, reason, Blame::Caller, Wire::Http(404), "There is nothing here.");
        let refusal = match &inbound.route.server {
            Some(server) if self.is_visible(server, caller) => return Ok(server.clone()),
            Some(server) if self.upstreams.find(server).is_some() => refuse("server_not_visible"),
            _ => refuse("unknown_server"),
        };
        Err(refusal.knowing(Known { server: inbound.route.server.clone(), ..caller.known() }))
    }
}

/// A verified caller at a server, with what was asked.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) caller: Caller,
    pub(crate) server: ServerName,
    pub(crate) claimed: Claimed,
    pub(crate) asked: Asked,
}

impl Walk {
    pub(crate) fn new(inbound: &Inbound, gone: Gone, epoch: watch::Receiver<u64>) -> Self {
        Self {
            id: inbound.id,
            route: inbound.route.clone(),
            peer: inbound.peer,
            arrived: Instant::now(),
            accept: Accept::Both,
            scheme: inbound.presented.scheme(),
            room: Taken::default(),
            gone,
            epoch,
            era: None,
        }
    }

    /// Since the request arrived.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.arrived.elapsed()
    }
}
