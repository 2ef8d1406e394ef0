//! Takes away the check Jobs of hotfixes that are gone, which no look at a hotfix would find.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::runtime::reflector::Store;
use tracing::{info, warn};

use super::args::Watch;
use super::reconcile::Context;
use super::rooms::World;
use super::standing::Hotfix;
use super::turn::{Rooms, Witness};
use crate::effect::Effect;
use crate::observe::HotfixId;
use crate::plan::Action;

/// How often it is looked for them. They are rare, cost a pod that runs for nothing, and go by themselves an hour after their end; one
/// list in five minutes is what that is worth.
const EVERY: Duration = Duration::from_secs(300);

/// The most that one round deletes, one after the other: ten seconds each at worst, so that a round ends before the next.
const ROUND_MAX: usize = 20;

/// Looks every five minutes, as long as this process leads. Without an end.
pub async fn sweeps(watch: &Watch, store: Store<Hotfix>, context: &Context<World>) {
    context.permit.lead().gained().await;
    let within = match watch {
        Watch::Everywhere => None,
        Watch::Namespace(namespace) => Some(namespace.as_str()),
    };
    loop {
        tokio::time::sleep(EVERY).await;
        let known = store.state().iter().map(|hotfix| hotfix.id().uid).collect();
        sweep(within, &known, context).await;
    }
}

async fn sweep(within: Option<&str>, known: &BTreeSet<String>, context: &Context<World>) {
    if !context.permit.leads() {
        return;
    }
    let orphans = match context.rooms.orphans(within, known).await {
        Ok(orphans) => orphans,
        Err(trouble) => return warn!(%trouble, "it could not be looked for check Jobs of hotfixes that are gone"),
    };
    for orphan in orphans.iter().take(ROUND_MAX).take_while(|_| context.permit.leads()) {
        let (job, HotfixId { namespace: ns, name: hotfix, uid, .. }) = (&orphan.job.name, &orphan.hotfix);
        let delete = Action::DeleteJob(orphan.job.clone());
        match context.rooms.carry_out(&orphan.hotfix, &delete).await {
            Ok(Effect::Done) => {
                context.wrote(&delete);
                info!(job, ns, hotfix, uid, "deleted a check Job whose hotfix is gone");
            }
            Ok(Effect::Gone | Effect::Conflict | Effect::AlreadyExists) => {}
            Err(trouble) => {
                warn!(%trouble, job, ns, hotfix, uid, "a check Job whose hotfix is gone could not be deleted");
            }
        }
    }
}
