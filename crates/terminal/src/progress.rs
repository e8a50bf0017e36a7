//! What a running job says, as bars for people or as JSON for programs.

use crate::out;
use dragentity_core::JobEvent;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Display;
use std::time::Duration;

/// How it is told what happens.
#[derive(clap::Args)]
pub struct ProgressArgs {
    /// Print progress and result as JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl ProgressArgs {
    /// What tells it so.
    pub fn start(&self) -> Progress {
        Progress::new(self.json)
    }

    /// Whether a program reads it.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Shows events. Bars go to standard error, and only where that is a terminal; what is planned goes there anyhow, as a
/// log wants to know it. JSON goes to standard output.
pub struct Progress {
    json: bool,
    bar: ProgressBar,
}

impl Progress {
    /// With bars, or as JSON.
    pub fn new(json: bool) -> Self {
        let bar = if json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        if !json {
            // The spinner turns while one long step is computed: it lives.
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self { json, bar }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &JobEvent) {
        if self.json {
            // That there is a preview helps nobody who cannot see it, and of the result more is said at the end.
            if !matches!(event, JobEvent::Preview(_) | JobEvent::Done(_)) {
                out::line(event.to_json());
            }
            return;
        }
        match event {
            JobEvent::Loading { part, done, total } => {
                self.bytes(&format!("Loading {part}"), *done, *total);
            }
            JobEvent::Plan {
                width,
                height,
                frames,
                steps,
                device,
            } => {
                let steps = match steps {
                    1 => String::new(),
                    steps => format!(" in {steps} steps"),
                };
                self.bar.suspend(|| {
                    out::aside(format_args!(
                        "{frames} frames of {width} x {height} pixels{steps} on {device}"
                    ));
                });
            }
            JobEvent::Encoding => self.count("Encoding the picture", 0, 0),
            JobEvent::Filling { done, total } => {
                self.count("Filling what was hidden", *done, *total);
            }
            JobEvent::Step { step, steps } => self.count("Denoising", *step, *steps),
            JobEvent::Decoding { done, total } => self.count("Decoding frames", *done, *total),
            JobEvent::Smoothing { done, total } => self.count("Frames between", *done, *total),
            // Who waits for a job in this process has its end as what running it returns.
            JobEvent::Preview(_)
            | JobEvent::Queued { .. }
            | JobEvent::Stopping
            | JobEvent::Done(_)
            | JobEvent::Failed { .. }
            | JobEvent::Cancelled => {}
        }
    }

    /// Shows what is said while clicks become a mask.
    pub fn show_clicks(&mut self, event: &JobEvent) {
        match event {
            JobEvent::Step { step, steps } if !self.json => {
                self.count("Looking at the picture", *step, *steps);
            }
            other => self.show(other),
        }
    }

    /// Says what the person should know before the work begins.
    pub fn notes<T: Display>(&self, notes: &[T]) {
        for note in notes {
            self.bar
                .suspend(|| out::aside(format_args!("note: {note}")));
        }
    }

    /// Says how something ended: `what` with the fields of `fields`, or the sentence.
    pub fn result(&self, what: &str, fields: &impl Serialize, sentence: &str) {
        if !self.json {
            self.bar.suspend(|| out::line(sentence));
            return;
        }
        let mut line = json!({ "phase": what });
        if let (Some(line), Ok(Value::Object(fields))) =
            (line.as_object_mut(), serde_json::to_value(fields))
        {
            line.extend(fields);
        }
        out::line(line);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn count(&self, phase: &str, done: u32, total: u32) {
        let template = if total > 0 {
            "{spinner} {msg} {pos}/{len} {bar:30} {elapsed}"
        } else {
            "{spinner} {msg}"
        };
        self.set(template, phase, done as u64, total as u64);
    }

    /// Shows how many bytes of something are done; `total` may be 0, for not known.
    pub fn bytes(&self, phase: &str, done: u64, total: u64) {
        let known = "{spinner} {msg} {bytes}/{total_bytes} {bar:30}";
        self.set(
            if total > 0 {
                known
            } else {
                "{spinner} {msg} {bytes}"
            },
            phase,
            done,
            total,
        );
    }

    fn set(&self, template: &str, phase: &str, done: u64, total: u64) {
        // The templates are the literals above; should one be wrong, a plain bar does.
        self.bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(phase.to_owned());
    }
}
