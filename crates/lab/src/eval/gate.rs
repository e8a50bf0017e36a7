//! Whether what makes a model's videos, its networks or what videos at once do beyond pasting, makes them better: the same clips with
//! and without it, part by part.
//!
//! A model that is worse with it than without in any part of the frame is not to be shipped.

use super::lpips::{Lpips, is_there};
use super::maker::Maker;
use super::regions::{NAMES, Regions, mean, psnr, regions};
use crate::data::{Clip, ClipSpec, Dataset, EVAL_SEED, Pack, Split};
use crate::event::LabEvent;
use crate::train::source::to_vec;
use burn::tensor::backend::Backend;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Entity, Mask, Order, Picture, Scene, Trajectory, TrajectoryPoint};
use dragentity_core::{Error, Result, Video};
use dragentity_networks::device::{Device, Task};
use dragentity_networks::dragentity::bundle::ModelIndex;
use dragentity_networks::weights::ModelDir;
use dragentity_pipeline::model::{About, Kind, ModelOptions};
use dragentity_pipeline::transfer::pictures;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Clips that a model is compared on, unless told otherwise.
pub const CLIPS: u64 = 24;
/// Side of the clips in pixels for what makes videos of any size.
const SIDE: usize = 256;
/// Frames of the clips for what makes any number of them.
const FRAMES: u32 = 14;
/// Differences below these are none, however sure: a person sees neither.
const LEAST: Figures = Figures {
    lpips: 0.001,
    psnr: 0.05,
};

/// What is compared.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// The model with its networks.
    pub model: Maker,
    /// What it is without them.
    pub without: Maker,
    /// Pack of cut-outs and backgrounds.
    pub data: PathBuf,
    /// Number of clips.
    pub clips: u64,
    /// LPIPS's weights.
    pub lpips: PathBuf,
}

/// Figures of a part of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// [`Lpips`]: lower is better.
    pub lpips: f64,
    /// dB: higher is better.
    pub psnr: f64,
}

impl Figures {
    fn map(pair: [Self; 2], f: impl Fn([f64; 2]) -> f64) -> Self {
        Self {
            lpips: f(pair.map(|figures| figures.lpips)),
            psnr: f(pair.map(|figures| figures.psnr)),
        }
    }
}

/// A part of the frames, compared.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// One of [`NAMES`].
    pub region: &'static str,
    /// With networks, mean over the clips.
    pub with: Figures,
    /// Without.
    pub without: Figures,
    /// By how much it may be worse: two standard errors of the clips' differences, and no less than what a person sees.
    pub noise: Figures,
    /// Figures that are worse by more.
    pub worse: Vec<&'static str>,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct GateReport {
    /// The model.
    pub model: String,
    /// What it was compared with.
    pub without: String,
    /// Number of clips.
    pub clips: u64,
    /// Width and height of the clips in pixels; `None` where nothing was to be compared.
    pub size: Option<[usize; 2]>,
    /// One for each part; none where nothing was to be compared.
    pub regions: Vec<Compared>,
}

impl GateReport {
    /// Whether the model may pass.
    ///
    /// # Errors
    /// [`Error::Model`] that names what is worse.
    pub fn verdict(&self) -> Result<()> {
        let worse: Vec<String> = (self.regions.iter())
            .filter(|part| !part.worse.is_empty())
            .map(|part| format!("{} ({})", part.region, part.worse.join(", ")))
            .collect();
        if worse.is_empty() {
            return Ok(());
        }
        Err(Error::Model {
            name: self.model.clone(),
            reason: format!(
                "is worse than {}: {}; make it better, or do without it",
                self.without,
                worse.join(", ")
            ),
        })
    }
}

/// Compares a model with itself without its networks.
///
/// # Errors
/// [`Error::Model`], [`Error::Picture`] when model, LPIPS's weights or pack cannot be read, [`Error::Device`].
pub fn compare(
    options: &GateOptions,
    device: Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<GateReport> {
    let mut report = GateReport {
        model: options.model.name().into(),
        without: options.without.name().into(),
        clips: options.clips,
        size: None,
        regions: Vec::new(),
    };
    if options.model == options.without {
        return Ok(report);
    }
    is_there(&options.lpips)?;
    let (spec, choice) = clips_for(&options.model)?;
    report.size = Some([spec.width, spec.height]);
    let pack = Arc::new(Pack::open(&options.data)?);
    let dataset = Dataset::new(pack, Split::HeldOut, spec, EVAL_SEED)?;
    let clips = dataset.batch(0, options.clips as usize);
    let scenes: Vec<Scene> = clips.iter().map(scene).collect::<Result<_>>()?;
    let total = 2 * options.clips;
    let mut made = Vec::with_capacity(2);
    for (turn, maker) in [&options.model, &options.without].into_iter().enumerate() {
        let before = turn as u64 * options.clips;
        let videos = maker.make(&scenes, &choice, device, &mut |done| {
            on_event(LabEvent::Clips {
                done: before + done as u64,
                total,
            });
        })?;
        made.push(
            videos
                .into_iter()
                .map(|made| made.video)
                .collect::<Vec<_>>(),
        );
    }
    report.regions = device.run(Measure {
        lpips: &options.lpips,
        clips: &clips,
        made: &made,
    })??;
    Ok(report)
}

/// Clips of a size that the model makes, the camera standing still, so that what was uncovered is known.
fn clips_for(model: &Maker) -> Result<(ClipSpec, Choice)> {
    let location = model.name();
    let about = match model {
        Maker::Model(_) => Some(pollster::block_on(About::read(&ModelOptions::new(
            location,
        )))?),
        Maker::First | Maker::Paste => None,
    };
    let about = about.filter(|about| about.kind != Kind::AtOnce);
    let frames = about.as_ref().map_or(FRAMES, |about| about.settings.frames);
    let spec = ClipSpec {
        width: SIDE,
        height: SIDE,
        frames: frames as usize,
        camera_share: 0.0,
        ..ClipSpec::default()
    };
    let choice = Choice {
        frames: Some(frames),
        ..Choice::default()
    };
    if about.is_none_or(|about| about.kind != Kind::DragEntity) {
        return Ok((spec, choice));
    }
    let dir = ModelDir::new(location);
    let index: ModelIndex = pollster::block_on(dir.read_json("", "model_index.json"))?;
    let side = (index.sample_side * index.output_scale) as usize;
    let spec = ClipSpec {
        width: side,
        height: side,
        max_entities: index.max_entities.min(spec.max_entities),
        ..spec
    };
    Ok((spec, choice))
}

/// A clip as a person would give it: its first frame, what is seen of the entities in it, and their true paths.
fn scene(clip: &Clip) -> Result<Scene> {
    let (width, height) = (clip.width as u32, clip.height as u32);
    let last = clip.frames.max(2) as f32 - 1.0;
    let entity = |index: usize| {
        let truth = &clip.entities[index];
        let points = truth.track.iter().enumerate().map(|(frame, p)| {
            TrajectoryPoint::new(
                p[0] / clip.width as f32,
                p[1] / clip.height as f32,
                frame as f32 / last,
            )
        });
        let points = points.collect();
        Ok(Entity {
            mask: Mask::from_alpha(width, height, clip.visible(index, 0).to_vec())?,
            trajectory: Some(Trajectory { points }),
            group: truth.group,
            ..Entity::default()
        })
    };
    Ok(Scene {
        picture: Picture::from_rgb(width, height, clip.frame(0).to_vec())?,
        entities: (0..clip.entities.len())
            .map(entity)
            .collect::<Result<_>>()?,
        order: Order::AsListed,
        background: None,
        ..Scene::default()
    })
}

struct Measure<'a> {
    lpips: &'a std::path::Path,
    clips: &'a [Clip],
    /// With and without networks, a video for each clip.
    made: &'a [Vec<Video>],
}

impl Task for Measure<'_> {
    type Output = Result<Vec<Compared>>;

    fn run<B: Backend>(self, device: B::Device, _: String) -> Self::Output {
        let lpips = Lpips::<B>::open(self.lpips, &device)?;
        // For each part the clips that have it, with and without networks.
        let mut parts: [Vec<[Figures; 2]>; NAMES.len()] = Default::default();
        for (index, clip) in self.clips.iter().enumerate() {
            let places: Vec<Regions> = (1..clip.frames).map(|f| regions(clip, f)).collect();
            let truth: Vec<&[u8]> = (0..clip.frames).map(|f| clip.frame(f)).collect();
            let mut both = [[None; NAMES.len()]; 2];
            for (figures, made) in both.iter_mut().zip(self.made) {
                let video = &made[index];
                *figures = of_video(&lpips, video, &truth, &places, &device)?;
            }
            for (part, (with, without)) in parts.iter_mut().zip(both[0].iter().zip(&both[1])) {
                part.extend(with.zip(*without).map(|(with, without)| [with, without]));
            }
        }
        let compared = NAMES
            .iter()
            .zip(parts)
            .filter(|(_, clips)| !clips.is_empty());
        Ok(compared
            .map(|(name, clips)| of_part(name, &clips))
            .collect())
    }
}

/// Means over the frames of a video but its first, of each part that is in any of them.
fn of_video<B: Backend>(
    lpips: &Lpips<B>,
    video: &Video,
    truth: &[&[u8]],
    places: &[Regions],
    device: &B::Device,
) -> Result<[Option<Figures>; NAMES.len()]> {
    let (width, height) = (video.width as usize, video.height as usize);
    let look = |frames: Vec<&[u8]>| {
        let frames: Vec<Vec<f32>> = frames.into_iter().map(super::unit).collect();
        lpips.look(pictures(&frames, width, height, device))
    };
    let made = video.frames[1..].iter().map(Vec::as_slice).collect();
    let (made, true_one) = (look(made)?, look(truth[1..].to_vec())?);
    let distances = to_vec(lpips.distance(&made, &true_one))?;
    let map = to_vec(lpips.local(&made, &true_one, [width, height]))?;
    let mut figures = [None; NAMES.len()];
    for (region, figures) in figures.iter_mut().enumerate() {
        let mut frames = Vec::new();
        for (index, places) in places.iter().enumerate() {
            let place = &places[region];
            let map = map[index * width * height..].iter().map(|v| f64::from(*v));
            // Of the whole the published figure, not that of the enlarged map.
            let lpips = match region {
                0 => Some(f64::from(distances[index])),
                _ => mean(map, place),
            };
            let psnr = psnr(&video.frames[index + 1], truth[index + 1], place);
            frames.extend(lpips.zip(psnr).map(|(lpips, psnr)| Figures { lpips, psnr }));
        }
        *figures = (!frames.is_empty()).then(|| mean_of(&frames));
    }
    Ok(figures)
}

fn mean_of(all: &[Figures]) -> Figures {
    let n = all.len() as f64;
    all.iter().fold(Figures::default(), |sum, one| {
        Figures::map([sum, *one], |[sum, one]| sum + one / n)
    })
}

/// A part compared over clips, with and without networks.
fn of_part(region: &'static str, clips: &[[Figures; 2]]) -> Compared {
    let [with, without] = [0, 1].map(|side| {
        let side: Vec<Figures> = clips.iter().map(|pair| pair[side]).collect();
        mean_of(&side)
    });
    let n = clips.len() as f64;
    let difference = Figures::map([with, without], |[a, b]| a - b);
    let squares: Vec<Figures> = clips
        .iter()
        .map(|pair| {
            let here = Figures::map(*pair, |[a, b]| a - b);
            Figures::map([here, difference], |[a, b]| (a - b).powi(2))
        })
        .collect();
    // One clip says nothing of how much clips differ.
    let noise = Figures::map([mean_of(&squares), LEAST], |[square, least]| {
        (2.0 * (square / (n - 1.0).max(1.0)).sqrt()).max(least)
    });
    let checks = [
        ("LPIPS", difference.lpips > noise.lpips),
        ("PSNR", -difference.psnr > noise.psnr),
    ];
    Compared {
        region,
        with,
        without,
        noise,
        worse: (checks.into_iter().filter(|(_, worse)| *worse))
            .map(|(name, _)| name)
            .collect(),
    }
}

impl std::fmt::Display for GateReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some([width, height]) = self.size else {
            return writeln!(f, "{}: it would be compared with itself", self.model);
        };
        writeln!(
            f,
            "{} against {}: {} clips of {width} x {height}\n",
            self.model, self.without, self.clips
        )?;
        writeln!(
            f,
            "| | LPIPS | {0} | noise | PSNR dB | {0} | noise | |\n|---|---|---|---|---|---|---|---|",
            self.without
        )?;
        for part in &self.regions {
            let (with, without, noise) = (part.with, part.without, part.noise);
            let verdict = match part.worse.is_empty() {
                true => "passes".into(),
                false => format!("worse: {}", part.worse.join(", ")),
            };
            writeln!(
                f,
                "| {} | {:.4} | {:.4} | {:.4} | {:.2} | {:.2} | {:.2} | {verdict} |",
                part.region,
                with.lpips,
                without.lpips,
                noise.lpips,
                with.psnr,
                without.psnr,
                noise.psnr
            )?;
        }
        writeln!(
            f,
            "\nNoise: two standard errors of the clips' differences, at least {} and {} dB.",
            LEAST.lpips, LEAST.psnr
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(clips: &[[Figures; 2]]) -> GateReport {
        GateReport {
            model: "a model".into(),
            without: "paste".into(),
            clips: clips.len() as u64,
            size: Some([64, 64]),
            regions: vec![of_part(NAMES[3], clips)],
        }
    }

    /// Clips that the networks change by these figures, in dB, and LPIPS a hundredth as much the other way.
    fn changed(by: &[f64]) -> Vec<[Figures; 2]> {
        let figures = |psnr: f64| Figures {
            lpips: 0.5 - psnr / 100.0,
            psnr,
        };
        let clips = by.iter().enumerate();
        clips
            .map(|(index, by)| [20.0 + by, 20.0].map(|psnr| figures(psnr + index as f64)))
            .collect()
    }

    #[test]
    fn what_is_worse_beyond_the_noise_fails_and_is_named() {
        let fails = report(&changed(&[-1.0, -1.2, -0.8, -1.1]));
        let said = fails.verdict().unwrap_err().to_string();
        assert!(
            said.contains("a model") && said.contains("inside entities (LPIPS, PSNR)"),
            "{said}"
        );
        assert!(fails.to_string().contains("worse: LPIPS, PSNR"), "{fails}");
        // As much worse in the mean, but by one clip.
        assert!(report(&changed(&[-4.1, 0.2, -0.3, 0.1])).verdict().is_ok());
        assert!(report(&changed(&[1.0, 1.2, 0.8, 1.1])).verdict().is_ok());
        // Surely worse, by less than anybody sees.
        assert!(report(&changed(&[-0.02; 4])).verdict().is_ok());
    }

    #[test]
    fn against_itself_it_passes_and_says_so() {
        let options = GateOptions {
            model: Maker::Paste,
            without: Maker::Paste,
            data: "no such pack".into(),
            clips: 2,
            lpips: "no such file".into(),
        };
        let report = compare(&options, Device::CPU, &mut |_| {}).unwrap();
        assert!(report.verdict().is_ok());
        assert!(
            report.to_string().contains("compared with itself"),
            "{report}"
        );
    }
}
