//! What the rules do not look at: whether arguments keep to the approved schema (RPC-12), and whether they hold a credential of
//! somebody else (PT-02). Part of the decision, so that no permit exists without it; asked only of what the rules allow, so
//! that nobody learns of a schema who may not call its tool.

use super::decide::Why;
use super::facts::Checks;
use crate::contract::{Fit, Measure, Promise};
use crate::flag::{Flag, Half};
use crate::identity::foreign;
use crate::mcp::call::{Call, Method};
use crate::screen::Action;

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
    if checks.foreign_tokens != Measure::Off
        && let Some(arguments) = call.arguments()
        && let Some(kind) = foreign::in_texts(arguments)
    {
        let flag = Flag::foreign_token(kind);
        if checks.foreign_tokens == Measure::Refuse {
            return Err((Why::ForeignToken, flag));
        }
        flags.push(flag);
    }
    if let (Some(screen), Some(arguments)) = (&checks.screen, call.arguments()) {
        // A token of another provider is under its own key, and named once.
        let of_others = if flags.iter().any(|flag| flag.reason() == "foreign_token") { Measure::Off } else { checks.foreign_tokens };
        for (rule, action) in screen.arguments(arguments, of_others) {
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
