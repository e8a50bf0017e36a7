//! How far trackers are from the truth, on clips whose truth is known.

use crate::data::render::Clip;
use crate::data::{ClipSpec, Dataset, EVAL_SEED, Pack, Split};
use dragentity_core::Result;
use dragentity_core::Video;
use dragentity_core::scene::Mask;
use dragentity_media::track::Tracks;
use dragentity_media::track::flow;
use dragentity_media::track::template;
use rayon::prelude::*;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Distances in pixels whose share is reported.
pub const WITHIN: [f32; 3] = [1.0, 2.0, 4.0];
/// Entities of which fewer pixels are seen in the first frame are not tracked: nobody would drag them.
const FEWEST_PIXELS: usize = 20;

/// What to measure on.
#[derive(Clone, Debug)]
pub struct TrackOptions {
    /// Pack of cut-outs and backgrounds; its held-out half is used.
    pub data: PathBuf,
    /// Number of clips.
    pub clips: u64,
    /// Side of the clips in pixels.
    pub side: usize,
    /// Frames of a clip.
    pub frames: usize,
}

/// Means over all entities and all frames but the first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TrackScore {
    /// What was measured.
    pub tracker: String,
    /// Mean distance in pixels to where the entity truly is, where it is seen.
    pub error: f64,
    /// Share of places within [`WITHIN`] pixels of the truth, where it is seen.
    pub within: [f64; 3],
    /// Share of places of which it says rightly whether they are seen; `None` for what says nothing about it.
    pub visibility: Option<f64>,
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct TracksReport {
    /// Side of the clips in pixels.
    pub side: usize,
    /// Frames of a clip.
    pub frames: usize,
    /// Number of clips.
    pub clips: u64,
    /// Entities tracked.
    pub entities: usize,
    /// Share of the places at which the entity is hidden or out of the frame.
    pub hidden: f64,
    /// One for each tracker.
    pub scores: Vec<TrackScore>,
}

/// A tracker under test.
type Tracker = fn(&Video, &[(String, Mask)]) -> Result<Tracks>;

/// Nothing moves: what a tracker must be better than.
fn still(video: &Video, entities: &[(String, Mask)]) -> Result<Tracks> {
    let one = Video {
        frames: video.frames[..1].to_vec(),
        ..*video
    };
    let mut tracks = flow::track(&one, entities)?;
    for entity in &mut tracks.entities {
        entity.points.resize(video.frames.len(), entity.points[0]);
        entity.visible.resize(video.frames.len(), true);
    }
    Ok(tracks)
}

/// Trackers by name, and whether they say what is hidden.
const TRACKERS: [(&str, Tracker, bool); 3] = [
    ("Lucas-Kanade (`track`)", flow::track, true),
    ("template matching (ObjMC)", template::track, false),
    ("everything stays", still, false),
];

/// Sums over places.
#[derive(Clone, Copy, Default)]
struct Sums {
    places: usize,
    seen: usize,
    error: f64,
    within: [usize; 3],
    right: usize,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.places += other.places;
        self.seen += other.seen;
        self.error += other.error;
        self.right += other.right;
        for (sum, value) in self.within.iter_mut().zip(other.within) {
            *sum += value;
        }
    }
}

/// Measures all trackers.
///
/// # Errors
/// [`dragentity_core::Error::Picture`] when the pack cannot be read, [`dragentity_core::Error::Job`] for sizes that cannot be rendered.
pub fn evaluate_tracks(options: &TrackOptions) -> Result<TracksReport> {
    let pack = Arc::new(Pack::open(&options.data)?);
    let spec = ClipSpec {
        width: options.side,
        height: options.side,
        frames: options.frames,
        ..ClipSpec::default()
    };
    let dataset = Dataset::new(pack, Split::HeldOut, spec, EVAL_SEED)?;
    let all: Result<Vec<_>> = (0..options.clips)
        .into_par_iter()
        .map(|index| measure(&dataset.clip(index)))
        .collect();
    let mut sums = [Sums::default(); TRACKERS.len()];
    let mut entities = 0;
    for (count, clip) in all? {
        entities += count;
        for (sum, part) in sums.iter_mut().zip(&clip) {
            sum.add(part);
        }
    }
    let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
    Ok(TracksReport {
        side: options.side,
        frames: options.frames,
        clips: options.clips,
        entities,
        hidden: 1.0 - share(sums[0].seen, sums[0].places),
        scores: TRACKERS
            .iter()
            .zip(sums)
            .map(|((name, _, tells), sum)| TrackScore {
                tracker: (*name).into(),
                error: sum.error / sum.seen.max(1) as f64,
                within: sum.within.map(|n| share(n, sum.seen)),
                visibility: tells.then(|| share(sum.right, sum.places)),
            })
            .collect(),
    })
}

/// Entities tracked, and the sums of each tracker over them.
fn measure(clip: &Clip) -> Result<(usize, [Sums; TRACKERS.len()])> {
    let (width, height) = (clip.width as u32, clip.height as u32);
    let video = Video {
        width,
        height,
        fps: 8,
        frames: (0..clip.frames).map(|f| clip.frame(f).to_vec()).collect(),
    };
    let mask = |entity: usize| Mask {
        width,
        height,
        alpha: clip.visible(entity, 0).to_vec(),
    };
    let tracked: Vec<usize> = (0..clip.entities.len())
        .filter(|&entity| mask(entity).area() >= FEWEST_PIXELS)
        .collect();
    let entities: Vec<_> = tracked.iter().map(|&e| (e.to_string(), mask(e))).collect();
    let mut sums = [Sums::default(); TRACKERS.len()];
    for (sum, (_, tracker, _)) in sums.iter_mut().zip(TRACKERS) {
        let found = tracker(&video, &entities)?;
        for (&entity, track) in tracked.iter().zip(&found.entities) {
            for frame in 1..clip.frames {
                let truth = clip.entities[entity].track[frame];
                let seen = is_seen(clip, entity, frame);
                let at = track.points[frame];
                let off = (at[0] - truth[0]).hypot(at[1] - truth[1]);
                sum.places += 1;
                sum.right += usize::from(track.visible[frame] == seen);
                if !seen {
                    continue;
                }
                sum.seen += 1;
                sum.error += f64::from(off);
                for (count, limit) in sum.within.iter_mut().zip(WITHIN) {
                    *count += usize::from(off < limit);
                }
            }
        }
    }
    Ok((tracked.len(), sums))
}

/// Whether the very pixel that an entity's anchor is at shows the entity.
fn is_seen(clip: &Clip, entity: usize, frame: usize) -> bool {
    let [x, y] = clip.entities[entity].track[frame].map(f32::floor);
    if !(x >= 0.0 && y >= 0.0 && x < clip.width as f32 && y < clip.height as f32) {
        return false;
    }
    clip.visible(entity, frame)[y as usize * clip.width + x as usize] >= 128
}

impl std::fmt::Display for TracksReport {
    /// The report as a table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} clips of {} x {} pixels and {} frames, {} entities, hidden in {:.1} % of the frames\n",
            self.clips,
            self.side,
            self.side,
            self.frames,
            self.entities,
            100.0 * self.hidden
        )?;
        writeln!(
            f,
            "| | error px | within 1 px | 2 px | 4 px | visibility right |\n|---|---|---|---|---|---|"
        )?;
        for score in &self.scores {
            let [a, b, c] = score.within.map(|v| 100.0 * v);
            let seen = score
                .visibility
                .map_or("-".into(), |v| format!("{:.1} %", 100.0 * v));
            writeln!(
                f,
                "| {} | {:.2} | {a:.1} % | {b:.1} % | {c:.1} % | {seen} |",
                score.tracker, score.error
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tracker_is_better_than_none_and_knows_what_is_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a.pack");
        std::fs::write(&data, crate::data::testing::pack_bytes()).unwrap();
        let report = evaluate_tracks(&TrackOptions {
            data,
            clips: 6,
            side: 64,
            frames: 6,
        })
        .unwrap();
        let [ours, _, still] = [0, 1, 2].map(|k| &report.scores[k]);
        assert!(report.entities > 6);
        assert!(ours.error < 0.5 * still.error, "{report}");
        assert!(ours.visibility.unwrap() > 0.7, "{report}");
        assert!(ours.within[0] <= ours.within[1] && ours.within[1] <= ours.within[2]);
        assert!(report.to_string().contains("| everything stays |"));
    }
}
