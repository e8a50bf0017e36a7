//! The node in `integrations/comfyui` against a server: its own tests, in Python.

use super::client::{PRESET, Program};
use std::path::Path;
use std::process::Command;

#[test]
fn the_node_makes_frames() {
    let has_numpy = Command::new("python3")
        .args(["-c", "import numpy"])
        .output();
    if !has_numpy.is_ok_and(|ran| ran.status.success()) {
        eprintln!("left out: there is no python3 with numpy here, which the node runs in");
        return;
    }
    let server = Program::start(&["--token", "sesame"]);
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/comfyui");
    let ran = Command::new("python3")
        .args(["-B", "test_dragentity.py"])
        .current_dir(tests)
        .env("DRAGENTITY_SERVER", format!("http://{}", server.address))
        .env("DRAGENTITY_TOKEN", "sesame")
        .env("DRAGENTITY_PRESET", PRESET)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(!said.contains("skipped"), "{said}");
}
