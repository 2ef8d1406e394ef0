//! Whether the policy of a namespace, and every check it names, can be carried out as written.

use jiff::Timestamp;

use crate::api::names::{DEFAULT_POLICY, POLICY};
use crate::api::time::Moment;
use crate::api::{Attempt, CheckContainer, Gate, GateCheck, Reason, SecurityCheckSpec, Unchecked};
use crate::findings::text::clean;
use crate::gates::{clause, http};

use super::decision::Note;
use super::observed::{Check, Observed, Policy};
use super::step::{Step, Trouble};
use super::{stage, unchecked};

/// Why a policy cannot be carried out, which a person has to mend.
pub struct Unusable {
    reason: Reason,
    /// What is so, as the first clause of a sentence.
    what: String,
    /// What to do, as the rest of it, and more sentences.
    remedy: Option<String>,
}

impl Unusable {
    fn new(reason: Reason, what: String, remedy: impl Into<String>) -> Self {
        Self { reason, what, remedy: Some(remedy.into()) }
    }

    /// A check that cannot be run as it is written; `why` may tell what to do.
    fn check(why: &str) -> Self {
        Self { reason: Reason::CheckInvalid, what: clause(why).to_owned(), remedy: None }
    }

    /// Policies or checks that the operator could not read; `why` tells what to do.
    fn unread(why: &str) -> Self {
        Self { reason: Reason::ApiRefused, what: clause(why).to_owned(), remedy: None }
    }

    /// What is so, as a clause without its end.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What is so, and what to do about it.
    pub fn trouble(&self) -> Trouble {
        let Self { reason, what, remedy } = self;
        let message = remedy.as_ref().map_or_else(|| format!("{what}."), |remedy| format!("{what}; {remedy}"));
        Trouble::person(*reason, message)
    }
}

/// Records that another policy applies than the one the attempt ran under. While the candidate serves its soak then counts anew: a
/// policy may be chosen for its short one.
pub fn changed(o: &Observed, attempt: &Attempt, now: Timestamp) -> Option<Step> {
    let policy = o.policy.as_ref().filter(|policy| policy.name != attempt.policy)?;
    let text = format!("Policy {} applies now, and no longer {}.", policy.name, attempt.policy);
    let mut under = Attempt { policy: policy.name.clone(), ..attempt.clone() };
    if attempt.converged_at.is_some() {
        let at = Moment::new(now);
        let since = unchecked::open(attempt).map_or(at, |unchecked| unchecked.since);
        under.unchecked = Some(Unchecked { since, until: Some(at) });
    }
    Some(stage::record(o, under, vec![Note::warning(Reason::PolicyChanged, "Wait", text)]))
}

/// The policy of the namespace, if it and the checks it names can be carried out.
pub fn usable(o: &Observed) -> Result<&Policy, Unusable> {
    if let Some(why) = &o.unread {
        return Err(Unusable::unread(why));
    }
    let policy = o.policy.as_ref().ok_or_else(|| missing(o))?;
    let gates = &policy.spec.gates;
    let all = [(Gate::Scan, &gates.scan), (Gate::Analyze, &gates.analyze), (Gate::Verify, &gates.verify)];
    for (gate, entry) in all.into_iter().flat_map(|(gate, entries)| entries.iter().map(move |entry| (gate, entry))) {
        let Some(check) = o.checks.get(&entry.check) else {
            let what = format!("Policy {} names the check {}, which does not exist", policy.name, named(&entry.check));
            let remedy = "create that SecurityCheck, or take it out of the policy.";
            return Err(Unusable::new(Reason::CheckMissing, what, remedy));
        };
        if let Some(unusable) = unfit(policy, gate, entry, check) {
            return Err(unusable);
        }
    }
    if gates.scan.is_empty() {
        let what = format!("Policy {} has no scan check, so nothing could ever prove the fix", policy.name);
        return Err(Unusable::new(Reason::PolicyInvalid, what, "add one."));
    }
    Ok(policy)
}

fn missing(o: &Observed) -> Unusable {
    let namespace = &o.hotfix.namespace;
    let (what, remedy) = match o.namespace.policy.as_deref() {
        Some("") => (
            format!("The label {POLICY} on namespace {namespace} is empty and names no HotfixPolicy"),
            format!(
                "an administrator must write the name of one, or take the label away for the policy {DEFAULT_POLICY}. The hotfix goes on by itself then."
            ),
        ),
        chosen => (
            format!("There is no HotfixPolicy {}", chosen.unwrap_or(DEFAULT_POLICY)),
            format!(
                "an administrator must create it, or choose another with the label {POLICY} on namespace {namespace}. The hotfix goes on by itself then."
            ),
        ),
    };
    Unusable::new(Reason::PolicyMissing, what, remedy)
}

/// A name for a sentence, also where there is none.
fn named(name: &str) -> &str {
    if name.is_empty() { "without a name" } else { name }
}

/// Why a check cannot be run in this gate.
fn unfit(policy: &Policy, gate: Gate, entry: &GateCheck, check: &Check) -> Option<Unusable> {
    let fits = match (&check.spec, gate) {
        (SecurityCheckSpec { scan: Some(_), test: None, http: None }, _) => true,
        (SecurityCheckSpec { scan: None, .. }, Gate::Scan) => false,
        (SecurityCheckSpec { scan: None, test, http }, _) => test.is_some() != http.is_some(),
        _ => false,
    };
    if !fits {
        return Some(Unusable::check(&format!(
            "Check {} cannot be run in the {gate:?} gate of policy {}: the scan gate takes scans, the others take scans, tests and HTTP checks.",
            entry.check, policy.name
        )));
    }
    if let Some(Err(why)) = check.spec.http.as_ref().map(|http| http::path(http, &entry.args)) {
        return Some(Unusable::check(&format!("Check {} cannot be run: {why}", entry.check)));
    }
    let scan = check.spec.scan.as_ref().map(|scan| ("scan", &scan.container));
    let (kind, container) = scan.or_else(|| check.spec.test.as_ref().map(|test| ("test", &test.container)))?;
    let (field, value) = quantities(container).find(|(_, value)| !is_quantity(value))?;
    let (field, value) = (clean(&field, 128), clean(value, 64));
    let what = format!(
        "Check {} cannot be run: its spec.{kind}.container.{field} is \"{value}\", which is no quantity",
        entry.check
    );
    Some(Unusable::new(Reason::CheckInvalid, what, "write one such as 500m or 1Gi."))
}

/// Every quantity a check's container has, with its field. The API server names neither when it refuses one.
fn quantities(container: &CheckContainer) -> impl Iterator<Item = (String, &str)> {
    let resources = container.resources.iter();
    let resources = resources.flat_map(|all| [("limits", &all.limits), ("requests", &all.requests)]);
    let resources = resources.flat_map(|(list, map)| {
        map.iter().map(move |(name, value)| (format!("resources.{list}.{name}"), value.as_str()))
    });
    let folders = container.volumes.iter().filter_map(|volume| {
        let limit = volume.empty_dir.as_ref()?.size_limit.as_deref()?;
        Some((format!("volumes[{}].emptyDir.sizeLimit", volume.name), limit))
    });
    resources.chain(folders)
}

/// True for a quantity as Kubernetes writes one that is not negative: a decimal number, and a suffix or an exponent.
fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = suffix.strip_prefix(['e', 'E']).map(|power| power.strip_prefix(['+', '-']).unwrap_or(power));
    number.matches('.').count() <= 1
        && digits(&number.replace('.', ""))
        && (SUFFIXES.contains(&suffix) || exponent.is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::is_quantity;

    #[test]
    fn a_quantity_is_what_kubernetes_takes_for_one() {
        for good in ["1", "0", "500m", "1Gi", "1.5", ".5", "1.", "+2", "1e3", "1E-3", "12E", "0.1k", "100u"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "lots", "1 Gi", "-1", "1gb", "1KI", "1.2.3", ".", "1e", "e3", "Gi", "1Gi1", "０"] {
            assert!(!is_quantity(bad), "{bad}");
        }
    }
}
