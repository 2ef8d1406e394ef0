//! What the operator may do to a cluster, rule by rule, each with its reason.
//!
//! This table is the one place that says so: the chart's roles are generated from it, a test
//! fails when they drift, and another refuses rules no reviewer should have to look for (a
//! wildcard, Secrets, a verb that hands out rights). It grants nothing at run time and decides
//! nothing; a rule missing here shows as a 403 and a condition that names it.

use std::fmt::Write as _;

/// Where a rule applies, and with it which role of the chart carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The watched namespaces: a `ClusterRole`, or a `Role` when one namespace is watched.
    Workloads,
    /// Kinds that live in no namespace: always a `ClusterRole`.
    Cluster,
    /// The namespace in which check Jobs run: always a `Role`.
    Checks,
    /// The operator's own namespace: always a `Role`.
    Own,
    /// The one Lease there by which a replica leads: the same `Role`, and that name alone.
    Lease,
}

/// Stands for the name of that Lease in the generated rules: the chart knows it, the table cannot.
pub const LEASE_NAME: &str = "LEASE_NAME";

impl Reach {
    /// Every reach, in the order the files are generated.
    pub const ALL: [Self; 5] = [Self::Workloads, Self::Cluster, Self::Checks, Self::Own, Self::Lease];

    /// Name of the generated rules file in the chart's `files/rbac/`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Workloads => "workloads.yaml",
            Self::Cluster => "cluster.yaml",
            Self::Checks => "checks.yaml",
            Self::Own => "own.yaml",
            Self::Lease => "lease.yaml",
        }
    }
}

/// One permission: verbs on resources of one API group, and what the operator needs them for.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Which role carries it.
    pub reach: Reach,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Plural resource names, with the subresource where one is meant.
    pub resources: &'static [&'static str],
    /// Verbs of the Kubernetes API.
    pub verbs: &'static [&'static str],
    /// Why the operator cannot do its work without it.
    pub why: &'static str,
}

/// Everything the operator may do.
pub const RULES: &[Rule] = &[
    Rule {
        reach: Reach::Workloads,
        group: "securityhotfix.dev",
        resources: &["securityhotfixes"],
        verbs: &["get", "list", "watch", "patch"],
        why: "The work itself; patch sets and removes the finalizer.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "securityhotfix.dev",
        resources: &["securityhotfixes/status"],
        verbs: &["patch"],
        why: "Intents, verdicts and conditions, written before what they announce.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "securityhotfix.dev",
        resources: &["hotfixreports"],
        verbs: &["get", "create", "patch"],
        why: "The record as it grows; never deleted by the operator.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "",
        resources: &["namespaces"],
        verbs: &["get"],
        why: "The label that chooses the policy, and whether the namespace is terminating. \
              A Role grants it for its own namespace alone.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "apps",
        resources: &["deployments"],
        verbs: &["get", "list", "watch", "create", "patch", "delete"],
        why: "Reads the workload and puts the patched image into it; creates, sizes and deletes \
              green. Admission limits create and delete to green.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "apps",
        resources: &["replicasets"],
        verbs: &["list", "watch"],
        why: "Which pods are blue's and which are green's, by owner uid.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "",
        resources: &["services"],
        verbs: &["list", "watch", "create", "patch", "delete"],
        why: "Moves traffic by the selector; creates and deletes the preview Service.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "",
        resources: &["pods"],
        verbs: &["list", "watch", "create"],
        why: "Judges pods by image digest and readiness. Create is for a dry run of green's \
              template only: admission refuses every other.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "",
        resources: &["pods/status"],
        verbs: &["patch"],
        why: "Opens and closes green's pods by their readiness condition.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "discovery.k8s.io",
        resources: &["endpointslices"],
        verbs: &["list", "watch"],
        why: "Proof of which pods a Service reaches.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "policy",
        resources: &["poddisruptionbudgets"],
        verbs: &["list", "create", "delete"],
        why: "Green gets a budget of its own while one covers blue.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "autoscaling",
        resources: &["horizontalpodautoscalers"],
        verbs: &["list"],
        why: "Refuses autoscalers that would count green and blue wrongly.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "coordination.k8s.io",
        resources: &["leases"],
        verbs: &["get", "create", "delete"],
        why: "The claim on a workload: two hotfixes do not work on one.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "events.k8s.io",
        resources: &["events"],
        verbs: &["create", "patch"],
        why: "Tells people what happened; patch counts repetitions.",
    },
    Rule {
        reach: Reach::Workloads,
        group: "elbv2.k8s.aws",
        resources: &["targetgroupbindings"],
        verbs: &["list"],
        why: "Refuses Services whose load balancer registers pods itself and ignores readiness.",
    },
    Rule {
        reach: Reach::Cluster,
        group: "securityhotfix.dev",
        resources: &["securitychecks", "hotfixpolicies"],
        verbs: &["list", "watch"],
        why: "What the administrator wants checked, and how.",
    },
    Rule {
        reach: Reach::Checks,
        group: "batch",
        resources: &["jobs"],
        verbs: &["list", "watch", "create", "delete"],
        why: "Runs checks, and sweeps the Jobs of hotfixes that are gone.",
    },
    Rule {
        reach: Reach::Checks,
        group: "",
        resources: &["pods"],
        verbs: &["list"],
        why: "Finds the one pod that belongs to a check Job, by uid.",
    },
    Rule {
        reach: Reach::Checks,
        group: "",
        resources: &["pods/log"],
        verbs: &["get"],
        why: "A check's report is its log.",
    },
    Rule {
        reach: Reach::Own,
        group: "coordination.k8s.io",
        resources: &["leases"],
        verbs: &["create"],
        why: "The Lease by which one replica leads, where there is none; a creation cannot be limited to a name.",
    },
    Rule {
        reach: Reach::Lease,
        group: "coordination.k8s.io",
        resources: &["leases"],
        verbs: &["get", "watch", "patch"],
        why: "Takes, renews and gives up the lead, and sees at once when it is free.",
    },
];

/// The rules of one reach as the YAML list of a role's `rules`, each under its reason.
#[must_use]
pub fn rules_yaml(reach: Reach) -> String {
    let mut yaml = String::new();
    for rule in RULES.iter().filter(|rule| rule.reach == reach) {
        // Writing to a String cannot fail.
        let _ = write!(
            yaml,
            "# {}\n- apiGroups: [{}]\n  resources: [{}]\n{}  verbs: [{}]\n",
            rule.why,
            quoted(&[rule.group]),
            quoted(rule.resources),
            if reach == Reach::Lease { format!("  resourceNames: [\"{LEASE_NAME}\"]\n") } else { String::new() },
            quoted(rule.verbs),
        );
    }
    yaml
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{RULES, Reach, rules_yaml};

    #[test]
    fn no_rule_can_be_used_to_gain_more_rights() {
        for rule in RULES {
            for word in rule.resources.iter().chain(rule.verbs).chain([&rule.group]) {
                assert!(!word.contains('*'), "a wildcard in {rule:?}");
            }
            for verb in ["escalate", "bind", "impersonate", "deletecollection", "update"] {
                assert!(!rule.verbs.contains(&verb), "{verb} in {rule:?}");
            }
            for resource in ["secrets", "serviceaccounts/token", "pods/exec", "nodes/proxy"] {
                assert!(!rule.resources.contains(&resource), "{resource} in {rule:?}");
            }
            assert_ne!(rule.group, "rbac.authorization.k8s.io");
            assert_ne!(rule.group, "admissionregistration.k8s.io");
        }
    }

    #[test]
    fn a_permission_is_stated_once_and_with_its_reason() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in RULES {
            assert!(rule.why.ends_with('.'), "no sentence: {rule:?}");
            for resource in rule.resources {
                for verb in rule.verbs {
                    assert!(
                        seen.insert((rule.reach.file(), rule.group, *resource, *verb)),
                        "{verb} {resource} is granted twice"
                    );
                }
            }
        }
    }

    #[test]
    fn the_lead_is_the_only_object_with_a_name() {
        for reach in Reach::ALL {
            let named = rules_yaml(reach).contains("resourceNames: [\"LEASE_NAME\"]");
            assert_eq!(named, reach == Reach::Lease, "{reach:?}");
        }
    }

    #[test]
    fn reasons_survive_in_the_generated_rules() {
        assert_eq!(
            rules_yaml(Reach::Cluster),
            "# What the administrator wants checked, and how.\n\
             - apiGroups: [\"securityhotfix.dev\"]\n  \
               resources: [\"securitychecks\", \"hotfixpolicies\"]\n  \
               verbs: [\"list\", \"watch\"]\n"
        );
    }
}
