//! What the tests of several files share: one test body for each backend, synthetic weights, goldens.

pub mod faults;
pub mod program;
pub mod steer;
pub mod svd;
pub mod tiny;

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dragentity_networks::svd::blocks::DownBlockConfig;
use dragentity_networks::weights::{Weights, tensor_list};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// Makes a test of each named function `fn name<B: Backend>(device: &B::Device)`, once on flex (CPU) and
/// once on native wgpu (any adapter; Mesa's lavapipe where there is no GPU).
///
/// lavapipe compiles every shader anew: keep what runs here small.
#[macro_export]
macro_rules! on_each_backend {
    ($($test:ident),+ $(,)?) => {
        mod flex {
            $(#[test]
            fn $test() {
                super::$test::<burn::backend::Flex>(&Default::default());
            })+
        }
        #[cfg(feature = "wgpu")]
        mod wgpu {
            $(#[test]
            fn $test() {
                super::$test::<burn::backend::Wgpu>($crate::wgpu_device());
            })+
        }
    };
}

/// The one wgpu device of a test program, set up by whichever test comes first.
///
/// Vulkan's loader wants `XDG_RUNTIME_DIR`; `.cargo/config.toml` sets it where nobody else does.
#[cfg(feature = "wgpu")]
pub fn wgpu_device() -> &'static burn::backend::wgpu::WgpuDevice {
    use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, graphics::AutoGraphicsApi, init_setup};
    static DEVICE: std::sync::OnceLock<WgpuDevice> = std::sync::OnceLock::new();
    DEVICE.get_or_init(|| {
        let device = WgpuDevice::DefaultDevice;
        init_setup::<AutoGraphicsApi>(&device, RuntimeOptions::default());
        device
    })
}

/// Sizes of the block that is compared with the reference by itself, natively and in the browser.
pub const DOWN_BLOCK: &str = include_str!("../../../tests/goldens/down_block.json");

/// How far from the reference's largest element any of that block's may be, on every backend. Up to some fifty layers of
/// f32 sums (unit 6e-8), in another order than PyTorch's. Seen: 2e-6 on flex.
pub const DOWN_BLOCK_TOLERANCE: f32 = 2e-5;

/// [`DOWN_BLOCK`], read.
pub fn down_block_config() -> DownBlockConfig {
    serde_json::from_str(DOWN_BLOCK).unwrap()
}

/// As `uniform` in tests/goldens/synthetic.py.
pub fn uniform(name: &str, count: usize) -> Vec<f64> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1..=count as u64)
        .map(|i| {
            let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 40) as f64 / f64::from(1 << 23) - 1.0
        })
        .collect()
}

/// The synthetic parameter `name`, as `tensor` in tests/goldens/synthetic.py.
pub fn parameter(name: &str, shape: &[usize]) -> Vec<f32> {
    let u = uniform(name, shape.iter().product());
    let scale = |u: f64| {
        if name.ends_with("mix_factor") {
            u
        } else if shape.len() > 1 {
            u * (3.0 / shape[1..].iter().product::<usize>() as f64).sqrt()
        } else if name.ends_with("running_var") {
            0.5 + 0.1 * u
        } else if name.ends_with("bias") || name.ends_with("running_mean") {
            0.1 * u
        } else {
            1.0 + 0.2 * u
        }
    };
    u.into_iter().map(|u| scale(u) as f32).collect()
}

/// The synthetic input `name`, as `picture` in tests/goldens/synthetic.py.
pub fn picture<B: Backend, const D: usize>(
    name: &str,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    let values: Vec<f32> = uniform(name, shape.iter().product())
        .into_iter()
        .map(|u| u as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A safetensors file with the given `f32` tensors.
pub fn safetensors_file(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

/// The module with synthetic weights, through the loader as from a file.
pub fn fill<B: Backend, M: Module<B>>(module: M) -> M {
    fill_as("", module)
}

/// As [`fill`], with parameters named `prefix` and their own name.
pub fn fill_as<B: Backend, M: Module<B>>(prefix: &str, module: M) -> M {
    let tensors: Vec<_> = tensor_list(&module)
        .into_iter()
        .map(|(name, shape)| {
            let values = parameter(&format!("{prefix}{name}"), &shape);
            (name, shape, values)
        })
        .collect();
    let file = Weights::from_bytes("synthetic", safetensors_file(&tensors)).unwrap();
    file.load(module).unwrap().0
}

/// A file of tests/goldens.
pub fn golden_file(file: &str) -> Weights {
    let path = format!("{}/../../tests/goldens/{file}", env!("CARGO_MANIFEST_DIR"));
    Weights::from_bytes(file, std::fs::read(path).unwrap()).unwrap()
}

/// Asserts that `actual` has the shape of the golden `name`, and that no element is further from it than
/// `tolerance` times the golden's largest element.
pub fn assert_golden<B: Backend, const D: usize>(
    goldens: &Weights,
    name: &str,
    actual: Tensor<B, D>,
    tolerance: f32,
) {
    let (expected, shape) = goldens.read(name).unwrap();
    assert_eq!(actual.dims().to_vec(), shape, "{name}");
    let actual = actual
        .into_data()
        .convert::<f32>()
        .into_vec::<f32>()
        .unwrap();
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    let (at, worst) = actual
        .iter()
        .zip(&expected)
        .map(|(a, e)| (a - e).abs())
        // NaN counts as the worst of all.
        .enumerate()
        .fold((0, 0f32), |(at, worst), (i, d)| {
            if d <= worst || worst.is_nan() {
                (at, worst)
            } else {
                (i, d)
            }
        });
    println!(
        "{name}: off by {:.1e} of the largest, {largest}",
        worst / largest
    );
    assert!(
        worst <= tolerance * largest,
        "{name}: element {at} is {} instead of {} (largest {largest})",
        actual[at],
        expected[at]
    );
}
