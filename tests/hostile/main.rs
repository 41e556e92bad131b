//! API servers that lost their minds, and what stands in for one: error pages, garbage, answers that never begin or never
//! end, watches that do not last, objects as large as memory. What is known stays known, what is wrong is said with what
//! it is about, memory stays bounded, and the server is asked ever more rarely. Real sockets, no kernel.

#![allow(clippy::unwrap_used)] // a test may panic

mod client;
mod server;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use client::{Client, service, words};
use serde_json::{Value, json};
use server::{Request, Server, write_answer, write_event};

/// An HTML page, as a proxy's.
fn page(bytes: usize) -> String {
    format!("<html>\r\n<head><title>\x1b[31mSorry</title></head>\r\n{}</html>", "<br>\n".repeat(bytes / 5))
}

/// An API server as it should be, with these Services.
fn good(services: Vec<Value>) -> impl Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync {
    move |request, stream| {
        let none = Vec::new();
        request.serve(stream, if request.is_about("/services") { &services } else { &none })
    }
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() << 12
}

type Answer = fn(&Request, &mut TcpStream) -> std::io::Result<()>;

#[test]
fn whatever_stands_in_for_the_server_is_told_and_waited_out() {
    let cases: [(&str, Answer, &str); 11] = [
        (
            "a page for 403",
            |_, stream| write_answer(stream, "403 Forbidden", &page(2000)),
            "services cannot be watched: <html>",
        ),
        (
            "a page for 502",
            |_, stream| write_answer(stream, "502 Bad Gateway", &page(2000)),
            "it says 502 Bad Gateway",
        ),
        (
            "a long page for 403",
            |_, stream| write_answer(stream, "403 Forbidden", &page(1 << 20)),
            "it refuses (403 Forbidden) with more than the 64 KiB",
        ),
        (
            "a page for 200",
            |_, stream| write_answer(stream, "200 OK", &page(2000)),
            "services cannot be read: it is not as the API",
        ),
        (
            "a way elsewhere",
            |_, stream| {
                stream.write_all(
                    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                )
            },
            "it says 302 Found and sends us elsewhere",
        ),
        ("no text", |_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe\x00\n"), "it is no text"),
        (
            "half an event",
            |_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"type\":\"ADDED\",\"obj"),
            "list of Services broke off before its end",
        ),
        (
            "other kinds",
            |request, stream| {
                request.begin(stream)?;
                write_event(
                    stream,
                    "ADDED",
                    &json!({ "kind": "Pod", "metadata": { "name": "a" }, "spec": {} }),
                )
            },
            "a Pod in place of a Service",
        ),
        ("no HTTP", |_, stream| stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"), "is of no use"),
        (
            "a head without end",
            |_, stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                (0..1 << 20).try_for_each(|_| stream.write_all(b"X-More: and more and more and more\r\n"))
            },
            "is of no use",
        ),
        ("a closed door", |_, _| Ok(()), "is of no use"),
    ];
    // Side by side, as each waits for pauses that grow.
    std::thread::scope(|scope| {
        for (case, answer, said) in cases {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(is_told_and_waited_out(case, answer, said));
            });
        }
    });
}

async fn is_told_and_waited_out(case: &str, answer: Answer, said: &str) {
    let server = Server::start(answer);
    let mut client = Client::of(&server.url());
    client.says(said).await;
    client.is_silent(Duration::from_millis(200)).await;
    let before = server.asked();
    client.is_silent(Duration::from_secs(1)).await;
    assert!(server.asked() - before <= 12, "{case}: {} questions in a second", server.asked() - before);
    server.becomes(good(vec![service("a", 1)]));
    assert_eq!(words(&client.next().await), "+a", "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_told_of_and_given_up() {
    let server = Server::start(|request, _| request.hold());
    let mut client = Client::of(&server.url());
    client.says("it takes more than 15 s to answer").await;
    client.says("it did not answer within 90 s").await;
    assert!(client.log().lines().count() < 10, "{}", client.log());
}

#[tokio::test]
async fn a_service_as_large_as_memory_is_passed_over_and_named() {
    let begin = r#"{"type":"MODIFIED","object":{"kind":"Service","metadata":{"namespace":"default","name":"huge","resourceVersion":"5","annotations":{"a":""#;
    let server = Server::start(move |request, stream| {
        if !request.is_about("/services") {
            return request.serve(stream, &[]);
        }
        request.begin(stream)?;
        if request.wants_list() {
            write_event(stream, "ADDED", &service("huge", 1))?;
            request.end_list(stream)?;
        }
        stream.write_all(begin.as_bytes())?;
        let megabyte = vec![b'x'; 1 << 20];
        (0..100).try_for_each(|_| stream.write_all(&megabyte))?;
        stream.write_all(b"\"}}}}\n")?;
        write_event(stream, "ADDED", &service("after", 6))?;
        request.hold()
    });
    let before = resident();
    let mut client = Client::of(&server.url());
    assert_eq!(words(&client.next().await), "+huge");
    assert_eq!(words(&client.next().await), "+after", "what follows comes, and nothing goes");
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < 90, "{grown} MiB for a Service of 100");
    let log = client.log();
    assert!(
        log.contains("an event of more than 8 MiB at /api/v1/services") && log.contains(r#""name":"huge""#),
        "{log}"
    );
    assert!(log.contains("services cannot be read"), "{log}");
}

#[tokio::test]
async fn a_line_without_end_costs_no_memory() {
    let (done, is_done) = std::sync::mpsc::channel();
    let done = std::sync::Mutex::new(done);
    let server = Server::start(move |request, stream| {
        if !request.is_about("/services") {
            return request.serve(stream, &[]);
        }
        request.begin(stream)?;
        let megabyte = vec![b'x'; 1 << 20];
        (0..300).try_for_each(|_| stream.write_all(&megabyte))?;
        let _ = done.lock().unwrap().send(());
        request.hold()
    });
    let before = resident();
    let mut client = Client::of(&server.url());
    client.says("an event of more than 8 MiB").await;
    while is_done.try_recv().is_err() {
        client.is_silent(Duration::from_millis(20)).await;
    }
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < 90, "{grown} MiB for a line of 300");
}

#[tokio::test]
async fn what_a_list_has_and_cannot_be_read_is_not_taken_for_gone() {
    let bad = json!({ "kind": "Service", "metadata": { "name": "b", "resourceVersion": "7" }, "spec": { "ports": {} } });
    let with = |bad: Option<Value>, version: u32| {
        move |request: &Request, stream: &mut TcpStream| {
            if !request.is_about("/services") {
                return request.serve(stream, &[]);
            }
            if !request.wants_list() {
                // It forgets, and is to be asked for everything.
                let expired = json!({ "kind": "Status", "code": 410, "message": "too old", "reason": "Expired", "status": "Failure" });
                request.begin(stream)?;
                return write_event(stream, "ERROR", &expired);
            }
            request.begin(stream)?;
            bad.iter().try_for_each(|bad| write_event(stream, "ADDED", bad))?;
            write_event(stream, "ADDED", &service("c", version))?;
            request.end_list(stream)
        }
    };
    let server = Server::start(good(vec![service("a", 1), service("b", 2), service("c", 3)]));
    let mut client = Client::of(&server.url());
    assert_eq!(words(&client.next().await), "+a +b +c");
    drop(server);

    // Another life of the same server, whose first list has gaps: what the kernel may have is to stay.
    let server = Server::start(with(Some(bad), 4));
    let mut client = Client::of(&server.url());
    assert_eq!(words(&client.next().await), "+c (gaps)");
    client.says("nothing that the list does not name is taken for deleted").await;
    server.becomes(with(None, 5));
    assert_eq!(words(&client.next().await), "+c", "the gaps are closed with the next list");
}

#[tokio::test]
async fn events_that_make_no_sense_are_passed_over() {
    let server = Server::start(|request, stream| {
        if !request.is_about("/services") {
            return request.serve(stream, &[]);
        }
        if !request.wants_list() {
            request.begin(stream)?;
            return request.hold();
        }
        request.begin(stream)?;
        write_event(stream, "ADDED", &service("a", 5))?;
        request.end_list(stream)?;
        // Of the unknown, twice, in the wrong order, of no type, without a name, not JSON.
        write_event(stream, "DELETED", &service("unknown", 6))?;
        write_event(stream, "ADDED", &service("a", 5))?;
        write_event(stream, "DELETED", &service("b", 9))?;
        write_event(stream, "MODIFIED", &service("b", 8))?;
        write_event(stream, "MODIFIED", &service("b", 7))?;
        write_event(stream, "SUGGESTED", &service("c", 10))?;
        write_event(stream, "ADDED", &json!({ "kind": "Service", "metadata": {} }))?;
        stream.write_all(b"}{\n[]\nnull\n\"\"\n7\n")?;
        write_event(stream, "MODIFIED", &json!([1, 2]))?;
        let fault = json!({ "kind": "Status", "code": 500, "message": "etcd is away", "status": "Failure" });
        write_event(stream, "ERROR", &fault)?;
        write_event(stream, "ADDED", &service("last", 11))?;
        request.hold()
    });
    let mut client = Client::of(&server.url());
    let mut said = String::new();
    while !said.contains("+last") {
        said += &words(&client.next().await);
        said += " ";
    }
    let mut names: Vec<&str> = said.split_whitespace().collect();
    names.dedup();
    assert_eq!(names, ["+a", "+b", "+last"]);
}

#[tokio::test]
async fn watches_that_do_not_last_are_opened_ever_more_rarely() {
    let once = |request: &Request, stream: &mut TcpStream| {
        request.begin(stream)?;
        if request.wants_list() {
            if request.is_about("/services") {
                write_event(stream, "ADDED", &service("a", 1))?;
            }
            request.end_list(stream)?;
        }
        Ok(())
    };
    let server = Server::start(once);
    let mut client = Client::of(&server.url());
    assert_eq!(words(&client.next().await), "+a", "what little it says counts");
    client.says("ends watches of /api/v1/services as soon as they begin").await;
    let before = server.asked();
    client.is_silent(Duration::from_secs(2)).await;
    assert!(server.asked() - before < 12, "{} questions in two seconds", server.asked() - before);
}

#[tokio::test]
async fn a_server_that_always_forgets_is_not_asked_for_everything_all_the_time() {
    let server = Server::start(|request, stream| {
        if request.is_about("/services") && !request.wants_list() {
            return write_answer(
                stream,
                "410 Gone",
                r#"{"kind":"Status","code":410,"message":"gone","status":"Failure"}"#,
            );
        }
        request.begin(stream)?;
        if request.wants_list() {
            request.end_list(stream)?;
        }
        // Longer than what would count as no watch.
        if request.is_about("/services") {
            std::thread::sleep(Duration::from_millis(1100));
            return Ok(());
        }
        request.hold()
    });
    let mut client = Client::of(&server.url());
    client.next().await;
    let before = server.asked();
    client.is_silent(Duration::from_secs(6)).await;
    assert!(server.asked() - before < 14, "{} questions in six seconds", server.asked() - before);
}
