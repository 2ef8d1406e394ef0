//! Deployments: the candidate and the user's own, and what stands beside them.

use securityhotfix::effect::{Effect, EffectError};
use securityhotfix::plan::action::{Action, ImagePatch, Ownership, Target};
use serde_json::{Value, json};

use super::world::{DEPLOYMENTS, World, at, eventually, our_entries, owners_view, target, version, web};

fn green() -> Value {
    let mut green = web();
    green["metadata"]["name"] = json!("web-hotfix-1");
    green["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": "none"}]);
    for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        green.pointer_mut(labels).expect("it has labels")["securityhotfix.dev/slot"] = json!("s1");
    }
    green["spec"]["replicas"] = json!(0);
    green
}

/// Reads what changes by itself until it has settled: controllers write status.
async fn settled(world: &World<'_>, name: &str) -> Value {
    eventually("its controller has caught up", async || {
        let object = world.get(DEPLOYMENTS, name).await;
        object["status"]["observedGeneration"] == object["metadata"]["generation"]
    })
    .await;
    world.get(DEPLOYMENTS, name).await
}

/// Carries out an action on a Deployment as it is now; its controller may write status in between, so a few times.
async fn done_on(world: &World<'_>, name: &str, action: impl Fn(&Value) -> Action) -> Value {
    for _ in 0..20 {
        let object = settled(world, name).await;
        match world.act(&action(&object)).await {
            Ok(Effect::Done) => return world.get(DEPLOYMENTS, name).await,
            Ok(Effect::Conflict) => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("{name} never rests")
}

pub async fn green_is_made_once_resized_and_deleted_by_uid(world: &World<'_>) {
    let mut unknown = green();
    unknown["spec"]["replica"] = json!(1);
    let refused = world.act(&Action::CreateGreen(unknown)).await;
    assert!(
        matches!(&refused, Err(EffectError::Refused { message, .. }) if message.contains("spec.replica")),
        "a field nobody knows is not dropped in silence: {refused:?}"
    );
    // The garbage collector deletes what has owners that are all gone; a candidate's owner is there.
    let owner = world.get("/api/v1/namespaces/shop/configmaps", "kube-root-ca.crt").await;
    let mut owned = green();
    owned["metadata"]["ownerReferences"][0]["uid"] = owner["metadata"]["uid"].clone();
    world.must(Effect::Done, Action::CreateGreen(owned.clone())).await;
    world.must(Effect::AlreadyExists, Action::CreateGreen(owned)).await;

    let resize = |ownership| move |green: &Value| Action::ResizeGreen { green: at(green), replicas: 1, ownership };
    let resized = done_on(world, "web-hotfix-1", resize(Ownership::Drop)).await;
    assert_eq!((&resized["spec"]["replicas"], &resized["metadata"]["ownerReferences"]), (&json!(1), &Value::Null));
    let again = resize(Ownership::Drop)(&settled(world, "web-hotfix-1").await);
    assert!(matches!(world.act(&again).await, Ok(Effect::Conflict)), "there is no owner left to take off");
    done_on(world, "web-hotfix-1", resize(Ownership::Dropped)).await;

    let other = Target { uid: "another".into(), ..target(&resized) };
    world.must(Effect::Conflict, Action::DeleteGreen(other)).await;
    world.must(Effect::Done, Action::DeleteGreen(target(&resized))).await;
    world.must(Effect::Gone, Action::DeleteGreen(target(&resized))).await;
}

pub async fn blue_gets_the_image_and_belongs_to_its_owner_again(world: &World<'_>) {
    let before = settled(world, "web").await;
    let fold = |container: &'static str, from: &'static str| {
        move |blue: &Value| Action::FoldBack {
            blue: at(blue),
            images: vec![ImagePatch {
                pointer: "/spec/template/spec/containers/0".into(),
                container: container.into(),
                from: from.into(),
                to: "registry.example/web:2".into(),
            }],
        }
    };
    world.must(Effect::Conflict, fold("web", "registry.example/web:0")(&before)).await;
    world.must(Effect::Conflict, fold("sidecar", "registry.example/web:1")(&before)).await;
    assert_eq!(world.get(DEPLOYMENTS, "web").await["spec"], before["spec"]);
    let folded = done_on(world, "web", fold("web", "registry.example/web:1")).await;
    assert_eq!(folded["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/web:2");
    world.must(Effect::Conflict, fold("web", "registry.example/web:2")(&before)).await;

    let disown = |blue: &Value| Action::Disown { blue: at(blue), managers: our_entries(blue) };
    let disowned = done_on(world, "web", disown).await;
    assert_eq!(our_entries(&disowned), Vec::<usize>::new());
    assert_eq!(disowned["spec"], folded["spec"]);

    // The owner writes the patched image into the manifest, or applies the old one: neither meets a conflict.
    let mut manifest = web();
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/web:2");
    world.apply(&manifest, &[]);
    world.apply(&web(), &[]);
    let restored = settled(world, "web").await;
    assert_eq!(owners_view(&restored), owners_view(&before));
    assert_ne!(version(&restored), version(&before));
}

pub async fn nothing_is_made_in_a_namespace_that_is_going(world: &World<'_>) {
    let finalizer = json!([{"op": "add", "path": "/metadata/finalizers", "value": ["e2e.example/wait"]}]);
    world.create("/api/v1/namespaces/shop/configmaps", json!({"metadata": {"name": "anchor"}})).await;
    world.json_patch("/api/v1/namespaces/shop/configmaps", "anchor", finalizer).await.expect("it is held");
    world.kubectl(&["delete", "namespace", "shop", "--wait=false"], None);
    let preview = json!({"metadata": {"name": "preview"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}});
    eventually("the namespace is going", async || {
        matches!(world.act(&Action::CreatePreview(preview.clone())).await, Ok(Effect::Gone))
    })
    .await;
    world.must(Effect::Gone, Action::CreateGreen(green())).await;
    world.kubectl(
        &[
            "patch",
            "configmap",
            "anchor",
            "-n",
            "shop",
            "--type=json",
            "-p",
            r#"[{"op": "remove", "path": "/metadata/finalizers"}]"#,
        ],
        None,
    );
}
