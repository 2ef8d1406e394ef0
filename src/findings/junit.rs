//! JUnit XML, for the reports of tests.
//!
//! There is no specification, only custom: `testcase` elements somewhere under `testsuite` elements, with `failure`,
//! `error` or `skipped` inside. A document type declaration is refused, so there are no entities to expand, and nesting
//! is bounded. Totals that a suite declares are believed only when they are worse than what its cases show.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{MAX_CASES, ReportError, TestReport, bounded};

const FORMAT: &str = "a JUnit XML report";

/// Nesting of elements. Suites in suites with a case and its failure make five; properties and outputs add one.
const MAX_DEPTH: usize = 32;

/// Attributes of one element. Custom knows about ten; the parser compares each with all before it, so that a million of
/// them would keep it busy for hours.
const MAX_ATTRIBUTES: usize = 64;

pub(super) fn parse(report: &[u8]) -> Result<TestReport, ReportError> {
    let text = str::from_utf8(report).map_err(|error| ReportError::malformed(FORMAT, &error.to_string()))?;
    let mut reader = Reader::from_str(text);
    let mut walk = Walk::default();
    loop {
        let event = reader.read_event().map_err(|error| {
            ReportError::malformed(FORMAT, &format!("at byte {}: {error}", reader.error_position()))
        })?;
        match event {
            Event::Start(element) => walk.open(&element)?,
            Event::Empty(element) => {
                walk.open(&element)?;
                walk.close()?;
            }
            Event::End(_) => walk.close()?,
            Event::DocType(_) => {
                return Err(ReportError::malformed(FORMAT, "a document type declaration is not accepted"));
            }
            Event::GeneralRef(reference) => check_reference(&reference)?,
            Event::Text(text) => walk.text(&text)?,
            Event::CData(text) => walk.text(&text)?,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return walk.finish(),
        }
    }
}

/// Without a document type only the five entities of XML itself and character references exist.
fn check_reference(reference: &quick_xml::events::BytesRef<'_>) -> Result<(), ReportError> {
    let known = matches!(&**reference, "lt" | "gt" | "amp" | "apos" | "quot");
    if known || matches!(reference.resolve_char_ref(), Ok(Some(_))) {
        return Ok(());
    }
    Err(ReportError::malformed(FORMAT, "it refers to an entity that does not exist"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Suites,
    Suite,
    Case,
    Other,
}

/// What became of the case that is being read; the worst that is said wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Passed,
    Skipped,
    Failed,
}

struct Case {
    name: String,
    outcome: Outcome,
    message: String,
}

#[derive(Default)]
struct Walk {
    open: Vec<Element>,
    case: Option<Case>,
    cases: usize,
    /// Failures and errors that suites declare of themselves; the largest, since suites repeat their parts' sums.
    declared: usize,
    seen_root: bool,
    report: TestReport,
}

impl Walk {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), ReportError> {
        if self.open.len() == MAX_DEPTH {
            return Err(ReportError::malformed(FORMAT, "its elements are nested too deeply"));
        }
        // The parser takes everything up to a blank for the name; what is no name is no XML, and a reader would see another
        // element, or two.
        if element.contains('<') || element.name().as_ref().contains(['/', '=', '"', '\'', '&']) {
            return Err(ReportError::malformed(FORMAT, "the name of an element is none"));
        }
        let parent = self.open.last().copied();
        let name = element.local_name();
        let opened = match (parent, name.as_ref()) {
            (None, "testsuites") => Element::Suites,
            (None | Some(Element::Suites | Element::Suite), "testsuite") => Element::Suite,
            (None, _) => return Err(ReportError::malformed(FORMAT, "its root is neither testsuites nor testsuite")),
            (Some(Element::Suites | Element::Suite), "testcase") => Element::Case,
            _ => Element::Other,
        };
        if parent.is_none() && std::mem::replace(&mut self.seen_root, true) {
            return Err(ReportError::malformed(FORMAT, "it has more than one root"));
        }
        let attributes = Attributes::read(element)?;
        match (opened, name.as_ref()) {
            (Element::Suites | Element::Suite, _) => {
                self.declared = self.declared.max(attributes.failures.saturating_add(attributes.errors));
            }
            (Element::Case, _) => {
                self.cases += 1;
                bounded(self.cases, MAX_CASES, "test cases")?;
                self.case = Some(Case { name: attributes.case(), outcome: Outcome::Passed, message: String::new() });
            }
            (Element::Other, "failure" | "error") => self.failed(parent, &attributes)?,
            (Element::Other, "skipped") if parent == Some(Element::Case) => {
                if let Some(case) = &mut self.case {
                    case.outcome = case.outcome.max(Outcome::Skipped);
                }
            }
            // A tool that writes cases where nobody looks for them: what it says there is not read, so nothing is proven.
            (Element::Other, "testcase") => self.report.gap("it has a test case where none is understood"),
            (Element::Other, _) => {}
        }
        self.open.push(opened);
        Ok(())
    }

    fn failed(&mut self, parent: Option<Element>, attributes: &Attributes) -> Result<(), ReportError> {
        match (parent, &mut self.case) {
            (Some(Element::Case), Some(case)) => {
                case.outcome = Outcome::Failed;
                case.message.clone_from(&attributes.message);
                Ok(())
            }
            // A suite that could not be set up says so outside any case.
            (Some(Element::Suites | Element::Suite), _) => self.report.failure("(the suite)", &attributes.message),
            _ => {
                self.report.gap("it has a failure where none is understood");
                Ok(())
            }
        }
    }

    fn close(&mut self) -> Result<(), ReportError> {
        if self.open.pop() != Some(Element::Case) {
            return Ok(());
        }
        let Some(case) = self.case.take() else { return Ok(()) };
        match case.outcome {
            Outcome::Passed => self.report.passed += 1,
            Outcome::Skipped => self.report.skipped += 1,
            Outcome::Failed => self.report.failure(&case.name, &case.message)?,
        }
        Ok(())
    }

    fn text(&self, text: &str) -> Result<(), ReportError> {
        if self.open.is_empty() && !text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Err(ReportError::malformed(FORMAT, "there is text outside its root"));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<TestReport, ReportError> {
        if !self.open.is_empty() || !self.seen_root {
            return Err(ReportError::malformed(FORMAT, "it ends before its root element does"));
        }
        if self.report.failures.is_empty() && self.declared > 0 {
            let message = format!("the suite declares {} failures that none of its cases shows", self.declared);
            self.report.failure("(the suite)", &message)?;
        }
        if self.report.passed == 0 && self.report.failures.is_empty() {
            self.report.gap("no test case was run");
        }
        Ok(self.report)
    }
}

/// The attributes that count, of any element.
#[derive(Default)]
struct Attributes {
    name: String,
    class: String,
    message: String,
    failures: usize,
    errors: usize,
}

impl Attributes {
    fn read(element: &BytesStart<'_>) -> Result<Self, ReportError> {
        let mut read = Self::default();
        for (at, attribute) in element.attributes().enumerate() {
            bounded(at + 1, MAX_ATTRIBUTES, "attributes of one element")?;
            let attribute = attribute.map_err(|error| ReportError::malformed(FORMAT, &error.to_string()))?;
            let value = || {
                attribute
                    .normalized_value(XmlVersion::Implicit1_0)
                    .map_err(|error| ReportError::malformed(FORMAT, &error.to_string()))
            };
            match attribute.key.as_ref() {
                "name" => read.name = value()?.into_owned(),
                "classname" => read.class = value()?.into_owned(),
                "message" => read.message = value()?.into_owned(),
                "failures" => read.failures = count(&value()?),
                "errors" => read.errors = count(&value()?),
                _ => {}
            }
        }
        Ok(read)
    }

    fn case(&self) -> String {
        match (&*self.class, &*self.name) {
            ("", name) => name.to_owned(),
            (class, name) => format!("{class}.{name}"),
        }
    }
}

/// A declared total. One that is no number is none.
fn count(text: &str) -> usize {
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
