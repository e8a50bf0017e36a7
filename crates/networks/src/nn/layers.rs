//! Layers in three ways: `dragentity_kernels` computes them for tensors of single precision on Burn's CPU backend, kernels of
//! CubeCL (`cube`) on GPUs, Burn everywhere else (half precision on the CPU, and all that is differentiated).
//!
//! On the CPU Burn runs one operation after the other over whole tensors, and puts channels last before each
//! convolution. The kernels give the same numbers in a half to a quarter of the time; the tests below hold both
//! ways together.
//!
//! Weights may be held in 8 bits ([`super::packed`]): whatever multiplies with one asks for it by [`weight`].

use super::cpu::{Values, flex, is_dense, on_cpu, same, tensor};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use super::cube;
use super::layer_norm::LayerNorm;
use super::packed::weight;
use super::padding::padding;
#[cfg(feature = "cuda")]
use super::product;
use burn::backend::Flex;
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, Linear};
use burn::tensor::module;
use burn::tensor::{Tensor, TensorPrimitive, backend::Backend};
use dragentity_kernels as kernels;

/// Convolutions of pictures.
pub trait Convolution<B: Backend> {
    /// # Shapes
    /// - `x`: `[n, in_channels, height, width]`
    /// - output: `[n, out_channels, ...]`
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4>;
}

impl<B: Backend> Convolution<B> for Conv2d<B> {
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let weight = weight(&self.weight);
        if let Some(y) = convolve(self, &weight, &x) {
            return y;
        }
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if let Some(y) = cube::conv2d(self, &weight, &x) {
            return y;
        }
        #[cfg(feature = "cuda")]
        if let Some(y) = as_product(self, &weight, &x) {
            return y;
        }
        // Not `..self.clone()`: a bias that nobody has asked for yet would be drawn anew each time.
        let bias = self.bias.as_ref();
        let unpacked = Self {
            weight: Param::initialized(self.weight.id, weight),
            bias: bias.map(|bias| Param::initialized(bias.id, bias.val())),
            stride: self.stride,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding.clone(),
        };
        unpacked.forward(x)
    }
}

fn convolve<B: Backend>(
    conv: &Conv2d<B>,
    weight: &Tensor<B, 4>,
    x: &Tensor<B, 4>,
) -> Option<Tensor<B, 4>> {
    let [top, left, bottom, right] = padding(conv)?;
    if conv.dilation != [1, 1] || conv.groups != 1 {
        return None;
    }
    let [out_channels, expected, ..] = weight.dims();
    let weight = Values::of(weight)?;
    let bias = Values::of_parameter(conv.bias.as_ref())?;
    let [n, in_channels, height, width] = x.dims();
    if in_channels != expected {
        return None;
    }
    let conv = kernels::Conv2d {
        weight: weight.get(),
        bias: bias.as_ref().map(Values::get),
        in_channels,
        out_channels,
        kernel: conv.kernel_size,
        stride: conv.stride,
        padding: [[top, bottom], [left, right]],
    };
    let [out_height, out_width] = conv.output([height, width])?;
    let y = kernels::conv2d(Values::of(x)?.get(), n, [height, width], &conv);
    Some(tensor(y, [n, out_channels, out_height, out_width]))
}

/// Where that is the better way, see [`product`].
#[cfg(feature = "cuda")]
fn as_product<B: Backend>(
    conv: &Conv2d<B>,
    weight: &Tensor<B, 4>,
    x: &Tensor<B, 4>,
) -> Option<Tensor<B, 4>> {
    if !product::wanted::<B>(&x.device()) || conv.groups != 1 {
        return None;
    }
    let steps = product::Steps {
        stride: conv.stride,
        padding: padding(conv)?,
        dilation: conv.dilation,
    };
    product::convolve(x, weight, conv.bias.as_ref(), &steps)
}

/// A convolution along time where the kernels have it, see [`super::TemporalConv::forward`].
pub(super) fn temporal_conv<B: Backend>(
    x: &Tensor<B, 4>,
    num_frames: usize,
    weight: &Tensor<B, 5>,
    bias: &Tensor<B, 1>,
) -> Option<Tensor<B, 4>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(y) = cube::temporal_conv(x, num_frames, weight, bias) {
        return Some(y);
    }
    let [n, in_channels, height, width] = x.dims();
    let [out_channels, expected, kernel, ..] = weight.dims();
    if in_channels != expected || num_frames == 0 || n % num_frames != 0 {
        return None;
    }
    let y = kernels::temporal_conv(
        Values::of(x)?.get(),
        num_frames,
        height * width,
        Values::of(weight)?.get(),
        Some(Values::of(bias)?.get()),
        [in_channels, out_channels, kernel],
    );
    Some(tensor(y, [n, out_channels, height, width]))
}

/// A group norm over the `num_frames` pictures of each clip, where the kernels have it.
pub(super) fn group_norm<B: Backend, const D: usize>(
    norm: &GroupNorm<B>,
    x: &Tensor<B, D>,
    num_frames: usize,
    silu: bool,
) -> Option<Tensor<B, D>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(y) = cube::group_norm(norm, x, num_frames, silu) {
        return Some(y);
    }
    let shape = x.dims();
    let values = Values::of(x)?;
    let gamma = Values::of_parameter(norm.gamma.as_ref())?;
    let beta = Values::of_parameter(norm.beta.as_ref())?;
    let norm = kernels::GroupNorm {
        channels: norm.num_channels,
        groups: norm.num_groups,
        frames: num_frames,
        epsilon: norm.epsilon as f32,
        gamma: gamma.as_ref().map(Values::get),
        beta: beta.as_ref().map(Values::get),
        silu,
    };
    if values.get().is_empty() || shape[1] != norm.channels {
        return None;
    }
    Some(tensor(
        kernels::group_norm(values.get(), shape[0], &norm),
        shape,
    ))
}

/// A norm of each row, where the kernels have it.
pub(super) fn layer_norm<B: Backend, const D: usize>(
    norm: &LayerNorm<B>,
    x: &Tensor<B, D>,
) -> Option<Tensor<B, D>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    return cube::layer_norm(norm, x);
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (norm, x);
        None
    }
}

/// SiLU, element by element.
pub fn silu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(y) = cube::silu(&x) {
        return y;
    }
    match on_cpu(&x) {
        true => in_place(x, kernels::silu),
        false => burn::tensor::activation::silu(x),
    }
}

/// GELU by the error function, element by element.
pub fn gelu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    match on_cpu(&x) {
        true => in_place(x, kernels::gelu),
        false => burn::tensor::activation::gelu(x),
    }
}

/// `f` of the elements of `x`, which is on the CPU backend.
fn in_place<B: Backend, const D: usize>(x: Tensor<B, D>, f: fn(&mut [f32])) -> Tensor<B, D> {
    let shape = x.dims();
    let mut x = flex(x);
    if x.is_unique() {
        f(x.storage_mut());
        return same(Tensor::<Flex, D>::from_primitive(TensorPrimitive::Float(x)));
    }
    let mut values = x.as_slice().unwrap_or_default().to_vec();
    f(&mut values);
    tensor(values, shape)
}

/// Linear layers.
pub trait Affine<B: Backend> {
    /// # Shapes
    /// - `x`: `[..., inputs]`
    /// - output: `[..., outputs]`
    fn apply<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D>;
}

impl<B: Backend> Affine<B> for Linear<B> {
    fn apply<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let weight = weight(&self.weight);
        match linear(&weight, self.bias.as_ref(), &x) {
            Some(y) => y,
            None => module::linear(x, weight, self.bias.as_ref().map(Param::val)),
        }
    }
}

fn linear<B: Backend, const D: usize>(
    weight: &Tensor<B, 2>,
    bias: Option<&Param<Tensor<B, 1>>>,
    x: &Tensor<B, D>,
) -> Option<Tensor<B, D>> {
    let [inputs, outputs] = weight.dims();
    let mut shape = x.dims();
    if shape[D - 1] != inputs || !is_dense(x) {
        return None;
    }
    let weight = Values::of(weight)?;
    let bias = Values::of_parameter(bias)?;
    let bias = bias.as_ref().map(Values::get);
    let y = kernels::linear(Values::of(x)?.get(), weight.get(), bias, inputs);
    shape[D - 1] = outputs;
    Some(tensor(y, shape))
}

/// What is added to the scaled products of queries and keys before the softmax.
#[derive(Clone, Debug)]
pub(crate) enum ScoreBias<B: Backend> {
    /// The same for every element of the outer axis. `[inner, queries, keys]`
    Table(Tensor<B, 3>),
    /// The keys are the cells of a grid, row by row: what a query adds for a cell's row, and for its column.
    Grid {
        /// `[outer, queries, inner, height]`
        rows: Tensor<B, 4>,
        /// `[outer, queries, inner, width]`
        columns: Tensor<B, 4>,
    },
}

/// Attention where the kernels have it, see [`super::attention::biased_dot_product`].
pub(super) fn attention<B: Backend>(
    q: &Tensor<B, 4>,
    k: &Tensor<B, 4>,
    v: &Tensor<B, 4>,
    bias: Option<&ScoreBias<B>>,
) -> Option<Tensor<B, 4>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let (None, Some(y)) = (bias, cube::attention(q, k, v)) {
        return Some(y);
    }
    let [outer, queries, inner, dim] = q.dims();
    let keys = k.dims()[1];
    if q.shape().num_elements() == 0 || keys == 0 || v.dims() != [outer, keys, inner, dim] {
        return None;
    }
    let (q, k, v) = (Values::of(q)?, Values::of(k)?, Values::of(v)?);
    let axes = kernels::Attention {
        outer,
        queries,
        keys,
        inner,
        dim,
    };
    let (q, k, v) = (q.get(), k.get(), v.get());
    let y = match bias {
        None => kernels::attention(q, k, v, kernels::Bias::None, axes),
        Some(ScoreBias::Table(table)) => {
            let table = Values::of(table)?;
            kernels::attention(q, k, v, kernels::Bias::Table(table.get()), axes)
        }
        Some(ScoreBias::Grid { rows, columns }) => {
            let size = [rows.dims()[3], columns.dims()[3]];
            let (rows, columns) = (Values::of(rows)?, Values::of(columns)?);
            let bias = kernels::Bias::Grid {
                rows: rows.get(),
                columns: columns.get(),
                size,
            };
            kernels::attention(q, k, v, bias, axes)
        }
    };
    Some(tensor(y, [outer, queries, inner, dim]))
}

/// The first half of what `proj` makes of `x`, times the GELU of the second (diffusers' `GEGLU`).
///
/// # Shapes
/// - `x`: `[rows, width]`
/// - output: `[rows, hidden]`, of a `proj` to `2 * hidden`
pub(super) fn geglu<B: Backend>(x: Tensor<B, 2>, proj: &Linear<B>) -> Tensor<B, 2> {
    let hidden = proj.weight.dims()[1] / 2;
    if on_cpu(&x) && on_cpu(&proj.weight) {
        let rows = x.dims()[0];
        let y = Values::new(proj.apply(x));
        return tensor(kernels::geglu(y.get(), hidden), [rows, hidden]);
    }
    let weight = weight(&proj.weight);
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let Some(y) = cube::geglu(&x, &weight, proj.bias.as_ref()) {
        return y;
    }
    // Splitting the weights instead of the result keeps both halves contiguous, and keeps
    // gradients from being padded to the full width.
    let half = |start: usize| {
        let y = x.clone().matmul(weight.clone().narrow(1, start, hidden));
        match &proj.bias {
            Some(bias) => y + bias.val().narrow(0, start, hidden).unsqueeze(),
            None => y,
        }
    };
    half(0) * gelu(half(hidden))
}

#[cfg(test)]
mod tests {
    use super::super::norm::{Norm, norm_silu_over_clips};
    use super::*;
    use burn::backend::Autodiff;
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::{GroupNormConfig, LinearConfig, PaddingConfig2d};
    use burn::tensor::{Distribution, Tolerance};

    /// The same layer and input, and so the same numbers, on both ways: what is differentiated goes Burn's.
    type Burns = Autodiff<Flex>;

    fn agree<const D: usize>(ours: Tensor<Flex, D>, burns: Tensor<Burns, D>) {
        ours.into_data()
            .assert_approx_eq::<f32>(&burns.into_data(), Tolerance::rel_abs(1e-5, 2e-6));
    }

    fn random<const D: usize>(shape: [usize; D]) -> (Tensor<Flex, D>, Tensor<Burns, D>) {
        let x = Tensor::<Flex, D>::random(shape, Distribution::Default, &Default::default());
        (x.clone(), Tensor::from_inner(x))
    }

    #[test]
    fn convolutions() {
        use burn::module::AutodiffModule;
        let device = Default::default();
        for (kernel, stride, padding, side) in [
            (3, 1, PaddingConfig2d::Explicit(1, 1, 1, 1), 17),
            (3, 2, PaddingConfig2d::Explicit(0, 0, 1, 1), 16),
            (3, 1, PaddingConfig2d::Same, 9),
            (1, 1, PaddingConfig2d::Valid, 9),
            (4, 4, PaddingConfig2d::Valid, 16),
        ] {
            let burns = Conv2dConfig::new([16, 24], [kernel, kernel])
                .with_stride([stride, stride])
                .with_padding(padding)
                .init::<Burns>(&device);
            let (x, same) = random([3, 16, side, side]);
            agree(burns.valid().apply(x.clone()), burns.forward(same.clone()));
            // A view, whose numbers do not lie as its shape says.
            agree(
                burns.valid().apply(x.swap_dims(2, 3)),
                burns.forward(same.swap_dims(2, 3)),
            );
        }
    }

    #[test]
    fn norms_and_activations() {
        use burn::module::AutodiffModule;
        let device = Default::default();
        let burns = GroupNormConfig::new(4, 8)
            .with_epsilon(1e-6)
            .init::<Burns>(&device);
        let (x, same) = random([6, 8, 5, 7]);
        agree(burns.valid().apply(x.clone()), burns.forward(same.clone()));
        agree(
            norm_silu_over_clips(&burns.valid(), x.clone(), 3),
            norm_silu_over_clips(&burns, same.clone(), 3),
        );
        // A part of a tensor that others still use.
        let (part, same_part) = (x.clone().narrow(0, 2, 2), same.narrow(0, 2, 2));
        agree(gelu(part.clone()), gelu(same_part.clone()));
        agree(silu(part), burn::tensor::activation::silu(same_part));
        let before = x.clone().into_data();
        drop((silu(x.clone()), gelu(x.clone())));
        assert_eq!(before, x.into_data(), "what is shared stays as it is");

        let proj = LinearConfig::new(8, 12).init::<Burns>(&device);
        let (x, same) = random([9, 8]);
        agree(geglu(x.clone(), &proj.valid()), geglu(same.clone(), &proj));
        agree(proj.valid().apply(x), proj.forward(same));
        let (x, same) = random([2, 8, 5]);
        agree(
            proj.valid().apply(x.swap_dims(1, 2)),
            proj.forward(same.swap_dims(1, 2)),
        );
    }

    #[test]
    fn attention_over_pixels_and_over_frames() {
        use super::super::attention::{biased_dot_product, scaled_dot_product};
        for (queries, keys, inner) in [(50, 40, 2), (4, 4, 70)] {
            let (q, same_q) = random([2, queries, inner, 8]);
            let (k, same_k) = random([2, keys, inner, 8]);
            let (v, same_v) = random([2, keys, inner, 8]);
            assert!(attention(&q, &k, &v, None).is_some());
            let (table, same_table) = random([inner, queries, keys]);
            let (rows, same_rows) = random([2, queries, inner, keys / 2]);
            let (columns, same_columns) = random([2, queries, inner, 2]);
            for (ours, burns) in [
                (
                    ScoreBias::Table(table * 3.0),
                    ScoreBias::Table(same_table * 3.0),
                ),
                (
                    ScoreBias::Grid { rows, columns },
                    ScoreBias::Grid {
                        rows: same_rows,
                        columns: same_columns,
                    },
                ),
            ] {
                agree(
                    biased_dot_product(q.clone(), k.clone(), v.clone(), &ours),
                    biased_dot_product(same_q.clone(), same_k.clone(), same_v.clone(), &burns),
                );
            }
            agree(
                scaled_dot_product(q, k, v),
                scaled_dot_product(same_q, same_k, same_v),
            );
        }
    }
}
