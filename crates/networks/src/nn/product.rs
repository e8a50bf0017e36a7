//! Convolutions as products of matrices, for what is differentiated on CUDA: Burn's derivatives of convolutions run there as loops
//! over all pixels, one for each weight, unless every shape is tuned first, which takes minutes.

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// More taps than these are not worth so many copies of a picture.
const MOST_TAPS: usize = 9;

/// Whether `B` differentiates what CUDA computes.
#[cfg(feature = "cuda")]
pub(super) fn wanted<B: Backend>(device: &B::Device) -> bool {
    B::ad_enabled(device) && B::name(device).contains("cuda")
}

/// How a kernel goes over pictures.
pub struct Steps {
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Zeros above, left of, below and right of each picture.
    pub padding: [usize; 4],
    /// Rows and columns from one tap to the next.
    pub dilation: [usize; 2],
}

/// The convolution; `None` where it has too many taps, or no output.
///
/// # Shapes
/// - x: `[n, in_channels, height, width]`
/// - weight: `[out_channels, in_channels, kernel_height, kernel_width]`
/// - bias: `[out_channels]`
/// - output: `[n, out_channels, ...]`
pub fn convolve<B: Backend>(
    x: &Tensor<B, 4>,
    weight: &Tensor<B, 4>,
    bias: Option<&Param<Tensor<B, 1>>>,
    steps: &Steps,
) -> Option<Tensor<B, 4>> {
    let [n, in_channels, height, width] = x.dims();
    let [out_channels, expected, kernel_height, kernel_width] = weight.dims();
    let taps = kernel_height * kernel_width;
    if in_channels != expected || taps > MOST_TAPS {
        return None;
    }
    let [top, left, bottom, right] = steps.padding;
    let [down, across] = steps.stride;
    // Where the last tap is.
    let last_row = (kernel_height - 1) * steps.dilation[0];
    let last_column = (kernel_width - 1) * steps.dilation[1];
    let outputs =
        |all: usize, last: usize, stride: usize| Some(all.checked_sub(last + 1)? / stride + 1);
    let out_height = outputs(height + top + bottom, last_row, down)?;
    let out_width = outputs(width + left + right, last_column, across)?;

    // As many whole strides as the last tap of the last output reaches into.
    let rows = out_height + last_row / down;
    let columns = out_width + last_column / across;
    let pad = |before: usize, all: usize, side: usize| (before, all.saturating_sub(before + side));
    let (top, bottom) = pad(top, rows * down, height);
    let (left, right) = pad(left, columns * across, width);
    let mut padded = x.clone();
    if [top, bottom, left, right] != [0; 4] {
        // Not `Tensor::pad`: what surrounds a tensor that is differentiated comes from the host there, all of it, each time.
        let sides = [n, in_channels, height + top + bottom, width + left + right];
        let around = Tensor::zeros(sides, (&x.device(), x.dtype()));
        let inside = [0..n, 0..in_channels, top..top + height, left..left + width];
        padded = around.slice_assign(inside, padded);
    }
    let padded = padded
        .narrow(2, 0, rows * down)
        .narrow(3, 0, columns * across)
        .reshape([n, in_channels, rows, down, columns, across]);
    let tap = |row: usize, column: usize| {
        padded
            .clone()
            .narrow(3, row % down, 1)
            .narrow(5, column % across, 1)
            .reshape([n, in_channels, rows, columns])
            .narrow(2, row / down, out_height)
            .narrow(3, column / across, out_width)
    };
    let seen = (0..taps).map(|at| {
        let (row, column) = (at / kernel_width, at % kernel_width);
        tap(row * steps.dilation[0], column * steps.dilation[1])
    });
    let seen = match taps {
        1 => tap(0, 0),
        _ => Tensor::cat(seen.collect(), 1),
    };
    let seen = seen.reshape([n, taps * in_channels, out_height * out_width]);
    let weight =
        weight
            .clone()
            .permute([0, 2, 3, 1])
            .reshape([1, out_channels, taps * in_channels]);
    let mut y = weight.matmul(seen);
    if let Some(bias) = bias {
        y = y + bias.val().reshape([1, out_channels, 1]);
    }
    Some(y.reshape([n, out_channels, out_height, out_width]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::{Autodiff, Flex};
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::{Distribution, Tolerance};

    type A = Autodiff<Flex>;

    #[test]
    fn results_and_gradients_are_those_of_a_convolution() {
        let device = Default::default();
        for (kernel, stride, dilation, padding, [height, width]) in [
            ([3, 3], [1, 1], [1, 1], [1, 1, 1, 1], [7, 5]),
            ([3, 3], [2, 2], [1, 1], [1, 1, 1, 1], [8, 6]),
            // As the VAE halves.
            ([3, 3], [2, 2], [1, 1], [0, 0, 1, 1], [8, 6]),
            ([3, 3], [1, 1], [4, 4], [4, 4, 4, 4], [6, 9]),
            ([2, 2], [2, 2], [1, 1], [0, 0, 0, 0], [7, 6]),
            ([1, 1], [1, 1], [1, 1], [0, 0, 0, 0], [4, 5]),
            ([2, 3], [1, 2], [2, 1], [1, 0, 0, 2], [5, 6]),
        ] {
            let [top, left, bottom, right] = padding;
            let conv = Conv2dConfig::new([4, 6], kernel)
                .with_stride(stride)
                .with_dilation(dilation)
                .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right))
                .init::<A>(&device);
            let x = Tensor::<A, 4>::random([3, 4, height, width], Distribution::Default, &device)
                .require_grad();
            let steps = Steps {
                stride,
                padding,
                dilation,
            };
            let ours = convolve(&x, &conv.weight.val(), conv.bias.as_ref(), &steps).unwrap();
            let burns = conv.forward(x.clone());
            let tolerance = Tolerance::rel_abs(1e-4, 1e-5);
            ours.to_data()
                .assert_approx_eq::<f32>(&burns.to_data(), tolerance);
            let weights = Tensor::<A, 4>::random(burns.shape(), Distribution::Default, &device);
            let of = |y: Tensor<A, 4>| {
                let gradients = (y * weights.clone()).sum().backward();
                let bias = conv.bias.as_ref().unwrap().val();
                [
                    x.grad(&gradients).unwrap().into_data(),
                    conv.weight.val().grad(&gradients).unwrap().into_data(),
                    bias.grad(&gradients).unwrap().into_data(),
                ]
            };
            for (ours, burns) in of(ours).iter().zip(&of(burns)) {
                ours.assert_approx_eq::<f32>(burns, tolerance);
            }
        }
    }
}
