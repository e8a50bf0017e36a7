//! What was measured, as a table for people or JSON for programs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How long it took.
    pub seconds: f64,
    /// The most memory held meanwhile, in bytes, where it is known.
    pub peak_memory: Option<u64>,
}

/// One thing that was measured on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What.
    pub what: String,
    /// By this program.
    pub ours: Vec<Sample>,
    /// By the reference, in turn.
    pub theirs: Vec<Sample>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The device, in words.
    pub device: String,
    /// The reference and its device, in words.
    pub reference: Option<String>,
    /// What the weights are held in.
    pub dtype: String,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Frames.
    pub frames: u32,
    /// Denoising steps of a generation.
    pub steps: u32,
    /// Floating point operations a second of large matrix products.
    pub matmul_peak: f64,
    /// Floating point operations of one step of the UNet, as the reference counts them.
    pub step_flops: Option<f64>,
    /// What was measured; the first is one step.
    pub rows: Vec<Row>,
}

impl Row {
    /// Nothing measured yet.
    pub fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            ours: Vec::new(),
            theirs: Vec::new(),
        }
    }

    /// The reference's time divided by ours: the median of the turns, which lie close together in time. Above 1, we
    /// are faster.
    pub fn speed(&self) -> Option<f64> {
        let turns = self.ours.iter().zip(&self.theirs);
        median(turns.map(|(ours, theirs)| theirs.seconds / ours.seconds))
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Median and range of seconds, and memory, of one side.
fn side(samples: &[Sample]) -> String {
    let seconds = || samples.iter().map(|s| s.seconds);
    let Some(middle) = median(seconds()) else {
        return "-".into();
    };
    let (low, high) = (
        seconds().fold(f64::MAX, f64::min),
        seconds().fold(0.0, f64::max),
    );
    let mut text = format!("{middle:.3} s");
    if samples.len() > 1 {
        text += &format!(" ({low:.3} to {high:.3})");
    }
    if let Some(bytes) = samples.iter().filter_map(|s| s.peak_memory).max() {
        text += &format!(", {:.2} GB", bytes as f64 / 1e9);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [width, height] = self.size;
        writeln!(
            f,
            "{} frames of {width} x {height}, {} steps, {} on {}; matrix products at most {:.0} GFLOP/s",
            self.frames,
            self.steps,
            self.dtype,
            self.device,
            self.matmul_peak / 1e9
        )?;
        if let Some(name) = &self.reference {
            writeln!(f, "beside it: {name}")?;
        }
        for row in &self.rows {
            write!(f, "{}: {}", row.what, side(&row.ours))?;
            if !row.theirs.is_empty() {
                write!(f, "; reference {}", side(&row.theirs))?;
            }
            if let Some(speed) = row.speed() {
                write!(f, "; {speed:.2} times its speed")?;
            }
            writeln!(f)?;
        }
        let step = self.rows.first();
        let seconds = step.and_then(|row| median(row.ours.iter().map(|s| s.seconds)));
        if let (Some(flops), Some(seconds)) = (self.step_flops, seconds) {
            let rate = flops / seconds;
            writeln!(
                f,
                "a step of {:.1} GFLOP at {:.0} GFLOP/s: {:.0} % of the matrix products' peak",
                flops / 1e9,
                rate / 1e9,
                100.0 * rate / self.matmul_peak
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_compared_one_by_one() {
        let sample = |seconds| Sample {
            seconds,
            peak_memory: Some(2_500_000_000),
        };
        let mut row = Row::new("a step");
        assert_eq!(row.speed(), None);
        // The machine is three times slower at the second turn, for both.
        row.ours = [1.0, 3.0, 1.0].map(sample).to_vec();
        row.theirs = [2.0, 6.0, 2.5].map(sample).to_vec();
        assert_eq!(row.speed(), Some(2.0));
        let report = Report {
            device: "CPU".into(),
            reference: Some("PyTorch".into()),
            dtype: "f32".into(),
            size: [64, 32],
            frames: 4,
            steps: 2,
            matmul_peak: 200e9,
            step_flops: Some(50e9),
            rows: vec![row],
        };
        let text = report.to_string();
        for part in [
            "4 frames of 64 x 32",
            "a step: 1.000 s (1.000 to 3.000), 2.50 GB",
            "reference 2.500 s",
            "2.00 times its speed",
            "25 % of the matrix products' peak",
        ] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
}
