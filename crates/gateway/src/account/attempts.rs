//! `/me/attempts/<id>`, and the latest of them on `/me`: how far the clients of a person came (product 5.5, P23).
//!
//! Everything here is the person's own; of others, and of nobody, there is nothing.

use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::not_allowed;
use crate::signin::{Person, Problem};
use crate::ui::Frame;
use crate::ui::attempt::{AttemptPage, Progress, StepRow, Stop, Vouched};
use crate::ui::headers::Class;
use crate::ui::me::AttemptRow;
use crate::ui::problem::Side;
use crate::ui::text::{Claimed, Place};
use crate::when::{ago, moment};
use doorward_core::oauth::attempt::advice::{advice, habit};
use doorward_core::oauth::attempt::{AttemptId, Mark, Standing, Step};
use doorward_core::time::Timestamp;
use doorward_store::Attempt;
use http::{Method, Response};

/// How many are on `/me`.
const LATEST: usize = 5;
/// A name that was not given.
const NAMELESS: &str = "(no name)";

impl Gateway {
    /// `/me/attempts/<id>`. One of somebody else and one that never was are one answer.
    pub(crate) async fn attempt_page(&self, request: OfficeRequest, id: AttemptId) -> Response<Body> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return not_allowed("GET");
        }
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return self.sign_in_page(&request, None, None),
            Err(_) => return self.away(request.id),
        };
        self.settle_for_page().await;
        match self.store.attempt_of(&person.user, id).await {
            Ok(Some(attempt)) => {
                let page = page(&attempt, self.env.now(), self.frame(Some(&person)));
                self.html(200, Class::Page, page.render())
            }
            Ok(None) => self.no_such_attempt(&request),
            Err(_) => self.away(request.id),
        }
    }

    /// The latest few. They are notes: where they cannot be read, the page goes without them.
    pub(super) async fn latest_attempts(&self, person: &Person, now: Timestamp) -> Vec<AttemptRow> {
        self.settle_for_page().await;
        let attempts = match self.store.attempts_of(&person.user).await {
            Ok(attempts) => attempts,
            Err(error) => {
                tracing::warn!(%error, "attempts to connect could not be read");
                Vec::new()
            }
        };
        attempts.iter().take(LATEST).filter_map(|attempt| row(attempt, now)).collect()
    }

    fn no_such_attempt(&self, request: &OfficeRequest) -> Response<Body> {
        let problem = Problem {
            side: Side::You,
            title: "There is no such attempt",
            text: "It is not one of yours, or it is older than a week.",
            about: None,
            next: "Your latest attempts are on the page of your account.",
            link: Some(("/me", "Your account")),
        };
        self.problem(404, problem, request.id)
    }
}

fn row(attempt: &Attempt, now: Timestamp) -> Option<AttemptRow> {
    let (progress, words) = standing(attempt, now);
    Some(AttemptRow {
        place: Place::new(&format!("/me/attempts/{}", attempt.id))?,
        name: Claimed::new(attempt.name.as_deref().unwrap_or(NAMELESS)),
        vouched: vouched(attempt),
        server: attempt.server.as_ref().map(|server| Claimed::technical(server.as_str())),
        progress,
        words: words.to_owned(),
        when: ago(now, attempt.last),
    })
}

fn page(attempt: &Attempt, now: Timestamp, frame: Frame) -> AttemptPage {
    let (progress, words) = standing(attempt, now);
    AttemptPage {
        frame,
        application: Claimed::new(attempt.name.as_deref().unwrap_or(NAMELESS)),
        vouched: vouched(attempt),
        client_id: Claimed::technical(attempt.client.as_ref().map_or("", |client| client.as_str())),
        server: attempt.server.as_ref().map(|server| Claimed::technical(server.as_str())),
        progress,
        words: words.to_owned(),
        since: ago(now, attempt.last),
        steps: shown(attempt.way.marks()).map(step).collect(),
        stop: stop(attempt, now),
    }
}

/// Who says that the application is what it is called.
fn vouched(attempt: &Attempt) -> Vouched {
    match attempt.identity.as_deref() {
        Some("published") => Vouched::Published,
        Some("approved") => Vouched::Approved,
        Some("self-claimed") => Vouched::SelfClaimed,
        _ => Vouched::Nobody,
    }
}

/// How it stands, in words.
fn standing(attempt: &Attempt, now: Timestamp) -> (Progress, &'static str) {
    let standing = attempt.way.standing(now);
    let progress = match standing {
        Standing::Arrived => Progress::Arrived,
        Standing::Declined => Progress::Declined,
        Standing::Waiting(_) => Progress::Waiting,
        Standing::Stopped(..) => Progress::Stopped,
    };
    (progress, standing.words())
}

/// That it was known goes without saying where it registered just now.
fn shown(marks: &[Mark]) -> impl Iterator<Item = &Mark> {
    let registered = marks.iter().any(|mark| mark.step() == Step::Registration);
    marks.iter().filter(move |mark| !(registered && mark.step() == Step::Known))
}

fn step(mark: &Mark) -> StepRow {
    StepRow {
        text: if mark.reason().is_some() { mark.step().refused() } else { mark.step().done() }.to_owned(),
        when: moment(mark.at()),
        refused: mark.reason().map(str::to_owned),
        is_guess: mark.step().is_guess(),
    }
}

/// What is said below: the cause and the cure where it stopped, what is awaited where it is early.
fn stop(attempt: &Attempt, now: Timestamp) -> Option<Stop> {
    let is_reported = attempt.way.marks().last().and_then(Mark::reason) == Some("consent_reported");
    let (step, reason, is_early) = match attempt.way.standing(now) {
        Standing::Arrived => return None,
        Standing::Declined => {
            return Some(Stop {
                missing: None,
                cause: Some(if is_reported { "You reported it." } else { "You said no, or nothing was ticked." }.to_owned()),
                cure: if is_reported {
                    "There is nothing to do: your administrator has it on the record."
                } else {
                    "If you want it after all, start again from the application."
                }
                .to_owned(),
                habit: None,
            });
        }
        Standing::Waiting(step) => (step, None, true),
        Standing::Stopped(step, reason) => (step, reason, false),
    };
    let known = advice(step, reason);
    let name = attempt.name.as_deref().unwrap_or_default();
    Some(Stop {
        missing: reason.is_none().then(|| step.missing().to_owned()),
        cause: (!is_early).then(|| known.cause.to_owned()),
        cure: if is_early { "It may be on its way: look again in a minute." } else { known.cure }.to_owned(),
        habit: if is_early { None } else { habit(name, step).map(str::to_owned) },
    })
}
