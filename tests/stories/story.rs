//! How a story is told: what is given, what people do meanwhile, and the loop that lets everything happen.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use securityhotfix::plan::observed::Owns;
use securityhotfix::plan::{Action, decide};

use crate::narrator::Narrator;
use crate::order::Dice;
use crate::world::World;
use crate::world::api::Written;
use crate::world::controllers::ALL;
use crate::world::operator::{Did, Stage};

/// Nothing has changed for this long: the story is over, whatever still looks again from time to time. Longer than every
/// deadline of the default policy.
const REST: SignedDuration = SignedDuration::from_mins(45);
/// No story here takes more steps.
const STEPS_MAX: usize = 20_000;

/// Something that happens to a world.
pub type Act = fn(&mut World);
/// Whether it is time for it.
pub type When = fn(&World) -> bool;

/// A story before it is told.
#[derive(Clone)]
pub struct Story {
    title: &'static str,
    given: Vec<String>,
    world: World,
    moves: Vec<Move>,
    outage: Outage,
    ends: Ends,
    seeds: u64,
}

/// What somebody does, once it is time.
#[derive(Clone)]
struct Move {
    what: &'static str,
    when: When,
    act: Act,
}

/// Whether a Service may be without a ready endpoint in this story, because people or failures took both sides away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outage {
    Never,
    ByOthers,
}

/// In how far every order comes to the same end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Alike,
    /// Two things race in it, and which of them is first may show in the conditions.
    AlikeButConditions,
    /// Two things race in it, and both ends are right.
    Apart,
}

/// A story that was told.
pub struct Told {
    pub world: World,
    pub text: String,
    pub end: String,
    outages: Vec<String>,
}

/// In which order things happen.
pub enum Order {
    /// The operator first, then every controller in turn.
    Natural,
    /// As the dice say.
    Drawn(Dice),
    /// As natural, and the operator forgets everything after each write.
    Forgetful,
}

impl Story {
    /// A hotfix was just asked for.
    pub fn of(title: &'static str) -> Self {
        Self {
            title,
            given: vec!["Deployment web: 3 pods of v1 behind Service web. A hotfix asks for v2.".into()],
            world: World::with_hotfix(),
            moves: Vec::new(),
            outage: Outage::Never,
            ends: Ends::Alike,
            seeds: seeds(),
        }
    }

    /// Something is different from the beginning.
    pub fn given(mut self, what: &str, act: Act) -> Self {
        self.given.push(what.to_owned());
        act(&mut self.world);
        self.world.settle();
        self
    }

    /// Somebody does something once it is time; moves happen in the order they are given in.
    pub fn when(mut self, when: When, what: &'static str, act: Act) -> Self {
        self.moves.push(Move { what, when, act });
        self
    }

    /// People or failures may take both sides away here.
    pub fn with_an_outage_by_others(mut self) -> Self {
        self.outage = Outage::ByOthers;
        self
    }

    /// Two things race, and the conditions at the end tell which was first.
    pub fn with_a_race(mut self) -> Self {
        self.ends = Ends::AlikeButConditions;
        self
    }

    /// Two things race, and either may win.
    pub fn with_two_ends(mut self) -> Self {
        self.ends = Ends::Apart;
        self
    }

    /// Tells it in the natural order, in many others, and with an operator that forgets. Gives the natural one.
    pub fn tell(self, name: &str) -> Told {
        let told = self.clone().play(Order::Natural);
        insta::with_settings!({
            snapshot_path => "golden",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(name, told.text) });
        let forgetful = self.clone().play(Order::Forgetful);
        self.ends_alike(&told, &forgetful, "an operator that forgets");
        for seed in 1..=self.seeds {
            let drawn = self.clone().play(Order::Drawn(Dice::new(seed)));
            self.ends_alike(&told, &drawn, &format!("order {seed}"));
        }
        told
    }

    /// The world as soon as it is time for something, in the natural order.
    pub fn world_after(self, when: When) -> World {
        let mut teller = Teller::new(self, Order::Natural);
        while !when(&teller.world) && (teller.step() || teller.wait()) {}
        teller.world
    }

    /// Tells it once, with these acts after so many steps of the operator each. In the end everything that hangs is
    /// mended, so that the story can end.
    ///
    /// # Panics
    ///
    /// When an invariant or a law is broken, the story does not end, or something is left.
    pub fn play_with(self, seed: u64, acts: Vec<(usize, (&'static str, Act))>, order: Order) -> Told {
        let mut teller = Teller::new(self, order);
        teller.narrator.line(teller.world.now, "SEED", &seed.to_string());
        teller.later = acts;
        teller.play()
    }

    fn ends_alike(&self, told: &Told, other: &Told, who: &str) {
        let lines = |told: &Told| -> Vec<String> {
            let line = |line: &&str| match self.ends {
                Ends::Alike => true,
                Ends::AlikeButConditions => !line.starts_with(' '),
                Ends::Apart => false,
            };
            told.end.lines().filter(line).map(str::to_owned).collect()
        };
        assert_eq!(lines(other), lines(told), "{who} comes to another end\n{}", other.text);
    }

    /// Tells it once.
    ///
    /// # Panics
    ///
    /// When an invariant or a law is broken, or the story does not end.
    pub fn play(self, order: Order) -> Told {
        let outage = self.outage;
        let told = Teller::new(self, order).play();
        if outage == Outage::Never {
            assert!(told.outages.is_empty(), "{}\n{}", told.outages.join("\n"), told.text);
        }
        told
    }
}

/// In how many drawn orders each story is told: enough to be fast, or as many as `STORY_SEEDS` says.
fn seeds() -> u64 {
    std::env::var("STORY_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20)
}

struct Teller {
    world: World,
    moves: std::collections::VecDeque<Move>,
    /// Acts that follow after so many steps of the operator.
    later: Vec<(usize, (&'static str, Act))>,
    order: Order,
    narrator: Narrator,
    /// When anything changed last, and what number the change had.
    changed: (u64, Timestamp),
    outages: Vec<String>,
    ready: BTreeMap<String, usize>,
    steps: usize,
}

impl Teller {
    fn new(story: Story, order: Order) -> Self {
        let narrator = Narrator::new(story.title, &story.given, &story.world);
        Self {
            changed: (story.world.version, story.world.now),
            world: story.world,
            moves: story.moves.into(),
            later: Vec::new(),
            order,
            narrator,
            outages: Vec::new(),
            ready: BTreeMap::new(),
            steps: 0,
        }
    }

    fn play(mut self) -> Told {
        loop {
            self.people();
            if !self.step() && !self.wait() && !self.mend() {
                break;
            }
            self.steps += 1;
            assert!(self.steps < STEPS_MAX, "the story does not end\n{}", self.narrator.text());
        }
        self.rests();
        if let Some(missed) = self.moves.front() {
            panic!("it was never time for this: {}\n{}", missed.what, self.narrator.text());
        }
        let left = self.world.left_behind();
        assert!(left.is_empty(), "left behind: {}\n{}", left.join(", "), self.narrator.text());
        let Self { world, narrator, outages, .. } = self;
        let (text, end) = narrator.end(&world, &outages);
        Told { world, text, end, outages }
    }

    fn people(&mut self) {
        while let Some(next) = self.moves.front().filter(|next| (next.when)(&self.world)) {
            let (what, act) = (next.what, next.act);
            self.moves.pop_front();
            act(&mut self.world);
            self.world.tick();
            self.narrator.people(what, &self.world);
            self.look("people");
        }
    }

    /// Before the end whatever hangs is mended; false when nothing does.
    fn mend(&mut self) -> bool {
        if self.later.is_empty() {
            return false;
        }
        self.later.clear();
        self.narrator.line(self.world.now, "PEOPLE", "everything that hangs is mended");
        self.world.script.slices_hang.clear();
        self.world.script.broken.clear();
        self.world.suspend(false);
        self.world.change_blue(Owns::Else, |raw| drop(raw["spec"].as_object_mut().unwrap().remove("paused")));
        self.world.tick();
        self.look("people");
        true
    }

    /// One step of anybody; false when nobody has anything to do.
    fn step(&mut self) -> bool {
        let names: Vec<String> =
            self.world.operators.keys().filter(|name| self.world.operator_is_due(name)).cloned().collect();
        let mut turns: Vec<Turn> = names.into_iter().map(Turn::Operator).collect();
        turns.extend(ALL.map(Turn::Controller));
        if let Order::Drawn(dice) = &mut self.order {
            dice.shuffle(&mut turns);
        }
        turns.into_iter().any(|turn| match turn {
            Turn::Operator(name) => {
                self.operate(&name);
                true
            }
            Turn::Controller(controller) => {
                let stepped = self.world.step(controller);
                if stepped {
                    self.look(&format!("{controller:?}"));
                }
                stepped
            }
        })
    }

    fn operate(&mut self, name: &str) {
        // Reading changes nothing that would have to be compared.
        let before = match &self.world.operators[name].stage {
            Stage::Acting(observed, ..) => Some((observed.clone(), self.world.clone())),
            _ => None,
        };
        let did = self.world.step_operator(name);
        self.happen();
        let Did::Wrote(action, written, notes) = did else { return };
        let Some((observed, before)) = before else { return };
        self.narrator.wrote(name, (&action, written), &notes, &before, &self.world);
        if let Some(harm) = self.world.harm(&before, &observed, &action) {
            self.narrator.quiet(&before);
            self.narrator.quiet(&self.world);
            panic!("{harm}\n{}", self.narrator.text());
        }
        self.look(action.name());
        if matches!(self.order, Order::Forgetful) {
            self.world.crash();
        }
        assert!(
            written != Written::Exists || !matches!(self.order, Order::Natural),
            "{} is there already\n{}",
            action.name(),
            self.narrator.text()
        );
    }

    /// Acts whose time has come.
    fn happen(&mut self) {
        for (left, (what, act)) in &mut self.later {
            if *left == 1 {
                act(&mut self.world);
                self.world.tick();
                self.narrator.people(what, &self.world);
            }
            *left = left.saturating_sub(1);
        }
    }

    /// What must be true after every step.
    fn look(&mut self, who: &str) {
        if let Some(early) = self.world.early_traffic() {
            panic!("{early}\n{}", self.narrator.text());
        }
        self.narrator.traffic(&self.world);
        let names: Vec<String> = self.world.production().map(|service| service.name.clone()).collect();
        for name in names {
            let (blues, greens) = self.world.endpoints(&name);
            let before = self.ready.insert(name.clone(), blues + greens);
            if blues + greens == 0 && before.is_some_and(|before| before > 0) {
                let outage = self.narrator.outage(&name, who, self.world.now);
                self.outages.push(outage);
            }
        }
        if self.changed.0 != self.world.version {
            self.changed = (self.world.version, self.world.now);
        }
    }

    /// Moves time to when something happens next; false when nothing will.
    fn wait(&mut self) -> bool {
        self.narrator.quiet(&self.world);
        let Some(next) = self.world.next_wake() else { return false };
        if next.duration_since(self.changed.1) > REST {
            return false;
        }
        self.world.now = next;
        true
    }

    /// At rest nothing is decided any more.
    fn rests(&self) {
        for name in self.world.hotfixes.keys() {
            let Some(observed) = self.world.observe(name) else { continue };
            let decision = decide(&observed, self.world.now);
            let names: Vec<&str> = decision.actions.iter().map(Action::name).collect();
            assert!(names.is_empty(), "at rest and still to do: {names:?}\n{}", self.narrator.text());
        }
    }
}

enum Turn {
    Operator(String),
    Controller(crate::world::controllers::Controller),
}
