//! Weights in several files under an index: what the index says is believed only as far as it is true.

use super::{NAMES, Net, net, parameter, safetensors_file, tensors, with_header};
use burn::backend::Flex;
use dragentity_core::Error;
use dragentity_networks::weights::{LoadReport, ModelDir, Weights, parse_index};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A model directory with the tensors of [`net`] in two files under an index.
struct Sharded {
    root: tempfile::TempDir,
}

const INDEX: &str = "unet/diffusion_pytorch_model.safetensors.index.json";
const FIRST: &str = "diffusion_pytorch_model-00001-of-00002.safetensors";
const SECOND: &str = "diffusion_pytorch_model-00002-of-00002.safetensors";

impl Sharded {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("unet")).unwrap();
        let sharded = Self { root };
        let tensors = tensors();
        let (first, second) = tensors.split_at(4);
        sharded.write(&format!("unet/{FIRST}"), safetensors_file(first));
        sharded.write(&format!("unet/{SECOND}"), safetensors_file(second));
        sharded.write_index(|_| {});
        sharded
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Writes the index as it should be, after `change`.
    fn write_index(&self, change: impl FnOnce(&mut Value)) {
        self.write(INDEX, serde_json::to_vec(&index(change)).unwrap());
    }

    fn load(&self) -> Result<(Net<Flex>, LoadReport), Error> {
        let dir = ModelDir::new(self.root.path().display().to_string());
        pollster::block_on(dir.load("unet", net(), &mut |_, _| {}))
    }

    fn refused(&self, parts: &[&str]) {
        let Err(error) = self.load() else {
            panic!("this should have failed: {parts:?}");
        };
        assert!(matches!(error, Error::Model { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.chars().count() < 600, "{message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
}

fn index(change: impl FnOnce(&mut Value)) -> Value {
    let map: serde_json::Map<String, Value> = NAMES
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let file = if i < 4 { FIRST } else { SECOND };
            ((*name).to_owned(), file.into())
        })
        .collect();
    let mut index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    change(&mut index);
    index
}

#[test]
fn shards_are_loaded_as_one() {
    let sharded = Sharded::new();
    let (net, report) = sharded.load().unwrap();
    assert_eq!(report.loaded, NAMES.len());
    assert!(report.unused.is_empty());
    // One of each file.
    let bias = net.linears[0].bias.as_ref().unwrap().val().into_data();
    assert_eq!(
        bias.to_vec::<f32>().unwrap(),
        parameter("linears.0.bias", &[5])
    );
    let gamma = net.norm_tokens.gamma.val().into_data();
    assert_eq!(
        gamma.to_vec::<f32>().unwrap(),
        parameter("norm_tokens.weight", &[4])
    );

    // By its own path, too, and under the names that half-precision and transformers' copies have.
    let path = sharded.path(INDEX);
    let open = |path: &std::path::Path| {
        pollster::block_on(Weights::open(path.to_str().unwrap(), &mut |_, _| {})).unwrap()
    };
    assert_eq!(open(&path).tensors().count(), NAMES.len());
    assert_eq!(
        open(&sharded.path(&format!("unet/{FIRST}")))
            .tensors()
            .count(),
        4
    );
    for name in [
        "diffusion_pytorch_model.safetensors.index.fp16.json",
        "model.safetensors.index.json",
        "model.safetensors.index.fp16.json",
    ] {
        let other = sharded.path(&format!("unet/{name}"));
        std::fs::rename(&path, &other).unwrap();
        assert_eq!(sharded.load().unwrap().1.loaded, NAMES.len(), "{name}");
        std::fs::rename(&other, &path).unwrap();
    }
}

#[test]
fn progress_counts_the_bytes_of_all_shards() {
    let sharded = Sharded::new();
    let dir = ModelDir::new(sharded.root.path().display().to_string());
    let mut seen = Vec::new();
    pollster::block_on(dir.load("unet", net(), &mut |done, total| seen.push((done, total))))
        .unwrap();
    let length = |name| {
        std::fs::metadata(sharded.path(&format!("unet/{name}")))
            .unwrap()
            .len()
    };
    let total = length(FIRST) + length(SECOND);
    assert_eq!(seen.first(), Some(&(0, total)));
    assert_eq!(seen.last(), Some(&(total, total)));
    assert!(seen.is_sorted());
}

#[test]
fn what_an_index_lacks_or_invents_is_named() {
    let sharded = Sharded::new();
    sharded.write_index(|index| {
        index["weight_map"]
            .as_object_mut()
            .unwrap()
            .remove(NAMES[7]);
    });
    // The file has it, but the index rules.
    sharded.refused(&["index.json", "lacks", NAMES[7]]);
    sharded.write_index(|index| index["weight_map"]["more.weight"] = FIRST.into());
    sharded.refused(&["index.json", "more.weight", FIRST, "no such tensor"]);
    sharded.write_index(|index| index["weight_map"][NAMES[0]] = SECOND.into());
    sharded.refused(&[NAMES[0], SECOND, "no such tensor"]);

    sharded.write_index(|_| {});
    let whole = std::fs::read(sharded.path(&format!("unet/{SECOND}"))).unwrap();
    sharded.write(&format!("unet/{SECOND}"), &whole[..whole.len() - 1]);
    sharded.refused(&[SECOND, "cut short"]);
    std::fs::remove_file(sharded.path(&format!("unet/{SECOND}"))).unwrap();
    sharded.refused(&["index.json", SECOND, "not there"]);
}

#[test]
fn a_shard_is_beside_its_index_and_nowhere_else() {
    let sharded = Sharded::new();
    // They would be there, if one went to look.
    sharded.write(FIRST, safetensors_file(&tensors()[..4]));
    let absolute = sharded.path(&format!("unet/{FIRST}"));
    for elsewhere in [
        format!("../{FIRST}"),
        format!("./{FIRST}"),
        format!("..\\{FIRST}"),
        format!("%2e%2e/{FIRST}"),
        format!("sub/../{FIRST}"),
        absolute.display().to_string(),
        format!("C:\\{FIRST}"),
        format!("https://example.org/{FIRST}"),
        format!("{FIRST}\0.safetensors"),
        format!("{FIRST}?.safetensors"),
        "..".into(),
        ".safetensors".into(),
        "/dev/zero".into(),
        String::new(),
        format!("{}.safetensors", "a".repeat(100_000)),
    ] {
        sharded.write_index(|index| {
            for (_, file) in index["weight_map"].as_object_mut().unwrap() {
                if file == FIRST {
                    *file = elsewhere.clone().into();
                }
            }
        });
        sharded.refused(&["index.json", "no plain name"]);
    }
}

#[test]
fn what_is_no_index_says_so() {
    let sharded = Sharded::new();
    let deep = "[".repeat(100_000);
    for (text, part) in [
        ("", "no index"),
        ("[]", "no index"),
        ("{}", "weight_map"),
        (r#"{"weight_map": []}"#, "no index"),
        (r#"{"weight_map": {"a": 1}}"#, "no index"),
        (r#"{"weight_map": {"a": "#, "no index"),
        (r#"{"weight_map": {}}"#, "no tensors"),
        (&deep, "no index"),
        (&format!(r#"{{"weight_map": {{"a": {deep}"#), "no index"),
        (&format!("{}1", " ".repeat(16_000_000)), "too many"),
    ] {
        sharded.write(INDEX, text);
        sharded.refused(&["index.json", part]);
    }
    sharded.write_index(|index| {
        for i in 0..2000 {
            index["weight_map"][format!("a{i}")] = format!("{i}.safetensors").into();
        }
    });
    sharded.refused(&["more than 1000 files"]);
}

#[test]
fn a_tensor_that_is_not_finite_is_named_with_its_file() {
    let sharded = Sharded::new();
    for (value, said) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let mut tensors = tensors();
        tensors[6].2[1] = value;
        sharded.write(&format!("unet/{SECOND}"), safetensors_file(&tensors[4..]));
        sharded.refused(&[SECOND, &tensors[6].0, said, "element 1"]);
    }
}

/// Files that are cut, overwritten or emptied after their headers have been read, at any length.
#[test]
fn files_that_change_while_they_are_read_are_named() {
    let sharded = Sharded::new();
    let first = sharded.path(&format!("unet/{FIRST}"));
    let whole = std::fs::read(&first).unwrap();
    let index = sharded.path(INDEX).display().to_string();
    let mut refused = 0;
    for length in (0..=whole.len()).step_by(7) {
        let weights = pollster::block_on(Weights::open(&index, &mut |_, _| {})).unwrap();
        // Of the same file, as somebody who copies over it does.
        std::fs::write(&first, &whole[..length]).unwrap();
        if let Err(error) = weights.load::<Flex, _>(net()) {
            refused += 1;
            let said = error.to_string();
            assert!(
                said.contains(FIRST) && said.contains("being written"),
                "{said}"
            );
        }
        std::fs::write(&first, &whole).unwrap();
    }
    assert!(refused > whole.len() / 7 / 2, "{refused}");
}

#[test]
fn a_checkpoint_in_another_layout_is_recognised() {
    let sharded = Sharded::new();
    std::fs::remove_file(sharded.path(INDEX)).unwrap();
    let name = "model.diffusion_model.input_blocks.0.0.weight";
    let tensors = [(name.to_owned(), vec![1], vec![0.0])];
    sharded.write(
        "unet/diffusion_pytorch_model.safetensors",
        safetensors_file(&tensors),
    );
    sharded.refused(&["lacks", "first authors' layout", "diffusers"]);
}

/// A file with an 8-bit tensor of two rows and this entry for its scale.
fn quantised(scale: &str, bytes: &[u8]) -> Result<Weights, Error> {
    let header = format!(
        r#"{{"w.scale":{scale},"w":{{"dtype":"I8","shape":[2,3],"data_offsets":[{},{}]}}}}"#,
        bytes.len(),
        bytes.len() + 6
    );
    let mut file = with_header(&header, 0);
    file.extend(bytes);
    file.extend([1i8, -2, 127, -128, 0, 5].map(|v| v as u8));
    Weights::from_bytes("some/file", file)
}

#[test]
fn eight_bit_tensors_are_read_with_their_scale_or_not_at_all() {
    let f32s = |values: [f32; 2]| values.map(f32::to_le_bytes).concat();
    let good = r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let weights = quantised(good, &f32s([0.5, 2.0])).unwrap();
    // The scale is no tensor of the network.
    assert_eq!(weights.tensors().map(|t| t.0).collect::<Vec<_>>(), ["w"]);
    let (values, shape) = weights.read("w").unwrap();
    assert_eq!(shape, [2, 3]);
    assert_eq!(values, [0.5, -1.0, 63.5, -256.0, 0.0, 10.0]);

    let refused = |result: Result<(), Error>, parts: &[&str]| {
        let text = result.unwrap_err().to_string();
        for part in ["some/file", "w", "convert the model again"]
            .iter()
            .chain(parts)
        {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    };
    for other in [
        r#"{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}"#,
        r#"{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}"#,
        r#"{"dtype":"F16","shape":[4],"data_offsets":[0,8]}"#,
        r#"{"dtype":"I8","shape":[8],"data_offsets":[0,8]}"#,
    ] {
        refused(
            quantised(other, &f32s([0.5, 2.0])).map(|_| ()),
            &["w.scale"],
        );
    }
    let header = r#"{"w":{"dtype":"I8","shape":[2,3],"data_offsets":[0,6]}}"#;
    let without = Weights::from_bytes("some/file", with_header(header, 6)).unwrap();
    refused(without.read("w").map(|_| ()), &["I8", "w.scale"]);
    let nan = quantised(good, &f32s([0.5, f32::NAN])).unwrap();
    let text = nan.read("w").unwrap_err().to_string();
    assert!(text.contains("holds NaN at element 3"), "{text}");
}

/// Another program writes into the files after they were opened.
#[test]
fn a_file_that_changes_while_it_is_read_is_named() {
    let sharded = Sharded::new();
    let location = sharded.path(INDEX).display().to_string();
    let weights = pollster::block_on(Weights::open(&location, &mut |_, _| {})).unwrap();
    let shard = std::fs::File::options()
        .write(true)
        .open(sharded.path(&format!("unet/{SECOND}")))
        .unwrap();
    let length = shard.metadata().unwrap().len();
    let last = NAMES[NAMES.len() - 1];
    for left in [length - 1, length / 2, 1, 0] {
        shard.set_len(left).unwrap();
        let failed: Vec<String> = NAMES
            .iter()
            .filter_map(|name| Some(weights.read(name).err()?.to_string()))
            .collect();
        assert!(!failed.is_empty(), "{left} bytes are left");
        for said in failed {
            assert!(said.contains(SECOND), "{said}");
        }
    }
    // Longer again, and full of zeros: other numbers, which are none of ours to judge.
    shard.set_len(2 * length).unwrap();
    let (values, shape) = weights.read(last).unwrap();
    assert_eq!(values.len(), shape.iter().product::<usize>());
    // What is in the other file is as it was.
    assert_eq!(
        weights.read("linears.0.bias").unwrap().0,
        parameter("linears.0.bias", &[5])
    );
}

proptest! {
    #[test]
    fn no_index_panics(
        names in prop::collection::vec(("[ab.]{0,3}", "[a/.%\\\\-]{0,4}(.safetensors)?"), 0..5),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let index = index(|index| {
            for (tensor, file) in names {
                index["weight_map"][tensor] = file.into();
            }
        });
        let mut bytes = serde_json::to_vec(&index).unwrap();
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        if let Ok(shards) = parse_index("some/index", &bytes) {
            for (shard, tensors) in shards {
                prop_assert!(!tensors.is_empty());
                // It stays in the directory, however a system or a browser reads it.
                prop_assert!(!shard.contains(['/', '\\', ':', '%', '\0']) && !shard.starts_with('.'), "{}", shard);
            }
        }
    }

    #[test]
    fn no_bytes_are_an_index_that_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_index("some/index", &bytes);
    }
}
