//! What is done in a lane in which mutants are played, and how far a hotfix has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::faults::operator::Operators;
use hotfix_e2e::faults::proxy::{Proxy, Script};
use hotfix_e2e::faults::replies::image;
use hotfix_e2e::faults::world::{Kind, condition, list, text};
use hotfix_e2e::lab::LabError;
use serde_json::{Value, json};

use super::API;

const LOOK: Duration = Duration::from_millis(100);

/// How far a hotfix has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It is over, so.
    Over(String),
    /// It waits for a person, with this reason.
    Stalled(String),
    /// It is in this phase, and says why.
    UnderWay(String),
    /// Nobody has looked at it.
    Unseen,
}

impl Stand {
    pub fn of(hotfix: &Value) -> Self {
        let ready = list(hotfix, "/status/conditions").iter().find(|it| text(it, "/type") == "Ready");
        let (reason, message) = ready.map_or(("", ""), |it| (text(it, "/reason"), text(it, "/message")));
        if condition(hotfix, "Finished") == "True" {
            Self::Over(format!("{} {reason}", text(hotfix, "/status/attempt/outcome")))
        } else if condition(hotfix, "Stalled") == "True" && !reason.is_empty() && !message.is_empty() {
            Self::Stalled(reason.to_owned())
        } else if !text(hotfix, "/status/phase").is_empty() && !reason.is_empty() && !message.is_empty() {
            Self::UnderWay(format!("{} {reason}", text(hotfix, "/status/phase")))
        } else {
            Self::Unseen
        }
    }
}

/// A lane with its operator at work.
pub struct Field<'a> {
    pub lane: &'a Lane<'a>,
    pub proxy: Proxy,
    operators: Arc<Operators>,
}

impl<'a> Field<'a> {
    pub async fn open(lane: &'a Lane<'a>) -> Result<Self, LabError> {
        let script = Script::default();
        let (operators, proxy) = lane.launch(script, false).await?;
        operators.start().await;
        Ok(Self { lane, proxy, operators })
    }

    /// Ends the operator and says what was wrong with it.
    pub async fn close(self) -> Vec<String> {
        self.operators.stop().await;
        let mut wrong = self.operators.complaints().await;
        wrong.extend(self.proxy.troubles());
        wrong
    }

    pub async fn asked(&self, deed: Deed) -> Result<Value, LabError> {
        deed.attempt(&self.lane.shared.admin).await.map_err(|error| LabError::Unfit(error.to_string()))
    }

    pub fn hotfixes(&self) -> String {
        format!("{API}/namespaces/{}/securityhotfixes", self.lane.name)
    }

    /// The namespace's policy from now on.
    pub async fn choose(&self, policy: &str) -> Result<(), LabError> {
        let labels = json!({"metadata": {"labels": {"securityhotfix.dev/policy": policy}}});
        self.asked(Deed::merge_custom(format!("/api/v1/namespaces/{}", self.lane.name), labels)).await.map(drop)
    }

    /// A Deployment of one pod of the vulnerable version, and its Service.
    pub async fn deploy(&self, name: &str) -> Result<(), LabError> {
        let container = json!({"name": "web", "image": image("v1"), "ports": [{"containerPort": 8080}]});
        let labels = json!({"app": name});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        });
        let namespace = &self.lane.name;
        self.asked(Deed::create(format!("/apis/apps/v1/namespaces/{namespace}/deployments"), deployment)).await?;
        self.asked(Deed::create(format!("/api/v1/namespaces/{namespace}/services"), service)).await?;
        Ok(())
    }

    pub fn stand(&self, hotfix: &str) -> Stand {
        let stand = |world: &hotfix_e2e::faults::world::World| world.get(Kind::Hotfix, hotfix).map(Stand::of);
        self.lane.shared.watcher.look(&self.lane.name, stand).unwrap_or(Stand::Unseen)
    }

    /// Waits until it stands so, and gives where it stands then or when there is no more patience.
    pub async fn until(&self, hotfix: &str, patience: Duration, so: impl Fn(&Stand) -> bool) -> Stand {
        let begun = Instant::now();
        loop {
            let stand = self.stand(hotfix);
            if so(&stand) || begun.elapsed() > patience {
                return stand;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it is gone.
    pub async fn gone(&self, hotfix: &str, patience: Duration) -> bool {
        let gone = |world: &hotfix_e2e::faults::world::World| world.get(Kind::Hotfix, hotfix).is_none();
        self.lane.shared.watcher.until(&self.lane.name, patience, gone).await
    }
}
