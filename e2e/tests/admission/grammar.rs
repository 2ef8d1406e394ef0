//! What can never work is refused when it is written, with what to write instead; what works is taken.

use serde_json::{Value, json};

use crate::deed::{
    Case, Deed,
    Ends::{Done, Invalid},
    Who::{Administrator, Editor},
    case,
};
use crate::objects::{CHECKS, HOTFIXES, POLICIES, hotfix};
use crate::specs::{check, policy};

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What is odd, the field, its value, and what is said of it; nothing is said of what is taken.
type Odd = (&'static str, &'static str, Value, Option<&'static str>);

pub fn hotfixes() -> Vec<Case> {
    const IMAGE: Option<&str> =
        Some("write an image as registry.example/shop/web:1.2 or registry.example/shop/web@sha256:");
    let image = |odd: &'static str, image: &str, said| (odd, "/spec/images/0/image", json!(image), said);
    let odds: Vec<Odd> = vec![
        image("capitals in an image", "registry.example/Web:1", IMAGE),
        image("an image with a scheme", "https://registry.example/web:1", IMAGE),
        image("an image with a short digest", "registry.example/web@sha256:abc", IMAGE),
        image("an image with two tags", "registry.example/web:1:2", IMAGE),
        image("an image with an empty tag", "registry.example/web:", IMAGE),
        image("an image with an empty part", "registry.example//web:1", IMAGE),
        image("an image that leads elsewhere", "registry.example/../web:1", IMAGE),
        image("an image with a port there is not", "registry.example:65536/web:1", IMAGE),
        image("an image with a blank behind it", "registry.example/web:1 ", IMAGE),
        image("an image with a line break behind it", "registry.example/web:1\n", IMAGE),
        image("an image with an option", "--help", IMAGE),
        image("an image of the hub", "web", None),
        image("an image with everything", &format!("registry.example:5000/a/b_c/d__e--f:V1.2_3@sha256:{HEX}"), None),
        image("an image at an address", "10.0.0.1:5000/web", None),
        image("an image of this machine", "localhost/web:1", None),
        (
            "a container with capitals",
            "/spec/images/0/container",
            json!("Web"),
            Some("write the name of a container, such as web"),
        ),
        (
            "a Deployment no name fits",
            "/spec/target/name",
            json!("a..b"),
            Some("write the name of a Deployment, such as web"),
        ),
        (
            "an advisory with a blank",
            "/spec/advisory/ids",
            json!(["CVE-1", "CVE 2"]),
            Some("CVE 2: write the id of an advisory"),
        ),
        (
            "an advisory named twice",
            "/spec/advisory/ids",
            json!(["CVE-1", "CVE-1"]),
            Some("Duplicate value: \"CVE-1\""),
        ),
        (
            "a score for a vector",
            "/spec/advisory/cvss",
            json!("9.8 (critical)"),
            Some("write a CVSS vector, such as CVSS:3.1/AV:N"),
        ),
        (
            "a vector of version 4",
            "/spec/advisory/cvss",
            json!("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H"),
            None,
        ),
        ("no reason", "/spec/reason", json!("  "), Some("say why, such as: Jinja2 XSS")),
    ];
    all(Editor, HOTFIXES, &hotfix("other"), odds)
}

pub fn policies() -> Vec<Case> {
    const ALLOW: Option<&str> = Some("write a repository without tag and digest, such as registry.example/shop/web");
    let allow =
        |odd: &'static str, entry: &str, said| (odd, "/spec/images/allow", json!(["registry.example/ok", entry]), said);
    let check = |odd: &'static str, gate: Value, said| (odd, "/spec/gates/verify", gate, said);
    let mut odds: Vec<Odd> = vec![
        allow(
            "a tag in the allow-list",
            "registry.example/web:1",
            Some("registry.example/web:1: write a repository without tag"),
        ),
        allow("a digest in the allow-list", &format!("registry.example/web@sha256:{HEX}"), ALLOW),
        allow("a star in the middle", "registry.example/*/web", ALLOW),
        allow("a star that begins a host", "*.example/web", ALLOW),
        allow("a star that lengthens a host", "registry.example*", ALLOW),
        allow("two stars", "registry.example/**", ALLOW),
        allow("a repository with a slash behind it", "registry.example/shop/", ALLOW),
        allow("a repository with a scheme", "https://registry.example/*", ALLOW),
        allow("a blank in the allow-list", "registry.example/ *", ALLOW),
        allow(
            "a registry alone in the allow-list",
            "registry.example",
            Some("registry.example is a registry and no repository: write registry.example/* for all it has"),
        ),
        allow("a registry's port", "registry.example:5000", Some("write registry.example:5000/* for all it has")),
        allow("this machine's registry alone in the allow-list", "localhost", Some("write localhost/* for all it has")),
        allow("a repository of the hub", "nginx", None),
        allow("a repository allowed twice", "registry.example/ok", Some("a repository is listed twice")),
        allow("everything allowed", "*", None),
        allow("a registry allowed", "registry.example:5000/*", None),
        allow("repositories that begin so", "registry.example/shop/web-*", None),
        allow("an organisation of the hub", "library/*", None),
        check(
            "a check no name fits",
            json!([{"check": "My_Check"}]),
            Some("write the name of a SecurityCheck, such as trivy"),
        ),
        check(
            "a check named twice in a gate",
            json!([{"check": "smoke", "args": {"path": "/a"}}, {"check": "smoke", "args": {"path": "/b"}}]),
            Some("to run it with other args write a second SecurityCheck"),
        ),
        check(
            "arguments that are one variable",
            json!([{"check": "smoke", "args": {"path": "/a", "PATH": "/b"}}]),
            Some("two arguments differ by capitals only"),
        ),
    ];
    let fields = [
        ("/spec/soak", "write a duration such as 30s, 5m or 1h30m, between 0s and 168h", "169h"),
        ("/spec/timeouts/staging", "write a duration such as 90s, 10m or 1h30m, between 1s and 24h", "25h"),
        ("/spec/timeouts/convergence", "write a duration such as 30s, 90s or 5m, between 1s and 1h", "61m"),
        ("/spec/timeouts/foldBack", "write a duration such as 90s, 30m or 1h30m, between 1s and 24h", "25h"),
    ];
    odds.extend(fields.into_iter().flat_map(|(field, said, long)| durations(field, said, long)));
    odds.extend(
        ["0s", "168h", "604800s", "1h30m", "0.5h", "1m0.5s"].map(|soak| ("a soak", "/spec/soak", json!(soak), None)),
    );
    let mut good = policy();
    good["spec"]["timeouts"] = json!({});
    all(Administrator, POLICIES, &good, odds)
}

/// Durations that are none, and one that is too long, each refused with the same sentence.
fn durations(field: &'static str, said: &'static str, long: &str) -> Vec<Odd> {
    let odds = ["lots", "", "5", "5 m", "5min", "-5m", "1d", "99999h99999h", "9223372036854775807h", long];
    odds.into_iter().map(|odd| ("a duration that is none", field, json!(odd), Some(said))).collect()
}

pub fn probes() -> Vec<Case> {
    const PATH: Option<&str> = Some("write a path, such as /healthz or /status?full=1");
    let path = |odd: &'static str, path: &str, said| (odd, "/spec/http/path", json!(path), said);
    let mut odds: Vec<Odd> = vec![
        path("a host in a path", "http://elsewhere/", PATH),
        path("a blank in a path", "/health z", PATH),
        path("a fragment", "/healthz#top", PATH),
        path("what is no argument", "/$(IMAGE)", PATH),
        path("an argument without its end", "/$(ARG_PATH", PATH),
        path("an argument", "$(ARG_PATH)?a=$(ARG_B)&c=%20~", None),
        ("a port there is not", "/spec/http/port", json!(65_536), Some("should be less than or equal to 65535")),
        ("port 0", "/spec/http/port", json!(0), Some("should be greater than or equal to 1")),
        ("a status there is not", "/spec/http/statuses", json!([99]), Some("should be greater than or equal to 100")),
        ("a status listed twice", "/spec/http/statuses", json!([200, 200]), Some("a status code is listed twice")),
    ];
    odds.extend(durations(
        "/spec/http/interval",
        "write a duration such as 500ms, 2s or 1m, between 200ms and 5m",
        "6m",
    ));
    odds.extend(durations("/spec/http/timeout", "write a duration such as 500ms or 2s, between 100ms and 30s", "31s"));
    all(Administrator, CHECKS, &check(&json!({"http": {"path": "/healthz", "port": 8080}})), odds)
}

/// One table for the container of both kinds of check, read from top to bottom.
#[allow(clippy::too_many_lines)]
pub fn containers() -> Vec<Case> {
    const MOUNT: Option<&str> = Some("write an absolute path, such as /cache");
    const QUANTITY: Option<&str> = Some("write quantities as text, such as");
    const NAMES: Option<&str> = Some("resources are cpu, memory, ephemeral-storage");
    const BEYOND: Option<&str> = Some("a request is larger than its limit");
    let container = json!({
        "image": "registry.example/trivy:1", "command": ["trivy", "image"], "args": ["$(IMAGE)"],
        "env": [{"name": "LEVEL", "value": "all"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumes": [
            {"name": "cache", "mountPath": "/cache", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "rules", "mountPath": "/rules", "configMap": {"name": "rules"}},
            {"name": "login", "mountPath": "/login", "secret": {"secretName": "login"}},
            {"name": "data", "mountPath": "/data", "persistentVolumeClaim": {"claimName": "data"}},
        ],
        "imagePullSecrets": ["pull"],
    });
    let mount = |odd: &'static str, path: &str, said| (odd, "/volumes/0/mountPath", json!(path), said);
    let odds: Vec<Odd> = vec![
        ("a container as it should be", "/image", json!("registry.example/trivy:1"), None),
        (
            "capitals in a check's image",
            "/image",
            json!("Trivy"),
            Some("write an image as registry.example/shop/web:1.2"),
        ),
        ("no program", "/command", json!(["", "image"]), Some("the first word is the program, such as trivy")),
        (
            "a variable with a dash",
            "/env/0/name",
            json!("A-B"),
            Some("write the name of a variable, such as SCAN_LEVEL"),
        ),
        (
            "a variable of the operator",
            "/env/0/name",
            json!("IMAGE"),
            Some("take another name, and refer to theirs as $(IMAGE)"),
        ),
        ("an argument of the policy", "/env/0/name", json!("ARG_PATH"), Some("take another name")),
        (
            "a variable set twice",
            "/env",
            json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
            Some("a variable is set twice"),
        ),
        ("a limit of lots", "/resources/limits/memory", json!("lots"), QUANTITY),
        ("a request of less than nothing", "/resources/requests/cpu", json!("-1"), QUANTITY),
        ("a resource of another name", "/resources/limits", json!({"ram": "1Gi"}), NAMES),
        ("a device", "/resources/limits", json!({"cpu": "1", "memory": "1Gi", "vendor.example/device": "1"}), None),
        ("a request beyond its limit", "/resources/requests/cpu", json!("2"), BEYOND),
        ("a request beyond what is the limit by itself", "/resources", json!({"requests": {"memory": "2Gi"}}), BEYOND),
        ("a limit below what is requested by itself", "/resources", json!({"limits": {"cpu": "10m"}}), BEYOND),
        ("a larger limit alone", "/resources", json!({"limits": {"cpu": "2", "memory": "2Gi"}}), None),
        ("a smaller request alone", "/resources", json!({"requests": {"cpu": "10m"}, "limits": {}}), None),
        mount("a relative path", "cache", MOUNT),
        mount("a path that leads elsewhere", "/cache/../runner", MOUNT),
        mount("a path by another way", "/./runner", MOUNT),
        mount("an empty part of a path", "//runner", MOUNT),
        mount("a path with a slash behind it", "/cache/", MOUNT),
        mount("a colon in a path", "/cache:ro", MOUNT),
        mount("a line break in a path", "/cache\n", MOUNT),
        mount("everything", "/", MOUNT),
        mount("the runner's folder", "/runner/bin", Some("/runner is taken by the operator's own runner")),
        mount("the system's", "/proc", Some("/proc by the system")),
        mount("a path with dots in it", "/var/lib/..data/v1.2", None),
        mount("the place of another", "/rules", Some("two volumes are mounted at one path")),
        ("the name of another", "/volumes/0/name", json!("rules"), Some("two volumes have one name")),
        (
            "a volume with capitals",
            "/volumes/0/name",
            json!("Cache"),
            Some("write the name of a volume, such as cache"),
        ),
        ("a size of lots", "/volumes/0/emptyDir/sizeLimit", json!("lots"), Some("write a size such as 512Mi or 4Gi")),
        ("a size of nothing", "/volumes/0/emptyDir/sizeLimit", json!("0"), Some("write a size such as 512Mi or 4Gi")),
        ("no ConfigMap's name", "/volumes/1/configMap/name", json!("My_Rules"), Some("write the name of a ConfigMap")),
        ("no Secret's name", "/volumes/2/secret/secretName", json!("-a"), Some("write the name of a Secret")),
        (
            "no claim's name",
            "/volumes/3/persistentVolumeClaim/claimName",
            json!("a/b"),
            Some("write the name of a PersistentVolumeClaim"),
        ),
        (
            "no pull Secret's name",
            "/imagePullSecrets",
            json!(["ok", "My_Pull"]),
            Some("My_Pull: write the name of a Secret"),
        ),
        ("a pull Secret named twice", "/imagePullSecrets", json!(["pull", "pull"]), Some("a Secret is named twice")),
    ];
    let scan = json!({"format": "TrivyJson", "container": container});
    let test = json!({"container": container});
    let mut cases = Vec::new();
    for (kind, spec) in [("scan", scan), ("test", test)] {
        for (says, field, value, said) in &odds {
            let mut object = check(&json!({kind: spec}));
            set(&mut object["spec"][kind]["container"], field, value.clone());
            cases.push(one(Administrator, CHECKS, says, object, *said));
        }
        let said = "write a duration such as 90s, 10m or 1h30m, between 1s and 2h";
        for (says, field, value, said) in durations("/timeout", said, "3h") {
            let mut object = check(&json!({kind: spec}));
            set(&mut object["spec"][kind], field, value);
            cases.push(one(Administrator, CHECKS, says, object, said));
        }
    }
    cases
}

fn all(who: crate::deed::Who, path: &str, good: &Value, odds: Vec<Odd>) -> Vec<Case> {
    let cases = odds.into_iter().map(|(says, field, value, said)| {
        let mut object = good.clone();
        set(&mut object, field, value);
        one(who, path, says, object, said)
    });
    cases.collect()
}

fn one(who: crate::deed::Who, path: &str, says: &'static str, object: Value, said: Option<&'static str>) -> Case {
    case(says, who, Deed::create(path, object).rehearsed(), said.map_or(Done, Invalid))
}

/// Sets a field, whether it is there or only the one around it.
fn set(object: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = object.pointer_mut(pointer) {
        *place = value;
        return;
    }
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer with a slash");
    object.pointer_mut(parent).expect("the parent is there")[key] = value;
}
