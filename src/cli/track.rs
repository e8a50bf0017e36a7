//! `dragentity track`: where the things of a video are in each of its frames.

use super::files::{MAX_PICTURE_FILE, check_output, read as read_file, writable};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::write_whole;
use dragentity_core::scene::{Mask, Preset};
use dragentity_media as media;
use dragentity_media::overlay;
use dragentity_media::read::{PICTURES, Reading, files_with, read};
use dragentity_media::track::EntityTrack;
use dragentity_media::track::Tracks;
use dragentity_media::track::flow;
use dragentity_media::track::mask_and_circle;
use dragentity_networks::device::Device;
use dragentity_pipeline::cotracker;
use dragentity_terminal::out;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};

/// Largest file of tracks that is read, in bytes.
const MAX_TRACKS_FILE: u64 = 64 << 20;
/// Frames of a contact sheet at most, and in a row of it.
const SHEET: (usize, usize) = (12, 4);
/// Longer side, in pixels, of a frame of a contact sheet.
const SHEET_SIDE: u32 = 320;

/// Options of `dragentity track`.
#[derive(clap::Args)]
pub struct Args {
    /// An MP4 (H.264), GIF or animated WebP, or a folder of frames
    video: PathBuf,
    /// Masks in the first frame, one for each entity: pictures of the video's size, white where the entity is, or
    /// folders of them
    #[arg(long, num_args = 1.., required = true, value_name = "MASK")]
    masks: Vec<PathBuf>,
    /// Write the tracks to this JSON file (form: docs/src/formats.md)
    #[arg(short, long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// Write the tracks in DragAnything's form, whole pixels under a number for each entity
    #[arg(long, value_name = "FILE.json")]
    draganything: Option<PathBuf>,
    /// Write masks and paths as a preset, for `generate` and the page; its picture is the first frame
    #[arg(long, value_name = "FILE.json")]
    preset: Option<PathBuf>,
    /// Write the first frame
    #[arg(long, value_name = "FILE.png")]
    first_frame: Option<PathBuf>,
    /// Draw the tracks over the video: .mp4, .gif, .webp, a folder of PNGs, or .png for a sheet of some frames
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,
    /// Take the tracks from this file, of either form, rather than from the video; its first entity is the first mask's
    #[arg(long, value_name = "FILE.json")]
    tracks: Option<PathBuf>,
    /// Track with CoTracker3 instead: its weights (docs/src/tracks.md)
    #[arg(long, value_name = "FILE", conflicts_with = "tracks")]
    cotracker: Option<String>,
    /// Where CoTracker runs: auto, cuda, vulkan, metal, dx12, wgpu or cpu
    #[arg(long, default_value = "auto", requires = "cotracker")]
    device: Device,
    /// First frame, from 0
    #[arg(long, default_value_t = 0)]
    start: usize,
    /// Only every so many-th frame
    #[arg(long, default_value_t = 1, value_name = "N")]
    stride: usize,
    /// Frames at most
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
}

/// Runs the subcommand.
///
/// # Errors
/// [`Error::Picture`], [`Error::Preset`], [`Error::Job`] and [`Error::Io`], naming the file.
pub fn run(args: Args) -> Result<()> {
    let outputs = [
        &args.output,
        &args.draganything,
        &args.preset,
        &args.first_frame,
        &args.overlay,
    ];
    if outputs.iter().all(|output| output.is_none()) {
        return Err(Error::Job(
            "nothing would be written; name a file with -o, --preset or --overlay".into(),
        ));
    }
    for output in outputs.into_iter().flatten() {
        match args.overlay.as_ref() == Some(output) && !is_sheet(output) {
            true => check_output(output)?,
            false => writable(output)?,
        }
    }
    let reading = Reading {
        start: args.start,
        stride: args.stride.max(1),
        frames: args.frames.unwrap_or(usize::MAX).max(1),
        ..Reading::default()
    };
    let video = read(&args.video, &reading)?;
    let entities = masks(&args.masks, &video)?;
    let tracks = match (&args.tracks, &args.cotracker) {
        (Some(path), _) => given(path, &entities, &video)?,
        (None, Some(weights)) => {
            let bar = ProgressBar::new(video.frames.len() as u64);
            let mut progress = |frame: usize| bar.set_position(frame as u64);
            let tracks = cotracker::track(weights, args.device, &video, &entities, &mut progress);
            bar.finish_and_clear();
            tracks?
        }
        (None, None) => flow::track(&video, &entities)?,
    };
    for entity in &tracks.entities {
        let seen = entity.visible.iter().filter(|seen| **seen).count();
        let (from, to) = (entity.points[0], entity.points[entity.points.len() - 1]);
        out::line(format_args!(
            "{}: {:.1}, {:.1} to {:.1}, {:.1}, radius {:.1}, seen in {seen} of {} frames",
            entity.name, from[0], from[1], to[0], to[1], entity.radius, tracks.frames
        ));
    }
    if let Some(path) = &args.output {
        write_whole(path, tracks.to_json().as_bytes())?;
    }
    if let Some(path) = &args.draganything {
        write_whole(path, tracks.to_draganything().as_bytes())?;
    }
    let masks: Vec<Mask> = entities.into_iter().map(|(_, mask)| mask).collect();
    if args.preset.is_some() || args.first_frame.is_some() {
        let scene = tracks.scene(&video, &masks)?;
        if let Some(path) = &args.first_frame {
            write_whole(path, &scene.picture.to_png()?)?;
        }
        if let Some(path) = &args.preset {
            let preset = Preset::new(&scene, &tracks.settings(video.fps));
            write_whole(path, preset.to_json().as_bytes())?;
        }
    }
    match &args.overlay {
        Some(path) => draw(&video, &tracks, &masks, path),
        None => Ok(()),
    }
}

/// Whether some of the frames are to be drawn beside each other.
fn is_sheet(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("png"))
}

/// Names and masks of the entities.
fn masks(paths: &[PathBuf], video: &Video) -> Result<Vec<(String, Mask)>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = files_with(path, &PICTURES)?;
            if found.is_empty() {
                return Err(Error::Preset(format!(
                    "{}: there is no mask in this folder",
                    path.display()
                )));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    let one = |path: PathBuf| {
        let name = path.display().to_string();
        let bytes = read_file(&path, MAX_PICTURE_FILE, "mask")?;
        let mask = Mask::decode(&bytes, &name, "the video", [video.width, video.height])?;
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok((stem, mask))
    };
    files.into_iter().map(one).collect()
}

/// Tracks from a file, with the masks' names and radii.
fn given(path: &Path, entities: &[(String, Mask)], video: &Video) -> Result<Tracks> {
    let name = path.display().to_string();
    let bytes = read_file(path, MAX_TRACKS_FILE, "file of tracks")?;
    let text = String::from_utf8_lossy(&bytes);
    let tracks = Tracks::parse(&text, &name, (video.width, video.height))?;
    if tracks.entities.len() != entities.len() {
        return Err(Error::Preset(format!(
            "{name} has tracks of {} entities, and there are {} masks; give one mask for each",
            tracks.entities.len(),
            entities.len()
        )));
    }
    let mut tracks = tracks
        .scaled(video.width, video.height)
        .cut(video.frames.len())?;
    for (track, (name, mask)) in tracks.entities.iter_mut().zip(entities) {
        let EntityTrack { radius, .. } = track;
        *radius = mask_and_circle(mask, video.width, video.height)?.1.radius;
        track.name.clone_from(name);
    }
    Ok(tracks)
}

fn draw(video: &Video, tracks: &Tracks, masks: &[Mask], path: &Path) -> Result<()> {
    let size = (video.width, video.height);
    let (width, height) = match size.0.max(size.1) {
        // Nothing could be told apart on a video as small as a stamp.
        side if side <= media::VIEW_SIDE / 2 => media::view_size(size, size, None),
        _ => size,
    };
    let large = media::resized(video, width, height)?;
    let drawn = overlay::with_tracks(&large, tracks, masks)?;
    if !is_sheet(path) {
        return media::save(&drawn, path);
    }
    let scale = (f64::from(SHEET_SIDE) / f64::from(width.max(height))).min(1.0);
    let side = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
    let (count, last) = (drawn.frames.len().min(SHEET.0), drawn.frames.len() - 1);
    let some: Vec<_> = (0..count)
        .map(|k| drawn.frames[k * last / (count - 1).max(1)].clone())
        .collect();
    let rows: Result<Vec<Video>> = some
        .chunks(SHEET.1)
        .map(|frames| {
            let row = Video {
                frames: frames.to_vec(),
                ..drawn
            };
            Ok(media::resized(&row, side(width), side(height))?.into_owned())
        })
        .collect();
    let rows = rows?;
    let sheet = overlay::contact_sheet(&rows.iter().collect::<Vec<_>>(), 4)?;
    write_whole(path, &sheet.to_png()?)
}
