//! What a device is good for: the rates of the layers that Stable Video Diffusion is made of, at the sizes that they have there, as the
//! networks call them; and what a generation would take at these rates. The same in the page and in the terminal.

use super::noise::noise;
use super::transfer::{pause, settle};
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{FloatDType, Tensor, backend::Backend};
use dragentity_core::platform::now_seconds;
use dragentity_core::{Cancel, Result};
use dragentity_networks::nn::attention::{AttentionConfig, FeedForward, TokenAxes};
use dragentity_networks::nn::layers::Convolution;
use dragentity_networks::nn::precision::as_type;
use dragentity_networks::svd::unet::UNetConfig;
use dragentity_networks::weights::WeightType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Seconds after which a layer has been measured for long enough.
const LONG_ENOUGH: f64 = 0.3;
/// A layer that takes longer than that for a frame is measured with one frame alone, else with as many as a video has.
const SLOW: f64 = 0.05;
/// Frames of a video.
const FRAMES: usize = 14;
/// Pixels of a side of the picture for one of the latents.
const LATENT: u32 = 8;
/// Sides of the square matrices that are multiplied.
const SIDES: [usize; 3] = [512, 1024, 2048];

/// A kind of layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Products of large square matrices: the most that there is.
    Product,
    /// Convolutions of 3 x 3.
    Convolution,
    /// Linear layers with their gates.
    Linear,
    /// Attention over the pixels of a frame, with its linear layers.
    Attention,
}

/// How fast one layer is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Which kind it is of.
    pub kind: Kind,
    /// What it is, in words.
    pub what: String,
    /// Its floating point operations.
    pub operations: f64,
    /// What it takes.
    pub seconds: f64,
}

impl Measured {
    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.operations / self.seconds
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (millis, rate) = (1000.0 * self.seconds, amount(self.rate()));
        write!(f, "{:<52} {millis:>9.2} ms {rate:>13}", self.what)
    }
}

/// How fast a device is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measures {
    /// The device, in words.
    pub device: String,
    /// What it computed in.
    pub dtype: String,
    /// The layers.
    pub layers: Vec<Measured>,
}

/// A video whose making is foreseen.
#[derive(Clone, Copy, Debug)]
pub struct Video {
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// How many frames.
    pub frames: u32,
    /// How many steps.
    pub steps: u32,
}

impl Measures {
    /// Operations a second of a kind of layer, all of them together; of products the best.
    pub fn rate(&self, kind: Kind) -> f64 {
        let own = || self.layers.iter().filter(|layer| layer.kind == kind);
        if kind == Kind::Product {
            return own().map(Measured::rate).fold(0.0, f64::max);
        }
        let seconds: f64 = own().map(|layer| layer.seconds).sum();
        own().map(|layer| layer.operations).sum::<f64>() / seconds.max(1e-12)
    }

    /// Seconds of a pass of Stable Video Diffusion's UNet at these rates.
    pub fn pass(&self, video: &Video) -> f64 {
        let latents = video.size.map(|side| side.div_ceil(LATENT) as usize);
        let work = UNetConfig::default().arithmetic(latents, video.frames as usize);
        work.convolutions / self.rate(Kind::Convolution)
            + work.linear / self.rate(Kind::Linear)
            + work.attention / self.rate(Kind::Attention)
    }

    /// All of it as a text that can be pasted into an issue.
    pub fn report(&self, videos: &[Video]) -> String {
        let most = self.rate(Kind::Product);
        let mut text = format!(
            "DragEntity {} on {}, {}\n\n",
            env!("CARGO_PKG_VERSION"),
            self.device,
            self.dtype
        );
        for layer in &self.layers {
            let share = 100.0 * layer.rate() / most;
            text += &format!("{layer}  {share:>3.0} % of the best product\n");
        }
        text += "\nStable Video Diffusion at these rates, guided (two passes a step), without reading, encoding and decoding:\n";
        for video in videos {
            let step = 2.0 * self.pass(video);
            let [width, height] = video.size;
            text += &format!(
                "{:<52} {} a step, {} for {} steps\n",
                format!("{width} x {height}, {} frames", video.frames),
                time(step),
                time(step * f64::from(video.steps)),
                video.steps
            );
        }
        text
    }
}

/// What videos of the usual sizes are foreseen for.
pub const USUAL: [Video; 3] = [
    Video {
        size: [448, 256],
        frames: 14,
        steps: 25,
    },
    Video {
        size: [576, 320],
        frames: 14,
        steps: 25,
    },
    Video {
        size: [1024, 576],
        frames: 25,
        steps: 25,
    },
];

fn amount(rate: f64) -> String {
    match rate {
        rate if rate >= 1e12 => format!("{:.2} TFLOP/s", rate / 1e12),
        rate => format!("{:.1} GFLOP/s", rate / 1e9),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 5400.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 90.0 => format!("{:.0} min", s / 60.0),
        s if s >= 1.0 => format!("{s:.1} s"),
        s => format!("{:.0} ms", 1000.0 * s),
    }
}

/// Hears of each layer that was measured, which it is, from 1, and of how many.
pub type Progress<'a> = &'a mut dyn FnMut(&Measured, u32, u32);

/// Measures a device called `name`: in half precision where it has that, as large models are run there.
///
/// # Errors
/// [`dragentity_core::Error::Device`] when it fails, [`dragentity_core::Error::Cancelled`].
pub async fn measure<B: Backend>(
    device: &B::Device,
    name: String,
    cancel: &Cancel,
    progress: Progress<'_>,
) -> Result<Measures> {
    let dtype = WeightType::Int8.computes::<B>(device);
    let mut bench = Bench::<B> {
        device,
        dtype,
        cancel,
        progress,
        done: 0,
        layers: Vec::new(),
    };
    bench.products().await?;
    for (channels, size) in [(320, [40, 72]), (640, [20, 36]), (1280, [10, 18])] {
        bench.convolution(channels, size).await?;
        bench.linear(channels, size).await?;
    }
    bench.attention(320, [40, 72]).await?;
    bench.attention(640, [20, 36]).await?;
    Ok(Measures {
        device: name,
        dtype: match dtype {
            FloatDType::F16 => "half precision",
            _ => "single precision",
        }
        .into(),
        layers: bench.layers,
    })
}

/// Operations a second of the best product of matrices in this type: what the device can do at most.
///
/// # Errors
/// Those of [`measure`].
pub async fn peak<B: Backend>(device: &B::Device, dtype: FloatDType) -> Result<f64> {
    let mut bench = Bench::<B> {
        device,
        dtype,
        cancel: &Cancel::new(),
        progress: &mut |_, _, _| {},
        done: 0,
        layers: Vec::new(),
    };
    bench.products().await?;
    let rates = bench.layers.iter().map(Measured::rate);
    Ok(rates.fold(0.0, f64::max))
}

/// How many layers are measured.
const LAYERS: u32 = SIDES.len() as u32 + 8;

struct Bench<'a, B: Backend> {
    device: &'a B::Device,
    dtype: FloatDType,
    cancel: &'a Cancel,
    progress: Progress<'a>,
    done: u32,
    layers: Vec<Measured>,
}

/// Brings parameters to a type, which never learn here.
struct Cast(FloatDType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, tensor, _) = param.consume();
        Param::initialized(id, as_type(tensor, self.0.into()).set_require_grad(false))
    }
}

impl<B: Backend> Bench<'_, B> {
    fn random<const D: usize>(&self, shape: [usize; D]) -> Tensor<B, D> {
        as_type(noise(1, shape, self.device), self.dtype.into())
    }

    fn cast<M: Module<B>>(&self, module: M) -> M {
        module.map(&mut Cast(self.dtype))
    }

    /// Seconds of what is done, the first time left out, in which kernels are chosen and compiled.
    async fn time<const D: usize>(&self, work: impl Fn() -> Tensor<B, D>) -> Result<f64> {
        settle(work()).await?;
        pause(self.cancel).await?;
        let began = now_seconds();
        settle(work()).await?;
        let once = (now_seconds() - began).max(1e-6);
        let times = (LONG_ENOUGH / once).clamp(1.0, 50.0) as u32;
        pause(self.cancel).await?;
        let began = now_seconds();
        for _ in 1..times {
            drop(work());
        }
        settle(work()).await?;
        pause(self.cancel).await?;
        Ok((now_seconds() - began).max(1e-6) / f64::from(times))
    }

    fn took(&mut self, kind: Kind, what: String, operations: f64, seconds: f64) {
        let layer = Measured {
            kind,
            what,
            operations,
            seconds,
        };
        self.done += 1;
        (self.progress)(&layer, self.done, LAYERS);
        self.layers.push(layer);
    }

    async fn products(&mut self) -> Result<()> {
        for side in SIDES {
            let a: Tensor<B, 2> = self.random([side, side]);
            let b: Tensor<B, 2> = self.random([side, side]);
            let seconds = self.time(|| a.clone().matmul(b.clone())).await?;
            let operations = 2.0 * (side as f64).powi(3);
            let what = format!("product of matrices, {side} x {side}");
            self.took(Kind::Product, what, operations, seconds);
            if seconds > SLOW {
                // A larger one would take too long, and be no faster.
                self.done = SIDES.len() as u32;
                break;
            }
        }
        Ok(())
    }

    /// The same for one frame, and, where that is quick, for as many as a video has: how many, and the seconds.
    async fn of_frames<const D: usize, I>(
        &self,
        input: impl Fn(usize) -> I,
        work: impl Fn(&I) -> Tensor<B, D>,
    ) -> Result<(usize, f64)> {
        let one = input(1);
        let seconds = self.time(|| work(&one)).await?;
        if seconds > SLOW {
            return Ok((1, seconds));
        }
        let all = input(FRAMES);
        Ok((FRAMES, self.time(|| work(&all)).await?))
    }

    async fn convolution(&mut self, channels: usize, [high, wide]: [usize; 2]) -> Result<()> {
        let conv = Conv2dConfig::new([channels, channels], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        let conv = self.cast(conv.init(self.device));
        let input = |frames| self.random([frames, channels, high, wide]);
        let work = |x: &Tensor<B, 4>| Convolution::apply(&conv, x.clone());
        let (frames, seconds) = self.of_frames(input, work).await?;
        let operations = 2.0 * 9.0 * product([frames, high, wide, channels, channels]);
        let what = format!("convolution 3 x 3, {channels} channels, {frames} of {wide} x {high}");
        self.took(Kind::Convolution, what, operations, seconds);
        Ok(())
    }

    async fn linear(&mut self, width: usize, [high, wide]: [usize; 2]) -> Result<()> {
        let layers = self.cast(FeedForward::new(width, self.device));
        let input = |frames| self.random([frames * high * wide, width]);
        let work = |x: &Tensor<B, 2>| layers.forward(x.clone());
        let (frames, seconds) = self.of_frames(input, work).await?;
        let operations = 2.0 * 12.0 * product([frames, high, wide, width, width]);
        let what = format!("linear, {width} wide, {frames} of {wide} x {high} tokens");
        self.took(Kind::Linear, what, operations, seconds);
        Ok(())
    }

    async fn attention(&mut self, width: usize, [high, wide]: [usize; 2]) -> Result<()> {
        const HEAD: usize = 64;
        let attention = AttentionConfig::new(width, width / HEAD, HEAD).init(self.device);
        let attention = self.cast(attention);
        let pixels = high * wide;
        let input = |frames: usize| {
            let axes = TokenAxes {
                batch: 1,
                frames,
                pixels,
            };
            (self.random([frames * pixels, width]), axes)
        };
        let work = |(x, axes): &(Tensor<B, 2>, TokenAxes)| attention.over_pixels(x.clone(), *axes);
        let (frames, seconds) = self.of_frames(input, work).await?;
        let linear = 8.0 * product([frames, pixels, width, width]);
        let operations = linear + 4.0 * product([frames, pixels, pixels, width]);
        let what = format!("attention, {width} wide, {frames} of {wide} x {high} tokens");
        self.took(Kind::Attention, what, operations, seconds);
        Ok(())
    }
}

/// A product that is larger than the integers of a page.
fn product<const N: usize>(of: [usize; N]) -> f64 {
    of.into_iter().map(|n| n as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures() -> Measures {
        let layer = |kind, what: &str, operations, seconds| Measured {
            kind,
            what: what.into(),
            operations,
            seconds,
        };
        Measures {
            device: "a test".into(),
            dtype: "half precision".into(),
            layers: vec![
                layer(Kind::Product, "product", 1e12, 0.5),
                layer(Kind::Product, "larger product", 8e12, 2.0),
                layer(Kind::Convolution, "a", 1e12, 1.0),
                layer(Kind::Convolution, "b", 3e12, 3.0),
                layer(Kind::Linear, "c", 2e12, 1.0),
                layer(Kind::Attention, "d", 5e11, 1.0),
            ],
        }
    }

    #[test]
    fn a_step_takes_what_its_layers_take() {
        let measures = measures();
        assert_eq!(measures.rate(Kind::Product), 4e12);
        assert_eq!(measures.rate(Kind::Convolution), 1e12);
        let usual = USUAL[1];
        // 4.95 and 6.30 and 0.85 TFLOP.
        let seconds = measures.pass(&usual);
        assert!((seconds - (4.95 + 3.15 + 1.71)).abs() < 0.05, "{seconds}");
        let report = measures.report(&[usual]);
        for part in [
            "a test",
            "50 % of the best",
            "19.6 s a step",
            "8 min for 25 steps",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }

    #[test]
    fn a_processor_is_measured_and_can_be_stopped() {
        use dragentity_networks::device::Cpu;
        let cancel = Cancel::new();
        let device = Default::default();
        let stop = cancel.clone();
        let mut heard = Vec::new();
        let mut hear = |_: &Measured, done, total| {
            heard.push((done, total));
            if done >= 4 {
                stop.cancel();
            }
        };
        let stopped = pollster::block_on(measure::<Cpu>(&device, "CPU".into(), &cancel, &mut hear));
        assert!(matches!(stopped, Err(dragentity_core::Error::Cancelled)));
        assert_eq!(heard.first(), Some(&(1, LAYERS)));
        assert_eq!(heard.last(), Some(&(4, LAYERS)));
    }
}
