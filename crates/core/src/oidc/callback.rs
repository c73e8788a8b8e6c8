//! What an authorization server says at a callback (RFC 6749 section 4.1.2; RFC 9207), once it is certain whose answer it is: for
//! sign-ins and for connections alike.

use super::answer::code;
use super::provider::Naming;
use crate::oauth::form::Form;

/// Why an answer holds nothing to redeem.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// `iss` is another one, or missing where it was promised.
    Issuer,
    /// The server says no: its error code, empty where that cannot be repeated.
    Refused(String),
    /// There is no code, or no usable one.
    NoCode,
}

/// Longest code of a server, in bytes.
const LONGEST_CODE: usize = 4_096;

/// The code. Who says it is looked at before what is said, so that nothing of an answer of somebody else is repeated.
pub(crate) fn code_of(answer: &Form, issuer: &str, naming: Naming) -> Result<String, Unanswered> {
    match answer.get("iss") {
        Some(iss) if iss != issuer => return Err(Unanswered::Issuer),
        None if naming == Naming::Promised => return Err(Unanswered::Issuer),
        _ => {}
    }
    if let Some(error) = answer.get("error") {
        return Err(Unanswered::Refused(code(error)));
    }
    // RFC 6749 appendix A.11.
    let code = answer.get("code").filter(|code| code.len() <= LONGEST_CODE && code.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    code.map(str::to_owned).ok_or(Unanswered::NoCode)
}
