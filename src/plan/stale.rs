//! Marks of hotfixes that write no more, where no candidate is behind them: taken off before anything begins.
//!
//! A hotfix normally leaves by its own one way out, and what one that is gone left of a candidate is taken away before this
//! is asked. This is for a last write that came late.

use crate::api::names::{self, Mark, SLOT};

use super::Action;
use super::action::Annotations;
use super::observed::{Observed, Service, Workload};
use super::preflight;

/// The next write that clears away a dead hotfix's traces, if there are any.
pub fn next(o: &Observed, blue: &Workload) -> Option<Action> {
    preflight::selecting(o, blue).into_iter().find_map(|service| clear(o, service))
}

/// True where a candidate answers behind a Service of the workload that no hotfix still writes to.
///
/// Services are read before the other hotfixes, so one of these may have ended in between. Its candidate is gone by now.
pub fn serves(o: &Observed, blue: &Workload) -> bool {
    let nobodys = |service: &&Service| o.whose_service(service).is_none();
    let mut slots = preflight::selecting(o, blue).into_iter().filter(nobodys).filter_map(|it| it.selector.get(SLOT));
    slots.any(|slot| o.slotted_ready(slot) > 0)
}

fn clear(o: &Observed, service: &Service) -> Option<Action> {
    let mark = service.mark();
    let owner = mark.as_ref().and_then(Mark::owner);
    let own = owner.is_some_and(|owner| o.is_alive(&owner.uid));
    if own || o.whose_service(service).is_some() || matches!(mark, Some(Mark::Foreign(_))) {
        return None;
    }
    if service.selector.contains_key(SLOT) || service.is_pinned() || matches!(mark, Some(Mark::Hold(_))) {
        let (uid, attempt) = owner.map_or((o.hotfix.uid.as_str(), 0), |owner| (owner.uid.as_str(), owner.attempt));
        // Under a mark of this hotfix a ReplicaSet's hash is no part of the owner's selector.
        let ours = uid == o.hotfix.uid && attempt > 0;
        let to = if ours { service.returned_selector(&[]) } else { service.owner_selector() };
        // Where nothing would be left but that hash, preflight asks for another selector.
        return (!to.is_empty()).then(|| Action::Seal {
            service: service.versioned(),
            was: service.mark_text().cloned(),
            mark: names::sealed(uid, attempt),
            from: service.selector.clone(),
            to,
            annotations: annotations(service),
        });
    }
    mark.is_some().then(|| unmark(service))
}

/// The write that takes our mark and our managedFields entries off a Service.
pub fn unmark(service: &Service) -> Action {
    Action::Unmark {
        service: service.versioned(),
        mark: service.mark_text().cloned(),
        managers: ours(&service.managers),
        annotations: annotations(service),
    }
}

/// The write that takes our managedFields entries off the user's Deployment, where there are any.
pub fn disown(blue: &Workload) -> Option<Action> {
    let managers = ours(&blue.managers);
    (!managers.is_empty()).then(|| Action::Disown { blue: blue.versioned(), managers })
}

/// Places of our entries in managedFields.
pub fn ours(managers: &[super::observed::Manager]) -> Vec<usize> {
    managers.iter().filter(|manager| manager.name == names::MANAGER).map(|manager| manager.index).collect()
}

/// Whether a Service has annotations beside the mark.
pub fn annotations(service: &Service) -> Annotations {
    if service.annotations.keys().any(|key| key != names::MARK) { Annotations::Some } else { Annotations::None }
}
