//! Every field of every kind people write, wrong in every way its schema suggests: refused with a sentence, or looked at to an
//! end or a reason; and never in the way of another hotfix.

mod administrators;
mod classes;
mod goods;
mod hotfixes;
mod mutants;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use hotfix_e2e::deed::Deed;
use hotfix_e2e::faults::lane::Lane;
use hotfix_e2e::lab::LabError;
use kube::Client;
use serde_json::{Value, json};

use super::{chosen, dice, setting};
use classes::Mutants;
use mutants::Mutant;

/// One lane for all hotfixes at once; on the others checks and policies are changed one after the other.
pub const LANES: usize = 1 + 7;

const API: &str = "/apis/securityhotfix.dev/v1alpha1";

/// What an administrator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Policy,
    Scan,
    Test,
    Http,
}

/// What came of the mutants that were let in.
#[derive(Default)]
pub struct Ends {
    /// Came to an outcome, or as far as it should for now.
    pub reconciled: usize,
    /// Wait for a person, with the reason.
    pub stalled: BTreeMap<String, usize>,
    pub wrong: Vec<String>,
}

impl Ends {
    pub fn join(&mut self, other: Self) {
        self.reconciled += other.reconciled;
        for (reason, count) in other.stalled {
            *self.stalled.entry(reason).or_default() += count;
        }
        self.wrong.extend(other.wrong);
    }
}

#[derive(Default)]
struct Counts {
    fields: usize,
    mutants: usize,
    rejected: usize,
    same: usize,
    wrong: Vec<String>,
    said: String,
}

pub async fn play(lanes: &[Lane<'_>]) -> Result<Vec<String>, LabError> {
    let Some((first, others)) = lanes.split_first() else { return Ok(Vec::new()) };
    let client = &first.shared.admin;
    let (mut counts, accepted) = tried(client, &first.name).await?;
    counts.wrong.extend(unseen_rules(client, &counts.said).await?);
    let let_in = accepted.len();
    let (classes, chosen) = thinned(accepted);
    println!(
        "fields: fields={} mutants={} rejected={} same_as_good={} let_in={let_in} classes={classes} played={}",
        counts.fields,
        counts.mutants,
        counts.rejected,
        counts.same,
        chosen.len(),
    );
    let hotfixes: Vec<Mutant> = chosen.iter().filter(|(kind, _)| kind.is_none()).map(|(_, it)| it.clone()).collect();
    let of_administrators = chosen.into_iter().filter_map(|(kind, it)| Some((kind?, it))).collect();
    let (hotfixes, administrators) =
        futures::future::join(hotfixes::play(first, &hotfixes), administrators::play(others, of_administrators)).await;
    let mut ends = hotfixes?;
    ends.join(administrators?);
    let stalled: usize = ends.stalled.values().sum();
    let reasons: Vec<String> = ends.stalled.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
    println!("fields: reconciled={} stalled={stalled} ({})", ends.reconciled, reasons.join(", "));
    counts.wrong.extend(ends.wrong);
    Ok(counts.wrong)
}

/// How many classes there are, and what is played: one of each, with `ALL=1` all.
fn thinned(accepted: Mutants) -> (usize, Mutants) {
    let all = setting("ALL").map(|_| accepted.clone());
    let (classes, drawn) = classes::thinned(accepted, &mut dice());
    (classes, chosen(all.unwrap_or(drawn), |(kind, mutant)| told(*kind, mutant)))
}

/// A mutant in a line.
fn told(kind: Option<Kind>, mutant: &Mutant) -> String {
    let kind = kind.map_or_else(|| "Hotfix".to_owned(), |kind| format!("{kind:?}"));
    format!("{kind} {} {}", mutant.field, mutant.what)
}

/// Rehearses every mutant of every kind.
async fn tried(client: &Client, namespace: &str) -> Result<(Counts, Mutants), LabError> {
    let of_policies = format!("{API}/hotfixpolicies");
    let of_checks = format!("{API}/securitychecks");
    let of_hotfixes = format!("{API}/namespaces/{namespace}/securityhotfixes");
    let goods = [
        (None, "securityhotfixes", &of_hotfixes, goods::hotfix("mutant", "web")),
        (Some(Kind::Policy), "hotfixpolicies", &of_policies, goods::policy("mutant", "s", "t")),
        (Some(Kind::Scan), "securitychecks", &of_checks, goods::scan("mutant")),
        (Some(Kind::Test), "securitychecks", &of_checks, goods::test("mutant")),
        (Some(Kind::Test), "securitychecks", &of_checks, goods::test_with_report("mutant")),
        (Some(Kind::Test), "securitychecks", &of_checks, goods::test_with_claim("mutant")),
        (Some(Kind::Http), "securitychecks", &of_checks, goods::http("mutant")),
    ];
    let mut counts = Counts::default();
    let mut accepted = Mutants::new();
    let mut fields = BTreeSet::new();
    let mut known = BTreeSet::new();
    for (kind, plural, path, good) in goods {
        let schema = schema(client, plural).await?;
        let stored = rehearsed(client, path, &good).await.map_err(LabError::Unfit)?;
        known.insert(stored["spec"].to_string());
        let (found, mut mutants) = mutants::of(&good, &schema);
        fields.extend(found.iter().map(|field| format!("{plural}{field}")));
        mutants.extend(contradictions(kind, &good));
        for mutant in mutants {
            counts.mutants += 1;
            match rehearsed(client, path, &mutant.object).await {
                Err(said) => {
                    counts.rejected += 1;
                    if said.is_empty() {
                        counts.wrong.push(format!("{plural}{} {}: refused without a word", mutant.field, mutant.what));
                    }
                    counts.said.push_str(&said);
                    counts.said.push('\n');
                }
                Ok(stored) if !known.insert(stored["spec"].to_string()) => counts.same += 1,
                Ok(stored) => {
                    if stored.to_string().contains("nobodyKnows") {
                        counts.wrong.push(format!("{plural}{}: an unknown field is kept", mutant.field));
                    }
                    accepted.push((kind, mutant));
                }
            }
        }
    }
    counts.fields = fields.len();
    Ok((counts, accepted))
}

/// What no single field shows: too much, too little, and names.
fn contradictions(kind: Option<Kind>, good: &Value) -> Vec<Mutant> {
    let mut all = Vec::new();
    let mut add = |what: &str, change: &dyn Fn(&mut Value)| {
        let mut object = good.clone();
        change(&mut object);
        all.push(Mutant { field: "/spec".to_owned(), sort: "/spec".to_owned(), what: what.to_owned(), object });
    };
    add("a name that fits no label", &|object| object["metadata"]["name"] = json!("n".repeat(64)));
    match kind {
        Some(Kind::Scan | Kind::Test | Kind::Http) => {
            add("nothing of scan, test and http", &|object| object["spec"] = json!({}));
            add("two of scan, test and http", &|object| {
                object["spec"]["http"] = goods::http("x")["spec"]["http"].clone();
                object["spec"]["scan"] = goods::scan("x")["spec"]["scan"].clone();
            });
        }
        Some(Kind::Policy) => add("a registry alone that is allowed", &|object| {
            object["spec"]["images"]["allow"] = json!(["registry.example"]);
        }),
        None => {}
    }
    if matches!(kind, Some(Kind::Scan | Kind::Test)) {
        let word = if kind == Some(Kind::Scan) { "scan" } else { "test" };
        let volumes = |object: &mut Value, volumes: Value| object["spec"][word]["container"]["volumes"] = volumes;
        add("a volume of two sources", &|object| {
            volumes(object, json!([{"name": "v", "mountPath": "/v", "emptyDir": {}, "secret": {"secretName": "s"}}]));
        });
        add("a volume of no source", &|object| volumes(object, json!([{"name": "v", "mountPath": "/v"}])));
        add("a volume over the runner", &|object| {
            volumes(object, json!([{"name": "v", "mountPath": "/runner/x", "emptyDir": {}}]));
        });
        add("two volumes at one place", &|object| {
            volumes(
                object,
                json!([{"name": "v", "mountPath": "/v", "emptyDir": {}}, {"name": "w", "mountPath": "/v", "emptyDir": {}}]),
            );
        });
        add("the name of the runner's own volume", &|object| {
            volumes(object, json!([{"name": "runner", "mountPath": "/v", "emptyDir": {}}]));
        });
        add("a variable of the operator", &|object| {
            object["spec"][word]["container"]["env"] = json!([{"name": "IMAGE", "value": "x"}]);
        });
        add("a resource of another name", &|object| {
            object["spec"][word]["container"]["resources"] =
                json!({"limits": {"ram": "1Gi"}, "requests": {"ram": "1Gi"}});
        });
        add("a request beyond its limit", &|object| {
            object["spec"][word]["container"]["resources"] =
                json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2", "memory": "64Mi"}});
        });
    }
    all
}

/// What the API server makes of it, or why it refuses it.
async fn rehearsed(client: &Client, path: &str, object: &Value) -> Result<Value, String> {
    match Deed::create(path, object.clone()).rehearsed().attempt(client).await {
        Err(kube::Error::Api(status)) => Err(status.message),
        other => other.map_err(|error| error.to_string()),
    }
}

async fn definition(client: &Client, plural: &str) -> Result<Value, LabError> {
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.securityhotfix.dev");
    Deed::get(path).attempt(client).await.map_err(|error| LabError::Unfit(error.to_string()))
}

async fn schema(client: &Client, plural: &str) -> Result<Value, LabError> {
    let schema = definition(client, plural).await?.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned();
    schema.ok_or_else(|| LabError::Unfit(format!("{plural} have no schema")))
}

/// Rules of the definitions that no mutant has broken. Those of changes are broken by the suite of admission.
async fn unseen_rules(client: &Client, said: &str) -> Result<Vec<String>, LabError> {
    let mut messages = Vec::new();
    for plural in ["securityhotfixes", "hotfixpolicies", "securitychecks"] {
        rules(&schema(client, plural).await?, &mut messages);
    }
    messages.retain(|message| !said.contains(message.as_str()));
    Ok(messages.into_iter().map(|message| format!("no mutant breaks the rule: {message}")).collect())
}

fn rules(schema: &Value, messages: &mut Vec<String>) {
    let own = schema.get("x-kubernetes-validations").and_then(Value::as_array);
    for rule in own.into_iter().flatten().filter(|rule| !rule["rule"].to_string().contains("oldSelf")) {
        messages.extend(rule["message"].as_str().map(str::to_owned));
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|field| rules(field, messages)),
        Value::Array(items) => items.iter().for_each(|item| rules(item, messages)),
        _ => {}
    }
}
