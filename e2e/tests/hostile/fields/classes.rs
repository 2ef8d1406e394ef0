//! Which of the mutants that were let in are played: what is wrong in the same way with fields of the same sort is played once, by
//! one that is drawn; where the field is of a sort of its own, everything is.

use std::collections::BTreeMap;

use hotfix_e2e::faults::dice::Dice;
use serde_json::{Value, json};

use super::Kind;
use super::mutants::Mutant;

/// Fields that mean something to the planner beside their text: images, durations, and the names of what is looked for.
const SPECIAL: &[&str] = &[
    "image",
    "allow",
    "timeout",
    "interval",
    "soak",
    "staging",
    "convergence",
    "foldBack",
    "check",
    "container",
    "kind",
    "target/name",
];

/// What a field is, as far as it matters how a mutant of it is taken: its place, where that is special or it is a list, else its
/// schema without what is said of it and without its bounds.
pub fn sort(pointer: &str, schema: &Value) -> String {
    // Scans and tests have the same container.
    let place = pointer.replacen("/spec/scan/", "/spec/job/", 1).replacen("/spec/test/", "/spec/job/", 1);
    let words = || place.split('/').filter(|word| word.parse::<usize>().is_err());
    let special = SPECIAL.iter().any(|name| {
        let (parent, last) = name.rsplit_once('/').map_or((None, *name), |(parent, last)| (Some(parent), last));
        let mut back = words().collect::<Vec<_>>().into_iter().rev();
        back.next() == Some(last) && parent.is_none_or(|parent| back.next() == Some(parent))
    });
    if special || schema["type"] == "array" {
        return place;
    }
    let of = |name: &str| schema.get(name).cloned().unwrap_or_default();
    let is_map = schema.get("additionalProperties").is_some();
    json!([of("type"), of("format"), of("pattern"), of("enum"), of("x-kubernetes-validations"), is_map]).to_string()
}

/// Mutants with the kind they are of; none for a hotfix.
pub type Mutants = Vec<(Option<Kind>, Mutant)>;

/// One of each class, and how many classes there are.
pub fn thinned(all: Mutants, dice: &mut Dice) -> (usize, Mutants) {
    let mut classes: BTreeMap<(String, String, String), Mutants> = BTreeMap::new();
    for (kind, mutant) in all {
        // What contradicts itself does so in one kind.
        let of = match kind {
            _ if mutant.sort == "/spec" => format!("{kind:?}"),
            None => "hotfix".to_owned(),
            Some(Kind::Policy) => "policy".to_owned(),
            Some(_) => "check".to_owned(),
        };
        classes.entry((of, mutant.sort.clone(), mutant.what.clone())).or_default().push((kind, mutant));
    }
    let count = classes.len();
    let drawn = classes.into_values().filter_map(|mut class| {
        dice.shuffle(&mut class);
        class.pop()
    });
    (count, drawn.collect())
}
