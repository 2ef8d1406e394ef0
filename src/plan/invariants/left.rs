//! What a hotfix that is gone left, and who may touch it.

use super::super::Action;
use super::super::action::Target;
use super::super::observed::{Map, Observed, Report, Workload};
use crate::api::Leftover;
use crate::api::names;

/// What was recorded of a hotfix that is gone, where it is still so.
pub(super) fn leftover(o: &Observed) -> Option<&Leftover> {
    o.hotfix.status.leftover.as_ref().filter(|left| o.is_left(left))
}

/// True for labels of what that hotfix made.
pub(super) fn left_behind(o: &Observed, labels: &Map) -> bool {
    let uid = leftover(o).and_then(|left| left.hotfix.as_ref());
    uid.is_some() && labels.get(names::HOTFIX_UID) == uid
}

/// True for a slot of what a hotfix left that is gone.
pub(super) fn is_left(o: &Observed, slot: Option<&String>) -> bool {
    slot.is_some() && leftover(o).map(|left| &left.slot) == slot
}

/// The candidate this deletes, as it was seen: this hotfix's own or a stray.
pub(super) fn deleted_candidate<'a>(o: &'a Observed, target: &Target) -> Option<&'a Workload> {
    o.green.iter().chain(&o.strays.candidates).find(|seen| seen.uid == target.uid)
}

/// The records that may be written: this hotfix's own, and that of the one whose leavings are being taken away.
pub(super) fn records(o: &Observed) -> impl Iterator<Item = &Report> {
    let gone = leftover(o).and_then(|left| left.hotfix.as_ref());
    o.report.iter().chain(o.strays.report.as_ref().filter(|report| gone == Some(&report.hotfix_uid)))
}

/// Only what is of no hotfix that exists is taken for left behind, and nothing else is begun while it is taken away.
pub(super) fn by_the_gone_only(o: &Observed, action: &Action) -> Option<String> {
    match action {
        Action::Record { status, .. } => {
            let left = status.leftover.as_ref().filter(|left| o.hotfix.status.leftover.as_ref() != Some(left))?;
            let exists = left.hotfix.as_deref().filter(|uid| !o.is_gone(uid)).or_else(|| o.whose_slot(&left.slot));
            exists.map(|uid| format!("hotfix {uid} exists, and slot {} was taken for left behind", left.slot))
        }
        Action::CreateGreen(_) | Action::ResizeGreen { .. } | Action::Hold { .. } => {
            let left = leftover(o)?;
            Some(format!("{} while slot {} is taken away", action.name(), left.slot))
        }
        _ => None,
    }
}
