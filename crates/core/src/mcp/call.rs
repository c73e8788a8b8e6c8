//! One meaning of what a client sent. Decoded once; policy, audit and forwarding all read this value (I4).

use super::version::Era;
use crate::json::RawJson;
use crate::mcp::headers::ParamHeader;
use std::borrow::Cow;
use std::sync::Arc;

/// What a client asks for, with every part that decides already typed. Only [`super::decode`] makes one.
///
/// Fields are private and there is no way to edit one: what has been decided cannot be changed afterwards.
#[derive(Debug)]
pub struct Call {
    pub(super) era: Era,
    pub(super) form: Form,
    pub(super) method: Method,
    pub(super) target: Option<Arc<str>>,
    pub(super) reference: Option<Reference>,
    pub(super) cancels: Option<RpcId>,
    pub(super) params: Vec<(String, RawJson)>,
    pub(super) arguments: Option<RawJson>,
    pub(super) vendor_meta: Option<RawJson>,
    pub(super) capabilities: Option<RawJson>,
    pub(super) progress_token: Option<RpcId>,
    pub(super) log_level: Option<LogLevel>,
    pub(super) cursor: Option<String>,
    pub(super) request_state: Option<String>,
    pub(super) input_responses: Option<RawJson>,
    pub(super) param_headers: Vec<ParamHeader>,
    pub(super) digest: [u8; 32],
}

/// How the message came.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// A JSON-RPC request with the client's own id.
    Request(RpcId),
    /// A JSON-RPC notification.
    Notification,
    /// The client's answer to a question that an upstream asked (legacy only); the id is one of ours.
    Answer { id: RpcId, body: AnswerBody },
    /// `GET`: opens the server stream of a legacy session, or resumes the stream of an event id.
    OpenStream { last_event_id: Option<String> },
    /// `DELETE`: ends a legacy session.
    EndSession,
}

/// What `completion/complete` completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// An argument of a prompt.
    Prompt,
    /// A variable of a resource template.
    Template,
}

/// The content of a client's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerBody {
    /// `result`.
    Result(RawJson),
    /// `error`, kept whole.
    Error(RawJson),
}

/// A JSON-RPC id (string or integer; never null or fractional).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RpcId {
    /// An integer.
    Number(i64),
    /// A string.
    Text(Arc<str>),
}

/// RFC 5424 levels as MCP names them, least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `notice`
    Notice,
    /// `warning`
    Warning,
    /// `error`
    Error,
    /// `critical`
    Critical,
    /// `alert`
    Alert,
    /// `emergency`
    Emergency,
}

/// Every method that Doorward lets pass or answers. What is not here does not exist (RPC-06).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `initialize` (legacy)
    Initialize,
    /// `server/discover` (modern)
    Discover,
    /// `ping` (legacy)
    Ping,
    /// `tools/list`
    ToolsList,
    /// `tools/call`
    ToolsCall,
    /// `prompts/list`
    PromptsList,
    /// `prompts/get`
    PromptsGet,
    /// `resources/list`
    ResourcesList,
    /// `resources/templates/list`
    ResourceTemplatesList,
    /// `resources/read`
    ResourcesRead,
    /// `resources/subscribe` (legacy)
    ResourcesSubscribe,
    /// `resources/unsubscribe` (legacy)
    ResourcesUnsubscribe,
    /// `completion/complete`
    Complete,
    /// `logging/setLevel` (legacy)
    SetLevel,
    /// `subscriptions/listen` (modern)
    Listen,
    /// `tasks/get`
    TasksGet,
    /// `tasks/update` (modern)
    TasksUpdate,
    /// `tasks/cancel`
    TasksCancel,
    /// `tasks/result` (legacy)
    TasksResult,
    /// `tasks/list` (legacy)
    TasksList,
    /// `notifications/initialized` (legacy)
    Initialized,
    /// `notifications/cancelled`
    Cancelled,
    /// `notifications/progress` from the client (legacy)
    ClientProgress,
    /// `notifications/roots/list_changed` (legacy)
    RootsChanged,
    /// A notification that has no effect here; accepted and dropped.
    OtherNotification,
    /// The client's answer to an upstream's question (legacy).
    Answer,
    /// `GET` on the endpoint (legacy).
    OpenStream,
    /// `DELETE` on the endpoint (legacy).
    EndSession,
}

// === impl Call ===

impl Call {
    /// The era in which the client speaks.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// How the message came.
    #[must_use]
    pub const fn form(&self) -> &Form {
        &self.form
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// What is addressed: tool or prompt name, resource URI, task id; for `completion/complete` the prompt or template.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The members of params as they were read, without `_meta`, `requestState`, `inputResponses` and `cursor`.
    #[must_use]
    pub fn params(&self) -> &[(String, RawJson)] {
        &self.params
    }

    /// What `completion/complete` completes.
    #[must_use]
    pub const fn reference(&self) -> Option<Reference> {
        self.reference
    }

    /// The request that `notifications/cancelled` is about: an id of this client.
    #[must_use]
    pub const fn cancels(&self) -> Option<&RpcId> {
        self.cancels.as_ref()
    }

    /// The id to echo, as JSON text; `None` unless it is a request.
    #[must_use]
    pub fn rpc_id(&self) -> Option<String> {
        match &self.form {
            Form::Request(id) => Some(id.to_json()),
            _ => None,
        }
    }

    /// A message about which nothing is known yet but its era, form and method.
    pub(super) fn empty(era: Era, form: Form, method: Method) -> Self {
        Self {
            era,
            form,
            method,
            target: None,
            reference: None,
            cancels: None,
            params: Vec::new(),
            arguments: None,
            vendor_meta: None,
            capabilities: None,
            progress_token: None,
            log_level: None,
            cursor: None,
            request_state: None,
            input_responses: None,
            param_headers: Vec::new(),
            digest: [0; 32],
        }
    }

    /// `params.arguments` of `tools/call` and `prompts/get`.
    #[must_use]
    pub const fn arguments(&self) -> Option<&RawJson> {
        self.arguments.as_ref()
    }

    /// Vendor keys of `_meta` that may pass (D19), as one object.
    #[must_use]
    pub const fn vendor_meta(&self) -> Option<&RawJson> {
        self.vendor_meta.as_ref()
    }

    /// The client capabilities declared with this message (modern: every request; legacy: `initialize`).
    #[must_use]
    pub const fn capabilities(&self) -> Option<&RawJson> {
        self.capabilities.as_ref()
    }

    /// The client's own progress token.
    #[must_use]
    pub const fn progress_token(&self) -> Option<&RpcId> {
        self.progress_token.as_ref()
    }

    /// The log level asked for: `_meta` in modern requests, `params.level` of `logging/setLevel`.
    #[must_use]
    pub const fn log_level(&self) -> Option<LogLevel> {
        self.log_level
    }

    /// The pagination cursor as the client sent it: one of ours, sealed.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// `requestState` as the client sent it: one of ours, sealed.
    #[must_use]
    pub fn request_state(&self) -> Option<&str> {
        self.request_state.as_deref()
    }

    /// `inputResponses`, an object of objects.
    #[must_use]
    pub const fn input_responses(&self) -> Option<&RawJson> {
        self.input_responses.as_ref()
    }

    /// Mirrored `Mcp-Param-*` headers in parsed form; values come from the model and decide nothing.
    #[must_use]
    pub fn param_headers(&self) -> &[ParamHeader] {
        &self.param_headers
    }

    /// SHA-256 over RFC 8785 canonical JSON of what identifies the request (protocol 12.1): name and arguments, or URI.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

#[cfg(test)]
impl Call {
    /// A tool call that nobody decoded.
    pub(crate) fn for_tests(target: &str, digest: [u8; 32]) -> Self {
        Self { target: Some(Arc::from(target)), digest, ..Self::empty(Era::Modern, Form::Request(RpcId::Number(1)), Method::ToolsCall) }
    }
}

// === impl Method ===

impl Method {
    /// The name on the wire; pseudo-methods have a name in angle brackets that no client can send.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Discover => "server/discover",
            Self::Ping => "ping",
            Self::ToolsList => "tools/list",
            Self::ToolsCall => "tools/call",
            Self::PromptsList => "prompts/list",
            Self::PromptsGet => "prompts/get",
            Self::ResourcesList => "resources/list",
            Self::ResourceTemplatesList => "resources/templates/list",
            Self::ResourcesRead => "resources/read",
            Self::ResourcesSubscribe => "resources/subscribe",
            Self::ResourcesUnsubscribe => "resources/unsubscribe",
            Self::Complete => "completion/complete",
            Self::SetLevel => "logging/setLevel",
            Self::Listen => "subscriptions/listen",
            Self::TasksGet => "tasks/get",
            Self::TasksUpdate => "tasks/update",
            Self::TasksCancel => "tasks/cancel",
            Self::TasksResult => "tasks/result",
            Self::TasksList => "tasks/list",
            Self::Initialized => "notifications/initialized",
            Self::Cancelled => "notifications/cancelled",
            Self::ClientProgress => "notifications/progress",
            Self::RootsChanged => "notifications/roots/list_changed",
            Self::OtherNotification => "<notification>",
            Self::Answer => "<answer>",
            Self::OpenStream => "<open-stream>",
            Self::EndSession => "<end-session>",
        }
    }

    /// The request method of this exact name in this era (RPC-06: no trimming, no case folding).
    #[must_use]
    pub fn of_request(name: &str, era: Era) -> Option<Self> {
        let both = [
            Self::ToolsList,
            Self::ToolsCall,
            Self::PromptsList,
            Self::PromptsGet,
            Self::ResourcesList,
            Self::ResourceTemplatesList,
            Self::ResourcesRead,
            Self::Complete,
        ];
        let modern = [Self::Discover, Self::Listen, Self::TasksGet, Self::TasksUpdate, Self::TasksCancel];
        let legacy = [Self::Initialize, Self::Ping, Self::ResourcesSubscribe, Self::ResourcesUnsubscribe, Self::SetLevel];
        let tasks = [Self::TasksGet, Self::TasksCancel, Self::TasksResult, Self::TasksList];
        let more = match era {
            Era::Modern => modern.iter().chain(&[]),
            Era::Legacy(_) if super::decode::has_legacy_tasks(era) => legacy.iter().chain(&tasks),
            Era::Legacy(_) => legacy.iter().chain(&[]),
        };
        both.iter().chain(more).find(|method| method.as_str() == name).copied()
    }

    /// What a notification means here. A request method without an id is one without effect.
    #[must_use]
    pub fn of_notification(name: &str, era: Era) -> Self {
        match (name, era) {
            ("notifications/initialized", Era::Legacy(_)) => Self::Initialized,
            ("notifications/cancelled", _) => Self::Cancelled,
            ("notifications/progress", Era::Legacy(_)) => Self::ClientProgress,
            ("notifications/roots/list_changed", Era::Legacy(_)) => Self::RootsChanged,
            _ => Self::OtherNotification,
        }
    }

    /// True for methods whose `Mcp-Name` mirrors the target (streamable-http, Standard Request Headers; ext-tasks).
    #[must_use]
    pub const fn has_mirrored_name(self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead | Self::TasksGet | Self::TasksUpdate | Self::TasksCancel)
    }

    /// True for methods that give pages of a list.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Self::ToolsList | Self::PromptsList | Self::ResourcesList | Self::ResourceTemplatesList | Self::TasksList)
    }
}

// === impl RpcId ===

impl RpcId {
    /// JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => String::from_utf8_lossy(RawJson::string(text).as_bytes()).into_owned(),
        }
    }

    /// As a reader of the JSON has it: a text without its quotation marks.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    /// As a JSON value.
    #[must_use]
    pub fn to_raw(&self) -> RawJson {
        match self {
            Self::Number(number) => RawJson::integer(*number),
            Self::Text(text) => RawJson::string(text),
        }
    }
}

// === impl LogLevel ===

impl LogLevel {
    const ALL: [Self; 8] =
        [Self::Debug, Self::Info, Self::Notice, Self::Warning, Self::Error, Self::Critical, Self::Alert, Self::Emergency];

    /// The level of exactly this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

#[cfg(test)]
impl Call {
    /// This call with another method and form.
    pub(crate) fn with_method(self, method: Method, form: Form) -> Self {
        Self { method, form, ..self }
    }

    /// This call in another era.
    pub(crate) fn in_era(self, era: Era) -> Self {
        Self { era, ..self }
    }

    /// This call with other arguments.
    pub(crate) fn with_arguments(self, arguments: RawJson) -> Self {
        Self { arguments: Some(arguments), ..self }
    }

    /// This call as a completion of `reference`.
    pub(crate) fn completing(self, reference: Option<Reference>) -> Self {
        Self { reference, ..self }
    }
}
