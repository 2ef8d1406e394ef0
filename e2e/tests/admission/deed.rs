//! What somebody tries on the API server, and what has to come of it.

use std::fmt;

use hotfix_e2e::cluster::Cluster;
pub use hotfix_e2e::deed::Deed;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

/// Somebody the API server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The operator's service account.
    Operator,
    /// A person with the stock `edit` role in the namespace.
    Editor,
    /// A person who may do anything (but is subject to admission, like everybody).
    Administrator,
    /// The application's own service account, with the stock `edit` role.
    Application,
    /// The controller that makes pods of ReplicaSets.
    ReplicaSetController,
    /// The kubelet's stand-in: somebody who writes pod status for a living.
    NodeController,
}

impl Who {
    pub const ALL: [Self; 6] = [
        Self::Operator,
        Self::Editor,
        Self::Administrator,
        Self::Application,
        Self::ReplicaSetController,
        Self::NodeController,
    ];

    pub fn user(self) -> &'static str {
        match self {
            Self::Operator => "system:serviceaccount:hotfix-system:hotfix-operator",
            Self::Editor => "erin",
            Self::Administrator => "ada",
            Self::Application => "system:serviceaccount:shop:default",
            Self::ReplicaSetController => "system:serviceaccount:kube-system:replicaset-controller",
            Self::NodeController => "system:serviceaccount:kube-system:node-controller",
        }
    }
}

/// The administrator's connection in the name of somebody else.
pub async fn client_of(cluster: &Cluster, user: &str) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).expect("the administrator's kubeconfig");
    for named in &mut kubeconfig.auth_infos {
        if let Some(auth) = &mut named.auth_info {
            auth.impersonate = Some(user.to_owned());
            auth.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
        }
    }
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a usable kubeconfig");
    Client::try_from(config).expect("a client")
}

/// What has to come of a deed.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// It is done.
    Done,
    /// An admission policy refuses it, saying this.
    Refused(&'static str),
    /// The person has no right to it in the first place.
    NotAllowed,
    /// The object's definition refuses it, saying this.
    Invalid(&'static str),
}

impl Ends {
    pub fn met(self, outcome: &Result<Value, kube::Error>) -> bool {
        match (self, outcome) {
            (Self::Done, Ok(_)) => true,
            (Self::Refused(sentence), Err(kube::Error::Api(status))) => {
                status.code == 403 && status.message.contains("denied request") && status.message.contains(sentence)
            }
            (Self::NotAllowed, Err(kube::Error::Api(status))) => {
                status.code == 403 && status.message.contains("cannot")
            }
            (Self::Invalid(sentence), Err(kube::Error::Api(status))) => {
                status.code == 422 && status.message.contains(sentence)
            }
            _ => false,
        }
    }
}

/// Somebody tries something, and something has to come of it.
pub struct Case {
    pub says: &'static str,
    pub who: Who,
    pub deed: Deed,
    pub ends: Ends,
}

/// A case in one line of a table.
pub fn case(says: &'static str, who: Who, deed: Deed, ends: Ends) -> Case {
    Case { says, who, deed, ends }
}

/// A case that did not end as it has to.
pub struct Surprise {
    says: &'static str,
    who: Who,
    wanted: Ends,
    came: String,
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { says, who, wanted, came } = self;
        write!(f, "{says} ({who:?}): wanted {wanted:?}, came: {came}")
    }
}

/// Tries every case and collects those that end otherwise.
pub async fn surprises(cluster: &Cluster, cases: Vec<Case>) -> Vec<Surprise> {
    let mut surprises = Vec::new();
    let mut clients = Vec::new();
    for who in Who::ALL {
        clients.push((who, client_of(cluster, who.user()).await));
    }
    for Case { says, who, deed, ends } in cases {
        let (_, client) = clients.iter().find(|(known, _)| *known == who).expect("everybody has a client");
        let outcome = deed.attempt(client).await;
        if !ends.met(&outcome) {
            let came = outcome.map_or_else(|error| error.to_string(), |_| "it was done".to_owned());
            surprises.push(Surprise { says, who, wanted: ends, came });
        }
    }
    surprises
}
