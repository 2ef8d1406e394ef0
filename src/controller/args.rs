//! The command line: read, checked, and turned into one configuration the operator runs on.
//!
//! Everything a person can get wrong is found here, before anything is connected, and told in one sentence that says
//! what to do. Nothing below this module checks an argument again.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use thiserror::Error;

use crate::api::image::ImageRef;
use crate::cluster::lease::Place;
use crate::observe::evidence::{Registries, RegistriesError};
use crate::plan::observed::Settings;

/// What the Lease is called by itself.
const LEASE: &str = "hotfix-operator";

/// Rolls out security hotfixes on Kubernetes: blue-green, gated, with automatic rollback.
#[derive(Debug, Parser)]
#[command(name = "hotfix-operator", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(RunArgs),
    /// Print the custom resource definitions as YAML.
    Crds,
    /// Run a check's command inside its pod and print its result as one frame.
    #[command(hide = true)]
    RunCheck {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Copy this binary to DEST, from where a check's container runs it.
    #[command(hide = true)]
    InstallRunner {
        /// The file to write.
        dest: PathBuf,
    },
    /// Print the version.
    Version,
}

/// How to run the operator. Every flag can be given by environment too.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Watch this namespace only; all namespaces otherwise.
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Namespace in which check Jobs run; nobody but administrators should have rights in it.
    #[arg(long, env = "CHECKS_NAMESPACE", value_name = "NAMESPACE")]
    pub checks_namespace: String,
    /// The operator's own image: it carries the runner into check pods.
    #[arg(long, env = "OPERATOR_IMAGE", value_name = "IMAGE")]
    pub image: String,
    /// JSON list of registries that need more than HTTPS with a public certificate: [{"host", "plainHttp", "caFile"}].
    #[arg(long, env = "REGISTRIES", value_name = "FILE")]
    pub registries: Option<PathBuf>,
    /// Docker configuration with which image digests are resolved; registries are read anonymously otherwise.
    #[arg(long, env = "REGISTRY_CREDENTIALS", value_name = "FILE")]
    pub registry_credentials: Option<PathBuf>,
    /// The API server's --request-timeout: a hotfix that has come to its end looks once more, a quarter of a minute after it, for
    /// what a write that was still under way may have made.
    // Shorter than five seconds no API server could work with; one that takes longer than ten minutes serves something else.
    #[arg(
        long, env = "API_REQUEST_TIMEOUT", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u16).range(5..=600)
    )]
    pub api_request_timeout: u16,
    /// Let one of several replicas lead, by a Lease. Without it this process must be the only one.
    #[arg(
        long, env = "LEADER_ELECTION", value_name = "BOOL", action = ArgAction::Set,
        default_value_t = false, num_args = 0..=1, default_missing_value = "true", require_equals = true
    )]
    pub leader_election: bool,
    /// Name of that Lease, one for each installation; hotfix-operator, followed by the watched namespace where it is one.
    #[arg(long, env = "LEASE_NAME", value_name = "NAME")]
    pub lease_name: Option<String>,
    /// Namespace of that Lease: the operator's own.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Address of health, readiness and metrics.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
}

/// What the operator runs on.
pub struct Config {
    /// Which hotfixes are its.
    pub watch: Watch,
    /// What the planner has to know of the installation.
    pub settings: Settings,
    /// How registries are spoken to.
    pub registries: Registries,
    /// The Lease of the one who leads; none without an election.
    pub lease: Option<Place>,
    /// Address of health, readiness and metrics.
    pub listen: SocketAddr,
}

/// Which hotfixes are the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Those of every namespace.
    Everywhere,
    /// Those of one namespace.
    Namespace(String),
}

/// What is wrong with the arguments, and what to do.
#[derive(Debug, Error)]
pub enum BadInput {
    /// A namespace cannot be called that.
    #[error(
        "{flag} is {value:?}, which no namespace can be called: give a name of at most 63 lower-case letters, digits and dashes"
    )]
    Namespace {
        /// The flag.
        flag: &'static str,
        /// What it was given.
        value: String,
    },
    /// Checks would run among the workloads they judge.
    #[error(
        "--checks-namespace is the watched namespace {0:?}: checks need a namespace of their own, or whoever may edit the workload can tamper with its evidence"
    )]
    SharedChecks(String),
    /// There is nowhere to lead from.
    #[error("--leader-election needs the operator's own namespace: give --lease-namespace, or set POD_NAMESPACE")]
    NoLeaseNamespace,
    /// Whoever edits the workload could unseat the operator.
    #[error(
        "--lease-namespace is the watched namespace {0:?}: whoever may edit the workload could take the lead from the operator there; give the operator a namespace of its own"
    )]
    SharedLease(String),
    /// A Lease cannot be called that.
    #[error(
        "--lease-name is {0:?}, which no Lease can be called: give at most 253 lower-case letters, digits, dashes and dots"
    )]
    LeaseName(String),
    /// Not an image.
    #[error(
        "--image is {0:?}, which is no image reference: give the image this operator runs from, as repository:tag or repository@sha256:..."
    )]
    Image(String),
    /// A file about registries cannot be used.
    #[error("--registries or --registry-credentials: {0}; check the file and its permissions")]
    Registries(#[from] RegistriesError),
}

impl RunArgs {
    /// Checks every argument and reads the files they name.
    pub fn check(self) -> Result<Config, BadInput> {
        let Self { watch_namespace, checks_namespace, image, registries, registry_credentials, listen, .. } = self;
        let api_request_max = Duration::from_secs(self.api_request_timeout.into());
        // A chart that watches everything may well set the variable to nothing.
        let watch = match watch_namespace.filter(|name| !name.is_empty()) {
            Some(name) => Watch::Namespace(namespace("--watch-namespace", name)?),
            None => Watch::Everywhere,
        };
        let checks_namespace = namespace("--checks-namespace", checks_namespace)?;
        if watch == Watch::Namespace(checks_namespace.clone()) {
            return Err(BadInput::SharedChecks(checks_namespace));
        }
        let lease =
            if self.leader_election { Some(lease(self.lease_name, self.lease_namespace, &watch)?) } else { None };
        if ImageRef::parse(&image).is_none() {
            return Err(BadInput::Image(image));
        }
        Ok(Config {
            watch,
            settings: Settings { checks_namespace, runner_image: image, api_request_max },
            registries: Registries::load(registries.as_deref(), registry_credentials.as_deref())?,
            lease,
            listen,
        })
    }
}

fn lease(name: Option<String>, namespace: Option<String>, watch: &Watch) -> Result<Place, BadInput> {
    let namespace = namespace.filter(|namespace| !namespace.is_empty()).ok_or(BadInput::NoLeaseNamespace)?;
    let namespace = self::namespace("--lease-namespace", namespace)?;
    if *watch == Watch::Namespace(namespace.clone()) {
        return Err(BadInput::SharedLease(namespace));
    }
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| match watch {
        Watch::Everywhere => LEASE.to_owned(),
        Watch::Namespace(watched) => format!("{LEASE}-{watched}"),
    });
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| end(c) || c == '-' || c == '.';
    if name.len() > 253 || !name.starts_with(end) || !name.ends_with(end) || !name.chars().all(inner) {
        return Err(BadInput::LeaseName(name));
    }
    Ok(Place { namespace, name })
}

fn namespace(flag: &'static str, value: String) -> Result<String, BadInput> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let valid =
        (1..=63).contains(&value.len()) && value.bytes().all(inner) && !value.starts_with('-') && !value.ends_with('-');
    if valid { Ok(value) } else { Err(BadInput::Namespace { flag, value }) }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
