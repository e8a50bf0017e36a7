//! Drags on real videos: DAVIS's sequences, each method given the first frame, the mask of what moves in it and the way that
//! mask truly goes, and compared with what truly happened.
//!
//! What really happens is more than the path says (things turn, the camera moves), so that no method can be right in all of it;
//! which is nearer to it can be said.

mod clip;

pub use clip::{Drag, FRAMES};

use super::extractor::{Describe, Extractors};
use super::frechet::frechet_distance;
use super::lpips::{Lpips, is_there};
use super::maker::{Made, Maker};
use crate::event::LabEvent;
use crate::train::source::to_vec;
use burn::tensor::backend::Backend;
use dragentity_core::platform::write_whole;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Mask, Scene};
use dragentity_core::{Error, Result, Video};
use dragentity_media::overlay::contact_sheet;
use dragentity_media::resized;
use dragentity_media::track::template::Target;
use dragentity_networks::device::{Device, Task};
use dragentity_pipeline::plan::to_unit;
use dragentity_pipeline::transfer::pictures;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Clips of each sequence, unless told otherwise.
pub const CLIPS: u64 = 2;
/// The contact sheet shows frames this much smaller.
const SHRINK: u32 = 4;

/// What is measured, and with what.
#[derive(Clone, Debug)]
pub struct DavisOptions {
    /// DAVIS: `JPEGImages/NAME/*.jpg` and `Annotations/NAME/*.png`.
    pub data: PathBuf,
    /// What makes the videos.
    pub makers: Vec<Maker>,
    /// Clips of each sequence at most.
    pub clips: u64,
    /// LPIPS's weights.
    pub lpips: PathBuf,
    /// I3D, for FVD.
    pub i3d: Option<PathBuf>,
    /// Where the contact sheet goes: for each clip the truth, and below it what was made of it.
    pub sheet: Option<PathBuf>,
}

/// What one maker's video of one clip scores, over all frames but the first.
#[derive(Clone, Debug, Serialize)]
pub struct ClipScore {
    /// The sequence.
    pub clip: String,
    /// The number of its frame that was given.
    pub start: usize,
    /// The maker.
    pub row: String,
    /// LPIPS of whole frames, mean.
    pub lpips: f64,
    /// PSNR of whole frames in dB, mean.
    pub psnr: f64,
    /// Intersection over union of the true masks with the first one moved to where the tracker finds the thing in the made
    /// video ([`dragentity_media::track::template`]), mean over the frames that it is in; `None` if that is in none, or the
    /// thing is too small to be told from noise.
    pub iou: Option<f64>,
    /// Mean distance in pixels of where the tracker finds the thing to its path, over the frames in which it is seen; as before.
    pub path: Option<f64>,
    /// How long it took to make, loading not counted.
    pub seconds: f64,
}

/// Means over all clips.
#[derive(Clone, Debug, Serialize)]
pub struct RowScore {
    /// The maker.
    pub row: String,
    /// See [`ClipScore`], as the next.
    pub lpips: f64,
    /// dB
    pub psnr: f64,
    /// See [`ClipScore`].
    pub iou: f64,
    /// Pixels, see [`ClipScore`].
    pub path: f64,
    /// Frechet distance of the videos' features by I3D to those of the truth; `None` without I3D, or of one clip.
    pub fvd: Option<f64>,
    /// Of a clip.
    pub seconds: f64,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct DavisReport {
    /// Number of clips.
    pub clips: usize,
    /// One for each maker.
    pub rows: Vec<RowScore>,
    /// The truth itself, tracked, as far as it can be: what is left to reach, and what the tracker gets wrong.
    pub truth: Place,
    /// What FVD was measured with.
    pub fvd_features: Option<String>,
    /// One for each clip and maker.
    #[serde(skip)]
    pub scores: Vec<ClipScore>,
}

/// Where a thing is found.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Place {
    /// See [`ClipScore::iou`].
    pub iou: f64,
    /// See [`ClipScore::path`].
    pub path: f64,
}

impl DavisReport {
    /// The scores as JSON, an object a line.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn write_lines(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for score in &self.scores {
            let line = serde_json::to_string(score).map_err(|e| Error::Job(e.to_string()))?;
            text += &line;
            text.push('\n');
        }
        write_whole(path, text.as_bytes())
    }
}

/// Makes and measures everything.
///
/// # Errors
/// Those of [`Drag::all`] and [`Maker::make`]; [`Error::Model`] when the weights of a measure cannot be read, [`Error::Device`].
pub fn evaluate_davis(
    options: &DavisOptions,
    device: Device,
    on_event: &mut dyn FnMut(LabEvent),
) -> Result<DavisReport> {
    is_there(&options.lpips)?;
    let drags = Drag::all(&options.data, options.clips as usize)?;
    let scenes: Vec<Scene> = drags.iter().map(Drag::scene).collect();
    let choice = Choice {
        frames: Some(FRAMES as u32),
        ..Choice::default()
    };
    let total = (drags.len() * options.makers.len()) as u64;
    let mut made = Vec::new();
    for (turn, maker) in options.makers.iter().enumerate() {
        let before = turn * drags.len();
        made.push(maker.make(&scenes, &choice, device, &mut |done| {
            let done = (before + done) as u64;
            on_event(LabEvent::Clips { done, total });
        })?);
    }
    if let Some(path) = &options.sheet {
        write_whole(path, &sheet(&drags, &made)?.to_png()?)?;
    }
    device.run(Measure {
        options,
        drags: &drags,
        made: &made,
    })?
}

/// The truth of each clip, and below it what each maker made.
fn sheet(drags: &[Drag], made: &[Vec<Made>]) -> Result<dragentity_core::scene::Picture> {
    let mut rows = Vec::new();
    for (index, drag) in drags.iter().enumerate() {
        let videos =
            std::iter::once(truth(drag)).chain(made.iter().map(|row| row[index].video.clone()));
        for video in videos {
            let [width, height] = [video.width, video.height].map(|side| side.div_ceil(SHRINK));
            rows.push(resized(&video, width, height)?.into_owned());
        }
    }
    contact_sheet(&rows.iter().collect::<Vec<_>>(), 2)
}

/// What truly happened.
fn truth(drag: &Drag) -> Video {
    Video {
        width: drag.frames[0].width,
        height: drag.frames[0].height,
        fps: 24,
        frames: drag.frames.iter().map(|frame| frame.rgb.to_vec()).collect(),
    }
}

struct Measure<'a> {
    options: &'a DavisOptions,
    drags: &'a [Drag],
    /// For each maker a video of each clip.
    made: &'a [Vec<Made>],
}

impl Task for Measure<'_> {
    type Output = Result<DavisReport>;

    fn run<B: Backend>(self, device: B::Device, _: String) -> Self::Output {
        let Self {
            options,
            drags,
            made,
        } = self;
        let lpips = Lpips::<B>::open(&options.lpips, &device)?;
        let extractors = Extractors {
            inception: None,
            i3d: options.i3d.clone(),
        };
        let describe = Describe::<B>::new(&extractors, &device)?;
        let mut scores = Vec::new();
        let mut of_truth = Vec::new();
        // Of the makers' videos, and last of the truth's.
        let mut features: Vec<Vec<Vec<f32>>> = vec![Vec::new(); made.len() + 1];
        for (index, drag) in drags.iter().enumerate() {
            let size @ [width, height] = drag.size();
            let true_frames: Vec<Vec<f32>> = drag.frames.iter().map(to_unit).collect();
            let look =
                |frames: &[Vec<f32>]| lpips.look(pictures(&frames[1..], width, height, &device));
            let truth = look(&true_frames)?;
            features[made.len()].extend(describe.describe(&true_frames, size)?.video);
            of_truth.push(found(drag, &true_frames));
            for (maker, (row, features)) in made.iter().zip(&mut features).enumerate() {
                let Made { video, seconds } = &row[index];
                let frames: Vec<Vec<f32>> =
                    video.frames.iter().map(|rgb| super::unit(rgb)).collect();
                features.extend(describe.describe(&frames, size)?.video);
                let distances = to_vec(lpips.distance(&look(&frames)?, &truth))?;
                let [iou, path] = found(drag, &frames);
                scores.push(ClipScore {
                    clip: drag.name.clone(),
                    start: drag.start,
                    row: options.makers[maker].name().into(),
                    lpips: distances.iter().map(|v| f64::from(*v)).sum::<f64>()
                        / distances.len() as f64,
                    psnr: super::motion::psnr(&frames, &true_frames, None),
                    iou,
                    path,
                    seconds: *seconds,
                });
            }
        }
        let mut rows = Vec::new();
        for (maker, features_of) in options.makers.iter().zip(&features) {
            let truth = &features[made.len()];
            let fvd = match truth.len() {
                0 | 1 => None,
                _ => Some(frechet_distance(features_of, truth)?),
            };
            rows.push(RowScore::of(maker.name(), &scores, fvd));
        }
        Ok(DavisReport {
            clips: drags.len(),
            rows,
            truth: Place {
                iou: mean(of_truth.iter().filter_map(|place| place[0])),
                path: mean(of_truth.iter().filter_map(|place| place[1])),
            },
            fvd_features: describe.of_videos(),
            scores,
        })
    }
}

impl RowScore {
    /// Means over the clips of one maker.
    fn of(row: &str, scores: &[ClipScore], fvd: Option<f64>) -> Self {
        let of = || scores.iter().filter(|score| score.row == row);
        Self {
            row: row.into(),
            lpips: mean(of().map(|score| score.lpips)),
            psnr: mean(of().map(|score| score.psnr)),
            iou: mean(of().filter_map(|score| score.iou)),
            path: mean(of().filter_map(|score| score.path)),
            fvd,
            seconds: mean(of().map(|score| score.seconds)),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    sum / count.max(1) as f64
}

/// [`ClipScore::iou`] and [`ClipScore::path`] of a video.
fn found(drag: &Drag, frames: &[Vec<f32>]) -> [Option<f64>; 2] {
    let [width, height] = drag.size();
    let first = &drag.masks[0];
    let share: Vec<f32> = first.alpha.iter().map(|&a| f32::from(a) / 255.0).collect();
    let Some(target) = Target::new(&frames[0], &share, width, height) else {
        return [None; 2];
    };
    let track = target.track(frames);
    let seen = drag.seen();
    let away = |(at, to): (&[f32; 2], &[f32; 2])| f64::from((at[0] - to[0]).hypot(at[1] - to[1]));
    let path = drag.path();
    let distances = track.iter().zip(&path).map(away).zip(&seen);
    let overlaps = track.iter().zip(&drag.masks).skip(1);
    let overlaps = overlaps.filter(|(_, mask)| !mask.is_empty());
    let some = |count: usize, mean: f64| (count > 0).then_some(mean);
    [
        some(
            overlaps.clone().count(),
            mean(overlaps.map(|(at, mask)| overlap(first, *at, mask))),
        ),
        some(
            seen.iter().filter(|seen| **seen).count(),
            mean(distances.filter(|(_, seen)| **seen).map(|(far, _)| far)),
        ),
    ]
}

/// Intersection over union of a mask moved by whole pixels with another of its size.
fn overlap(mask: &Mask, by: [f32; 2], other: &Mask) -> f64 {
    let [dx, dy] = by.map(|v| v.round() as i64);
    let (width, height) = (i64::from(mask.width), i64::from(mask.height));
    let (mut both, mut either) = (0_u64, other.area() as u64);
    for (at, _) in mask.alpha.iter().enumerate().filter(|(_, a)| **a >= 128) {
        let (x, y) = (at as i64 % width + dx, at as i64 / width + dy);
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            continue;
        }
        if other.alpha[(y * width + x) as usize] >= 128 {
            both += 1;
        } else {
            either += 1;
        }
    }
    both as f64 / either.max(1) as f64
}

impl std::fmt::Display for DavisReport {
    /// The report as a table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "DAVIS: {} clips of {FRAMES} frames\n", self.clips)?;
        writeln!(
            f,
            "| | LPIPS | PSNR dB | mask IoU | path px | FVD | s a clip |\n|---|---|---|---|---|---|---|"
        )?;
        for row in &self.rows {
            let fvd = row.fvd.map_or("-".into(), |fvd| format!("{fvd:.1}"));
            writeln!(
                f,
                "| {} | {:.4} | {:.2} | {:.3} | {:.2} | {fvd} | {:.2} |",
                row.row, row.lpips, row.psnr, row.iou, row.path, row.seconds
            )?;
        }
        writeln!(
            f,
            "\nThe truth itself, tracked: mask IoU {:.3}, path {:.2} px.",
            self.truth.iou, self.truth.path
        )?;
        match &self.fvd_features {
            Some(features) => writeln!(
                f,
                "FVD by {features}, of {} clips: only comparable within this table.",
                self.clips
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DAVIS with one sequence: a chequered square that moves by two pixels a frame to the right over waves, through `frames`
    /// frames.
    fn davis(folder: &Path, frames: u32) {
        for name in ["JPEGImages", "Annotations"] {
            std::fs::create_dir_all(folder.join(name).join("square")).unwrap();
        }
        for frame in 0..frames {
            let inside = |x: u32, y: u32| {
                let left = 8 + 2 * frame;
                (left..left + 16).contains(&x) && (12..28).contains(&y)
            };
            let picture = image::RgbImage::from_fn(96, 48, |x, y| {
                let left = 8 + 2 * frame;
                if !inside(x, y) {
                    let wave = (60.0 + 30.0 * (x as f32 * 0.2 + y as f32 * 0.3).sin()) as u8;
                    image::Rgb([wave, wave / 2, 90])
                } else if ((x - left) / 4 + (y - 12) / 5) % 2 == 0 {
                    image::Rgb([250, 200, 40])
                } else {
                    image::Rgb([200, 30, 220])
                }
            });
            let mask = image::GrayImage::from_fn(96, 48, |x, y| {
                image::Luma([if inside(x, y) { 255 } else { 0 }])
            });
            let file = format!("square/{frame:05}.png");
            picture.save(folder.join("JPEGImages").join(&file)).unwrap();
            mask.save(folder.join("Annotations").join(&file)).unwrap();
        }
    }

    #[test]
    fn what_follows_the_path_is_nearer_to_what_happened() {
        let dir = tempfile::tempdir().unwrap();
        davis(dir.path(), 30);
        let lpips = dir.path().join("lpips.safetensors");
        std::fs::write(&lpips, crate::eval::lpips::tests::synthetic_file()).unwrap();
        let options = DavisOptions {
            data: dir.path().into(),
            makers: vec![Maker::First, Maker::Paste],
            clips: 5,
            lpips,
            i3d: None,
            sheet: Some(dir.path().join("sheet.png")),
        };
        let mut heard = Vec::new();
        let report = evaluate_davis(&options, Device::CPU, &mut |event| heard.push(event)).unwrap();
        // 30 frames have two pieces of 14.
        assert_eq!((report.clips, report.scores.len()), (2, 4));
        assert_eq!(heard.last(), Some(&LabEvent::Clips { done: 4, total: 4 }));
        let [first, paste] = [0, 1].map(|row| &report.rows[row]);
        assert!(paste.psnr > first.psnr + 5.0, "{report}");
        assert!(paste.iou > 0.9 && first.iou < 0.5, "{report}");
        // On the average frame it is seven steps of two pixels away.
        assert!(
            paste.path < 1.0 && (first.path - 14.0).abs() < 1.0,
            "{report}"
        );
        assert!(
            report.truth.iou > 0.99 && report.truth.path < 0.5,
            "{report}"
        );
        let lines = dir.path().join("clips.jsonl");
        report.write_lines(&lines).unwrap();
        let text = std::fs::read_to_string(lines).unwrap();
        let starts: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["start"].as_u64())
            .map(Option::unwrap)
            .collect();
        assert_eq!(starts, [0, 0, 14, 14]);
        let sheet = image::open(dir.path().join("sheet.png")).unwrap();
        // Two clips of three rows of 24 x 12, with gaps.
        assert_eq!((sheet.width(), sheet.height()), (14 * 26 + 2, 6 * 14 + 2));
    }

    #[test]
    fn what_is_not_davis_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let said = |place: &Path| Drag::all(place, 2).map(drop).unwrap_err().to_string();
        assert!(said(&dir.path().join("none")).contains("none"));
        davis(dir.path(), 5);
        assert!(said(dir.path()).contains("14 frames"));
        std::fs::remove_file(dir.path().join("Annotations/square/00003.png")).unwrap();
        assert!(said(dir.path()).contains("5 frames and 4 annotations"));
    }
}
