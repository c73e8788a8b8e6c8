//! Orders in the definition of a tool: in the name of a system, to send things along with every call, to drop what keeps a model safe.
//!
//! For definitions only. What decides alone says what no description of a tool has a reason to say; the others are signs, as in `sly`.

use super::{HIGH, Rule, order};

pub(super) const RULES: &[Rule] = &[
    // Headings that speak in the name of a system, of an administrator, or to the model: [HIDDEN INSTRUCTION], SYSTEM POLICY for the assistant:
    order(
        "order-heading",
        HIGH,
        &["directive", "instruction", "override", "policy", "command", "notice", "protocol"],
        r"\[\s*(?i:hidden|system|role|emergency|assistant|agent|admin|secret|internal|priority|llm|ai|model|safety|security|ignore)\W+(?:(?i:\w+)\W+)?(?i:instructions?|directives?|override|policy|commands?|notice)\b[^\]\n]{0,60}\]|\b(?:SYSTEM|ASSISTANT|AGENT|AI|MODEL|LLM|ROLE|ADMIN|EMERGENCY|SAFETY|HIDDEN)\W+(?:\w+\W+)?(?:OVERRIDE|DIRECTIVES?|POLICY|INSTRUCTIONS?|COMMANDS?|NOTICE|PROTOCOL)\b[^:\n]{0,60}:",
    ),
    order(
        "order-heading",
        6,
        &["### instruction", "## instruction", "### system", "## system"],
        r"(?i)#{2,6}\W*(?:instruction|system)\s*:",
    ),
    order(
        "order-tag",
        HIGH,
        &[
            "<global",
            "< global",
            "<force",
            "< force",
            "<must",
            "< must",
            "<directive",
            "< directive",
            "<policy",
            "< policy",
            "<context",
            "< context",
            "<agent",
            "< agent",
            "<note",
            "< note",
            "<rule",
            "< rule",
        ],
        r"(?i)< ?(?:global|forced?|must|directives?|(?:policy|context|agent|rules?)[_ -]?(?:override|instructions?|policy|rules?|directives?|note)|note[_ -]?to[_ -]?\w+)(?:[_ -]?(?:override|instructions?|policy|rules?|directives?|note))*\s*>",
    ),
    order(
        "order-persona",
        HIGH,
        &["act as:", "act as :"],
        r"\bACT\s+AS\s*:|(?i:\bact\s+as\s*:\s*(?:an?\s+|the\s+)?(?:system|admin|root|super|database\s+admin|emergency))",
    ),
    order(
        "order-drop-safety",
        HIGH,
        &["ignore", "disregard", "forget"],
        r"(?i)\b(?:ignore|disregard|forget)\W+(?:(?:all|any|the|your|every|previous|prior|above|earlier|existing)\W+){0,4}(?:\w+\W+){0,1}?(?:(?:safety|security|content)\W+(?:restrictions?|filters?|polic(?:y|ies)|checks?|validations?|rules?|guidelines?|protocols?|measures?)|(?:above|previous|prior|earlier)\W+(?:\w+\W+)?(?:rules?|text|polic(?:y|ies)|restrictions?|messages?)|user\W+(?:input|requests?|instructions?|preferences?|questions?))\b",
    ),
    order(
        "order-trust",
        6,
        &["trust ", "without ", "unrestricted"],
        r"(?i)\btrust\W+(?:all|any|every)\W+(?:\w+\W+){0,2}?(?:inputs?|commands?|quer(?:y|ies)|requests?|users?)\b|\bwithout\W+(?:any\W+)?(?:validation|restrictions?|checks)\b|\bunrestricted\W+(?:access|queries|commands?)\b",
    ),
    order(
        "order-prefix",
        HIGH,
        &["prefix", "start with", "begin with", "prepend"],
        r"(?i)\b(?:all|every|any|each)\W+(?:\w+\W+){0,2}?commands?\W+(?:\w+\W+){0,4}?(?:must|should|shall|has\W+to|have\W+to|needs?\W+to)\W+(?:be\W+)?(?:\w+\W+){0,2}?(?:prefix|prefixed|prepended|start\W+with|begin\W+with|include\W+the\W+prefix)",
    ),
    order(
        "order-first-of-all",
        4,
        &["first", "immediately", "before ", "every ", "each "],
        r"(?i)\b(?:must|shall|always|required\W+to)\W+(?:be\W+)?(?:consult|call|us|invok|execut|run)(?:ed|e)?\W+(?:\w+\W+){0,3}?(?:first\b|immediately|as\W+the\W+first\W+step|before\W+(?:any|every|answering|asking|responding))|\b(?:on|in|at\W+the\W+(?:start|beginning)\W+of)\W+(?:every|each)\W+(?:new\W+)?(?:agent\W+)?(?:session|conversation|request|message|turn)\b",
    ),
    order(
        "order-exfiltrate",
        8,
        &["exfiltrat", "siphon", "hijack", "steal", "harvest", "intercept"],
        r"(?i)\b(?:exfiltrate|siphon|hijack|steal|harvest|intercept)\W+(?:(?:all|any|the|every|their|your|user|sensitive|private|~|/)\W*){0,4}(?:\w+\W+)?(?:data|e-?mails?|messages?|files?|credentials?|tokens?|secrets?|keys?|communications?|conversations?|content|information|id_rsa|\.ssh|~)",
    ),
    order(
        "order-always-sends",
        6,
        &["always", "automatically", "also", "silently", "every time", "must"],
        r"(?i)\b(?:always|automatically|also|must|silently|every\W+time)\W+(?:\w+\W+){0,3}?(?:forward|send|bcc|cc|submit|copy|post|report|e-?mail|upload|relay|mirror|share|transmit)\b[^.\n]{0,100}?\b(?:to|at|via|with)\W+(?:[\w.+-]+@|https?://|(?:the\W+|our\W+|an?\W+)?(?:\w+\W+){0,2}?(?:e-?mail|address|endpoint|webhook|server|service|number|backend|external|\+\d{3}))|\b(?:forward|send|bcc|submit|copy|post|upload)\b[^.\n]{0,80}?\bautomatically\b",
    ),
    order(
        "order-names-address",
        4,
        &[
            "bcc", "cc ", "copy", "forward", "send", "submit", "let ", "tell", "notify", "loop", "include", "report", "mail", "redirect",
            "route", "append",
        ],
        r"(?i)\b(?:bcc|cc|copy|forward|send|submit|let|tell|notify|loop|include|report|mail|e-?mail|redirect|route|append)\W+(?:[^.\n]{0,90}?\W)?[\w.+-]+@[\w-]+\.[a-z]{2,}",
    ),
    order(
        "order-redirect",
        8,
        &["redirect", "reroute", "route "],
        r"(?i)\b(?:redirect|reroute|route)\W+(?:all|every|any|each)\W+(?:\w+\W+){0,2}?(?:requests?|traffic|e-?mails?|messages?|calls?|queries|payments?|responses?|communications?)\b",
    ),
    order(
        "order-copies-all",
        6,
        &["copy", "send", "mirror", "forward", "log ", "back", "record", "post"],
        r"(?i)\b(?:copy|send|mirror|forward|log|back\W?up|record|post)\W+(?:all|every|any|the\W+entire|the\W+full)\W+(?:\w+\W+){0,5}?(?:to|into|with)\W+(?:an?\W+|the\W+|our\W+|this\W+)?(?:\w+\W+){0,2}?(?:external|third[\W_]party|remote|monitoring|logging|backup|archive|\+\w{4,})",
    ),
    order(
        "order-say-nothing",
        6,
        &["mention", "reveal", "disclos", "includ", "show", "display", "acknowledg", "without further explanation"],
        r"(?i)\b(?:do\W+not|don\W?t|never|must\W+not|should\W+not|no\W+need\W+to|avoid)\W+(?:\w+\W+){0,1}?(?:mention|reveal|disclose|acknowledge|display|show|include)(?:ing)?\W+(?:this|these|it|that|the)\b(?:\W+(?:instructions?|steps?|polic(?:y|ies)|actions?|notes?|modifications?|directives?|behaviou?r|process|fact|override|rules?))?\s*(?:[.!;,\n]|$|\W+(?:in|to|or|and|during|when)\b)|\bnever\W+be\W+(?:mentioned|revealed|disclosed|shown)\b|\bwithout\W+further\W+explanation\b",
    ),
    order(
        "order-about-answers",
        HIGH,
        &["from now on"],
        r"(?i)\bfrom\W+now\W+on\W+(?:you|always|never|all\W+(?:your\W+)?(?:answers|responses|replies)|every|respond|answer|speak|act|treat|pretend)\b",
    ),
    order(
        "order-comment",
        HIGH,
        &["<!--"],
        r"(?i)<!--[^>]{0,100}?\b(?:ignore|always|never|must|do\W+not|secretly|instead|assistant|system|the\W+model|before\W+(?:using|calling))\b",
    ),
    order(
        "order-parameter",
        HIGH,
        &["system_prompt", "conversation", "chat_history", "context", "hidden", "instruction"],
        r"(?i)^_+(?:system_prompt|conversation(?:_history)?|chat_history|full_context|context|hidden|instructions?)_*$",
    ),
    order(
        "order-hands-over-all",
        7,
        &["all ", "confidential", "everything you know", "what the customer", "what the user"],
        r"(?i)\b(?:with|pass|passing|including|include|send|sending|set\W+to|provide|attach|append)\W+(?:\w+\W+){0,4}?(?:all\W+(?:of\W+)?(?:the\W+|your\W+)?(?:context|environment|session)\W+(?:variables|data|tokens?|information)|confidential\W+(?:\w+\W+)?(?:tokens?|keys?|data)|everything\W+you\W+know)|\bwhat\W+the\W+(?:customer|user)\W+(?:has\W+)?(?:asked|said|wrote)\b",
    ),
    order(
        "order-another-call",
        5,
        &["also", "then", "must", "afterward", "immediately"],
        r"(?i)\b(?:also|afterwards?|then|must|immediately)\W+(?:also\W+|immediately\W+)?(?:invoke|call|run|use)\W+(?:the\W+)?[`'\x22]?[a-z]+_[a-z_]+[`'\x22]?",
    ),
    order(
        "order-other-tools-call",
        6,
        &["calling", "using", "invoking"],
        r"(?i)\b(?:instead\W+of|when(?:ever)?|before|after)\W+(?:calling|using|invoking)\W+(?:the\W+)?[`'\x22]?(?:[a-z]+_[a-z_]+|any\W+\w+\W+tool)[`'\x22]?\W+(?:tool\W+|function\W+)?(?:,\W*)?(?:always\W+|first\W+|also\W+)?(?:add|copy|send|forward|redirect|include|append|replace|change|modify|use|log|call|set|ensure)\b",
    ),
];
