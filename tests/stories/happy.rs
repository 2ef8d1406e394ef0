//! Rollouts that come to their good end.

use crate::narrator::counted_writes;
use crate::story::Story;
use crate::world::World;

#[test]
fn a_hotfix_on_one_service_is_remediated() {
    let told = Story::of("A hotfix on one Service is remediated").tell("one_service");
    assert!(counted_writes(&told.world) <= 26, "{:?}", told.world.writes);
}

#[test]
fn two_services_are_switched_in_order() {
    Story::of("Two Services are switched one after the other, and returned one after the other")
        .given("Another Service, web-internal, selects the same pods.", |w: &mut World| w.add_service("web-internal"))
        .tell("two_services");
}
