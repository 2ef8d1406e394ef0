//! The log: JSON lines on standard error, one span for each look at a hotfix.

use std::any::Any;
use std::{io, panic};

use thiserror::Error;
use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The environment variable with the filter: a level, or target=level pairs.
const VARIABLE: &str = "LOG";

/// What holds unless the variable says otherwise. kube logs every answer of 500 and above as an error of its own; ours
/// says what it means for which hotfix.
const DEFAULT: &str = "info,kube_client=warn,kube_runtime=warn,tower=warn,hyper_util=warn";

/// The filter cannot be read.
#[derive(Debug, Error)]
#[error(
    "LOG is {value:?}, which is no filter ({problem}): write a level such as info or debug, or target=level pairs separated by commas"
)]
pub struct BadFilter {
    value: String,
    problem: String,
}

/// Starts the log of the process; to be called once.
pub fn start() -> Result<(), BadFilter> {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        // The one span of a look says everything; kube's own spans around it would only repeat the object.
        .with_span_list(false)
        .with_writer(io::stderr)
        .with_env_filter(filter(&value)?)
        .init();
    // A panic is a line like every other, or whoever collects the log cannot read it.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        error!(place, said = said(panic.payload()), "panicked");
    }));
    Ok(())
}

/// The words of a panic.
pub fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "nothing".to_owned())
}

fn filter(value: &str) -> Result<EnvFilter, BadFilter> {
    // A word that is no level would be read as a target, of which everything is logged: LOG=loud would change nothing.
    let is_level = |word: &str| word.is_empty() || word.contains('=') || word.parse::<LevelFilter>().is_ok();
    if let Some(word) = value.split(',').map(str::trim).find(|word| !is_level(word)) {
        return Err(BadFilter { value: value.to_owned(), problem: format!("{word:?} is no level") });
    }
    // Later directives win over earlier ones of the same target.
    let directives = if value.is_empty() { DEFAULT.to_owned() } else { format!("{DEFAULT},{value}") };
    EnvFilter::try_new(directives).map_err(|error| BadFilter { value: value.to_owned(), problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_adds_to_what_holds_otherwise() {
        let shown = |value| filter(value).unwrap().to_string();
        assert!(shown("").contains("kube_client=warn"));
        let debug = shown("debug,kube_client=info");
        assert!(debug.contains("debug") && debug.contains("kube_client=info") && !debug.contains("kube_client=warn"));
    }

    #[test]
    fn a_filter_that_is_none_is_explained() {
        for value in ["securityhotfix=loud", "loud", "info,securityhotfix"] {
            let said = filter(value).unwrap_err().to_string();
            assert!(said.contains("write a level"), "{said}");
        }
    }
}
