//! What checks say: Jobs that end, and the registry, admission and probed pods, which answer what the operator asks.

use securityhotfix::api::names::OPEN;
use securityhotfix::api::{Gate, HttpCheck, ImageChange, ResolvedImage};
use securityhotfix::findings::{AliasSet, Finding, PackageSeen, ScanReport, Severity, Status, Tool};
use securityhotfix::plan::Want;
use securityhotfix::plan::jobs;
use securityhotfix::plan::observed::{Content, Output, Probe, Rehearsal, Resolution};
use serde_json::Value;

use super::World;
use super::script::Image;

impl World {
    pub(super) fn step_jobs(&mut self) -> bool {
        let over = self.jobs.values().find(|job| job.is_running() && job.ends_at <= self.now);
        let Some((name, image)) = over.map(|job| (job.run.job.clone(), job.image.clone())) else { return false };
        let output = match image {
            _ if self.jobs[&name].run.stuck.is_some() => {
                Output::Unusable(jobs::late(&name, self.jobs[&name].run.stuck.as_deref()))
            }
            Some(image) => self.scan(&image),
            None => framed(i32::from(self.script.tests_fail), Content::None),
        };
        let at = self.moment();
        self.jobs.get_mut(&name).unwrap().end(at, output);
        true
    }

    fn scan(&mut self, image: &str) -> Output {
        if let Some(left) = self.script.garbage.get_mut(image).filter(|left| **left > 0) {
            *left -= 1;
            return Output::Unusable("the log holds no frame".into());
        }
        let facts = self.script.images.get(image).cloned().unwrap_or_default();
        framed(0, Content::Scan(Box::new(report(image, &facts))))
    }

    /// Answers one thing that an operator asked for; false when nothing is asked, or all of it is answered.
    pub(super) fn step_answers(&mut self) -> bool {
        let wants: Vec<(String, Want)> = self
            .operators
            .iter()
            .flat_map(|(name, operator)| operator.wants.iter().map(|want| (name.clone(), want.clone())))
            .collect();
        wants.into_iter().any(|(name, want)| self.answer(&name, want))
    }

    fn answer(&mut self, name: &str, want: Want) -> bool {
        let at = self.moment();
        let fresh = |asked: Option<securityhotfix::api::time::Moment>| asked.is_none_or(|asked| asked < at);
        match want {
            Want::Resolve(images) => {
                let outcome = |change: &ImageChange| match &self.script.registry_fails {
                    Some(why) => Err(why.clone()),
                    None => Ok(resolved(change)),
                };
                let resolution: Vec<Resolution> = images
                    .iter()
                    .map(|change| Resolution {
                        container: change.container.clone(),
                        image: change.image.clone(),
                        at,
                        outcome: outcome(change),
                    })
                    .collect();
                let operator = self.operators.get_mut(name).unwrap();
                let known = operator.evidence.resolution.as_ref().and_then(|known| known.first());
                let news = fresh(known.map(|known| known.at));
                if news {
                    operator.evidence.resolution = Some(resolution);
                }
                news
            }
            Want::Rehearse { slot, green, pod } => {
                let refusal = self.script.refusal.clone();
                let (green, pod) = (self.admit(*green), self.admit_pod(*pod));
                let operator = self.operators.get_mut(name).unwrap();
                let denied = self.script.denied.clone();
                let known = operator.evidence.rehearsal.as_ref().filter(|known| known.slot == slot);
                if known.is_some_and(|known| known.denied.is_none()) {
                    return false;
                }
                let green = refusal.or(denied.clone()).map_or(Ok(green), Err);
                operator.evidence.rehearsal = Some(Rehearsal { slot, at, green, pod: Ok(pod), denied });
                true
            }
            Want::Probe { attempt, gate, check, http, pods } => {
                pods.into_iter().any(|(pod, _)| self.probe(name, attempt, gate, &check, &http, pod))
            }
        }
    }

    fn admit(&self, mut green: Value) -> Value {
        if let Some((pointer, value)) = &self.script.injected
            && let Some(place) = green.pointer_mut(pointer)
        {
            *place = value.clone();
        }
        green
    }

    fn admit_pod(&self, mut pod: Value) -> Value {
        if self.script.gate_stripped
            && let Some(gates) = pod.pointer_mut("/spec/readinessGates").and_then(Value::as_array_mut)
        {
            gates.retain(|gate| gate["conditionType"] != OPEN);
        }
        pod
    }

    /// Asks a pod until it has answered the same often enough to settle the check.
    fn probe(
        &mut self,
        name: &str,
        attempt: i64,
        gate: Gate,
        check: &(String, i64),
        http: &HttpCheck,
        uid: String,
    ) -> bool {
        let asked = self.pods.values().find(|pod| pod.uid == uid);
        let image = asked.and_then(|pod| self.script.images.get(&pod.containers.first()?.image));
        let well = asked.is_some_and(|pod| pod.containers_ready) && !image.is_some_and(|image| image.sick);
        let at = self.moment();
        let probes = &mut self.operators.get_mut(name).unwrap().evidence.probes;
        let of = |probe: &Probe| probe.attempt == attempt && probe.gate == gate && probe.check == *check;
        let answered = Probe {
            attempt,
            gate,
            check: check.clone(),
            since: probes.iter().find(|probe| of(probe)).map_or(at, |probe| probe.since),
            pod: uid,
            successes: if well { http.successes } else { 0 },
            failures: if well { 0 } else { http.failures },
            unsettled: 0,
            last: if well { "status 200".into() } else { "status 500".into() },
        };
        let same = |probe: &&mut Probe| of(probe) && probe.pod == answered.pod;
        match probes.iter_mut().find(same) {
            Some(known) if *known == answered => false,
            Some(known) => {
                *known = answered;
                true
            }
            None => {
                probes.push(answered);
                true
            }
        }
    }
}

fn resolved(change: &ImageChange) -> ResolvedImage {
    let digest = change.image.rsplit_once('@').map_or("", |(_, digest)| digest).to_owned();
    ResolvedImage { container: change.container.clone(), image: change.image.clone(), digests: vec![digest] }
}

fn framed(exit_code: i32, content: Content) -> Output {
    Output::Framed { exit_code, sha256: "5f".repeat(32), content, stderr: String::new() }
}

fn report(image: &str, facts: &Image) -> ScanReport {
    let version = if facts.vulnerable { "3.1.0" } else { "3.1.6" };
    let known = PackageSeen { name: "Jinja2".into(), version: version.into() };
    let finding = |id: &str, severity| Finding {
        ids: AliasSet::new([id]).unwrap(),
        bulletins: AliasSet::default(),
        package: "Jinja2".into(),
        purl: None,
        installed: version.into(),
        fixed: Some("3.1.6".into()),
        severity,
        status: Status::Fixed,
        suppressed: false,
    };
    let mut findings = Vec::new();
    if facts.vulnerable && !facts.invisible {
        findings.push(finding("CVE-2024-22195", Severity::High));
    }
    if facts.worse {
        findings.push(finding("CVE-2030-00001", Severity::Critical));
    }
    ScanReport {
        tool: Tool { name: "trivy".into(), version: Some("0.72.0".into()) },
        database: None,
        repo_digests: image.rsplit_once('@').map(|(_, digest)| digest.to_owned()).into_iter().collect(),
        image_id: None,
        packages: vec![known],
        findings,
        warnings: Vec::new(),
    }
}
