//! Self-Correction for Human Parsing (Li et al., 2020): CE2P's network (Ruan et al., "Devil in the Details", 2019), a
//! dilated ResNet with a pyramid of poolings, an edge branch and a branch that joins both, which gives LIP's labels
//! ([`dragentity_core::scene::lip`]).
//!
//! The names are those of the public checkpoint `exp-schp-201908261155-lip.pth`, with what is a number there because it
//! stood in a `Sequential` named by [`tensor_name`].

use crate::fields::Fields;
use crate::nn::batch_norm::FrozenBatchNorm;
use crate::nn::layers::Convolution;
use crate::weights::Weights;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::{leaky_relu, relu};
use burn::tensor::module::{adaptive_avg_pool2d, interpolate, max_pool2d};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::lip::LABELS;

/// Side of the pictures that the network was trained on.
pub const SIDE: usize = 473;
/// Means and deviations of blue, green and red, 0..1, in this order.
pub const MEAN: [f32; 3] = [0.406, 0.456, 0.485];
/// See [`MEAN`].
pub const DEVIATION: [f32; 3] = [0.225, 0.224, 0.229];
/// Sides of the poolings.
const POOLS: [usize; 4] = [1, 2, 3, 6];
/// Of all batch norms.
const EPSILON: f64 = 1e-5;
/// Slope of what follows the batch norms of the heads, below zero.
const SLOPE: f64 = 0.01;
/// Bounds of sizes that are not taken for garbled.
const MOST: usize = 1 << 12;
const MOST_LAYERS: usize = 64;

/// Sizes of a [`Schp`]; the default is the published one.
#[derive(Clone, Debug, PartialEq)]
pub struct SchpConfig {
    /// Channels of the first convolutions.
    pub stem: [usize; 2],
    /// Inner channels of the blocks; they give four times as many.
    pub planes: [usize; 4],
    /// Blocks of each stage.
    pub layers: [usize; 4],
    /// Channels of the pyramid.
    pub context: usize,
    /// Channels of the branches.
    pub head: usize,
    /// Channels that the decoder takes from the first stage.
    pub low: usize,
}

impl Default for SchpConfig {
    fn default() -> Self {
        Self {
            stem: [64, 128],
            planes: [64, 128, 256, 512],
            layers: [3, 4, 23, 3],
            context: 512,
            head: 256,
            low: 48,
        }
    }
}

/// Convolution without bias, then batch norm.
#[derive(Module, Debug)]
pub struct ConvNorm<B: Backend> {
    /// Without a bias.
    pub conv: Conv2d<B>,
    /// After it.
    pub norm: FrozenBatchNorm<B>,
}

impl<B: Backend> ConvNorm<B> {
    fn new(channels: [usize; 2], side: usize, stride: usize, device: &B::Device) -> Self {
        Self {
            conv: conv(channels, side, stride, 1, device),
            norm: FrozenBatchNorm::new(channels[1], EPSILON, device),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.norm.forward(self.conv.apply(x))
    }

    /// With the leaky ReLU of the heads.
    fn activated(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        leaky_relu(self.forward(x), SLOPE)
    }
}

fn conv<B: Backend>(
    channels: [usize; 2],
    side: usize,
    stride: usize,
    dilation: usize,
    device: &B::Device,
) -> Conv2d<B> {
    let pad = dilation * (side / 2);
    Conv2dConfig::new(channels, [side, side])
        .with_stride([stride, stride])
        .with_dilation([dilation, dilation])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .init(device)
}

/// A 1x1 convolution, or a 3x3 one, with bias.
fn classifier<B: Backend>(channels: [usize; 2], side: usize, device: &B::Device) -> Conv2d<B> {
    let pad = side / 2;
    Conv2dConfig::new(channels, [side, side])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .init(device)
}

/// Bilinear, corners upon corners.
fn scaled<B: Backend>(x: Tensor<B, 4>, [height, width]: [usize; 2]) -> Tensor<B, 4> {
    let [n, c, h, w] = x.dims();
    if h == 1 && w == 1 {
        return x.expand([n, c, height, width]);
    }
    let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(true);
    interpolate(x, [height, width], options)
}

/// A residual block of three convolutions.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "the checkpoint's names say what they are")]
pub struct Bottleneck<B: Backend> {
    pub conv1: Conv2d<B>,
    pub bn1: FrozenBatchNorm<B>,
    pub conv2: Conv2d<B>,
    pub bn2: FrozenBatchNorm<B>,
    pub conv3: Conv2d<B>,
    pub bn3: FrozenBatchNorm<B>,
    pub downsample: Option<ConvNorm<B>>,
}

impl<B: Backend> Bottleneck<B> {
    fn new(from: usize, planes: usize, stride: usize, dilation: usize, device: &B::Device) -> Self {
        let to = 4 * planes;
        let norm = |c| FrozenBatchNorm::new(c, EPSILON, device);
        Self {
            conv1: conv([from, planes], 1, 1, 1, device),
            bn1: norm(planes),
            conv2: conv([planes, planes], 3, stride, dilation, device),
            bn2: norm(planes),
            conv3: conv([planes, to], 1, 1, 1, device),
            bn3: norm(to),
            downsample: (stride != 1 || from != to)
                .then(|| ConvNorm::new([from, to], 1, stride, device)),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let y = relu(self.bn1.forward(self.conv1.apply(x.clone())));
        let y = relu(self.bn2.forward(self.conv2.apply(y)));
        let y = self.bn3.forward(self.conv3.apply(y));
        let x = match &self.downsample {
            Some(down) => down.forward(x),
            None => x,
        };
        relu(x + y)
    }
}

/// Means over the picture, over its quarters and so on, beside the features.
#[derive(Module, Debug)]
pub struct PspModule<B: Backend> {
    /// One for each side that the features are pooled to: 1, 2, 3 and 6.
    pub stages: Vec<ConvNorm<B>>,
    /// Of all together.
    pub bottleneck: ConvNorm<B>,
}

impl<B: Backend> PspModule<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, height, width] = x.dims();
        let mut all: Vec<Tensor<B, 4>> = self
            .stages
            .iter()
            .zip(POOLS)
            .map(|(stage, side)| {
                let pooled = adaptive_avg_pool2d(x.clone(), [side, side]);
                scaled(stage.activated(pooled), [height, width])
            })
            .collect();
        all.push(x);
        self.bottleneck.activated(Tensor::cat(all, 1))
    }
}

/// Where parts border on each other.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "the checkpoint's names say what they are")]
pub struct EdgeModule<B: Backend> {
    pub conv1: ConvNorm<B>,
    pub conv2: ConvNorm<B>,
    pub conv3: ConvNorm<B>,
    pub conv4: Conv2d<B>,
    pub conv5: Conv2d<B>,
}

impl<B: Backend> EdgeModule<B> {
    /// Features of edges; their map itself (`conv4` and `conv5`) serves training only.
    fn forward(&self, levels: [Tensor<B, 4>; 3]) -> Tensor<B, 4> {
        let [_, _, height, width] = levels[0].dims();
        let convs = [&self.conv1, &self.conv2, &self.conv3];
        let features = levels.into_iter().zip(convs);
        let features = features.map(|(x, conv)| scaled(conv.activated(x), [height, width]));
        Tensor::cat(features.collect(), 1)
    }
}

/// The parsing branch.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "the checkpoint's names say what they are")]
pub struct DecoderModule<B: Backend> {
    pub conv1: ConvNorm<B>,
    pub conv2: ConvNorm<B>,
    pub conv3: Vec<ConvNorm<B>>,
    pub conv4: Conv2d<B>,
}

impl<B: Backend> DecoderModule<B> {
    /// Features; their own labels (`conv4`) serve training only.
    fn forward(&self, context: Tensor<B, 4>, low: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, height, width] = low.dims();
        let context = scaled(self.conv1.activated(context), [height, width]);
        let x = Tensor::cat(vec![context, self.conv2.activated(low)], 1);
        self.conv3.iter().fold(x, |x, conv| conv.activated(x))
    }
}

/// Labels of both branches' features.
#[derive(Module, Debug)]
pub struct Fusion<B: Backend> {
    /// Of both branches.
    pub reduce: ConvNorm<B>,
    /// To logits.
    pub classify: Conv2d<B>,
}

/// The network (`AugmentCE2P`); made by [`SchpConfig::init`].
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "the checkpoint's names say what they are")]
pub struct Schp<B: Backend> {
    pub conv1: Conv2d<B>,
    pub bn1: FrozenBatchNorm<B>,
    pub conv2: Conv2d<B>,
    pub bn2: FrozenBatchNorm<B>,
    pub conv3: Conv2d<B>,
    pub bn3: FrozenBatchNorm<B>,
    pub layer1: Vec<Bottleneck<B>>,
    pub layer2: Vec<Bottleneck<B>>,
    pub layer3: Vec<Bottleneck<B>>,
    pub layer4: Vec<Bottleneck<B>>,
    pub context_encoding: PspModule<B>,
    pub edge: EdgeModule<B>,
    pub decoder: DecoderModule<B>,
    pub fushion: Fusion<B>,
}

impl SchpConfig {
    /// Checks that the network can be built; `name` is what the error calls it.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn validate(&self, name: &str) -> Result<()> {
        let fields = Fields::of(name);
        for (field, value) in [
            ("context", self.context),
            ("head", self.head),
            ("low", self.low),
        ] {
            fields.within(field, value, 1..=MOST)?;
        }
        fields.all_within("stem", &self.stem, 1..=MOST)?;
        fields.all_within("planes", &self.planes, 1..=MOST)?;
        fields.all_within("layers", &self.layers, 1..=MOST_LAYERS)
    }

    /// The network with fresh weights.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Schp<B>> {
        self.validate("SCHP")?;
        let [stem, inputs] = self.stem;
        let norm = |c| FrozenBatchNorm::new(c, EPSILON, device);
        let stage = |index: usize, stride: usize, dilation: usize| -> Vec<Bottleneck<B>> {
            let planes = self.planes[index];
            let from = match index {
                0 => inputs,
                _ => 4 * self.planes[index - 1],
            };
            (0..self.layers[index])
                .map(|layer| {
                    let (from, stride) = if layer == 0 {
                        (from, stride)
                    } else {
                        (4 * planes, 1)
                    };
                    Bottleneck::new(from, planes, stride, dilation, device)
                })
                .collect()
        };
        let (context, head, low) = (self.context, self.head, self.low);
        let levels = self.planes.map(|planes| 4 * planes);
        let one = |from, to| ConvNorm::new([from, to], 1, 1, device);
        Ok(Schp {
            conv1: conv([3, stem], 3, 2, 1, device),
            bn1: norm(stem),
            conv2: conv([stem, stem], 3, 1, 1, device),
            bn2: norm(stem),
            conv3: conv([stem, inputs], 3, 1, 1, device),
            bn3: norm(inputs),
            layer1: stage(0, 1, 1),
            layer2: stage(1, 2, 1),
            layer3: stage(2, 2, 1),
            layer4: stage(3, 1, 2),
            context_encoding: PspModule {
                stages: POOLS.iter().map(|_| one(levels[3], context)).collect(),
                bottleneck: ConvNorm::new(
                    [levels[3] + POOLS.len() * context, context],
                    3,
                    1,
                    device,
                ),
            },
            edge: EdgeModule {
                conv1: one(levels[0], head),
                conv2: one(levels[1], head),
                conv3: one(levels[2], head),
                conv4: classifier([head, 2], 3, device),
                conv5: classifier([6, 2], 1, device),
            },
            decoder: DecoderModule {
                conv1: one(context, head),
                conv2: one(levels[0], low),
                conv3: vec![one(head + low, head), one(head, head)],
                conv4: classifier([head, LABELS], 1, device),
            },
            fushion: Fusion {
                reduce: one(4 * head, head),
                classify: classifier([head, LABELS], 1, device),
            },
        })
    }

    /// Opens the public weights: the checkpoint itself, or safetensors.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Io`].
    pub async fn load<B: Backend>(location: &str, device: &B::Device) -> Result<Schp<B>> {
        let fail = |reason: &str| Error::Model {
            name: location.to_owned(),
            reason: reason.to_owned(),
        };
        let weights = Weights::open(location, &mut |_, _| {}).await?;
        let weights = weights.renamed(tensor_name);
        let labels = weights
            .tensors()
            .find(|(name, _)| *name == "fushion.classify.weight");
        match labels.map(|(_, info)| info.shape.first()) {
            Some(Some(&LABELS)) => {}
            Some(_) => {
                return Err(fail(
                    "this network gives other labels than LIP's 20; take exp-schp-201908261155-lip.pth (docs/src/parts.md)",
                ));
            }
            None => {
                return Err(fail(
                    "this is not SCHP's network; take exp-schp-201908261155-lip.pth (docs/src/parts.md)",
                ));
            }
        }
        Ok(weights.load(Self::default().init(device)?)?.0)
    }
}

/// What a tensor of the public checkpoint is called here; `None` for what only training needs.
pub fn tensor_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("module.").unwrap_or(name);
    if name.ends_with(".num_batches_tracked") {
        return None;
    }
    const CONV_NORMS: [&str; 7] = [
        ".downsample.",
        "context_encoding.bottleneck.",
        "edge.conv1.",
        "edge.conv2.",
        "edge.conv3.",
        "decoder.conv1.",
        "decoder.conv2.",
    ];
    let replaced = |from: &str, to: &str| name.contains(from).then(|| name.replace(from, to));
    for prefix in CONV_NORMS {
        for (number, called) in [("0.", "conv."), ("1.", "norm.")] {
            if let Some(new) = replaced(&format!("{prefix}{number}"), &format!("{prefix}{called}"))
            {
                return Some(new);
            }
        }
    }
    for (number, called) in [
        ("fushion.0.", "fushion.reduce.conv."),
        ("fushion.1.", "fushion.reduce.norm."),
        ("fushion.3.", "fushion.classify."),
        ("decoder.conv3.0.", "decoder.conv3.0.conv."),
        ("decoder.conv3.1.", "decoder.conv3.0.norm."),
        ("decoder.conv3.2.", "decoder.conv3.1.conv."),
        ("decoder.conv3.3.", "decoder.conv3.1.norm."),
    ] {
        if let Some(rest) = name.strip_prefix(number) {
            return Some(format!("{called}{rest}"));
        }
    }
    for stage in 0..POOLS.len() {
        let prefix = format!("context_encoding.stages.{stage}.");
        for (number, called) in [("1.", "conv."), ("2.", "norm.")] {
            if let Some(new) = replaced(&format!("{prefix}{number}"), &format!("{prefix}{called}"))
            {
                return Some(new);
            }
        }
    }
    Some(name.to_owned())
}

impl<B: Backend> Schp<B> {
    /// Logits of LIP's labels, `[n, LABELS, height / 4, width / 4]`, rounded up.
    ///
    /// # Shapes
    /// - `x`: `[n, 3, height, width]`, blue, green and red, by [`MEAN`] and [`DEVIATION`]
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = relu(self.bn1.forward(self.conv1.apply(x)));
        let x = relu(self.bn2.forward(self.conv2.apply(x)));
        let x = relu(self.bn3.forward(self.conv3.apply(x)));
        let x = max_pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1], false);
        let run = |x: Tensor<B, 4>, blocks: &[Bottleneck<B>]| {
            blocks.iter().fold(x, |x, block| block.forward(x))
        };
        let x2 = run(x, &self.layer1);
        let x3 = run(x2.clone(), &self.layer2);
        let x4 = run(x3.clone(), &self.layer3);
        let x5 = run(x4.clone(), &self.layer4);
        let context = self.context_encoding.forward(x5);
        let parsing = self.decoder.forward(context, x2.clone());
        let edges = self.edge.forward([x2, x3, x4]);
        let both = Tensor::cat(vec![parsing, edges], 1);
        let x = self.fushion.reduce.activated(both);
        self.fushion.classify.apply(x)
    }

    /// [`Self::forward`] at the size of `x`, as the published program scales it.
    pub fn labels(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, height, width] = x.dims();
        scaled(self.forward(x), [height, width])
    }
}
