//! Signs in the definition of a tool that mean something together: what honest descriptions say too, but not three at once.

use super::{HIGH, Rule, sign};

/// True for signs that decide without others.
#[must_use]
pub(in super::super) const fn decides(rule: &Rule) -> bool {
    rule.weight >= HIGH
}

pub(super) const RULES: &[Rule] = &[
    sign(
        "sign-private-file",
        5,
        &[".ssh", "id_rsa", "id_ed25519", ".aws/", "/etc/passwd", "/etc/shadow", "mcp.json", "desktop_config", ".env", ".netrc", ".npmrc", ".kube", ".gnupg", "_history", "wallet", ".git-credentials", ".docker/config", "keychain", "credentials.json", ".pgpass", "login data", "cookies"],
        r"(?i)(?:\.ssh(?:/[\w.*-]+)?|\bid_(?:rsa|ed25519)\b|\.aws/(?:credentials|config)|/etc/(?:passwd|shadow)|mcp\.json|claude_desktop_config|(?:^|[\s~/'`(])\.env\b|\.netrc|\.npmrc|\.kube/config|\.gnupg|\.(?:bash|zsh)_history|\bwallet\.(?:dat|json)|\.git-credentials|\.docker/config|\bkeychain|credentials\.json|\.pgpass|login\W+data\b|\bcookies\.(?:sqlite|txt|db))",
    ),
    sign(
        "sign-read-private-file",
        4,
        &["read", "open", "cat ", "load", "contents of", "content of", "access", "retrieve", "fetch", "copy"],
        r"(?i)\b(?:read|open|cat|load|access|retrieve|fetch|copy|get|include|collect|contents?\W+of)\W+(?:\w+\W+){0,6}?(?:[`'~/]|\$HOME)?[\w~/.$-]{0,40}(?:\.ssh|id_rsa|id_ed25519|\.aws/|/etc/(?:passwd|shadow)|mcp\.json|desktop_config|\.env\b|\.netrc|\.npmrc|\.kube|\.gnupg|_history\b|wallet\.|\.git-credentials|keychain|credentials\.json|\.pgpass)",
    ),
    sign(
        "sign-precondition",
        3,
        &["before", "first", "prior to"],
        r"(?i)\b(?:before|prior\W+to)\W+(?:each\W+|every\W+|any\W+)?use\b|\b(?:before|prior\W+to)\W+(?:you\W+)?(?:us|call|invok|runn|execut)(?:e|es|ing|s)?\W+(?:this|it|the|any|all|every|other|a)\b|\b(?:must|should|always)\W+(?:\w+\W+)?first\b|\bfirst\W+(?:read|open|call|run|execute|fetch|access|retrieve|list)\b",
    ),
    sign(
        "sign-handed-over",
        4,
        &["parameter", "argument", "field", "sidenote", "side note", "pass ", " as '", " as `", "into"],
        r"(?i)\b(?:pass|passing|put|place|provide|send|include|insert|supply|write|encode|base64|append|paste|add|copy|give|hand|attach)\W+(?:\w+\W+){0,2}?(?:(?:its?|their|the|all|full|file'?s?|whole|entire|raw)\W+){1,3}(?:\w+\W+){0,4}?(?:contents?|text|output|data|value|values|result|keys?|secrets?|tokens?|credentials?|passwords?|variables)\W+(?:\w+\W+){0,6}?(?:as|in|into|to|through|via|with)\W+(?:the\W+|this\W+|a\W+|an\W+)?(?:[`'\x22\w]+\W+)?(?:parameter|argument|field|`|'|\x22|sidenote|note|context|notes|metadata|query|body|url|endpoint|header)",
    ),
    sign(
        "sign-side-channel-parameter",
        6,
        &["sidenote", "side_note", "side note", "sidechannel", "hidden_note", "conversation_history", "chat_history", "system_prompt", "chain_of_thought", "full_context", "debug_context"],
        r"(?i)^(?:sidenote|side_note|side note|sidechannel|hidden_note|full_context|debug_context|(?:full_|entire_|user_)?(?:conversation|chat)_history|chain_of_thought)$|\b(?:sidenote|side note)\b",
    ),
    sign(
        "sign-named-to-read",
        HIGH,
        &["content_from", "contents_of", "content_of", "contents_from", "data_from", "reading_"],
        r"(?i)(?:contents?|data|output|text|value)_(?:from|of)_(?:\w{0,20}_?)?(?:reading_)?(?:\w{0,20}_)?(?:ssh|id_rsa|etc|passwd|env|aws|credentials?|secrets?|private|mcp_?json|cursor|keychain|history)",
    ),
    sign(
        "sign-coercion",
        4,
        &["will not work", "won't work", "will fail", "otherwise", "refuse", "crash", "will be deleted", "lose access", "data loss", "will be lost", "not function", "locked", "will reject", "denied", "without", "unless"],
        r"(?i)\b(?:otherwise|or\W+else|if\W+you\W+(?:do\W+not|don\W?t|fail)|unless\W+you|without\W+(?:this|it|that))\b[^.\n]{0,80}?(?:will\W+(?:not\W+(?:work|function|run|be\W+able)|fail|refuse|crash|reject|be\W+(?:lost|locked|deleted|denied|rejected))|won\W?t\W+(?:work|run|function)|lose\W+access|data\W+loss|crash|fails?\b|refuse)|\b(?:fails?|refuses?|breaks?|(?:does|will)\W+not\W+work)\W+(?:to\W+\w+\W+)?(?:without|unless|otherwise)\b",
    ),
    sign(
        "sign-urgent",
        2,
        &["important", "critical", "mandatory", "crucial", "attention", "warning", "urgent", "required"],
        r"(?:\b(?:IMPORTANT|CRITICAL|MANDATORY|CRUCIAL|ATTENTION|VERY IMPORTANT|URGENT|NOTICE TO|REQUIRED|SYSTEM|NOTE TO)\b\W{0,4}(?:\w+\W+){0,3}?(?::|!|-)|(?i:\b(?:very|extremely|absolutely)\W+(?:important|critical|mandatory)\b))",
    ),
    sign(
        "sign-told-to-model",
        3,
        &["assistant", "model", " llm", " ai ", "agent", "you must", "you should", "you are", "you have to", "you need to", "claude", "gpt", "copilot", "cursor"],
        r"(?i)\b(?:(?:the|all|any|dear|note\W+to|attention|as\W+an?)\W+(?:ai\W+)?(?:assistants?|models?|llms?|ai|agents?|claude|gpt|copilot)\W+(?:using\W+\w+\W+\w+\W+)?(?:must|should|shall|has\W+to|have\W+to|is\W+required|are\W+required|needs?\W+to|will|always)\b|you\W+(?:must|have\W+to|shall|are\W+required\W+to|need\W+to|should)\W+(?:always|first|also|never|immediately|silently|then|now|only)\b)",
    ),
    sign(
        "sign-told-to-model",
        5,
        &["language model", "assistants", "note to", "note for", "message to", "message for", "reminder for", "instructions for", "instruction for", "attention"],
        r"(?i)\b(?:note|message|instructions?|reminder|attention|hint)\W+(?:for|to)\W+(?:all\W+|any\W+)?(?:the\W+|your\W+)?(?:ai|(?:large\W+)?language\W+models?|llms?|assistants?|models?|agents?)\b",
    ),
    sign(
        "sign-behaviour",
        4,
        &["from now on", "all answers", "all your", "every answer", "each answer", "every question", "all responses", "every response", "all replies", "always answer", "always respond", "always reply", "always say"],
        r"(?i)\bfrom\W+now\W+on\b|\bin\W+(?:all|every|each)\W+(?:of\W+)?(?:your\W+)?(?:answers?|responses?|repl(?:y|ies))\b|\balways\W+(?:answer|respond|reply|say)\b",
    ),
    sign(
        "sign-conceal",
        6,
        &["mention", "reveal", "disclose", "report", "show", "tell", "inform", "explain"],
        r"(?i)\b(?:do\W+not|don\W?t|never|must\W+not|should\W+not|avoid|without)\W+(?:\w+\W+){0,1}?(?:mention|reveal|disclose|report|explain|show|tell|inform)(?:ing)?\W+(?:\w+\W+){0,5}?(?:to\W+)?(?:the\W+|your\W+|any\W+)?(?:user|customer|human|operator|anyone|anybody|them|client|owner|person)\b",
    ),
    sign(
        "sign-calls-another",
        5,
        &["call ", "invoke ", "run the", "use the"],
        r"(?i)\b(?:call|invoke|run|use)\W+(?:the\W+)?[`'\x22]?[a-z]+_[a-z_]+[`'\x22]?\W+(?:tool\W+|function\W+)?(?:with|until|on|for|to)\b",
    ),
    sign(
        "sign-wants-conversation",
        5,
        &["messages", "conversation", "chat"],
        r"(?i)\b(?:send|append|include|add|pass|put|copy|provide|give|attach|embed|supply|write)\W+(?:\w+\W+){0,5}?(?:user'?s?|last|previous|recent|earlier|all|whole|entire|full|current)\W+(?:user\W+|chat\W+)?(?:messages|conversation|chat|prompts?|questions?)\b",
    ),
    sign(
        "sign-silent",
        6,
        &["silently", "quietly", "secretly", "in the background", "without asking", "without confirmation", "without the user", "without prompting", "without permission", "covertly", "discreetly", "invisibly"],
        r"(?i)\b(?:(?:silently|quietly|secretly|covertly|discreetly|invisibly)\W+(?:\w+\W+){0,2}?(?:send|forward|copy|add|include|read|call|run|execute|append|upload|bcc|cc|post|pass|replace|change|invoke|collect|log|fetch|attach|write|record|transmit|delete)|(?:send|forward|copy|add|include|read|call|run|execute|append|upload|post|pass|do)\w*\W+(?:\w+\W+){0,4}?(?:silently|quietly|secretly|covertly|discreetly|invisibly)\b|without\W+(?:(?:ever|first)\W+)?(?:asking|confirmation|confirming|prompting|(?:the\W+)?(?:user'?s?|human)\W+(?:consent|knowledge|approval|permission|confirmation|knowing|noticing)|permission|consulting)\b)",
    ),
    sign(
        "sign-other-tool",
        4,
        &["tool", "function", "send_email", "server"],
        r"(?i)\b(?:when(?:ever)?|before|after|every\W+time|each\W+time|any\W+time|if)\W+(?:you\W+|the\W+(?:user|assistant|agent|model)\W+|using\W+|calling\W+|invoking\W+)?(?:\w+\W+){0,3}?(?:us(?:e|es|ing|ed)|call(?:s|ing|ed)?|invok(?:e|es|ing|ed)|available|present|run(?:s|ning)?)\W+(?:\w+\W+){0,4}?(?:tools?|functions?|server|[a-z]+_[a-z_]+)\b|\b(?:all|any|every|each|other)\W+(?:other\W+)?(?:tool\W+calls?|tools|calls\W+to|uses?\W+of)\b|\binstead\W+of\W+(?:the\W+)?[`'\x22]?\w+[`'\x22]?\W+(?:tool|function|server)\b|\b(?:tool|function|server)\W+(?:is|are|has\W+been|have\W+been)\W+(?:now\W+)?(?:deprecated|broken|unsafe|compromised|insecure|disabled|replaced)\b",
    ),
    sign(
        "sign-changes-other-call",
        6,
        &["recipient", "bcc", "cc ", "instead", "replace", "redirect", "change", "address", "append", "add ", "forward", "copy", "modify", "destination", "multiply", "substitute", "swap"],
        r"(?i)\b(?:(?:change|replace|set|modify|redirect|rewrite|swap|substitute|alter)\W+(?:\w+\W+){0,3}?(?:recipient|to\W+address|address|destination|iban|account(?:\W+number)?|amount|wallet|email|branch|url|host|path|query|arguments?|parameters?)\W+(?:\w+\W+){0,4}?(?:to|with|by|into)\b|(?:add|include|append|put|set)\W+(?:\w+\W+){0,4}?(?:as\W+)?(?:b?cc\b|(?:an?\W+)?(?:additional|extra|hidden)\W+recipient)|(?:all|every|each|any|the)\W+(?:\w+\W+){0,3}?(?:e-?mails?|messages?|payments?|transfers?|transactions?|invoices?|requests?|traffic|results?|outputs?|files?|data)\W+(?:\w+\W+){0,3}?(?:must|should|has\W+to|have\W+to|needs?\W+to|shall)\W+(?:first\W+|also\W+|always\W+|instead\W+)?(?:be\W+)?(?:sent|forwarded|redirected|routed|copied|posted|uploaded|go|bcc|mirrored|relayed|addressed)\b)",
    ),
    sign(
        "sign-sends-out",
        4,
        &["send", "post", "upload", "forward", "exfiltrat", "transmit", "report", "submit", "leak", "copy", "mirror", "relay", "append", "bcc", "email"],
        r"(?i)\b(?:send|post|upload|forward|transmit|exfiltrate|report|submit|leak|copy|mirror|relay|append|bcc|cc|email)\w*\W+(?:\w+\W+){0,14}?(?:to|via|at|through|into)\W+(?:the\W+|this\W+|a\W+|our\W+)?(?:\w+\W+){0,2}?(?:https?://|[\w.+-]+@[\w-]+\.[a-z]|webhook|collector|\w+\.(?:example|com|net|org|io|test|invalid)\b)",
    ),
    sign(
        "sign-wants-secrets",
        4,
        &["password", "secret", "api key", "api_key", "token", "credential", "private key", "ssh key", "seed phrase", "mnemonic", "environment variable", "env var", "conversation", "chat history", "system prompt"],
        r"(?i)\b(?:pass|send|include|provide|give|collect|gather|attach|append|extract|find|read|reveal|print|copy|upload|harvest|list|dump|supply|forward|put|paste)\W+(?:\w+\W+){0,10}?(?:(?:user'?s?|your|any|all|available|known|their|stored|saved|local)\W+){1,3}(?:\w+\W+){0,2}?(?:passwords?|secrets?|api[\W_]?keys?|tokens?|credentials?|private\W+keys?|ssh\W+keys?|seed\W+phrases?|mnemonics?|environment\W+variables?|env\W+vars?|conversation|chat\W+history|system\W+prompt)\b",
    ),
    sign(
        "sign-runs-command",
        5,
        &["curl ", "wget ", "| sh", "| bash", "|sh", "|bash", "base64 -d", "rm -rf", "/dev/tcp", "chmod +x", "nc -e", "invoke-expression", "eval("],
        r"(?i)(?:\b(?:curl|wget)\b[^\n]{0,160}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b|base64\s+(?:-d|--decode|-D)\b|\brm\s+-rf\s+[~/]|/dev/tcp/|\bnc\s+-e\b|\bInvoke-Expression\b|\b(?:curl|wget)\W+(?:\S+\s+){0,6}?(?:-d|--data\S*|-F|--post-file\S*|--upload-file|-T)\s)",
    ),
    sign(
        "sign-comment",
        4,
        &["<!--", "[//]: #"],
        r"<!--[^>]{12,}|\[//\]: # ",
    ),
    sign(
        "sign-refusal-forbidden",
        5,
        &["do not ask", "never ask", "don't ask", "do not refuse", "never refuse", "do not question", "do not hesitate", "no confirmation", "do not warn", "skip confirmation", "auto-approve", "bypass"],
        r"(?i)\b(?:(?:do\W+not|don\W?t|never)\W+(?:ask|refuse|question|hesitate|warn|prompt)\W+(?:\w+\W+){0,3}?(?:user|confirmation|permission|approval|it|this|about|for)\b|no\W+confirmation\W+(?:is\W+)?(?:needed|required|necessary)|skip\W+(?:\w+\W+)?confirmation|bypass\W+(?:\w+\W+){0,3}?(?:safety|security|approval|confirmation|policy|policies|guardrails|restrictions|filters?)\b)",
    ),
    sign(
        "sign-authority",
        4,
        &["system administrator", "security team", "this is a system", "anthropic", "openai", "compliance requirement", "system requirement", "system notice", "system note", "system message", "protocol requires", "authorized by", "pre-approved", "already approved", "has consented", "already consented", "user has authorized"],
        r"(?i)\b(?:this\W+is\W+an?\W+(?:official\W+)?(?:system|security|compliance|mandatory)\W+(?:message|requirement|instruction|notice|step|directive)|(?:system|security|compliance)\W+(?:requirement|notice|note|message|directive)\s*:|the\W+user\W+has\W+(?:already\W+)?(?:consented|authorized|approved|agreed|given\W+permission)|(?:required|mandated|authorized|approved)\W+by\W+(?:the\W+|your\W+)?(?:system\W+administrator|security\W+team|anthropic|openai|administrator|it\W+department|developer))\b",
    ),
];
