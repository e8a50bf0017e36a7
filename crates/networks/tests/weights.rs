//! Weights in and out: what must load does, what must not says which file and which tensor.

#[path = "weights/files.rs"]
mod files;
#[path = "weights/torch.rs"]
mod torch;

use burn::backend::Flex;
use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use dragentity_core::Error;
use dragentity_networks::nn::{AlphaBlender, AlphaBlenderConfig, TemporalConv, TemporalConvConfig};
use dragentity_networks::svd::vae::{
    AutoencoderKLTemporalDecoder, AutoencoderKLTemporalDecoderConfig,
};
use dragentity_networks::weights::{
    ModelDir, Precision, Weights, parse_header, save_bytes, save_file, tensor_list,
};
use dragentity_testkit::{fill, parameter, safetensors_file};
use half::{bf16, f16};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// One of each kind of container, Burn's own and this project's.
#[derive(Module, Debug)]
struct Net<B: Backend> {
    linears: Vec<Linear<B>>,
    norm: GroupNorm<B>,
    norm_tokens: LayerNorm<B>,
    mixer: AlphaBlender<B>,
    conv: Option<TemporalConv<B>>,
}

fn net() -> Net<Flex> {
    let device = Default::default();
    Net {
        linears: vec![LinearConfig::new(3, 5).init(&device)],
        norm: GroupNormConfig::new(2, 4).init(&device),
        norm_tokens: LayerNormConfig::new(4).init(&device),
        mixer: AlphaBlenderConfig::new().init(&device),
        conv: Some(TemporalConvConfig::new(2, 3).init(&device)),
    }
}

const NAMES: [&str; 9] = [
    "conv.bias",
    "conv.weight",
    "linears.0.bias",
    "linears.0.weight",
    "mixer.mix_factor",
    "norm.bias",
    "norm.weight",
    "norm_tokens.bias",
    "norm_tokens.weight",
];

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn tensors() -> Tensors {
    tensor_list(&net())
        .into_iter()
        .map(|(name, shape)| {
            let values = parameter(&name, &shape);
            (name, shape, values)
        })
        .collect()
}

fn load(bytes: Vec<u8>) -> Result<(Net<Flex>, dragentity_networks::weights::LoadReport), Error> {
    Weights::from_bytes("some/file", bytes)?.load(net())
}

fn message(result: Result<impl Sized, Error>) -> String {
    let Err(error) = result else {
        panic!("this should have failed");
    };
    assert!(matches!(error, Error::Model { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("some/file"), "{message}");
    message
}

#[test]
fn names_and_shapes_are_pytorchs() {
    let list = tensor_list(&net());
    assert_eq!(list.keys().collect::<Vec<_>>(), NAMES);
    // PyTorch's linear layers are [out, in], Burn's [in, out].
    assert_eq!(list["linears.0.weight"], [5, 3]);
    assert_eq!(list["conv.weight"], [3, 2, 3, 1, 1]);
}

#[test]
fn values_arrive_where_they_belong() {
    let (net, report) = load(safetensors_file(&tensors())).unwrap();
    assert_eq!(report.loaded, NAMES.len());
    assert!(report.unused.is_empty());
    let weight = parameter("linears.0.weight", &[5, 3]);
    let x = Tensor::<Flex, 2>::from_data([[0.0, 1.0, 0.0]], &Default::default());
    let y = net.linears[0]
        .forward(x)
        .into_data()
        .to_vec::<f32>()
        .unwrap();
    let bias = parameter("linears.0.bias", &[5]);
    for (i, y) in y.into_iter().enumerate() {
        assert_eq!(y, weight[3 * i + 1] + bias[i]);
    }
    let gamma = net.norm.gamma.unwrap().val().into_data();
    assert_eq!(
        gamma.to_vec::<f32>().unwrap(),
        parameter("norm.weight", &[4])
    );
}

#[test]
fn full_precision_survives_a_round_trip_bit_by_bit() {
    let saved = save_bytes("net", &fill(net()), Precision::F32).unwrap();
    let file = Weights::from_bytes("net", saved.clone()).unwrap();
    for (name, shape, values) in tensors() {
        assert_eq!(file.read(&name).unwrap(), (values, shape), "{name}");
    }
    let again = save_bytes("net", &file.load(net()).unwrap().0, Precision::F32).unwrap();
    assert!(saved == again);
}

#[test]
fn half_precision_is_half_in_the_file_and_single_in_the_network() {
    let saved = save_bytes("net", &fill(net()), Precision::F16).unwrap();
    let file = Weights::from_bytes("net", saved).unwrap();
    assert!(file.tensors().all(|(_, t)| t.dtype == Dtype::F16));
    let (net, _) = file.load(net()).unwrap();
    // Custom containers, too: a mixed network would fail in its first addition.
    let single = burn::tensor::DType::F32;
    assert_eq!(net.mixer.mix_factor.val().dtype(), single);
    assert_eq!(net.conv.as_ref().unwrap().weight.val().dtype(), single);
    assert_eq!(net.linears[0].weight.val().dtype(), single);
    for (name, _, values) in tensors() {
        let rounded: Vec<f32> = values.iter().map(|&v| f16::from_f32(v).to_f32()).collect();
        assert_eq!(file.read(&name).unwrap().0, rounded, "{name}");
    }
}

#[test]
fn diffusers_finds_the_framework_in_the_metadata() {
    let saved = save_bytes("net", &net(), Precision::F16).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&saved).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
}

#[test]
fn bf16_and_f64_can_be_read_and_integers_are_refused_by_name() {
    let values = [1.0, -2.5, 3.0];
    let brain: Vec<u8> = values
        .iter()
        .flat_map(|&v| bf16::from_f64(v).to_le_bytes())
        .collect();
    let double: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let views = [
        (
            "brain",
            TensorView::new(Dtype::BF16, vec![3], &brain).unwrap(),
        ),
        (
            "double",
            TensorView::new(Dtype::F64, vec![3], &double).unwrap(),
        ),
        (
            "whole",
            TensorView::new(Dtype::I64, vec![3], &double).unwrap(),
        ),
    ];
    let file = Weights::from_bytes("some/file", safetensors::serialize(views, None).unwrap());
    let file = file.unwrap();
    assert_eq!(file.read("brain").unwrap().0, [1.0, -2.5, 3.0]);
    assert_eq!(file.read("double").unwrap().0, [1.0, -2.5, 3.0]);
    let whole = message(file.read("whole"));
    assert!(whole.contains("whole") && whole.contains("I64"), "{whole}");
    assert!(message(file.read("none")).contains("none"));
}

#[test]
fn all_missing_and_misshaped_tensors_are_named() {
    let mut tensors = tensors();
    tensors.retain(|(name, ..)| name != "norm.weight" && name != "mixer.mix_factor");
    let linear = tensors
        .iter_mut()
        .find(|(name, ..)| name == "linears.0.weight")
        .unwrap();
    // As many numbers, but the other way round.
    linear.1.reverse();
    let text = message(load(safetensors_file(&tensors)));
    for expected in [
        "norm.weight",
        "mixer.mix_factor",
        "linears.0.weight",
        "[3, 5]",
        "[5, 3]",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains("norm_tokens"), "{text}");
}

#[test]
fn tensors_without_a_place_are_refused_by_name() {
    let mut tensors = tensors();
    // What older versions of transformers save beside the weights.
    tensors.push(("embeddings.position_ids".into(), vec![2], vec![0.0, 1.0]));
    let (_, report) = load(safetensors_file(&tensors)).unwrap();
    assert_eq!(report.unused, ["embeddings.position_ids"]);
    assert_eq!(report.loaded, NAMES.len());
    tensors.push(("old.weight".into(), vec![2], vec![0.0, 1.0]));
    let text = message(load(safetensors_file(&tensors)));
    assert!(text.contains("no place for old.weight"), "{text}");
    assert!(!text.contains("position_ids"), "{text}");
}

#[test]
fn numbers_that_are_none_are_found_on_the_way_in_and_out() {
    let mut tensors = tensors();
    tensors[3].2[1] = f32::NAN;
    let text = message(load(safetensors_file(&tensors)));
    assert!(text.contains(&tensors[3].0), "{text}");

    tensors[3].2[1] = 1e6;
    let (large, _) = load(safetensors_file(&tensors)).unwrap();
    assert!(save_bytes("some/file", &large, Precision::F32).is_ok());
    let text = message(save_bytes("some/file", &large, Precision::F16));
    assert!(text.contains(&tensors[3].0), "{text}");
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = safetensors_file(&tensors());
    for length in 0..whole.len() {
        message(load(whole[..length].to_vec()));
    }
    // From the end of the header on it is known what the file should have been.
    let text = message(load(whole[..whole.len() - 1].to_vec()));
    assert!(text.contains("cut short"), "{text}");
    let mut long = whole;
    long.push(0);
    assert!(message(load(long)).contains("1 bytes follow"));
}

/// A file with this header and `data` zeros.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn lying_headers_are_errors() {
    let entry = |shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let max = u64::MAX;
    let cases = [
        // Beyond the end, backwards, not at the start.
        entry("[4]", "[0,16]"),
        entry("[2]", "[8,0]"),
        entry("[1]", "[4,8]"),
        entry("[0]", &format!("[{max},{max}]")),
        // Longer or shorter than the shape says.
        entry("[1]", "[0,8]"),
        entry("[3]", "[0,8]"),
        // Products that overflow, also where a zero hides it.
        entry("[4294967296,4294967296]", "[0,8]"),
        entry(&format!("[{max}]"), "[0,8]"),
        entry(&format!("[{max},2,0]"), "[0,8]"),
        entry(&format!("[{}]", max / 4), &format!("[0,{}]", max / 4 * 4)),
        // Not what they should be.
        entry("[-2]", "[0,8]"),
        entry("[2.5]", "[0,8]"),
        entry("2", "[0,8]"),
        entry("[2]", "[0]"),
        entry("[2]", "[0,8]").replace("F32", "F31"),
        entry("[2]", "[0,8]").replace("dtype", "type"),
        // Two in one place.
        entry(&format!("[2{}]", ",1".repeat(100_000)), "[0,8]"),
        entry("[2]", "[0,8]").replace("F32", &"ä".repeat(10_000)),
        entry("[3]", "[0,8]").replace("\"a\"", &format!("\"{}\"", "ä".repeat(10_000))),
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.to_owned(),
        // The same name twice.
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}"#.to_owned(),
        // No header at all.
        "[]".to_owned(),
        "{".to_owned(),
        String::new(),
        "\u{0}\u{0}\u{0}".to_owned(),
        "[".repeat(100_000),
        // Deeper than any stack.
        format!(r#"{{"a":{}"#, "[".repeat(100_000)),
        format!(r#"{{"a":{}"#, "{\"a\":".repeat(100_000)),
        entry(&"[".repeat(100_000), "[0,8]"),
    ];
    for header in cases {
        let result = parse_header("some/file", &with_header(&header, 8));
        let text = message(result);
        // A sentence, not the file's contents.
        assert!(text.chars().count() < 400, "{text}");
    }
    assert!(parse_header("some/file", &with_header(&entry("[2]", "[0,8]"), 8)).is_ok());
    // Nobody reads the metadata, so it may be anything at all.
    let deep = format!(
        r#"{{"__metadata__":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(parse_header("some/file", &with_header(&deep, 0)).is_ok());
}

#[test]
fn a_header_length_is_not_believed() {
    for length in [u64::MAX, u64::MAX - 7, 1 << 62, 16_000_001, 16_000_000] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(b"{}");
        message(parse_header("some/file", &bytes));
    }
    // What a server sends instead of a missing file.
    let page = b"<!doctype html><html><body>Not found</body></html>".to_vec();
    assert!(message(parse_header("some/file", &page)).contains("no safetensors"));
}

proptest! {
    /// Headers of the right form that say anything at all, over any number of bytes.
    #[test]
    fn no_header_panics(
        entries in prop::collection::vec(
            ("[ab]{1,2}", "F32|F16|I64|BOOL|F4|X", prop::collection::vec(0u64..5, 0..4), any_offset(), any_offset()),
            0..4,
        ),
        claimed in prop::option::of(any::<u64>()),
        data in 0usize..64,
        cut in prop_oneof![3 => Just(0usize), 1 => 0usize..300],
    ) {
        let header: Vec<String> = entries
            .iter()
            .map(|(name, dtype, shape, start, end)| {
                format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#)
            })
            .collect();
        let mut bytes = with_header(&format!("{{{}}}", header.join(",")), data);
        if let Some(claimed) = claimed {
            bytes[..8].copy_from_slice(&claimed.to_le_bytes());
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(tensors) = parse_header("some/file", &bytes) {
            prop_assert!(tensors.values().all(|t| t.start <= t.end && t.end <= bytes.len() as u64));
        }
    }

    /// A whole file, its header or its data damaged in some places, now and then so that the JSON stays whole and
    /// only its numbers lie.
    #[test]
    fn no_damage_panics(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        in_header in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = safetensors_file(&tensors());
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for (at, value, digits) in hits {
            let at = at.index(if in_header { header } else { bytes.len() });
            bytes[at] = if digits && bytes[at].is_ascii_digit() {
                b'0' + value % 10
            } else {
                value
            };
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        // Whether it is an error depends on the hit; the promise about ranges holds either way.
        if let Ok(tensors) = parse_header("some/file", &bytes) {
            prop_assert!(tensors.values().all(|t| t.start <= t.end && t.end <= bytes.len() as u64));
        }
        // What can be opened can be loaded, or not, and every number that arrives is one.
        if let Ok(file) = Weights::from_bytes("some/file", bytes) {
            for (name, _) in file.tensors() {
                if let Ok((values, shape)) = file.read(name) {
                    prop_assert_eq!(values.len(), shape.iter().product::<usize>());
                    prop_assert!(values.iter().all(|v| v.is_finite()));
                }
            }
            let _ = file.load(net());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 0u64..200) {
        let _ = parse_header("some/file", &bytes);
        let mut framed = length.to_le_bytes().to_vec();
        framed.extend(bytes);
        let _ = parse_header("some/file", &framed);
    }
}

/// Where a tensor may claim to begin or end: mostly near the truth.
fn any_offset() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..64, 1 => any::<u64>(), 1 => (u64::MAX - 9)..=u64::MAX]
}

#[test]
fn a_model_directory_is_read_back() {
    let root = std::env::temp_dir().join(format!("dragentity-model-{}", std::process::id()));
    let dir = ModelDir::new(format!("{}/", root.display()));
    let config = AutoencoderKLTemporalDecoderConfig::new(&[32], 1, 4);
    let device = Default::default();
    let read = |part: &str| {
        let mut seen = (0, 0);
        let result = pollster::block_on(AutoencoderKLTemporalDecoder::<Flex>::load(
            &dir,
            part,
            &device,
            &mut |done, total| seen = (done, total),
        ));
        (result.map(|(_, config)| config), seen)
    };
    let error = read("vae").0.unwrap_err().to_string();
    assert!(error.contains("vae/config.json"), "{error}");

    std::fs::create_dir_all(root.join("vae")).unwrap();
    let json = serde_json::to_vec_pretty(&config).unwrap();
    std::fs::write(dir.file("vae", "config.json"), json).unwrap();
    let error = read("vae").0.unwrap_err().to_string();
    assert!(error.contains("no weights"), "{error}");

    let vae = config.init::<Flex>(&device).unwrap();
    let path = std::path::PathBuf::from(dir.weights_file("vae"));
    save_file(&path, &vae, Precision::F16).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let (read_config, seen) = read("vae");
    assert_eq!(read_config.unwrap(), config);
    assert_eq!(seen, (size, size));

    // Half-precision copies are published under another name.
    std::fs::rename(&path, path.with_extension("fp16.safetensors")).unwrap();
    assert_eq!(read("vae").0.unwrap(), config);
    std::fs::remove_dir_all(&root).unwrap();
}
