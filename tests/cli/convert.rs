//! `dragentity convert`: the same tensors in other files, and a model that runs from them.

use super::{Desk, assert_refused, ending, tiny};
use dragentity_core::Error;
use dragentity_networks::weights::convert::{Kept, Options, convert};
use dragentity_networks::weights::{ModelDir, Weights};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PARTS: [&str; 6] = [
    "controlnet",
    "entity_encoder",
    "preview",
    "relation",
    "unet",
    "vae",
];

fn mini() -> String {
    format!("{}/models/mini", env!("CARGO_MANIFEST_DIR"))
}

impl Desk {
    fn convert(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.program();
        command.arg("convert").args(args);
        ending(command)
    }

    fn converted(&self, args: &[&str]) -> String {
        let mut command = self.program();
        command.arg("convert").args(args);
        let output = command.assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    }

    /// Names in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// All tensors of a part, as `f32`. Those that the mini shares with others lie beside it.
fn tensors(model: &Path, part: &str) -> BTreeMap<String, (Vec<f32>, Vec<usize>)> {
    let dir = ModelDir::new(model.to_str().unwrap());
    let own = pollster::block_on(dir.find_weights(part, &mut |_, _| {})).unwrap();
    let weights = own.unwrap_or_else(|| {
        let shared = dir.file("", "../mobile_sam/model.safetensors");
        pollster::block_on(Weights::open(&shared, &mut |_, _| {})).unwrap()
    });
    let names: Vec<String> = weights.tensors().map(|t| t.0.to_owned()).collect();
    names
        .into_iter()
        .map(|name| {
            let read = weights.read(&name).unwrap();
            (name, read)
        })
        .collect()
}

/// Whether `half` is `value` in half precision, 11 bits: the mini's own weights are that already, of MobileSAM's all but the norms.
fn is_half_of((value, half): (&f32, &f32)) -> bool {
    (value - half).abs() <= value.abs() / 2048.0 + f32::powi(2.0, -25)
}

fn weight_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    files.sort();
    files
}

#[test]
fn the_mini_in_half_precision_shards_is_the_same_model() {
    let desk = Desk::new();
    let said = desk.converted(&[&mini(), "small", "--shard-size", "2MB"]);
    assert!(
        said.contains("unet: ") && said.contains("small: "),
        "{said}"
    );
    let (before, after) = (PathBuf::from(mini()), desk.path("small"));
    for part in PARTS {
        let (before, after) = (tensors(&before, part), tensors(&after, part));
        assert!(before.keys().eq(after.keys()), "{part}");
        for (name, (values, shape)) in &before {
            let (halved, same) = &after[name];
            assert_eq!(shape, same, "{part}/{name}");
            assert!(values.iter().zip(halved).all(is_half_of), "{part}/{name}");
        }
    }
    let shards = weight_files(&after.join("unet"));
    assert!(shards.len() > 8, "{shards:?}");
    for shard in &shards {
        let bytes = std::fs::read(shard).unwrap();
        assert!(bytes.len() <= 2_000_000, "{}", bytes.len());
        // Another reader agrees, and finds the framework that diffusers asks for.
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
        safetensors::SafeTensors::deserialize(&bytes).unwrap();
    }
    // One small enough stays one file, without an index.
    assert_eq!(
        desk.names("small/relation"),
        ["config.json", "diffusion_pytorch_model.safetensors"]
    );
    let read = |root: &Path, file: &str| std::fs::read(root.join(file)).unwrap();
    for copied in [
        "README.md",
        "model_index.json",
        "unet/config.json",
        "scheduler/scheduler_config.json",
    ] {
        assert!(read(&before, copied) == read(&after, copied), "{copied}");
    }
    // What was shared is its own.
    let config = read(&after, "entity_encoder/config.json");
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config, serde_json::json!({"feature_dim": 256}));
    // Nothing else is left.
    assert_eq!(
        desk.names("."),
        ["model", "picture.png", "preset.json", "small"]
    );
}

#[test]
fn the_mini_in_eight_bits_is_nearly_the_same() {
    let desk = Desk::new();
    let said = desk.converted(&[&mini(), "small", "--dtype", "int8"]);
    assert!(said.contains("in 8 bits, off by"), "{said}");
    let (before, after) = (PathBuf::from(mini()), desk.path("small"));
    let size = |model: &Path, part: &str| -> u64 {
        let files = weight_files(&model.join(part));
        files.iter().map(|f| f.metadata().unwrap().len()).sum()
    };
    assert!(size(&after, "unet") * 10 < size(&before, "unet") * 6);
    for part in PARTS {
        let (before, after) = (tensors(&before, part), tensors(&after, part));
        assert!(before.keys().eq(after.keys()), "{part}");
        for (name, (values, shape)) in &before {
            let (quantised, quantised_shape) = &after[name];
            assert_eq!(shape, quantised_shape, "{part}/{name}");
            let squares = |values: &mut dyn Iterator<Item = f32>| -> f64 {
                values.map(|v| f64::from(v).powi(2)).sum()
            };
            let error = squares(&mut values.iter().zip(quantised).map(|(a, b)| a - b));
            let relative = (error / squares(&mut values.iter().copied()).max(1e-30)).sqrt();
            // Rows of normal numbers are off by about 0.9 %, those with a few far ones by more.
            assert!(relative < 0.03, "{part}/{name}: {relative}");
            if shape.len() < 2 {
                let all = values.iter().zip(quantised);
                assert!(all.clone().all(is_half_of), "{part}/{name}");
            }
        }
    }
}

#[test]
fn a_converted_model_runs() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    let generate = |model: &str, output: &str| {
        let mut command = desk.program();
        command.args([
            "generate",
            "--image",
            "picture.png",
            "--preset",
            "preset.json",
        ]);
        command.args([
            "--device", "cpu", "--steps", "1", "--frames", "2", "--seed", "1",
        ]);
        command.args(["--model", model, "-o", output]);
        command.assert().success();
        std::fs::read(desk.path(output).join("0001.png")).unwrap()
    };
    let original = generate("tiny", "original");
    desk.converted(&["tiny", "half", "--shard-size", "50kB"]);
    assert!(weight_files(&desk.path("half/unet")).len() > 1);
    assert!(generate("half", "halved") == original);
    desk.converted(&["tiny", "bytes", "--dtype", "int8", "--shard-size", "50kB"]);
    generate("bytes", "small");
    // From 8 bits into single precision: what the 8 bits say.
    desk.converted(&["bytes", "single", "--dtype", "f32"]);
    assert!(tensors(&desk.path("bytes"), "unet") == tensors(&desk.path("single"), "unet"));
}

#[test]
fn a_part_a_file_and_an_index_are_sources_too() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    let unet = tensors(&desk.path("tiny"), "unet");
    desk.converted(&["tiny/unet", "part", "--shard-size", "100kB"]);
    assert!(tensors(&desk.path("part"), "") == unet);
    let index = "part/diffusion_pytorch_model.safetensors.index.json";
    desk.converted(&[index, "whole"]);
    assert!(tensors(&desk.path("whole"), "") == unet);
    assert_eq!(
        desk.names("whole"),
        [
            "config.json",
            "convert.json",
            "diffusion_pytorch_model.safetensors"
        ]
    );
    // Those of transformers keep the name by which they are found.
    std::fs::create_dir(desk.path("clip")).unwrap();
    std::fs::copy(
        desk.path("whole/diffusion_pytorch_model.safetensors"),
        desk.path("clip/model.fp16.safetensors"),
    )
    .unwrap();
    desk.converted(&[
        "clip/model.fp16.safetensors",
        "again",
        "--shard-size",
        "100kB",
    ]);
    assert!(desk.path("again/model.safetensors.index.json").exists());
    assert!(tensors(&desk.path("again"), "") == unet);
    // A tensor larger than a shard gets a shard of its own.
    desk.converted(&["tiny/unet", "tight", "--shard-size", "10kB"]);
    let large = weight_files(&desk.path("tight"))
        .into_iter()
        .filter(|f| f.metadata().unwrap().len() > 10_000);
    let mut found = 0;
    for file in large {
        let mut ignore = |_, _| {};
        let open = Weights::open(file.to_str().unwrap(), &mut ignore);
        assert_eq!(pollster::block_on(open).unwrap().tensors().count(), 1);
        found += 1;
    }
    assert!(found > 0);
}

#[test]
fn an_earlier_conversion_is_replaced_only_when_asked_and_nothing_else_ever() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    desk.converted(&["tiny", "out", "--shard-size", "50kB"]);
    let before = desk.names("out/unet");
    let again = desk.convert(&["tiny", "out"]);
    assert_refused(again, 3, &["out", "earlier conversion", "--overwrite"]);
    assert_eq!(desk.names("out/unet"), before);
    // No shard of the earlier one stays behind.
    desk.converted(&["tiny", "out", "--overwrite"]);
    assert_eq!(
        desk.names("out/unet"),
        ["config.json", "diffusion_pytorch_model.safetensors"]
    );

    for args in [&["tiny", "model2"][..], &["tiny", "model2", "--overwrite"]] {
        std::fs::create_dir_all(desk.path("model2")).unwrap();
        desk.write("model2/thesis.txt", "mine");
        assert_refused(
            desk.convert(args),
            3,
            &["model2", "no conversion has written"],
        );
        assert_eq!(desk.names("model2"), ["thesis.txt"]);
    }
    let refuse = |args: &[&str], parts: &[&str]| assert_refused(desk.convert(args), 3, parts);
    refuse(
        &["tiny", "picture.png"],
        &["picture.png", "a file of that name"],
    );
    refuse(&["tiny", "tiny"], &["in one another"]);
    refuse(&["tiny", "tiny/small"], &["in one another"]);
    refuse(&["tiny/unet", "tiny", "--overwrite"], &["in one another"]);
    refuse(&["tiny", "."], &["in one another"]);
    refuse(&["no-such-model", "new"], &["no-such-model"]);

    // What an interrupted one left behind is taken over; a folder that only has the name is not.
    std::fs::create_dir(desk.path("late.part")).unwrap();
    desk.write("late.part/notes.txt", "mine");
    refuse(&["tiny", "late"], &["late.part", "in the way"]);
    std::fs::remove_file(desk.path("late.part/notes.txt")).unwrap();
    desk.write("late.part/convert.json", "");
    desk.write("late.part/old.safetensors", "half of it");
    desk.converted(&["tiny", "late"]);
    assert!(!desk.path("late.part").exists());
    assert!(!desk.path("late/old.safetensors").exists());
}

#[test]
fn what_cannot_be_converted_leaves_nothing_behind() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    let refuse = |args: &[&str], code: i32, parts: &[&str]| {
        let mut all = args.to_vec();
        all.push("out");
        assert_refused(desk.convert(&all), code, parts);
        assert!(!desk.path("out").exists() && !desk.path("out.part").exists());
    };
    #[cfg(unix)]
    refuse(&["/dev/zero"], 3, &["/dev/zero", "neither a folder nor"]);
    refuse(&["model"], 4, &["model", "no weights", "folder of a model"]);
    std::fs::create_dir(desk.path("model/unet")).unwrap();
    desk.write("model/unet/diffusion_pytorch_model.bin", "");
    refuse(&["model"], 4, &["unet", ".bin", "save_pretrained"]);
    refuse(&["picture.png"], 4, &["picture.png", "no safetensors"]);
    refuse(&["preset.json"], 4, &["preset.json", "no index"]);

    let file = "tiny/unet/diffusion_pytorch_model.safetensors";
    let whole = std::fs::read(desk.path(file)).unwrap();
    desk.write(file, &whole[..whole.len() - 1]);
    refuse(&["tiny"], 4, &["unet", "cut short"]);
    // The last number of the last tensor is none.
    let mut nan = whole.clone();
    nan[whole.len() - 2..].copy_from_slice(&[0xff, 0x7f]);
    desk.write(file, &nan);
    for dtype in ["f16", "f32", "int8"] {
        refuse(&["tiny", "--dtype", dtype], 4, &["unet", "tensor", "NaN"]);
    }
    desk.write(file, &whole);

    let values: Vec<u8> = [1.0f32, 70_000.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &values);
    let bytes = safetensors::serialize([("big.bias", view.unwrap())], None).unwrap();
    desk.write("big.safetensors", bytes);
    refuse(
        &["big.safetensors"],
        4,
        &["big.bias", "70000", "--dtype f32"],
    );
    desk.converted(&["big.safetensors", "single", "--dtype", "f32"]);

    for wrong in [
        &["tiny", "out", "--dtype", "int4"][..],
        &["tiny", "out", "--shard-size", "tiny"],
        &["tiny", "out", "--shard-size", "1kB"],
        &["tiny"],
    ] {
        assert_eq!(desk.convert(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn two_at_once_do_not_mix_and_a_cancelled_one_leaves_nothing() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    let (source, dest) = (desk.path("tiny"), desk.path("out"));
    let options = Options {
        kept: Kept::F16,
        shard_size: 50_000,
        overwrite: true,
    };
    let mut refused = 0;
    let result = convert(&source, &dest, &options, &mut |_, done, total| {
        assert!(done <= total && !dest.exists());
        if refused == 0 {
            let other = convert(&source, &dest, &options, &mut |_, _, _| Ok(()));
            let said = other.unwrap_err().to_string();
            assert!(said.contains("another conversion"), "{said}");
            refused += 1;
        }
        Ok(())
    });
    result.unwrap();
    assert_eq!(refused, 1);
    // Half-way, over an earlier one: that one stays.
    let before = desk.names("out/unet");
    let mut blocks = 0;
    let result = convert(&source, &dest, &options, &mut |_, _, _| {
        blocks += 1;
        match blocks {
            ..50 => Ok(()),
            _ => Err(Error::Cancelled),
        }
    });
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(desk.names("out/unet"), before);
    assert!(!desk.path("out.part").exists());
}
