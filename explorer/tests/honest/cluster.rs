//! The in-memory cluster of the golden stories, driven step by step as the model is.

use hotfix_explorer::config::{Config, env};
use hotfix_explorer::moves::Clock;
use jiff::SignedDuration;
use securityhotfix::api::names;
use securityhotfix::api::time::Moment;
use securityhotfix::plan::Action;
use securityhotfix::plan::observed::{Map, Output, RunState};

use crate::world::arrange::{V1, V2, V3};
use crate::world::controllers::Controller;
use crate::world::operator::Stage;
use crate::world::{Job, Operator, World};

/// The hotfixes, as the model calls them.
pub const HOTFIXES: [&str; 2] = ["fix-a", "fix-b"];
const SERVICES: [&str; 2] = ["web", "web-internal"];

/// The world a configuration begins in.
pub fn beginning(config: &Config) -> World {
    let mut world = World::at_rest();
    if config.services == 2 {
        world.add_service(SERVICES[1]);
    }
    if !config.tests {
        let policy = world.policy.as_mut().unwrap();
        policy.spec.gates.analyze.clear();
    }
    world.scale_blue(i32::from(config.replicas));
    settle(&mut world);
    world.wait(3_600);
    world.ask(HOTFIXES[0], V2);
    at_once(&mut world);
    world
}

/// What the model does not take steps for: pods that end are gone, what has lost its owner is collected, specs are seen,
/// slices follow. Jobs end when they are told to.
pub fn at_once(world: &mut World) {
    while world.step(Controller::Garbage) {}
    for name in std::mem::take(&mut world.leaving).into_keys() {
        world.pods.remove(&name);
        world.tick();
    }
    for deployment in world.deployments.values_mut() {
        deployment.observed_generation = deployment.generation;
    }
    while world.step(Controller::EndpointSlices) {}
    let far = world.in_ms(1_000_000_000);
    world.jobs.values_mut().filter(|job| job.is_running()).for_each(|job| job.ends_at = far);
}

/// Lets every controller do all it can; pods that were broken for a moment recover.
pub fn settle(world: &mut World) {
    loop {
        let before = world.version;
        world.settle_without(Controller::Answers);
        at_once(world);
        if world.version == before {
            return;
        }
    }
}

impl World {
    fn settle_without(&mut self, not: Controller) {
        while crate::world::controllers::ALL.iter().any(|one| *one != not && self.step(*one)) {}
    }

    /// The picture is taken and decided upon; what is to be written waits.
    pub fn look(&mut self, name: &str) -> Vec<Action> {
        self.step_operator(name);
        self.step_operator(name);
        match &self.operators[name].stage {
            Stage::Acting(_, actions, _) => actions.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The next write of an operator, which does not make it.
    pub fn give_up(&mut self, name: &str) -> Action {
        let operator = self.operators.get_mut(name).unwrap();
        let Stage::Acting(observed, mut actions, notes) = std::mem::take(&mut operator.stage) else {
            panic!("nothing is to be written")
        };
        let action = actions.pop_front().unwrap();
        if !actions.is_empty() {
            operator.stage = Stage::Acting(observed, actions, notes);
        }
        action
    }

    /// Another operator takes over, and knows nothing.
    pub fn take_over(&mut self, name: &str) -> Operator {
        self.operators.insert(name.into(), Operator::default()).unwrap()
    }

    /// A moment passes.
    pub fn pass(&mut self, clock: Clock) {
        self.wait(match clock {
            Clock::Staging => 601,
            Clock::Opening => 7,
            Clock::Converge => 70,
            Clock::Soak | Clock::Unchecked => 301,
            Clock::Drain | Clock::Late(_) => 16,
            Clock::Slow => 3_601,
        });
    }

    /// So many seconds pass.
    pub fn wait(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// A running check of this role and run ends: 1 well, 2 badly, 3 without a proof.
    pub fn end_job(&mut self, hotfix: usize, kind: u8, run: u8, how: u8) {
        let role = ["", "baseline", "candidate", "address"][usize::from(kind)];
        let uid = self.hotfixes.get(HOTFIXES[hotfix]).map(|hotfix| hotfix.uid.clone());
        let now = self.now;
        let label = |job: &Job, key: &str| job.run.labels.get(key).cloned().unwrap_or_default();
        let job = self.jobs.values_mut().find(|job| {
            job.is_running()
                && label(job, "securityhotfix.dev/role") == role
                && label(job, "securityhotfix.dev/run") == run.to_string()
                && uid.as_ref().is_none_or(|uid| job.hotfix == *uid)
        });
        let job = job.unwrap_or_else(|| panic!("no check {role} {run} runs"));
        job.ends_at = now;
        let subject = job.run.job.clone();
        let image = job.image.clone().unwrap_or_default();
        let script = self.script.clone();
        self.image(V3).vulnerable = hotfix == 0;
        match (kind, how) {
            (_, 1 | 3) => {}
            (1, _) => self.image(&image).invisible = true,
            (2, _) => self.image(&image).vulnerable = true,
            _ => self.script.tests_fail = true,
        }
        assert!(self.step(Controller::Jobs));
        self.script = script;
        let earlier = Moment::new(now.checked_sub(SignedDuration::from_hours(1)).unwrap());
        let job = self.jobs.get_mut(&subject).unwrap();
        let RunState::Ended { at, output } = &mut job.run.state else { panic!("it has ended") };
        *at = earlier;
        if how == 3 {
            *output = Output::Unusable("the log holds no frame".into());
        }
    }

    /// Everything that was asked is answered, well or badly.
    pub fn answer_all(&mut self, badly: bool) {
        let script = self.script.clone();
        if badly {
            self.image(V2).sick = true;
        }
        while self.step(Controller::Answers) {}
        self.script = script;
    }

    /// A pod of one side; any, since the model's are numbered and these are not. `like` says which will do.
    fn pod(&self, green: bool, like: (bool, bool)) -> Option<String> {
        let fits = |pod: &&securityhotfix::plan::observed::Pod| {
            pod.lives() && pod.labels.contains_key(names::SLOT) == green && (pod.containers_ready, pod.ready) == like
        };
        self.pods.values().find(fits).map(|pod| pod.name.clone())
    }

    /// What people, tools and nodes do. `like` are the readiness of the containers and of the pod it is about.
    pub fn people(&mut self, what: u64, at: usize, like: (bool, bool)) {
        let service = SERVICES[at % 2];
        let name = HOTFIXES[at % 2];
        let attempt = self.hotfixes.get(name).and_then(|hotfix| hotfix.status.attempt.as_ref()).map_or(0, |a| a.number);
        match what {
            env::DELETE => {
                let now = self.second();
                self.delete_hotfix(name, now);
            }
            env::ABORT => self.abort(attempt),
            env::RELEASE => self.annotate(names::RELEASE, &format!("{attempt}/go")),
            env::RETRY => self.annotate(names::RETRY, "again"),
            env::REVERT => self.put_selector_back(service),
            env::STRIP => self.strip_mark(service),
            env::SELECT => {
                let was = self.as_owned[service].0.clone();
                let mut to: Map = [("app".to_owned(), "web".to_owned())].into();
                if was.len() == 1 {
                    to.insert("tier".into(), "front".into());
                }
                self.change_selector(service, &to);
            }
            env::DROP => {
                self.services.remove(service);
                self.tick();
            }
            env::REDEPLOY => self.deploy([V3, V2][at]),
            env::REVERT_IMAGE => self.deploy(V1),
            env::ZERO => self.scale_blue(0),
            env::SCALE => self.scale_blue(2),
            env::DELETE_BLUE => self.delete_blue(),
            env::UNREADY_BLUE | env::UNREADY_GREEN => {
                let name = self.pod(what == env::UNREADY_GREEN, like).expect("such a pod");
                let version = self.next_version();
                let second = self.second();
                let pod = self.pods.get_mut(&name).unwrap();
                (pod.containers_ready, pod.ready) = (false, false);
                (pod.ready_since, pod.resource_version) = (Some(second), version);
            }
            env::EVICT_BLUE | env::EVICT_GREEN => {
                let name = self.pod(what == env::EVICT_GREEN, like).expect("such a pod");
                self.delete_pod(&name);
            }
            env::DELETE_GREEN => self.delete_green(),
            env::TERMINATE => self.terminate_namespace(),
            env::SUSPEND | env::RESUME => self.suspend(what == env::SUSPEND),
            env::VANISH => self.vanish(name),
            env::ASK => self.ask(HOTFIXES[1], V3),
            env::UNCLAIM => {
                self.leases.clear();
                self.tick();
            }
            other => panic!("move {other} is not played"),
        }
    }
}

impl World {
    /// What the operator knew of the other hotfixes is gone.
    pub fn take_over_others(&mut self, side: usize) {
        for (name, operator) in &mut self.operators {
            if name != HOTFIXES[side] {
                *operator = Operator::default();
            }
        }
    }
}
