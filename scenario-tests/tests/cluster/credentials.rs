//! Who we are to the API server: with no more rights than kube-proxy has (reference §17), and with credentials
//! that change while the daemon runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::prelude::*;
use serde_json::{Value, json};

use crate::{IN_SYNC, edit_kubeconfig, said, web};

/// The ServiceAccount that is shipped, with the role that is.
fn account(control_plane: &ControlPlane) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/base");
    for name in ["service-account", "cluster-role", "cluster-role-binding"] {
        let file = directory.join(format!("{name}.yaml"));
        let words = ["apply", "--server-side", "-n", "kube-system", "-f", file.to_str().expect("text")];
        control_plane.kubectl(&words).expect("applying what is shipped");
    }
}

/// Replaces a file as Kubernetes does.
fn replace(path: &Path, contents: &str) {
    let new = path.with_extension("new");
    fs::write(&new, contents).expect("writing a file");
    fs::rename(new, path).expect("renaming a file");
}

#[test]
fn the_rights_of_kube_proxy_are_enough_and_tokens_may_change() {
    let mut control_plane = ControlPlane::start();
    let api = control_plane.api().clone();
    account(&control_plane);
    let mut scenario = Scenario::in_cluster(&control_plane, &Config::default());
    let file = scenario.files().directory().join("token");
    replace(&file, &control_plane.token("kube-system", "kube-verdict", 600));
    edit_kubeconfig(&scenario, |config| config["users"][0]["user"] = json!({ "tokenFile": file }));
    scenario.write(web("web", 10, "pod-c"));
    scenario.start_daemon();
    scenario.settle();
    scenario.check(&[
        case("served", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"])),
        case("ServiceCIDRs are known", From::PodA, "10.96.0.99:80", DROP),
    ]);
    assert!(!scenario.files().log().contains("cannot be watched"), "{}", scenario.files().log());
    let starting = |event: &Value| {
        event["reason"] == "Starting"
            && event["action"] == "StartKubeProxy"
            && event["reportingController"] == "kube-proxy"
            && event["regarding"]["name"] == "node-1"
            && event["regarding"]["uid"] == "node-1"
    };
    let events = api.get("/apis/events.k8s.io/v1/namespaces/default/events").unwrap();
    assert!(events["items"].as_array().unwrap().iter().any(starting), "{events:#}");

    // The account is another one of the same name: its old tokens are worth nothing.
    api.delete("/api/v1/namespaces/kube-system/serviceaccounts/kube-verdict").unwrap();
    account(&control_plane);
    control_plane.kill_api_server();
    control_plane.start_api_server();
    said(&scenario, "it does not accept our credentials", 1);
    scenario.check_packets(&[case("still served", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"]))]);
    replace(&file, &control_plane.token("kube-system", "kube-verdict", 600));
    scenario.apply(web("web", 10, "pod-b"));
    scenario.check(&[case("a change comes", From::PodA, "10.96.0.10:80", dnat(&["pod-b:8080"]))]);
    said(&scenario, "answers again", 1);
}

/// `openssl`, in a directory.
fn openssl(directory: &Path, words: &str) {
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(directory)
        .output()
        .expect("running openssl");
    assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and a certificate of it: `NAME.crt` and `NAME.key`.
fn authority(directory: &Path, name: &str) {
    openssl(
        directory,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"
        ),
    );
}

fn certificate(directory: &Path, authority: &str, name: &str, subject: &str) {
    openssl(
        directory,
        &format!("req -newkey rsa:2048 -nodes -subj {subject} -keyout {name}.key -out {name}.csr"),
    );
    fs::write(directory.join("extensions"), "subjectAltName=IP:127.0.0.1,IP:100.64.0.1\n")
        .expect("writing a file");
    openssl(
        directory,
        &format!(
            "x509 -req -in {name}.csr -CA {authority}.crt -CAkey {authority}.key -CAcreateserial -days 1 \
             -extfile extensions -out {name}.crt"
        ),
    );
}

#[test]
fn certificates_and_authorities_may_change() {
    let keys = tempfile::tempdir().unwrap();
    let path = |name: &str| keys.path().join(name).to_str().unwrap().to_owned();
    authority(keys.path(), "good");
    authority(keys.path(), "bad");
    certificate(keys.path(), "good", "server", "/CN=kube-apiserver");
    certificate(keys.path(), "good", "known", "/CN=system:kube-proxy");
    certificate(keys.path(), "bad", "stranger", "/CN=system:kube-proxy");
    let control_plane = ControlPlane::start_with(&[
        &format!("--client-ca-file={}", path("good.crt")),
        &format!("--tls-cert-file={}", path("server.crt")),
        &format!("--tls-private-key-file={}", path("server.key")),
    ]);
    let mut scenario = Scenario::in_cluster(&control_plane, &Config::default());
    let files = scenario.files().directory().to_owned();
    let use_file = |name: &str, from: &str| {
        replace(&files.join(name), &fs::read_to_string(keys.path().join(from)).unwrap());
    };
    let identity = |name: &str| {
        use_file("client.key", &format!("{name}.key"));
        use_file("client.crt", &format!("{name}.crt"));
    };
    use_file("ca.crt", "bad.crt");
    identity("stranger");
    edit_kubeconfig(&scenario, |config| {
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster.as_object_mut().unwrap().remove("insecure-skip-tls-verify");
        cluster["certificate-authority"] = "ca.crt".into();
        // Beside the kubeconfig: relative paths are.
        config["users"][0]["user"] =
            json!({ "client-certificate": "client.crt", "client-key": "client.key" });
    });
    scenario.write(web("web", 10, "pod-c"));
    scenario.start_daemon();
    said(&scenario, "is of no use: ", 1);
    assert!(scenario.files().log().contains("certificate"), "{}", scenario.files().log());
    use_file("ca.crt", "good.crt");
    said(&scenario, "with the new ones", 1);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!scenario.files().log().contains(IN_SYNC), "a stranger is served");
    // Unusable for a moment: what was there goes on being used.
    use_file("client.crt", "extensions");
    said(&scenario, "going on with what was there before", 1);
    identity("known");
    scenario.settle();
    scenario.check(&[case("served", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"]))]);
}
