//! The operator's own reads and writes on a real API server: every precondition holds, every patch does what it says, and what
//! is taken off again leaves no trace. Needs root and Go; no node.

mod deployment;
mod hotfix;
mod pods;
mod reads;
mod service;
mod world;

use hotfix_e2e::cluster::{Cluster, Options};

use world::World;

#[test]
fn every_write_does_what_it_says_and_nothing_once_it_is_outdated() {
    let options = Options::named("writes").expect("a name").control_plane_only();
    let cluster = Cluster::boot(&options).expect("a control plane");
    cluster.run(async || tell(&cluster).await).expect("inside the cluster's network");
    cluster.down().expect("nothing left");
}

async fn tell(cluster: &Cluster) {
    let world = World::of(cluster).await;
    service::a_service_goes_through_a_whole_rollout_and_is_as_before(&world).await;
    service::a_service_without_annotations_has_none_afterwards(&world).await;
    pods::a_close_outdates_every_open(&world).await;
    deployment::green_is_made_once_resized_and_deleted_by_uid(&world).await;
    deployment::blue_gets_the_image_and_belongs_to_its_owner_again(&world).await;
    hotfix::a_status_is_written_whole_and_over_its_own_version_only(&world).await;
    hotfix::our_finalizer_leaves_others_alone(&world).await;
    hotfix::a_record_is_opened_once_and_rewritten(&world).await;
    reads::a_picture_shows_what_is_there(&world).await;
    reads::a_missing_right_and_a_missing_kind_are_said(&world).await;
    deployment::nothing_is_made_in_a_namespace_that_is_going(&world).await;
}
