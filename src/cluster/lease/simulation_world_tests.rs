//! The simulated world: a server with one Lease, a network, and processes with clocks of their own. It judges nothing.

use std::collections::BTreeMap;

use super::*;

/// How long there is trouble, and how long there is none afterwards: the latest write of the trouble arrives after ten
/// seconds, and may be a claim of somebody who is gone.
pub const TROUBLE: u64 = 90_000_000;
pub const PEACE: u64 = 20_000_000;

/// Numbers drawn from one seed, by SplitMix64.
struct Dice(u64);

impl Dice {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.draw(n) == 0
    }
}

enum Event {
    /// A process does what is to be done.
    Act(usize),
    /// A call arrives at the server.
    Arrives(usize, Call),
    /// Its answer arrives at the process.
    Answered(usize, Call, Answered),
    /// The process waits for it no longer.
    GivenUp(usize, Call),
    /// The watch shows the Lease as it once was.
    Shown(usize, Option<Record>),
    /// Somebody puts a label on the Lease.
    Touched,
    /// A process is killed.
    Killed(usize),
}

#[derive(Clone)]
struct Call {
    number: u64,
    /// What is written, and when it was sent by the process's own clock; none: it reads.
    write: Option<(Write, Instant)>,
}

enum Answered {
    Read(Option<Record>),
    Written(Answer),
}

struct Process {
    candidate: Candidate,
    epoch: Instant,
    offset: u64,
    /// How many microseconds its clock counts in a thousand.
    rate: u64,
    waits_for: Option<u64>,
    frozen_until: u64,
    /// It was told to end and has stopped to act.
    leaving: bool,
    alive: bool,
}

impl Process {
    fn local(&self, now: u64) -> Instant {
        self.epoch + Duration::from_micros(self.offset + now * self.rate / 1_000)
    }

    fn global(&self, local: Instant) -> u64 {
        let micros = u64::try_from(local.duration_since(self.epoch).as_micros()).unwrap();
        micros.saturating_sub(self.offset) * 1_000 / self.rate
    }
}

/// Somebody's belief to lead, from a moment up to another.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    pub who: usize,
    pub from: u64,
    pub to: u64,
}

pub struct World {
    dice: Dice,
    times: Times,
    epoch: Instant,
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    serial: u64,
    lease: Option<Record>,
    processes: Vec<Process>,
    pub beliefs: Vec<Belief>,
}

impl World {
    pub fn played(seed: u64, candidates: usize, times: Times) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            times,
            epoch: Instant::now(),
            now: 0,
            events: BTreeMap::new(),
            serial: 0,
            lease: None,
            processes: Vec::new(),
            beliefs: Vec::new(),
        };
        for _ in 0..candidates {
            world.begin();
        }
        for _ in 0..10 {
            let (when, whom) = (world.dice.draw(TROUBLE), world.dice.draw(20));
            world.at(when, if whom < 4 { Event::Touched } else { Event::Killed(usize::try_from(whom).unwrap() - 4) });
        }
        while let Some(entry) = world.events.first_entry() {
            world.now = entry.key().0;
            if world.now > TROUBLE + PEACE {
                break;
            }
            let event = entry.remove();
            world.happen(event);
        }
        world
    }

    fn peace(&self) -> bool {
        self.now >= TROUBLE
    }

    fn at(&mut self, when: u64, event: Event) {
        self.serial += 1;
        self.events.insert((when.max(self.now), self.serial), event);
    }

    fn begin(&mut self) {
        let process = self.processes.len();
        self.processes.push(Process {
            candidate: Candidate::new(format!("p{process}"), self.times),
            epoch: self.epoch,
            offset: self.dice.draw(1_000_000_000),
            rate: 850 + self.dice.draw(301),
            waits_for: None,
            frozen_until: 0,
            leaving: false,
            alive: true,
        });
        let start = self.now + self.dice.draw(1_000_000);
        self.at(start, Event::Act(process));
    }

    /// The process is no more, and another comes.
    fn end(&mut self, process: usize) {
        if std::mem::replace(&mut self.processes[process].alive, false) {
            self.cut(process);
            self.begin();
        }
    }

    /// How long something is on its way; none: it never arrives.
    fn travel(&mut self) -> Option<u64> {
        if self.peace() || !self.dice.one_in(4) {
            return Some(500 + self.dice.draw(20_000));
        }
        match self.dice.draw(3) {
            0 => None,
            1 => Some(self.dice.draw(1_500_000)),
            _ => Some(self.dice.draw(10_000_000)),
        }
    }

    fn happen(&mut self, event: Event) {
        // Whatever comes to a frozen process waits for it.
        if let Event::Act(process)
        | Event::Answered(process, ..)
        | Event::GivenUp(process, _)
        | Event::Shown(process, _) = &event
        {
            let Process { alive, frozen_until, .. } = self.processes[*process];
            if !alive {
                return;
            }
            if frozen_until > self.now {
                return self.at(frozen_until, event);
            }
        }
        match event {
            Event::Act(process) => self.act(process),
            Event::Arrives(process, call) => self.arrives(process, call),
            Event::Answered(process, call, answered) => self.answered(process, &call, Some(answered)),
            Event::GivenUp(process, call) => self.answered(process, &call, None),
            Event::Shown(process, record) => {
                let (process_at, now) = (&mut self.processes[process], self.now);
                let local = process_at.local(now);
                process_at.candidate.saw(record, Source::Watch, local);
                if process_at.waits_for.is_none() {
                    self.act(process);
                }
            }
            Event::Touched => {
                let version = self.version();
                if let Some(lease) = &mut self.lease {
                    lease.version = version;
                    self.show();
                }
            }
            Event::Killed(process) => {
                if process < self.processes.len() {
                    self.end(process);
                }
            }
        }
    }

    fn act(&mut self, number: usize) {
        if self.processes[number].leaving {
            return;
        }
        if !self.peace() && self.dice.one_in(100) {
            self.processes[number].frozen_until = self.now + self.dice.draw(10_000_000);
            return self.at(self.now, Event::Act(number));
        }
        self.believe(number);
        let leaves = !self.peace() && self.dice.one_in(60);
        let process = &mut self.processes[number];
        let local = process.local(self.now);
        if process.waits_for.is_some() {
            return;
        }
        if leaves && process.candidate.leads_until().is_some() {
            process.leaving = true;
            let release = process.candidate.release(local);
            self.cut(number);
            return match release {
                Some(write) => self.call(number, Some((write, local))),
                None => self.end(number),
            };
        }
        match process.candidate.step(local) {
            Step::Read => self.call(number, None),
            Step::Write(write) => self.call(number, Some((write, local))),
            Step::Wait(until) => {
                let when = process.global(until) + 1;
                self.at(when, Event::Act(number));
            }
            Step::Stop(_) => self.end(number),
        }
    }

    fn call(&mut self, number: usize, write: Option<(Write, Instant)>) {
        self.serial += 1;
        let call = Call { number: self.serial, write };
        let process = &mut self.processes[number];
        process.waits_for = Some(call.number);
        let limit = process.global(process.local(self.now) + self.times.call) + 1;
        self.at(limit, Event::GivenUp(number, call.clone()));
        if let Some(after) = self.travel() {
            self.at(self.now + after, Event::Arrives(number, call));
        }
    }

    fn version(&mut self) -> String {
        self.serial += 1;
        self.serial.to_string()
    }

    fn arrives(&mut self, process: usize, call: Call) {
        let answered = match &call.write {
            None => Answered::Read(self.lease.clone()),
            Some((write, _)) => Answered::Written(self.written(process, write)),
        };
        if let Some(after) = self.travel() {
            self.at(self.now + after, Event::Answered(process, call, answered));
        }
    }

    fn written(&mut self, process: usize, write: &Write) -> Answer {
        if write.over != self.lease.as_ref().map(|lease| lease.version.clone()) {
            return Answer::Overtaken;
        }
        let version = self.version();
        let me = self.processes[process].candidate.me().to_owned();
        let lease = Record {
            holder: if write.kind == Kind::Free { None } else { Some(me) },
            duration: self.times.announced(),
            renewed: Some(format!("at {version}")),
            transitions: write.transitions,
            version,
        };
        self.lease = Some(lease.clone());
        self.show();
        Answer::Done(lease)
    }

    fn show(&mut self) {
        for process in 0..self.processes.len() {
            let lease = self.lease.clone();
            if let Some(after) = self.travel() {
                self.at(self.now + after, Event::Shown(process, lease));
            }
        }
    }

    fn answered(&mut self, number: usize, call: &Call, answered: Option<Answered>) {
        let process = &mut self.processes[number];
        if process.waits_for != Some(call.number) {
            return;
        }
        process.waits_for = None;
        let local = process.local(self.now);
        match (answered, &call.write) {
            (Some(Answered::Read(record)), _) => process.candidate.saw(record, Source::Read, local),
            (Some(Answered::Written(answer)), Some((write, sent))) => {
                process.candidate.wrote(write.kind, *sent, answer, local);
            }
            (None, Some((write, sent))) => process.candidate.wrote(write.kind, *sent, Answer::Unknown, local),
            (_, None) => process.candidate.failed(local),
        }
        if process.leaving { self.end(number) } else { self.act(number) }
    }

    /// Takes down what a process believes now.
    fn believe(&mut self, number: usize) {
        let (process, now) = (&self.processes[number], self.now);
        let Some(until) = process.candidate.leads_until() else { return self.cut(number) };
        let to = process.global(until);
        if to <= now {
            return;
        }
        match self.beliefs.iter_mut().rev().find(|belief| belief.who == number) {
            Some(belief) if belief.to >= now => belief.to = to,
            _ => self.beliefs.push(Belief { who: number, from: now, to }),
        }
    }

    /// From now on the process believes nothing.
    fn cut(&mut self, number: usize) {
        let now = self.now;
        if let Some(belief) = self.beliefs.iter_mut().rev().find(|belief| belief.who == number) {
            belief.to = belief.to.min(now);
        }
    }
}
