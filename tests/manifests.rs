//! The manifests people apply are what a security reviewer would accept, and the examples are what the
//! API takes. Needs no Helm: it reads the rendered files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use securityhotfix::api::rbac::{RULES, Reach};
use securityhotfix::api::{HotfixPolicy, SecurityCheck, SecurityHotfix, crd_file_name, crds};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const INSTALLS: [&str; 2] = ["deploy/install.yaml", "deploy/namespace-install.yaml"];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every document of a file.
fn parsed(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple::<Value>(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Every rule of every role that is bound to the operator.
fn operator_rules(objects: &[Value]) -> Vec<Value> {
    let bound: BTreeSet<(&str, &str)> = ["RoleBinding", "ClusterRoleBinding"]
        .iter()
        .flat_map(|kind| of_kind(objects, kind))
        .filter(|binding| binding["subjects"][0]["kind"] == "ServiceAccount")
        .filter_map(|binding| Some((binding["roleRef"]["kind"].as_str()?, binding["roleRef"]["name"].as_str()?)))
        .collect();
    objects
        .iter()
        .filter(|object| object["kind"].as_str().is_some_and(|kind| bound.contains(&(kind, name(object)))))
        .flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default())
        .collect()
}

/// What the operator's container is given for a flag.
fn argument(objects: &[Value], flag: &str) -> String {
    let arguments = &of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"];
    let given = strings(arguments)
        .into_iter()
        .find_map(|argument| argument.strip_prefix(&format!("{flag}=")).map(str::to_owned));
    given.unwrap_or_else(|| panic!("no {flag}"))
}

#[test]
fn every_object_is_complete_and_named_once() {
    for path in INSTALLS {
        let mut seen = BTreeSet::new();
        for object in parsed(path) {
            let kind = object["kind"].as_str().expect("a kind");
            assert!(object["apiVersion"].is_string(), "{path}: {kind} without apiVersion");
            assert!(!name(&object).is_empty(), "{path}: {kind} without a name");
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            assert!(
                seen.insert(format!("{kind} {namespace}/{}", name(&object))),
                "{path}: {kind} {} twice",
                name(&object)
            );
        }
    }
}

#[test]
fn the_operators_roles_hold_exactly_the_rules_of_the_code() {
    for path in INSTALLS {
        let objects = parsed(path);
        let granted: BTreeSet<String> = operator_rules(&objects).iter().map(Value::to_string).collect();
        let lease = argument(&objects, "--lease-name");
        let wanted: BTreeSet<String> = RULES
            .iter()
            .map(|rule| {
                let mut granted = json!({"apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs});
                if rule.reach == Reach::Lease {
                    granted["resourceNames"] = json!([lease]);
                }
                granted.to_string()
            })
            .collect();
        assert_eq!(granted, wanted, "{path}");
    }
}

#[test]
fn no_role_holds_a_wildcard_or_a_way_to_more_rights() {
    for path in INSTALLS {
        let objects = parsed(path);
        let roles = ["Role", "ClusterRole"].iter().flat_map(|kind| of_kind(&objects, kind));
        for role in roles {
            for rule in role["rules"].as_array().expect("rules") {
                let (groups, resources, verbs) =
                    (strings(&rule["apiGroups"]), strings(&rule["resources"]), strings(&rule["verbs"]));
                for word in groups.iter().chain(&resources).chain(&verbs) {
                    assert!(!word.contains('*'), "{path}: a wildcard in {}", name(role));
                }
                for banned in ["escalate", "bind", "impersonate"] {
                    assert!(!verbs.contains(&banned), "{path}: {banned} in {}", name(role));
                }
                for banned in ["secrets", "serviceaccounts/token", "pods/exec", "nodes/proxy", "nodes"] {
                    assert!(!resources.contains(&banned), "{path}: {banned} in {}", name(role));
                }
                for banned in ["rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io"] {
                    assert!(!groups.contains(&banned), "{path}: {banned} in {}", name(role));
                }
                assert!(rule["nonResourceURLs"].is_null(), "{path}: paths in {}", name(role));
            }
        }
    }
}

#[test]
fn every_installation_leads_by_a_lease_of_its_own() {
    let leases: BTreeSet<_> = INSTALLS.iter().map(|path| argument(&parsed(path), "--lease-name")).collect();
    assert_eq!(leases.len(), INSTALLS.len(), "{leases:?}");
    for path in INSTALLS {
        let objects = parsed(path);
        let installed = of_kind(&objects, "Lease");
        assert_eq!(installed.len(), 1, "{path}: it goes with the installation");
        assert_eq!(name(installed[0]), argument(&objects, "--lease-name"), "{path}");
        assert!(installed[0]["spec"].is_null(), "{path}: nobody holds it, so the first replica leads at once");
    }
}

#[test]
fn the_namespaced_install_grants_the_cluster_only_what_lives_in_no_namespace() {
    let objects = parsed("deploy/namespace-install.yaml");
    let bindings = of_kind(&objects, "ClusterRoleBinding");
    assert_eq!(bindings.len(), 1);
    let role = of_kind(&objects, "ClusterRole")
        .into_iter()
        .find(|role| name(role) == bindings[0]["roleRef"]["name"])
        .expect("the bound role");
    let wanted: Vec<_> = RULES.iter().filter(|rule| rule.reach == Reach::Cluster).map(|rule| rule.resources).collect();
    let granted: Vec<_> = role["rules"].as_array().unwrap().iter().map(|rule| strings(&rule["resources"])).collect();
    assert_eq!(granted, wanted);
}

#[test]
fn who_may_edit_a_namespace_may_ask_for_a_hotfix_and_not_judge_it() {
    let objects = parsed("deploy/install.yaml");
    let edit = of_kind(&objects, "ClusterRole")
        .into_iter()
        .find(|role| role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true")
        .expect("a role added to edit");
    let resources: Vec<&str> =
        edit["rules"].as_array().unwrap().iter().flat_map(|rule| strings(&rule["resources"])).collect();
    assert_eq!(resources, ["securityhotfixes"]);
}

#[test]
fn the_operators_pod_can_do_nothing_to_its_node() {
    for path in INSTALLS {
        let objects = parsed(path);
        let deployments = of_kind(&objects, "Deployment");
        assert_eq!(deployments.len(), 1);
        let spec = &deployments[0]["spec"];
        assert_eq!(spec["replicas"], 2, "{path}: one that leads, one that stands by");
        assert_eq!(argument(&objects, "--leader-election"), "true", "{path}: or two would act");
        let rolls = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        assert_eq!(spec["strategy"], rolls, "{path}: the next is warm before one goes");
        let budget = of_kind(&objects, "PodDisruptionBudget");
        assert_eq!(budget.len(), 1, "{path}");
        assert_eq!(budget[0]["spec"]["selector"], spec["selector"], "{path}: the budget is the operator's");
        let pod = &spec["template"]["spec"];
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod[key].is_null(), "{path}: {key}");
        }
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["runAsUser"], 65532);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
            assert!(container["resources"]["limits"]["memory"].is_string(), "{path}: a memory limit");
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                assert!(container[probe]["httpGet"]["path"].is_string(), "{path}: {probe}");
            }
        }
        let volumes = pod["volumes"].as_array().into_iter().flatten();
        assert!(volumes.into_iter().all(|volume| volume["hostPath"].is_null()), "{path}: a host path");
    }
}

#[test]
fn every_admission_policy_is_bound_and_fails_closed() {
    for path in INSTALLS {
        let objects = parsed(path);
        let policies = of_kind(&objects, "ValidatingAdmissionPolicy");
        let bindings = of_kind(&objects, "ValidatingAdmissionPolicyBinding");
        assert_eq!(policies.len(), bindings.len(), "{path}");
        for policy in policies {
            assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{path}: {}", name(policy));
            let binding = bindings.iter().find(|binding| binding["spec"]["policyName"] == name(policy)).expect("bound");
            assert!(strings(&binding["spec"]["validationActions"]).contains(&"Deny"), "{path}: {}", name(policy));
            let namespaced = !binding["spec"]["matchResources"]["namespaceSelector"].is_null();
            assert_eq!(namespaced, path.contains("namespace-"), "{path}: {}", name(policy));
        }
    }
}

#[test]
fn check_pods_run_in_a_namespace_that_lets_none_of_them_do_harm() {
    for path in INSTALLS {
        let objects = parsed(path);
        let checks = of_kind(&objects, "Namespace")
            .into_iter()
            .find(|namespace| name(namespace).ends_with("-checks"))
            .expect("the checks' namespace");
        assert_eq!(checks["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
        let policy = of_kind(&objects, "NetworkPolicy")
            .into_iter()
            .find(|policy| policy["metadata"]["namespace"] == name(checks))
            .expect("a network policy");
        assert_eq!(policy["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
    }
}

#[test]
fn the_installed_definitions_are_the_generated_ones_and_stay_on_uninstall() {
    for path in INSTALLS {
        let objects = parsed(path);
        let installed = of_kind(&objects, "CustomResourceDefinition");
        assert_eq!(installed.len(), crds().len());
        for crd in crds() {
            let wanted = &parsed(&format!("crds/{}", crd_file_name(&crd)))[0];
            let found = installed.iter().find(|found| name(found) == name(wanted)).expect("installed");
            assert!(found["spec"] == wanted["spec"], "{path}: {} is out of date: run `make generate`", name(wanted));
            assert_eq!(found["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
        }
    }
}

fn parse<K: DeserializeOwned>(document: &Value) -> K {
    serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{}: {error}", name(document)))
}

#[test]
fn the_examples_are_what_the_api_takes_and_fit_together() {
    let files = ["checks.yaml", "policy.yaml", "hotfix.yaml"].map(|file| format!("deploy/examples/{file}"));
    let first_steps = ["charts/hotfix-operator/files/first-policy.yaml".to_owned()];
    for set in [&files[..], &first_steps[..]] {
        let (mut checks, mut asked_for) = (BTreeSet::new(), BTreeSet::new());
        for document in set.iter().flat_map(|file| parsed(file)) {
            match document["kind"].as_str() {
                Some("SecurityHotfix") => drop(parse::<SecurityHotfix>(&document)),
                Some("SecurityCheck") => {
                    parse::<SecurityCheck>(&document);
                    checks.insert(name(&document).to_owned());
                }
                Some("HotfixPolicy") => {
                    let gates = parse::<HotfixPolicy>(&document).spec.gates;
                    let all = gates.scan.into_iter().chain(gates.analyze).chain(gates.verify);
                    asked_for.extend(all.map(|gate| gate.check));
                }
                other => panic!("an example of kind {other:?}"),
            }
        }
        assert!(!asked_for.is_empty());
        assert!(asked_for.is_subset(&checks), "a gate names a check that is not among the examples: {asked_for:?}");
    }
}

/// Every target of the workspace in a folder, as cargo sees it: what is named and is not there, cargo leaves out here, and
/// refuses to build anything.
fn targets(folder: &Path) -> BTreeSet<String> {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version=1"]).current_dir(folder);
    let seen = metadata.output().unwrap();
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
    let seen: Value = serde_json::from_slice(&seen.stdout).unwrap();
    let packages = seen["packages"].as_array().unwrap();
    let targets = packages.iter().flat_map(|package| package["targets"].as_array().unwrap());
    targets.map(|target| format!("{} {}", target["kind"], target["name"])).collect()
}

#[test]
fn the_image_is_built_from_all_that_cargo_wants_to_see() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let context = Path::new(env!("CARGO_TARGET_TMPDIR")).join("containerfile");
    let _ = fs::remove_dir_all(&context);
    fs::create_dir_all(&context).unwrap();
    let containerfile = read("Containerfile");
    let (build, _) = containerfile.split_once("\nFROM scratch").expect("a stage that builds, and one that does not");
    for copied in build.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let (from, _) = copied.rsplit_once(' ').expect("what is copied, and where to");
        for name in from.split(' ') {
            symlink(root.join(name), context.join(name)).unwrap();
        }
    }
    // Tests in `tests` are found, not named.
    let of = |folder: &Path| targets(folder).into_iter().filter(|target| !target.starts_with("[\"test\"]")).collect();
    let (there, here): (BTreeSet<String>, BTreeSet<String>) = (of(&context), of(root));
    assert!(here.len() > 10, "{here:?}");
    assert_eq!(there, here);
    // Every engine reads this one; what was built here is no part of it.
    assert!(read(".dockerignore").lines().any(|line| line == "target"));
}
