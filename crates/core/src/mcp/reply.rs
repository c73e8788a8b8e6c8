//! What an upstream sent, parsed and bounded; attributed by whoever read it (protocol 6.3, 16; RPC-07, RPC-08).

use super::call::RpcId;
use super::version::Version;
use crate::json::RawJson;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;

/// One JSON-RPC message of an upstream.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// The answer to a request of ours.
    Response {
        /// The id that we gave.
        id: RpcId,
        /// The answer.
        body: ReplyBody,
    },
    /// A question to the client (legacy): sampling, elicitation, roots, or a ping to us.
    Request {
        /// The upstream's own id.
        id: RpcId,
        /// The method.
        method: String,
        /// `params`, an object.
        params: Option<RawJson>,
    },
    /// A notification.
    Notification {
        /// The method.
        method: String,
        /// `params`, an object.
        params: Option<RawJson>,
    },
}

/// The content of a response.
#[derive(Debug, Clone)]
pub enum ReplyBody {
    /// `result`, an object.
    Result(RawJson),
    /// `error`.
    Error(RpcError),
}

/// A JSON-RPC error of an upstream.
#[derive(Debug, Clone)]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// The message, cut to 2 KiB.
    pub message: String,
    /// `data`, if it is not larger than 16 KiB.
    pub data: Option<RawJson>,
}

/// Why the bytes of an upstream are no message. The bytes are not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// Not strict JSON.
    #[error("the upstream sent what is not acceptable JSON ({0})")]
    Json(#[from] crate::json::Fault),
    /// JSON, but no message.
    #[error("the upstream sent what is not a JSON-RPC message")]
    Shape,
    /// `resultType` that this revision does not know (C5).
    #[error("the upstream sent an unknown resultType")]
    ResultType,
}

/// What kind of result a modern upstream gave (basic/index, ResultType).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultType {
    /// The end of the request.
    Complete,
    /// Questions to the client, and state to be echoed.
    InputRequired,
    /// A task was created (tasks extension).
    Task,
}

const LONGEST_MESSAGE: usize = 2 * 1024;
const LARGEST_DATA: usize = 16 * 1024;

/// Reads one message.
///
/// # Errors
/// [`BadReply`].
pub fn read(bytes: &Bytes, depth: usize) -> Result<Incoming, BadReply> {
    let json = RawJson::parse(bytes, depth)?;
    let members = json.members().ok_or(BadReply::Shape)?;
    let member = |name: &str| members.iter().find_map(|(key, value)| (key == name).then_some(value));
    if member("jsonrpc").and_then(RawJson::as_text).as_deref() != Some("2.0") {
        return Err(BadReply::Shape);
    }
    let id = match member("id") {
        None => None,
        Some(id) if id.is_null() => None,
        Some(id) => Some(rpc_id(id).ok_or(BadReply::Shape)?),
    };
    let method = member("method").and_then(RawJson::as_text).map(Cow::into_owned);
    let params = || match member("params") {
        None => Ok(None),
        Some(params) if params.is_object() => Ok(Some(params.clone())),
        Some(_) => Err(BadReply::Shape),
    };
    match (method, id, member("result"), member("error")) {
        (Some(method), Some(id), None, None) => Ok(Incoming::Request { id, method, params: params()? }),
        (Some(method), None, None, None) => Ok(Incoming::Notification { method, params: params()? }),
        (None, Some(id), Some(result), None) if result.is_object() => {
            Ok(Incoming::Response { id, body: ReplyBody::Result(result.clone()) })
        }
        (None, Some(id), None, Some(error)) => Ok(Incoming::Response { id, body: ReplyBody::Error(rpc_error(error)?) }),
        _ => Err(BadReply::Shape),
    }
}

/// An error that an upstream gave without an id it could read; it answers the only request of its exchange.
#[must_use]
pub fn read_bare_error(bytes: &Bytes, depth: usize) -> Option<RpcError> {
    let json = RawJson::parse(bytes, depth).ok()?;
    rpc_error(&json.member("error")?).ok()
}

fn rpc_id(value: &RawJson) -> Option<RpcId> {
    value.as_integer().map(RpcId::Number).or_else(|| value.as_text().map(|text| RpcId::Text(Arc::from(text.as_ref()))))
}

fn rpc_error(error: &RawJson) -> Result<RpcError, BadReply> {
    let code = error.member("code").and_then(|code| code.as_integer()).ok_or(BadReply::Shape)?;
    let message = error.member("message").and_then(|message| message.as_text().map(Cow::into_owned)).unwrap_or_default();
    let message = message.get(..message.floor_char_boundary(LONGEST_MESSAGE)).unwrap_or_default().to_owned();
    let data = error.member("data").filter(|data| data.as_bytes().len() <= LARGEST_DATA);
    Ok(RpcError { code, message, data })
}

// === impl ResultType ===

impl ResultType {
    /// The type of a modern result; absent means complete.
    ///
    /// # Errors
    /// [`BadReply::ResultType`].
    pub fn of(result: &RawJson) -> Result<Self, BadReply> {
        match result.member("resultType") {
            None => Ok(Self::Complete),
            Some(text) => match text.as_text().as_deref() {
                Some("complete") => Ok(Self::Complete),
                Some("input_required") => Ok(Self::InputRequired),
                Some("task") => Ok(Self::Task),
                _ => Err(BadReply::ResultType),
            },
        }
    }
}

/// The versions in `data.supported` of a −32022 error.
#[must_use]
pub fn supported_versions(error: &RpcError) -> Vec<Version> {
    let list = error.data.as_ref().and_then(|data| data.member("supported")).and_then(|list| list.elements()).unwrap_or_default();
    list.iter().filter_map(|version| Version::parse(version.as_text()?.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Incoming, BadReply> {
        read(&Bytes::copy_from_slice(text.as_bytes()), 32)
    }

    #[test]
    fn rpc_08_what_is_not_a_message_is_refused() {
        for text in [
            "[]",
            "{}",
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":5}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"message":"x"}}"#,
        ] {
            assert!(matches!(parse(text), Err(BadReply::Shape)), "{text}");
        }
        assert!(matches!(parse(r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}"#), Err(BadReply::Json(_))));
    }

    #[test]
    fn rpc_08_error_texts_are_bounded() {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-1,"message":"{}","data":"{}"}}}}"#,
            "é".repeat(100_000),
            "x".repeat(100_000)
        );
        let Ok(Incoming::Response { body: ReplyBody::Error(error), .. }) = parse(&text) else { panic!("an error") };
        assert!(error.message.len() <= LONGEST_MESSAGE);
        assert!(error.data.is_none());
    }

    #[test]
    fn an_unknown_result_type_is_an_upstream_error() {
        let result = |text: &str| ResultType::of(&RawJson::parse(&Bytes::copy_from_slice(text.as_bytes()), 4).expect("json"));
        assert_eq!(result("{}"), Ok(ResultType::Complete));
        assert_eq!(result(r#"{"resultType":"input_required"}"#), Ok(ResultType::InputRequired));
        assert_eq!(result(r#"{"resultType":"other"}"#), Err(BadReply::ResultType));
        assert_eq!(result(r#"{"resultType":1}"#), Err(BadReply::ResultType));
    }
}
