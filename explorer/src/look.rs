//! A replica looks: what each of its reads sees, and what it decides after the last.

use securityhotfix::api::Outcome;

use crate::act::{self, Act, Kind};
use crate::apply::Stepped;
use crate::config::{Config, H, P, R, S, V, W};
use crate::decided::Memory;
use crate::intern::outcome;
use crate::moves::small;
use crate::picture::{Rest, Stray, View};
use crate::state::{ABSENT, BLUES, GREENS, Green, Mile, Replica, SERVICES, SIDES, Side, State};
use crate::versions::Object;

impl State {
    /// The next read of a replica, and its decision after the last.
    pub(crate) fn read(&self, at: usize, config: &Config, memory: &mut Memory<'_>, stepped: &mut Stepped) {
        let order = memory.mutant().order.unwrap_or(config.order);
        let replica = &mut stepped.state.replicas[at];
        let parts = order[usize::from(replica.stage)];
        let side = usize::from(replica.side);
        replica.stage += 1;
        if parts & S != 0 {
            replica.prod.services = self.prod.services;
            replica.prod.previews = self.prod.previews;
            (0..SERVICES).for_each(|at| replica.fresh |= Object::Service(at).bit());
        }
        if parts & P != 0 {
            replica.prod.blues = self.prod.blues;
            replica.prod.greens = self.prod.greens;
            let pods = (0..SIDES).flat_map(|side| (0..GREENS).map(move |at| Object::Pod(side, at)));
            pods.for_each(|pod| replica.fresh |= pod.bit());
        }
        if parts & V != 0 {
            replica.fresh |= Object::Hotfix(side).bit();
        }
        let changed = |at: usize| replica.fresh & Object::Service(at).bit() == 0;
        if parts & W != 0 && (0..SERVICES).any(changed) {
            stepped.state.idle(at);
            return;
        }
        if parts & H != 0 {
            let checks = order.iter().any(|parts| parts & V != 0);
            if self.sides[side].hot.here() == 0 || checks && replica.fresh & Object::Hotfix(side).bit() == 0 {
                stepped.state.idle(at);
                return;
            }
            replica.hot = self.sides[side].hot;
            replica.status = self.sides[side].status;
            replica.fresh |= Object::Hotfix(side).bit();
        }
        if parts & R == 0 {
            return;
        }
        let mile = memory.intern().mile_of(replica.status);
        replica.found[side].look(mile.converged() == 1);
        let replica = *replica;
        let view = self.view(&replica, config, memory);
        let answer = memory.answer(&view);
        stepped.broken.extend(answer.broken.iter().cloned());
        let found = &mut stepped.state.replicas[at].found[side];
        if !answer.broken.is_empty() && memory.mutant().name.is_empty() {
            // Production refuses such a write.
            stepped.state.idle(at);
            return;
        }
        found.set_wants(answer.wants);
        if answer.acts.is_empty() {
            stepped.state.idle(at);
            return;
        }
        let next = &mut stepped.state.replicas[at];
        for (place, act) in answer.acts.iter().enumerate() {
            next.acts[place] = with_freshness(*act, &replica);
        }
        // Only what is to be written is still needed of the picture.
        let order = u8::try_from(order.len()).unwrap();
        let acts = next.acts;
        *next = Replica { stage: order, side: replica.side, acts, found: next.found, ..Replica::default() };
    }

    /// The picture a replica has, with the rest as it is.
    fn view(&self, replica: &Replica, config: &Config, memory: &Memory<'_>) -> View {
        let side = usize::from(replica.side);
        let mut prod = replica.prod;
        let mut others = 0;
        let pods = prod.blues.iter_mut().chain(prod.greens.iter_mut().flatten());
        let now = self.prod.blues.iter().chain(self.prod.greens.iter().flatten());
        for (at, (pod, now)) in pods.zip(now).enumerate() {
            others |= u8::from(pod.gen_() != now.gen_() || (pod.life() == ABSENT) != (now.life() == ABSENT)) << at;
            pod.set_gen(0);
            if pod.life() == ABSENT {
                *pod = crate::state::Pod::default();
            }
        }
        for svc in &mut prod.services {
            svc.set_owners(0);
        }
        for (other, preview) in prod.previews.iter_mut().enumerate() {
            if other != side {
                *preview = crate::state::Preview::default();
            }
        }
        let mut hot = replica.hot;
        hot.set_switched0(0);
        hot.set_switched1(0);
        hot.set_gen(self.sides[side].hot.gen_());
        let again = memory.intern().mile_of(replica.status).reassert();
        let same = again > 0
            && hot.again() == 1
            && replica.fresh & Object::Service(usize::from(again) - 1).bit() != 0
            && self.sides[side].hot.again() == 1;
        hot.set_again(u8::from(same));
        View {
            side: replica.side,
            prod,
            hot,
            status: replica.status,
            rest: self.rest(side, others, config, replica, memory),
        }
    }

    /// What the other hotfix left, where it is gone and this one would look for it.
    fn stray(&self, side: usize, replica: &Replica, mile: Mile) -> Stray {
        let Side { hot, green, jobs, report, .. } = self.sides[1 - side];
        let begins = mile.outcome() == outcome(Outcome::Restarted) || replica.hot.retry() == 1;
        let matters = match (mile.attempt(), mile.finished()) {
            (0, _) => true,
            (_, 1) => begins,
            _ => mile.promoting() == 0 && mile.latched() == 0,
        };
        let mut stray = Stray::default();
        if hot.here() == 1 {
            return stray;
        }
        if matters && green.here() == 1 {
            stray.green = told(green);
        }
        if stray.green.here() == 1 || mile.takes() == 1 {
            stray.jobs = jobs;
        }
        if mile.takes() == 1 {
            stray.report = report;
        }
        stray
    }

    fn rest(&self, side: usize, others: u8, config: &Config, replica: &Replica, memory: &Memory<'_>) -> Rest {
        let mut sets = 0;
        for pod in self.prod.blues.iter().filter(|pod| pod.lives()) {
            sets |= 1 << pod.version();
        }
        let green = told(self.sides[side].green);
        let mut alive = 0;
        for (other, found) in self.sides.iter().enumerate().filter(|(other, _)| *other != side) {
            alive |= u8::from(found.alive()) << other | found.hot.here() << (4 + other);
        }
        let mut found = replica.found[side];
        found.set_wants(0);
        let mile = memory.intern().mile_of(replica.status);
        found.rehearse(mile.attempt(), found.rehearsal(mile.attempt()));
        let serves = mile.serves();
        if serves {
            // Whoever has not looked yet will have looked from now on.
            found.look(true);
        } else {
            found.set_watch(0);
            found.set_soaked(0);
        }
        let listed = self.slices[0] | self.slices[1];
        let mut blue = self.blue;
        blue.set_broken(0);
        Rest {
            terminating: self.terminating,
            claim: self.claim,
            blue,
            sets,
            green,
            stray: self.stray(side, replica, mile),
            alive,
            report: self.sides[side].report,
            slices: self.slices,
            others: (0..BLUES + SIDES * GREENS)
                .filter(|at| listed >> (2 * at) & 3 != 0)
                .fold(0, |all, at| all | others & 1 << at),
            jobs: self.sides[side].jobs,
            clocks: self.sides[side].clocks,
            found,
            tests: config.tests,
            unguided: self.unguided && serves,
        }
    }

    /// What the leader would see if it read everything now.
    pub fn view_now(&self, side: usize, config: &Config, memory: &Memory<'_>) -> View {
        let mut replica = self.replicas[0];
        replica.side = small(side);
        replica.prod = self.prod;
        replica.hot = self.sides[side].hot;
        replica.status = self.sides[side].status;
        replica.fresh = u16::MAX;
        self.view(&replica, config, memory)
    }
}

/// A candidate without what the planner cannot see.
fn told(mut green: Green) -> Green {
    green.set_next(0);
    green.set_next_preview(0);
    green.set_hung(0);
    green.set_gone(0);
    green
}

/// A write with what is still fresh of what it was decided on.
fn with_freshness(mut act: Act, replica: &Replica) -> Act {
    let fresh = Object::of(&act).is_some_and(|object| object.bit() == 0 || replica.fresh & object.bit() != 0);
    act.flags |= if fresh { act::FRESH } else { 0 };
    if act.kind == Kind::Record && act.flags & act::AGAIN != 0 {
        let service = Object::Service(usize::from(act.at) - 1);
        act.flags |= if replica.fresh & service.bit() != 0 { act::AGAIN_FRESH } else { 0 };
    }
    if matches!(act.kind, Kind::Open | Kind::Close) {
        act.data = u32::from(replica.prod.greens[usize::from(act.side)][usize::from(act.at)].gen_());
    }
    act
}
