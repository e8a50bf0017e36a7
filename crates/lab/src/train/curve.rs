//! The loss curve: a table of numbers, and a picture of it.

use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::write_whole;
use plotters::prelude::*;
use std::fmt::Write as _;
use std::path::Path;

/// One row: a step and the mean loss since the row before.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// Optimiser steps so far.
    pub step: u64,
    /// Training seconds so far, over all sessions of the run.
    pub seconds: f64,
    /// Mean loss since the row before.
    pub loss: f64,
}

/// Writes `loss.csv` and `loss.svg` into `directory`.
///
/// # Errors
/// [`Error::Io`] when a file cannot be written.
pub fn write(directory: &Path, title: &str, rows: &[Row]) -> Result<()> {
    let mut csv = String::from("step,seconds,loss\n");
    for row in rows {
        let _ = writeln!(csv, "{},{:.1},{:.6}", row.step, row.seconds, row.loss);
    }
    let path = directory.join("loss.csv");
    write_whole(&path, csv.as_bytes())?;
    if rows.len() < 2 {
        return Ok(());
    }
    let path = directory.join("loss.svg");
    draw(&path, title, rows).map_err(|reason| Error::Io {
        path: path.display().to_string(),
        source: std::io::Error::other(reason),
    })
}

fn draw(path: &Path, title: &str, rows: &[Row]) -> std::result::Result<(), String> {
    let text = |reason: &dyn std::fmt::Display| reason.to_string();
    let finite = || rows.iter().map(|row| row.loss).filter(|l| l.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min).max(1e-6);
    let high = finite().fold(low, f64::max).max(low * 1.01);
    let last = rows.last().map_or(1, |row| row.step.max(1)) as f64;
    let root = SVGBackend::new(path, (720, 400)).into_drawing_area();
    root.fill(&WHITE).map_err(|e| text(&e))?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..last, (low * 0.95..high * 1.05).log_scale())
        .map_err(|e| text(&e))?;
    chart
        .configure_mesh()
        .x_desc("step")
        .y_desc("loss")
        .draw()
        .map_err(|e| text(&e))?;
    chart
        .draw_series(LineSeries::new(
            rows.iter()
                .filter(|row| row.loss.is_finite())
                .map(|row| (row.step as f64, row.loss)),
            &RGBColor(30, 90, 200),
        ))
        .map_err(|e| text(&e))?;
    root.present().map_err(|e| text(&e))
}
