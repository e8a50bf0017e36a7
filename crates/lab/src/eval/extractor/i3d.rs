//! Inflated 3D ConvNet (Carreira and Zisserman, "Quo Vadis, Action Recognition?"), which the Frechet video distance
//! uses, under the names of the public PyTorch checkpoint of Kinetics-400 (`rgb_imagenet.pt`).

#![allow(non_snake_case, reason = "fields have the names of the file")]

use super::EPSILON;
use burn::module::Module;
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::{conv3d, interpolate, max_pool2d};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_networks::nn::batch_norm::FrozenBatchNorm;

/// Where `scripts/fetch-metrics --i3d` puts the weights, from the repository's root.
pub const WEIGHTS: &str = "assets/metrics/i3d-kinetics-400.safetensors";
/// Numbers that describe a video: the logits of Kinetics' classes.
pub const FEATURES: usize = 400;
/// Side of the frames that the network was trained on.
const SIDE: usize = 224;

/// Zeros before and after an axis, as TensorFlow's `SAME`.
fn same(size: usize, kernel: usize, stride: usize) -> [usize; 2] {
    let over = match size % stride {
        0 => stride,
        rest => rest,
    };
    let all = kernel.saturating_sub(over);
    [all / 2, all - all / 2]
}

/// Convolution, batch norm, ReLU.
#[derive(Module, Debug)]
pub struct Unit3D<B: Backend> {
    /// Without a bias.
    pub conv3d: Conv3d<B>,
    /// After it.
    pub bn: FrozenBatchNorm<B>,
}

impl<B: Backend> Unit3D<B> {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &B::Device) -> Self {
        Self {
            conv3d: Conv3dConfig::new(channels, [kernel; 3])
                .with_stride([stride; 3])
                .with_bias(false)
                .init(device),
            bn: FrozenBatchNorm::new(channels[1], EPSILON, device),
        }
    }

    fn forward(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let conv = &self.conv3d;
        let mut x = x;
        // Burn pads both ends alike; `SAME` may have one more at the end.
        let mut padding = [0; 3];
        for (axis, padding) in padding.iter_mut().enumerate() {
            let size = x.dims()[2 + axis];
            let [before, after] = same(size, conv.kernel_size[axis], conv.stride[axis]);
            *padding = before;
            x = padded(x, 2 + axis, [0, after - before]);
        }
        let options = ConvOptions::new(conv.stride, padding, [1; 3], 1);
        relu(self.bn.forward(conv3d(x, conv.weight.val(), None, options)))
    }
}

/// Four branches side by side.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "the names of the file")]
pub struct InceptionModule<B: Backend> {
    pub b0: Unit3D<B>,
    pub b1a: Unit3D<B>,
    pub b1b: Unit3D<B>,
    pub b2a: Unit3D<B>,
    pub b2b: Unit3D<B>,
    pub b3b: Unit3D<B>,
}

impl<B: Backend> InceptionModule<B> {
    fn new(c: usize, out: [usize; 6], device: &B::Device) -> Self {
        let unit = |channels, kernel| Unit3D::new(channels, kernel, 1, device);
        Self {
            b0: unit([c, out[0]], 1),
            b1a: unit([c, out[1]], 1),
            b1b: unit([out[1], out[2]], 3),
            b2a: unit([c, out[3]], 1),
            b2b: unit([out[3], out[4]], 3),
            b3b: unit([c, out[5]], 1),
        }
    }

    fn forward(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        Tensor::cat(
            vec![
                self.b0.forward(x.clone()),
                self.b1b.forward(self.b1a.forward(x.clone())),
                self.b2b.forward(self.b2a.forward(x.clone())),
                self.b3b.forward(max_pool(x, [3, 3], [1, 1])),
            ],
            1,
        )
    }
}

/// The last layer: one number for each class.
#[derive(Module, Debug)]
pub struct Logits<B: Backend> {
    /// 1 x 1 x 1.
    pub conv3d: Conv3d<B>,
}

/// The network.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "the names of the file")]
pub struct InceptionI3d<B: Backend> {
    pub Conv3d_1a_7x7: Unit3D<B>,
    pub Conv3d_2b_1x1: Unit3D<B>,
    pub Conv3d_2c_3x3: Unit3D<B>,
    pub Mixed_3b: InceptionModule<B>,
    pub Mixed_3c: InceptionModule<B>,
    pub Mixed_4b: InceptionModule<B>,
    pub Mixed_4c: InceptionModule<B>,
    pub Mixed_4d: InceptionModule<B>,
    pub Mixed_4e: InceptionModule<B>,
    pub Mixed_4f: InceptionModule<B>,
    pub Mixed_5b: InceptionModule<B>,
    pub Mixed_5c: InceptionModule<B>,
    pub logits: Logits<B>,
}

impl<B: Backend> InceptionI3d<B> {
    /// With fresh weights.
    pub fn new(device: &B::Device) -> Self {
        let mixed = |c, out| InceptionModule::new(c, out, device);
        Self {
            Conv3d_1a_7x7: Unit3D::new([3, 64], 7, 2, device),
            Conv3d_2b_1x1: Unit3D::new([64, 64], 1, 1, device),
            Conv3d_2c_3x3: Unit3D::new([64, 192], 3, 1, device),
            Mixed_3b: mixed(192, [64, 96, 128, 16, 32, 32]),
            Mixed_3c: mixed(256, [128, 128, 192, 32, 96, 64]),
            Mixed_4b: mixed(480, [192, 96, 208, 16, 48, 64]),
            Mixed_4c: mixed(512, [160, 112, 224, 24, 64, 64]),
            Mixed_4d: mixed(512, [128, 128, 256, 24, 64, 64]),
            Mixed_4e: mixed(512, [112, 144, 288, 32, 64, 64]),
            Mixed_4f: mixed(528, [256, 160, 320, 32, 128, 128]),
            Mixed_5b: mixed(832, [256, 160, 320, 32, 128, 128]),
            Mixed_5c: mixed(832, [384, 192, 384, 48, 128, 128]),
            logits: Logits {
                conv3d: Conv3dConfig::new([1024, FEATURES], [1; 3]).init(device),
            },
        }
    }

    /// The present name of a tensor of the published file.
    pub fn tensor(name: &str) -> Option<String> {
        (!name.ends_with("num_batches_tracked")).then(|| name.to_owned())
    }

    /// What describes each video: its logits, averaged over time.
    ///
    /// # Shapes
    /// - `videos`: `[n, 3, frames, height, width]`, -1..1, of any size: frames are brought to 224 x 224
    /// - output: `[n, 400]`
    pub fn forward(&self, videos: Tensor<B, 5>) -> Tensor<B, 2> {
        let x = resized(videos);
        let x = self.Conv3d_1a_7x7.forward(x);
        let x = max_pool(x, [1, 3], [1, 2]);
        let x = self.Conv3d_2c_3x3.forward(self.Conv3d_2b_1x1.forward(x));
        let x = max_pool(x, [1, 3], [1, 2]);
        let x = self.Mixed_3c.forward(self.Mixed_3b.forward(x));
        let x = max_pool(x, [3, 3], [2, 2]);
        let fourth = [
            &self.Mixed_4b,
            &self.Mixed_4c,
            &self.Mixed_4d,
            &self.Mixed_4e,
            &self.Mixed_4f,
        ];
        let x = fourth.into_iter().fold(x, |x, block| block.forward(x));
        let x = max_pool(x, [2, 2], [2, 2]);
        let x = self.Mixed_5c.forward(self.Mixed_5b.forward(x));
        // The original averages windows of two times and all of 7 x 7 pixels, applies the last layer, and averages
        // over time. The last layer is linear, so that what counts is how often each time is in a window; videos too
        // short for one window are one.
        let [n, channels, times, height, width] = x.dims();
        let x = x.reshape([n, channels, times, height * width]).mean_dim(3);
        let x = x.reshape([n, channels, times]);
        let x = match times {
            1 => x,
            _ => (x.clone().narrow(2, 0, times - 1) + x.narrow(2, 1, times - 1)) / 2.0,
        };
        let x = x.mean_dim(2).reshape([n, channels, 1]);
        let layer = &self.logits.conv3d;
        let weight = layer.weight.val().reshape([1, FEATURES, channels]);
        let logits = weight.matmul(x).reshape([n, FEATURES]);
        match &layer.bias {
            Some(bias) => logits + bias.val().unsqueeze(),
            None => logits,
        }
    }
}

/// Frames of 224 x 224.
fn resized<B: Backend>(videos: Tensor<B, 5>) -> Tensor<B, 5> {
    let [n, channels, frames, height, width] = videos.dims();
    if [height, width] == [SIDE; 2] {
        return videos;
    }
    let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    let frames_first = videos.swap_dims(1, 2);
    let pictures = frames_first.reshape([n * frames, channels, height, width]);
    interpolate(pictures, [SIDE; 2], options)
        .reshape([n, frames, channels, SIDE, SIDE])
        .swap_dims(1, 2)
}

/// Greatest of `[times, pixels]` around, with zeros beyond the ends: what goes in is never negative. The greatest of a
/// box is the greatest over time of the greatest in space.
fn max_pool<B: Backend>(
    x: Tensor<B, 5>,
    [times, side]: [usize; 2],
    [stride, space]: [usize; 2],
) -> Tensor<B, 5> {
    let [n, channels, frames, height, width] = x.dims();
    let x = x.reshape([n * channels, frames, height, width]);
    let x = padded(x, 2, same(height, side, space));
    let x = padded(x, 3, same(width, side, space));
    let x = max_pool2d(x, [side; 2], [space; 2], [0; 2], [1; 2], false);
    let [_, _, height, width] = x.dims();
    let x = x.reshape([n * channels, 1, frames, height * width]);
    let x = padded(x, 2, same(frames, times, stride));
    let x = max_pool2d(x, [times, 1], [stride, 1], [0; 2], [1; 2], false);
    let frames = x.dims()[2];
    x.reshape([n, channels, frames, height, width])
}

/// `x` between rows of zeros.
fn padded<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    axis: usize,
    [before, after]: [usize; 2],
) -> Tensor<B, D> {
    if before + after == 0 {
        return x;
    }
    let zeros = |count| {
        let mut shape = x.dims();
        shape[axis] = count;
        Tensor::zeros(shape, (&x.device(), x.dtype()))
    };
    let mut parts = vec![x.clone()];
    if before > 0 {
        parts.insert(0, zeros(before));
    }
    if after > 0 {
        parts.push(zeros(after));
    }
    Tensor::cat(parts, axis)
}
