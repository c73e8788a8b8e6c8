//! Instructions to a model that decide alone: nothing honest says them, in a description or in a result.
//!
//! English, as attacks are; another language is for an engine that understands. Words may be apart by anything that is no
//! letter.

use super::{HIGH, Rule, sign};

pub(super) const RULES: &[Rule] = &[
    sign(
        "instruction-override",
        HIGH,
        &["ignore", "disregard", "forget"],
        r"(?i)\b(?:ignore|disregard|forget)\W+(?:(?:all|any|of|the|your|my|these|those|about|everything|every|and|to|other|safety|security)\W+){0,5}(?:previous|prior|above|earlier|preceding|existing|original|former|initial|system)(?:\W+(?:system|user|safety|security|developer|and|tool)){0,2}\W+(?:instructions?|prompts?|directives?|guidelines?|orders|programming|training|commands?|constraints)\b",
    ),
    sign(
        "instruction-override",
        HIGH,
        &["ignore", "disregard", "forget"],
        r"(?i)\b(?:ignore|disregard|forget)\W+(?:(?:all|any|of|everything|what)\W+){0,3}(?:the|your|my|other|you(?:\W+(?:were|have\W+been|are))?)\W+(?:\w+\W+){0,2}?(?:instructions|guidelines|told|safeguards|programming)\b(?:\W+(?:before|above|previously|earlier|so\W+far))?",
    ),
    sign(
        "instruction-override",
        HIGH,
        &["ignore", "disregard", "forget"],
        r"(?i)\b(?:ignore|disregard|forget)\W+(?:all|any|every)\W+(?:\w+\W+){0,2}?(?:guidelines|instructions|safeguards|polic(?:y|ies)|rules|warnings)\W+(?:that\W+(?:say|tell|forbid|were|you|conflict|contradict)|which\W+(?:say|tell|forbid)|to\W+the\W+contrary|you\W+(?:were|have))",
    ),
    sign(
        "instruction-priority",
        HIGH,
        &["precedence over", "overrid", "supersede", "higher priority"],
        r"(?i)\b(?:takes?\W+precedence\W+over|overrid(?:e|es|ing)|supersedes?|(?:has|have|of)\W+(?:a\W+)?higher\W+priority\W+than)\W+(?:(?:all|any|the|your|other|every|each|and|whatever|earlier|previous|prior|existing|both)\W+){0,4}(?:system|user'?s?|developer|safety|previous|prior|earlier|other|original)?\W*(?:prompts?|instructions?|guidelines|directives|requests?|policies|commands)\b",
    ),
    sign(
        "instruction-conceal",
        HIGH,
        &["tell", "mention", "inform", "reveal", "disclose", "telling", "report this", "explain"],
        r"(?i)\b(?:do\W+not|don\W?t|never|must\W+not|should\W+not|mustn\W?t|avoid|without|not\W+to)\W+(?:\w+\W+){0,2}?(?:tell|telling|mention|mentioning|inform|informing|reveal|revealing|disclose|disclosing|report|explain|explaining)\W+(?:(?:this|that|it|the|any|of|about|to|anything|these|those|details?|steps?|behaviou?r|file|content|contents|instruction|instructions|action|step|tool|call|you|are|doing|fact|reading|what)\W+){0,7}(?:the\W+|your\W+|any\W+)?(?:user|users|human|person|operator|customer|anyone|them)\b",
    ),
    sign(
        "instruction-conceal",
        HIGH,
        &[
            "user must",
            "user should",
            "user need",
            "user does",
            "user can",
            "user may",
            "user will",
            "user shall",
            "human must",
            "human should",
            "human need",
            "operator must",
            "operator should",
        ],
        r"(?i)\bthe\W+(?:user|human|operator)\W+(?:must|should|need|needs|does|can|may|will|shall)(?:\W+(?:not|never)|n\W?t)\W+(?:\w+\W+){0,2}?(?:know|see|notice|be\W+(?:told|aware|informed|notified|shown|alerted)|find\W+out|learn|realize)\b",
    ),
    sign(
        "instruction-conceal",
        HIGH,
        &["from the user", "secret from", "hidden from", "quiet about", "silent about", "quiet on"],
        r"(?i)\b(?:keep|stay|remain)\W+(?:\w+\W+)?(?:quiet|silent)\W+(?:about|on)\b|\b(?:hide|conceal|keep)\W+(?:\w+\W+){0,4}?(?:(?:secret|hidden|private|away|quiet)\W+)?from\W+(?:the\W+)?(?:user|human|operator)\b",
    ),
    sign(
        "instruction-tag",
        HIGH,
        &[
            "<important",
            "<system",
            "<secret",
            "<instruction",
            "<hidden",
            "<critical",
            "<admin",
            "<assistant",
            "<priority",
            "<override",
            "<mandatory",
            "<sys",
        ],
        r"(?i)<\s*(?:important|system|secret|instructions?|hidden|critical|admin|assistant|priority|override|mandatory|sys)(?:[_ -]?(?:instructions?|prompt|message|note|override|reminder|directive))?\s*>",
    ),
    // Marks that separate speakers in the training texts of models.
    sign(
        "instruction-template",
        HIGH,
        &["<|im_", "[inst]", "<<sys>>", "<|system", "<|assistant", "<|user", "<start_of_turn", "<|start_header", "[/inst]", "<|endof"],
        r"(?i)<\|im_(?:start|end)\|>|\[/?INST\]|<</?SYS>>|<\|(?:system|assistant|user|endoftext|endofprompt)\|>|<start_of_turn>|<\|start_header_id\|>",
    ),
    sign(
        "instruction-persona",
        HIGH,
        &["you are now", "act as", "developer mode", "jailbreak", "pretend"],
        r"(?i)\b(?:you\W+are\W+now\W+(?:in\W+|an?\W+|the\W+)?(?:\w+\W+){0,2}?(?:mode\b|dan\b|unrestricted|jailbroken|root|free\W+of|no\W+longer)|(?:enable|enter|activate|switch\W+(?:in)?to)\W+(?:developer|god|jailbreak|unrestricted|admin(?:istrator)?|debug)\W+mode\W+(?:and|where|with|in\W+which)|(?:act|behave|respond)\W+as\W+(?:if\W+you\W+(?:had|have)\W+no|an?\W+unrestricted|dan\b))",
    ),
    sign(
        "instruction-new",
        HIGH,
        &["instructions", "system prompt", "system message", "system override"],
        r"(?i)(?:\b(?:your|here\W+are\W+(?:your|the))\W+(?:new|updated|real|actual|true)\W+(?:system\W+)?(?:instructions?|task|goal)\b|\[?\b(?:new|updated|real)\W+system\W+(?:prompt|message|instructions?)\b\W{0,3}:|\bend\W+of\W+(?:system\W+)?(?:prompt|instructions)\b|\bsystem\W+override\b\s*[:\]])",
    ),
    sign(
        "instruction-regardless",
        HIGH,
        &["regardless of", "even if the user", "even when the user", "no matter what"],
        r"(?i)\b(?:regardless\W+of\W+(?:what\W+)?|no\W+matter\W+what\W+|even\W+(?:if|when)\W+)(?:the\W+)?(?:user(?:'?s)?|human|person)\W+(?:\w+\W+){0,2}?(?:says?|asks?|requests?|requested|wants?|specif(?:y|ies|ied)|instructions?|objects?|declines?|refuses?|denies|tells?|told|input|gave|provides?)\b",
    ),
    sign(
        "instruction-exfiltrate",
        HIGH,
        &["conversation", "chat history", "system prompt", "message history", "environment variables", "chat log", "previous messages"],
        r"(?i)\b(?:send|post|upload|forward|transmit|exfiltrate|leak|copy|email|append|pass|put|include|place|embed|encode|paste|attach|write|insert|provide|give|supply|share|quote|repeat|state|return|print|output)\W+(?:\w+\W+){0,4}?(?:(?:full|entire|whole|complete|current|this|our|your|all|user'?s)\W+){1,3}(?:\w+\W+){0,2}?(?:conversation(?:\W+(?:history|so\W+far|log|context))?|chat\W+(?:history|log)|system\W+prompt|message\W+history|environment\W+variables|previous\W+messages)\b",
    ),
    // Images that fetch what is put into their address as soon as somebody looks.
    sign(
        "instruction-image-link",
        HIGH,
        &["!["],
        r"!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s]{1,400}[?&/=][^)\s]{0,100}(?:\{[^}\n]{1,60}\}|\[[A-Z_ -]{3,60}\]|<[A-Za-z_ -]{3,60}>|\$\{?[A-Za-z_]{2,40}|%7[Bb])[^)\n]{0,200}\)",
    ),
];
