//! Weights that are held in 8 bits: what is unpacked is what the file says, layers compute what their weights allow, and nobody
//! keeps what was unpacked.
#![cfg(not(target_family = "wasm"))]

use burn::backend::{Autodiff, Flex};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, ElementConversion, FloatDType, Tensor};
use dragentity_networks::nn::layers::{Affine, Convolution};
use dragentity_networks::nn::packed::weight;
use dragentity_networks::nn::{TemporalConv, TemporalConvConfig};
use dragentity_networks::svd::unet::UNetConfig;
use dragentity_networks::weights::convert::{Kept, Options, convert};
use dragentity_networks::weights::{
    Numbers, Precision, WeightType, Weights, save_bytes, tensor_list, write_random,
};
use dragentity_testkit::{on_each_backend, parameter, picture, safetensors_file};
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// Each kind of layer that unpacks, with rows and numbers of rows that four does not divide, and what stays as it is.
#[derive(Module, Debug)]
struct Net<B: Backend> {
    /// An edge of the network by its name.
    conv_in: Conv2d<B>,
    conv: Conv2d<B>,
    shortcut: Conv2d<B>,
    temporal: TemporalConv<B>,
    linear: Linear<B>,
    small: Linear<B>,
}

const PACKED: [&str; 4] = [
    "conv.weight",
    "linear.weight",
    "shortcut.weight",
    "temporal.weight",
];

fn net<B: Backend>(device: &B::Device) -> Net<B> {
    let conv = |channels, side| Conv2dConfig::new(channels, [side, side]);
    let around = PaddingConfig2d::Explicit(1, 1, 1, 1);
    Net {
        conv_in: conv([21, 35], 3).with_padding(around.clone()).init(device),
        conv: conv([35, 33], 3).with_padding(around).init(device),
        shortcut: conv([33, 127], 1).init(device),
        temporal: TemporalConvConfig::new(127, 51).init(device),
        linear: LinearConfig::new(51, 101).init(device),
        small: LinearConfig::new(101, 7).init(device),
    }
}

/// The synthetic parameters of `module`, in half precision as published files are.
fn tensors<B: Backend, M: Module<B>>(module: &M) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let listed = tensor_list(module).into_iter();
    let half = |value| f16::from_f32(value).to_f32();
    listed
        .map(|(name, shape)| {
            let values = parameter(&name, &shape).into_iter().map(half).collect();
            (name, shape, values)
        })
        .collect()
}

fn file<B: Backend>(module: &Net<B>) -> Weights {
    Weights::from_bytes("some/file", safetensors_file(&tensors(module))).unwrap()
}

fn load<B: Backend, M: Module<B>>(weights: &Weights, module: M, held: WeightType) -> M {
    let mut progress = |_, _| {};
    let loading = weights.load_with(module, held, &mut progress);
    pollster::block_on(loading).unwrap().0
}

/// What `convert --dtype int8` makes of `weights`, which are written to `dir`.
fn converted<B: Backend>(module: &Net<B>, dir: &Path) -> Weights {
    let source = dir.join("model.safetensors");
    std::fs::write(&source, safetensors_file(&tensors(module))).unwrap();
    let options = Options {
        kept: Kept::Int8,
        shard_size: 1 << 30,
        overwrite: false,
    };
    let dest = dir.join("small");
    let made = convert(&source, &dest, &options, &mut |_, _, _| Ok(())).unwrap();
    let kept: Vec<&str> = made[0].errors.iter().map(|(name, _)| &**name).collect();
    assert_eq!(kept, PACKED);
    let file = dest.join("model.safetensors");
    pollster::block_on(Weights::open(file.to_str().unwrap(), &mut |_, _| {})).unwrap()
}

/// The numbers of every packed weight of `net`, in the order of [`PACKED`].
fn unpacked<B: Backend>(net: &Net<B>) -> [Vec<f32>; 4] {
    fn numbers<B: Backend, const D: usize>(param: &Param<Tensor<B, D>>) -> Vec<f32> {
        let data = weight(param).into_data();
        data.convert::<f32>().into_vec().unwrap()
    }
    [
        numbers(&net.conv.weight),
        numbers(&net.linear.weight),
        numbers(&net.shortcut.weight),
        numbers(&net.temporal.weight),
    ]
}

/// What a file in 8 bits says, number by number, is what the device unpacks, by whichever writing of it; and it is the same
/// whether the file has 8 bits already or the loader makes them.
fn unpacking_is_exact<B: Backend>(device: &B::Device) {
    let dir = tempfile::tempdir().unwrap();
    let small = converted(&net::<B>(device), dir.path());
    let [from_small, from_half] = [&small, &file(&net::<B>(device))]
        .map(|weights| unpacked(&load(weights, net::<B>(device), WeightType::Int8)));
    assert_eq!(from_small, from_half);
    let computes = WeightType::Int8.computes::<B>(device);
    for (name, found) in PACKED.iter().zip(&from_small) {
        let (values, shape) = small.read(name).unwrap();
        let rounded = |value: f32| match computes {
            FloatDType::F16 => f16::from_f32(value).to_f32(),
            _ => value,
        };
        let [rows, row] = [shape[0], shape[1..].iter().product()];
        let want: Vec<f32> = match *name {
            "linear.weight" => (0..rows * row)
                .map(|i| rounded(values[i % rows * row + i / rows]))
                .collect(),
            _ => values.into_iter().map(rounded).collect(),
        };
        assert!(*found == want, "{name}");
    }
}

/// A layer in 8 bits is off by as much as its rounding says, and no more.
///
/// A row whose largest magnitude is `m` has steps of `m / 127`, so that its numbers are off by a uniform error of deviation
/// `m / (127 sqrt(12))`, independent of the inputs: of a product, relative to it, that is this over the root mean square of the
/// row. Of uniform weights the square root of 3 remains of the ratio, and the whole is 1 / 254, or 0.39 %.
fn layers_are_off_by_their_rounding<B: Backend>(device: &B::Device) {
    let weights = file(&net::<B>(device));
    let whole = load(&weights, net::<B>(device), WeightType::default());
    let packed = load(&weights, net::<B>(device), WeightType::Int8);
    let computes = WeightType::Int8.computes::<B>(device);
    let random = |shape| Tensor::<B, 4>::random(shape, Distribution::Default, device) - 0.5;
    let half = |x: Tensor<B, 4>| x.cast(computes);
    let check = |name: &str, whole: Tensor<B, 4>, packed: Tensor<B, 4>| {
        let packed = packed.cast(FloatDType::F32);
        let mean = |x: Tensor<B, 4>| x.powi_scalar(2).mean().into_scalar();
        let (size, error) = (mean(whole.clone()), mean(whole - packed));
        let (size, error): (f64, f64) = (size.elem(), error.elem());
        let (values, shape) = weights.read(name).unwrap();
        let rows = values.chunks(values.len() / shape[0]);
        let (mut rounding, mut squares) = (0.0, 0.0);
        for row in rows {
            let largest = row.iter().fold(0f32, |m, v| m.max(v.abs()));
            let step = f64::from(largest) / 127.0;
            rounding += step * step / 12.0 * row.len() as f64;
            squares += row.iter().map(|v| f64::from(v * v)).sum::<f64>();
        }
        let ratio = (error / size / (rounding / squares)).sqrt();
        println!("{name}: {ratio} of the error expected");
        // The bias makes products larger, which is little of them here.
        assert!((0.9..1.1).contains(&ratio), "{name}: {ratio}");
    };
    let x = random([6, 35, 9, 8]);
    let apply = |conv: &Conv2d<B>, x| conv.apply(x);
    check(
        PACKED[0],
        apply(&whole.conv, x.clone()),
        apply(&packed.conv, half(x)),
    );
    let x = random([6, 33, 9, 8]);
    check(
        PACKED[2],
        apply(&whole.shortcut, x.clone()),
        apply(&packed.shortcut, half(x)),
    );
    let x = random([6, 127, 9, 8]);
    check(
        PACKED[3],
        whole.temporal.forward(x.clone(), 3),
        packed.temporal.forward(half(x), 3),
    );
    let x = random([3, 7, 50, 51]);
    check(
        PACKED[1],
        whole.linear.apply(x.clone()),
        packed.linear.apply(half(x)),
    );
    // What is not packed is the same, but for the type computed in.
    if computes == FloatDType::F32 {
        let x = random([2, 21, 9, 8]);
        let [a, b] =
            [&whole.conv_in, &packed.conv_in].map(|conv| conv.apply(x.clone()).into_data());
        assert_eq!(a, b);
    }
}

on_each_backend!(unpacking_is_exact, layers_are_off_by_their_rounding);

/// The same by Burn's operations alone, which are for backends that have neither of the kernels.
#[test]
fn by_operations() {
    unpacking_is_exact::<Autodiff<Flex>>(&Default::default());
    layers_are_off_by_their_rounding::<Autodiff<Flex>>(&Default::default());
}

#[test]
fn what_is_counted_and_saved_is_the_whole_network() {
    let device = Default::default();
    let packed = load(
        &file(&net::<Flex>(&device)),
        net::<Flex>(&device),
        WeightType::Int8,
    );
    let whole = net::<Flex>(&device);
    assert_eq!(tensor_list(&packed), tensor_list(&whole));
    let numbers = Numbers::of(&packed);
    assert_eq!(numbers, Numbers::of(&whole));
    let packable = 35 * 33 * 9 + 33 * 127 + 127 * 51 * 3 + 51 * 101;
    assert_eq!(numbers.packable, packable);
    let bytes = numbers.bytes(WeightType::Int8, FloatDType::F16);
    assert_eq!(bytes, packable + 2 * (numbers.all - packable));

    let saved = save_bytes("saved", &packed, Precision::F32).unwrap();
    let saved = Weights::from_bytes("saved", saved).unwrap();
    let again = load(&saved, net::<Flex>(&device), WeightType::Int8);
    // A row that was quantised has its largest number on a step, so that it is quantised to the same again.
    assert_eq!(unpacked(&again), unpacked(&packed));
}

#[derive(Module, Debug)]
struct One<B: Backend> {
    linear: Linear<B>,
}

#[test]
fn damaged_scales_are_named_with_their_tensor() {
    let refused = |scales: Option<&[f32]>, part: &str| {
        let numbers: Vec<u8> = (0..64 * 64).map(|i| (i % 251) as u8).collect();
        let scale_bytes: Vec<u8> = scales
            .iter()
            .copied()
            .flatten()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        let mut views = vec![(
            "linear.weight",
            TensorView::new(Dtype::I8, vec![64, 64], &numbers).unwrap(),
        )];
        if let Some(scales) = scales {
            let view = TensorView::new(Dtype::F32, vec![scales.len()], &scale_bytes).unwrap();
            views.push(("linear.weight.scale", view));
        }
        let bytes = safetensors::serialize(views, None).unwrap();
        let loaded = Weights::from_bytes("some/file", bytes).and_then(|weights| {
            let linear = LinearConfig::new(64, 64)
                .with_bias(false)
                .init(&Default::default());
            let mut progress = |_, _| {};
            let one = One::<Flex> { linear };
            pollster::block_on(weights.load_with(one, WeightType::Int8, &mut progress))
        });
        let said = loaded.map(drop).unwrap_err().to_string();
        for part in [
            "some/file",
            "linear.weight",
            "convert the model again",
            part,
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    };
    let mut scales = [0.01; 64];
    refused(None, "linear.weight.scale");
    refused(Some(&scales[1..]), "[63]");
    scales[3] = f32::NAN;
    refused(Some(&scales), "NaN for row 3");
    scales[3] = f32::INFINITY;
    refused(Some(&scales), "inf for row 3");
}

/// Processor time that this process has taken, as Linux counts it: others on the machine leave it as it is.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may hold anything, within brackets.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// `TMPDIR=/where/there/is/room cargo test -p dragentity-networks --test packed -- --ignored --nocapture`
#[test]
#[ignore = "writes 3 GB, takes 7 GB of memory and some minutes"]
fn the_published_unet_in_8_bits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let device = Default::default();
    let init = || UNetConfig::default().init::<Flex>(&device).unwrap();
    write_random(&path, tensor_list(&init())).unwrap();
    let weights =
        pollster::block_on(Weights::open(path.to_str().unwrap(), &mut |_, _| {})).unwrap();
    let run = |held: WeightType| {
        let started = processor_seconds();
        let unet = load(&weights, init(), held);
        let loaded = processor_seconds() - started;
        let input = |name, shape| picture::<Flex, 5>(name, shape, &device);
        let forward = || {
            let context = input("context", [1, 1, 1, 1, 1024]).reshape([1, 1, 1024]);
            let ids = Tensor::from_data([[6.0f32, 127.0, 0.02]], &device);
            let sample = input("sample", [1, 2, 8, 8, 8]);
            let timestep = Tensor::from_data([0.9f32], &device);
            unet.forward(sample, timestep, context, ids, None)
        };
        drop(forward().into_data());
        let started = processor_seconds();
        let output = forward().into_data();
        let pass = processor_seconds() - started;
        println!("{held}: {loaded:.1} s of processor time to load, {pass:.1} s for a pass");
        output.into_vec::<f32>().unwrap()
    };
    // Each by itself: the first is dropped before the second is loaded.
    let [whole, packed] = [WeightType::default(), WeightType::Int8].map(run);
    let square =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v * v)).sum::<f64>();
    let size = square(&mut whole.iter().copied());
    let error = square(&mut whole.iter().zip(&packed).map(|(a, b)| a - b));
    let relative = (error / size).sqrt();
    println!("relative error {:.2} %", 100.0 * relative);
    assert!(relative > 0.0 && relative < 0.1, "{relative}");
}
