//! Clients that may not, cannot, or do not want to do it right. The server outlives them all.

use super::client::{PATIENCE, PRESET, Program, Reply, long_preset, picture};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// Runs a job to its end: the server is well.
fn assert_well(server: &Program) {
    let job = server.submit(PRESET);
    server.wait_for(&job, "done");
}

#[test]
fn only_the_token_opens_a_server_that_others_reach() {
    // Made up and printed where none is given.
    let server = Program::start(&["--listen", "0.0.0.0"]);
    let token = server.said[3].strip_prefix("Token: ").unwrap();
    assert_eq!(token.len(), 32);
    let right = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(server.ask("GET", "/api/info", &right).status, 200);
    let none = server.get("/api/info");
    none.assert_refused(401, "needs its token");
    assert!(
        none.head.contains("www-authenticate: bearer"),
        "{}",
        none.head
    );
    for path in ["/", "/healthz"] {
        assert_eq!(server.get(path).status, 200);
    }
    drop(server);

    let server = Program::start_with(
        &[
            "--listen",
            "0.0.0.0",
            "--allow-origin",
            "https://pages.example.org",
        ],
        &[("DRAGENTITY_TOKEN", "s3cret-s3cret")],
    );
    let wrong = "Authorization: Bearer s3cret\r\n";
    server
        .ask("GET", "/api/info", wrong)
        .assert_refused(401, "not the one");
    server
        .send(&server.job_request(&picture(), PRESET.as_bytes(), wrong))
        .assert_refused(401, "not the one");
    let right = "Authorization: Bearer s3cret-s3cret\r\n";
    let taken = server.send(&server.job_request(&picture(), PRESET.as_bytes(), right));
    assert_eq!(taken.status, 202);
    let job = format!("/api/jobs/{}", taken.json()["id"].as_str().unwrap());
    server
        .get(&format!("{job}/events"))
        .assert_refused(401, "token");
    server.ask("DELETE", &job, "").assert_refused(401, "token");

    // A page from elsewhere asks first, and reads the answers, if it is allowed to.
    let asks =
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
    let friend = "Origin: https://pages.example.org\r\n";
    let allowed = server.ask("OPTIONS", "/api/jobs", &format!("{friend}{asks}"));
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    assert!(
        allowed
            .head
            .contains("access-control-allow-origin: https://pages.example.org")
    );
    assert!(
        allowed
            .head
            .contains("access-control-allow-headers: authorization")
    );
    let read = server.ask("GET", "/api/info", &format!("{friend}{right}"));
    assert!(
        read.status == 200
            && read
                .head
                .contains("access-control-allow-origin: https://pages.example.org")
    );
    // It may also read why it is refused.
    let refused = server.ask("GET", "/api/info", &format!("{friend}{wrong}"));
    refused.assert_refused(401, "not the one");
    assert!(
        refused
            .head
            .contains("access-control-allow-origin: https://pages.example.org"),
        "{}",
        refused.head
    );
    for method in ["OPTIONS", "GET", "POST", "DELETE"] {
        let stranger = "Origin: https://evil.example\r\n";
        let refused = server.ask(method, "/api/jobs", &format!("{stranger}{asks}{right}"));
        refused.assert_refused(403, "may not use this server");
        assert!(
            !refused.head.contains("access-control-allow"),
            "{}",
            refused.head
        );
    }
}

#[test]
fn on_this_machine_other_names_and_pages_are_refused() {
    let server = Program::start(&[]);
    server
        .ask("GET", "/api/info", "Host: evil.example\r\n")
        .assert_refused(421, "evil.example");
    server
        .ask("GET", "/api/info", "Origin: http://evil.example\r\n")
        .assert_refused(403, "evil.example");
    let other = format!("Origin: http://127.0.0.1:{}\r\n", server.address.port() ^ 1);
    server
        .ask("GET", "/api/info", &other)
        .assert_refused(403, "may not");
    let own = format!("Origin: http://{}\r\n", server.address);
    assert_eq!(server.ask("GET", "/api/info", &own).status, 200);
    // Two names are one too many, for the page, too: whoever stands in front may have looked at the other.
    let twice = format!("Host: {}\r\nHost: evil.example\r\n", server.address);
    for path in ["/", "/api/info", "/healthz"] {
        assert_eq!(server.ask("GET", path, &twice).status, 400, "{path}");
    }
    let head = server.get("/").head;
    assert!(
        head.contains("frame-ancestors 'none'") && head.contains("x-frame-options: deny"),
        "{head}"
    );
    // Nothing is asked of who wants the page only.
    assert_eq!(server.ask("GET", "/", "Host: anything\r\n").status, 200);
}

#[test]
fn unusable_jobs_are_refused_in_words() {
    let server = Program::start(&[]);
    let good = picture();
    let refused = |picture: &[u8], preset: &str, status, words: &str| {
        server
            .send(&server.job_request(picture, preset.as_bytes(), ""))
            .assert_refused(status, words);
    };
    refused(b"Dear cat,", PRESET, 400, "a.png: is text");
    refused(b"", PRESET, 400, "is empty");
    refused(&good[..good.len() / 2], PRESET, 400, "a.png");
    refused(&good, "", 400, "preset: it is empty");
    refused(&good, "{}", 400, "preset: ");
    refused(&good, &PRESET[..80], 400, "cut short");
    refused(
        &good,
        &PRESET.replace("\"frames\": 4", "\"frames\": 122"),
        400,
        "2 to 121",
    );
    refused(
        &good,
        &PRESET.replace("\"width\": 60", "\"width\": 600"),
        400,
        "another shape",
    );
    let deep = format!("{{\"dragentity\": 1, \"entities\": {}", "[".repeat(100_000));
    refused(&good, &deep, 400, "preset: ");

    let post = |body: &str| server.send(&server.post(body.as_bytes(), ""));
    post("").assert_refused(400, "multipart");
    post("no parts here").assert_refused(400, "multipart");
    post("--edge\r\nContent-Disposition: form-data; name=\"film\"\r\n\r\n1\r\n--edge--\r\n")
        .assert_refused(400, "\"film\"");
    let preset = "--edge\r\nContent-Disposition: form-data; name=\"preset\"\r\n\r\n1\r\n";
    post(&format!("{preset}{preset}--edge--\r\n")).assert_refused(400, "twice");
    post(&format!("{preset}--edge--\r\n")).assert_refused(400, "no part \"picture\"");
    // Cut off in the middle of a part that was to be longer.
    post(preset).assert_refused(400, "multipart");
    let form = format!(
        "Host: {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
        server.address
    );
    server
        .send(format!("POST /api/jobs HTTP/1.0\r\n{form}\r\n{{}}").as_bytes())
        .assert_refused(400, "multipart/form-data");

    server
        .get("/api/jobs/0123456789abcdef0123456789abcdef")
        .assert_refused(404, "no such job");
    server
        .get("/api/nothing")
        .assert_refused(404, "nothing here");
    server
        .ask("PUT", "/api/jobs", "")
        .assert_refused(405, "not in this way");
    for path in [
        "/api/jobs/../../secret.txt",
        "/api/jobs/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/api/jobs/..%2f..%2fsecret.txt/video.mp4",
        "/api/jobs/a/frames/..%2f..%2f..%2fsecret.txt",
        "/api/../secret.txt",
        "/../secret.txt",
    ] {
        let reply = server.get(path);
        assert!(reply.status >= 400, "{path}: {}", reply.text());
        assert!(
            !reply.text().contains("secret\n") && reply.body != b"secret",
            "{path}"
        );
    }
    assert_well(&server);
}

#[test]
fn clients_that_send_too_much_are_stopped() {
    let server = Program::start(&[]);
    // One that says so is not listened to.
    let head = format!(
        "POST /api/jobs HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=edge\r\n",
        server.address
    );
    let claims = format!("{head}Connection: close\r\nContent-Length: 10000000000\r\n\r\n");
    server.send(claims.as_bytes()).assert_refused(413, "64 MB");

    // One that does not is cut off. It may be told so only after it was.
    let mut stream = server.connect();
    write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n").unwrap();
    let part = "--edge\r\nContent-Disposition: form-data; name=\"picture\"\r\n\r\n";
    write!(stream, "{:x}\r\n{part}\r\n", part.len()).unwrap();
    let piece = [&b"100000\r\n"[..], &vec![b'x'; 1 << 20], b"\r\n"].concat();
    let sent = (0..200)
        .take_while(|_| stream.write_all(&piece).is_ok())
        .count();
    assert!((60..100).contains(&sent), "{sent} MB were taken");
    let reply = Reply::read(stream);
    assert!([0, 413].contains(&reply.status), "{}", reply.text());
    assert_well(&server);
}

#[test]
fn clients_that_go_away_leave_the_server_well() {
    let server = Program::start(&["--queue", "4"]);
    // In the middle of an upload.
    let request = server.job_request(&picture(), PRESET.as_bytes(), "");
    for part in [10, 60, request.len() / 2, request.len() - 1] {
        let mut stream = server.connect();
        stream.write_all(&request[..part]).unwrap();
    }
    // Before the answer, with the whole job sent: it may be taken or not.
    drop(server.connect().write_all(&request));
    // In the middle of the events: the job goes on.
    let job = server.submit(&PRESET.replace("\"steps\": 2", "\"steps\": 20"));
    let mut events = server.events(&job, "");
    assert!(events.next().is_some());
    drop(events);
    server.wait_for(&job, "done");
    // In the middle of the video.
    let mut stream = server.connect();
    let host = server.address;
    write!(
        stream,
        "GET {job}/video.rgb HTTP/1.1\r\nHost: {host}\r\n\r\n"
    )
    .unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).unwrap();
    drop(stream);
    // What is no request at all.
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        &[0; 200],
    ] {
        assert!([0, 400, 505].contains(&server.send(nonsense).status));
    }
    let long = format!(
        "GET /api/info HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    assert!([0, 431].contains(&server.send(long.as_bytes()).status));
    assert_well(&server);
}

#[test]
fn a_client_that_never_finishes_its_request_is_left() {
    let server = Program::start(&[]);
    let mut slow = server.connect();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(slow, "GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
    // A letter now and then does not keep it open.
    let mut letters = slow.try_clone().unwrap();
    let writes = std::thread::spawn(move || {
        while letters.write_all(b"X").is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    drop(slow);
    writes.join().unwrap();
}

#[test]
fn clients_that_read_nothing_keep_nobody_out() {
    let server = Program::start(&[]);
    let job = server.submit(&long_preset());
    server.wait_for(&job, "step");
    // Uploads that never end, a byte now and then.
    let request = server.job_request(&picture(), PRESET.as_bytes(), "");
    let mut uploads: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for upload in &mut uploads {
        upload.write_all(&request[..request.len() / 2]).unwrap();
    }
    // As many as there are connections, each at the events of a job that goes on for long.
    let silent: Vec<_> = (0..256).map(|_| server.events(&job, "")).collect();
    for _ in 0..5 {
        uploads.retain_mut(|upload| upload.write_all(b"-").is_ok());
        let mut stream = server.connect();
        // As monitors wait.
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        write!(
            stream,
            "GET /healthz HTTP/1.0\r\nHost: {}\r\n\r\n",
            server.address
        )
        .unwrap();
        assert_eq!(Reply::read(stream).status, 200);
    }
    drop((silent, uploads));
    assert_eq!(server.ask("DELETE", &job, "").status, 204);
    assert_well(&server);
}

#[test]
fn uploads_that_only_dribble_make_room() {
    let server = Program::start(&[]);
    let request = server.job_request(&picture(), PRESET.as_bytes(), "");
    let mut slow: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(&request[..request.len() / 2]).unwrap();
    }
    // A byte now and then, for as long as the server takes them.
    let rest = request[request.len() / 2..].to_vec();
    let dribble = std::thread::spawn(move || {
        for byte in rest {
            std::thread::sleep(Duration::from_millis(500));
            slow.retain_mut(|stream| stream.write_all(&[byte]).is_ok());
            if slow.is_empty() {
                return;
            }
        }
    });
    let until = Instant::now() + PATIENCE / 4;
    loop {
        let reply = server.send(&request);
        match reply.status {
            202 => break,
            // Far from what all of the bytes would take.
            429 if Instant::now() < until => std::thread::sleep(Duration::from_secs(1)),
            other => panic!("{other}: {}", reply.text()),
        }
    }
    drop(server);
    dribble.join().unwrap();
}

#[test]
fn damaged_requests_are_refused_or_run() {
    let server = Program::start(&["--queue", "100"]);
    let good = server.job_request(&picture(), PRESET.as_bytes(), "");
    let head = good.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut taken = 0;
    for round in 0..150 {
        let mut body = good[head..].to_vec();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..body.len());
            match rng.random_range(0..4) {
                0 => body[at] = rng.random(),
                1 => body[at] ^= 1 << rng.random_range(0..8),
                2 => drop(body.drain(at..(at + rng.random_range(1..40)).min(body.len()))),
                _ => body.extend_from_within(at..(at + 40).min(body.len())),
            }
            body.push(b'-');
        }
        let reply = server.send(&server.post(&body, ""));
        match reply.status {
            202 => taken += 1,
            400 => assert!(reply.json()["error"].is_string()),
            other => panic!("round {round}: {other} {}", reply.text()),
        }
    }
    assert!(taken < 140, "{taken} of 150 were taken");
    assert_eq!(server.get("/healthz").status, 200);
}
