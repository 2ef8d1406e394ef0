//! What the world is in the model: a few bits for each thing that the planner reads, writes, or may be hurt by.
//!
//! Resource versions are not numbers here. What matters of a version is whether a write or a picture still has the
//! present one; once it has not, it never will again. So every picture and every write in flight keeps one bit for it.

use crate::act::Act;
use crate::bits::bits;

/// Hotfixes on the one workload.
pub const SIDES: usize = 2;
/// Services of the workload.
pub const SERVICES: usize = 2;
/// Pods a candidate can have at once.
pub const GREENS: usize = 2;
/// Pods the workload can have at once: two, and one more while it rolls.
pub const BLUES: usize = 3;
/// Check Jobs of one hotfix at once.
pub const JOBS: usize = 10;
/// Writes that can be in flight at once.
pub const FLIGHTS: usize = 2;

/// A hotfix vanished before anything of it could take traffic.
pub const VANISHED: u8 = 1;
/// It vanished after that.
pub const LEFT: u8 = 2;
/// The other has returned the traffic of what it left.
pub const TAKEN: u8 = 3;

/// A pod does not exist.
pub const ABSENT: u8 = 0;
/// It lives.
pub const LIVE: u8 = 1;
/// It is being deleted.
pub const LEAVING: u8 = 2;

/// The readiness condition of ours was written: open.
pub const OPEN: u8 = 1;
/// It was written: closed.
pub const CLOSED: u8 = 2;

bits! {
    /// A Service of production.
    Svc(u16) {
        here, set_here: 0, 1, "it exists";
        variant, set_variant: 1, 1, "which of two selectors its owner gave it";
        slot, set_slot: 2, 3, "whose slot is in its selector: 0 none, else a code of hotfix and attempt";
        pin, set_pin: 5, 2, "which of blue's ReplicaSets its selector names: 0 none, else a version";
        mark, set_mark: 7, 4, "its mark: 0 none, 1 to 6 hold, 7 to 12 sealed, by code";
        ours, set_ours: 11, 1, "managedFields has an entry of ours";
        theirs, set_theirs: 12, 1, "the owner's tool wrote the selector last";
        newer, set_newer: 13, 1, "and it did so after our last write";
        owners, set_owners: 14, 1, "which of the two its owner wrote last";
        wrote, set_wrote: 15, 1, "our entry has the selector in it";
    }
}

bits! {
    /// A preview Service.
    Preview(u8) {
        here, set_here: 0, 1, "it exists";
        inc, set_inc: 1, 2, "how many there were before it: its uid";
        attempt, set_attempt: 3, 2, "the attempt it was made for";
    }
}

bits! {
    /// A pod, of either side.
    Pod(u16) {
        life, set_life: 0, 2, "absent, live or leaving";
        gen_, set_gen: 2, 2, "how many had its place before: its uid";
        up, set_up: 4, 1, "its containers are ready";
        ready, set_ready: 5, 1, "condition Ready";
        open, set_open: 6, 2, "our condition: 0 never written, open, closed";
        bare, set_bare: 8, 1, "it was born without our readiness gate";
        late, set_late: 9, 1, "it has been unready for as long as is allowed";
        version, set_version: 10, 2, "the image it runs";
        inc, set_inc: 12, 2, "of a candidate's pod: which Deployment made it";
        attempt, set_attempt: 14, 2, "of a candidate's pod: the attempt in its slot label";
    }
}

bits! {
    /// The user's Deployment.
    Blue(u16) {
        here, set_here: 0, 1, "it exists";
        template, set_template: 1, 2, "the image in its template";
        newest, set_newest: 3, 2, "the image of its newest ReplicaSet";
        seen, set_seen: 5, 1, "its controller has seen the spec";
        replicas, set_replicas: 6, 2, "spec.replicas";
        ours, set_ours: 8, 1, "managedFields has an entry of ours";
        theirs, set_theirs: 9, 1, "the owner's tool wrote the template last";
        broken, set_broken: 10, 1, "its pods cannot become ready";
        adopted, set_adopted: 11, 2, "it has adopted the ReplicaSet of a candidate: 0 none, else its side and 1";
    }
}

bits! {
    /// A candidate Deployment.
    Green(u16) {
        here, set_here: 0, 1, "it exists";
        inc, set_inc: 1, 2, "how many there were before it: its uid";
        owned, set_owned: 3, 1, "the hotfix owns it";
        attempt, set_attempt: 4, 2, "the attempt it was made for";
        replicas, set_replicas: 6, 2, "spec.replicas";
        next, set_next: 8, 2, "the next one's number";
        drifted, set_drifted: 10, 1, "somebody changed its template";
        next_preview, set_next_preview: 11, 2, "the next preview's number";
        hung, set_hung: 13, 1, "the kubelets of its pods hang";
        gone, set_gone: 14, 2, "its hotfix was made to vanish: 0 no, else VANISHED, LEFT or TAKEN";
    }
}

bits! {
    /// A hotfix object, without its status.
    Hot(u32) {
        here, set_here: 0, 1, "it exists";
        deleting, set_deleting: 1, 2, "0 no, 1 in the background, 2 in the foreground";
        finalizer, set_finalizer: 3, 1, "our finalizer is on it";
        abort, set_abort: 4, 2, "the attempt the abort annotation names, 0 none";
        release, set_release: 6, 2, "the attempt the release annotation names, 0 none";
        retry, set_retry: 8, 1, "the retry annotation is there";
        again, set_again: 9, 1, "the Service that was set again is still at the recorded version";
        gen_, set_gen: 10, 2, "how often blue's spec changed since the fold-back was announced, at most 2";
        switched0, set_switched0: 12, 2, "how often the first Service was switched in this attempt, at most 3";
        switched1, set_switched1: 14, 2, "and the second";
        suspend, set_suspend: 16, 1, "spec.suspend";
        edits, set_edits: 17, 2, "how often the spec was edited, at most 3: its generation";
    }
}

bits! {
    /// What the world must know of a recorded status.
    Mile(u32) {
        attempt, set_attempt: 0, 2, "the attempt's number, 0 none";
        scanned, set_scanned: 2, 1, "scan passed";
        staged, set_staged: 3, 1, "the candidate was up";
        analyzed, set_analyzed: 4, 1, "analysis passed";
        promoting, set_promoting: 5, 1, "announced";
        converged, set_converged: 6, 1, "every endpoint was the candidate's";
        verified, set_verified: 7, 1, "believed";
        latched, set_latched: 8, 1, "must end";
        drained, set_drained: 9, 1, "the traffic was returned";
        finished, set_finished: 10, 1, "over";
        outcome, set_outcome: 11, 4, "how it ended, 0 not yet";
        services, set_services: 15, 2, "the recorded Services, one bit each";
        reassert, set_reassert: 17, 2, "the Service that was set again, 0 none";
        folds, set_folds: 19, 2, "how often the image may be put in";
        aborted, set_aborted: 21, 2, "the abort that was handled, 0 none";
        old, set_old: 23, 2, "the image blue had when the attempt began";
        stalled, set_stalled: 25, 1, "people are asked for something";
        unchecked, set_unchecked: 26, 2, "0 it could be checked all the time, 1 it cannot be, 2 it can be again";
        takes, set_takes: 28, 1, "it takes away what the other left";
        returned, set_returned: 29, 1, "the traffic of that is returned";
        named, set_named: 30, 1, "the name of that hotfix is known";
    }
}

bits! {
    /// What has been found out for one hotfix by one replica, and what it asked for.
    Found(u16) {
        resolved, set_resolved: 0, 1, "the registry gave a digest";
        rehearsed, set_rehearsed: 1, 2, "0 not yet, 1 admitted, 2 refused";
        probe0, set_probe0: 3, 2, "the first pod: 0 not asked, 1 well, 2 badly";
        probe1, set_probe1: 5, 2, "the second pod";
        wants, set_wants: 7, 3, "asked for at the last look: 1 digests, 2 rehearsal, 4 probes";
        rehearsed_for, set_rehearsed_for: 10, 2, "the attempt that was rehearsed";
        watch, set_watch: 12, 2, "since when it has looked: 0 not yet, 1 after the candidate served, 2 before that";
        soaked, set_soaked: 14, 1, "the soak is over, all of which it has looked at";
    }
}

bits! {
    /// Which moments have passed for a hotfix.
    Clocks(u8) {
        staging, set_staging: 0, 1, "the deadline of the step under way";
        opening, set_opening: 1, 1, "the time opened pods may take";
        converge, set_converge: 2, 1, "the time endpoints may take";
        drain, set_drain: 3, 1, "the drain";
        slow, set_slow: 4, 1, "the time the fold-back should take";
        unchecked, set_unchecked: 5, 1, "the time a candidate may serve unchecked";
    }
}

bits! {
    /// A check Job.
    Job(u32) {
        state, set_state: 0, 3, "0 running, 1 good, 2 bad, 3 unusable, 4 of another digest";
        kind, set_kind: 3, 2, "1 scan of the running image, 2 of the patched one, 3 test";
        attempt, set_attempt: 5, 2, "the attempt it was made for";
        run, set_run: 7, 3, "the number of the run";
    }
}

/// Services and pods: what is read first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prod {
    /// The workload's Services.
    pub services: [Svc; SERVICES],
    /// The previews.
    pub previews: [Preview; SIDES],
    /// The workload's pods.
    pub blues: [Pod; BLUES],
    /// The candidates' pods.
    pub greens: [[Pod; GREENS]; SIDES],
}

/// One hotfix and what was made for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Side {
    /// The object.
    pub hot: Hot,
    /// Its status, by the number it is interned under.
    pub status: u32,
    /// What the world must know of that status.
    pub mile: Mile,
    /// What its record says, by number; 0 where there is none.
    pub report: u32,
    /// Its candidate.
    pub green: Green,
    /// Which moments have passed.
    pub clocks: Clocks,
    /// Its check Jobs, ascending, empty places first.
    pub jobs: [Job; JOBS],
}

/// An operator process. The first is the leader; the second has lost its lease and may not know it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    /// Reads done in this look; 0 when it is at nothing.
    pub stage: u8,
    /// The hotfix it looks at.
    pub side: u8,
    /// What it has read of Services and pods.
    pub prod: Prod,
    /// What it has read of the hotfix.
    pub hot: Hot,
    /// And of its status.
    pub status: u32,
    /// One bit for each object it has read: still at that version.
    pub fresh: u16,
    /// What it still has to write.
    pub acts: [Act; GREENS],
    /// What it has found out. In memory: a crash loses it.
    pub found: [Found; SIDES],
}

/// The world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Faults that may still happen.
    pub faults: u8,
    /// Moves of the environment that may still happen.
    pub moves: u8,
    /// The namespace is being deleted.
    pub terminating: bool,
    /// The policy is missing.
    pub unguided: bool,
    /// The Lease: 0 none, else its holder's side and 1, and its number above.
    pub claim: Claim,
    /// Services and pods.
    pub prod: Prod,
    /// What the slices of each Service say, two bits a pod: 0 not in it, 1 not ready, 2 ready.
    pub slices: [u16; SERVICES],
    /// The user's Deployment.
    pub blue: Blue,
    /// The hotfixes.
    pub sides: [Side; SIDES],
    /// The operators.
    pub replicas: [Replica; 2],
    /// Writes in flight, ascending, empty places first.
    pub flights: [Act; FLIGHTS],
}

bits! {
    /// The Lease that claims the workload.
    Claim(u8) {
        holder, set_holder: 0, 2, "0 none, else the holder's side and 1";
        inc, set_inc: 2, 2, "its number: its uid";
    }
}

/// A code of hotfix and attempt for slots and marks, never 0.
pub fn code(side: usize, attempt: u8) -> u8 {
    assert!((1..=3).contains(&attempt), "attempt {attempt} cannot be represented");
    u8::try_from(side * 3).unwrap() + attempt
}

/// Side and attempt of a code.
pub fn coded(code: u8) -> (usize, u8) {
    (usize::from((code - 1) / 3), (code - 1) % 3 + 1)
}

/// A mark that holds.
pub fn hold(code: u8) -> u8 {
    code
}

/// A mark that seals.
pub fn sealed(code: u8) -> u8 {
    code + 6
}

/// Kind and code of a mark: true where it seals.
pub fn marked(mark: u8) -> Option<(bool, u8)> {
    match mark {
        0 => None,
        1..=6 => Some((false, mark)),
        _ => Some((true, mark - 6)),
    }
}

impl Pod {
    /// Ready, and not on its way out.
    pub fn serves(self) -> bool {
        self.life() == LIVE && self.ready() == 1
    }

    /// Neither leaving nor gone.
    pub fn lives(self) -> bool {
        self.life() == LIVE
    }
}

impl Mile {
    /// The candidate serves, and is not believed yet.
    pub fn serves(self) -> bool {
        self.converged() == 1 && self.verified() == 0 && self.latched() == 0
    }
}

impl Hot {
    /// A Service was switched.
    pub fn count_switch(&mut self, service: usize) {
        if service == 0 {
            self.set_switched0((self.switched0() + 1).min(3));
        } else {
            self.set_switched1((self.switched1() + 1).min(3));
        }
    }

    /// How often a Service was switched again.
    pub fn switched_again(self) -> u8 {
        self.switched0().saturating_sub(1) + self.switched1().saturating_sub(1)
    }
}

impl Found {
    /// What admission said of this attempt: 0 nothing yet. What it said of an earlier one is about another candidate.
    #[must_use]
    pub fn rehearsal(self, attempt: u8) -> u8 {
        if self.rehearsed_for() == attempt { self.rehearsed() } else { 0 }
    }

    /// It looks at a hotfix, at which the candidate serves or does not yet.
    pub fn look(&mut self, serves: bool) {
        match (serves, self.watch()) {
            (false, _) => self.set_watch(2),
            (true, 0) => self.set_watch(1),
            (true, _) => {}
        }
    }

    /// Admission said this of an attempt.
    pub fn rehearse(&mut self, attempt: u8, answer: u8) {
        self.set_rehearsed(answer);
        self.set_rehearsed_for(attempt);
    }
}

impl Job {
    /// Keeps bits of a hash of its name, so that two Jobs that differ in nothing else are two.
    pub fn set_name(&mut self, hash: u32) {
        self.0 = (self.0 & 0x3FF) | hash << 10;
    }
}

impl Side {
    /// It vanished and left a candidate that nobody but the other hotfix takes away.
    pub fn is_left(&self) -> bool {
        let disowned = self.green.here() == 1 && self.green.owned() == 0;
        self.green.gone() == LEFT || self.green.gone() == VANISHED && disowned
    }

    /// It exists, and has not ended: it begins, or goes on.
    pub fn begins(&self) -> bool {
        self.hot.here() == 1 && self.hot.deleting() == 0 && self.mile.finished() == 0
    }

    /// It may still write: it has an attempt that is not finished.
    pub fn alive(&self) -> bool {
        self.hot.here() == 1 && self.mile.attempt() > 0 && self.mile.finished() == 0
    }
}

impl Svc {
    /// True when its selector selects this pod of the workload.
    pub fn selects_blue(self, pod: Pod) -> bool {
        self.here() == 1 && self.slot() == 0 && (self.pin() == 0 || self.pin() == pod.version())
    }

    /// True when its selector selects this pod of a candidate.
    pub fn selects_green(self, side: usize, pod: Pod) -> bool {
        let slot = self.slot() == 0 || self.slot() == code(side, pod.attempt());
        self.here() == 1 && slot && self.pin() == 0
    }
}

impl State {
    /// A hotfix vanished and left its candidate, and no other comes that would take it away.
    pub fn is_forgotten(&self, side: usize) -> bool {
        self.sides[side].is_left() && !self.sides[1 - side].begins()
    }

    /// Pods that serve behind a Service: the workload's, and each candidate's.
    pub fn serving(&self, service: usize) -> (usize, [usize; SIDES]) {
        let svc = self.prod.services[service];
        let blues = self.prod.blues.iter().filter(|pod| pod.serves() && svc.selects_blue(**pod)).count();
        let mut greens = [0; SIDES];
        for (side, pods) in self.prod.greens.iter().enumerate() {
            greens[side] = pods.iter().filter(|pod| pod.serves() && svc.selects_green(side, **pod)).count();
        }
        (blues, greens)
    }

    /// What the slices of a Service should say.
    pub fn endpoints(&self, service: usize) -> u16 {
        let svc = self.prod.services[service];
        let entry = |at: usize, selected: bool, pod: Pod| -> u16 {
            if selected && pod.life() != ABSENT { (1 + u16::from(pod.serves())) << (2 * at) } else { 0 }
        };
        let mut all = 0;
        for (i, pod) in self.prod.blues.iter().enumerate() {
            all |= entry(i, svc.selects_blue(*pod), *pod);
        }
        for (side, pods) in self.prod.greens.iter().enumerate() {
            for (i, pod) in pods.iter().enumerate() {
                let selected = pod.life() != ABSENT && svc.selects_green(side, *pod);
                all |= entry(BLUES + side * GREENS + i, selected, *pod);
            }
        }
        all
    }
}
