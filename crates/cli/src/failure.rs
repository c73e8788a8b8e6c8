//! Why a command did not do what it was asked: what, where, why, what next (product 2.5), for people and as JSON.

use crate::console::{Console, Form, Sign, counted, inert, wrapped};
use crate::exit::Exit;
use doorward_core::config::problem::Problem;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde_json::{Map, Value, json};
use std::fmt::{self, Display};

/// A command ended without its result.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    id: &'static str,
    message: String,
    why: Option<String>,
    help: String,
    problems: Vec<Problem>,
}

/// Dresses a [`Problem`] for miette.
struct Shown<'a> {
    problem: &'a Problem,
    message: String,
    help: String,
    source: Option<NamedSource<String>>,
}

impl Failure {
    /// What went wrong and what to do next.
    #[must_use]
    pub fn new(exit: Exit, id: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit, id, message: message.into(), why: None, help: help.into(), problems: Vec::new() }
    }

    /// A configuration that is not usable.
    #[must_use]
    pub fn configuration(name: &str, problems: Vec<Problem>) -> Self {
        let help = "all keys: doorward config schema";
        Self { problems, ..Self::new(Exit::Configuration, "config.unusable", format!("{name} is not usable"), help) }
    }

    /// Files that are not usable for reasons that are shown with their lines.
    #[must_use]
    pub fn several(id: &'static str, message: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self { problems, ..Self::new(Exit::Configuration, id, message, "") }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, why: impl Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    /// What went wrong in one line, for a list of checks.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.problems.len(), &self.why) {
            (0, None) => self.message.clone(),
            (0, Some(why)) => format!("{}: {why}", self.message),
            (count, _) => format!("{}: {}", self.message, counted(u64::try_from(count).unwrap_or(u64::MAX), "problem")),
        }
    }

    /// The first thing that is wrong, in one line.
    #[must_use]
    pub fn first(&self) -> String {
        self.problems.first().map_or_else(|| self.summary(), |problem| problem.message.clone())
    }

    /// The way the program ends with it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Says it, and gives the way the program ends.
    pub fn tell(self, console: &mut Console) -> Exit {
        if console.form() == Form::Json {
            console.document(self.as_json());
            return self.exit;
        }
        for problem in &self.problems {
            console.fail(rendered(problem, console));
        }
        let bad = console.sign(Sign::Bad);
        match (self.problems.len(), &self.why) {
            (0, None) => console.fail(format!("{bad} {}", inert(&self.message))),
            (0, Some(why)) => console.fail(format!("{bad} {}\n  {}", inert(&self.message), inert(why))),
            (count, _) => {
                let count = counted(u64::try_from(count).unwrap_or(u64::MAX), "problem");
                console.fail(format!("{bad} {}: {count}", inert(&self.message)));
            }
        }
        if self.problems.is_empty() && !self.help.is_empty() {
            let lines = wrapped(&self.help, console.width().saturating_sub(8));
            console.fail(format!("  help: {}", lines.join("\n        ")));
        }
        self.exit
    }

    fn as_json(&self) -> Map<String, Value> {
        let errors: Vec<Value> = match self.problems.as_slice() {
            [] => vec![json!({"id": self.id, "message": self.message, "why": self.why, "help": self.help})],
            problems => problems.iter().map(as_json).collect(),
        };
        let members = [("ok", json!(false)), ("exit", json!(self.exit.code())), ("errors", Value::Array(errors))];
        members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// A problem as a member of a JSON document.
#[must_use]
pub fn as_json(problem: &Problem) -> Value {
    let place = problem.place.as_ref().map(|place| {
        let (line, column) = place.line_column();
        json!({"source": place.source().name(), "line": line, "column": column, "length": place.span().len()})
    });
    json!({"id": problem.id, "message": problem.message, "label": problem.label, "help": problem.help, "place": place})
}

/// A problem with the lines that it is about.
#[must_use]
pub fn rendered(problem: &Problem, console: &Console) -> String {
    let theme = match (console.unicode(), console.color()) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme { characters: miette::ThemeCharacters::ascii(), styles: miette::ThemeStyles::ansi() },
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(console.width())
        .with_context_lines(1)
        .with_links(false)
        .with_wrap_lines(false)
        .without_syntax_highlighting();
    let source = problem.place.as_ref().map(|place| NamedSource::new(place.source().name(), place.source().shown().to_owned()));
    // Addresses and commands are copied from here: lines break at spaces only.
    let width = console.width().saturating_sub(10);
    let fold = |text: &str| text.split("   ").flat_map(|part| wrapped(part, width)).collect::<Vec<_>>().join("\n");
    let shown = Shown { problem, message: fold(&problem.message), help: fold(&problem.help), source };
    let mut text = String::new();
    match handler.render_report(&mut text, &shown) {
        Ok(()) => text,
        Err(fmt::Error) => problem.to_string(),
    }
}

// === impl Shown ===

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(self.help.as_str()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.place.as_ref()?;
        let label = LabeledSpan::new_with_span(Some(self.problem.label.clone()), place.span());
        Some(Box::new(std::iter::once(label)))
    }
}

impl std::error::Error for Shown<'_> {}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.problem, f)
    }
}
