//! What a suite with lanes stands on: a cluster of its own, or one that is up already, with everything the lanes share.

use std::path::PathBuf;

use super::ground;
use super::lane::Shared;
use super::replies;
use super::watcher::Watcher;
use crate::cluster::{ApiServer, Cluster, Options};
use crate::lab::{Asked, Ground, LabError};

/// Boots a cluster called `name` with this API server, and plays on it with this `operator`. `HOTFIX_CLUSTER_NAME` gives it another name, so that two
/// suites can run beside each other; `ATTACH=1` takes it as it is, where it is up. The operators' logs are kept where the play
/// did not end well.
pub fn stand<T: Send>(
    name: &str,
    api: ApiServer,
    operator: PathBuf,
    is_good: fn(&T) -> bool,
    play: impl AsyncFnOnce(&Shared, &Ground) -> Result<T, LabError> + Send,
) -> Result<T, LabError> {
    let name = std::env::var("HOTFIX_CLUSTER_NAME").unwrap_or_else(|_| name.to_owned());
    let options = Options::named(&name)?.control_plane_only().with(api);
    let attach = std::env::var("ATTACH").is_ok_and(|value| value == "1");
    let found = attach.then(|| Cluster::attach(&options.name).ok()).flatten();
    let cluster = match found {
        Some(cluster) => cluster,
        None => Cluster::boot(&options)?,
    };
    let folder = std::env::temp_dir().join(format!("hotfix-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).asked(|| format!("making {}", folder.display()))?;
    let name = cluster.name().clone();
    let kept = folder.clone();
    let played = cluster.run(async || {
        // Second handles, for helm and kubectl, and for the lanes; the first one owns the cluster.
        let (cluster, ground) = (Cluster::attach(&name)?, Ground::Local(Cluster::attach(&name)?));
        let admin = cluster.client().await?;
        replies::registry().await.asked(|| "serving the registry".to_owned())?;
        let kwok = ground::simulate(&cluster, &admin).await?;
        ground::prepare(&ground).await?;
        let bare = ground::without_credentials(&cluster).await?;
        let watcher = Watcher::start(admin.clone()).await?;
        let shared = Shared { cluster, kwok, admin, bare, watcher, operator, folder };
        play(&shared, &ground).await
    })?;
    // Tokens and logs; the logs of what went wrong are for whoever looks.
    if played.as_ref().is_ok_and(is_good) {
        let _ = std::fs::remove_dir_all(kept);
    }
    played
}
