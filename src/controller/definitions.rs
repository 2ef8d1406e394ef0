//! Waits until the kinds of the project are installed.
//!
//! An operator that starts before its definitions, as happens with charts and GitOps engines, says so on its readiness
//! page and in its log, and goes on by itself when they appear.

use std::time::Duration;

use kube::Client;
use tracing::{info, warn};

use super::health::Readiness;
use super::stop::Stop;
use crate::api::{GROUP, VERSION};
use crate::cluster::{Call, send};

/// What is said to be missing, as the readiness page has it.
const WHAT: &str = "custom resource definitions";

/// The kinds the operator cannot work without, by their plural.
const KINDS: [&str; 4] = ["hotfixpolicies", "hotfixreports", "securitychecks", "securityhotfixes"];

/// How long to wait between two looks: short at first, since definitions are usually installed in the same breath, and
/// bounded so that a person who installs them does not have to wait.
const WAIT: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Says that they were not looked for yet, before anybody asks whether everything is there.
pub fn expected(readiness: &Readiness) {
    readiness.missing(WHAT, "not looked for yet");
}

/// Resolves when every kind is served, or the operator is told to stop.
pub async fn installed(client: &Client, readiness: &Readiness, stop: &Stop) {
    let mut looks = 0;
    loop {
        let why = match look(client).await {
            Ok(missing) if missing.is_empty() => {
                if readiness.there(WHAT) {
                    info!("every definition is installed");
                }
                return;
            }
            Ok(missing) => format!(
                "{} not installed: run `kubectl apply -f crds/`, or set crds.enabled in the chart",
                missing.join(", ")
            ),
            Err(why) => why,
        };
        if readiness.missing(WHAT, &why) {
            warn!(why, "waiting for the definitions of the kinds");
        }
        let wait = WAIT[looks.min(WAIT.len() - 1)];
        looks += 1;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.told() => return,
        }
    }
}

async fn look(client: &Client) -> Result<Vec<&'static str>, String> {
    // Discovery is open to everyone who may log in, so it needs no right of its own.
    match send(client, &Call::get(format!("/apis/{GROUP}/{VERSION}"))).await {
        Ok(answer) => Ok(missing(&answer)),
        Err(error) if error.code() == 404 => Ok(KINDS.to_vec()),
        Err(error) => Err(error.to_string()),
    }
}

fn missing(discovery: &serde_json::Value) -> Vec<&'static str> {
    let served: Vec<_> =
        discovery["resources"].as_array().into_iter().flatten().filter_map(|kind| kind["name"].as_str()).collect();
    KINDS.into_iter().filter(|kind| !served.contains(kind)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_not_served_is_missing() {
        let served = json!({"resources": [
            {"name": "securityhotfixes"}, {"name": "securityhotfixes/status"}, {"name": "securitychecks"},
        ]});
        assert_eq!(missing(&served), ["hotfixpolicies", "hotfixreports"]);
        assert_eq!(missing(&json!({})), KINDS);
    }
}
