//! The lab's program, as a person would call it.

#[cfg(target_os = "linux")]
#[path = "cli/faults.rs"]
mod faults;

use dragentity_testkit::program::{Desk, assert_refused, ending};
use dragentity_testkit::tiny;

/// The program in a folder of its own.
fn desk() -> Desk {
    Desk::new("dragentity-lab")
}

#[test]
fn tables_of_the_paper_come_from_the_ledger() {
    let desk = desk();
    let table = |number: &str| {
        let mut command = desk.program();
        command.args(["eval", "--table", number, "--ledger", "tables.json"]);
        command
    };
    assert_refused(ending(table("1")), 3, &["train table --table 1"]);
    let run = |kind: &str, obj_mc: f64| {
        serde_json::json!({
            "kind": kind, "seed": 1, "steps": 7, "error": 0.5, "obj_mc": obj_mc, "fvd": 1.0, "psnr": 20.0,
            "psnr_inside": 19.0,
        })
    };
    let ledger = serde_json::json!({
        "clips": 5, "fvd_features": "a network",
        "runs": [run("dragentity", 3.25), run("dragentity-no-mask", 3.0)],
    });
    desk.write("tables.json", ledger.to_string());
    let output = table("3").assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    for expected in [
        "| with loss mask | 0.5000 | 3.2500 |",
        "302.7 | 510.8 | 34.5",
        "FVD by a network",
        "other way round",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    assert_refused(ending(table("4")), 3, &["--answers"]);
    assert_refused(ending(table("5")), 3, &["no table 5"]);
}

#[cfg(unix)]
#[test]
fn it_ends_quietly_when_nobody_reads_on() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_dragentity-lab"))
        .args(["eval", "--table", "2"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_people_picked_adds_up() {
    use dragentity_core::study::{Question, Study};
    let desk = desk();
    let study = Study::of_files(["x/ours/1.mp4", "x/theirs/1.mp4"]).unwrap();
    let mut answers = study.begin(1);
    answers.pick("1", Question::Overall, "ours");
    desk.write("a.json", answers.to_json().unwrap());
    answers.pick("1", Question::Overall, "theirs");
    desk.write("b.json", answers.to_json().unwrap());
    desk.write("c.json", "{");
    let table = |files: &[&str]| {
        let mut command = desk.program();
        command
            .args(["eval", "--table", "4", "--answers"])
            .args(files);
        command
    };
    let output = table(&["a.json", "b.json", "a.json", "a.json"])
        .assert()
        .success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(text.contains("4 people"), "{text}");
    assert!(
        text.contains("| Overall feeling | 75 % | 25 % | 4 |"),
        "{text}"
    );
    assert_refused(ending(table(&["a.json", "c.json"])), 3, &["c.json"]);
    assert_refused(ending(table(&["a.json", "none.json"])), 3, &["none.json"]);
}

#[test]
fn a_models_videos_are_a_method_to_compare() {
    use dragentity_core::study::Study;
    let desk = desk();
    for name in ["one", "two"] {
        tiny::tiny_model(&desk.path(name)).unwrap();
        let mut command = desk.program();
        command
            .args(["eval", "--device", "cpu", "--clips", "2", "--steps", "1"])
            .args(["--model", name, "--videos", "out", "--method"])
            .args([&format!("method {name}"), "--data"])
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/data/held_out.pack"
            ));
        command.assert().success();
    }
    let files: Vec<String> = ["method one", "method two", "given"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(desk.path("out").join(folder)).unwrap())
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    let study = Study::of_files(files.iter().map(String::as_str)).unwrap();
    assert_eq!(study.methods, ["method one", "method two"]);
    assert_eq!(study.trials.len(), 2);
    assert!(study.trials.iter().all(|trial| trial.given.is_some()));
    let video = dragentity_media::read::read(files[0].as_ref(), &Default::default()).unwrap();
    assert!(video.frames.len() > 1);
}

/// LPIPS with weights that mean nothing.
fn synthetic_lpips() -> Vec<u8> {
    use burn::backend::Flex;
    use dragentity_lab::eval::lpips::Lpips;
    use dragentity_networks::weights::tensor_list;
    let tensors: Vec<_> = tensor_list(&Lpips::<Flex>::new(&Default::default()))
        .into_iter()
        .map(|(name, shape)| {
            let values = dragentity_testkit::parameter(&name, &shape);
            // Distances are never negative.
            let values = values.into_iter().map(f32::abs).collect();
            (name, shape, values)
        })
        .collect();
    dragentity_testkit::safetensors_file(&tensors)
}

#[test]
fn the_gate_is_closed_to_networks_that_make_it_worse() {
    let desk = desk();
    tiny::tiny_model(&desk.path("model")).unwrap();
    desk.write("lpips.safetensors", synthetic_lpips());
    let pack = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/held_out.pack"
    );
    let gate = |model: &str| {
        let mut command = desk.program();
        command
            .args(["eval", "--gate", "--device", "cpu", "--clips", "3"])
            .args(["--lpips", "lpips.safetensors", "--json", "gate.json"])
            .args(["--data", pack, "--model", model]);
        command
    };
    // What it has learned is noise.
    let said = ["model model: is worse than paste: "];
    assert_refused(ending(gate("model")), 4, &said);
    let report = std::fs::read(desk.path("gate.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let regions = report["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 4);
    let number = |at: &str, of: &str| regions[3][at][of].as_f64().unwrap();
    assert_eq!(regions[3]["region"], "inside entities");
    assert!(number("with", "psnr") < number("without", "psnr"));
    let output = gate("paste").assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("compared with itself"), "{text}");
    std::fs::remove_file(desk.path("lpips.safetensors")).unwrap();
    assert_refused(ending(gate("model")), 4, &["scripts/fetch-metrics"]);
}

#[test]
fn the_benchmark_measures_a_published_model() {
    let desk = desk();
    let published = dragentity_testkit::svd::published_directory();
    let bench = |args: &[&str]| {
        let mut command = desk.program();
        command.args([
            "bench",
            "--device",
            "cpu",
            "--size",
            "64x64",
            "--repeats",
            "2",
        ]);
        command.args(["--frames", "2", "--steps", "1"]).args(args);
        command
    };
    let mut command = bench(&["--json", "--model"]);
    command.arg(published.path());
    let said = command.assert().success().get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert!(report["matmul_peak"].as_f64().unwrap() > 1e8);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let samples = row["ours"].as_array().unwrap();
        assert_eq!(samples.len(), 2, "{row}");
        assert!(samples.iter().all(|s| s["seconds"].as_f64().unwrap() > 0.0));
    }

    tiny::tiny_model(&desk.path("model")).unwrap();
    let args = ["--model", "model"];
    assert_refused(ending(bench(&args)), 4, &["no Stable Video Diffusion"]);
    let mut command = bench(&["--reference", "no-such-python", "--model"]);
    command.arg(published.path());
    assert_refused(ending(command), 3, &["no-such-python", "--reference"]);
    let mut command = bench(&["--reference", "true", "--model"]);
    command.arg(published.path());
    assert_refused(ending(command), 3, &["ended early", "diffusers"]);
}
