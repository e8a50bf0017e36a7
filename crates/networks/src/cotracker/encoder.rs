//! The features that CoTracker compares (`fnet`): four levels of residual blocks, brought to one size.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};

/// Of every instance norm.
const EPSILON: f64 = 1e-5;

/// Each channel of each picture with mean 0 and deviation 1; there is nothing to learn in it.
fn instance_norm<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, c, h, w] = x.dims();
    let rows = x.reshape([n * c, h * w]);
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    (centred / (variance + EPSILON).sqrt()).reshape([n, c, h, w])
}

fn conv<B: Backend>(
    channels: [usize; 2],
    side: usize,
    stride: usize,
    device: &B::Device,
) -> Conv2d<B> {
    let pad = side / 2;
    Conv2dConfig::new(channels, [side, side])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .init(device)
}

/// Two convolutions with instance norms beside the identity, or beside a 1x1 convolution where the size changes.
#[derive(Module, Debug)]
pub struct ResidualBlock<B: Backend> {
    conv1: Conv2d<B>,
    conv2: Conv2d<B>,
    /// One convolution (a norm without parameters follows it), or none.
    downsample: Option<Vec<Conv2d<B>>>,
}

impl<B: Backend> ResidualBlock<B> {
    fn new(from: usize, to: usize, stride: usize, device: &B::Device) -> Self {
        Self {
            conv1: conv([from, to], 3, stride, device),
            conv2: conv([to, to], 3, 1, device),
            downsample: (stride > 1).then(|| vec![conv([from, to], 1, stride, device)]),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let y = relu(instance_norm(self.conv1.forward(x.clone())));
        let y = relu(instance_norm(self.conv2.forward(y)));
        let x = match self.downsample.iter().flatten().next() {
            Some(conv) => instance_norm(conv.forward(x)),
            None => x,
        };
        relu(x + y)
    }
}

/// The encoder (`BasicEncoder`).
#[derive(Module, Debug)]
pub struct BasicEncoder<B: Backend> {
    conv1: Conv2d<B>,
    layer1: Vec<ResidualBlock<B>>,
    layer2: Vec<ResidualBlock<B>>,
    layer3: Vec<ResidualBlock<B>>,
    layer4: Vec<ResidualBlock<B>>,
    conv2: Conv2d<B>,
    conv3: Conv2d<B>,
}

impl<B: Backend> BasicEncoder<B> {
    /// With `width` channels in the result, a multiple of four.
    pub fn new(width: usize, device: &B::Device) -> Self {
        let widths = [width / 2, width / 4 * 3, width, width];
        let layer = |from: usize, to: usize, stride: usize| {
            vec![
                ResidualBlock::new(from, to, stride, device),
                ResidualBlock::new(to, to, 1, device),
            ]
        };
        let all = widths.iter().sum();
        Self {
            conv1: conv([3, width / 2], 7, 2, device),
            layer1: layer(width / 2, widths[0], 1),
            layer2: layer(widths[0], widths[1], 2),
            layer3: layer(widths[1], widths[2], 2),
            layer4: layer(widths[2], widths[3], 2),
            conv2: conv([all, 2 * width], 3, 1, device),
            conv3: conv([2 * width, width], 1, 1, device),
        }
    }

    /// Features at a quarter of the size.
    ///
    /// # Shapes
    /// - `x`: `[frames, 3, height, width]` in -1..1, sides multiples of 4
    /// - output: `[frames, width of the features, height / 4, width / 4]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, h, w] = x.dims();
        let mut x = relu(instance_norm(self.conv1.forward(x)));
        let mut levels = Vec::with_capacity(4);
        for layer in [&self.layer1, &self.layer2, &self.layer3, &self.layer4] {
            for block in layer {
                x = block.forward(x);
            }
            let options = InterpolateOptions::new(InterpolateMode::Bilinear);
            levels.push(interpolate(x.clone(), [h / 4, w / 4], options));
        }
        let x = self.conv2.forward(Tensor::cat(levels, 1));
        self.conv3.forward(relu(instance_norm(x)))
    }
}
