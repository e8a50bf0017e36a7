//! `dragentity bench`: what a device is good for, and what a generation takes there.

use super::model::{DeviceArgs, ModelArgs};
use dragentity_core::error::{Error, Result};
use dragentity_core::platform::now_seconds;
use dragentity_core::scene::settings::Choice;
use dragentity_core::scene::{Entity, Mask, Picture, Scene, Trajectory};
use dragentity_core::{Cancel, Job, JobEvent};
use dragentity_pipeline::measure::{Measured, Measures, USUAL};
use dragentity_pipeline::model::{About, Kind, SceneFrom};
use dragentity_pipeline::runner::{Runner, with_runner};
use dragentity_terminal::interrupt::on_interrupt;
use dragentity_terminal::out;
use dragentity_terminal::progress::{Progress, ProgressArgs};
use serde::Serialize;

/// Steps of the generation that is timed.
const STEPS: u32 = 5;

/// Options of `dragentity bench`.
#[derive(clap::Args)]
#[command(
    after_help = "Layers of Stable Video Diffusion are measured as they are at 576 x 320; with --model a few steps of that, too."
)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    place: DeviceArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// What a model's own steps took.
#[derive(Serialize)]
struct Steps {
    model: String,
    width: u32,
    height: u32,
    frames: u32,
    /// Until the first step had ended, reading and encoding included.
    first_after: f64,
    /// Of each that followed.
    seconds: f64,
}

/// Measures.
///
/// # Errors
/// Those of [`Runner::measure`], and of a model that is named those of [`Runner::run`].
pub fn run(args: Args) -> Result<()> {
    let options = args.model.options();
    let about = pollster::block_on(About::read(&options))?;
    let cancel = Cancel::new();
    let stop = cancel.clone();
    on_interrupt(move || stop.cancel());
    let mut progress = args.progress.start();
    let json = args.progress.is_json();
    let ran = with_runner(args.place.device, &options, |runner| {
        let mut told = |layer: &Measured, done: u32, total: u32| {
            if !json {
                out::aside(format_args!("{done} of {total}  {layer}"));
            }
        };
        let measures = runner.measure(&cancel, &mut told)?;
        let steps = match about.kind {
            Kind::AtOnce => None,
            _ => Some(steps(runner, &about, &cancel, &mut progress)?),
        };
        Ok((measures, steps))
    });
    progress.finish();
    let (measures, steps) = ran??;
    let made = serde_json::json!({ "measures": measures, "steps": steps });
    progress.result("done", &made, &report(&measures, steps.as_ref()));
    Ok(())
}

fn report(measures: &Measures, steps: Option<&Steps>) -> String {
    let mut text = measures.report(&USUAL);
    if let Some(steps) = steps {
        text += &format!(
            "\n{}, {} x {}, {} frames: {:.2} s a step here; the first had ended after {:.1} s, reading included\n",
            steps.model, steps.width, steps.height, steps.frames, steps.seconds, steps.first_after
        );
    }
    text.trim_end().to_owned()
}

/// A few steps of a model, of a thing that goes to the right.
fn steps(
    runner: &mut dyn Runner,
    about: &About,
    cancel: &Cancel,
    progress: &mut Progress,
) -> Result<Steps> {
    let [width, height] = about.settings.size.unwrap_or([576, 320]);
    let pixel = |at: u32| {
        let (x, y) = (at % width, at / width);
        [(x * 255 / width) as u8, (y * 255 / height) as u8, 120]
    };
    let rgb = (0..width * height).flat_map(pixel).collect();
    let mut mask = Mask::empty(width, height);
    mask.brush([0.4, 0.5], [0.4, 0.5], 0.1, true);
    let scene = Scene {
        picture: Picture::from_rgb(width, height, rgb)?,
        entities: vec![Entity {
            name: "disc".into(),
            mask,
            trajectory: Some(Trajectory::line([0.4, 0.5], [0.6, 0.5])),
            ..Entity::default()
        }],
        ..Scene::default()
    };
    let request = Choice {
        steps: Some(STEPS),
        ..Choice::default()
    };
    let settings = about.settings(&request, SceneFrom::Picture);
    let frames = settings.frames;
    let job = Job::new(scene, settings, true)?;
    let began = now_seconds();
    let mut ends = Vec::new();
    let mut size = [width, height];
    let stop = cancel.clone();
    let ran = runner.run(&job, cancel, &mut |event| {
        progress.show(&event);
        match event {
            JobEvent::Plan { width, height, .. } => size = [width, height],
            JobEvent::Step { step, steps } => {
                ends.push(now_seconds() - began);
                // What comes after the last is not asked for.
                if step == steps {
                    stop.cancel();
                }
            }
            _ => {}
        }
    });
    let [first, .., last] = ends.as_slice() else {
        // It ended before its time.
        return Err(ran.err().unwrap_or(Error::Cancelled));
    };
    Ok(Steps {
        model: about.name.clone(),
        width: size[0],
        height: size[1],
        frames,
        first_after: *first,
        seconds: (last - first) / (ends.len() - 1) as f64,
    })
}
