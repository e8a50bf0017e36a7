//! What training and measuring say, for people: lines on standard output, and bars on standard error where that is a
//! terminal.

use crate::event::LabEvent;
use dragentity_terminal::out;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Shows events.
#[derive(Default)]
pub struct Progress {
    /// Of what is under way.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows one event.
    pub fn show(&mut self, event: &LabEvent) {
        match event {
            LabEvent::Step { stage, step, steps } => {
                let bar = self
                    .bar
                    .get_or_insert_with(|| steps_bar(stage, *step, *steps));
                bar.set_position(*step);
            }
            LabEvent::Clips { done, total } => {
                let bar = self.bar.get_or_insert_with(|| ProgressBar::new(*total));
                bar.set_position(*done);
                if done >= total {
                    self.finish();
                }
            }
            LabEvent::Ended { .. } => self.finish(),
            LabEvent::Loss { loss, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("loss {loss:.4}"));
                }
                if !std::io::stderr().is_terminal() {
                    self.print(event);
                }
            }
            _ => self.print(event),
        }
    }

    fn print(&self, event: &LabEvent) {
        let Some(line) = line(event) else { return };
        match &self.bar {
            Some(bar) => bar.suspend(|| out::line(line)),
            None => out::line(line),
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The bar of a run that has `step` of its `steps` behind it already.
fn steps_bar(stage: &'static str, step: u64, steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) =
        ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {per_sec} eta {eta} {msg}")
    {
        bar.set_style(style);
    }
    bar.set_prefix(stage);
    bar.set_position(step);
    bar.reset_eta();
    bar
}

/// An event as a line; `None` for what only moves a bar.
fn line(event: &LabEvent) -> Option<String> {
    Some(match event {
        LabEvent::Training { device } => format!("training on {device}"),
        LabEvent::OtherConditions => {
            "note: the weights to start from were trained with other conditions or another loss"
                .to_owned()
        }
        LabEvent::Deviation { std } => format!("deviation of the denoised quantity: {std:.3?}"),
        LabEvent::Resuming { stage, step } => format!("{stage}: resuming at step {step}"),
        LabEvent::Loss {
            stage,
            step,
            seconds,
            loss,
            steps_per_second,
        } => format!(
            "{stage} step {step} {seconds:.0} s loss {loss:.4} ({steps_per_second:.2} steps/s)"
        ),
        LabEvent::Sample {
            stage,
            step,
            seconds,
            figures,
        } => {
            let figures: Vec<String> = figures
                .iter()
                .map(|(name, value)| format!("{name} {value:.3}"))
                .collect();
            format!(
                "{stage} step {step} after {seconds:.0} s: {}",
                figures.join(", ")
            )
        }
        LabEvent::Run { dir, steps } => format!("{}: {steps} steps", dir.display()),
        LabEvent::RunDone { dir, steps } => format!("{}: done, {steps} steps", dir.display()),
        LabEvent::RunBusy { dir } => format!("{}: another process trains it", dir.display()),
        LabEvent::SessionOver => "the session is over; start again to go on".to_owned(),
        LabEvent::Measuring { dir } => format!("measuring {}", dir.display()),
        LabEvent::Step { .. } | LabEvent::Clips { .. } | LabEvent::Ended { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_logs_have_them() {
        let stage = "denoiser";
        for (event, expected) in [
            (
                LabEvent::Deviation {
                    std: vec![0.25, 1.0],
                },
                "deviation of the denoised quantity: [0.250, 1.000]",
            ),
            (
                LabEvent::Resuming { stage, step: 7 },
                "denoiser: resuming at step 7",
            ),
            (
                LabEvent::Loss {
                    stage,
                    step: 12,
                    seconds: 60.4,
                    loss: 0.5,
                    steps_per_second: 1.25,
                },
                "denoiser step 12 60 s loss 0.5000 (1.25 steps/s)",
            ),
            (
                LabEvent::Sample {
                    stage,
                    step: 12,
                    seconds: 60.4,
                    figures: vec![("psnr", 20.0), ("loss", 0.5)],
                },
                "denoiser step 12 after 60 s: psnr 20.000, loss 0.500",
            ),
            (
                LabEvent::RunDone {
                    dir: "runs/a".into(),
                    steps: 3,
                },
                "runs/a: done, 3 steps",
            ),
        ] {
            assert_eq!(line(&event).as_deref(), Some(expected));
        }
        let step = LabEvent::Step {
            stage,
            step: 1,
            steps: 2,
        };
        assert_eq!(line(&step), None);
    }
}
