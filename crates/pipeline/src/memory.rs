//! How a published model is run in the memory there is: in which type, and how many frames are decoded at once. The
//! largest networks are loaded in turn whatever there is, and attention goes in pieces (`nn::attention`).

use super::engine::DECODE_CHUNK;
use super::svd::SvdConfig;
use burn::tensor::{DType, FloatDType, backend::Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_networks::weights::{Numbers, WeightType};

/// Numbers that the UNet holds beside its weights, for each latent pixel of a frame and each channel of its first
/// level: skipped features, and what its widest layers compute. Measured by `dragentity-lab bench` on the CPU at several
/// sizes: the peak grew by 12 to 28.
const UNET_NUMBERS: f64 = 32.0;
/// Likewise the VAE's decoder, for each pixel of a frame that is decoded and each channel of its last level; at most 16.
const VAE_NUMBERS: f64 = 16.0;
/// What helps where memory is short.
#[cfg(not(target_family = "wasm"))]
const FEWER: &str = "fewer frames or a smaller --size, or close other programs";
#[cfg(target_family = "wasm")]
const FEWER: &str =
    "fewer frames or a smaller size in the settings, close other programs, or have a server run it";
/// What is free is never all to be had.
const SPARE: f64 = 0.9;

/// What a model may be run with.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryLimits {
    /// What the weights of UNet and image encoder may be held in, the best first.
    pub dtypes: Vec<WeightType>,
    /// Bytes that are free, where that is known.
    pub free: Option<u64>,
    /// Bytes of the largest piece of memory that the device gives, where it says so.
    pub piece: Option<u64>,
    /// How many plans have run out of memory already.
    pub skip: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            dtypes: vec![WeightType::default()],
            free: None,
            piece: None,
            skip: 0,
        }
    }
}

/// One way to run a model.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryPlan {
    /// What the weights of UNet and image encoder are held in.
    pub dtype: WeightType,
    /// Frames that the VAE decodes at once: more look smoother, as its temporal layers see more.
    pub decode_at_once: usize,
    /// About how many bytes are in use at most.
    pub bytes: u64,
}

/// How many numbers the networks' weights are.
struct Sizes {
    image_encoder: Numbers,
    vae: Numbers,
    unet: Numbers,
}

impl Sizes {
    fn of<B: Backend>(config: &SvdConfig, device: &B::Device) -> Result<Self> {
        Ok(Self {
            image_encoder: Numbers::of(&config.image_encoder.init::<B>(device)?),
            vae: Numbers::of(&config.vae.init::<B>(device)?),
            unet: Numbers::of(&config.unet.init::<B>(device)?),
        })
    }
}

/// Numbers of the largest weight of a UNet, which is there twice while it is multiplied with: unpacked, and as the product wants
/// it. It is the kernel of a convolution in the widest level, of what comes from below and what was skipped.
fn unpacked(channels: &[usize]) -> f64 {
    let widest = channels.iter().copied().max().unwrap_or_default() as f64;
    2.0 * 9.0 * 2.0 * widest * widest
}

impl MemoryPlan {
    /// All ways to make a video of `size` pixels and `frames` frames, in one of the types and of the pieces of memory that `limits`
    /// allow, the best first. `beside` are the weights of a ControlNet, which is loaded beside the UNet.
    ///
    /// # Errors
    /// [`Error::Model`] for configurations no network can be built from.
    pub fn all<B: Backend>(
        config: &SvdConfig,
        size: [u32; 2],
        frames: usize,
        beside: Numbers,
        limits: &MemoryLimits,
        device: &B::Device,
    ) -> Result<Vec<Self>> {
        let sizes = Sizes::of::<B>(config, device)?;
        let pixels = f64::from(size[0]) * f64::from(size[1]);
        let factor = config.vae.factor() as f64;
        let latents = pixels / (factor * factor) * frames as f64;
        let level =
            |channels: &[usize], at: usize| channels.get(at).copied().unwrap_or_default() as f64;
        let width = |channels: &[usize]| level(channels, 0);
        let halving = |from: usize| {
            std::iter::successors(Some(from), |&n| (n > 1).then_some(n / 2)).collect::<Vec<_>>()
        };
        let mut plans = Vec::new();
        for &dtype in &limits.dtypes {
            let computes = dtype.computes::<B>(device);
            let bytes = |numbers: Numbers| numbers.bytes(dtype, computes) as f64;
            let vae = sizes.vae.bytes(WeightType::default(), FloatDType::F32) as f64;
            let channels = width(&config.unet.block_out_channels);
            let mut activations = latents * channels * UNET_NUMBERS;
            if dtype == WeightType::Int8 {
                activations += unpacked(&config.unet.block_out_channels);
            }
            let size_of = DType::from(computes).size() as f64;
            let activations = activations * size_of;
            let encoding = bytes(sizes.image_encoder);
            let denoising = vae + bytes(sizes.unet + beside) + activations;
            // What the first level's feed-forward layers widen to, eightfold.
            let wide = latents * channels * 8.0 * size_of;
            for decode_at_once in halving(DECODE_CHUNK.min(frames)) {
                let decoded = pixels * decode_at_once as f64;
                let channels = &config.vae.block_out_channels;
                let decoding = vae + decoded * width(channels) * VAE_NUMBERS * 4.0;
                // The last level begins with as many channels as the one before it has.
                let enlarged = decoded * level(channels, 1).max(width(channels)) * 4.0;
                if limits
                    .piece
                    .is_some_and(|most| wide.max(enlarged) > most as f64)
                {
                    continue;
                }
                plans.push(Self {
                    dtype,
                    decode_at_once,
                    bytes: encoding.max(denoising).max(decoding) as u64,
                });
            }
        }
        // Where decoding is not what needs the most, decoding less at once would only look worse.
        plans.dedup_by_key(|plan| (plan.dtype, plan.bytes));
        Ok(plans)
    }

    /// The best of `plans` that fits into `limits`, after those that ran out of memory already.
    ///
    /// # Errors
    /// [`Error::Device`] saying what would help.
    pub fn choose(plans: &[Self], limits: &MemoryLimits, device: &str) -> Result<Self> {
        let MemoryLimits { free, skip, .. } = *limits;
        let fits = |plan: &&Self| free.is_none_or(|free| plan.bytes as f64 <= free as f64 * SPARE);
        if let Some(plan) = plans.iter().filter(fits).nth(skip) {
            return Ok(plan.clone());
        }
        let Some(least) = plans.iter().map(|plan| plan.bytes).min() else {
            return Err(Error::Device(format!(
                "this video needs a larger piece of memory than the {} that {device} gives at most: choose {FEWER}",
                gigabytes(limits.piece.unwrap_or_default())
            )));
        };
        let there = match free {
            Some(free) => format!("{} are free", gigabytes(free)),
            None => "that is more than there is".into(),
        };
        let packed = plans.iter().any(|plan| plan.dtype == WeightType::Int8);
        // A page has chosen the type itself.
        let smaller = match packed || cfg!(target_family = "wasm") {
            true => "",
            false => "--dtype int8, ",
        };
        Err(Error::Device(format!(
            "this video needs about {} on {device}, and {there}: choose {smaller}{FEWER}",
            gigabytes(least)
        )))
    }

    /// What is planned, in words.
    pub fn describe(&self, free: Option<u64>) -> String {
        let of = free.map_or(String::new(), |free| {
            format!(" of {} free", gigabytes(free))
        });
        format!(
            "in {}, {} frames decoded at once, about {}{of}",
            self.dtype,
            self.decode_at_once,
            gigabytes(self.bytes)
        )
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    const F32: WeightType = WeightType::Float(FloatDType::F32);
    const F16: WeightType = WeightType::Float(FloatDType::F16);

    fn plans(frames: usize, dtypes: &[WeightType]) -> Vec<MemoryPlan> {
        let (config, beside) = (SvdConfig::default(), Numbers::default());
        let limits = MemoryLimits {
            dtypes: dtypes.to_vec(),
            ..MemoryLimits::default()
        };
        let device = Default::default();
        MemoryPlan::all::<Flex>(&config, [576, 320], frames, beside, &limits, &device).unwrap()
    }

    fn limits(free: Option<u64>, skip: usize) -> MemoryLimits {
        MemoryLimits {
            free,
            skip,
            ..MemoryLimits::default()
        }
    }

    #[test]
    fn less_memory_means_another_type_and_fewer_frames_at_once() {
        let all = plans(14, &[F32, F16, WeightType::Int8]);
        let chosen = |gigabytes: f64| {
            MemoryPlan::choose(&all, &limits(Some((gigabytes * 1e9) as u64), 0), "GPU 1")
        };
        let large = chosen(80.0).unwrap();
        assert_eq!((large.dtype, large.decode_at_once), (F32, 8));
        // 1,524.6 million numbers of 4 bytes alone are 6.1 GB.
        assert!(large.bytes > 6_100_000_000, "{large:?}");
        let small = chosen(6.0).unwrap();
        assert_eq!(small.dtype, F16);
        assert!(small.bytes < 5_400_000_000, "{small:?}");
        let refused = chosen(2.0).unwrap_err().to_string();
        assert!(
            refused.contains("GPU 1") && refused.contains("2.0 GB are free"),
            "{refused}"
        );
        assert!(!refused.contains("--dtype"), "{refused}");
        // In 8 bits UNet and VAE are 2.0 GB, and what the CPU computes in is f32.
        let smallest = chosen(4.6).unwrap();
        assert_eq!(smallest.dtype, WeightType::Int8);
        assert!(smallest.bytes < 4_200_000_000, "{smallest:?}");
        let single = plans(14, &[F32]);
        let refused = MemoryPlan::choose(&single, &limits(Some(1 << 30), 0), "GPU 1").unwrap_err();
        assert!(refused.to_string().contains("--dtype int8"), "{refused}");
    }

    #[test]
    fn what_ran_out_of_memory_is_not_tried_again() {
        let all = plans(14, &[F32, F16]);
        let mut tried: Vec<MemoryPlan> = Vec::new();
        while let Ok(plan) = MemoryPlan::choose(&all, &limits(None, tried.len()), "GPU") {
            assert!(tried.iter().all(|earlier| *earlier != plan));
            tried.push(plan);
        }
        assert_eq!(tried, all);
        assert!(tried.len() > 2, "{tried:?}");
    }

    #[test]
    fn what_a_device_gives_at_once_bounds_the_frames_decoded_at_once() {
        let config = SvdConfig::default();
        let within = |piece: u64, size| {
            let limits = MemoryLimits {
                piece: Some(piece),
                ..MemoryLimits::default()
            };
            let (beside, device) = (Numbers::default(), Default::default());
            let plans =
                MemoryPlan::all::<Flex>(&config, size, 14, beside, &limits, &device).unwrap();
            MemoryPlan::choose(&plans, &limits, "GPU 1")
        };
        // 256 channels of 576 x 320 pixels are 189 MB a frame.
        assert_eq!(within(1 << 31, [576, 320]).unwrap().decode_at_once, 8);
        assert_eq!(within(1 << 30, [576, 320]).unwrap().decode_at_once, 4);
        let refused = within(1 << 27, [576, 320]).unwrap_err().to_string();
        assert!(
            refused.contains("larger piece") && refused.contains("0.1 GB"),
            "{refused}"
        );
    }
}
