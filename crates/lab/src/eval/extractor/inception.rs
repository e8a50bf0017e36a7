//! InceptionV3 as the Frechet inception distance uses it: the network of `pt_inception-2015-12-05`, which
//! `pytorch-fid` publishes, under torchvision's names. It differs from torchvision's in what its poolings count.

#![allow(non_snake_case, reason = "fields have the names of the file")]

use super::EPSILON;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, interpolate, max_pool2d};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, backend::Backend};
use dragentity_networks::nn::batch_norm::FrozenBatchNorm;
use dragentity_networks::nn::layers::Convolution;

/// Numbers that describe a picture: `pool3` of the original.
pub const FEATURES: usize = 2048;
/// Side of the pictures that the network was trained on.
const SIDE: usize = 299;

/// Convolution, batch norm, ReLU (`torchvision.models.inception.BasicConv2d`).
#[derive(Module, Debug)]
pub struct BasicConv2d<B: Backend> {
    /// Without a bias.
    pub conv: Conv2d<B>,
    /// After it.
    pub bn: FrozenBatchNorm<B>,
}

impl<B: Backend> BasicConv2d<B> {
    fn new(
        channels: [usize; 2],
        kernel: [usize; 2],
        stride: usize,
        [down, across]: [usize; 2],
        device: &B::Device,
    ) -> Self {
        Self {
            conv: Conv2dConfig::new(channels, kernel)
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(down, across, down, across))
                .with_bias(false)
                .init(device),
            bn: FrozenBatchNorm::new(channels[1], EPSILON, device),
        }
    }

    /// Of a kernel that keeps height and width.
    fn same(channels: [usize; 2], [height, width]: [usize; 2], device: &B::Device) -> Self {
        let padding = [height / 2, width / 2];
        Self::new(channels, [height, width], 1, padding, device)
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        relu(self.bn.forward(self.conv.apply(x)))
    }
}

/// 35 x 35 pixels.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "torchvision's names say what they are")]
pub struct InceptionA<B: Backend> {
    pub branch1x1: BasicConv2d<B>,
    pub branch5x5_1: BasicConv2d<B>,
    pub branch5x5_2: BasicConv2d<B>,
    pub branch3x3dbl_1: BasicConv2d<B>,
    pub branch3x3dbl_2: BasicConv2d<B>,
    pub branch3x3dbl_3: BasicConv2d<B>,
    pub branch_pool: BasicConv2d<B>,
}

impl<B: Backend> InceptionA<B> {
    fn new(c: usize, pool: usize, device: &B::Device) -> Self {
        let same = |channels, side| BasicConv2d::same(channels, [side, side], device);
        Self {
            branch1x1: same([c, 64], 1),
            branch5x5_1: same([c, 48], 1),
            branch5x5_2: same([48, 64], 5),
            branch3x3dbl_1: same([c, 64], 1),
            branch3x3dbl_2: same([64, 96], 3),
            branch3x3dbl_3: same([96, 96], 3),
            branch_pool: same([c, pool], 1),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let five = [&self.branch5x5_1, &self.branch5x5_2];
        let three = [
            &self.branch3x3dbl_1,
            &self.branch3x3dbl_2,
            &self.branch3x3dbl_3,
        ];
        Tensor::cat(
            vec![
                self.branch1x1.forward(x.clone()),
                chain(&five, x.clone()),
                chain(&three, x.clone()),
                self.branch_pool.forward(mean_around(x)),
            ],
            1,
        )
    }
}

/// From 35 x 35 pixels to 17 x 17.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "torchvision's names say what they are")]
pub struct InceptionB<B: Backend> {
    pub branch3x3: BasicConv2d<B>,
    pub branch3x3dbl_1: BasicConv2d<B>,
    pub branch3x3dbl_2: BasicConv2d<B>,
    pub branch3x3dbl_3: BasicConv2d<B>,
}

impl<B: Backend> InceptionB<B> {
    fn new(c: usize, device: &B::Device) -> Self {
        let halve = |channels| BasicConv2d::new(channels, [3, 3], 2, [0, 0], device);
        Self {
            branch3x3: halve([c, 384]),
            branch3x3dbl_1: BasicConv2d::same([c, 64], [1, 1], device),
            branch3x3dbl_2: BasicConv2d::same([64, 96], [3, 3], device),
            branch3x3dbl_3: halve([96, 96]),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let three = [
            &self.branch3x3dbl_1,
            &self.branch3x3dbl_2,
            &self.branch3x3dbl_3,
        ];
        Tensor::cat(
            vec![
                self.branch3x3.forward(x.clone()),
                chain(&three, x.clone()),
                halve_by_max(x),
            ],
            1,
        )
    }
}

/// 17 x 17 pixels, kernels of 7 cut into a row and a column.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "torchvision's names say what they are")]
pub struct InceptionC<B: Backend> {
    pub branch1x1: BasicConv2d<B>,
    pub branch7x7_1: BasicConv2d<B>,
    pub branch7x7_2: BasicConv2d<B>,
    pub branch7x7_3: BasicConv2d<B>,
    pub branch7x7dbl_1: BasicConv2d<B>,
    pub branch7x7dbl_2: BasicConv2d<B>,
    pub branch7x7dbl_3: BasicConv2d<B>,
    pub branch7x7dbl_4: BasicConv2d<B>,
    pub branch7x7dbl_5: BasicConv2d<B>,
    pub branch_pool: BasicConv2d<B>,
}

impl<B: Backend> InceptionC<B> {
    fn new(c: usize, c7: usize, device: &B::Device) -> Self {
        let same = |channels, kernel| BasicConv2d::same(channels, kernel, device);
        let (row, column) = ([1, 7], [7, 1]);
        Self {
            branch1x1: same([c, 192], [1, 1]),
            branch7x7_1: same([c, c7], [1, 1]),
            branch7x7_2: same([c7, c7], row),
            branch7x7_3: same([c7, 192], column),
            branch7x7dbl_1: same([c, c7], [1, 1]),
            branch7x7dbl_2: same([c7, c7], column),
            branch7x7dbl_3: same([c7, c7], row),
            branch7x7dbl_4: same([c7, c7], column),
            branch7x7dbl_5: same([c7, 192], row),
            branch_pool: same([c, 192], [1, 1]),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let seven = [&self.branch7x7_1, &self.branch7x7_2, &self.branch7x7_3];
        let double = [
            &self.branch7x7dbl_1,
            &self.branch7x7dbl_2,
            &self.branch7x7dbl_3,
            &self.branch7x7dbl_4,
            &self.branch7x7dbl_5,
        ];
        Tensor::cat(
            vec![
                self.branch1x1.forward(x.clone()),
                chain(&seven, x.clone()),
                chain(&double, x.clone()),
                self.branch_pool.forward(mean_around(x)),
            ],
            1,
        )
    }
}

/// From 17 x 17 pixels to 8 x 8.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "torchvision's names say what they are")]
pub struct InceptionD<B: Backend> {
    pub branch3x3_1: BasicConv2d<B>,
    pub branch3x3_2: BasicConv2d<B>,
    pub branch7x7x3_1: BasicConv2d<B>,
    pub branch7x7x3_2: BasicConv2d<B>,
    pub branch7x7x3_3: BasicConv2d<B>,
    pub branch7x7x3_4: BasicConv2d<B>,
}

impl<B: Backend> InceptionD<B> {
    fn new(c: usize, device: &B::Device) -> Self {
        let same = |channels, kernel| BasicConv2d::same(channels, kernel, device);
        let halve = |channels| BasicConv2d::new(channels, [3, 3], 2, [0, 0], device);
        Self {
            branch3x3_1: same([c, 192], [1, 1]),
            branch3x3_2: halve([192, 320]),
            branch7x7x3_1: same([c, 192], [1, 1]),
            branch7x7x3_2: same([192, 192], [1, 7]),
            branch7x7x3_3: same([192, 192], [7, 1]),
            branch7x7x3_4: halve([192, 192]),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let seven = [
            &self.branch7x7x3_1,
            &self.branch7x7x3_2,
            &self.branch7x7x3_3,
            &self.branch7x7x3_4,
        ];
        Tensor::cat(
            vec![
                chain(&[&self.branch3x3_1, &self.branch3x3_2], x.clone()),
                chain(&seven, x.clone()),
                halve_by_max(x),
            ],
            1,
        )
    }
}

/// 8 x 8 pixels.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "torchvision's names say what they are")]
pub struct InceptionE<B: Backend> {
    pub branch1x1: BasicConv2d<B>,
    pub branch3x3_1: BasicConv2d<B>,
    pub branch3x3_2a: BasicConv2d<B>,
    pub branch3x3_2b: BasicConv2d<B>,
    pub branch3x3dbl_1: BasicConv2d<B>,
    pub branch3x3dbl_2: BasicConv2d<B>,
    pub branch3x3dbl_3a: BasicConv2d<B>,
    pub branch3x3dbl_3b: BasicConv2d<B>,
    pub branch_pool: BasicConv2d<B>,
}

impl<B: Backend> InceptionE<B> {
    fn new(c: usize, device: &B::Device) -> Self {
        let same = |channels, kernel| BasicConv2d::same(channels, kernel, device);
        Self {
            branch1x1: same([c, 320], [1, 1]),
            branch3x3_1: same([c, 384], [1, 1]),
            branch3x3_2a: same([384, 384], [1, 3]),
            branch3x3_2b: same([384, 384], [3, 1]),
            branch3x3dbl_1: same([c, 448], [1, 1]),
            branch3x3dbl_2: same([448, 384], [3, 3]),
            branch3x3dbl_3a: same([384, 384], [1, 3]),
            branch3x3dbl_3b: same([384, 384], [3, 1]),
            branch_pool: same([c, 192], [1, 1]),
        }
    }

    fn forward(
        &self,
        x: Tensor<B, 4>,
        pool: impl FnOnce(Tensor<B, 4>) -> Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let three = self.branch3x3_1.forward(x.clone());
        let double = chain(&[&self.branch3x3dbl_1, &self.branch3x3dbl_2], x.clone());
        Tensor::cat(
            vec![
                self.branch1x1.forward(x.clone()),
                self.branch3x3_2a.forward(three.clone()),
                self.branch3x3_2b.forward(three),
                self.branch3x3dbl_3a.forward(double.clone()),
                self.branch3x3dbl_3b.forward(double),
                self.branch_pool.forward(pool(x)),
            ],
            1,
        )
    }
}

/// The network, without its classes.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "the names of the file")]
pub struct InceptionV3<B: Backend> {
    pub Conv2d_1a_3x3: BasicConv2d<B>,
    pub Conv2d_2a_3x3: BasicConv2d<B>,
    pub Conv2d_2b_3x3: BasicConv2d<B>,
    pub Conv2d_3b_1x1: BasicConv2d<B>,
    pub Conv2d_4a_3x3: BasicConv2d<B>,
    pub Mixed_5b: InceptionA<B>,
    pub Mixed_5c: InceptionA<B>,
    pub Mixed_5d: InceptionA<B>,
    pub Mixed_6a: InceptionB<B>,
    pub Mixed_6b: InceptionC<B>,
    pub Mixed_6c: InceptionC<B>,
    pub Mixed_6d: InceptionC<B>,
    pub Mixed_6e: InceptionC<B>,
    pub Mixed_7a: InceptionD<B>,
    pub Mixed_7b: InceptionE<B>,
    pub Mixed_7c: InceptionE<B>,
}

impl<B: Backend> InceptionV3<B> {
    /// With fresh weights.
    pub fn new(device: &B::Device) -> Self {
        let conv = |channels, side, stride, padding| {
            BasicConv2d::new(channels, [side, side], stride, [padding, padding], device)
        };
        Self {
            Conv2d_1a_3x3: conv([3, 32], 3, 2, 0),
            Conv2d_2a_3x3: conv([32, 32], 3, 1, 0),
            Conv2d_2b_3x3: conv([32, 64], 3, 1, 1),
            Conv2d_3b_1x1: conv([64, 80], 1, 1, 0),
            Conv2d_4a_3x3: conv([80, 192], 3, 1, 0),
            Mixed_5b: InceptionA::new(192, 32, device),
            Mixed_5c: InceptionA::new(256, 64, device),
            Mixed_5d: InceptionA::new(288, 64, device),
            Mixed_6a: InceptionB::new(288, device),
            Mixed_6b: InceptionC::new(768, 128, device),
            Mixed_6c: InceptionC::new(768, 160, device),
            Mixed_6d: InceptionC::new(768, 160, device),
            Mixed_6e: InceptionC::new(768, 192, device),
            Mixed_7a: InceptionD::new(768, device),
            Mixed_7b: InceptionE::new(1280, device),
            Mixed_7c: InceptionE::new(2048, device),
        }
    }

    /// The present name of a tensor of the published file; its classes are left out.
    pub fn tensor(name: &str) -> Option<String> {
        let wanted = !name.starts_with("fc.") && !name.ends_with("num_batches_tracked");
        wanted.then(|| name.to_owned())
    }

    /// What describes each picture.
    ///
    /// # Shapes
    /// - `pictures`: `[n, 3, height, width]`, -1..1, of any size: they are brought to 299 x 299 as `pytorch-fid` does
    /// - output: `[n, 2048]`
    pub fn forward(&self, pictures: Tensor<B, 4>) -> Tensor<B, 2> {
        let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        let [n, _, height, width] = pictures.dims();
        let x = match [height, width] == [SIDE; 2] {
            true => pictures,
            false => interpolate(pictures, [SIDE; 2], options),
        };
        let stem = [
            &self.Conv2d_1a_3x3,
            &self.Conv2d_2a_3x3,
            &self.Conv2d_2b_3x3,
        ];
        let x = halve_by_max(chain(&stem, x));
        let x = halve_by_max(chain(&[&self.Conv2d_3b_1x1, &self.Conv2d_4a_3x3], x));
        let x = [&self.Mixed_5b, &self.Mixed_5c, &self.Mixed_5d]
            .into_iter()
            .fold(x, |x, block| block.forward(x));
        let x = self.Mixed_6a.forward(x);
        let middle = [
            &self.Mixed_6b,
            &self.Mixed_6c,
            &self.Mixed_6d,
            &self.Mixed_6e,
        ];
        let x = middle.into_iter().fold(x, |x, block| block.forward(x));
        let x = self.Mixed_7a.forward(x);
        let x = self.Mixed_7b.forward(x, mean_around);
        // The original pools by maximum here, and only here.
        let x = self
            .Mixed_7c
            .forward(x, |x| max_pool2d(x, [3, 3], [1, 1], [1, 1], [1, 1], false));
        let [_, channels, height, width] = x.dims();
        x.reshape([n, channels, height * width])
            .mean_dim(2)
            .reshape([n, channels])
    }
}

fn chain<B: Backend>(layers: &[&BasicConv2d<B>], x: Tensor<B, 4>) -> Tensor<B, 4> {
    layers.iter().fold(x, |x, layer| layer.forward(x))
}

/// The mean of each pixel and its neighbours, as many as there are.
fn mean_around<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    avg_pool2d(x, [3, 3], [1, 1], [1, 1], false, false)
}

fn halve_by_max<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    max_pool2d(x, [3, 3], [2, 2], [0, 0], [1, 1], false)
}
