//! The processes of a cluster: how they are started so that none can be lost, and how all of them are found and ended.
//!
//! Every process carries the cluster's state folder in its environment from its first instruction, and its children (the shims of
//! containerd) inherit it; what is recorded in a file can only be missing when the recorder dies in between, this cannot. Nothing
//! is ended by name, and a process id is used only together with the start time it was seen with: a reused id is another process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::RwLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::cgroups;
use super::error::{ClusterError, Tried};
use super::layout::Layout;

/// The variable that marks a process as a cluster's own; its value is the state folder.
pub const MARK: &str = "HOTFIX_CLUSTER";

/// How long ended processes may take to be gone: a killed process waits only for its own disk writes.
const GONE: Duration = Duration::from_secs(20);

/// Held for reading by whoever starts a process, and for writing, for good, once this program is being ended: from then on
/// nothing new starts, so a sweep that finds nothing has found everything.
static STARTING: RwLock<()> = RwLock::new(());

/// A process and the time it started, in clock ticks since boot: together they name one process for as long as the machine is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its id.
    pub pid: i32,
    /// When it started.
    pub started: u64,
}

impl ProcessId {
    /// The process that has this id now.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold spaces and parentheses itself; the fields are counted behind it.
        let fields = stat.rsplit_once(')')?.1;
        let mut fields = fields.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        // A zombie has ended; only its parent has not asked yet.
        (state != "Z").then_some(Self { pid, started })
    }

    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id().cast_signed();
        Self::of(pid).expect("a running process is in /proc")
    }

    /// Whether it still runs.
    pub fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    pub(super) fn end(self) {
        if self.alive() {
            // It may end by itself in between: then there is nothing to do.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// Which view of the file system a process gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The machine's.
    Machine,
    /// The node's own, in which every mount of containerd and the kubelet lives and dies: that of this process.
    Node(i32),
}

/// A part of the cluster that runs as a process of the machine.
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, &'static str)>,
    pub(super) view: View,
}

impl Component {
    pub(super) fn new(name: &'static str, program: impl Into<PathBuf>) -> Self {
        Self { name, program: program.into(), arguments: Vec::new(), environment: Vec::new(), view: View::Machine }
    }

    /// `--name=value`.
    pub(super) fn flag(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut flag = OsString::from(format!("--{name}="));
        flag.push(value.as_ref());
        self.arguments.push(flag);
        self
    }

    pub(super) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(super) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    pub(super) fn in_view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Starts it in a session of its own inside the cluster's network namespace, its output going to its log.
    pub(super) fn start(self, layout: &Layout) -> Result<Running, ClusterError> {
        let log = layout.log(self.name);
        let output =
            File::options().create(true).append(true).open(&log).tried(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().tried(|| format!("opening {}", log.display()))?;
        // A session of its own: a terminal's Ctrl-C reaches us, and we end it in order. setsid and nsenter become the program.
        let mut command = Command::new("setsid");
        command.arg("nsenter").arg(net(layout));
        if let View::Node(pid) = self.view {
            command.arg(format!("--mount=/proc/{pid}/ns/mnt"));
        }
        command.arg("--").arg(&self.program).args(&self.arguments);
        command
            .envs(self.environment)
            .env(MARK, layout.folder())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);

        let _may = STARTING.try_read().map_err(|_| ClusterError::Interrupted)?;
        let child = command.spawn().tried(|| format!("starting {}", self.name))?;
        let id = ProcessId::of(child.id().cast_signed());
        let running = Running { name: self.name, child, id, log };
        running.record(layout)?;
        Ok(running)
    }
}

/// `--net=...` for nsenter.
pub(super) fn net(layout: &Layout) -> OsString {
    let mut flag = OsString::from("--net=");
    flag.push(layout.namespace_file());
    flag
}

/// A component this process started.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) name: &'static str,
    child: Child,
    /// None for one that ended at once.
    id: Option<ProcessId>,
    log: PathBuf,
}

impl Running {
    pub(super) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Fails if it has ended, which none of them does by itself.
    pub(super) fn check(&self) -> Result<(), ClusterError> {
        if self.id.is_some_and(ProcessId::alive) {
            return Ok(());
        }
        Err(ClusterError::Ended { component: self.name, log: self.log.clone(), output: last_lines(&self.log) })
    }

    /// Takes the exit status of one that was ended, so that no zombie stays.
    pub(super) fn reap(&mut self) {
        // How it ended is nobody's concern any more.
        let _ = self.child.wait();
    }

    fn record(&self, layout: &Layout) -> Result<(), ClusterError> {
        let path = layout.at("processes").join(self.name);
        let Some(id) = self.id else { return Ok(()) };
        let text = serde_json::to_string(&id).expect("two numbers are JSON");
        fs::write(&path, text).tried(|| format!("writing {}", path.display()))
    }
}

/// The recorded components and whether each still runs.
pub(super) fn recorded(layout: &Layout) -> Vec<(String, ProcessId, Alive)> {
    let entries = fs::read_dir(layout.at("processes")).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries
        .filter_map(|entry| {
            let id: ProcessId = serde_json::from_str(&fs::read_to_string(entry.path()).ok()?).ok()?;
            let alive = if id.alive() { Alive::Yes } else { Alive::No };
            Some((entry.file_name().to_string_lossy().into_owned(), id, alive))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Whether a recorded process still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alive {
    /// It runs.
    Yes,
    /// It has ended.
    No,
}

/// From now on nothing is started by this program any more.
pub(super) fn stop_starting() {
    // Leaked on purpose: the program is ending.
    std::mem::forget(STARTING.write());
}

/// Every living process of the cluster: those that carry its mark, and those in its pods' cgroups. Never this process nor one it
/// descends from, which carry the mark when someone calls us from a command run inside the cluster.
pub(super) fn find(layout: &Layout) -> BTreeSet<ProcessId> {
    let mut mark = format!("{MARK}=").into_bytes();
    mark.extend(layout.folder().as_os_str().as_bytes());
    let spared = ancestors();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let marked =
        processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| carries(*pid, &mark));
    marked.chain(cgroups::processes(layout)).filter(|pid| !spared.contains(pid)).filter_map(ProcessId::of).collect()
}

/// Ends every process of the cluster, again and again until two rounds have found none: what is started meanwhile is found by the
/// next round, and so is one that was just replacing its program, when the kernel shows no environment for a moment.
pub(super) fn end_all(layout: &Layout) -> Result<(), ClusterError> {
    let deadline = Instant::now() + GONE;
    let mut empty = 0;
    loop {
        let found = find(layout);
        empty = if found.is_empty() { empty + 1 } else { 0 };
        if empty == 2 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let left =
                format!("processes {:?} do not end", found.iter().map(|process| process.pid).collect::<Vec<_>>());
            return Err(ClusterError::Leftover { name: layout.name().clone(), left });
        }
        for process in found {
            process.end();
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn carries(pid: i32, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}

fn ancestors() -> BTreeSet<i32> {
    let mut all = BTreeSet::new();
    let mut pid = std::process::id().cast_signed();
    while pid > 0 && all.insert(pid) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(1)?.parse().ok());
        pid = parent.unwrap_or(0);
    }
    all
}

/// The end of a log, for an error message: enough to hold a program's reason for ending.
pub(super) fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Runs a command of the machine to its end and returns what it printed.
pub(super) fn run(command: &mut Command) -> Result<String, ClusterError> {
    let line = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    };
    let line = line();
    let _may = STARTING.try_read().map_err(|_| ClusterError::Interrupted)?;
    let output = command.stdin(Stdio::null()).output().tried(|| format!("running `{line}`"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ClusterError::Command { command: line, output: if said.is_empty() { output.status.to_string() } else { said } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_process_id_is_another_process() {
        let this = ProcessId::this();
        assert!(this.alive());
        assert!(!ProcessId { started: this.started + 1, ..this }.alive());
    }

    #[test]
    fn a_process_is_found_by_its_mark_until_it_is_ended() {
        let layout = Layout::of(&"unit-test-of-marks".parse().expect("a name"));
        let mut sleeper = Command::new("sleep").arg("60").env(MARK, layout.folder()).spawn().expect("sleep starts");
        let pid = sleeper.id().cast_signed();
        // A process that was just started may not show its environment yet.
        let deadline = Instant::now() + GONE;
        while !find(&layout).iter().any(|process| process.pid == pid) {
            assert!(Instant::now() < deadline, "the sleeper is never found by its mark");
            thread::sleep(Duration::from_millis(5));
        }
        end_all(&layout).expect("it ends");
        assert!(!sleeper.wait().expect("it has ended").success());
        assert!(find(&layout).is_empty());
    }
}
