//! Bodies that are read to their ends.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use proptest::prelude::*;

use super::*;

/// Frames of a body, one after the other.
struct Frames(Vec<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = if self.0.is_empty() { None } else { Some(self.0.remove(0)) };
        Poll::Ready(next.map(|data| Ok(Frame::data(data))))
    }
}

/// What was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Watcher for Told {
    fn too_long(&mut self, line: TooLong) {
        self.0.lock().unwrap().push(line.beginning);
    }

    fn ended(&mut self) {
        self.0.lock().unwrap().push("end".into());
    }
}

fn read(frames: &[&[u8]], sort: Sort) -> (Result<Vec<u8>, String>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let told = Told::default();
        let frames = Frames(frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect());
        let read = Limited::new(frames, sort, told.clone()).collect().await;
        let told = told.0.lock().unwrap().clone();
        (read.map(|read| read.to_bytes().to_vec()).map_err(|error| error.to_string()), told)
    })
}

#[test]
fn a_line_that_is_too_long_is_spoilt_and_its_neighbours_are_whole() {
    let long = format!("{{\"name\":\"long\"{}\n", "x".repeat(EVENT_BYTES * 3));
    let text = format!("{{\"a\":1}}\n{long}{{\"b\":2}}\n");
    for size in [1 << 16, 1 << 20, text.len()] {
        let frames: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let (read, told) = read(&frames, Sort::Watch);
        let read = read.unwrap();
        let lines: Vec<&[u8]> = read.split(|byte| *byte == b'\n').collect();
        assert_eq!((lines[0], lines[2], lines.len()), (&b"{\"a\":1}"[..], &b"{\"b\":2}"[..], 4));
        assert_eq!(lines[1].len(), EVENT_BYTES + 1);
        let error = serde_json::from_slice::<serde_json::Value>(lines[1]).unwrap_err();
        assert!(!error.is_eof(), "it would be taken for a line that broke off: {error}");
        assert!(told[0].starts_with("{\"name\":\"long\"") && told[0].len() == SHOWN);
        assert_eq!(told[1..], ["end"]);
    }
}

#[test]
fn a_watch_has_no_length() {
    let frame = b"{\"type\":\"BOOKMARK\"}\n".repeat(1 << 16);
    let frames: Vec<&[u8]> = vec![&frame; 64];
    let (read, told) = read(&frames, Sort::Watch);
    assert_eq!((read.unwrap().len(), told), (frame.len() * 64, vec!["end".to_owned()]));
}

#[test]
fn other_answers_have() {
    let frame = vec![b'x'; 1 << 20];
    let status = StatusCode::BAD_GATEWAY;
    for (frames, sort, error) in [
        (256, Sort::Whole, None),
        (257, Sort::Whole, Some("its answer has more than the 256 MiB that we read")),
        (
            1,
            Sort::Refusal(status),
            Some("it refuses (502 Bad Gateway) with more than the 64 KiB of reasons that we read"),
        ),
    ] {
        let frames: Vec<&[u8]> = vec![&frame; frames];
        let (read, told) = read(&frames, sort);
        assert_eq!(read.as_ref().err().map(String::as_str), error);
        assert_eq!(told.is_empty(), error.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_ends_ends() {
    struct Never;
    impl Body for Never {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Pending
        }
    }
    let error = Limited::new(Never, Sort::Watch, Told::default()).collect().await.unwrap_err();
    assert_eq!(error.downcast_ref::<Excess>(), Some(&Excess::Time));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However it is cut into frames, what is short passes as it is.
    #[test]
    fn nothing_is_lost_of_short_lines(frames in proptest::collection::vec("[a-c\n]{0,20}", 0..20)) {
        let frames: Vec<&[u8]> = frames.iter().map(|frame| frame.as_bytes()).collect();
        let (read, _) = read(&frames, Sort::Watch);
        prop_assert_eq!(read.unwrap(), frames.concat());
    }
}
