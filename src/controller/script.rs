//! Rooms that are a script, for the tests of the loop and of what surrounds it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::complaint::Complaint;
use super::trouble::Trouble;
use super::turn::{News, Rooms, Witness};
use crate::api::SecurityHotfixStatus;
use crate::effect::Effect;
use crate::observe::HotfixId;
use crate::plan::observed::{Evidence, Hotfix, Map, Namespace, Settings, Strays};
use crate::plan::{Action, Note, Observed, Want};

type OnWrite = Box<dyn Fn(usize) + Send + Sync>;

/// Rooms in which an observation shows how many writes were made, in the field a test decides by.
#[derive(Default)]
pub struct Script {
    /// What the writes answer, in order; done when there is no more.
    pub answers: Mutex<VecDeque<Result<Effect, Trouble>>>,
    /// The status every observation shows.
    pub status: SecurityHotfixStatus,
    /// Hears of each write before it is made, and the how manieth it is.
    pub on_write: Option<OnWrite>,
    /// What happened, in words.
    pub story: Mutex<Vec<String>>,
}

impl Script {
    /// A script in which writes answer so.
    pub fn answering(answers: impl IntoIterator<Item = Result<Effect, Trouble>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }

    fn say(&self, what: impl Into<String>) {
        self.story.lock().unwrap().push(what.into());
    }

    /// What happened up to now.
    pub fn story(&self) -> Vec<String> {
        self.story.lock().unwrap().clone()
    }
}

impl Rooms for Script {
    async fn observe(&self, _: &HotfixId) -> Result<Option<Observed>, Trouble> {
        let done = self.story().iter().filter(|line| line.as_str() == "done").count();
        let mut picture = picture(i64::try_from(done).unwrap());
        picture.hotfix.status = self.status.clone();
        Ok(Some(picture))
    }

    fn gather(&self, _: &HotfixId, wants: &[Want]) {
        if !wants.is_empty() {
            self.say("gathers");
        }
    }

    async fn complain(&self, _: &HotfixId, _: &Complaint) -> News {
        self.say("complains");
        News::Told
    }

    fn settle(&self, _: &HotfixId) -> bool {
        false
    }

    fn forget(&self, _: &str) {}

    async fn carry_out(&self, _: &HotfixId, action: &Action) -> Result<Effect, Trouble> {
        self.say(action.name());
        if let Some(on_write) = &self.on_write {
            on_write(self.story().iter().filter(|line| *line == action.name()).count());
        }
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(Effect::Done))
    }
}

impl Witness for Script {
    fn saw(&self, _: &HotfixId, _: &Observed) {
        self.say("looks");
    }

    fn wrote(&self, _: &Action) {
        self.say("done");
    }

    fn told(&self, _: &HotfixId, note: &Note) {
        self.say(format!("tells: {}", note.text));
    }
}

/// A picture of a hotfix of which only the generation says anything: the number of writes made so far.
pub fn picture(generation: i64) -> Observed {
    let spec = json!({"advisory": {"ids": ["CVE-1"]}, "target": {"name": "web"}, "images": [], "reason": "r"});
    Observed {
        services: vec![],
        pods: vec![],
        hotfix: Hotfix {
            name: "fix".into(),
            namespace: "shop".into(),
            uid: "u".into(),
            resource_version: "1".into(),
            generation,
            created_at: None,
            deleting: None,
            finalizers: vec![],
            annotations: Map::new(),
            managers: vec![],
            spec: serde_json::from_value(spec).unwrap(),
            status: SecurityHotfixStatus::default(),
        },
        namespace: Namespace::default(),
        policy: None,
        checks: BTreeMap::new(),
        unread: None,
        blue: None,
        green: None,
        replica_sets: vec![],
        slices: vec![],
        budgets: vec![],
        autoscalers: vec![],
        pod_load_balancers: BTreeSet::new(),
        claim: None,
        others: vec![],
        strays: Strays::default(),
        runs: vec![],
        report: None,
        evidence: Evidence::default(),
        settings: Arc::new(Settings {
            checks_namespace: "checks".into(),
            runner_image: "registry.example/op:1".into(),
            api_request_max: Settings::API_REQUEST_MAX,
        }),
    }
}

/// The hotfix the script is about.
pub fn id() -> HotfixId {
    HotfixId { namespace: "shop".into(), name: "fix".into(), uid: "u".into(), target: "web".into() }
}
