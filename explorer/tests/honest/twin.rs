//! The model and the cluster of the golden stories, side by side: whatever happens, happens to both.

use hotfix_explorer::config::{Config, env};
use hotfix_explorer::decided::Memory;
use hotfix_explorer::fair::{self, Fair};
use hotfix_explorer::intern::now;
use hotfix_explorer::moves::{Answer, Move};
use hotfix_explorer::picture::picture;
use hotfix_explorer::server::Written;
use hotfix_explorer::state::{LIVE, Replica, SIDES, State};
use securityhotfix::plan::{Action, decide};

use crate::cluster::{self, HOTFIXES};
use crate::words;
use crate::world::operator::{Did, Stage};
use crate::world::{self, Operator, World};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The leader looks at a hotfix, and decides.
    Look(usize),
    /// The leader makes its next write.
    Write,
    /// The one that lost its lease makes its next write.
    Zombie,
    /// It notices.
    Forget,
    /// Every controller does all it can.
    Settle,
    /// Everything that was asked is answered, badly or well.
    Answer(usize, bool),
    /// A check ends.
    Job(usize, usize, u8),
    /// Time passes, as nothing else does.
    Time(Move),
    /// The leader dies.
    Crash,
    /// The leader's next write is given up, and may arrive later.
    Delay,
    /// It arrives.
    Land,
    /// Another leads.
    Lead,
    /// People, tools or nodes do something.
    People(u64, u8),
}

/// Both worlds.
pub struct Twin<'a> {
    config: Config,
    memory: Memory<'a>,
    pub state: State,
    pub world: World,
    late: Option<(usize, Action)>,
    zombie: Option<(usize, Operator)>,
    /// What has happened, for people.
    pub told: Vec<String>,
    /// How many writes were compared.
    pub writes: usize,
}

impl<'a> Twin<'a> {
    /// Both at the beginning of a world.
    pub fn new(config: &Config, memory: Memory<'a>) -> Self {
        let mut state = config.beginning();
        state.settle(config);
        (state.faults, state.moves) = (100, 100);
        let world = cluster::beginning(config);
        Self { config: *config, memory, state, world, late: None, zombie: None, told: Vec::new(), writes: 0 }
    }

    /// What fairly happens next; `None` at rest.
    pub fn fair(&mut self) -> Option<Turn> {
        let replica = self.state.replicas[0];
        if self.late.is_some() {
            return Some(Turn::Land);
        }
        if self.state.replicas[1].stage > 0 {
            return Some(Turn::Forget);
        }
        if replica.stage > 0 {
            return Some(Turn::Write);
        }
        let mut controls = Vec::new();
        self.state.controls(&self.config, &mut controls);
        if !controls.is_empty() {
            return Some(Turn::Settle);
        }
        match fair::next(&self.state, &self.config, &mut self.memory) {
            Fair::Move(Move::Job(side, at, how)) => Some(Turn::Job(side.into(), at.into(), how)),
            Fair::Move(Move::Answer(side, _)) => Some(Turn::Answer(side.into(), false)),
            Fair::Move(Move::Look(side)) => Some(Turn::Look(side.into())),
            Fair::Move(other) => panic!("{other} is left"),
            Fair::Time(Move::Env(what, at)) => Some(Turn::People(what, at)),
            Fair::Time(mv) => Some(Turn::Time(mv)),
            Fair::Rest => None,
        }
    }

    /// What else may happen, if the dice say so.
    pub fn others(&mut self) -> Vec<Turn> {
        let mut turns = Vec::new();
        let replica = self.state.replicas[0];
        let mut moves = Vec::new();
        self.state.moves(&self.config, &self.memory, false, &mut moves);
        let looks = replica.stage == 0;
        turns.extend((0..SIDES).filter(|side| looks && self.state.sides[*side].hot.here() == 1).map(Turn::Look));
        if replica.stage > 0 {
            turns.push(Turn::Lead);
            turns.push(Turn::Crash);
            let fresh = moves.contains(&Move::Delay(0));
            turns.extend((self.late.is_none() && fresh).then_some(Turn::Delay));
        }
        if self.state.replicas[1].stage > 0 {
            turns.push(Turn::Zombie);
        }
        for mv in moves {
            match mv {
                Move::Job(side, at, how @ 2..=3) => turns.push(Turn::Job(side.into(), at.into(), how)),
                Move::Answer(side, Answer::Badly) => turns.push(Turn::Answer(side.into(), true)),
                Move::Env(what, at) => turns.push(Turn::People(what, at)),
                _ => {}
            }
        }
        turns
    }

    /// The other hotfix has an attempt of its own.
    pub fn other_begins(&self) -> bool {
        self.state.sides[1].mile.attempt() > 0
    }

    /// It happens to both, and both are compared.
    ///
    /// # Panics
    ///
    /// When they differ.
    pub fn happen(&mut self, turn: Turn) {
        self.told.push(format!("{turn:?}"));
        match turn {
            Turn::Look(side) => self.look(side),
            Turn::Write => {
                let side = usize::from(self.state.replicas[0].side);
                self.write(0, side);
            }
            Turn::Zombie => {
                let (side, zombie) = self.zombie.take().expect("a replica without its lease");
                let leader = std::mem::replace(self.operator(side), zombie);
                self.write(1, side);
                let zombie = std::mem::replace(self.operator(side), leader);
                self.zombie = matches!(zombie.stage, Stage::Acting(..)).then_some((side, zombie));
            }
            Turn::Forget => {
                self.model(Move::Forget);
                self.zombie = None;
            }
            Turn::Settle => self.settle(),
            Turn::Answer(_, badly) => self.answer(badly),
            Turn::Job(side, at, how) => {
                let job = self.state.sides[side].jobs[at];
                self.model(Move::Job(small(side), small(at), how));
                self.world.end_job(side, job.kind(), job.run(), how);
            }
            Turn::Time(mv) => {
                let Move::Clock(_, clock, _) = mv else { panic!("{mv} is no moment") };
                self.model(mv);
                self.world.pass(clock);
            }
            Turn::Crash => {
                self.model(Move::Crash);
                self.world.crash();
                // Whoever comes next begins to look later than it.
                self.world.wait(1);
            }
            Turn::Delay => {
                let side = usize::from(self.state.replicas[0].side);
                self.model(Move::Delay(0));
                self.late = Some((side, self.world.give_up(HOTFIXES[side])));
            }
            Turn::Land => self.land(),
            Turn::Lead => {
                let side = usize::from(self.state.replicas[0].side);
                self.model(Move::Lead);
                let operator = self.world.take_over(HOTFIXES[side]);
                // One leads them all: what it knows of the other hotfix is gone with it.
                self.world.take_over_others(side);
                self.world.wait(1);
                self.zombie = Some((side, operator));
            }
            Turn::People(what, at) => {
                let like = self.like(what, usize::from(at));
                self.model(Move::Env(what, at));
                // managedFields tell who was last by the second.
                self.world.wait(1);
                self.world.people(what, usize::from(at), like);
                self.world.wait(1);
            }
        }
        cluster::at_once(&mut self.world);
        // Which ReplicaSet is the newest, the model knows at once.
        if let Turn::People(env::REDEPLOY | env::REVERT_IMAGE | env::ZERO | env::SCALE, _) = turn {
            self.settle();
        }
        self.compare();
    }

    fn operator(&mut self, side: usize) -> &mut Operator {
        self.world.operators.get_mut(HOTFIXES[side]).expect("an operator for each hotfix")
    }

    fn model(&mut self, mv: Move) -> Option<Written> {
        let stepped = self.state.apply(mv, &self.config, &mut self.memory);
        assert!(stepped.broken.is_empty(), "{:?}\n{}", stepped.broken, self.told.join("\n"));
        self.state = stepped.state;
        stepped.wrote.map(|(_, written)| written)
    }

    fn look(&mut self, side: usize) {
        let view = self.state.view_now(side, &self.config, &self.memory);
        let decision = decide(&picture(&view, self.memory.intern()), now());
        self.model(Move::Look(small(side)));
        while self.state.replicas[0].stage > 0 && self.state.replicas[0].acts[0].is_none() {
            self.model(Move::Step(0));
        }
        let decided = self.world.look(HOTFIXES[side]);
        let words = |actions: &[Action]| {
            let mut words: Vec<String> = actions.iter().map(words::action).collect();
            words.sort();
            words
        };
        let (model, cluster) = (words(&decision.actions), words(&decided));
        assert_eq!(model, cluster, "the model (left) and the cluster decide otherwise\n{}", self.told.join("\n"));
        self.told.extend(model.iter().map(|word| format!("    {word}")));
    }

    fn write(&mut self, replica: u8, side: usize) {
        let written = self.model(Move::Step(replica)).expect("a write");
        let Did::Wrote(action, done, _) = self.world.step_operator(HOTFIXES[side]) else { panic!("a write") };
        self.wrote(written, done, &action);
    }

    fn wrote(&mut self, model: Written, cluster: world::api::Written, action: &Action) {
        let cluster = match cluster {
            world::api::Written::Done => Written::Done,
            world::api::Written::Gone | world::api::Written::Terminating => Written::Gone,
            world::api::Written::Conflict => Written::Conflict,
            world::api::Written::Exists => Written::Exists,
        };
        self.writes += 1;
        self.told.push(format!("    {} ... {cluster:?}", action.name()));
        let refused = |written| written == Written::Gone || written == Written::Conflict;
        // The record outlives its hotfix, and nobody looks at it any more: the model forgets it.
        let outlives = matches!(action, Action::WriteReport { .. }) && model == Written::Gone;
        let same = model == cluster || refused(model) && refused(cluster) || outlives;
        assert!(same, "the model says {model:?}, the cluster {cluster:?}\n{}", self.told.join("\n"));
        if matches!(action, Action::FoldBack { .. }) {
            self.settle();
        }
    }

    fn land(&mut self) {
        let (side, action) = self.late.take().expect("a write in flight");
        let flight = self.state.flights.iter().position(|act| !act.is_none());
        let model = flight.map_or(Written::Conflict, |at| self.model(Move::Land(small(at))).expect("a write"));
        let done = self.world.write(HOTFIXES[side], &action);
        self.wrote(model, done, &action);
    }

    fn settle(&mut self) {
        loop {
            let mut controls = Vec::new();
            self.state.controls(&self.config, &mut controls);
            let Some(control) = controls.first() else { break };
            self.model(Move::Control(*control));
        }
        cluster::settle(&mut self.world);
    }

    /// The cluster answers what both hotfixes have asked.
    fn answer(&mut self, badly: bool) {
        let mut moves = Vec::new();
        loop {
            moves.clear();
            self.state.moves(&self.config, &self.memory, false, &mut moves);
            let asked = |mv: &&Move| match mv {
                Move::Answer(_, answer) => match answer {
                    Answer::Badly => badly,
                    Answer::Well => !badly,
                    Answer::Refused | Answer::Again => false,
                    Answer::Digest | Answer::Admitted => true,
                },
                _ => false,
            };
            let Some(mv) = moves.iter().find(asked).copied() else { break };
            self.model(mv);
        }
        self.world.answer_all(badly);
    }

    /// Readiness of the containers and of the pod that a move is about.
    fn like(&self, what: u64, at: usize) -> (bool, bool) {
        let pod = match what {
            env::UNREADY_BLUE | env::EVICT_BLUE => self.state.prod.blues[at],
            env::UNREADY_GREEN | env::EVICT_GREEN => self.state.prod.greens[at / 2][at % 2],
            _ => return (true, true),
        };
        assert_eq!(pod.life(), LIVE);
        (pod.up() == 1, pod.ready() == 1)
    }

    fn compare(&mut self) {
        for (side, name) in HOTFIXES.iter().enumerate() {
            let here = self.state.sides[side].hot.here() == 1;
            let cluster = self.world.observe(name);
            assert_eq!(here, cluster.is_some(), "one has {name}, the other has not\n{}", self.told.join("\n"));
            let Some(cluster) = cluster else { continue };
            let view = self.state.view_now(side, &self.config, &self.memory);
            let (model, cluster) = (words::picture(&picture(&view, self.memory.intern())), words::picture(&cluster));
            let only = |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>();
            assert!(
                model == cluster,
                "the pictures differ\nonly in the model: {:#?}\nonly in the cluster: {:#?}\n{}",
                only(&model, &cluster),
                only(&cluster, &model),
                self.told.join("\n")
            );
        }
    }

    /// True when the leader is at nothing.
    pub fn is_idle(&self) -> bool {
        self.state.replicas.iter().all(|replica| *replica == Replica { found: replica.found, ..Replica::default() })
    }
}

fn small(number: usize) -> u8 {
    u8::try_from(number).expect("few")
}
