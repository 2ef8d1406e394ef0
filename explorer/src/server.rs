//! The API server: every write of the model, carried out with its real precondition.

use crate::act::{self, Act, Kind};
use crate::intern::Intern;
use crate::mutants::Mutant;
use crate::state::{
    ABSENT, CLOSED, Claim, Clocks, Green, Hot, Job, LEFT, LIVE, Mile, OPEN, Preview, Prod, Side, State, TAKEN, VANISHED,
};
use crate::versions::Object;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Done,
    /// Something it relied on has changed.
    Conflict,
    /// There is nothing to write to any more.
    Gone,
    /// It is there already.
    Exists,
}

impl State {
    /// Carries out a write.
    pub fn write(&mut self, act: &Act, intern: &Intern, mutant: &Mutant) -> Written {
        let ignores = mutant.ignores.is_some_and(|ignores| ignores(act));
        let fresh = act.is_fresh() || ignores;
        let side = usize::from(act.side);
        let written = match act.kind {
            Kind::None => unreachable!("an empty place is never written"),
            Kind::Record | Kind::AddFinalizer | Kind::RemoveFinalizer => self.write_hotfix(*act, fresh, intern),
            Kind::Claim => self.write_claim(*act),
            Kind::Unclaim if self.claim.holder() == 0 => Written::Gone,
            Kind::Unclaim if u32::from(self.claim.inc()) != act.data && !ignores => Written::Conflict,
            Kind::Unclaim => {
                self.claim.set_holder(0);
                Written::Done
            }
            Kind::OpenReport if self.terminating => Written::Gone,
            Kind::OpenReport if self.sides[side].report != 0 => Written::Exists,
            Kind::WriteReport if self.sides[side].report == 0 => Written::Gone,
            Kind::WriteReport if !fresh => Written::Conflict,
            Kind::OpenReport | Kind::WriteReport => {
                // That of one that is gone is written once, to close it, and nobody reads it again.
                let ends = act.kind == Kind::WriteReport && self.sides[side].green.gone() != 0;
                self.sides[side].report = if ends { 0 } else { act.data };
                self.touch(Object::Report(side));
                Written::Done
            }
            Kind::CreateJob => self.create_job(side, act.job()),
            Kind::DeleteJob => self.delete_job(side, act.job()),
            Kind::CreateGreen | Kind::ResizeGreen | Kind::DeleteGreen => self.write_green(*act, fresh, ignores),
            Kind::CreatePreview | Kind::DeletePreview => self.write_preview(*act, ignores),
            Kind::Hold | Kind::Switch | Kind::Seal | Kind::Unpin | Kind::Unmark => {
                self.write_service(*act, fresh, ignores)
            }
            Kind::Open | Kind::Close => self.write_pod(*act, fresh),
            Kind::FoldBack | Kind::Disown => self.write_blue(*act, fresh),
        };
        if written == Written::Done
            && let Some(effect) = mutant.effects
        {
            effect(self, act);
        }
        written
    }

    fn write_hotfix(&mut self, act: Act, fresh: bool, intern: &Intern) -> Written {
        let at = usize::from(act.side);
        let side = &mut self.sides[at];
        if side.hot.here() == 0 {
            return Written::Gone;
        }
        if !fresh {
            return Written::Conflict;
        }
        match act.kind {
            Kind::AddFinalizer if side.hot.deleting() > 0 => return Written::Conflict,
            Kind::AddFinalizer => side.hot.set_finalizer(1),
            Kind::RemoveFinalizer => side.hot.set_finalizer(0),
            _ => {
                let before = side.mile;
                side.record(act, intern.mile_of(act.data));
                self.recorded(at, act, before);
            }
        }
        self.touch(Object::Hotfix(at));
        self.vanish(at);
        Written::Done
    }

    /// What the replicas know of the soak after a record.
    fn recorded(&mut self, at: usize, act: Act, before: Mile) {
        let mile = self.sides[at].mile;
        let other = &mut self.sides[1 - at];
        if mile.returned() > before.returned() && other.is_left() {
            other.green.set_gone(TAKEN);
            // By its candidate's labels alone is the name known, and by that alone its record.
            other.report = if mile.named() == 1 { other.report } else { 0 };
        }
        let serves = mile.serves();
        if before.converged() == 0 && serves && act.flags & act::ANOTHERS != 0 {
            // Another decided so before this one began to look.
            let found = &mut self.replicas[0].found[at];
            found.set_watch(found.watch().min(1));
        }
        for found in self.replicas.iter_mut().map(|replica| &mut replica.found[at]).filter(|_| !serves) {
            // What it looks at next it looks at from the beginning.
            found.set_watch(if found.watch() == 0 { 0 } else { 2 });
        }
        if !serves || mile.unchecked() != before.unchecked() {
            self.replicas.iter_mut().for_each(|replica| replica.found[at].set_soaked(0));
        }
    }

    /// A hotfix goes without its way out. Its record stays: nobody owns it who is there.
    pub fn vanish_by_hand(&mut self, at: usize) {
        let side = &mut self.sides[at];
        side.green.set_gone(if side.mile.promoting() == 1 { LEFT } else { VANISHED });
        self.leave(at);
    }

    /// A hotfix that is being deleted goes when nothing holds it.
    pub fn vanish(&mut self, at: usize) {
        let Side { hot, green, .. } = self.sides[at];
        let preview = self.prod.previews[at];
        let dependents = green.here() & green.owned() == 1 || preview.here() == 1;
        let waits = hot.finalizer() == 1 || hot.deleting() == 2 && dependents;
        if hot.here() == 0 || hot.deleting() == 0 || waits {
            return;
        }
        self.sides[at].report = 0;
        self.touch(Object::Report(at));
        self.leave(at);
    }

    fn leave(&mut self, at: usize) {
        let side = &mut self.sides[at];
        (side.hot, side.status, side.mile, side.clocks) = (Hot::default(), 0, Mile::default(), Clocks::default());
        for replica in &mut self.replicas {
            replica.found[at] = crate::state::Found::default();
        }
        self.touch(Object::Hotfix(at));
    }

    fn write_claim(&mut self, act: Act) -> Written {
        if self.terminating {
            return Written::Gone;
        }
        if self.claim.holder() != 0 {
            return Written::Exists;
        }
        self.claim = Claim(((self.claim.inc() + 1) % 4) << 2 | (act.side + 1));
        Written::Done
    }

    fn create_job(&mut self, side: usize, job: Job) -> Written {
        let jobs = &mut self.sides[side].jobs;
        if jobs.iter().any(|known| known.0 >> 3 == job.0 >> 3) {
            return Written::Exists;
        }
        assert!(jobs[0].kind() == 0, "more Jobs than can be represented");
        jobs[0] = job;
        jobs.sort_unstable();
        Written::Done
    }

    fn delete_job(&mut self, side: usize, job: Job) -> Written {
        let jobs = &mut self.sides[side].jobs;
        let Some(found) = jobs.iter_mut().find(|known| known.kind() != 0 && known.0 >> 3 == job.0 >> 3) else {
            return Written::Gone;
        };
        *found = Job::default();
        jobs.sort_unstable();
        Written::Done
    }

    fn write_green(&mut self, act: Act, fresh: bool, ignores: bool) -> Written {
        let at = usize::from(act.side);
        let terminating = self.terminating;
        let green = &mut self.sides[at].green;
        let same = u32::from(green.inc()) == act.data & 3;
        match act.kind {
            Kind::CreateGreen if terminating => return Written::Gone,
            Kind::CreateGreen if green.here() == 1 => return Written::Exists,
            Kind::CreateGreen => {
                let mut made = Green::default();
                made.set_here(1);
                made.set_inc(green.next());
                made.set_owned(1);
                made.set_attempt(act.at);
                made.set_replicas(u8::try_from(act.data).unwrap());
                made.set_next((green.next() + 1) % 4);
                made.set_next_preview(green.next_preview());
                made.set_gone(green.gone());
                *green = made;
            }
            _ if green.here() == 0 => return Written::Gone,
            Kind::ResizeGreen if !fresh || !same => return Written::Conflict,
            Kind::ResizeGreen => {
                green.set_replicas(u8::try_from(act.data >> 2 & 3).unwrap());
                if act.data >> 4 == 1 {
                    green.set_owned(0);
                }
            }
            _ if !same && !ignores => return Written::Conflict,
            _ => self.remove_green(at),
        }
        self.touch(Object::Green(at));
        Written::Done
    }

    /// The candidate goes; its pods are collected after it.
    pub fn remove_green(&mut self, at: usize) {
        let green = &mut self.sides[at].green;
        let mut gone = Green::default();
        gone.set_next(green.next());
        gone.set_next_preview(green.next_preview());
        gone.set_gone(green.gone());
        *green = gone;
        self.touch(Object::Green(at));
    }

    fn write_preview(&mut self, act: Act, ignores: bool) -> Written {
        let at = usize::from(act.side);
        let (here, inc) = (self.prod.previews[at].here() == 1, self.prod.previews[at].inc());
        match act.kind {
            Kind::CreatePreview if self.terminating => Written::Gone,
            Kind::CreatePreview if here => Written::Exists,
            Kind::CreatePreview => {
                let next = self.sides[at].green.next_preview();
                let mut made = Preview::default();
                made.set_here(1);
                made.set_inc(next);
                made.set_attempt(act.at);
                self.prod.previews[at] = made;
                self.sides[at].green.set_next_preview((next + 1) % 4);
                Written::Done
            }
            _ if !here => Written::Gone,
            _ if inc != act.preview().inc() && !ignores => Written::Conflict,
            _ => {
                self.prod.previews[at] = Preview::default();
                Written::Done
            }
        }
    }

    fn write_service(&mut self, act: Act, fresh: bool, ignores: bool) -> Written {
        let at = usize::from(act.at);
        let svc = &mut self.prod.services[at];
        if svc.here() == 0 {
            return Written::Gone;
        }
        let (seen, to) = act.service();
        let selector = |svc: crate::state::Svc| (svc.variant(), svc.slot(), svc.pin());
        let fits = match act.kind {
            Kind::Switch | Kind::Seal | Kind::Unmark => selector(*svc) == selector(seen) && svc.mark() == seen.mark(),
            _ => selector(*svc) == selector(seen),
        };
        if !(ignores || fresh && fits) {
            return Written::Conflict;
        }
        if matches!(act.kind, Kind::Hold | Kind::Seal | Kind::Unmark) {
            svc.set_mark(to.mark());
        }
        if act.kind == Kind::Unmark {
            svc.set_ours(to.ours());
            svc.set_wrote(to.wrote());
        } else {
            svc.set_ours(1);
        }
        if matches!(act.kind, Kind::Switch | Kind::Seal | Kind::Unpin) {
            svc.set_variant(to.variant());
            svc.set_slot(to.slot());
            svc.set_pin(to.pin());
            svc.set_theirs(0);
            svc.set_wrote(1);
        }
        svc.set_newer(0);
        if act.kind == Kind::Switch {
            self.sides[usize::from(act.side)].hot.count_switch(at);
        }
        self.touch(Object::Service(at));
        Written::Done
    }

    fn write_pod(&mut self, act: Act, fresh: bool) -> Written {
        let (side, at) = (usize::from(act.side), usize::from(act.at));
        let pod = &mut self.prod.greens[side][at];
        if pod.life() == ABSENT || u32::from(pod.gen_()) != act.data {
            return Written::Gone;
        }
        if !fresh {
            return Written::Conflict;
        }
        pod.set_open(if act.kind == Kind::Open { OPEN } else { CLOSED });
        if act.kind == Kind::Close {
            pod.set_ready(0);
        } else {
            // What the pods may take is counted from the last of them.
            self.sides[side].clocks.set_opening(0);
        }
        self.touch(Object::Pod(side, at));
        Written::Done
    }

    fn write_blue(&mut self, act: Act, fresh: bool) -> Written {
        if self.blue.here() == 0 {
            return Written::Gone;
        }
        if !fresh {
            return Written::Conflict;
        }
        if act.kind == Kind::Disown {
            self.blue.set_ours(0);
            self.touch(Object::Blue);
            return Written::Done;
        }
        if u32::from(self.blue.template()) != act.data & 3 {
            return Written::Conflict;
        }
        self.blue.set_template(u8::try_from(act.data >> 2).unwrap());
        self.blue.set_seen(0);
        self.blue.set_ours(1);
        self.blue.set_theirs(0);
        self.blue_changed();
        Written::Done
    }
}

impl Side {
    /// A status is recorded.
    fn record(&mut self, act: Act, mile: Mile) {
        let before = self.mile;
        self.status = act.data;
        self.mile = mile;
        let mut clocks = self.clocks;
        if before.attempt() != mile.attempt() || mile.latched() > before.latched() {
            clocks = Clocks::default();
        }
        let step = |mile: Mile| (mile.scanned(), mile.staged(), mile.analyzed(), mile.promoting(), mile.converged());
        if step(before) != step(mile) {
            clocks.set_staging(0);
        }
        if mile.converged() == 1 {
            clocks.set_opening(0);
            clocks.set_converge(0);
        }
        if mile.unchecked() != 1 || !mile.serves() {
            clocks.set_unchecked(0);
        }
        if mile.returned() == 0 && (mile.drained() == 0 || mile.finished() == 1) {
            clocks.set_drain(0);
        }
        if mile.verified() == 0 || mile.finished() == 1 {
            clocks.set_slow(0);
        }
        self.clocks = clocks;
        if act.flags & act::ANNOUNCES != 0 {
            self.hot.set_gen(act.generations());
        }
        if mile.folds() == 0 {
            self.hot.set_gen(0);
        }
        if act.flags & act::AGAIN != 0 {
            self.hot.set_again(u8::from(act.flags & act::AGAIN_FRESH != 0));
        }
        if mile.reassert() == 0 {
            self.hot.set_again(0);
        }
        if before.attempt() != mile.attempt() {
            self.hot.set_switched0(0);
            self.hot.set_switched1(0);
        }
    }
}

impl Prod {
    /// The pods of a candidate that live.
    pub fn living(&self, side: usize) -> usize {
        self.greens[side].iter().filter(|pod| pod.life() == LIVE).count()
    }
}
