//! The program as a server, and a client that can misbehave.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longer than anything takes here, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A preset for [`picture`] with one entity.
pub const PRESET: &str = r#"{"dragentity": 1, "picture": {"width": 60, "height": 40},
    "entities": [{"name": "box", "mask": {"width": 6, "height": 4, "runs": [7, 2, 4, 2, 9]},
                  "trajectory": [[0.3, 0.4, 0], [0.7, 0.5, 1]]}],
    "settings": {"frames": 4, "steps": 2, "fps": 8}}"#;

/// A job that takes as long as anybody wants: it is there to be cancelled.
pub fn long_preset() -> String {
    PRESET.replace(
        r#""frames": 4, "steps": 2"#,
        r#""frames": 64, "steps": 200"#,
    )
}

/// A small PNG.
pub fn picture() -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(60, 40, |x, y| image::Rgb([x as u8 * 4, y as u8 * 6, 90]))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    png.into_inner()
}

/// A model that is small, and a page that is none.
fn desk() -> &'static PathBuf {
    static DESK: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = DESK.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        dragentity_testkit::tiny::tiny_model(&dir.path().join("tiny")).unwrap();
        dragentity_testkit::tiny::tiny_sam(&dir.path().join("sam.safetensors")).unwrap();
        std::fs::create_dir(dir.path().join("dist")).unwrap();
        std::fs::write(dir.path().join("dist/index.html"), "<head>page").unwrap();
        std::fs::write(dir.path().join("secret.txt"), "secret").unwrap();
        let path = dir.path().to_path_buf();
        (dir, path)
    });
    path
}

/// A body of these parts.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let file = match *name {
            "picture" => "; filename=\"a.png\"",
            _ => "",
        };
        let head =
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    body
}

/// `dragentity serve` on any port, ended with the guard.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    pub said: Vec<String>,
}

impl Program {
    /// Started with these arguments besides.
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// Started with these arguments and variables.
    pub fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let unless_given = |name: &'static str, value: &'static str| {
            let given = args.contains(&name);
            (!given).then_some([name, value]).into_iter().flatten()
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_dragentity"))
            .current_dir(desk())
            .env_remove("DRAGENTITY_TOKEN")
            .envs(variables.iter().copied())
            .args(["serve", "--port", "0"])
            .args(unless_given("--model", "tiny"))
            .args(unless_given("--device", "cpu"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("it says where it is").unwrap();
        let address = first.split("http://").nth(1).unwrap();
        let address: SocketAddr = address.split('/').next().unwrap().parse().unwrap();
        let mut said = vec![first];
        // What runs jobs and what makes masks, and the token where there is one.
        let more = if address.ip().is_loopback() && !args.contains(&"--token") {
            2
        } else {
            3
        };
        said.extend(lines.take(more).map(Result::unwrap));
        // Wherever it listens, it is asked here.
        let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
        Self {
            child,
            address,
            said,
        }
    }

    /// Its number among the machine's processes.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// As Ctrl-C, or what stops services, does.
    pub fn ask_to_stop(&self) {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(asked.unwrap().success());
    }

    /// Waits until it has ended. What it said on standard error, and how it ended.
    pub fn ended(mut self) -> (String, Option<i32>) {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > until => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (said, status.code())
    }

    /// The head of a request. HTTP/1.0, so that answers end with the connection and come in one piece.
    fn head(&self, method: &str, path: &str, headers: &str) -> String {
        let host = match headers.to_lowercase().contains("host:") {
            true => String::new(),
            false => format!("Host: {}\r\n", self.address),
        };
        format!("{method} {path} HTTP/1.0\r\n{host}{headers}")
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends `bytes` as they are. The server may close before it has read them all.
    pub fn send(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        Reply::read(stream)
    }

    /// One request without a body.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> Reply {
        self.send(format!("{}\r\n", self.head(method, path, headers)).as_bytes())
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "")
    }

    /// The whole request for a job.
    pub fn job_request(&self, picture: &[u8], preset: &[u8], headers: &str) -> Vec<u8> {
        self.post(&form(&[("picture", picture), ("preset", preset)]), headers)
    }

    /// Asks for the mask of clicks.
    pub fn mask(&self, parts: &[(&str, &[u8])]) -> Reply {
        self.send(&self.post_to("/api/masks", &form(parts), ""))
    }

    /// A request for a job with any body.
    pub fn post(&self, body: &[u8], headers: &str) -> Vec<u8> {
        self.post_to("/api/jobs", body, headers)
    }

    fn post_to(&self, path: &str, body: &[u8], headers: &str) -> Vec<u8> {
        let kind = "Content-Type: multipart/form-data; boundary=edge\r\n";
        let length = format!("Content-Length: {}\r\n", body.len());
        let head = self.head("POST", path, &format!("{kind}{length}{headers}"));
        [head.as_bytes(), b"\r\n", body].concat()
    }

    /// Sends a job that is taken, and returns its path.
    pub fn submit(&self, preset: &str) -> String {
        let reply = self.send(&self.job_request(&picture(), preset.as_bytes(), ""));
        assert_eq!(reply.status, 202, "{}", reply.text());
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        let path = format!("/api/jobs/{id}");
        assert!(reply.head.contains(&format!("location: {path}")));
        path
    }

    /// Opens the events of a job.
    pub fn events(&self, job: &str, headers: &str) -> Events {
        let mut stream = self.connect();
        let head = self.head("GET", &format!("{job}/events"), headers);
        write!(stream, "{head}\r\n").unwrap();
        Events {
            lines: BufReader::new(stream).lines(),
        }
    }

    /// Waits for news of this phase, and returns it.
    pub fn wait_for(&self, job: &str, phase: &str) -> Value {
        let mut seen = Vec::new();
        for (_, news) in self.events(job, "") {
            if news["phase"] == phase {
                return news;
            }
            seen.push(news);
        }
        panic!("no {phase:?} in {seen:?}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server answered; status 0 when it closed the connection without a word.
pub struct Reply {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn read(mut stream: TcpStream) -> Self {
        let mut all = Vec::new();
        // What came before a reset counts.
        let mut piece = [0; 1 << 16];
        while let Ok(n) = stream.read(&mut piece)
            && n > 0
        {
            all.extend_from_slice(&piece[..n]);
        }
        let end = all.windows(4).position(|w| w == b"\r\n\r\n");
        let (head, body) = all.split_at(end.unwrap_or(all.len()));
        let head = String::from_utf8_lossy(head).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head,
            body: body.get(4..).unwrap_or_default().to_vec(),
        }
    }

    pub fn text(&self) -> String {
        format!("{}\n\n{}", self.head, String::from_utf8_lossy(&self.body))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// That it was refused with this status, in a sentence with these words.
    pub fn assert_refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        let json = self.json();
        let why = json["error"].as_str().unwrap();
        assert!(why.contains(words), "{words:?} is not in {why:?}");
    }
}

/// The events of a job: their numbers and their news.
pub struct Events {
    lines: std::io::Lines<BufReader<TcpStream>>,
}

impl Iterator for Events {
    type Item = (u64, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let mut number = 0;
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some(id) = line.strip_prefix("id: ") {
                number = id.parse().unwrap();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((number, serde_json::from_str(data).unwrap()));
            }
        }
    }
}
