//! `dragentity serve` as programs and pages use it: through a socket, with a very small model.
#![cfg(not(target_family = "wasm"))]

#[path = "serve/client.rs"]
mod client;
#[path = "serve/comfyui.rs"]
mod comfyui;
#[cfg(target_os = "linux")]
#[path = "serve/faults.rs"]
mod faults;
#[path = "serve/hostile_clients.rs"]
mod hostile_clients;

use client::{PRESET, Program, Reply, form, long_preset, picture};
use serde_json::Value;

#[test]
fn a_job_runs_to_its_video() {
    let server = Program::start(&[]);
    assert!(server.said[1].contains("tiny on CPU"), "{:?}", server.said);
    let info = server.get("/api/info").json();
    assert_eq!(info["model"]["name"], "tiny");
    assert!(info["devices"][0].as_str().unwrap().contains("CPU"));
    assert_eq!(info["limits"]["bytes"], 64 << 20);
    for path in ["/healthz", "/api/healthz"] {
        assert_eq!(server.get(path).json()["status"], "ok");
    }

    let job = server.submit(PRESET);
    let news: Vec<(u64, Value)> = server.events(&job, "").collect();
    assert!(news.windows(2).all(|w| w[0].0 < w[1].0), "{news:?}");
    let phase = |i: usize| news[i].1["phase"].as_str().unwrap();
    let first = |name: &str| {
        (0..news.len())
            .find(|&i| phase(i) == name)
            .unwrap_or_else(|| panic!("no {name:?} in {news:?}"))
    };
    // How many of each there are depends on who is faster; their order does not.
    let order = ["plan", "encoding", "preview", "step", "decoding", "done"];
    let places: Vec<usize> = order.iter().map(|name| first(name)).collect();
    assert!(
        places[0] < places[1] && places[1] < places[3] && places[3] < places[4],
        "{news:?}"
    );
    assert_eq!(
        places[5],
        news.len() - 1,
        "nothing comes after the end: {news:?}"
    );
    let done = &news[places[5]].1;
    let side = |name: &str| done[name].as_u64().unwrap() as usize;
    let (width, height, frames) = (side("width"), side("height"), side("frames"));
    assert_eq!((frames, side("fps")), (4, 8));

    // The frames as they are, and each as a PNG.
    let raw = server.get(&format!("{job}/video.rgb"));
    assert_eq!(raw.status, 200);
    assert_eq!(raw.body.len(), width * height * 3 * frames);
    assert!(
        raw.head
            .contains(&format!("content-length: {}", raw.body.len()))
    );
    for (k, frame) in raw.body.chunks_exact(width * height * 3).enumerate() {
        let png = server.get(&format!("{job}/frames/{k}.png"));
        let png = image::load_from_memory(&png.body).unwrap().into_rgb8();
        assert_eq!(png.dimensions(), (width as u32, height as u32));
        assert!(png.as_raw() == frame, "frame {k}");
    }
    assert!(
        raw.body.iter().any(|b| *b != raw.body[0]),
        "one colour only"
    );

    // As films.
    let mp4 = server.get(&format!("{job}/video.mp4"));
    assert!(mp4.head.contains("content-type: video/mp4"), "{}", mp4.head);
    let film = re_mp4::Mp4::read_bytes(&mp4.body).unwrap();
    assert_eq!(film.tracks().values().next().unwrap().samples.len(), 4);
    let gif = server.get(&format!("{job}/video.gif"));
    assert!(gif.body.starts_with(b"GIF89a"));

    // Who comes late hears how it ended, who has heard it hears nothing.
    let late: Vec<_> = server.events(&job, "").collect();
    assert_eq!(late.last().unwrap(), news.last().unwrap());
    let number = news.last().unwrap().0;
    let again = server.events(&job, &format!("Last-Event-ID: {number}\r\n"));
    assert_eq!(again.count(), 0);
    let state = server.get(&job).json();
    assert_eq!(
        &state["news"].as_array().unwrap().last().unwrap()["phase"],
        "done"
    );

    // The same job gives the same frames, now without loading.
    let second = server.submit(PRESET);
    server.wait_for(&second, "done");
    assert!(server.get(&format!("{second}/video.rgb")).body == raw.body);

    // Who does not want it any more says so.
    assert_eq!(server.ask("DELETE", &job, "").status, 204);
    server.get(&job).assert_refused(404, "no such job");
}

#[test]
fn what_other_models_would_follow_comes_with_a_job_that_asks_for_it() {
    let server = Program::start(&[]);
    let plain = server.submit(PRESET);
    server.wait_for(&plain, "done");
    let path = format!("{plain}/reference.rgb");
    server.get(&path).assert_refused(404, "without the part");
    let picture = picture();
    let parts = |reference| {
        [
            ("picture", picture.as_slice()),
            ("preset", PRESET.as_bytes()),
            ("reference", reference),
        ]
    };
    let refused = server.send(&server.post(&form(&parts(b"perhaps")), ""));
    refused.assert_refused(400, "true or false");
    let taken = server.send(&server.post(&form(&parts(b"true")), ""));
    assert_eq!(taken.status, 202, "{}", taken.text());
    let job = format!("/api/jobs/{}", taken.json()["id"].as_str().unwrap());
    server.wait_for(&job, "done");
    let [video, frames, masks] = ["video.rgb", "reference.rgb", "reference-masks.gray"]
        .map(|name| server.get(&format!("{job}/{name}")).body);
    assert_eq!(frames.len(), video.len());
    assert_eq!(3 * masks.len(), video.len());
    // Frames between those of the video, of which there are three; what is followed is as it was.
    let smooth = [
        ("picture", picture.as_slice()),
        ("preset", PRESET.as_bytes()),
        ("interpolate", b"3".as_slice()),
    ];
    let refused = server.send(&server.post(&form(&smooth), ""));
    refused.assert_refused(400, "2 or 4");
    let smooth = smooth.map(|(name, part)| match name {
        "interpolate" => (name, b"2".as_slice()),
        _ => (name, part),
    });
    let taken = server.send(&server.post(&form(&smooth), ""));
    let smoother = format!("/api/jobs/{}", taken.json()["id"].as_str().unwrap());
    let done = server.wait_for(&smoother, "done");
    assert_eq!((&done["frames"], &done["fps"]), (&7.into(), &16.into()));
    let frames_of = server.get(&format!("{smoother}/video.rgb")).body;
    assert!(frames_of[..video.len() / 4] == video[..video.len() / 4]);

    // The model made something else of it, which it shares with a job that did not ask.
    assert!(frames != video);
    assert!(server.get(&format!("{plain}/video.rgb")).body == video);
    let (first, last) = (&masks[..masks.len() / 4], &masks[masks.len() * 3 / 4..]);
    assert!(first.iter().all(|&inside| inside == 255));
    assert!(last.contains(&0) && last.contains(&255));
}

#[test]
fn jobs_wait_for_the_device_and_can_be_cancelled() {
    let server = Program::start(&["--queue", "2"]);
    let running = server.submit(&long_preset());
    server.wait_for(&running, "step");
    server
        .get(&format!("{running}/video.mp4"))
        .assert_refused(409, "no video yet");
    let preview = server.get(&format!("{running}/preview.rgb"));
    assert!(preview.status == 200 && !preview.body.is_empty());

    let next = server.submit(PRESET);
    let last = server.submit(&long_preset());
    assert_eq!(server.wait_for(&last, "queued")["ahead"], 1);
    let health = server.get("/healthz").json();
    assert_eq!(
        (&health["queued"], &health["running"]),
        (&2.into(), &1.into())
    );
    let full = server.send(&server.job_request(&picture(), PRESET.as_bytes(), ""));
    full.assert_refused(429, "2 jobs are waiting");
    assert!(full.head.contains("retry-after: "), "{}", full.head);

    // One that waits goes at once, and its stream ends.
    let mut events = server.events(&last, "");
    assert!(events.next().is_some());
    assert_eq!(server.ask("DELETE", &last, "").status, 204);
    assert_eq!(events.last().unwrap().1["phase"], "cancelled");
    // One that runs stops within a step, and the device takes the next.
    assert_eq!(server.ask("DELETE", &running, "").status, 204);
    server.wait_for(&running, "cancelled");
    server.wait_for(&next, "done");
}

#[test]
fn several_devices_run_a_job_each() {
    let server = Program::start(&["--device", "cpu,cpu"]);
    assert_eq!(
        server.get("/api/info").json()["devices"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let jobs = [(); 2].map(|()| server.submit(&long_preset()));
    for job in &jobs {
        server.wait_for(job, "step");
    }
    assert_eq!(server.get("/healthz").json()["running"], 2);
}

#[test]
fn a_server_that_is_to_stop_ends_its_job_and_says_so() {
    let server = Program::start(&[]);
    let running = server.submit(&PRESET.replace(r#""steps": 2"#, r#""steps": 100"#));
    server.wait_for(&running, "step");
    let waiting = server.submit(PRESET);
    let (events, told) = (server.events(&running, ""), server.events(&waiting, ""));
    server.ask_to_stop();
    let told = told.last().unwrap().1;
    assert_eq!(told["phase"], "failed");
    assert!(
        told["error"]
            .as_str()
            .unwrap()
            .contains("server was stopped")
    );
    server.wait_for(&running, "stopping");
    server
        .send(&server.job_request(&picture(), PRESET.as_bytes(), ""))
        .assert_refused(503, "stopping");
    assert_eq!(events.last().unwrap().1["phase"], "done");
    // There is time to take the video, and when it is taken nothing is waited for.
    assert_eq!(server.get(&format!("{running}/video.rgb")).status, 200);
    let (said, code) = server.ended();
    assert!(said.contains("when the running job is done"), "{said}");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_second_signal_cancels_the_job() {
    let server = Program::start(&[]);
    let running = server.submit(&long_preset());
    server.wait_for(&running, "step");
    let events = server.events(&running, "");
    server.ask_to_stop();
    server.wait_for(&running, "stopping");
    server.ask_to_stop();
    assert_eq!(events.last().unwrap().1["phase"], "cancelled");
    let (said, code) = server.ended();
    assert!(said.contains("Cancelling the running job"), "{said}");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_model_that_cannot_be_used_fails_the_job_and_not_the_server() {
    let server = Program::start(&["--model", "nowhere"]);
    assert!(server.said[1].contains("none ("), "{:?}", server.said);
    let info = server.get("/api/info").json();
    assert!(info["model"].is_null());
    assert!(info["why"].as_str().unwrap().contains("nowhere"), "{info}");
    for _ in 0..2 {
        let job = server.submit(PRESET);
        let failed = server.wait_for(&job, "failed");
        assert!(
            failed["error"].as_str().unwrap().contains("nowhere"),
            "{failed}"
        );
    }
    let page: Reply = server.get("/");
    assert_eq!(page.status, 200);
}

#[test]
fn clicks_become_masks() {
    let server = Program::start(&["--segmenter", "sam.safetensors"]);
    let info = server.get("/api/info").json();
    assert_eq!(info["segmenter"], "SAM, ViT of width 16");
    let picture = picture();
    let clicks: &[u8] = br#"[{"x": 0.5, "y": 0.5, "positive": true}]"#;
    let first = server.mask(&[("picture", &picture), ("clicks", clicks)]);
    assert_eq!(first.status, 200, "{}", first.text());
    let inside = |png: &[u8], x: u32, y: u32| {
        let mask = image::load_from_memory(png).unwrap().into_luma8();
        assert_eq!(mask.dimensions(), (60, 40));
        mask.get_pixel(x, y).0[0] > 127
    };
    assert!(inside(&first.body, 30, 20));
    let clicks: &[u8] =
        br#"[{"x": 0.5, "y": 0.5, "positive": true}, {"x": 0.9, "y": 0.2, "positive": false}]"#;
    let second = server.mask(&[
        ("picture", &picture),
        ("clicks", clicks),
        ("previous", &first.body),
    ]);
    assert_eq!(second.status, 200, "{}", second.text());
    assert!(inside(&second.body, 30, 20) && !inside(&second.body, 54, 8));

    for (parts, words) in [
        (vec![("picture", picture.as_slice())], "\"clicks\""),
        (vec![("clicks", clicks)], "no part \"picture\""),
        (vec![("picture", clicks), ("clicks", clicks)], "a.png"),
        (
            vec![("picture", &picture), ("clicks", b"[]")],
            "thing itself",
        ),
        (
            vec![("picture", &picture), ("clicks", b"[{\"x\": 1e999}]")],
            "cannot be read",
        ),
        (
            vec![
                ("picture", &picture),
                ("clicks", clicks),
                ("previous", b"x"),
            ],
            "the mask so far",
        ),
        (vec![("picture", &picture), ("other", b"x")], "\"other\""),
    ] {
        server.mask(&parts).assert_refused(400, words);
    }
    // A box does without clicks, and one click may mean another thing.
    let one: &[u8] = br#"[{"x": 0.5, "y": 0.5, "positive": true}]"#;
    let framed = server.mask(&[("picture", &picture), ("bounds", b"[0.1, 0.1, 0.6, 0.9]")]);
    assert_eq!(framed.status, 200, "{}", framed.text());
    let next = server.mask(&[("picture", &picture), ("clicks", one), ("candidate", b"1")]);
    assert_eq!(next.status, 200, "{}", next.text());
    assert_ne!(next.body, first.body);
    for (part, value, words) in [
        ("bounds", &b"[0.1, 0.2]"[..], "\"bounds\""),
        ("bounds", b"[0.5, 0.1, 0.2, 0.9]", "box is empty"),
        ("candidate", b"-1", "\"candidate\""),
    ] {
        let parts = [
            ("picture", picture.as_slice()),
            ("clicks", one),
            (part, value),
        ];
        server.mask(&parts).assert_refused(400, words);
    }
    // A job runs beside it; and who names no weights has those that ship with the program.
    server.submit(PRESET);
    let plain = Program::start(&[]);
    assert_eq!(plain.get("/api/info").json()["segmenter"], "MobileSAM");
}
