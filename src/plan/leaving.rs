//! Whose way out is run: an attempt of this hotfix, or what a hotfix that is gone left.
//!
//! The way out is the same for both and is written once, in `wayout`. What differs is here: by what it is told what is
//! theirs, and where it is recorded how far it has come.

use crate::api::names::{self, Mark, POD_TEMPLATE_HASH, SLOT};
use crate::api::time::Moment;
use crate::api::{Attempt, Leftover};

use super::action::Target;
use super::observed::{Budget, Map, Observed, Service, Workload};
use super::others;

/// What leaves.
#[derive(Clone, Copy, Debug)]
enum Whose<'a> {
    Own(&'a Attempt),
    Gone(&'a Leftover),
}

/// What leaves, and the Services it may have.
#[derive(Clone, Debug)]
pub struct Leaving<'a> {
    whose: Whose<'a>,
    /// UID that its marks bear.
    pub uid: &'a str,
    /// Attempt that its marks bear.
    pub number: i64,
    /// Slot of its candidate.
    pub slot: String,
    /// The Services that it has, or had.
    pub services: Vec<&'a Service>,
}

impl<'a> Leaving<'a> {
    /// An attempt of this hotfix, by what it recorded.
    pub fn own(o: &'a Observed, attempt: &'a Attempt) -> Self {
        let (uid, number) = (o.hotfix.uid.as_str(), attempt.number);
        let slot = names::slot(uid, number);
        let recorded = o.recorded_services(attempt);
        // Somebody may have made a Service again, or a second one, from what one was: slot and mark are copied with it.
        let copied = |service: &&Service| {
            let mark = service.mark();
            let marked =
                mark.as_ref().and_then(Mark::owner).is_some_and(|owner| owner.uid == uid && owner.attempt == number);
            let known = recorded.iter().any(|recorded| recorded.uid == service.uid);
            !known && !service.labels.contains_key(SLOT) && (marked || service.selects_slot(&slot))
        };
        let copies: Vec<_> = o.services.iter().filter(copied).collect();
        Self { whose: Whose::Own(attempt), uid, number, services: [recorded, copies].concat(), slot }
    }

    /// What a hotfix that is gone left, by what bears its mark or its slot: its record went with it. Where nothing tells
    /// whose it was, the Services are sealed in our own name, for an attempt nobody has.
    pub fn gone(o: &'a Observed, left: &'a Leftover) -> Self {
        let (uid, number) = left.hotfix.as_deref().map_or((o.hotfix.uid.as_str(), 0), |uid| (uid, left.attempt));
        let marked = |service: &Service| {
            let mark = service.mark();
            mark.as_ref()
                .and_then(Mark::owner)
                .is_some_and(|owner| owner.uid == uid && (left.hotfix.is_some() || owner.attempt == number))
        };
        let services = o.services.iter().filter(|service| !service.labels.contains_key(SLOT));
        let services = services
            .filter(|service| service.selects_slot(&left.slot) || marked(service) && o.whose_service(service).is_none())
            .collect();
        Self { whose: Whose::Gone(left), uid, number, slot: left.slot.clone(), services }
    }

    /// The Services that may reach its candidate. Of a hotfix that is gone these are all whose endpoints were seen: its mark
    /// and its slot may have been taken off one while its pods are still behind it.
    pub fn reached_by(&self, o: &'a Observed) -> Vec<&'a Service> {
        match self.whose {
            Whose::Own(_) => self.services.clone(),
            Whose::Gone(_) => {
                let seen = |service: &&Service| o.slices.iter().any(|slice| slice.service == service.name);
                o.services.iter().filter(seen).filter(|service| !service.labels.contains_key(SLOT)).collect()
            }
        }
    }

    /// The attempt, where it is one of this hotfix.
    pub fn attempt(&self) -> Option<&'a Attempt> {
        match self.whose {
            Whose::Own(attempt) => Some(attempt),
            Whose::Gone(_) => None,
        }
    }

    /// What was found, where it is of a hotfix that is gone.
    pub fn leftover(&self) -> Option<&'a Leftover> {
        match self.whose {
            Whose::Own(_) => None,
            Whose::Gone(left) => Some(left),
        }
    }

    /// Since when nothing of it can take traffic any more.
    pub fn drained_from(&self) -> Option<Moment> {
        match self.whose {
            Whose::Own(attempt) => attempt.drained_from,
            Whose::Gone(left) => left.drained_from,
        }
    }

    /// True when this Service is sealed for it.
    pub fn has_sealed(&self, service: &Service) -> bool {
        match self.whose {
            Whose::Own(_) => service.is_sealed_by(self.uid, self.number),
            Whose::Gone(_) => {
                matches!(service.mark(), Some(Mark::Sealed(owner)) if owner.uid == self.uid)
            }
        }
    }

    /// True when this Service does not select by its owner's selector, but by a slot of it.
    pub fn diverts(&self, service: &Service) -> bool {
        match self.whose {
            Whose::Own(_) => service.selects_slot(&self.slot),
            Whose::Gone(_) => service.selector.contains_key(SLOT),
        }
    }

    /// The selector a Service is returned to.
    pub fn returned_selector(&self, service: &Service) -> Map {
        match self.whose {
            Whose::Own(attempt) => service.returned_selector(&attempt.services),
            Whose::Gone(_) => service.owner_selector(),
        }
    }

    /// How many pods of its candidate are ready.
    pub fn ready(&self, o: &Observed) -> usize {
        self.ready_behind(o, &self.slot)
    }

    /// How many pods are ready behind a Service that selects this slot.
    pub fn ready_behind(&self, o: &Observed, slot: &str) -> usize {
        match self.whose {
            Whose::Own(_) if slot == self.slot => o.green_ready(),
            Whose::Own(_) | Whose::Gone(_) => o.slotted_ready(slot),
        }
    }

    /// True when blue still runs the ReplicaSet that a pinned seal of it names, and no other.
    pub fn blue_is_as_pinned(&self, o: &Observed, service: &Service) -> bool {
        let newest =
            |blue: &Workload| o.newest_replica_set(&blue.uid).map(|set| (set.uid.clone(), set.template_hash.clone()));
        match self.whose {
            Whose::Own(attempt) => o.recorded_blue(&attempt.blue).is_some_and(|blue| {
                !blue.is_given_up()
                    && blue.is_as_recorded(&attempt.blue)
                    && newest(blue).is_some_and(|(uid, _)| uid == attempt.blue.replica_set)
            }),
            Whose::Gone(_) => o.blue.as_ref().is_some_and(|blue| {
                let pinned = service.selector.get(POD_TEMPLATE_HASH);
                !blue.is_given_up() && newest(blue).is_some_and(|(_, hash)| pinned == Some(&hash))
            }),
        }
    }

    /// The first word of the annotation by which a person sends the traffic back regardless.
    pub fn release(&self) -> String {
        match self.whose {
            Whose::Own(_) => self.number.to_string(),
            Whose::Gone(_) => self.slot.clone(),
        }
    }

    /// True for what it made. Of an attempt of this hotfix: in it or before it. What a later attempt made is seen where the
    /// hotfix was read before it began; it serves, or will. The slot tells it as well as the uid: somebody may take one off.
    pub fn made(&self, labels: &Map) -> bool {
        let whose = labels.get(names::HOTFIX_UID).map(String::as_str);
        match self.whose {
            Whose::Own(_) => {
                let attempt = labels.get(names::ATTEMPT).and_then(|number| number.parse().ok());
                let ours = whose == Some(self.uid) || labels.get(SLOT) == Some(&self.slot);
                ours && attempt.is_none_or(|made: i64| made <= self.number)
            }
            Whose::Gone(left) => whose.is_some() && whose == left.hotfix.as_deref(),
        }
    }

    /// Name of its candidate, its preview and its budget.
    pub fn candidate_name(&self, o: &Observed) -> String {
        names::green(&o.hotfix.spec.target.name, self.uid)
    }

    /// Its candidate. That of an attempt is known by its uid too, whatever became of its labels.
    pub fn candidate(&self, o: &'a Observed) -> Option<&'a Workload> {
        let (own, strays): (_, &[Workload]) = match self.whose {
            Whose::Own(_) => (o.green.as_ref(), &[]),
            Whose::Gone(_) => (None, &o.strays.candidates),
        };
        let record = self.attempt().and_then(|attempt| attempt.green.as_ref());
        let recorded = |candidate: &Workload| record.is_some_and(|record| record.uid == candidate.uid);
        own.into_iter().chain(strays).find(|candidate| self.made(&candidate.labels) || recorded(candidate))
    }

    /// Its preview, which selects its slot, whatever became of its labels.
    pub fn preview(&self, o: &'a Observed) -> Option<&'a Service> {
        let name = self.candidate_name(o);
        let ours = |service: &&Service| self.made(&service.labels) || service.selects_slot(&self.slot);
        o.services.iter().filter(|service| service.name == name).find(ours)
    }

    /// Its candidate's budget, which selects its slot, whatever became of its labels.
    pub fn budget(&self, o: &'a Observed) -> Option<&'a Budget> {
        let name = self.candidate_name(o);
        let ours = |budget: &&Budget| {
            self.made(&budget.labels) || budget.name == name && budget.slot() == Some(self.slot.as_str())
        };
        o.budgets.iter().find(ours)
    }

    /// The next of its check Jobs.
    pub fn job(&self, o: &Observed) -> Option<Target> {
        match self.whose {
            Whose::Own(_) => {
                let run = o.runs.iter().find(|run| self.made(&run.labels))?;
                Some(Target { name: run.job.clone(), uid: run.uid.clone() })
            }
            Whose::Gone(left) => {
                let job = o.strays.jobs.iter().find(|job| Some(&job.hotfix) == left.hotfix.as_ref())?;
                Some(Target { name: job.name.clone(), uid: job.uid.clone() })
            }
        }
    }

    /// True for a mark of it, or of an attempt before it.
    pub fn is_marked(&self, service: &Service) -> bool {
        let mark = service.mark();
        let Some(owner) = mark.as_ref().and_then(Mark::owner).filter(|owner| owner.uid == self.uid) else {
            return false;
        };
        owner.attempt <= self.number || self.leftover().is_some_and(|left| left.hotfix.is_some())
    }

    /// The Deployment that it may have put the patched image into.
    pub fn blue(&self, o: &'a Observed) -> Option<&'a Workload> {
        match self.whose {
            Whose::Own(attempt) => o.recorded_blue(&attempt.blue),
            Whose::Gone(_) => o.blue.as_ref(),
        }
    }

    /// Who it is, for people.
    pub fn who(&self) -> String {
        self.leftover().map_or_else(|| "this hotfix".to_owned(), others::who_left)
    }
}
