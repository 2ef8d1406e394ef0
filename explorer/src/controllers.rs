//! The controllers of Kubernetes, each as small as a rollout needs it.

use crate::config::{Config, born, should_be_ready};
use crate::state::{ABSENT, BLUES, GREENS, JOBS, Job, LEAVING, LIVE, Pod, Preview, SERVICES, SIDES, State};
use crate::versions::Object;

/// One step of a controller, or of a kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// A pod of the workload comes up.
    BlueUp(u8),
    /// A pod of the workload is made.
    BlueBorn,
    /// A pod of the workload is ended by its Deployment.
    BlueEnds(u8),
    /// The Deployment controller sees blue's spec.
    Sees,
    /// The containers of a candidate's pod are ready.
    GreenUp(u8, u8),
    /// The readiness of a candidate's pod follows its condition.
    GreenReady(u8, u8),
    /// A pod of a candidate is made.
    GreenBorn(u8),
    /// A Service's slices are brought up to date.
    Slices(u8),
    /// What has lost its owner goes, and pods that were leaving are gone.
    Collect(u8),
    /// Something in a namespace that is going is deleted.
    Purge(u8),
}

/// Kinds of [`Control::Collect`], and the place among them of the first pod.
const COLLECTED: u8 = 8;
/// Kinds of [`Control::Purge`].
const PURGED: u8 = 7;

impl State {
    /// What controllers can do now.
    pub fn controls(&self, config: &Config, out: &mut Vec<Control>) {
        self.collectable(out);
        if config.slow && self.blue.here() == 1 && self.blue.seen() == 0 {
            out.push(Control::Sees);
        }
        if config.lag {
            out.extend(
                (0..2)
                    .filter(|at| self.slices[usize::from(*at)] != self.endpoints(usize::from(*at)))
                    .map(Control::Slices),
            );
        }
        self.blue_controls(out);
        for side in 0..SIDES {
            self.green_controls(side, out);
        }
        if self.terminating {
            out.extend((0..PURGED).filter(|what| self.purge(*what).is_some()).map(Control::Purge));
        }
    }

    fn blue_controls(&self, out: &mut Vec<Control>) {
        for (at, pod) in self.prod.blues.iter().enumerate() {
            if pod.life() == LIVE && self.blue.broken() == 0 && (pod.up() == 0 || pod.ready() == 0) {
                out.push(Control::BlueUp(u8::try_from(at).unwrap()));
            }
        }
        if self.blue.here() == 0 {
            return;
        }
        let wanted = usize::from(self.blue.replicas());
        let live = self.prod.blues.iter().filter(|pod| pod.lives());
        let (count, new) =
            (live.clone().count(), live.clone().filter(|pod| pod.version() == self.blue.newest()).count());
        let serving = live.filter(|pod| pod.serves()).count();
        if new < wanted && count < wanted + 1 && !self.terminating && self.free_blue().is_some() {
            out.push(Control::BlueBorn);
        }
        for (at, pod) in self.prod.blues.iter().enumerate().filter(|(_, pod)| pod.lives()) {
            let old = pod.version() != self.blue.newest();
            let spared = serving - usize::from(pod.serves()) >= wanted && (old || new > wanted);
            let sick = !pod.serves() && count > wanted && (old || new > wanted);
            if wanted == 0 || spared || sick {
                out.push(Control::BlueEnds(u8::try_from(at).unwrap()));
            }
        }
    }

    fn free_blue(&self) -> Option<usize> {
        (0..BLUES).find(|at| self.prod.blues[*at].life() == ABSENT && !self.is_listed(*at))
    }

    /// A place is taken only once no slice names the pod that had it.
    fn is_listed(&self, at: usize) -> bool {
        self.slices.iter().any(|slices| slices >> (2 * at) & 3 != 0)
    }

    fn green_controls(&self, side: usize, out: &mut Vec<Control>) {
        let number = u8::try_from(side).unwrap();
        let hung = self.sides[side].green.hung() == 1;
        for (at, pod) in self.prod.greens[side].iter().enumerate().filter(|(_, pod)| pod.lives() && !hung) {
            let at = u8::try_from(at).unwrap();
            if pod.up() == 0 {
                out.push(Control::GreenUp(number, at));
            } else if (pod.ready() == 1) != should_be_ready(*pod, true) {
                out.push(Control::GreenReady(number, at));
            }
        }
        let green = self.sides[side].green;
        let own = self.prod.greens[side].iter().filter(|pod| pod.lives() && pod.inc() == green.inc()).count();
        let wants = green.here() == 1 && own < usize::from(green.replicas()) && !self.terminating;
        if wants && self.free_green(side).is_some() {
            out.push(Control::GreenBorn(number));
        }
    }

    fn free_green(&self, side: usize) -> Option<usize> {
        (0..GREENS)
            .find(|at| self.prod.greens[side][*at].life() == ABSENT && !self.is_listed(BLUES + side * GREENS + at))
    }

    fn collectable(&self, out: &mut Vec<Control>) {
        let all = COLLECTED + u8::try_from(BLUES + SIDES * GREENS).unwrap();
        out.extend((0..all).filter(|what| self.collect(*what).is_some()).map(Control::Collect));
    }

    /// The world after something without an owner was collected; `None` where it has one, or is not there.
    fn collect(&self, what: u8) -> Option<Self> {
        let mut next = *self;
        let side = usize::from(what % 2);
        let hot = self.sides[side].hot;
        // Foreground deletion collects what is owned while our finalizer is still on the owner.
        let orphaned = hot.here() == 0 || hot.deleting() == 2;
        match what / 2 {
            0 if self.sides[side].green.here() & self.sides[side].green.owned() == 1 && orphaned => {
                next.remove_green(side);
            }
            1 if self.prod.previews[side].here() == 1 && orphaned => next.prod.previews[side] = Preview::default(),
            2 if usize::from(self.claim.holder()) == side + 1 && orphaned => next.claim.set_holder(0),
            // A Job has no owner; those of a hotfix that is gone are swept, where nobody else is at it.
            3 if self.sides[side].jobs[JOBS - 1].kind() != 0 && hot.here() == 0 && !self.is_taken_from(side) => {
                next.sides[side].jobs = [Job::default(); JOBS];
            }
            0..=3 => return None,
            _ => return self.collect_pod(usize::from(what - COLLECTED)),
        }
        if orphaned {
            next.vanish(side);
        }
        Some(next)
    }

    /// What this hotfix left is taken away by the other, or will be.
    fn is_taken_from(&self, side: usize) -> bool {
        self.sides[side].is_left() || self.sides[1 - side].mile.takes() == 1
    }

    fn collect_pod(&self, at: usize) -> Option<Self> {
        let mut next = *self;
        let (pod, owned) = match at.checked_sub(BLUES) {
            None => (&mut next.prod.blues[at], self.blue.here() == 1),
            Some(at) => {
                let side = at / GREENS;
                let pod = &mut next.prod.greens[side][at % GREENS];
                let green = self.sides[side].green;
                let owned = green.here() == 1 && green.inc() == pod.inc();
                (pod, owned)
            }
        };
        match pod.life() {
            LIVE if !owned => pod.set_life(LEAVING),
            LEAVING => {
                let mut gone = Pod::default();
                gone.set_gen(pod.gen_());
                *pod = gone;
            }
            _ => return None,
        }
        if let Some(at) = at.checked_sub(BLUES) {
            next.touch(Object::Pod(at / GREENS, at % GREENS));
        }
        Some(next)
    }

    fn purge(&self, what: u8) -> Option<Self> {
        let mut next = *self;
        let side = usize::from(what % 2);
        match what / 2 {
            0 if self.sides[side].hot.here() == 1 && self.sides[side].hot.deleting() == 0 => {
                next.sides[side].hot.set_deleting(1);
                next.touch(Object::Hotfix(side));
                next.vanish(side);
            }
            1 if self.sides[side].green.here() == 1 => next.remove_green(side),
            2 if self.prod.services[side].here() == 1 || self.prod.previews[side].here() == 1 => {
                next.prod.services[side] = crate::state::Svc::default();
                next.prod.previews[side] = Preview::default();
                next.touch(Object::Service(side));
            }
            3 if self.blue.here() == 1 || self.claim.holder() != 0 => {
                next.blue = crate::state::Blue::default();
                next.claim.set_holder(0);
                next.sides.iter_mut().for_each(|side| side.report = 0);
                next.touch(Object::Blue);
                (0..SIDES).for_each(|side| next.touch(Object::Report(side)));
            }
            _ => return None,
        }
        Some(next)
    }

    /// The world after a step of a controller.
    #[must_use]
    pub fn control(&self, control: Control) -> Self {
        let mut next = *self;
        match control {
            Control::BlueUp(at) => {
                let pod = &mut next.prod.blues[usize::from(at)];
                pod.set_up(1);
                pod.set_ready(1);
            }
            Control::BlueBorn => {
                let at = self.free_blue().expect("a free place");
                next.prod.blues[at] = born(self.prod.blues[at], self.blue.newest());
            }
            Control::BlueEnds(at) => next.prod.blues[usize::from(at)].set_life(LEAVING),
            Control::Sees => next.see(),
            Control::GreenUp(side, at) | Control::GreenReady(side, at) => {
                let (side, at) = (usize::from(side), usize::from(at));
                let pod = &mut next.prod.greens[side][at];
                if matches!(control, Control::GreenUp(..)) {
                    pod.set_up(1);
                } else {
                    pod.set_ready(u8::from(should_be_ready(*pod, true)));
                    pod.set_late(0);
                }
                next.touch(Object::Pod(side, at));
            }
            Control::GreenBorn(side) => next.bear(usize::from(side), false, crate::names::wanted(side.into())),
            Control::Slices(at) => next.slices[usize::from(at)] = self.endpoints(usize::from(at)),
            Control::Collect(what) => next = self.collect(what).expect("something to collect"),
            Control::Purge(what) => next = self.purge(what).expect("something to delete"),
        }
        next
    }

    fn see(&mut self) {
        self.blue.set_seen(1);
        self.blue.set_newest(self.blue.template());
        self.touch(Object::Blue);
    }

    /// A pod of a candidate is made.
    pub fn bear(&mut self, side: usize, bare: bool, version: u8) {
        let at = self.free_green(side).expect("a free place");
        let green = self.sides[side].green;
        let mut pod = born(self.prod.greens[side][at], version);
        pod.set_inc(green.inc());
        pod.set_attempt(green.attempt());
        pod.set_bare(u8::from(bare));
        self.prod.greens[side][at] = pod;
        self.touch(Object::Pod(side, at));
        for replica in &mut self.replicas {
            let found = &mut replica.found[side];
            if at == 0 { found.set_probe0(0) } else { found.set_probe1(0) }
        }
    }

    /// True when a pod of a candidate can be made.
    pub fn can_bear(&self, side: usize) -> bool {
        let mut controls = Vec::new();
        self.green_controls(side, &mut controls);
        controls.contains(&Control::GreenBorn(u8::try_from(side).unwrap()))
    }

    /// Does at once what this world does not take steps for, and forgets numbers that nobody holds any more.
    pub fn settle(&mut self, config: &Config) {
        if !config.slow {
            let mut all = Vec::new();
            loop {
                all.clear();
                self.collectable(&mut all);
                match all.first() {
                    Some(control) => *self = self.control(*control),
                    None if self.blue.here() == 1 && self.blue.seen() == 0 => self.see(),
                    None => break,
                }
            }
        }
        if !config.lag {
            for at in 0..SERVICES {
                self.slices[at] = self.endpoints(at);
            }
        }
        let quiet = self.flights.iter().all(crate::act::Act::is_none);
        if quiet && self.replicas.iter().all(|replica| replica.stage == 0) {
            self.claim.set_inc(0);
            for pod in self.prod.blues.iter_mut().chain(self.prod.greens.iter_mut().flatten()) {
                pod.set_gen(0);
            }
            for (side, preview) in self.sides.iter_mut().zip(&mut self.prod.previews) {
                preview.set_inc(0);
                side.green.set_next_preview(preview.here());
            }
        }
    }
}
