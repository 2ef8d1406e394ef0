//! Registries as companies have them: with an authority of their own, asking for a password or a token, and down for a while.

use hotfix_e2e::images::Published;
use hotfix_e2e::images::catalogue::TRIVY_COMMAND;
use hotfix_e2e::lab::registries::{Door, Registries};
use hotfix_e2e::lab::{CHECKS_NAMESPACE, PolicyOptions, Scene, condition, told};
use hotfix_e2e::scenarios;
use k8s_openapi::api::core::v1::ServiceAccount;
use securityhotfix::api::{ConditionType, Outcome, Reason, SecurityHotfix};
use serde_json::{Value, json};

use crate::telling::Opening;

scenarios![Together: private_registries_are_asked_as_the_chart_says];

/// The Secrets, and the scanner that uses one.
const SECRET: &str = "private-registries";

/// A workload from a registry that asks for tokens, and hotfixes from every kind of registry there is. The one that is played
/// to its end is asked for while its registry is down.
async fn private_registries_are_asked_as_the_chart_says(scene: &Scene<'_>) {
    let private = scene.lab.private_registries().expect("the operator was told of private registries");
    let cluster = scene.lab.cluster().expect("a local cluster");
    let mut running = private.open(cluster).await.expect("private registries");
    let patched = scene.lab.patched("v2").await.expect("v2");
    let story = open(scene, private).await;

    running.shut(Door::Token).await;
    let fix = patched.at(&private.host(Door::Token));
    story.ask(&fix).await;
    let down = format!("{} cannot be reached: Connection refused", private.host(Door::Token));
    is_unresolved(scene, "fix", &[&down, "asked again every 30 s"]).await;
    are_refused(&story, private, &patched).await;
    are_resolved(&story, private, &patched).await;

    running.open(Door::Token).await.expect("its registry is back");
    story.ends(Outcome::Remediated).await;
    story.leaves_it_patched(&fix).await;
}

/// Nothing is begun, and the condition says why and what to do.
async fn are_refused(story: &Opening<'_>, private: &Registries, image: &Published) {
    let credentials = "check the chart's registryCredentials";
    let authority = "Give its certificate authority as ca in the chart's registries";
    let refused: [(&str, Door, [&str; 2]); 5] = [
        ("stranger", Door::Stranger, ["invalid peer certificate: UnknownIssuer", authority]),
        ("unlisted", Door::Unlisted, ["no certificate authority is known", "give one in the chart's registries"]),
        (
            "wrong-password",
            Door::WrongPassword,
            ["does not let the operator read it with its credentials (401)", credentials],
        ),
        (
            "token-of-stranger",
            Door::TokenOfStranger,
            ["gives the operator none with its credentials (401)", credentials],
        ),
        (
            "token-of-nobody",
            Door::TokenOfNobody,
            ["does not let the operator read it without credentials (401)", credentials],
        ),
    ];
    for (name, door, _) in refused {
        story.scene.hotfix(name, &story.web, &image.at(&private.host(door))).await.expect("it is accepted");
    }
    for (name, _, messages) in refused {
        is_unresolved(story.scene, name, &messages).await;
        take_back(story.scene, name).await;
    }
}

/// The tag becomes the digest.
async fn are_resolved(story: &Opening<'_>, private: &Registries, patched: &Published) {
    let check = story.scene.lab.check_image().await.expect("the image of checks");
    let resolved = [
        ("open", Door::Open, "web:v2", patched),
        ("password", Door::Password, "web:v2", patched),
        // What everybody may read is read with a token that nobody had to log in for.
        ("public", Door::TokenOfNobody, "check:dev", &check),
    ];
    for (name, door, tag, image) in resolved {
        let host = private.host(door);
        let by_digest = story.scene.hotfix_manifest(name, &story.web, image);
        let by_tag = by_digest.replace(image.as_str(), &format!("{host}/{tag}"));
        assert_ne!(by_digest, by_tag, "the image stands in the manifest");
        story.scene.lab.apply(&by_tag).await.expect("it is accepted");
        let begun = |hotfix: &SecurityHotfix| resolved_to(hotfix).is_some();
        let hotfix = story.scene.until(name, "its digest", begun).await.expect("its digest");
        assert_eq!(resolved_to(&hotfix).as_deref(), Some(image.at(&host).as_str()), "{}", told(&hotfix));
        take_back(story.scene, name).await;
    }
}

fn resolved_to(hotfix: &SecurityHotfix) -> Option<String> {
    Some(hotfix.status.as_ref()?.attempt.as_ref()?.images.first()?.image.clone())
}

/// Waits until the hotfix says that no digest was found, and why; nothing was begun.
async fn is_unresolved(scene: &Scene<'_>, name: &str, messages: &[&str]) {
    let unresolved = |hotfix: &SecurityHotfix| {
        let ready = condition(hotfix, ConditionType::Ready);
        ready.is_some_and(|ready| ready.reason == Reason::ImageUnresolved) || resolved_to(hotfix).is_some()
    };
    let hotfix = scene.until(name, "that the registry refuses", unresolved).await.expect("it is refused");
    assert_eq!(resolved_to(&hotfix), None, "{}", told(&hotfix));
    for message in messages {
        assert!(told(&hotfix).contains(message), "{name}: {}", told(&hotfix));
    }
    println!("{name}: {}", told(&hotfix));
}

async fn take_back(scene: &Scene<'_>, name: &str) {
    let delete = ["delete", "securityhotfix", name, "--namespace", &scene.namespace, "--wait=false"];
    scene.lab.ground().kubectl(&delete, None).await.expect("it may be deleted");
    scene.gone::<SecurityHotfix>(name).await.expect("it goes");
}

/// A story whose images come from the registry that asks for tokens, whose pods pull with a Secret and whose scanner reads with one.
async fn open<'a>(scene: &'a Scene<'a>, private: &Registries) -> Opening<'a> {
    let vulnerable = scene.lab.vulnerable().await.expect("v1").at(&private.host(Door::Token));
    let trivy = scene.lab.trivy().await.expect("Trivy");
    let objects = [
        private.pull_secret(&scene.namespace, SECRET),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": CHECKS_NAMESPACE, "name": SECRET},
            "stringData": {"config.json": private.docker_config(), "ca.pem": private.authority()},
        }),
        scanner(&trivy),
    ];
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    scene.lab.apply(&objects.to_string()).await.expect("Secrets and a check");
    let pulls = json!({"imagePullSecrets": [{"name": SECRET}]});
    scene.patch::<ServiceAccount>("default", pulls).await.expect("pods pull with the Secret");

    let scan = format!("[{{check: {SECRET}}}]");
    scene.policy(&PolicyOptions { scan, ..PolicyOptions::default() }).await.expect("a policy");
    let allowed: Vec<String> = private.hosts().map(|host| format!("{host}/*")).collect();
    let allow = json!({"spec": {"images": {"allow": allowed}}}).to_string();
    let patch = ["patch", "hotfixpolicies.securityhotfix.dev", &scene.namespace, "--type=merge", "--patch", &allow];
    scene.lab.ground().kubectl(&patch, None).await.expect("private images are allowed");

    let web = scene.workload("web", &vulnerable).await.expect("v1 serves");
    let before = scene.production().await.expect("production can be read");
    let clients = scene.load(&web, 4, 4, 80).await.expect("clients");
    Opening { scene, web, before, clients }
}

/// Trivy, as for the cluster's own registry, but with a Docker configuration and an authority from a Secret, and no leniency.
fn scanner(trivy: &Published) -> Value {
    let volumes = json!([
        {"name": "tmp", "mountPath": "/tmp", "emptyDir": {}},
        {"name": "login", "mountPath": "/login", "readOnly": true, "secret": {"secretName": SECRET}},
    ]);
    let env = json!([
        {"name": "DOCKER_CONFIG", "value": "/login"},
        {"name": "SSL_CERT_FILE", "value": "/login/ca.pem"},
    ]);
    let command = TRIVY_COMMAND.into_iter().filter(|argument| *argument != "--insecure").collect::<Vec<_>>();
    let container = json!({"image": trivy.as_str(), "command": command, "env": env, "volumes": volumes});
    json!({
        "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityCheck", "metadata": {"name": SECRET},
        "spec": {"scan": {"format": "TrivyJson", "timeout": "3m", "container": container}},
    })
}
