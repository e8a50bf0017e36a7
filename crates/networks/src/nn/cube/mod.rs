//! Layers on the devices of CubeCL, through wgpu, natively and in the page, and CUDA, by kernels of their own: [`super::layers`]
//! calls them where a tensor lies on such a device.
//!
//! Burn computes a layer there by one operation after the other, each of which reads and writes all of the memory, and
//! convolutions without shared memory. Sums are in single precision, whatever the type of the tensors.

mod activation;
mod attention;
mod convolution;
mod norm;

use super::cpu::same;
use super::layer_norm::LayerNorm;
use super::padding::padding;
use burn::module::Param;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Shape, Tensor, TensorPrimitive};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Four numbers at once.
type Four = Vector<f32, Const<4>>;

/// Most cubes along one axis, on any device.
const MOST: usize = 65_535;

/// `x` cubes in a row, and `y` of these rows, which may go on along the third axis: more than `y` then.
fn count(x: usize, y: usize) -> CubeCount {
    let layers = y.div_ceil(MOST).max(1);
    CubeCount::Static(x as u32, y.div_ceil(layers) as u32, layers as u32)
}

/// `n` cubes, or some more.
fn count_1d(n: usize) -> CubeCount {
    let rows = n.div_ceil(MOST).max(1);
    CubeCount::Static(n.div_ceil(rows) as u32, rows as u32, 1)
}

/// A dense tensor of the type of `like`, of any numbers.
fn empty<R: CubeRuntime>(like: &CubeTensor<R>, shape: Shape) -> CubeTensor<R> {
    empty_of(like, shape, like.dtype)
}

fn empty_f32<R: CubeRuntime>(like: &CubeTensor<R>, shape: Shape) -> CubeTensor<R> {
    empty_of(like, shape, DType::F32)
}

fn empty_of<R: CubeRuntime>(like: &CubeTensor<R>, shape: Shape, dtype: DType) -> CubeTensor<R> {
    let size = shape.num_elements() * dtype.size();
    CubeTensor::new_contiguous(
        like.client.clone(),
        like.device.clone(),
        shape,
        like.client.empty(size),
        dtype,
    )
}

/// `$work::<$b, G, R>(...)`, where `$b` is the backend `G` of CubeCL with the runtime `R`; `None` where it is another.
macro_rules! on_cube {
    ($b:ty, $work:ident $([$more:ident])? ($($argument:expr),* $(,)?)) => {{
        #[cfg(feature = "wgpu")]
        if std::any::TypeId::of::<$b>() == std::any::TypeId::of::<crate::device::Gpu>() {
            return $work::<$b, crate::device::Gpu, cubecl::wgpu::WgpuRuntime $(, $more)?>($($argument),*);
        }
        #[cfg(all(feature = "cuda", not(target_family = "wasm")))]
        if std::any::TypeId::of::<$b>() == std::any::TypeId::of::<burn::backend::Cuda>() {
            return $work::<$b, burn::backend::Cuda, cubecl::cuda::CudaRuntime $(, $more)?>($($argument),*);
        }
        None
    }};
}
pub(super) use on_cube;

/// A backend of CubeCL.
pub(super) trait Cube<R: CubeRuntime>:
    Backend<FloatTensorPrimitive = CubeTensor<R>, IntTensorPrimitive = CubeTensor<R>>
{
}
impl<R: CubeRuntime, G> Cube<R> for G where
    G: Backend<FloatTensorPrimitive = CubeTensor<R>, IntTensorPrimitive = CubeTensor<R>>
{
}

/// What is behind a tensor of `B`, which is `G`.
pub(super) fn open<B: Backend, G: Cube<R>, R: CubeRuntime, const D: usize>(
    x: &Tensor<B, D>,
) -> CubeTensor<R> {
    let x: Tensor<G, D> = same(x.clone());
    x.into_primitive().tensor()
}

/// The same of a parameter that may be absent.
fn open_parameter<B: Backend, G: Cube<R>, R: CubeRuntime>(
    x: Option<&Param<Tensor<B, 1>>>,
) -> Option<CubeTensor<R>> {
    x.map(|x| open::<B, G, R, 1>(&x.val()))
}

/// What is behind a row of whole numbers.
pub(super) fn open_int<B: Backend, G: Cube<R>, R: CubeRuntime>(
    x: &Tensor<B, 1, Int>,
) -> CubeTensor<R> {
    let x: Tensor<G, 1, Int> = same(x.clone());
    x.into_primitive()
}

/// A tensor of `B`, which is `G`.
pub(super) fn close<B: Backend, G: Cube<R>, R: CubeRuntime, const D: usize>(
    x: CubeTensor<R>,
) -> Tensor<B, D> {
    same(Tensor::<G, D>::from_primitive(TensorPrimitive::Float(x)))
}

/// A convolution of pictures with `weight`, where the kernel has it.
pub(super) fn conv2d<B: Backend>(
    conv: &Conv2d<B>,
    weight: &Tensor<B, 4>,
    x: &Tensor<B, 4>,
) -> Option<Tensor<B, 4>> {
    on_cube!(B, conv2d_on(conv, weight, x))
}

fn conv2d_on<B: Backend, G: Cube<R>, R: CubeRuntime>(
    conv: &Conv2d<B>,
    weight: &Tensor<B, 4>,
    x: &Tensor<B, 4>,
) -> Option<Tensor<B, 4>> {
    let [top, left, bottom, right] = padding(conv)?;
    let [_, in_channels, height, width] = x.dims();
    let [out_channels, expected, ..] = weight.dims();
    let one_type = x.dtype() == weight.dtype()
        && conv
            .bias
            .as_ref()
            .is_none_or(|bias| bias.val().dtype() == x.dtype());
    if conv.dilation != [1, 1] || conv.groups != 1 || in_channels != expected || !one_type {
        return None;
    }
    let [kernel_height, kernel_width] = conv.kernel_size;
    let steps =
        |all: usize, kernel: usize, stride: usize| Some(all.checked_sub(kernel)? / stride + 1);
    let output = [
        steps(height + top + bottom, kernel_height, conv.stride[0])?,
        steps(width + left + right, kernel_width, conv.stride[1])?,
    ];
    let y = convolution::convolve(
        open::<B, G, R, 4>(x),
        convolution::Convolution {
            weight: open::<B, G, R, 4>(weight),
            bias: open_parameter::<B, G, R>(conv.bias.as_ref()),
            out_channels,
            kernel: [1, kernel_height, kernel_width],
            stride: conv.stride,
            padding: [top, left],
            num_frames: 1,
            output,
        },
    )?;
    Some(close::<B, G, R, 4>(y))
}

/// A convolution along time where the kernel has it, see [`super::TemporalConv::forward`].
pub(super) fn temporal_conv<B: Backend>(
    x: &Tensor<B, 4>,
    num_frames: usize,
    weight: &Tensor<B, 5>,
    bias: &Tensor<B, 1>,
) -> Option<Tensor<B, 4>> {
    on_cube!(B, temporal_conv_on(x, num_frames, weight, bias))
}

fn temporal_conv_on<B: Backend, G: Cube<R>, R: CubeRuntime>(
    x: &Tensor<B, 4>,
    num_frames: usize,
    weight: &Tensor<B, 5>,
    bias: &Tensor<B, 1>,
) -> Option<Tensor<B, 4>> {
    let [n, in_channels, height, width] = x.dims();
    let [out_channels, expected, kernel, ..] = weight.dims();
    let one_type = x.dtype() == weight.dtype() && x.dtype() == bias.dtype();
    if in_channels != expected || num_frames == 0 || !n.is_multiple_of(num_frames) || !one_type {
        return None;
    }
    let y = convolution::convolve(
        open::<B, G, R, 4>(x),
        convolution::Convolution {
            weight: open::<B, G, R, 5>(weight),
            bias: Some(open::<B, G, R, 1>(bias)),
            out_channels,
            kernel: [kernel, 1, 1],
            stride: [1, 1],
            padding: [0, 0],
            num_frames,
            output: [height, width],
        },
    )?;
    Some(close::<B, G, R, 4>(y))
}

/// A group norm over the `num_frames` pictures of each clip, where the kernels have it.
pub(super) fn group_norm<B: Backend, const D: usize>(
    norm: &GroupNorm<B>,
    x: &Tensor<B, D>,
    num_frames: usize,
    silu: bool,
) -> Option<Tensor<B, D>> {
    on_cube!(B, group_norm_on[D](norm, x, num_frames, silu))
}

fn group_norm_on<B: Backend, G: Cube<R>, R: CubeRuntime, const D: usize>(
    norm: &GroupNorm<B>,
    x: &Tensor<B, D>,
    num_frames: usize,
    silu: bool,
) -> Option<Tensor<B, D>> {
    let shape = x.dims();
    let parameters = [&norm.gamma, &norm.beta];
    let one_type = parameters.iter().all(|values| {
        values
            .as_ref()
            .is_none_or(|values| values.val().dtype() == x.dtype())
    });
    let whole =
        num_frames > 0 && shape[0].is_multiple_of(num_frames) && shape.iter().all(|&side| side > 0);
    if shape[1] != norm.num_channels || !whole || !one_type {
        return None;
    }
    let y = self::norm::group_norm(
        open::<B, G, R, D>(x),
        self::norm::GroupNorm {
            gamma: open_parameter::<B, G, R>(norm.gamma.as_ref()),
            beta: open_parameter::<B, G, R>(norm.beta.as_ref()),
            groups: norm.num_groups,
            num_frames,
            epsilon: norm.epsilon as f32,
            silu,
        },
    );
    Some(close::<B, G, R, D>(y))
}

/// A norm of each row, where the kernel has it.
pub(super) fn layer_norm<B: Backend, const D: usize>(
    norm: &LayerNorm<B>,
    x: &Tensor<B, D>,
) -> Option<Tensor<B, D>> {
    on_cube!(B, layer_norm_on[D](norm, x))
}

fn layer_norm_on<B: Backend, G: Cube<R>, R: CubeRuntime, const D: usize>(
    norm: &LayerNorm<B>,
    x: &Tensor<B, D>,
) -> Option<Tensor<B, D>> {
    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
    let one_type = gamma.dtype() == x.dtype() && beta.dtype() == x.dtype();
    if x.dims()[D - 1] != gamma.dims()[0] || x.shape().num_elements() == 0 || !one_type {
        return None;
    }
    let y = self::norm::layer_norm(
        open::<B, G, R, D>(x),
        open::<B, G, R, 1>(&gamma),
        open::<B, G, R, 1>(&beta),
        norm.epsilon as f32,
    );
    Some(close::<B, G, R, D>(y))
}

/// Attention where the kernels have it, see [`super::attention::scaled_dot_product`].
pub(super) fn attention<B: Backend>(
    q: &Tensor<B, 4>,
    k: &Tensor<B, 4>,
    v: &Tensor<B, 4>,
) -> Option<Tensor<B, 4>> {
    on_cube!(B, attention_on(q, k, v))
}

fn attention_on<B: Backend, G: Cube<R>, R: CubeRuntime>(
    q: &Tensor<B, 4>,
    k: &Tensor<B, 4>,
    v: &Tensor<B, 4>,
) -> Option<Tensor<B, 4>> {
    let [outer, _, inner, dim] = q.dims();
    let fits = k.dims() == v.dims() && k.dims() == [outer, k.dims()[1], inner, dim];
    if !fits || q.shape().num_elements() == 0 || q.dtype() != k.dtype() || q.dtype() != v.dtype() {
        return None;
    }
    let y = self::attention::attention(
        open::<B, G, R, 4>(q),
        open::<B, G, R, 4>(k),
        open::<B, G, R, 4>(v),
    )?;
    Some(close::<B, G, R, 4>(y))
}

/// A linear layer whose output is a value and a gate, see [`super::layers::geglu`], where the kernel has the second part.
///
/// # Shapes
/// - `x`: `[rows, width]`
/// - `weight`: `[width, 2 * hidden]`
/// - output: `[rows, hidden]`
pub(super) fn geglu<B: Backend>(
    x: &Tensor<B, 2>,
    weight: &Tensor<B, 2>,
    bias: Option<&Param<Tensor<B, 1>>>,
) -> Option<Tensor<B, 2>> {
    on_cube!(B, geglu_on(x, weight, bias))
}

fn geglu_on<B: Backend, G: Cube<R>, R: CubeRuntime>(
    x: &Tensor<B, 2>,
    weight: &Tensor<B, 2>,
    bias: Option<&Param<Tensor<B, 1>>>,
) -> Option<Tensor<B, 2>> {
    let one_type = bias.is_none_or(|bias| bias.val().dtype() == x.dtype());
    if !weight.dims()[1].is_multiple_of(2) || x.shape().num_elements() == 0 || !one_type {
        return None;
    }
    let both = x.clone().matmul(weight.clone());
    let y = activation::geglu(open::<B, G, R, 2>(&both), open_parameter::<B, G, R>(bias));
    Some(close::<B, G, R, 2>(y))
}

/// SiLU, element by element, where the kernel has it.
pub(super) fn silu<B: Backend, const D: usize>(x: &Tensor<B, D>) -> Option<Tensor<B, D>> {
    on_cube!(B, silu_on[D](x))
}

fn silu_on<B: Backend, G: Cube<R>, R: CubeRuntime, const D: usize>(
    x: &Tensor<B, D>,
) -> Option<Tensor<B, D>> {
    if x.shape().num_elements() == 0 {
        return None;
    }
    let y = activation::silu(open::<B, G, R, D>(x));
    Some(close::<B, G, R, D>(y))
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests;
