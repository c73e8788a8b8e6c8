//! JSON as clients read it: comments, trailing commas and a byte order mark allowed, all else strict (RFC 8259).

use super::{Budget, Fault, MAX_DEPTH, Member, Node, Position, Value, Why};
use crate::raw::Raw;
use zeroize::Zeroizing;

struct Reader<'a> {
    rest: &'a str,
    at: Position,
    depth: usize,
    budget: Budget,
}

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { rest: text, at: Position::START, depth: 0, budget: Budget(0) };
    reader.space()?;
    let node = reader.value()?;
    reader.space()?;
    if reader.rest.is_empty() { Ok(node) } else { Err(reader.wrong()) }
}

// === impl Reader ===

impl Reader<'_> {
    const fn wrong(&self) -> Fault {
        Fault { why: Why::Syntax, at: self.at }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        if c == '\n' {
            self.at = Position { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> Result<(), Fault> {
        let at = self.at;
        if self.bump() == Some(wanted) { Ok(()) } else { Err(Fault { why: Why::Syntax, at }) }
    }

    /// White space and comments.
    fn space(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.bump();
                }
                Some('/') if self.rest.starts_with("//") => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.bump();
                    }
                }
                Some('/') if self.rest.starts_with("/*") => {
                    let open = self.at;
                    self.bump();
                    self.bump();
                    while !self.rest.starts_with("*/") {
                        self.bump().ok_or(Fault { why: Why::Syntax, at: open })?;
                    }
                    self.bump();
                    self.bump();
                }
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self) -> Result<Node, Fault> {
        let at = self.at;
        self.budget.spend(at)?;
        let value = match self.peek() {
            Some('{') => self.inside(Self::map)?,
            Some('[') => self.inside(Self::list)?,
            Some('"') => Value::Text(Raw::new(self.string()?.as_str())),
            Some(c) if c.is_ascii_digit() || c == '-' => Value::Number(Raw::new(self.word())),
            _ => match self.word().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return Err(Fault { why: Why::Syntax, at }),
            },
        };
        Ok(Node { value, at })
    }

    fn inside(&mut self, read: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault { why: Why::TooDeep, at: self.at });
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn map(&mut self) -> Result<Value, Fault> {
        self.eat('{')?;
        let mut members = Vec::new();
        loop {
            self.space()?;
            if self.peek() == Some('}') {
                self.bump();
                return Ok(Value::Map(members));
            }
            let at = self.at;
            let key = self.string()?;
            self.space()?;
            self.eat(':')?;
            self.space()?;
            let node = self.value()?;
            members.push(Member::new(&key, at, node));
            self.space()?;
            match self.peek() {
                Some(',') => self.eat(',')?,
                Some('}') => {}
                _ => return Err(self.wrong()),
            }
        }
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.eat('[')?;
        let mut items = Vec::new();
        loop {
            self.space()?;
            if self.peek() == Some(']') {
                self.bump();
                return Ok(Value::List(items));
            }
            items.push(self.value()?);
            self.space()?;
            match self.peek() {
                Some(',') => self.eat(',')?,
                Some(']') => {}
                _ => return Err(self.wrong()),
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')) {
            word.push(c);
            self.bump();
        }
        word
    }

    fn string(&mut self) -> Result<Zeroizing<String>, Fault> {
        self.eat('"')?;
        let mut text = Zeroizing::new(String::new());
        loop {
            let at = self.at;
            match self.bump() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                // Some clients accept a tab in a string; a line end never belongs there.
                Some(c) if c == '\t' || !c.is_control() => text.push(c),
                _ => return Err(Fault { why: Why::Syntax, at }),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.at;
        Ok(match self.bump() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('u') => {
                let unit = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&unit) && self.rest.starts_with("\\u") {
                    self.bump();
                    self.bump();
                    let low = self.hex()?;
                    if (0xdc00..0xe000).contains(&low) { 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) } else { 0xfffd }
                } else {
                    unit
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(Fault { why: Why::Syntax, at }),
        })
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let at = self.at;
            let digit = self.bump().and_then(|c| c.to_digit(16)).ok_or(Fault { why: Why::Syntax, at })?;
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }
}
