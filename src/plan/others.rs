//! Questions about other hotfixes: which of them exist, which may still write, and what bears their mark or slot.

use crate::api::names::{self, Mark, SLOT};
use crate::api::{Leftover, Reason};

use super::observed::{Claim, Manager, Observed, Owns, Service, Workload};
use super::step::Trouble;

impl Observed {
    /// Name of another hotfix for a message, or its uid where it is gone.
    pub fn name_of<'a>(&'a self, uid: &'a str) -> &'a str {
        self.others.iter().find(|other| other.uid == uid).map_or(uid, |other| &other.name)
    }

    /// True when another hotfix that may still write has its mark on this Service.
    pub fn is_anothers(&self, service: &Service) -> bool {
        let mark = service.mark();
        let owner = mark.as_ref().and_then(Mark::owner);
        owner.is_some_and(|owner| owner.uid != self.hotfix.uid && self.is_alive(&owner.uid))
    }

    /// True when the hotfix of this uid does not exist any more: it is neither this one nor among the others, which were
    /// read after whatever names it.
    pub fn is_gone(&self, uid: &str) -> bool {
        uid != self.hotfix.uid && self.others.iter().all(|other| other.uid != uid)
    }

    /// UID of the hotfix that exists and has this slot, in any attempt that could still have something.
    pub fn whose_slot(&self, slot: &str) -> Option<&str> {
        let own = (self.hotfix.uid.as_str(), self.attempt().map_or(0, |attempt| attempt.number));
        let mut all = [own].into_iter().chain(self.others.iter().map(|other| (other.uid.as_str(), other.attempt)));
        all.find(|(uid, last)| recent_slots(uid, *last).any(|known| known == slot)).map(|(uid, _)| uid)
    }

    /// True when no hotfix that exists can have made this.
    pub fn is_left(&self, left: &Leftover) -> bool {
        left.hotfix.as_deref().is_none_or(|uid| self.is_gone(uid)) && self.whose_slot(&left.slot).is_none()
    }

    /// UID of the other hotfix that may still write and has its mark or its slot on this Service.
    pub fn whose_service(&self, service: &Service) -> Option<String> {
        let mark = service.mark();
        let marked = mark.as_ref().and_then(Mark::owner).map(|owner| owner.uid.as_str());
        let slotted = service.selector.get(SLOT).and_then(|slot| self.whose_slot(slot));
        let mut both = marked.into_iter().chain(slotted);
        both.find(|uid| *uid != self.hotfix.uid && self.is_alive(uid)).map(str::to_owned)
    }

    /// The other hotfix that put its image into the Deployment, for a message of one that has not put in its own: our own
    /// manager owns the image then, and the claim tells the name.
    pub fn another_folded(&self, blue: &Workload) -> Option<String> {
        let ours = |manager: &&Manager| manager.name == names::MANAGER && manager.owns == Owns::Contested;
        blue.managers.iter().find(ours)?;
        let holder = self.claim.as_ref().filter(|claim| claim.holder != self.hotfix.uid);
        Some(holder.map_or_else(|| "Another hotfix".to_owned(), holder_of))
    }

    /// True when the hotfix of this uid exists and may still write.
    pub fn is_alive(&self, uid: &str) -> bool {
        self.others.iter().any(|other| other.uid == uid && other.alive)
    }
}

/// Slots of so many attempts are told apart. What an older one made was swept when it ended, and once more after it.
const RECENT: i64 = 32;

/// The slots of a hotfix's attempts up to its last, and of the next one, which may have begun meanwhile.
pub fn recent_slots(uid: &str, last: i64) -> impl Iterator<Item = String> {
    let first = last.saturating_sub(RECENT - 1).max(1);
    (first..=last.saturating_add(1)).map(move |attempt| names::slot(uid, attempt))
}

/// Who holds a claim, at the beginning of a sentence.
pub fn holder_of(claim: &Claim) -> String {
    let name = if claim.holder_name.is_empty() { &claim.holder } else { &claim.holder_name };
    if name.is_empty() { "Another hotfix".to_owned() } else { format!("Hotfix {name}") }
}

/// Another hotfix has the workload.
pub fn claimed(o: &Observed, claim: &Claim) -> Trouble {
    let (holder, target) = (holder_of(claim), &o.hotfix.spec.target.name);
    let message = format!("{holder} has claimed Deployment {target}; waiting until it is done.");
    Trouble::time(Reason::WorkloadClaimed, message)
}

/// A hotfix that is gone, for people.
pub fn who_left(left: &Leftover) -> String {
    match [&left.name, &left.hotfix].into_iter().flatten().find(|name| !name.is_empty()) {
        Some(name) => format!("hotfix {name}"),
        None => "a hotfix that nothing names any more".to_owned(),
    }
}

/// What is going on with what it left, for people.
pub fn what_is_left(left: &Leftover) -> String {
    let who = who_left(left);
    if left.drained_from.is_none() {
        format!("{} is gone and left its candidate; its traffic is returned first.", capital(&who))
    } else {
        format!("{} is gone and left its candidate; its traffic is back, and the candidate is removed.", capital(&who))
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
