//! Disks that give errors while a network is trained: whatever call fails, the run is gone on with as if nothing had been.

use super::desk;
use dragentity_testkit::faults::{Fault, MOVES, READS, SYNCS, WRITES, can_be_injected};
use dragentity_testkit::program::{Desk, assert_refused, ended};
use std::path::Path;
use std::process::Command;

/// Trains the smallest network that there is for four steps, or goes on with it; `more` are other options.
fn train(desk: &Desk, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragentity-lab"));
    command
        .args("train parts --run run --model made --steps 4 --batch 2 --device cpu:1".split(' '))
        .args(more)
        .current_dir(desk.path("."));
    command
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
}

fn remove(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Trains until all steps are done, and returns the weights; `before` is what came before, for whoever reads that it failed.
fn trained(desk: &Desk, before: &str) -> Vec<u8> {
    let (code, said) = ended(&train(desk, &[]).output().unwrap());
    assert_eq!(code, 0, "{before}{said}");
    std::fs::read(desk.path("made/model.safetensors")).unwrap()
}

/// A run of which two steps of four are done, as `begun`, and the weights that all four end with.
fn begun(desk: &Desk) -> Vec<u8> {
    let first = train(desk, &["--session-steps", "2"]).output().unwrap();
    let (code, said) = ended(&first);
    assert_eq!(code, 0, "{said}");
    copy(&desk.path("run"), &desk.path("begun"));
    let whole = trained(desk, "");
    reset(desk);
    whole
}

/// Back to where two steps of four are done.
fn reset(desk: &Desk) {
    remove(&desk.path("made"));
    remove(&desk.path("run"));
    copy(&desk.path("begun"), &desk.path("run"));
}

#[test]
fn a_run_goes_on_after_an_error_of_the_disk() {
    if !can_be_injected() {
        return;
    }
    let desk = desk();
    let whole = begun(&desk);
    for calls in [WRITES, SYNCS, MOVES] {
        let fault = Fault {
            calls,
            error: "EIO",
            path: "",
        };
        fault.each(&train(&desk, &[]), |nth, output| {
            let ending = ended(&output);
            let what = format!("{calls} {nth:?}: {}", ending.1);
            // What is told on the way may get lost: nobody could be told of that.
            if ending.0 != 0 {
                assert!(nth.is_some(), "{what}");
                assert_refused(ending, 3, &["Input/output error"]);
            }
            let made = trained(&desk, &format!("{what}; then "));
            assert!(made == whole, "another network after {what}");
            reset(&desk);
        });
    }
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_named() {
    if !can_be_injected() {
        return;
    }
    let desk = desk();
    let whole = begun(&desk);
    for file in ["state.json", "network.mpk", "average.mpk", "optimizer.mpk"] {
        let path = format!("run/checkpoint/{file}");
        let fault = Fault {
            calls: READS,
            error: "EIO",
            path: &path,
        };
        fault.each(&train(&desk, &[]), |nth, output| {
            let ending = ended(&output);
            match nth {
                Some(_) => assert_refused(ending, 3, &[&path, "Input/output error"]),
                None => {
                    assert_eq!(ending.0, 0, "{}", ending.1);
                    let made = std::fs::read(desk.path("made/model.safetensors")).unwrap();
                    assert!(made == whole);
                }
            }
        });
        reset(&desk);
    }
}
