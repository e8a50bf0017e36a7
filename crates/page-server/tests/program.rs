//! The program that serves the page alone, as a person would call it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running program; ended with the test.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dragentity-page"))
            .args(["--port", "0", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .0
            .to_owned();
        Self { child, address }
    }

    /// The whole answer to a request.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        all
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_is_served_and_not_told_of_jobs() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("index.html"), "<html><head>page").unwrap();
    let server = Served::start(dir.path());
    let page = server.get("/");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.ends_with("<html><head>page"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'self'"));
    // A page may use threads only where it is isolated from others.
    assert!(page.contains("cross-origin-embedder-policy: require-corp"));
    let jobs = server.get("/api/jobs");
    assert!(jobs.starts_with("HTTP/1.1 404"), "{jobs}");
    assert!(server.get("/healthz").contains("ok"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("index.html"), "page").unwrap();
    let mut server = Served::start(dir.path());
    let id = server.child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn no_page_and_an_address_of_others_are_sentences() {
    let dir = tempfile::tempdir().unwrap();
    let said = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dragentity-page"))
            .args(args)
            .arg("--dir")
            .arg(dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let (code, words) = said(&["--port", "0"]);
    assert!(
        code == Some(3) && words.contains("no built page"),
        "{words}"
    );
    std::fs::write(dir.path().join("index.html"), "page").unwrap();
    let (code, words) = said(&["--port", "0", "--listen", "192.0.2.1"]);
    assert!(code == Some(3) && words.contains("--listen"), "{words}");
}
