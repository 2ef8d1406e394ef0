//! What check Jobs printed: fetched once, from the one pod that is the Job's own, and read by the declared format.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::AsyncReadExt;
use kube::Client;
use serde_json::Value;
use tokio::sync::Notify;
use tracing::{debug, info};

use super::cache::{Cache, Key};
use super::error::ObserveError;
use super::json::{array, controller, text};
use super::read::Job;
use super::reads::{PODS, Reads, Which};
use super::{HotfixId, Wake};
use crate::api::{ReportFormat, ScanFormat, SecurityCheckSpec};
use crate::check::frame::{self, Exit, Frame};
use crate::cluster::{Call, CallError, stream};
use crate::findings::{parse_scan, parse_test, text::clean};
use crate::plan::observed::{Content, Output};

/// Container of a check's pod that prints the frame.
const CONTAINER: &str = "check";

/// How long the whole log may take to arrive: the largest at 1 MB/s.
const LOG_TIMEOUT: Duration = Duration::from_secs(12);

/// How long a log that cannot be fetched is asked for again before its check counts as having proven nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a log that could not be fetched is asked for again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long a look waits for a log: many times what one takes, and little beside a rollback.
const MOMENT: Duration = Duration::from_millis(250);

/// The most Jobs of which it is remembered since when their log could not be fetched; beyond it all are given their
/// patience anew.
const FAILED_MAX: usize = 1024;

/// What a check declares about its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Declared {
    /// A scanner's report.
    Scan(ScanFormat),
    /// A test's, if it declares one.
    Test(Option<ReportFormat>),
    /// The check is gone, or is none that prints.
    Unknown,
}

impl Declared {
    pub(super) fn of(check: Option<&SecurityCheckSpec>) -> Self {
        match check {
            Some(SecurityCheckSpec { scan: Some(scan), .. }) => Self::Scan(scan.format),
            Some(SecurityCheckSpec { test: Some(test), .. }) => Self::Test(test.report),
            Some(_) | None => Self::Unknown,
        }
    }
}

/// What is known of an ended Job's output.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Fetched {
    Output(Output),
    /// It could not be fetched yet; it will be asked for again.
    #[default]
    NotYet,
}

/// The outputs read so far. A log is fetched in the background, so that no node that hangs keeps a look, and the
/// rollback it may lead to, waiting.
#[derive(Clone, Default)]
pub(super) struct Outputs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cache: Cache,
    fetching: HashMap<Key, Fetching>,
    failed: HashMap<Key, Failure>,
}

/// An output that is being fetched.
#[derive(Clone)]
struct Fetching {
    arrived: Arc<Notify>,
    /// Set when a look went on without it, so that the hotfix has to be woken.
    missed: Arc<AtomicBool>,
}

/// An output that could not be fetched.
struct Failure {
    since: Instant,
    last: ObserveError,
}

/// Where the logs are, and who waits for them.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) id: HotfixId,
    pub(super) wake: Wake,
}

impl Outputs {
    /// The output of an ended Job.
    pub(super) async fn of(&self, source: &Source, job: &Job, declared: Declared) -> Result<Fetched, ObserveError> {
        let key = (job.uid.clone(), declared);
        let fetching = {
            let mut state = lock(&self.0);
            if let Some(output) = state.cache.get(&key) {
                return Ok(Fetched::Output(output));
            }
            match state.fetching.get(&key) {
                Some(fetching) => fetching.clone(),
                None => self.fetch(&mut state, source, job, key.clone()),
            }
        };
        let arrived = fetching.arrived.notified();
        tokio::pin!(arrived);
        arrived.as_mut().enable();
        // It may have arrived before the line above.
        if lock(&self.0).fetching.contains_key(&key) && tokio::time::timeout(MOMENT, arrived).await.is_err() {
            fetching.missed.store(true, Ordering::SeqCst);
        }
        self.arrived(&key, job)
    }

    /// What has come of a fetch up to now.
    fn arrived(&self, key: &Key, job: &Job) -> Result<Fetched, ObserveError> {
        let mut state = lock(&self.0);
        if let Some(output) = state.cache.get(key) {
            return Ok(Fetched::Output(output));
        }
        match state.failed.remove(key) {
            None => Ok(Fetched::NotYet),
            // It is said and waited for; what was told once is asked anew.
            Some(failure) if failure.last.needs_a_person() => Err(failure.last),
            Some(failure) if failure.since.elapsed() < PATIENCE => {
                state.failed.insert(key.clone(), failure);
                Ok(Fetched::NotYet)
            }
            Some(failure) => Ok(Fetched::Output(Output::Unusable(format!(
                "The log of the check's Job {} could not be fetched for {} s: {}.",
                job.name,
                PATIENCE.as_secs(),
                failure.last
            )))),
        }
    }

    fn fetch(&self, state: &mut State, source: &Source, job: &Job, key: Key) -> Fetching {
        let fetching = Fetching { arrived: Arc::default(), missed: Arc::default() };
        state.fetching.insert(key.clone(), fetching.clone());
        let (outputs, source, job, mine) = (self.clone(), source.clone(), job.clone(), fetching.clone());
        tokio::spawn(async move {
            let reads = Reads { client: &source.client, namespace: &source.namespace };
            let fetched = fetch(reads, &job, key.1).await;
            let again = fetched.is_err();
            outputs.store(&key, fetched);
            mine.arrived.notify_waiters();
            if mine.missed.load(Ordering::SeqCst) || again {
                if again {
                    tokio::time::sleep(AGAIN).await;
                }
                (source.wake)(&source.id);
            }
        });
        fetching
    }

    fn store(&self, key: &Key, fetched: Result<(Output, usize), ObserveError>) {
        let mut state = lock(&self.0);
        state.fetching.remove(key);
        match fetched {
            Ok((output, size)) => {
                state.failed.remove(key);
                state.cache.put(key.clone(), output, size);
            }
            Err(error) => {
                debug!(job = key.0, %error, "the log of a check cannot be fetched");
                if state.failed.len() >= FAILED_MAX {
                    state.failed.clear();
                }
                let since = state.failed.get(key).map_or_else(Instant::now, |failure| failure.since);
                state.failed.insert(key.clone(), Failure { since, last: error });
            }
        }
    }
}

/// Fetches and reads the output; with it the bytes it was read from.
async fn fetch(reads: Reads<'_>, job: &Job, declared: Declared) -> Result<(Output, usize), ObserveError> {
    let unusable = |why: String| Ok((Output::Unusable(why), 0));
    if let Some(why) = job.ended.as_ref().and_then(|ended| ended.no_output.clone()) {
        return unusable(why);
    }
    let labelled = Which::Labels(format!("batch.kubernetes.io/controller-uid={}", job.uid));
    let pods = reads.all(PODS, labelled).await?;
    let pod = match only_pod(&pods, &job.uid) {
        Ok(pod) => pod,
        Err(why) => return unusable(format!("The check's Job {} {why}.", job.name)),
    };
    let name = text(pod, "/metadata/name").unwrap_or_default();
    let log = match log(reads.client, reads.namespace, name).await {
        Ok(log) => log,
        Err(error) if matches!(error.code(), 400 | 404) => {
            return unusable(format!("The log of the check's pod {name} is gone: {error}."));
        }
        Err(error) => return Err(ObserveError::of_call(PODS, "get the log of", reads.namespace, error)),
    };
    let size = log.len();
    let ended_by = ended_by(pod).map(str::to_owned);
    // Decoding and reading up to 8 MiB takes long enough to hold up other work of the thread.
    let read = tokio::task::spawn_blocking(move || output(&log, declared, ended_by.as_deref())).await;
    // A panic in a reader would be a bug; the check then proves nothing.
    let output = read.unwrap_or_else(|_| Output::Unusable("The check's report could not be read.".to_owned()));
    if let Output::Unusable(why) = &output {
        info!(job = job.name, pod = name, why, "a check proves nothing");
    }
    Ok((output, size))
}

/// The one pod that the Job itself made: others may carry its labels.
fn only_pod<'a>(pods: &'a [Value], job_uid: &str) -> Result<&'a Value, String> {
    let own: Vec<&Value> =
        pods.iter().filter(|pod| controller(pod).and_then(|owner| text(owner, "/uid")) == Some(job_uid)).collect();
    match own.as_slice() {
        [pod] => Ok(pod),
        [] => Err("has no pod any more, so what it printed is lost".to_owned()),
        more => Err(format!("has {} pods instead of one, so none of them proves anything", more.len())),
    }
}

/// Why the kubelet says the check's container ended, where it is not of its own accord. Example: `OOMKilled`.
fn ended_by(pod: &Value) -> Option<&str> {
    let statuses = array(pod, "/status/containerStatuses");
    let check = statuses.iter().find(|status| text(status, "/name") == Some(CONTAINER))?;
    text(check, "/state/terminated/reason").filter(|reason| !matches!(*reason, "Completed" | "Error"))
}

async fn log(client: &Client, namespace: &str, pod: &str) -> Result<Vec<u8>, CallError> {
    let limit = frame::MAX_LOG_BYTES + 1;
    let call = Call::get(format!("{}/{pod}/log", PODS.path(namespace)))
        .with("container", CONTAINER)
        .with("limitBytes", limit.to_string());
    let reading = async {
        let mut log = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut reader = stream(client, &call).await?.take(limit);
        reader.read_to_end(&mut log).await.map_err(|error| CallError::Broken(Box::new(error)))?;
        Ok(log)
    };
    tokio::time::timeout(LOG_TIMEOUT, reading).await.unwrap_or(Err(CallError::TimedOut(LOG_TIMEOUT)))
}

/// Reads a log. Anything but one whole frame of a command that ended by itself proves nothing.
pub fn output(log: &[u8], declared: Declared, ended_by: Option<&str>) -> Output {
    let Frame { exit, report, sha256, stderr_tail } = match frame::parse(log) {
        Ok(frame) => frame,
        Err(error) => {
            let why = ended_by.map(|reason| format!(" (the container ended with {reason})")).unwrap_or_default();
            return Output::Unusable(format!("The check printed no usable result: {error}{why}."));
        }
    };
    // It goes into the operator's log alone: scanners have been seen to print credentials there.
    debug!(stderr = clean(&String::from_utf8_lossy(&stderr_tail), 1024), "a check's standard error");
    match exit {
        Exit::Code(exit_code) => {
            Output::Framed { exit_code, sha256, content: content(&report, declared), stderr: String::new() }
        }
        Exit::Signal(_) | Exit::NotStarted(_) => Output::Unusable(format!("The check did not run to its end: {exit}.")),
    }
}

fn content(report: &[u8], declared: Declared) -> Content {
    let malformed = |error: crate::findings::ReportError| Content::Malformed(error.to_string());
    match declared {
        Declared::Scan(format) => {
            parse_scan(format, report).map_or_else(malformed, |report| Content::Scan(Box::new(report)))
        }
        Declared::Test(Some(format)) => {
            parse_test(format, report).map_or_else(malformed, |report| Content::Test(Box::new(report)))
        }
        Declared::Test(None) => Content::None,
        Declared::Unknown => Content::Malformed("the check that declares its format is gone".to_owned()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it is held; should it ever, what it guards is only a cache.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::frame::{Captured, NotStarted};

    fn framed(exit: Exit, report: &str) -> Vec<u8> {
        let mut log = Vec::new();
        frame::write(&mut log, exit, &Captured::Whole(report.as_bytes().to_vec()), b"token=secret").unwrap();
        log
    }

    #[test]
    fn a_test_without_a_report_has_its_exit_code_alone() {
        let read = output(&framed(Exit::Code(3), ""), Declared::Test(None), None);
        let Output::Framed { exit_code: 3, content: Content::None, stderr, .. } = read else { panic!("{read:?}") };
        assert_eq!(stderr, "", "standard error may hold credentials");
    }

    #[test]
    fn a_scanner_that_prints_garbage_and_exits_well_proves_nothing() {
        let read = output(&framed(Exit::Code(0), "all fine!"), Declared::Scan(ScanFormat::TrivyJson), None);
        assert!(matches!(read, Output::Framed { exit_code: 0, content: Content::Malformed(_), .. }), "{read:?}");
    }

    #[test]
    fn a_log_without_a_frame_proves_nothing_and_says_what_ended_it() {
        let read = output(b"", Declared::Test(None), Some("OOMKilled"));
        let Output::Unusable(why) = read else { panic!("{read:?}") };
        assert!(why.ends_with("(the container ended with OOMKilled)."), "{why}");
    }

    #[test]
    fn a_command_that_did_not_run_to_its_end_proves_nothing() {
        for exit in [Exit::Signal(9), Exit::NotStarted(NotStarted::NotFound)] {
            assert!(matches!(output(&framed(exit, "{}"), Declared::Test(None), None), Output::Unusable(_)));
        }
    }

    #[test]
    fn a_pod_counts_only_as_the_jobs_own_and_only_alone() {
        let pod = |uid: &str| json!({"metadata": {"ownerReferences": [{"uid": uid, "controller": true}]}});
        let labelled = json!({"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "j"}}});
        assert!(only_pod(&[labelled.clone(), pod("j")], "j").is_ok());
        assert!(only_pod(&[labelled, pod("x")], "j").unwrap_err().contains("no pod any more"));
        assert!(only_pod(&[pod("j"), pod("j")], "j").unwrap_err().contains("2 pods"));
    }
}
