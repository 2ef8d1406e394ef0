//! Resource versions: an object has changed, and whoever had its version has it no more.

use crate::act::{self, Act, Kind};
use crate::state::{GREENS, SERVICES, SIDES, State};

/// An object that has a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A Service.
    Service(usize),
    /// A hotfix.
    Hotfix(usize),
    /// A pod of a candidate.
    Pod(usize, usize),
    /// The Deployment.
    Blue,
    /// A candidate.
    Green(usize),
    /// A record.
    Report(usize),
}

impl Object {
    /// Its bit among those that a picture keeps, for what is read before the decision.
    pub fn bit(self) -> u16 {
        let at = match self {
            Self::Service(at) => at,
            Self::Hotfix(side) => SERVICES + side,
            Self::Pod(side, at) => SERVICES + SIDES + side * GREENS + at,
            Self::Blue | Self::Green(_) | Self::Report(_) => return 0,
        };
        1 << at
    }

    /// What a write must still find unchanged, if anything.
    pub fn of(act: &Act) -> Option<Self> {
        let (side, at) = (usize::from(act.side), usize::from(act.at));
        match act.kind {
            Kind::Record | Kind::AddFinalizer | Kind::RemoveFinalizer => Some(Self::Hotfix(side)),
            Kind::WriteReport => Some(Self::Report(side)),
            Kind::ResizeGreen => Some(Self::Green(side)),
            Kind::Hold | Kind::Switch | Kind::Seal | Kind::Unpin | Kind::Unmark => Some(Self::Service(at)),
            Kind::Open | Kind::Close => Some(Self::Pod(side, at)),
            Kind::FoldBack | Kind::Disown => Some(Self::Blue),
            _ => None,
        }
    }
}

impl State {
    /// An object has changed: whoever had its version has it no more.
    pub fn touch(&mut self, object: Object) {
        let outdated = |act: &mut Act| {
            if Object::of(act) == Some(object) {
                act.flags &= !act::FRESH;
            }
            if let Object::Service(at) = object
                && act.kind == Kind::Record
                && act.flags & act::AGAIN != 0
                && usize::from(act.at) == at + 1
            {
                act.flags &= !act::AGAIN_FRESH;
            }
        };
        for replica in &mut self.replicas {
            replica.fresh &= !object.bit();
            replica.acts.iter_mut().for_each(outdated);
        }
        self.flights.iter_mut().for_each(outdated);
        self.flights.sort_unstable();
        if let Object::Service(at) = object {
            for side in &mut self.sides {
                if usize::from(side.mile.reassert()) == at + 1 {
                    side.hot.set_again(0);
                }
            }
        }
    }

    /// Blue's spec has changed.
    pub fn blue_changed(&mut self) {
        for side in &mut self.sides {
            if side.mile.folds() > 0 {
                side.hot.set_gen((side.hot.gen_() + 1).min(2));
            }
        }
        for replica in &mut self.replicas {
            replica.acts.iter_mut().for_each(Act::bump);
        }
        self.flights.iter_mut().for_each(Act::bump);
        self.touch(Object::Blue);
    }
}
