//! Why a client stops where it stops, and what helps: data, by step, reason and client. Every text is ours.
//!
//! What clients do is from `docs/clients.md`, where it was seen on the record. The name of a client is its own word: what is said of a
//! client by its name helps whoever runs it and tells nothing that is not public.

use super::Step;

/// What a stop means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What is known of the cause.
    pub cause: &'static str,
    /// What to do.
    pub cure: &'static str,
}

/// A row: the step, the reasons (none: it did not come), the cause, the cure.
type Row = (Step, &'static [&'static str], &'static str, &'static str);

/// The first row that fits counts; a row without reasons is for a step that did not come.
const KNOWN: &[Row] = &[
    (
        Step::Registration,
        &["invalid_redirect_uri"],
        "The application wanted its answers at an address that may not be registered here.",
        "Update the application. The administrator decides which addresses may be registered (clients.dynamic_registration).",
    ),
    (
        Step::Registration,
        &["access_denied"],
        "Applications may not register themselves here.",
        "The administrator can write the application into [[clients.static]], or allow registration (clients.dynamic_registration).",
    ),
    (
        Step::Registration,
        &[],
        "Somebody asked, was told where to sign in, and went no further. Some applications wait until they are told to sign in.",
        "Tell the application to sign in, or start it anew.",
    ),
    (
        Step::Registration,
        &["invalid_client_metadata"],
        "The registration holds something that is not accepted here.",
        "Update the application. What was wrong was told to it.",
    ),
    (
        Step::Request,
        &["unknown_client"],
        "The application uses an id that this gateway did not give, or not with the keys that it has now.",
        "Remove this server from the application and add it anew, so that it registers again.",
    ),
    (
        Step::Request,
        &["client_blocked"],
        "The administrator has blocked this application.",
        "Ask the administrator: doorward clients show.",
    ),
    (
        Step::Request,
        &["client_not_allowed"],
        "Applications of this kind may not ask here.",
        "Ask the administrator to allow it ([clients] in the configuration).",
    ),
    (
        Step::Request,
        &["client_unchecked"],
        "The document that says who the application is could not be read.",
        "Try again in a minute. If this stays so, the gateway has no way to the address of the document: ask the administrator.",
    ),
    (
        Step::Request,
        &["bad_redirect_uri"],
        "The application wants its answer at another address than the one it registered, so nothing was sent anywhere.",
        "Remove this server from the application and add it anew, so that it registers the address that it uses now.",
    ),
    (
        Step::Request,
        &["invalid_target"],
        "The application did not say which server it wants, or one that is not here. Old versions leave the resource away.",
        "Update the application, and check the address of the server that is configured in it.",
    ),
    (
        Step::Request,
        &["access_denied"],
        "The server that the application asks for is not there for you.",
        "Check its address in the application, or ask the administrator.",
    ),
    (
        Step::Request,
        &["invalid_request", "unsupported_response_type", "request_not_supported"],
        "The request of the application is not one of OAuth 2.1: PKCE with S256 is missing, or a parameter is wrong.",
        "Update the application.",
    ),
    (
        Step::Request,
        &["login_required", "consent_required"],
        "The application asked that nobody be asked, and somebody has to be.",
        "Start the sign-in in the application by hand.",
    ),
    (
        Step::Request,
        &["no_device_grant"],
        "The application did not register for the grant of devices.",
        "Update the application, or let it use a browser.",
    ),
    (
        Step::Request,
        &[],
        "The application registered and sent nobody to the page. Often it could not open a browser, or waits to be told to sign in.",
        "Tell the application to sign in. On a computer without a browser, copy the address that it prints.",
    ),
    (
        Step::SignIn,
        &["domain_not_allowed", "email_not_allowed", "group_not_allowed", "user_disabled"],
        "The person signed in, and may not come in here.",
        "Sign in with another account, or ask the administrator.",
    ),
    (
        Step::SignIn,
        &[],
        "The browser was asked to sign in, and nobody did. A request waits ten minutes.",
        "Start again from the application, and sign in in the browser that it opens.",
    ),
    (Step::Question, &[], "Somebody was signed in, and the question was not shown.", "Start again from the application."),
    (
        Step::Decision,
        &[],
        "The question was shown, and nobody decided. A request waits ten minutes.",
        "Start again from the application, and decide on the page.",
    ),
    (Step::Answer, &[], "The answer was decided and could not be sent.", "Start again from the application."),
    (
        Step::Token,
        &["foreign_grant", "malformed_verifier"],
        "The application came with the code, but not as the one that had asked: another verifier, another address, or another client id.",
        "Start again from the application. If two of them run at once, end one: they take each other's answer. If not, tell the administrator: \
         somebody may have seen the code.",
    ),
    (
        Step::Token,
        &["expired_grant"],
        "The application came too late: a code counts for a minute.",
        "Start again from the application. If this stays so, compare the clocks, and whether a program between delays the answer.",
    ),
    (
        Step::Token,
        &["replayed_grant", "concurrent_use"],
        "The code was used twice, so nothing that it gave counts any more.",
        "Start again from the application. If you did not do that, tell the administrator: somebody may have seen the code.",
    ),
    (
        Step::Token,
        &["unknown_grant", "mistyped_code"],
        "The application sent a code that this gateway did not give.",
        "Start again from the application.",
    ),
    (
        Step::Token,
        &["ended_grant", "user_disabled", "sign_in_not_allowed", "server_not_visible"],
        "What was allowed does not count any more.",
        "Start again from the application, or ask the administrator.",
    ),
    (Step::Token, &["client_blocked"], "The administrator has blocked this application.", "Ask the administrator: doorward clients show."),
    (
        Step::Token,
        &["unknown_client", "no_client"],
        "The application uses an id that this gateway did not give, or not with the keys that it has now.",
        "Remove this server from the application and add it anew, so that it registers again.",
    ),
    (
        Step::Token,
        &["other_resource", "no_resource"],
        "The application asked for tokens of another server than the one that was allowed.",
        "Check the address of the server in the application, and start again.",
    ),
    (
        Step::Token,
        &["other_client", "other_authentication", "malformed_basic"],
        "The application did not show itself in the way in which it is registered.",
        "Remove this server from the application and add it anew. For a client of the configuration, check its secret.",
    ),
    (
        Step::Token,
        &["dpop_missing", "dpop_nonce", "dpop_time", "dpop_other_key"],
        "The proof of the key is missing, too old or of another key.",
        "Start again from the application, and compare its clock with that of the gateway.",
    ),
    (
        Step::Token,
        &["device_denied", "device_expired"],
        "The request of the device was declined or ran out.",
        "Start again from the application.",
    ),
    (Step::Token, &["store_unavailable", "keys_unavailable"], "The gateway could not answer at that moment.", "Try again in a minute."),
    (
        Step::Token,
        &[],
        "The code was sent, and nobody came for the tokens. The browser did not reach the application, or the application had ended.",
        "Start again, with the application open. If it runs on another computer, choose the answer by hand on the page, and paste it there: only into a \
         program that you started yourself.",
    ),
    (
        Step::Call,
        &["not_granted"],
        "The application tried to do more than you allowed, and was refused. It was told which scope is missing.",
        "If you did not ask it for that, there is nothing to do: the refusal did its work. If you did, let it sign in again and tick that.",
    ),
    (
        Step::Call,
        &["wrong_audience", "wrong_door"],
        "The application sent the token to another server than the one that it is for.",
        "Each server needs a sign-in of its own. Check the address of the server in the application.",
    ),
    (
        Step::Call,
        &["expired_credential"],
        "The application used a token after its time, without fetching a new one.",
        "Let the application sign in again.",
    ),
    (
        Step::Call,
        &["revoked_credential", "user_disabled", "client_blocked"],
        "What was allowed does not count any more.",
        "Start again from the application, or ask the administrator.",
    ),
    (
        Step::Call,
        &["token_not_bound", "bound_token_as_bearer", "unbound_token_as_dpop", "dpop_missing", "dpop_other_key", "dpop_nonce", "dpop_time"],
        "The token has to come with a proof of its key, and the proof was missing or wrong.",
        "Update the application, or ask the administrator whether it must bind its tokens (docs/dpop.md).",
    ),
    (Step::Call, &["server_not_visible", "unknown_server"], "The server is not there for you, or not any more.", "Ask the administrator."),
    (
        Step::Call,
        &["unsupported_version", "no_common_era", "version_mismatch", "missing_capability"],
        "The application and the server do not speak the same revision of the protocol.",
        "Update the application.",
    ),
    (
        Step::Call,
        &[],
        "The application has its tokens and has made no call with them. Some wait until a tool is needed, others lost their tokens.",
        "Use a tool in the application. If nothing comes, start it anew.",
    ),
];

/// What one client is known to do: part of its name, the step at which it helps, the text.
type Habit = (&'static str, &'static [Step], &'static str);

/// Seen by `scripts/oauth`, see `docs/clients.md`.
const HABITS: &[Habit] = &[
    ("claude code", &[Step::Registration, Step::Request, Step::Token, Step::Call], "In Claude Code, /mcp signs in again."),
    ("codex", &[Step::Registration, Step::Request, Step::Token, Step::Call], "For Codex: codex mcp login with the name of the server."),
    (
        "opencode",
        &[Step::Registration, Step::Request, Step::Token, Step::Call],
        "For OpenCode: opencode mcp auth with the name of the server.",
    ),
    (
        "gemini cli",
        &[Step::Registration, Step::Request, Step::Token, Step::Call],
        "In Gemini CLI, /mcp auth with the name of the server signs in again.",
    ),
    (
        "typescript sdk",
        &[Step::Call],
        "Programs with the old TypeScript SDK do not ask for more when a scope is missing: end their consent under “Apps you allowed”, so that they ask anew.",
    ),
];

/// The cause and the cure for a step that was refused for `reason`, or that did not come.
#[must_use]
pub fn advice(step: Step, reason: Option<&str>) -> Advice {
    let fits = |row: &&Row| row.0 == step && reason.map_or_else(|| row.1.is_empty(), |reason| row.1.contains(&reason));
    let unknown = Advice {
        cause: "It was refused for a reason that has its line in docs/http-status.md.",
        cure: "Start again from the application. If this stays so, show this page to the administrator.",
    };
    KNOWN.iter().find(fits).map_or(unknown, |(_, _, cause, cure)| Advice { cause, cure })
}

/// What helps with a client that calls itself `name`, besides.
#[must_use]
pub fn habit(name: &str, step: Step) -> Option<&'static str> {
    let name = name.to_lowercase();
    HABITS.iter().find(|(part, steps, _)| name.contains(part) && steps.contains(&step)).map(|(.., text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_that_may_be_missing_has_its_cause_and_no_row_hides_another() {
        for step in [Step::Registration, Step::Request, Step::SignIn, Step::Question, Step::Decision, Step::Answer, Step::Token, Step::Call]
        {
            assert!(!advice(step, None).cause.starts_with("It was refused"), "{step:?}");
        }
        for (n, (step, reasons, ..)) in KNOWN.iter().enumerate() {
            let others = KNOWN.iter().skip(n + 1).filter(|(other, ..)| other == step);
            for (_, other, ..) in others {
                assert!(
                    !other.iter().any(|reason| reasons.contains(reason)) && (!reasons.is_empty() || !other.is_empty()),
                    "{step:?} {other:?}"
                );
            }
        }
        assert!(advice(Step::Call, Some("batch_too_large")).cure.contains("administrator"), "what has no row has words, too");
    }

    #[test]
    fn a_habit_is_found_by_the_name_that_a_client_gives_itself() {
        assert!(habit("Claude Code (alpha)", Step::Token).is_some_and(|text| text.contains("/mcp")));
        assert_eq!(habit("Claude Code", Step::Decision), None);
        assert_eq!(habit("<script>", Step::Token), None);
    }
}
