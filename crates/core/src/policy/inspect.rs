//! What the rules do not look at: whether arguments keep to the approved schema (RPC-12), and whether they, or what else the caller
//! wrote into the call, hold a credential of somebody else (PT-02). Part of the decision, so that no permit exists without it; asked only of what the rules allow, so
//! that nobody learns of a schema who may not call its tool.

use super::decide::Why;
use super::facts::Checks;
use crate::contract::{Fit, Measure, Promise};
use crate::flag::{Flag, Half};
use crate::identity::foreign;
use crate::json::RawJson;
use crate::mcp::call::{Call, Method};
use crate::screen::Action;
use std::collections::BTreeSet;

/// What was seen and may pass.
///
/// # Errors
/// What may not, with the reason.
pub(super) fn inspect(checks: &Checks, call: &Call) -> Result<Vec<Flag>, (Why, Flag)> {
    let mut flags = Vec::new();
    if let (Method::ToolsCall, Some(Promise { contract, measure })) = (call.method(), &checks.schemas)
        && *measure != Measure::Off
    {
        let fit = contract.arguments(call.arguments());
        let why = match &fit {
            Fit::Misfit(_) => Why::Misfit,
            Fit::Fits | Fit::Unchecked(_) => Why::Unchecked,
            Fit::Unusable(_) => Why::Unusable,
        };
        match Flag::of(Half::Arguments, &fit) {
            Some(flag) if *measure == Measure::Refuse => return Err((why, flag)),
            flag => flags.extend(flag),
        }
        // What could not be told of the result is told before anything happens: a call is not undone by keeping its result.
        if *measure == Measure::Refuse
            && let fit @ Fit::Unusable(_) = contract.unstructured()
            && let Some(flag) = Flag::of(Half::Result, &fit)
        {
            return Err((Why::Unusable, flag));
        }
    }
    // All that the caller chose and the server gets: a credential leaves by the address of a resource as well as by an argument.
    let others = call.params().iter().filter(|(key, _)| key != "arguments").map(|(_, value)| value);
    let sent: Vec<&RawJson> = call.arguments().into_iter().chain(call.vendor_meta()).chain(others).collect();
    if checks.foreign_tokens != Measure::Off
        && let Some(kind) = sent.iter().find_map(|sent| foreign::in_texts(sent))
    {
        let flag = Flag::foreign_token(kind);
        if checks.foreign_tokens == Measure::Refuse {
            return Err((Why::ForeignToken, flag));
        }
        flags.push(flag);
    }
    if let Some(screen) = &checks.screen {
        // A token of another provider is under its own key, and named once.
        let of_others = if flags.iter().any(|flag| flag.reason() == "foreign_token") { Measure::Off } else { checks.foreign_tokens };
        let found: BTreeSet<(&str, Action)> = sent.iter().flat_map(|sent| screen.arguments(sent, of_others)).collect();
        for (rule, action) in found {
            let flag = Flag::secret(rule, action);
            if action == Action::Blocked {
                return Err((Why::Secret, flag));
            }
            flags.push(flag);
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests;
