//! What `manifests/` ships, against a real API server: it takes every object, over a kube-proxy that kubeadm made
//! too, and the role allows what kube-proxy's allows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::daemon;
use serde_json::Value;

/// The conntrack sysctls need a privileged container, which an API server refuses unless it is told.
const PRIVILEGED: &str = "--allow-privileged=true";

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests").join(name)
}

/// `kubectl apply` as the documentation says, with more words; how many objects it spoke of.
fn apply(control_plane: &ControlPlane, name: &str, more: &[&str]) -> usize {
    let directory = shipped(name);
    let mut words =
        vec!["apply", "--server-side", "--force-conflicts", "-k", directory.to_str().expect("text")];
    words.extend(more);
    let told = control_plane.kubectl(&words).unwrap_or_else(|error| panic!("{name}: {error}"));
    told.lines().filter(|line| line.contains("serverside-applied")).count()
}

fn daemon_set(control_plane: &ControlPlane, name: &str) -> Value {
    let path = format!("/apis/apps/v1/namespaces/kube-system/daemonsets/{name}");
    control_plane.api().get(&path).expect("a DaemonSet")
}

/// Every permission of a role.
fn rules(control_plane: &ControlPlane, role: &str) -> BTreeSet<[String; 3]> {
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}");
    let role = control_plane.api().get(&path).expect("a role");
    let words = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().expect("a list").iter();
        list.map(|word| word.as_str().expect("text").to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                for verb in words(rule, "verbs") {
                    all.insert([group.clone(), resource.clone(), verb]);
                }
            }
        }
    }
    all
}

#[test]
fn a_real_api_server_takes_what_is_shipped() {
    let control_plane = ControlPlane::start_with(&[PRIVILEGED]);
    let dry = &["--dry-run=server"];
    assert_eq!(apply(&control_plane, "base", dry), 5);
    assert_eq!(apply(&control_plane, "overlays/beside", dry), 5);
    assert_eq!(apply(&control_plane, "overlays/kubeadm", dry), 1);

    assert_eq!(apply(&control_plane, "base", &[]), 5);
    let wanted: BTreeSet<_> = rules(&control_plane, "system:node-proxier")
        .into_iter()
        .filter(|[_, resource, _]| resource != "endpoints")
        .collect();
    assert_eq!(rules(&control_plane, "kube-verdict"), wanted);
}

/// What `e2e/kube-proxy` has is the DaemonSet as kubeadm makes it.
#[test]
fn the_daemon_set_of_kubeadm_is_taken_over_in_place() {
    let control_plane = ControlPlane::start_with(&[PRIVILEGED]);
    let kube_proxy = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/kube-proxy");
    control_plane.kubectl(&["create", "-k", kube_proxy]).unwrap();
    let before = daemon_set(&control_plane, "kube-proxy");
    assert_eq!(apply(&control_plane, "overlays/kubeadm", &[]), 1);
    let after = daemon_set(&control_plane, "kube-proxy");

    let pod = |daemon_set: &Value| daemon_set["spec"]["template"]["spec"].clone();
    let container = |daemon_set: &Value| pod(daemon_set)["containers"][0].clone();
    assert_eq!(pod(&after)["containers"].as_array().unwrap().len(), 1);
    for field in ["command", "env", "name"] {
        assert_eq!(container(&after)[field], container(&before)[field], "{field}");
    }
    for field in ["hostNetwork", "priorityClassName", "serviceAccountName", "volumes"] {
        assert_eq!(pod(&after)[field], pod(&before)[field], "{field}");
    }
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert_eq!(container(&after)["volumeMounts"].as_array().unwrap().len(), 3);
    assert_eq!(container(&after)["securityContext"]["privileged"], false);
    assert_ne!(container(&after)["image"], container(&before)["image"]);
}

#[test]
fn manifests_name_the_version_that_is_built() {
    let image = format!("image: localhost/kube-verdict:{}", env!("CARGO_PKG_VERSION"));
    for name in ["base", "overlays/kubeadm"] {
        let text = std::fs::read_to_string(shipped(name).join("daemon-set.yaml")).unwrap();
        let images: Vec<&str> = text.lines().map(str::trim).filter(|l| l.starts_with("image:")).collect();
        assert_eq!(images, [image.as_str(); 2], "{name}");
    }
}

#[test]
fn the_daemon_knows_every_field_of_the_shipped_configurations() {
    let manifests = tempfile::tempdir().unwrap();
    for name in ["base", "overlays/beside"] {
        let mut render = Command::new(daemon::program());
        render.args(["render", "--hostname-override=node", "--manifests"]).arg(manifests.path());
        render.arg("--config").arg(shipped(name).join("config.conf"));
        let output = render.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !told.contains("unknown field"), "{name}: {told}");
    }
}
