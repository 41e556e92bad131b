//! The rules, without threads or real time.

use super::*;

#[test]
fn yaml_and_json_several_documents_and_lists() {
    let json = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "j"},
                   "spec": {"clusterIP": "10.0.0.9", "ports": [{"port": 1}]}}"#;
    let list = "apiVersion: v1\nkind: List\nitems:\n\
        - {apiVersion: v1, kind: Service, metadata: {name: l1}, spec: {clusterIP: 10.0.0.7, ports: [{port: 1}]}}\n\
        - apiVersion: networking.k8s.io/v1\n  kind: ServiceCIDR\n  metadata: {name: c}\n  spec: {cidrs: [10.0.0.0/24]}\n";
    let typed = "apiVersion: v1\nkind: ServiceList\nitems:\n\
        - {metadata: {name: l2, namespace: other}, spec: {clusterIP: 10.0.0.8, ports: [{port: 1}]}}\n";
    let two = service("a", "10.0.0.1") + &service("b", "10.0.0.2");
    let (bench, batch) = Bench::with(&[
        ("a.yaml", &two),
        ("j.json", json),
        ("l.yml", list),
        ("t.yaml", typed),
        ("e.yaml", ""),
    ]);
    assert_eq!(problems(&batch, Severity::Info), [""; 0]);
    assert_eq!(
        bench.there(),
        [
            "Service default/a",
            "Service default/b",
            "Service default/j",
            "Service default/l1",
            "Service other/l2",
            "ServiceCIDR c"
        ]
    );
}

#[test]
fn other_files_and_kinds_are_mentioned_once() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n";
    let knative = "---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: d}\n";
    let text = deployment.to_owned() + knative + "---\napiVersion: v1\nkind: Endpoints\n";
    let (mut bench, batch) =
        Bench::with(&[("d.yaml", &text), ("README.md", "x"), ("web.yaml~", "x"), (".hidden.yaml", "x")]);
    assert_eq!(batch.events, []);
    let expected = [
        "ignored, for being of kinds that no service proxy reads: Deployment (1), Endpoints (1), \
         serving.knative.dev/v1 Service (1); write endpoints as an EndpointSlice of discovery.k8s.io/v1",
        "ignored, for not being files named *.yaml, *.yml or *.json: README.md, web.yaml~",
    ];
    let said = problems(&batch, Severity::Info);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().zip(expected).all(|(said, expected)| said.ends_with(expected)), "{said:#?}");
    assert!(bench.write("d.yaml", text).is_empty());
    assert!(bench.look(Trust::Nothing).is_empty());
}

#[test]
fn a_file_that_breaks_keeps_its_objects_and_says_where() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &(service("a", "10.0.0.1") + &service("b", "10.0.0.2")))]);
    let batch = bench.write("a.yaml", service("a", "10.0.0.3") + "kind: [Service\n");
    assert_eq!(batch.events, []);
    let said = problems(&batch, Severity::Error);
    assert!(said[0].starts_with("a.yaml:1"), "{said:?}");
    assert!(said[0].ends_with("; the 2 objects that it defined before stay in effect"), "{said:?}");

    let batch = bench.write("a.yaml", service("a", "10.0.0.3"));
    assert_eq!(events(&batch), ["+Service default/a", "-Service default/b"]);
}

#[test]
fn a_file_that_is_broken_from_the_start_says_so() {
    let (_, batch) = Bench::with(&[("a.yaml", "a: b: c\n"), ("b.yaml", &service("b", "10.0.0.2"))]);
    assert_eq!(events(&batch), ["+Service default/b"]);
    assert!(problems(&batch, Severity::Error)[0].ends_with("; nothing that it defines is in effect"));
}

#[test]
fn there_are_gaps_until_every_file_was_understood_once() {
    let (mut bench, batch) =
        Bench::with(&[("a.yaml", &service("a", "10.0.0.1")), ("b.yaml", "{"), ("c.yaml", "[")]);
    assert!(batch.has_gaps);
    assert!(bench.write("b.yaml", service("b", "10.0.0.2")).has_gaps);
    bench.remove("c.yaml");
    assert!(!bench.wait().has_gaps);
    // What was understood once is known, whatever becomes of the file.
    assert!(!bench.write("b.yaml", "{").has_gaps);
    // An object that is impossible from the start may be one that was possible before.
    assert!(bench.write("d.yaml", service("d", "10.0.0.300")).has_gaps);
    assert!(!bench.write("d.yaml", service("d", "10.0.0.30")).has_gaps);
}

#[test]
fn an_impossible_object_keeps_its_former_version_and_the_rest_goes_on() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &(service("a", "10.0.0.1") + &service("b", "10.0.0.2")))]);
    let bad = service("a", "10.0.0.300") + &service("b", "10.0.0.3") + &service("c", "nonsense");
    let batch = bench.write("a.yaml", bad);
    assert_eq!(events(&batch), ["+Service default/b"]);
    let said = problems(&batch, Severity::Error);
    assert!(said.len() >= 2, "{said:?}");
    assert!(said[0].starts_with("a.yaml:6:3: Service default/a: spec.clusterIP"), "{said:?}");
    assert!(said[0].ends_with("; what it was before stays in effect"), "{said:?}");
    assert!(said.last().unwrap().ends_with("; the object is not in effect"), "{said:?}");
    assert_eq!(bench.there(), ["Service default/a", "Service default/b"]);

    let batch = bench.write("a.yaml", service("b", "10.0.0.3"));
    assert_eq!(events(&batch), ["-Service default/a"]);
}

#[test]
fn a_wrong_structure_is_an_impossible_object() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports: 80\n";
    let batch = bench.write("a.yaml", text);
    assert_eq!(batch.events, []);
    let said = problems(&batch, Severity::Error);
    assert!(
        said[0].starts_with(
            "a.yaml:5:10: Service default/a: spec.ports: is the number 80, and should be a list"
        ),
        "{said:?}"
    );
}

#[test]
fn a_wrong_api_version_is_named() {
    let text = "apiVersion: v1\nkind: EndpointSlice\nmetadata: {name: s}\n---\nkind: Service\nmetadata: {name: t}\n\
                ---\nmetadata: {name: u}\n---\njust text\n---\n- a list\n";
    let (_, batch) = Bench::with(&[("a.yaml", text)]);
    assert_eq!(batch.events, []);
    let said = problems(&batch, Severity::Error);
    assert!(
        said[0].starts_with(
            "a.yaml:1:13: EndpointSlice default/s: apiVersion: \"v1\" has no EndpointSlice; \
        write apiVersion: discovery.k8s.io/v1"
        ),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("a.yaml:5:1: Service default/t: apiVersion: \"\" has no Service"),
        "{said:?}"
    );
    assert!(said[2].starts_with("a.yaml:8:1: kind: no kind"), "{said:?}");
    assert_eq!(said.len(), 5, "{said:?}");
}

#[test]
fn unknown_and_duplicate_fields_are_warnings_with_their_lines() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels: {app: web}\nspec:\n  selector: {a: b}\n  \
                clusterIP: 10.0.0.1\n  ports:\n  - port: 80\n    targetPort: 8080\n    node_port: 30000\n    port: 81\n";
    let (_, batch) = Bench::with(&[("a.yaml", text)]);
    assert_eq!(events(&batch), ["+Service default/a"]);
    assert_eq!(
        problems(&batch, Severity::Warning),
        [
            "a.yaml:13:5: \"port\" stands twice in one mapping; the last one counts",
            "a.yaml:12:5: Service default/a: spec.ports[0].node_port: no such field; it is ignored: did you \
             mean nodePort?",
        ]
    );
}

#[test]
fn an_object_as_a_cluster_serves_it_is_quiet() {
    let (bench, batch) = Bench::with(&[("cluster.yaml", include_str!("cluster.yaml"))]);
    assert_eq!(problems(&batch, Severity::Info), [""; 0]);
    assert_eq!(bench.there().len(), 4);
}

#[test]
fn only_what_differs_is_an_event() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    let batch = bench.write("a.yaml", "# a comment\n".to_owned() + &service("a", "10.0.0.1"));
    assert!(batch.is_empty());
    let batch = bench.write("a.yaml", service("a", "10.0.0.2"));
    assert_eq!(
        (events(&batch), cluster_ip(&batch, 0)),
        (vec!["+Service default/a".into()], "10.0.0.2".into())
    );
}

#[test]
fn an_object_that_is_no_longer_watched_is_deleted() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    let batch = bench.write("a.yaml", service("a", "None"));
    assert_eq!(events(&batch), ["-Service default/a"]);
    assert!(bench.write("a.yaml", service("a", "None") + "# still\n").events.is_empty());
    assert_eq!(events(&bench.write("a.yaml", service("a", "10.0.0.1"))), ["+Service default/a"]);
}

#[test]
fn of_two_files_the_first_by_name_counts_until_it_goes() {
    let (mut bench, batch) =
        Bench::with(&[("b.yaml", &service("a", "10.0.0.2")), ("c.yaml", &service("a", "10.0.0.3"))]);
    assert_eq!(cluster_ip(&batch, 0), "10.0.0.2");
    let said = problems(&batch, Severity::Warning);
    assert!(said[0].starts_with("c.yaml:1:1: Service default/a: is also defined in b.yaml"), "{said:?}");

    let batch = bench.write("a.yaml", service("a", "10.0.0.1"));
    assert_eq!(cluster_ip(&batch, 0), "10.0.0.1");
    assert!(bench.write("b.yaml", service("a", "10.0.0.4")).events.is_empty());

    let batch = bench.remove("a.yaml");
    assert_eq!(cluster_ip(&batch, 0), "10.0.0.4", "the next one takes over at once");
    assert!(bench.wait().is_empty());
    bench.remove("b.yaml");
    bench.remove("c.yaml");
    assert_eq!(events(&bench.wait()), ["-Service default/a"]);
}

#[test]
fn a_loser_that_broke_meanwhile_does_not_take_the_object_along() {
    let (mut bench, _) =
        Bench::with(&[("a.yaml", &service("a", "10.0.0.1")), ("b.yaml", &service("a", "10.0.0.2"))]);
    bench.write("b.yaml", "broken: [");
    bench.remove("a.yaml");
    let batch = bench.wait();
    assert_eq!(batch.events, []);
    assert_eq!(bench.there(), ["Service default/a"]);
    assert_eq!(cluster_ip(&bench.write("b.yaml", service("a", "10.0.0.2")), 0), "10.0.0.2");
}

#[test]
fn twice_in_one_file_the_first_counts() {
    let (_, batch) = Bench::with(&[("a.yaml", &(service("a", "10.0.0.1") + &service("a", "10.0.0.2")))]);
    assert_eq!((batch.events.len(), cluster_ip(&batch, 0)), (1, "10.0.0.1".into()));
    assert!(
        problems(&batch, Severity::Warning)[0].starts_with("a.yaml:10:1: Service default/a: stands twice")
    );
}

#[test]
fn a_removed_file_takes_its_objects_along_after_a_moment() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    assert!(bench.remove("a.yaml").is_empty());
    assert_eq!(events(&bench.wait()), ["-Service default/a"]);
    assert!(bench.wait().is_empty() && bench.look(Trust::Nothing).is_empty());
}

#[test]
fn an_editor_that_moves_the_old_file_away_changes_nothing_in_between() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    std::fs::rename(bench.path("a.yaml"), bench.path("a.yaml~")).unwrap();
    assert!(bench.event(&["a.yaml", "a.yaml~"]).is_empty());
    let batch = bench.write("a.yaml", service("a", "10.0.0.2"));
    assert_eq!(events(&batch), ["+Service default/a"]);
    assert!(bench.wait().is_empty());
}

#[test]
fn a_file_that_is_renamed_changes_nothing() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    std::fs::rename(bench.path("a.yaml"), bench.path("z.yaml")).unwrap();
    assert!(bench.event(&["a.yaml"]).is_empty());
    assert!(bench.event(&["z.yaml"]).is_empty());
    assert!(bench.wait().is_empty());
    assert_eq!(bench.there(), ["Service default/a"]);
}

#[test]
fn an_object_that_moves_to_another_file_is_no_event() {
    let both = service("a", "10.0.0.1") + &service("b", "10.0.0.2");
    let (mut bench, _) = Bench::with(&[("a.yaml", &both)]);
    std::fs::write(bench.path("a.yaml"), service("b", "10.0.0.2")).unwrap();
    std::fs::write(bench.path("b.yaml"), service("a", "10.0.0.1")).unwrap();
    assert!(bench.event(&["a.yaml", "b.yaml"]).is_empty());
}

#[test]
fn a_file_that_an_interrupted_write_emptied_keeps_its_objects() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    for empty in ["", "\n \n"] {
        let batch = bench.write("a.yaml", empty);
        assert_eq!(batch.events, []);
        assert!(problems(&batch, Severity::Error)[0].contains("is empty, as an interrupted write leaves it"));
    }
    assert_eq!(events(&bench.write("a.yaml", "# emptied on purpose\n")), ["-Service default/a"]);
}

#[test]
fn a_lost_directory_keeps_everything_and_recovers() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    let aside = bench.root.path().with_extension("aside");
    std::fs::rename(bench.root.path(), &aside).unwrap();
    let batch = bench.look(Trust::Nothing);
    assert_eq!(batch.events, []);
    assert!(problems(&batch, Severity::Error)[0].contains("cannot be read"));
    assert!(bench.look(Trust::Nothing).is_empty() && bench.wait().is_empty(), "said once");

    std::fs::create_dir(bench.root.path()).unwrap();
    assert!(bench.look(Trust::Nothing).events.is_empty(), "an empty one in its place is not trusted");
    std::fs::write(bench.path("b.yaml"), service("b", "10.0.0.2")).unwrap();
    let batch = bench.look(Trust::Nothing);
    assert_eq!(events(&batch), ["+Service default/b"]);
    assert!(problems(&batch, Severity::Info)[0].contains("is readable again"));
    assert_eq!(events(&bench.wait()), ["-Service default/a"]);
    std::fs::remove_dir_all(aside).unwrap();
}

#[test]
fn a_missing_directory_cannot_be_opened() {
    let text = Directory::open("/nowhere/at/all").unwrap_err().to_string();
    assert!(text.contains("/nowhere/at/all") && text.contains("create it"), "{text}");
}

#[test]
fn a_change_that_nobody_told_of_is_read_when_it_has_settled() {
    let (mut bench, _) = Bench::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    std::fs::write(bench.path("a.yaml"), service("a", "10.0.0.2") + "# longer\n").unwrap();
    assert!(bench.look(Trust::Nothing).is_empty());
    assert!(bench.directory.is_unsettled());
    assert_eq!(events(&bench.look(Trust::Nothing)), ["+Service default/a"]);
    assert!(!bench.directory.is_unsettled());
}

#[test]
fn a_volume_whose_link_is_swapped_is_one_change() {
    let root = tempfile::tempdir().unwrap();
    let version = |name: &str, contents: &[(&str, String)]| {
        std::fs::create_dir(root.path().join(name)).unwrap();
        for (file, text) in contents {
            std::fs::write(root.path().join(name).join(file), text).unwrap();
        }
    };
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
    version("..1", &[("a.yaml", service("a", "10.0.0.1")), ("b.yaml", service("b", "10.0.0.2"))]);
    version("..2", &[("a.yaml", service("b", "10.0.0.2")), ("b.yaml", service("a", "10.0.0.3"))]);
    link("..1", "..data");
    link("..data/a.yaml", "a.yaml");
    link("..data/b.yaml", "b.yaml");
    let mut directory = Directory::open(root.path()).unwrap();
    assert_eq!(events(&directory.load()), ["+Service default/a", "+Service default/b"]);

    link("..2", "..tmp");
    std::fs::rename(root.path().join("..tmp"), root.path().join("..data")).unwrap();
    let batch = directory.look(Trust::Links, Instant::now());
    assert_eq!(events(&batch), ["+Service default/a"], "b moved, and is the same");
    assert_eq!(problems(&batch, Severity::Info), [""; 0]);
}

#[test]
fn a_thousand_mistakes_are_told_in_part() {
    let text: String =
        (0..1000).map(|n| service(&format!("s{n}"), "nonsense").replace("spec:", "sbec: 1\nspec:")).collect();
    let good: String = (0..1000).map(|n| service(&format!("g{n}"), "10.0.0.1")).collect();
    let (mut bench, batch) = Bench::with(&[("a.yaml", &text), ("b.yaml", &good)]);
    assert_eq!(batch.events.len(), 1000);
    let said = problems(&batch, Severity::Error);
    assert_eq!(
        (said.len(), said.last().unwrap().ends_with("more errors of this file")),
        (51, true),
        "{said:?}"
    );
    assert_eq!(problems(&batch, Severity::Warning).len(), 2 * 51);
    let batch = bench.write("c.yaml", good);
    let said = problems(&batch, Severity::Warning);
    assert_eq!(
        (said.len(), said.last().unwrap().ends_with("and 950 more definitions in vain")),
        (51, true),
        "{said:?}"
    );
}
