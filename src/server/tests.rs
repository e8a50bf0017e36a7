//! The page as a browser gets it.

use super::*;
use std::io::{Read, Write};
use std::path::Path;

/// As in the page.
const PAGE_POLICY: &str = "default-src 'self'; connect-src 'self'; object-src 'none'";

/// A server on any port, without devices.
fn options(dir: &Path) -> Options {
    Options {
        dir: dir.to_path_buf(),
        address: "127.0.0.1:0".parse().unwrap(),
        devices: Vec::new(),
        model: dragentity_pipeline::model::ModelOptions::new("no/such/model"),
        queue: 2,
        token: None,
        allow_origins: Vec::new(),
        connect: Vec::new(),
    }
}

/// A page of three files, served until the guard goes.
struct Served {
    _dir: tempfile::TempDir,
    address: SocketAddr,
    stop: watch::Sender<u32>,
    thread: Option<std::thread::JoinHandle<Result<()>>>,
}

impl Served {
    fn start() -> Self {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret.txt"), "secret").unwrap();
        let dir = outer.path().join("dist");
        std::fs::create_dir_all(dir.join("models/mini")).unwrap();
        std::fs::write(
            dir.join("index.html"),
            format!(
                "<html><head><meta content=\"{}\">{}",
                PAGE_POLICY,
                " ".repeat(5000)
            ),
        )
        .unwrap();
        std::fs::write(dir.join("page_bg.wasm"), vec![0u8; 100_000]).unwrap();
        std::fs::write(dir.join("models/mini/a.safetensors"), vec![7u8; 50_000]).unwrap();
        let server = Server::bind(Options {
            connect: vec!["http://gpu.lan:8080".into()],
            ..options(&dir)
        })
        .unwrap();
        let address = server.address();
        let (stop, stops) = watch::channel(0);
        let thread = std::thread::spawn(move || server.run(stops, &mut |_| {}));
        Self {
            _dir: outer,
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// Status line and headers in lower case, and the body, of one request.
    fn get(&self, path: &str, headers: &str) -> (String, Vec<u8>) {
        self.ask("GET", path, headers)
    }

    /// The same of any request without a body.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.address
        )
        .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        (
            String::from_utf8(all[..end].to_vec())
                .unwrap()
                .to_lowercase(),
            all[end + 4..].to_vec(),
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.stop.send(1);
        assert!(self.thread.take().unwrap().join().unwrap().is_ok());
    }
}

#[test]
fn files_come_with_type_compression_and_validators() {
    let page = Served::start();
    let (head, body) = page.get("/", "");
    assert!(
        head.starts_with("http/1.1 200") && head.contains("text/html"),
        "{head}"
    );
    assert!(head.contains("content-security-policy: default-src 'self'"));
    // It says that jobs can be sent here, and where else.
    let html = String::from_utf8(body).unwrap();
    assert!(
        html.starts_with("<html><head>\n  <meta name=\"dragentity-jobs\" content=\"api\"><meta"),
        "{html}"
    );
    let both = "connect-src 'self' http://gpu.lan:8080";
    assert!(html.contains(&format!("{both};")), "{html}");
    assert!(head.contains(both), "{head}");

    let (head, body) = page.get("/page_bg.wasm", "Accept-Encoding: gzip, br\r\n");
    assert!(head.contains("content-type: application/wasm"), "{head}");
    assert!(head.contains("content-encoding: "), "{head}");
    assert!(body.len() < 5000, "{} bytes", body.len());

    // Weights keep their length, and can be fetched in parts.
    let (head, body) = page.get(
        "/models/mini/a.safetensors",
        "Accept-Encoding: gzip, br\r\n",
    );
    assert!(
        head.contains("content-length: 50000") && !head.contains("content-encoding"),
        "{head}"
    );
    assert_eq!(body.len(), 50_000);
    let (head, body) = page.get("/models/mini/a.safetensors", "Range: bytes=8-15\r\n");
    assert!(head.starts_with("http/1.1 206") && body == [7; 8], "{head}");
}

#[test]
fn known_files_are_not_sent_again() {
    let page = Served::start();
    let mut stream = std::net::TcpStream::connect(page.address).unwrap();
    write!(
        stream,
        "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    let tag = head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap();
    let (head, body) = page.get("/", &format!("If-None-Match: {tag}\r\n"));
    assert!(
        head.starts_with("http/1.1 304") && body.is_empty(),
        "{head}"
    );
    let (head, _) = page.get("/", &format!("If-None-Match: \"a\", {tag}\r\n"));
    assert!(head.starts_with("http/1.1 304"), "{head}");
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let page = Served::start();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/models/../../secret.txt",
        "//secret.txt",
        "/nothing.js",
    ] {
        let (head, body) = page.get(path, "");
        assert!(!head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(!body.windows(6).any(|w| w == b"secret"), "{path}");
    }
}

#[test]
fn a_missing_page_and_a_taken_port_are_named() {
    let empty = tempfile::tempdir().unwrap();
    let said = |options| Server::bind(options).err().unwrap().to_string();
    let why = said(options(empty.path()));
    assert!(
        why.contains("no built page") && why.contains("./serve"),
        "{why}"
    );
    let page = Served::start();
    let dir = page._dir.path().join("dist");
    let why = said(Options {
        address: page.address,
        ..options(&dir)
    });
    assert!(why.contains("in use") && why.contains("--port"), "{why}");
    let why = said(Options {
        address: "0.0.0.0:0".parse().unwrap(),
        ..options(&dir)
    });
    assert!(why.contains("--token"), "{why}");
    let why = said(Options {
        connect: vec!["nowhere".into()],
        ..options(&dir)
    });
    assert!(why.contains("no origin"), "{why}");
    std::fs::write(dir.join("index.html"), "<head>").unwrap();
    let why = said(Options {
        connect: vec!["http://gpu.lan".into()],
        ..options(&dir)
    });
    assert!(why.contains("build it again"), "{why}");
}

#[test]
fn a_page_that_was_built_again_is_served_as_it_is_now() {
    let page = Served::start();
    let (head, _) = page.get("/index.html", "");
    let tag = |head: &str| {
        head.lines()
            .find_map(|l| l.strip_prefix("etag: ").map(str::to_owned))
    };
    let before = tag(&head).unwrap();
    std::fs::write(page._dir.path().join("dist/index.html"), "<head>new").unwrap();
    let (head, body) = page.get("/", &format!("If-None-Match: {before}\r\n"));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(body.ends_with(b"new") && tag(&head).unwrap() != before);
}

/// What the server says of its routes: path and methods.
fn described(served: &Served) -> Vec<(String, Vec<String>)> {
    let (head, body) = served.get("/api/openapi.json", "");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let description: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(description["servers"][0]["url"], "/api");
    let paths = description["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &serde_json::Value)| {
        let methods = methods.as_object().unwrap().keys();
        (path.clone(), methods.map(|m| m.to_uppercase()).collect())
    };
    paths.iter().map(of).collect()
}

#[test]
fn what_is_described_answers_and_nothing_else_does() {
    let served = Served::start();
    let described = described(&served);
    for (path, methods) in &described {
        let path = path.replace("{id}", "none").replace("{frame}", "0.png");
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let (head, body) = served.ask(method, &format!("/api{path}"), "");
            let body = String::from_utf8_lossy(&body);
            assert!(!body.contains("nothing here"), "{method} {path}: {body}");
            let refused = body.contains("not in this way");
            let known = methods.iter().any(|known| known == method);
            assert_eq!(refused, !known, "{method} {path}: {head}");
        }
    }
    let (_, body) = served.ask("GET", "/api/nothing", "");
    assert!(String::from_utf8_lossy(&body).contains("nothing here"));
}

#[test]
fn the_book_lists_the_routes_that_are_described() {
    let described = described(&Served::start());
    let book = include_str!("../../docs/src/server.md");
    let listed = book.lines().filter(|line| line.starts_with("| `"));
    let listed: Vec<&str> = listed.filter(|line| line.contains("/api/")).collect();
    let listed = listed.join("\n");
    for (path, methods) in &described {
        // Files of one job share a line.
        let path = path.replace("/frames/{frame}", "/{k}.png");
        let (folder, file) = path.rsplit_once('/').unwrap();
        for method in methods {
            let named = |line: &&str| {
                line.contains(&format!("`{method} /api{folder}")) && line.contains(file)
            };
            assert!(listed.lines().any(|line| named(&line)), "{method} {path}");
        }
    }
}
