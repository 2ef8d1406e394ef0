//! The local cluster comes up, works, and leaves nothing behind, however it ends. Needs root.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hotfix_e2e::cluster::{
    Alive, Cluster, ClusterError, ClusterName, Layout, MARK, Node, Options, PAUSE_IMAGE, Standing,
};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{LogParams, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_pod_running};
use serde_json::json;

/// The command under test, built with this test.
const LOCAL_CLUSTER: &str = env!("CARGO_BIN_EXE_local-cluster");

/// Enough for a boot on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn two_clusters_run_pods_side_by_side_and_leave_nothing() {
    let before = links();
    thread::scope(|scope| {
        for name in ["test-left", "test-right"] {
            scope.spawn(move || {
                let cluster = boot(name);
                assert!(cluster.components().iter().all(|(_, _, alive)| *alive == Alive::Yes));
                let node = run_a_pod(&cluster);
                assert_eq!(node, "node1");
                assert_eq!(resolve(&cluster, "kubernetes.default.svc.cluster.local"), "10.96.0.1");
                let pods = fs::read_dir(cluster.layout().at("node/run-containerd/io.containerd.grpc.v1.cri/netns"))
                    .expect("pods have networks");
                assert_eq!(pods.count(), 1, "a pod's network namespace is named in the cluster's own folder");
                assert!(traces(cluster.name()).len() > 3, "the traces this test looks for are there to be found");
                cluster.down().expect("it goes away");
                assert_eq!(traces(&named(name)), BTreeSet::new());
            });
        }
    });
    assert_eq!(links(), before, "links of the machine itself");
}

#[test]
fn who_asked_for_what_is_in_the_audit_log() {
    let cluster = boot_control_plane("test-audit");
    let mark = cluster.audit().mark().expect("the log is there");
    cluster
        .run(async || {
            let pods = Api::<Pod>::namespaced(cluster.client().await.expect("a client"), "default");
            let dry = PostParams { dry_run: true, ..PostParams::default() };
            pods.create(&dry, &pod()).await.expect("a dry run");
            pods.create(&PostParams::default(), &pod()).await.expect("a creation");
        })
        .expect("the namespace is entered");
    let records = cluster.audit().since(mark).expect("the log is read");
    let ours: Vec<_> =
        records.iter().filter(|record| record.user.username == "admin" && record.resource() == "pods").collect();
    let seen: Vec<_> = ours.iter().map(|record| (record.verb.as_str(), record.is_write(), record.code())).collect();
    assert_eq!(seen, [("create", false, 201), ("create", true, 201)]);
}

#[test]
fn a_suite_that_panics_leaves_nothing() {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _cluster = boot_control_plane("test-panic");
        panic!("as a failed assertion does");
    }));
    assert!(panicked.is_err());
    assert_eq!(traces(&named("test-panic")), BTreeSet::new());
}

#[test]
fn a_cluster_of_a_living_process_is_not_taken_from_it() {
    let cluster = boot_control_plane("test-busy");
    let second = Cluster::boot(&Options::named("test-busy").expect("a name").control_plane_only());
    assert!(matches!(second, Err(ClusterError::Busy { .. })));
    assert!(cluster.components().iter().all(|(_, _, alive)| *alive == Alive::Yes));
}

#[test]
fn after_ctrl_c_in_the_middle_of_a_boot_nothing_is_left() {
    let name = named("test-interrupt");
    let mut booting = up(&name);
    wait_for(&Layout::of(&name).at("processes/kubelet"));
    signal(booting.id(), "INT");
    assert_eq!(end_of(&mut booting).code(), Some(130));
    assert_eq!(traces(&name), BTreeSet::new());
}

#[test]
fn a_process_that_is_killed_leaves_nothing() {
    let name = named("test-killed");
    let mut booting = up(&name);
    wait_for(&Layout::of(&name).at("processes/coredns"));
    signal(booting.id(), "KILL");
    assert!(!end_of(&mut booting).success());
    let begun = Instant::now();
    while !traces(&name).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "left: {:?}", traces(&name));
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_left_when_everybody_is_killed_is_removed_by_down() {
    let name = named("test-left-over");
    leave_over(&name);
    let down = Command::new(LOCAL_CLUSTER).args(["down", "--name", name.as_str()]).status().expect("it runs");
    assert!(down.success());
    assert_eq!(traces(&name), BTreeSet::new());
}

#[test]
fn what_is_left_when_everybody_is_killed_is_removed_by_the_next_boot_of_any_name() {
    let name = named("test-dead");
    leave_over(&name);
    let other = boot_control_plane("test-alive");
    assert_eq!(traces(&name), BTreeSet::new());
    drop(other);
    assert_eq!(traces(&named("test-alive")), BTreeSet::new());
}

#[test]
fn what_others_use_or_have_kept_survives_the_removal_of_what_is_idle() {
    let down = |name: &str| {
        let output = Command::new(LOCAL_CLUSTER).args(["down", "--idle", "--name", name]).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let used = boot_control_plane("test-used");
    boot_control_plane("test-kept").leave_running().expect("it stays");
    boot_control_plane("test-looked-at").leave_running().expect("it stays");

    let (done, said) = down("test-used");
    assert!(!done && said.contains(&format!("test-used is in use by process {}", std::process::id())), "{said}");
    let (done, said) = down("test-kept");
    assert!(done && said.contains("cluster test-kept is gone"), "{said}");
    assert!(said.contains("cluster test-used is left to process"), "{said}");
    assert!(said.contains("test-looked-at was left up on purpose"), "{said}");

    assert_eq!(traces(&named("test-kept")), BTreeSet::new());
    assert_eq!(Cluster::standing(&named("test-kept")), None);
    assert_eq!(Cluster::standing(&named("test-looked-at")), Some(Standing::Kept));
    assert!(used.components().iter().all(|(_, _, alive)| *alive == Alive::Yes));
    Cluster::remove(&named("test-looked-at")).expect("it goes");
}

#[test]
fn a_cluster_that_is_shared_goes_with_its_process() {
    let options = Options::named("test-shared").expect("a name").control_plane_only();
    let one = Cluster::shared(&options).expect("it boots");
    let other = Cluster::shared(&options).expect("it is there");
    assert!(std::ptr::eq(one, other));
    let watched = processes().into_iter().any(|(_, command)| command.contains("reap --name test-shared"));
    assert!(watched, "somebody watches this process and removes the cluster when it ends");
}

#[test]
fn up_leaves_the_cluster_up_and_down_ends_also_what_runs_inside() {
    let name = named("test-command");
    let local_cluster = |arguments: &[&str]| {
        let mut command = Command::new(LOCAL_CLUSTER);
        command.args(arguments).env("HOTFIX_CLUSTER_NAME", name.as_str()).stdin(Stdio::null());
        command
    };
    assert!(local_cluster(&["up", "--control-plane-only"]).status().expect("up runs").success());
    assert!(local_cluster(&["up", "--control-plane-only"]).status().expect("up runs again").success());
    let version = local_cluster(&["exec", "--", "kubectl", "version"]).output().expect("exec runs");
    assert!(String::from_utf8_lossy(&version.stdout).contains("Server Version: v1.34.4"), "{version:?}");
    let failed = local_cluster(&["exec", "--", "false"]).status().expect("exec runs");
    assert_eq!(failed.code(), Some(1), "the command's own status");

    let mut inside = local_cluster(&["exec", "--", "sleep", "300"]).spawn().expect("exec runs");
    assert!(local_cluster(&["status"]).status().expect("status runs").success());
    assert!(local_cluster(&["down"]).status().expect("down runs").success());
    assert!(!end_of(&mut inside).success());
    assert_eq!(traces(&name), BTreeSet::new());
}

fn named(name: &str) -> ClusterName {
    name.parse().expect("a name")
}

fn boot(name: &str) -> Cluster {
    Cluster::boot(&Options::named(name).expect("a name")).expect("it boots")
}

fn boot_control_plane(name: &str) -> Cluster {
    Cluster::boot(&Options::named(name).expect("a name").control_plane_only()).expect("it boots")
}

fn up(name: &ClusterName) -> Child {
    Cluster::prepare(Node::Full).expect("what a boot needs is there");
    Command::new(LOCAL_CLUSTER).args(["up", "--name", name.as_str()]).stdin(Stdio::null()).spawn().expect("up runs")
}

fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &process.to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// A cluster in the middle of its boot whose booting process and its watcher are killed together.
fn leave_over(name: &ClusterName) {
    let mut booting = up(name);
    wait_for(&Layout::of(name).at("processes/containerd"));
    let watcher = format!("reap --name {name}");
    let watchers = processes().into_iter().filter(|(_, command)| command.ends_with(&watcher));
    watchers.for_each(|(process, _)| signal(process, "KILL"));
    signal(booting.id(), "KILL");
    assert!(!end_of(&mut booting).success());
    assert!(!traces(name).is_empty(), "there is something to remove");
}

/// Every process of the machine and its command line.
fn processes() -> Vec<(u32, String)> {
    let all = fs::read_dir("/proc").expect("/proc is there").flatten();
    let numbered = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(|id| (id, entry.path())));
    let command = |path: PathBuf| fs::read(path.join("cmdline")).unwrap_or_default();
    let words = |text: Vec<u8>| String::from_utf8_lossy(&text).trim_end_matches('\0').replace('\0', " ");
    numbered.map(|(id, path)| (id, words(command(path)))).collect()
}

fn end_of(process: &mut Child) -> ExitStatus {
    process.wait().expect("it ends")
}

fn wait_for(file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < PATIENCE, "{} never appears", file.display());
        thread::sleep(Duration::from_millis(10));
    }
}

fn pod() -> Pod {
    let container = json!({"name": "pause", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"});
    serde_json::from_value(json!({"metadata": {"name": "pause"}, "spec": {"containers": [container]}})).expect("a pod")
}

/// Creates a pod, waits until it runs, crashes its container and sees it restarted, reads its log through the API server, and says on which node it is.
fn run_a_pod(cluster: &Cluster) -> String {
    let work = async || {
        let pods = Api::<Pod>::namespaced(cluster.client().await.expect("a client"), "default");
        pods.create(&PostParams::default(), &pod()).await.expect("the pod is created");
        let running = await_condition(pods.clone(), "pause", is_pod_running());
        let pod = tokio::time::timeout(PATIENCE, running).await.expect("it runs in time").expect("it is watched");
        let container = container_of(&pods).await;
        assert_eq!(cluster.kill_container(&container), 1, "one process");
        let restarted = await_condition(pods.clone(), "pause", has_restarted);
        tokio::time::timeout(PATIENCE, restarted).await.expect("in time").expect("it is watched");
        let log = pods.logs("pause", &LogParams::default()).await.expect("its log can be read");
        assert_eq!(log, "", "the program says nothing");
        pod.and_then(|pod| pod.spec).and_then(|spec| spec.node_name).expect("a running pod has a node")
    };
    cluster.run(work).expect("the namespace is entered")
}

async fn container_of(pods: &Api<Pod>) -> String {
    let status = pods.get("pause").await.expect("the pod is there").status.expect("it has a status");
    let containers = status.container_statuses.expect("its containers have one too");
    containers[0].container_id.clone().expect("a running container has an id")
}

fn has_restarted(pod: Option<&Pod>) -> bool {
    let containers = pod.and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    containers.is_some_and(|containers| containers.iter().any(|container| container.restart_count == 1))
}

/// Asks the cluster's name service through its Service, as a pod does, and returns the address.
fn resolve(cluster: &Cluster, name: &str) -> String {
    let work = async || {
        let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await.expect("a socket");
        socket.send_to(&query(name), "10.96.0.10:53").await.expect("the question is sent");
        let mut answer = [0; 512];
        let received = tokio::time::timeout(PATIENCE, socket.recv(&mut answer)).await.expect("an answer in time");
        let length = received.expect("an answer");
        // One answer of type A: the address is the last thing in it.
        answer[length - 4..length].iter().map(u8::to_string).collect::<Vec<_>>().join(".")
    };
    cluster.run(work).expect("the namespace is entered")
}

/// A question for the address of a name.
fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("a label is short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// The links of the machine's own network.
fn links() -> String {
    let shown = Command::new("ip").args(["-o", "link"]).output().expect("ip runs");
    String::from_utf8(shown.stdout).expect("ip prints text")
}

/// What there is of a cluster on the machine: processes, mounts in anybody's view, the network namespace, cgroups, the folder.
fn traces(name: &ClusterName) -> BTreeSet<String> {
    let layout = Layout::of(name);
    let folder = layout.folder().display().to_string();
    let mark = format!("{MARK}={folder}");
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc").expect("/proc is there").flatten() {
        let read = |file: &str| {
            fs::read(process.path().join(file))
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .unwrap_or_default()
        };
        if read("environ").split('\0').any(|variable| variable == mark) {
            found.insert(format!("process {}", read("cmdline").replace('\0', " ")));
        }
        let mounts = read("mountinfo");
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
        let ours = points.filter(|point| {
            (point.starts_with(layout.folder()) && *point != layout.folder()) || *point == layout.namespace_file()
        });
        found.extend(ours.map(|point| format!("mount {}", point.display())));
    }
    let hierarchies = fs::read_dir("/sys/fs/cgroup").expect("cgroups are there").flatten().map(|entry| entry.path());
    let places = hierarchies.map(|hierarchy| hierarchy.join(layout.cgroup()));
    let places = places.chain([
        layout.namespace_file(),
        layout.folder().to_owned(),
        Path::new("/sys/fs/cgroup").join(layout.cgroup()),
    ]);
    found.extend(places.filter(|place| place.exists()).map(|place| format!("path {}", place.display())));
    found
}
