use serde_json::json;

use super::*;

fn service(all_down: Option<&str>) -> ObjectEvent {
    let annotations = all_down.map(|all_down| {
        json!({"kube-verdict.io/health-check": "tcp", "kube-verdict.io/health-check-all-down": all_down,
               "kube-verdict.io/health-check-fall": "2"})
    });
    let value = json!({"metadata": {"namespace": "default", "name": "web", "annotations": annotations}});
    ObjectEvent::Applied(Object::Service(serde_json::from_value(value).unwrap()))
}

fn slice(addresses: &[&str]) -> ObjectEvent {
    let endpoints: Vec<_> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
    let value = json!({
        "metadata": {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 80}],
    });
    ObjectEvent::Applied(Object::EndpointSlice(serde_json::from_value(value).unwrap()))
}

/// The last digits of the endpoints that are ready, by the last slice among events.
fn ready(events: &[ObjectEvent]) -> String {
    let slices = events.iter().rev().filter_map(|event| match event {
        ObjectEvent::Applied(Object::EndpointSlice(slice)) => Some(slice),
        _ => None,
    });
    let slice = slices.into_iter().next().expect("a slice");
    let ready = slice.endpoints.iter().filter(|endpoint| endpoint.conditions.ready);
    ready.map(|endpoint| endpoint.address.as_ref().unwrap().to_string().pop().unwrap()).collect()
}

fn target(digit: char) -> Target {
    let service = ObjectKey { kind: Kind::Service, namespace: "default".into(), name: "web".into() };
    Target { service, address: format!("10.0.0.{digit}:80").parse().unwrap() }
}

/// A book with three endpoints, all known to be well.
fn book(all_down: &str) -> Book {
    let mut book = Book::default();
    let events = book.take(vec![slice(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]), service(Some(all_down))]);
    assert_eq!((events.len(), ready(&events).as_str()), (2, "123"));
    assert!(book.is_waiting());
    for digit in ['1', '2', '3'] {
        assert_eq!(book.answer(&target(digit), true), None);
    }
    assert!(!book.is_waiting());
    book
}

/// Two bad answers, which is enough.
fn dies(book: &mut Book, digit: char) -> (Transition, Vec<ObjectEvent>) {
    assert_eq!(book.answer(&target(digit), false), None);
    book.answer(&target(digit), false).expect("a transition")
}

#[test]
fn the_dead_go_and_the_living_return() {
    let mut book = book("keep");
    let (transition, events) = dies(&mut book, '2');
    assert_eq!((transition.is_well, transition.all_down, ready(&events).as_str()), (false, None, "13"));
    assert_eq!(book.answer(&target('2'), true), None);
    let (transition, events) = book.answer(&target('2'), true).unwrap();
    assert_eq!((transition.is_well, ready(&events).as_str()), (true, "123"));
}

#[test]
fn when_none_is_well_the_last_that_were_stay_or_nobody() {
    let mut keeping = book("keep");
    dies(&mut keeping, '1');
    assert_eq!(ready(&dies(&mut keeping, '2').1), "3");
    let (transition, events) = dies(&mut keeping, '3');
    assert_eq!((transition.all_down, ready(&events).as_str()), (Some(AllDown::Keep), "3"));
    assert_eq!(ready(&keeping.take(vec![slice(&["10.0.0.1", "10.0.0.2"])])), "12", "it is gone: everybody");
    assert_eq!(ready(&keeping.take(vec![service(Some("reject"))])), "");

    let mut rejecting = book("reject");
    dies(&mut rejecting, '1');
    dies(&mut rejecting, '2');
    let (transition, events) = dies(&mut rejecting, '3');
    assert_eq!((transition.all_down, ready(&events).as_str()), (Some(AllDown::Reject), ""));
    rejecting.answer(&target('1'), true);
    assert_eq!(ready(&rejecting.answer(&target('1'), true).unwrap().1), "1");
}

#[test]
fn what_comes_new_of_a_slice_keeps_what_is_known() {
    let mut book = book("keep");
    dies(&mut book, '2');
    assert_eq!(ready(&book.take(vec![slice(&["10.0.0.2", "10.0.0.4"])])), "4");
    assert!(book.is_waiting(), "the fourth was not asked yet");
    assert_eq!(book.targets().count(), 2);
    assert_eq!(book.answer(&target('3'), false), None, "nobody asks it any more");
}

#[test]
fn without_the_annotation_everything_is_as_it_was_written() {
    let mut book = book("keep");
    dies(&mut book, '2');
    let events = book.take(vec![service(None)]);
    assert_eq!(ready(&events), "123");
    assert_eq!(book.targets().count(), 0);
    let events = book.take(vec![slice(&["10.0.0.2"]), service(None)]);
    assert_eq!(events, [slice(&["10.0.0.2"]), service(None)], "in the order in which they came");
    assert!(book.slices.is_empty() && book.owners.is_empty(), "they are nobody's business here");
    book.lacks_slices();
    assert_eq!(book.take(vec![service(Some("keep"))]).len(), 1);
    assert!(book.lacks_slices() && !book.lacks_slices());
    assert_eq!(ready(&book.take(vec![slice(&["10.0.0.2"])])), "2");
    let ObjectEvent::Applied(object) = slice(&[]) else { panic!() };
    book.take(vec![ObjectEvent::Deleted(object.key())]);
    assert_eq!((book.targets().count(), book.slices.len()), (0, 0));
}
