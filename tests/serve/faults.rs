//! A disk that gives errors under the page's files: whoever asks hears of it, and the next request is answered as if nothing had been.

use super::client::{PATIENCE, Program};
use dragentity_testkit::faults::{Fault, READS, can_be_injected};
use std::time::{Duration, Instant};

/// After this long all threads that there are would have been traced.
const AGAIN: Duration = Duration::from_secs(10);

#[test]
fn files_that_cannot_be_read_break_one_answer_and_no_more() {
    if !can_be_injected() {
        return;
    }
    let page = tempfile::tempdir().unwrap();
    let path = |name: &str| page.path().join(name);
    std::fs::write(path("index.html"), "<head>page").unwrap();
    let weights = vec![7; 1 << 20];
    std::fs::write(path("weights.bin"), &weights).unwrap();
    let server = Program::start(&["--dir", page.path().to_str().unwrap()]);
    for (name, url) in [("index.html", "/"), ("weights.bin", "/weights.bin")] {
        let before = server.get(url);
        assert_eq!(before.status, 200, "{}", before.text());
        let path = path(name);
        let fault = Fault {
            calls: READS,
            error: "EIO",
            path: path.to_str().unwrap(),
        };
        let Some(mut attached) = fault.attach("1+", server.process()) else {
            return;
        };
        // All threads are traced a moment after the first one is; one that begins in that moment may never be.
        let until = Instant::now() + PATIENCE;
        let mut again = Instant::now() + AGAIN;
        let broken = loop {
            let reply = server.get(url);
            if reply.body != before.body {
                break reply;
            }
            assert!(Instant::now() < until, "{name} is read all the same");
            if Instant::now() > again {
                drop(attached);
                let Some(anew) = fault.attach("1+", server.process()) else {
                    return;
                };
                attached = anew;
                again = Instant::now() + AGAIN;
            }
        };
        // Of a file that is sent piece by piece the head may be gone already: then what was promised does not come.
        let promised = format!("content-length: {}", before.body.len());
        match broken.status {
            0 => assert!(broken.body.is_empty(), "{}", broken.text()),
            200 => assert!(
                broken.head.contains(&promised) && broken.body.len() < before.body.len(),
                "{name}: {} bytes, {}",
                broken.body.len(),
                broken.head
            ),
            500 => assert!(broken.text().contains(name), "{}", broken.text()),
            _ => panic!("{}", broken.text()),
        }
        let healthy = server.get("/healthz");
        assert_eq!(healthy.json()["status"], "ok");
        drop(attached);
        let after = server.get(url);
        assert!(after.body == before.body, "{name}: {}", after.head);
    }
}
