//! The roles of a lane as the chart made them, and single rights taken out of them.

use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::ground::ACCOUNTS;
use hotfix_e2e::faults::scenario::HOTFIX;
use hotfix_e2e::rights::{Places, Right};
use kube::Client;
use securityhotfix::api::rbac::Reach;
use serde_json::{Value, json};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// The roles of one lane.
#[derive(Clone)]
pub struct Roles {
    pub client: Client,
    pub lane: String,
}

/// A role as it was before a right was taken out of it.
pub struct Before {
    path: String,
    rules: Value,
}

impl Roles {
    fn path(&self, reach: Reach) -> String {
        let lane = &self.lane;
        let name = format!("{lane}-hotfix-operator");
        match reach {
            Reach::Workloads => format!("{RBAC}/namespaces/{lane}/roles/{name}"),
            Reach::Cluster => format!("{RBAC}/clusterroles/{name}-{lane}"),
            Reach::Checks => format!("{RBAC}/namespaces/{lane}-checks/roles/{name}-checks"),
            Reach::Own | Reach::Lease => format!("{RBAC}/namespaces/{ACCOUNTS}/roles/{name}-leader"),
        }
    }

    /// The name of the Lease by which an operator of the lane leads.
    pub fn lease(lane: &str) -> String {
        format!("{lane}-hotfix-operator-{lane}")
    }

    /// The name by which the API server knows the lane's operator.
    pub fn user(lane: &str) -> String {
        format!("system:serviceaccount:{ACCOUNTS}:{lane}")
    }

    /// What the right of a lane's request is told by.
    pub fn places<'a>(checks: &'a str, lease: &'a str) -> Places<'a> {
        Places { checks_namespace: checks, lease: (ACCOUNTS, lease) }
    }

    /// Takes a right away and returns when the API server refuses what needs it.
    pub async fn take(&self, right: &Right) -> Result<Before, String> {
        let path = self.path(right.reach());
        let mut role = ask(&self.client, Deed::get(&path)).await?;
        let before = Before { path: path.clone(), rules: role["rules"].clone() };
        role["rules"] = without(&role["rules"], right);
        if role["rules"] == before.rules {
            return Err(format!("{path} does not grant {right}"));
        }
        ask(&self.client, Deed::replace(&path, role)).await?;
        self.until(right, false).await?;
        Ok(before)
    }

    /// Gives it back and returns when it counts.
    pub async fn give_back(&self, right: &Right, before: Before) -> Result<(), String> {
        let patch = json!([{"op": "replace", "path": "/rules", "value": before.rules}]);
        ask(&self.client, Deed::patch(&before.path, patch)).await?;
        self.until(right, true).await
    }

    /// Somebody touches the hotfix: the operator looks at it again.
    pub async fn nudge(&self) -> Result<(), String> {
        let path = format!("/apis/securityhotfix.dev/v1alpha1/namespaces/{}/securityhotfixes/{HOTFIX}", self.lane);
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
        let touched = json!({"metadata": {"annotations": {"securityhotfix.dev/touched": at.to_string()}}});
        match Deed::merge_custom(path, touched).attempt(&self.client).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(|error| error.to_string()),
        }
    }

    async fn until(&self, right: &Right, allowed: bool) -> Result<(), String> {
        let (resource, subresource) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
        let (namespace, name) = match right.reach() {
            Reach::Workloads => (self.lane.clone(), String::new()),
            Reach::Cluster => (String::new(), String::new()),
            Reach::Checks => (format!("{}-checks", self.lane), String::new()),
            Reach::Own => (ACCOUNTS.to_owned(), String::new()),
            Reach::Lease => (ACCOUNTS.to_owned(), Self::lease(&self.lane)),
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": Self::user(&self.lane), "resourceAttributes": {
                "verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource,
                "namespace": namespace, "name": name,
            }},
        });
        // The authorizer learns of a role by a watch, within milliseconds; a busy machine may take longer.
        for _ in 0..500 {
            let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
            let answer = ask(&self.client, Deed::create(path, review.clone())).await?;
            if answer.pointer("/status/allowed").and_then(Value::as_bool) == Some(allowed) {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Err(format!("{right} does not become {}", if allowed { "allowed" } else { "denied" }))
    }
}

async fn ask(client: &Client, deed: Deed) -> Result<Value, String> {
    deed.attempt(client).await.map_err(|error| error.to_string())
}

/// Rules that grant everything but this right.
fn without(rules: &Value, right: &Right) -> Value {
    let has = |rule: &Value, field: &str, word: &str| {
        rule[field].as_array().is_some_and(|words| words.iter().any(|it| it == word))
    };
    let but = |words: &Value, word: &str| -> Value {
        words.as_array().into_iter().flatten().filter(|it| *it != word).cloned().collect::<Vec<_>>().into()
    };
    let mut kept = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        let named = rule.get("resourceNames").is_some();
        let granted = has(rule, "apiGroups", &right.group)
            && has(rule, "resources", &right.resource)
            && has(rule, "verbs", &right.verb)
            && named == (right.reach() == Reach::Lease);
        if !granted {
            kept.push(rule.clone());
            continue;
        }
        let (mut others, mut rest) = (rule.clone(), rule.clone());
        others["resources"] = but(&rule["resources"], &right.resource);
        rest["resources"] = json!([right.resource]);
        rest["verbs"] = but(&rule["verbs"], &right.verb);
        let empty = |rule: &Value, field: &str| rule[field].as_array().is_none_or(Vec::is_empty);
        kept.extend([others, rest].into_iter().filter(|rule| !empty(rule, "resources") && !empty(rule, "verbs")));
    }
    kept.into()
}
