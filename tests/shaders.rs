//! Every WGSL file is a valid module, with the entry points that the page asks for.

use naga::valid::{Capabilities, ValidationFlags, Validator};

#[test]
fn every_shader_is_valid() {
    let mut seen = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders"))
        .expect("shaders/ is there")
    {
        let path = entry.expect("shaders/ can be listed").path();
        let source = std::fs::read_to_string(&path).expect("a text");
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(&source, &path)));
        // No capabilities: what every WebGPU browser has.
        Validator::new(ValidationFlags::all(), Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| {
                panic!(
                    "{}",
                    e.emit_to_string_with_path(&source, &path.display().to_string())
                )
            });
        let names: Vec<_> = module
            .entry_points
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        assert_eq!(names, ["vertex", "fragment"], "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} shaders");
}
