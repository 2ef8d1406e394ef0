//! What somebody wants to see when a story went wrong.

use super::ground::Ground;
use super::{CHECKS_NAMESPACE, OPERATOR_NAMESPACE, RELEASE};

/// So many lines of the operator's log are shown.
const LOG_LINES: usize = 60;

/// The state of a namespace as text: hotfixes, workloads, Services, events, check Jobs and the operator's log.
pub async fn dump(ground: &Ground, namespace: &str) -> String {
    let hotfix_of = format!("securityhotfix.dev/hotfix-namespace={namespace}");
    let selectors = "custom-columns=NAME:.metadata.name,SELECTOR:.spec.selector,MARK:.metadata.annotations";
    let questions: [(&str, Vec<&str>); 6] = [
        ("hotfixes", vec!["get", "securityhotfixes", "-o", "yaml", "-n", namespace]),
        ("workloads", vec!["get", "deployments,replicasets,pods", "-o", "wide", "-n", namespace]),
        ("services", vec!["get", "services", "-o", selectors, "-n", namespace]),
        ("events", vec!["get", "events", "--sort-by=.lastTimestamp", "-n", namespace]),
        ("checks", vec!["get", "jobs,pods", "-o", "wide", "-n", CHECKS_NAMESPACE, "-l", &hotfix_of]),
        ("operator", vec!["get", "pods", "-o", "wide", "-n", OPERATOR_NAMESPACE]),
    ];
    let mut text = answers(ground, &questions).await;
    let deployment = format!("deployment/{RELEASE}");
    let log = ground.kubectl(&["logs", "-n", OPERATOR_NAMESPACE, &deployment, "--tail=2000"], None).await;
    let log = log.unwrap_or_else(|error| error.to_string());
    let about: Vec<&str> = log.lines().filter(|line| line.contains(namespace) || !line.contains("\"ns\"")).collect();
    text += "--- the operator's log\n";
    text += &about[about.len().saturating_sub(LOG_LINES)..].join("\n");
    text
}

/// The state of the operator's own namespace, for an installation that did not end well.
pub async fn installation(ground: &Ground) -> String {
    let questions: [(&str, Vec<&str>); 4] = [
        ("nodes", vec!["get", "nodes", "-o", "wide"]),
        ("pods", vec!["describe", "pods", "-n", OPERATOR_NAMESPACE]),
        ("events", vec!["get", "events", "--sort-by=.lastTimestamp", "-n", OPERATOR_NAMESPACE]),
        ("log", vec!["logs", "-n", OPERATOR_NAMESPACE, "-l", "app.kubernetes.io/name=hotfix-operator", "--tail=60"]),
    ];
    answers(ground, &questions).await
}

async fn answers(ground: &Ground, questions: &[(&str, Vec<&str>)]) -> String {
    let mut text = String::new();
    for (title, question) in questions {
        let answer = ground.kubectl(question, None).await.unwrap_or_else(|error| error.to_string());
        text += "--- ";
        text += title;
        text += "\n";
        text += answer.trim_end();
        text += "\n";
    }
    text
}
