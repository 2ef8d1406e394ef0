//! What is explored: small worlds, each with a few kinds of trouble and a budget for them.

use crate::state::{LIVE, Mile, OPEN, Pod, State};

/// Services and pods are read.
pub const S: u8 = 1;
/// Pods are read.
pub const P: u8 = 2;
/// The hotfix is read.
pub const H: u8 = 4;
/// The rest is read, and it is decided.
pub const R: u8 = 8;

/// The version of the hotfix is read: a look in which it changes is begun anew.
pub const V: u8 = 16;

/// The Services are read again: a look in which one has changed is begun anew.
pub const W: u8 = 32;

/// The order of reads the operator has, with those that no fault is played between taken together.
pub const ORDER: &[u8] = &[V | S | P, H, R];
/// Each read by itself.
pub const APART: &[u8] = &[V, S, P, W | H, R];

/// What the environment may do; one bit each.
pub mod env {
    /// The hotfix is deleted in the background.
    pub const DELETE: u64 = 1;
    /// In the foreground.
    pub const DELETE_FOREGROUND: u64 = 1 << 1;
    /// A person aborts the attempt.
    pub const ABORT: u64 = 1 << 2;
    /// A person releases the traffic.
    pub const RELEASE: u64 = 1 << 3;
    /// A person asks for a retry.
    pub const RETRY: u64 = 1 << 4;
    /// A tool puts a selector back.
    pub const REVERT: u64 = 1 << 5;
    /// Somebody takes a mark off.
    pub const STRIP: u64 = 1 << 6;
    /// The owner gives a Service another selector.
    pub const SELECT: u64 = 1 << 7;
    /// A Service is deleted.
    pub const DROP: u64 = 1 << 8;
    /// The owner deploys another image.
    pub const REDEPLOY: u64 = 1 << 9;
    /// A tool puts the old image back.
    pub const REVERT_IMAGE: u64 = 1 << 10;
    /// The owner scales to zero.
    pub const ZERO: u64 = 1 << 11;
    /// An autoscaler scales up or down.
    pub const SCALE: u64 = 1 << 12;
    /// The Deployment is deleted.
    pub const DELETE_BLUE: u64 = 1 << 13;
    /// Its pods break, or recover.
    pub const BREAK: u64 = 1 << 14;
    /// A pod of the workload becomes unready.
    pub const UNREADY_BLUE: u64 = 1 << 15;
    /// A pod of the candidate becomes unready.
    pub const UNREADY_GREEN: u64 = 1 << 16;
    /// A pod of the workload is evicted.
    pub const EVICT_BLUE: u64 = 1 << 17;
    /// A pod of the candidate is evicted.
    pub const EVICT_GREEN: u64 = 1 << 18;
    /// A pod of the candidate is born without the gate.
    pub const BARE: u64 = 1 << 19;
    /// Somebody deletes the candidate.
    pub const DELETE_GREEN: u64 = 1 << 20;
    /// And leaves its ReplicaSet to be adopted.
    pub const ORPHAN: u64 = 1 << 21;
    /// Somebody changes the candidate.
    pub const DRIFT: u64 = 1 << 22;
    /// The namespace is deleted.
    pub const TERMINATE: u64 = 1 << 23;
    /// Another hotfix is asked for.
    pub const ASK: u64 = 1 << 24;
    /// A check fails, proves nothing, or speaks of another digest.
    pub const BAD_JOB: u64 = 1 << 25;
    /// A pod answers badly.
    pub const BAD_PROBE: u64 = 1 << 26;
    /// Admission refuses the candidate.
    pub const REFUSE: u64 = 1 << 27;
    /// A deadline passes while something could still have happened.
    pub const LATE: u64 = 1 << 28;
    /// The Lease is deleted.
    pub const UNCLAIM: u64 = 1 << 29;
    /// A check Job is deleted.
    pub const LOSE_JOB: u64 = 1 << 30;
    /// A person suspends the hotfix.
    pub const SUSPEND: u64 = 1 << 31;
    /// And takes it back, which costs nothing: nobody leaves it so for ever.
    pub const RESUME: u64 = 1 << 32;
    /// A pod of the candidate is born with another image.
    pub const WRONG: u64 = 1 << 33;
    /// The kubelets of the candidate's pods hang.
    pub const HANG: u64 = 1 << 34;
    /// The policy is deleted while a candidate serves.
    pub const UNGUIDE: u64 = 1 << 35;
    /// And made again, at any time and for nothing, or never.
    pub const GUIDE: u64 = 1 << 36;
    /// Somebody takes the finalizer off the first hotfix and deletes it.
    pub const VANISH: u64 = 1 << 37;
}

/// Which faults may happen; one bit each.
pub mod fault {
    /// A replica dies and forgets.
    pub const CRASH: u8 = 1;
    /// A write goes out, is given up, and arrives later.
    pub const DELAY: u8 = 2;
    /// A write arrives a second time, later.
    pub const TWICE: u8 = 4;
    /// Another replica takes over while this one goes on.
    pub const LEAD: u8 = 8;
    /// All of them.
    pub const ALL: u8 = 15;
}

/// A world to explore.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Its name.
    pub name: &'static str,
    /// How many faults.
    pub faults: u8,
    /// How many moves of the environment.
    pub moves: u8,
    /// The same where time is short.
    pub small: (u8, u8),
    /// And where there is plenty.
    pub deep: (u8, u8),
    /// Which faults.
    pub fault: u8,
    /// Which moves.
    pub env: u64,
    /// Which of them cost nothing: a tool does them again and again.
    pub free: u64,
    /// Services of the workload.
    pub services: usize,
    /// Replicas of the workload.
    pub replicas: u8,
    /// The analysis has a test, beside the scans and probes.
    pub tests: bool,
    /// The order of reads.
    pub order: &'static [u8],
    /// Slices are brought up to date in a step of their own, not at once.
    pub lag: bool,
    /// Pods end, and what has lost its owner is collected, in steps of their own, not at once.
    pub slow: bool,
    /// Where it begins: the fault-free run is followed until then.
    pub from: fn(Mile) -> bool,
}

impl Config {
    /// Everything is at rest, and a hotfix was just asked for.
    pub fn beginning(&self) -> State {
        let mut state = State::default();
        for service in &mut state.prod.services[..self.services] {
            service.set_here(1);
            service.set_theirs(1);
        }
        state.blue.set_here(1);
        state.blue.set_template(1);
        state.blue.set_newest(1);
        state.blue.set_seen(1);
        state.blue.set_replicas(self.replicas);
        state.blue.set_theirs(1);
        for pod in &mut state.prod.blues[..usize::from(self.replicas)] {
            *pod = born(Pod::default(), 1);
            pod.set_up(1);
            pod.set_ready(1);
        }
        state.sides[0].hot.set_here(1);
        for at in 0..state.slices.len() {
            state.slices[at] = state.endpoints(at);
        }
        state
    }

    /// True when the environment may do this.
    pub fn may(&self, env: u64) -> bool {
        self.env & env != 0
    }
}

/// A new pod in the place of an old one.
pub fn born(before: Pod, version: u8) -> Pod {
    let mut pod = Pod::default();
    pod.set_life(LIVE);
    pod.set_gen((before.gen_() + 1) % 4);
    pod.set_version(version);
    pod
}

/// True when a pod should be ready.
pub fn should_be_ready(pod: Pod, green: bool) -> bool {
    pod.up() == 1 && (!green || pod.bare() == 1 || pod.open() == OPEN)
}
