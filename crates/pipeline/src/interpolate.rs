//! More frames: RIFE makes those between the frames of a video.

use super::transfer::{pause, read};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::scene::settings::MAX_FRAMES;
use dragentity_core::{Cancel, Error, JobEvent, Result, Video};
use dragentity_networks::rife::{IFNet, MULTIPLE};
use dragentity_networks::weights::Weights;

/// By how much a video may be made smoother.
pub const FACTORS: [u32; 2] = [2, 4];
/// Most frames of the result.
const MOST: u32 = 4 * MAX_FRAMES;

/// RIFE on a device.
pub struct Interpolator<B: Backend> {
    network: IFNet<B>,
    device: B::Device,
}

impl<B: Backend> Interpolator<B> {
    /// Loads the weights, `models/rife/model.safetensors`, from a file or URL.
    ///
    /// # Errors
    /// [`Error::Model`] for other or damaged weights.
    pub async fn load(
        location: &str,
        device: &B::Device,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Self> {
        let mut progress = |done, total| {
            observer(JobEvent::Loading {
                part: "RIFE".into(),
                done,
                total,
            });
        };
        let weights = Weights::open(location, &mut progress).await?;
        Ok(Self {
            network: weights.load(IFNet::new(device))?.0,
            device: device.clone(),
        })
    }

    /// The same video with `factor` times as many frames a second: the given ones as they are, and `factor - 1` between each
    /// two.
    ///
    /// # Errors
    /// [`Error::Job`] for another factor than those of [`FACTORS`], for a video of no frames and for one that is too long;
    /// [`Error::Cancelled`], [`Error::Device`] when the device fails.
    pub async fn smooth(
        &self,
        video: &Video,
        factor: u32,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Video> {
        check(video, factor)?;
        let steps = (video.frames.len() as u32 - 1) * (factor - 1);
        let mut frames = Vec::with_capacity(video.frames.len() * factor as usize);
        let mut done = 0;
        let mut before: Option<Tensor<B, 4>> = None;
        for (index, frame) in video.frames.iter().enumerate() {
            let after = self.picture(frame, video);
            if let Some(before) = before {
                for part in 1..factor {
                    let time = part as f32 / factor as f32;
                    let made = self.network.forward(before.clone(), after.clone(), time);
                    frames.push(bytes(made.await, video).await?);
                    done += 1;
                    observer(JobEvent::Smoothing { done, total: steps });
                    pause(cancel).await?;
                }
            }
            frames.push(video.frames[index].clone());
            before = Some(after);
        }
        Ok(Video {
            fps: video.fps * factor,
            frames,
            ..*video
        })
    }

    /// A frame as the network takes it: 0..1, its border repeated to sides that are multiples.
    fn picture(&self, rgb: &[u8], video: &Video) -> Tensor<B, 4> {
        let [width, height] = [video.width, video.height].map(|side| side as usize);
        let [wide, high] = [width, height].map(|side| side.next_multiple_of(MULTIPLE));
        let mut planes = Vec::with_capacity(3 * wide * high);
        for channel in 0..3 {
            for y in 0..high {
                for x in 0..wide {
                    let at = (y.min(height - 1) * width + x.min(width - 1)) * 3 + channel;
                    planes.push(f32::from(rgb[at]) / 255.0);
                }
            }
        }
        Tensor::from_data(TensorData::new(planes, [1, 3, high, wide]), &self.device)
    }
}

/// Whether a video can be made so many times as smooth: before the long work of making it.
///
/// # Errors
/// [`Error::Job`].
pub fn check_factor(factor: u32) -> Result<()> {
    match FACTORS.contains(&factor) {
        true => Ok(()),
        false => Err(Error::Job(format!(
            "a video is made 2 or 4 times as smooth, not {factor}"
        ))),
    }
}

/// Whether a video can be made smoother.
///
/// # Errors
/// [`Error::Job`].
fn check(video: &Video, factor: u32) -> Result<()> {
    let refuse = |why: String| Err(Error::Job(why));
    check_factor(factor)?;
    let pixels = video.width as usize * video.height as usize;
    if pixels == 0 || video.frames.is_empty() || video.frames.iter().any(|f| f.len() != 3 * pixels)
    {
        return refuse("there are no frames to make others between".into());
    }
    if video.frames.len() as u64 * u64::from(factor) > u64::from(MOST) {
        return refuse(format!(
            "{} frames, {factor} times as many, are more than {MOST}",
            video.frames.len()
        ));
    }
    Ok(())
}

/// The frame in what the network made.
async fn bytes<B: Backend>(made: Tensor<B, 4>, video: &Video) -> Result<Vec<u8>> {
    let [width, height] = [video.width, video.height].map(|side| side as usize);
    let made = made.narrow(2, 0, height).narrow(3, 0, width);
    let made = read(made.swap_dims(1, 2).swap_dims(2, 3)).await?;
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    Ok(made.into_iter().map(byte).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    /// A bright square with a texture on noise, which goes to the right by 6 pixels a frame.
    fn moving(frames: usize, step: usize) -> Video {
        let (width, height) = (96_usize, 64);
        let pixel = |frame: usize, at: usize| {
            let (x, y) = (at % width, at / width);
            let left = 10 + step * frame;
            let inside = (left..left + 32).contains(&x) && (16..48).contains(&y);
            let seed = if inside {
                (x - left) * 31 + y * 17
            } else {
                at * 7 + 3
            };
            let noise = (seed * 7919 % 64) as u8;
            if inside {
                [190 + noise / 2, 150, 60 + noise]
            } else {
                [40 + noise / 4, 70, 90]
            }
        };
        let frame = |frame: usize| {
            (0..width * height)
                .flat_map(|at| pixel(frame, at))
                .collect()
        };
        Video {
            width: width as u32,
            height: height as u32,
            fps: 7,
            frames: (0..frames).map(frame).collect(),
        }
    }

    fn psnr(a: &[u8], b: &[u8]) -> f64 {
        let squares = a
            .iter()
            .zip(b)
            .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        let mean = squares.sum::<f64>() / a.len() as f64;
        10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
    }

    #[test]
    fn frames_between_show_things_between_where_a_blend_shows_them_twice() {
        let root = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/rife/model.safetensors"
        );
        let device = Default::default();
        let mut events = Vec::new();
        let mut hear = |event| events.push(event);
        let loaded = Interpolator::<Flex>::load(root, &device, &mut hear);
        let rife = pollster::block_on(loaded).unwrap();
        let (given, truth) = (moving(2, 8), moving(5, 2));
        let cancel = Cancel::new();
        let made = pollster::block_on(rife.smooth(&given, 4, &cancel, &mut hear)).unwrap();
        assert_eq!((made.frames.len(), made.fps), (5, 28));
        assert!(made.frames[0] == given.frames[0] && made.frames[4] == given.frames[1]);
        for between in 1..4 {
            let share = between as f32 / 4.0;
            let blend = |(&a, &b): (&u8, &u8)| {
                (f32::from(a) * (1.0 - share) + f32::from(b) * share).round() as u8
            };
            let blended: Vec<u8> = given.frames[0]
                .iter()
                .zip(&given.frames[1])
                .map(blend)
                .collect();
            let own = psnr(&made.frames[between], &truth.frames[between]);
            let blend = psnr(&blended, &truth.frames[between]);
            assert!(own > blend + 3.0, "{between}: {own:.1} and {blend:.1} dB");
        }
        let smoothing = |e: &&JobEvent| matches!(e, JobEvent::Smoothing { total: 3, .. });
        assert_eq!(events.iter().filter(smoothing).count(), 3);

        let mut hear = |_| {};
        let mut said = |video: &Video, factor| {
            let refused = rife.smooth(video, factor, &cancel, &mut hear);
            pollster::block_on(refused).err().unwrap().to_string()
        };
        assert!(said(&given, 3).contains("2 or 4 times"));
        let nothing = Video {
            frames: Vec::new(),
            ..given
        };
        assert!(said(&nothing, 2).contains("no frames"));
        cancel.cancel();
        let stopped = pollster::block_on(rife.smooth(&moving(2, 8), 2, &cancel, &mut |_| {}));
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }
}
