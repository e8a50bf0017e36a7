//! What weights may cost in memory, whatever the size of a file and whatever its header says. One test at a time:
//! the allocator counts for the whole program.
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use dragentity_networks::nn::layers::Affine;
use dragentity_networks::svd::unet::UNetConfig;
use dragentity_networks::weights::convert::{Kept, Options, convert};
use dragentity_networks::weights::{
    Numbers, WeightType, Weights, parse_header, parse_index, write_random,
};
use half::f16;
use peak_alloc::PeakAlloc;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MB: usize = 1_000_000;

/// Bytes that were allocated at once while `work` ran, beyond those before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    (result, MEMORY.peak_usage() - before)
}

#[derive(Module, Debug)]
struct Net<B: Backend> {
    layers: Vec<Linear<B>>,
}

const LAYERS: usize = 40;
const SIDES: [usize; 2] = [512, 1024];
const ELEMENTS: usize = SIDES[0] * SIDES[1];

/// A file of 40 matrices of 1 MB each.
fn write_file(path: &Path) {
    let bytes: Vec<u8> = (0..ELEMENTS)
        .flat_map(|i| f16::from_f32((i % 1000) as f32 / 1000.0 - 0.5).to_le_bytes())
        .collect();
    let views = (0..LAYERS).map(|i| {
        let shape = vec![SIDES[1], SIDES[0]];
        (
            format!("layers.{i}.weight"),
            TensorView::new(Dtype::F16, shape, &bytes).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

#[test]
fn loading_takes_the_network_and_a_few_tensors() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_file(&path);
    let device = Default::default();
    let layer = LinearConfig::new(SIDES[0], SIDES[1]).with_bias(false);
    let net = Net::<Flex> {
        layers: (0..LAYERS).map(|_| layer.init(&device)).collect(),
    };
    let (result, peak) = peak_of(|| {
        let file = pollster::block_on(Weights::open(path.to_str().unwrap(), &mut |_, _| {}))?;
        file.load(net)
    });
    assert_eq!(result.unwrap().1.loaded, LAYERS);
    let network = LAYERS * ELEMENTS * 4;
    println!("{peak} bytes for a network of {network}");
    // Not the file's 42 MB besides. A tensor is 2 MB in the network; turning it round takes another.
    assert!(peak > network && peak < network + 16 * MB, "{peak}");
}

#[test]
fn eight_bits_take_a_byte_a_number() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_file(&path);
    let device = Default::default();
    let layer = LinearConfig::new(SIDES[0], SIDES[1]).with_bias(false);
    let net = Net::<Flex> {
        layers: (0..LAYERS).map(|_| layer.init(&device)).collect(),
    };
    let network = LAYERS * ELEMENTS;
    let (result, peak) = peak_of(|| {
        let file = pollster::block_on(Weights::open(path.to_str().unwrap(), &mut |_, _| {}))?;
        pollster::block_on(file.load_with(net, WeightType::Int8, &mut |_, _| {}))
    });
    let (net, report) = result.unwrap();
    assert_eq!(report.loaded, LAYERS);
    println!("{peak} bytes for {network} numbers");
    // A tensor is 0.5 MB, there up to three times: in the order of the file, turned round, as words. A block is 6 MB.
    assert!(peak > network && peak < network + 12 * MB, "{peak}");

    // What computes, counts and copies leaves nothing unpacked behind, and has one weight at a time.
    let x = Tensor::<Flex, 2>::ones([4, SIDES[0]], &device);
    let (sums, peak) = peak_of(|| {
        let layers = net.clone().layers;
        assert_eq!(Numbers::of(&net).packable, network);
        let products = layers.iter().map(|layer| layer.apply(x.clone()).sum());
        products.map(Tensor::into_scalar).collect::<Vec<f32>>()
    });
    assert!(sums.iter().all(|sum| sum.is_finite()));
    println!("{peak} bytes to compute with it");
    assert!(peak > 4 * ELEMENTS && peak < 10 * ELEMENTS, "{peak}");
}

#[test]
fn converting_takes_a_few_blocks() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_file(&path);
    for kept in [Kept::F16, Kept::F32, Kept::Int8] {
        let options = Options {
            kept,
            shard_size: 10 * MB as u64,
            overwrite: true,
        };
        let out = dir.path().join("out");
        let (result, peak) = peak_of(|| convert(&path, &out, &options, &mut |_, _, _| Ok(())));
        let summary = result.unwrap();
        assert_eq!(summary[0].tensors, LAYERS);
        println!("{kept:?}: {peak} bytes");
        // Neither the file's 42 MB nor a shard's 10.
        assert!(peak < 10 * MB, "{kept:?}: {peak}");
    }
}

#[test]
fn no_header_makes_large_allocations() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    const LENGTH: usize = 8 * MB;
    let many = |one: &dyn Fn(usize) -> String, begin: &str, end: &str| {
        let mut text = begin.to_owned();
        for i in 0.. {
            let next = one(i);
            if text.len() + next.len() + end.len() > LENGTH {
                break;
            }
            text.push_str(&next);
        }
        text.pop();
        text + end
    };
    let zeros = |_| "0,".to_owned();
    let headers = [
        many(
            &zeros,
            r#"{"a":{"dtype":"F32","shape":["#,
            r#"],"data_offsets":[0,0]}}"#,
        ),
        many(
            &zeros,
            r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":["#,
            "]}}",
        ),
        many(&zeros, r#"{"a":["#, "]}"),
        many(&zeros, r#"{"__metadata__":["#, "]}"),
        many(&|_| r#""a":{},"#.to_owned(), r#"{"a":{"x":{"#, "}}}"),
        many(
            &|i| format!(r#""{i:x}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},"#),
            "{",
            "}",
        ),
        many(&|_| "a ".to_owned(), r#"{"a":{"dtype":""#, r#""}}"#),
    ];
    for header in &headers {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        let (_, peak) = peak_of(|| parse_header("some/file", &bytes));
        assert!(peak < 10 * LENGTH, "{peak} for {}", &header[..60]);
    }
    let indices = [
        many(&zeros, r#"{"weight_map":["#, "]}"),
        many(&zeros, r#"{"metadata":["#, r#"],"weight_map":{}}"#),
        many(
            &|i| format!(r#""{i:x}":"{}.safetensors","#, i % 900),
            r#"{"weight_map":{"#,
            "}}",
        ),
        many(
            &|i| format!(r#""{i:x}":"{i}.safetensors","#),
            r#"{"weight_map":{"#,
            "}}",
        ),
    ];
    for index in &indices {
        let (_, peak) = peak_of(|| parse_index("some/index", index.as_bytes()));
        assert!(peak < 10 * LENGTH, "{peak} for {}", &index[..60]);
    }
    // What is claimed is not what is allocated.
    for claimed in [u64::MAX, 1 << 40, 16_000_000] {
        let mut bytes = claimed.to_le_bytes().to_vec();
        bytes.extend(b"{}");
        let (result, peak) = peak_of(|| parse_header("some/file", &bytes));
        assert!(result.is_err() && peak < MB / 100, "{peak}");
    }
}

/// `TMPDIR=/where/there/is/room cargo test --release --test weights_memory -- --ignored --nocapture`
#[test]
#[ignore = "writes 3 GB, takes 6 GB of memory and some minutes"]
fn the_published_unet_in_half_precision() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("diffusion_pytorch_model.safetensors");
    let list = include_str!("../../../tests/goldens/svd_unet_tensors.json");
    let list: Vec<(String, Vec<usize>)> = serde_json::from_str(list).unwrap();
    let count = |(_, shape): &(String, Vec<usize>)| shape.iter().product();
    let elements: Vec<usize> = list.iter().map(count).collect();
    write_random(&path, list).unwrap();
    let network = 4 * elements.iter().sum::<usize>();
    let largest = 4 * elements.iter().max().unwrap();

    let unet = UNetConfig::default().init::<Flex>(&Default::default());
    let (result, peak) = peak_of(|| {
        let file = pollster::block_on(Weights::open(path.to_str().unwrap(), &mut |_, _| {}))?;
        file.load(unet.unwrap())
    });
    let (unet, report) = result.unwrap();
    assert_eq!(report.loaded, elements.len());
    println!(
        "loading: {} MB besides the network's {} MB; the largest tensor has {} MB",
        (peak - network) / MB,
        network / MB,
        largest / MB
    );
    println!("resident at most: {}", most_resident());
    assert!(peak - network < largest * 12 / 10 + (1 << 30));
    drop(unet);
    let unet = UNetConfig::default().init::<Flex>(&Default::default());
    let (result, peak) = peak_of(|| {
        let file = pollster::block_on(Weights::open(path.to_str().unwrap(), &mut |_, _| {}))?;
        let mut progress = |_, _| {};
        pollster::block_on(file.load_with(unet.unwrap(), WeightType::Int8, &mut progress))
    });
    let unet = result.unwrap().0;
    let numbers = Numbers::of(&unet);
    println!(
        "in 8 bits: {} MB at most for {} MB; {} of {} numbers are packed",
        peak / MB,
        numbers.bytes(WeightType::Int8, FloatDType::F32) / MB,
        numbers.packable,
        numbers.all
    );
    assert!(peak < 1_800 * MB);
    drop(unet);

    for kept in [Kept::F16, Kept::Int8] {
        let options = Options {
            kept,
            shard_size: 64_000_000,
            overwrite: true,
        };
        let out = dir.path().join("out");
        let (result, peak) = peak_of(|| convert(&path, &out, &options, &mut |_, _, _| Ok(())));
        let summary = result.unwrap();
        println!(
            "{kept:?}: {} MB; {} files of {} MB together",
            peak / MB,
            summary[0].files,
            summary[0].after / MB as u64
        );
        assert!(peak < largest * 12 / 10 + (1 << 30));
    }
}

/// The most memory this process has had, as Linux counts it.
fn most_resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    line.unwrap_or("unknown here").to_owned()
}
