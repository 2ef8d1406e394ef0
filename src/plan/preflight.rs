//! Whether a rollout may begin at all: an ordered chain of small checks, the first refusal wins.
//!
//! Each refusal says what was seen and what to do. Nothing has been written to production when one is given, and each is
//! looked at again whenever something changes.

use crate::api::Reason;
use crate::api::image::{ImageRef, allowed};
use crate::api::names::{self, Mark, POD_TEMPLATE_HASH, SLOT};
use crate::findings::text::clean;

use super::facts::mark_words;
use super::observed::{Observed, Pod, Policy, Service, Workload};
use super::selector;
use super::step::Trouble;

/// The most Services one workload may have: each costs a write of every step of the cut-over, and they are switched one
/// after the other, so that a workload with more would answer with both versions for longer than anybody expects.
pub const SERVICES_MAX: usize = 16;

/// What every check of the chain looks at.
pub struct Input<'a> {
    /// The picture.
    pub observed: &'a Observed,
    /// The target.
    pub blue: &'a Workload,
    /// The policy.
    pub policy: &'a Policy,
}

type Check = fn(&Input<'_>) -> Option<Trouble>;

/// The chain, cheapest and most telling first.
const CHAIN: &[(&str, Check)] = &[
    ("target", target),
    ("owner", owner),
    ("stable", stable),
    ("containers", containers),
    ("images", images),
    ("pods", pods),
    ("volumes", volumes),
    ("services", services),
    ("load balancers", load_balancers),
    ("autoscalers", autoscalers),
];

/// The first refusal, if there is one.
pub fn refusal(input: &Input<'_>) -> Option<Trouble> {
    CHAIN.iter().find_map(|(_, check)| check(input))
}

/// The Services that select the workload, by name: these are switched, in this order.
pub fn selecting<'a>(observed: &'a Observed, blue: &Workload) -> Vec<&'a Service> {
    let labels = blue.template_labels();
    observed
        .services
        .iter()
        .filter(|service| {
            let owners = service.owner_selector();
            !owners.is_empty()
                && owners.iter().all(|(key, value)| key == POD_TEMPLATE_HASH || labels.get(key) == Some(value))
        })
        .filter(|service| !service.labels.contains_key(SLOT))
        .collect()
}

fn target(input: &Input<'_>) -> Option<Trouble> {
    let blue = input.blue;
    let name = &blue.name;
    if blue.deleting {
        return Some(Trouble::person(
            Reason::TargetTerminating,
            format!("Deployment {name} is being deleted; there is nothing to fix; delete the hotfix."),
        ));
    }
    if blue.paused {
        return Some(Trouble::person(
            Reason::TargetPaused,
            format!(
                "Deployment {name} is paused, so the patched image could not be folded back; resume it with `kubectl rollout resume deployment/{name}`."
            ),
        ));
    }
    (blue.replicas == 0).then(|| {
        Trouble::person(
            Reason::TargetScaledToZero,
            format!("Deployment {name} is scaled to zero: nothing vulnerable runs. Change its image directly, or scale it up first."),
        )
    })
}

fn owner(input: &Input<'_>) -> Option<Trouble> {
    let blue = input.blue;
    let owner = blue.controller.clone().or_else(|| {
        ["rollouts.argoproj.io/desired-replicas", "rollouts.kruise.io/rollout-id"]
            .iter()
            .find(|key| blue.annotations.contains_key(**key))
            .map(|key| format!("the tool behind annotation {key}"))
    })?;
    Some(Trouble::person(
        Reason::TargetOwned,
        format!(
            "Deployment {} is controlled by {owner}, which would undo the rollout; fix the image there.",
            blue.name
        ),
    ))
}

/// Stable means that the controller has seen the spec and one ReplicaSet has all the pods; not that every pod is ready: a
/// degraded workload must be patchable.
fn stable(input: &Input<'_>) -> Option<Trouble> {
    let blue = input.blue;
    let active = input.observed.active_replica_sets(&blue.uid).count();
    let seen = blue.observed_generation >= blue.generation;
    (!seen || active != 1).then(|| {
        Trouble::time(
            Reason::TargetRollingOut,
            format!("Deployment {} is in the middle of a rollout of its own; waiting until one ReplicaSet has all its pods.", blue.name),
        )
    })
}

fn containers(input: &Input<'_>) -> Option<Trouble> {
    let known = input.blue.template_containers();
    let missing = input
        .observed
        .hotfix
        .spec
        .images
        .iter()
        .find(|image| known.iter().all(|(_, name, _)| *name != image.container))?;
    let names: Vec<&str> = known.iter().map(|(_, name, _)| name.as_str()).collect();
    Some(Trouble::person(
        Reason::ContainerNotFound,
        format!(
            "Deployment {} has no container {}; it has {}. Create another SecurityHotfix with the right name.",
            input.blue.name,
            missing.container,
            names.join(", ")
        ),
    ))
}

fn images(input: &Input<'_>) -> Option<Trouble> {
    let allow = &input.policy.spec.images.allow;
    input.observed.hotfix.spec.images.iter().find_map(|change| match ImageRef::parse(&change.image) {
        None => Some(Trouble::person(
            Reason::ImageUnreadable,
            format!(
                "The image of container {} cannot be read as a reference: \"{}\". It must be written registry/repository:tag or registry/repository@sha256:<64 hexadecimal digits>; create another SecurityHotfix with such a one.",
                change.container,
                clean(&change.image, 200)
            ),
        )),
        Some(image) => (!allowed(allow, &image.repository)).then(|| {
            Trouble::person(
                Reason::ImageNotAllowed,
                format!(
                    "Policy {} does not allow images of {}; it allows {}. Ask its administrator, or use an allowed repository.",
                    input.policy.name,
                    image.repository,
                    // Cut, lest what is to be done be cut off by a long list.
                    clean(&allow.join(", "), 512)
                ),
            )
        }),
    })
}

fn pods(input: &Input<'_>) -> Option<Trouble> {
    let blue_pods = input.observed.blue_pods();
    if blue_pods.iter().any(|pod| pod.host_ports) {
        return Some(Trouble::person(
            Reason::PodsNotDoubled,
            format!(
                "The pods of {} use host ports or the host's network, so a second set cannot run beside them; change the image directly, or give them ports of their own.",
                input.blue.name
            ),
        ));
    }
    let foreign = |pod: &&Pod| pod.gates.iter().find(|gate| *gate != names::OPEN).cloned();
    blue_pods.iter().find_map(foreign).map(|gate| {
        Trouble::person(
            Reason::PodLoadBalancer,
            format!("The pods of {} have the readiness gate {gate}: what sets it registers pods by itself and would not follow the switch; let the load balancer use instance targets.", input.blue.name),
        )
    })
}

fn volumes(input: &Input<'_>) -> Option<Trouble> {
    let volumes = input.blue.raw.pointer("/spec/template/spec/volumes")?.as_array()?;
    let claim =
        volumes.iter().find_map(|volume| volume.pointer("/persistentVolumeClaim")?.get("claimName")?.as_str())?;
    let read_only = volumes.iter().all(|volume| {
        volume
            .get("persistentVolumeClaim")
            .is_none_or(|c| c.get("readOnly").and_then(serde_json::Value::as_bool) == Some(true))
    });
    (!read_only).then(|| {
        Trouble::person(
            Reason::PodsNotDoubled,
            format!("The pods of {} write to the volume claim {claim}; two versions at once could corrupt it, and one node at a time may mount it. Change the image directly.", input.blue.name),
        )
    })
}

fn services(input: &Input<'_>) -> Option<Trouble> {
    let Input { observed, blue, .. } = input;
    let services = selecting(observed, blue);
    if services.is_empty() {
        return Some(Trouble::person(Reason::NoService, no_service(blue)));
    }
    if services.len() > SERVICES_MAX {
        return Some(Trouble::person(Reason::ServiceUnsupported, too_many(blue, services.len())));
    }
    services.iter().find_map(|service| one_service(input, service))
}

/// There is nothing to switch.
pub fn no_service(blue: &Workload) -> String {
    let name = &blue.name;
    format!("No Service selects the pods of {name}, so there is no traffic to switch. Change its image directly.")
}

/// There is more to switch than may be.
pub fn too_many(blue: &Workload, services: usize) -> String {
    format!(
        "{services} Services select the pods of {}; at most {SERVICES_MAX} can be switched; remove those that nobody uses.",
        blue.name
    )
}

/// Why one Service cannot be switched, where it cannot.
pub fn one_service(input: &Input<'_>, service: &Service) -> Option<Trouble> {
    let Input { observed, blue, .. } = input;
    let name = &service.name;
    let unsupported = |what: &str| {
        Some(Trouble::person(Reason::ServiceUnsupported, format!("Service {name} cannot be switched safely: {what}.")))
    };
    if service.deleting {
        return Some(Trouble::time(
            Reason::ServiceUnsupported,
            format!("Service {name} is being deleted; waiting until it is gone."),
        ));
    }
    if service.type_ == "ExternalName" {
        return unsupported("it is of type ExternalName; take its selector away, or its type");
    }
    if service.publish_not_ready {
        return unsupported(
            "publishNotReadyAddresses sends traffic to pods that are not ready, so to a candidate before its gates passed; take the field away",
        );
    }
    if service.owner_selector().contains_key(POD_TEMPLATE_HASH) && !service.is_pinned() {
        return unsupported(
            "its selector needs pod-template-hash, so it can never follow a new version; take that key away",
        );
    }
    if let Some(trouble) = held_by_other(observed, service) {
        return Some(trouble);
    }
    let ours: Vec<&str> =
        observed.replica_sets.iter().filter(|rs| rs.controller == blue.uid).map(|rs| rs.uid.as_str()).collect();
    let selector = service.owner_selector();
    let stranger = observed.pods.iter().find(|pod| {
        pod.lives()
            && selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
            && !pod.labels.contains_key(SLOT)
            && !pod.controller.as_deref().is_some_and(|uid| ours.contains(&uid))
    });
    if let Some(pod) = stranger {
        return Some(Trouble::person(
            Reason::ServiceShared,
            format!(
                "Service {name} also selects pod {}, which is not of {}; the switch would cut it off. Give the Service a narrower selector.",
                pod.name, blue.name
            ),
        ));
    }
    let unknown = observed.endpoints(name).find(|endpoint| {
        endpoint.ready && endpoint.pod.as_deref().is_none_or(|uid| observed.pods.iter().all(|pod| pod.uid != uid))
    });
    if unknown.is_some() {
        return Some(Trouble::time(
            Reason::ServiceShared,
            format!(
                "Service {name} has an endpoint that is no pod of {}; the switch would cut it off. Waiting until it is gone; or give the Service a narrower selector.",
                blue.name
            ),
        ));
    }
    observed.foreign_slice(name).map(|slice| {
        let whose = match slice.managed_by.as_str() {
            "" => "that no controller says it manages".to_owned(),
            controller => format!("managed by {controller}"),
        };
        Trouble::person(
            Reason::ForeignEndpoints,
            format!("Service {name} has endpoints {whose}, which do not follow its selector; remove them, or change the image directly."),
        )
    })
}

fn held_by_other(observed: &Observed, service: &Service) -> Option<Trouble> {
    if let Some(Mark::Foreign(value)) = service.mark() {
        return Some(Trouble::person(
            Reason::ServiceHeld,
            format!(
                "Service {} carries {}, which no hotfix wrote: remove the annotation {}.",
                service.name,
                mark_words(&value),
                names::MARK
            ),
        ));
    }
    let holder = observed.whose_service(service)?;
    let message =
        format!("Service {} is held by hotfix {}; waiting until it is done.", service.name, observed.name_of(&holder));
    Some(Trouble::time(Reason::ServiceHeld, message))
}

fn load_balancers(input: &Input<'_>) -> Option<Trouble> {
    const ANNOTATIONS: &[(&str, &str)] = &[
        ("service.beta.kubernetes.io/aws-load-balancer-nlb-target-type", "ip"),
        ("service.beta.kubernetes.io/aws-load-balancer-type", "nlb-ip"),
        ("cloud.google.com/neg", ""),
    ];
    selecting(input.observed, input.blue).into_iter().find_map(|service| {
        let annotated = ANNOTATIONS.iter().any(|(key, value)| {
            service.annotations.get(*key).is_some_and(|found| value.is_empty() || found == value)
        });
        let bound = input.observed.pod_load_balancers.contains(&service.name);
        (annotated || bound).then(|| {
            Trouble::person(
                Reason::PodLoadBalancer,
                format!("A load balancer registers the pods of Service {} by itself, without asking whether they are ready; use instance targets.", service.name),
            )
        })
    })
}

fn autoscalers(input: &Input<'_>) -> Option<Trouble> {
    let doubled = |metric: &&String| {
        (metric.starts_with("Object/") || metric.starts_with("External/")) && metric.ends_with("/Value")
    };
    input.observed.autoscalers.iter().find_map(|autoscaler| {
        let metric = autoscaler.metrics.iter().find(doubled)?;
        Some(Trouble::person(
            Reason::AutoscalerUnsupported,
            format!("HorizontalPodAutoscaler {} has a metric {metric}, which would count both sides at once and double the workload; use AverageValue.", autoscaler.name),
        ))
    })
}

/// What does not stop a rollout but should be known before it begins.
pub fn warnings(input: &Input<'_>) -> Vec<String> {
    let Input { observed, blue, .. } = input;
    let labels = blue.template_labels();
    let budgets = observed
        .budgets
        .iter()
        .filter(|budget| !budget.labels.contains_key(SLOT) && selector::matches(&budget.selector, &labels))
        .map(|budget| {
            format!("PodDisruptionBudget {} covers {}: while both sides run, node drains wait.", budget.name, blue.name)
        });
    let tracked = ["argocd.argoproj.io/tracking-id", "kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"];
    let engine = tracked
        .iter()
        .find(|key| blue.annotations.contains_key(**key) || blue.labels.contains_key(**key))
        .map(|key| format!("Deployment {} is reconciled by a GitOps engine ({key}): put the patched image into Git too, or it will be taken out again.", blue.name));
    budgets.chain(engine).collect()
}
