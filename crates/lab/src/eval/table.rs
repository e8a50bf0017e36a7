//! Tables 1, 2 and 3 of the paper at this project's size, beside the paper's own figures.
//!
//! Nothing is trained here: `dragentity-lab train table` did that. What its runs score is kept in a ledger, so that the
//! tables can be printed where the weights are not.

use super::{EvalOptions, Method, evaluate};
use crate::eval::extractor::Extractors;
use crate::event::LabEvent;
use crate::train::denoiser::HELD_OUT_ERROR;
use crate::train::record::Results;
use crate::train::table::{Kind, PaperFigures, Row, kinds, model_dir, rows};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform::write_json;
use dragentity_networks::device::Device;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the tables' runs scored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Clips that each run was measured on.
    pub clips: u64,
    /// What FVD was measured with, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fvd_features: Option<String>,
    /// What FID was measured with, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fid_features: Option<String>,
    /// One for each run.
    pub runs: Vec<Entry>,
}

/// What one run scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`Kind::name`]
    pub kind: String,
    /// Seed of its clips, noise and first weights.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// [`HELD_OUT_ERROR`] at the end of training.
    pub error: f64,
    /// See [`super::Score`].
    pub obj_mc: f64,
    /// See [`super::Score`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fvd: Option<f64>,
    /// See [`super::Score`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fid: Option<f64>,
    /// See [`super::Score`].
    pub psnr: f64,
    /// See [`super::Score`].
    pub psnr_inside: f64,
}

/// What is measured, and with what.
#[derive(Clone, Debug)]
pub struct MeasureOptions {
    /// Folder of the runs.
    pub runs: PathBuf,
    /// Pack of cut-outs and backgrounds.
    pub data: PathBuf,
    /// Number of clips.
    pub clips: u64,
    /// What Frechet distances are measured with.
    pub extractors: Extractors,
}

impl Ledger {
    /// From a file; an empty one where there is none.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Job`] naming file and line when it is not one.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(Error::Io {
                    path: path.display().to_string(),
                    source,
                });
            }
        };
        serde_json::from_str(&text)
            .map_err(|e| Error::Job(format!("{}: no ledger of table runs: {e}", path.display())))
    }

    /// Into a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }

    /// Measures the runs that it does not know yet, and keeps the ledger in `path` up to date, so that
    /// what was measured survives an interruption.
    ///
    /// # Errors
    /// As [`evaluate`]; [`Error::Job`] where there are no finished runs, or the ledger was measured otherwise.
    pub fn measure(
        &mut self,
        path: &Path,
        options: &MeasureOptions,
        device: Device,
        on_event: &mut dyn FnMut(LabEvent),
    ) -> Result<()> {
        let (runs, clips) = (options.runs.as_path(), options.clips);
        let found = finished(runs)?;
        if found.is_empty() {
            return Err(Error::Job(format!(
                "{}: no finished runs; `dragentity-lab train table --run {0}` trains them",
                runs.display()
            )));
        }
        for (dir, kind, seed, results) in found {
            let of_run = |entry: &&mut Entry| entry.kind == kind && entry.seed == seed;
            let known = self.runs.iter_mut().find(of_run);
            if known.is_some_and(|entry| entry.steps == results.steps_done) {
                continue;
            }
            let error = results.figures.get(HELD_OUT_ERROR).copied();
            let error = error.ok_or_else(|| {
                Error::Job(format!(
                    "{}: results.json has no {HELD_OUT_ERROR}: train it anew",
                    dir.display()
                ))
            })?;
            on_event(LabEvent::Measuring { dir: dir.clone() });
            let report = evaluate(
                &EvalOptions {
                    model: model_dir(&dir).display().to_string(),
                    data: options.data.clone(),
                    clips,
                    steps: None,
                    extractors: options.extractors.clone(),
                    sheet: Some(dir.join("eval.png")),
                },
                device,
                on_event,
            )?;
            let motion = report.motion;
            let measured = (clips, &motion.fvd_features, &motion.fid_features);
            if self.runs.is_empty() {
                (self.clips, self.fvd_features, self.fid_features) = (
                    clips,
                    motion.fvd_features.clone(),
                    motion.fid_features.clone(),
                );
            } else if (self.clips, &self.fvd_features, &self.fid_features) != measured {
                return Err(Error::Job(format!(
                    "{}: its figures are of {} clips, FVD by {}, FID by {}: figures measured otherwise cannot stand \
                     beside them; choose another --ledger",
                    path.display(),
                    self.clips,
                    self.fvd_features.as_deref().unwrap_or("nothing"),
                    self.fid_features.as_deref().unwrap_or("nothing")
                )));
            }
            let score = motion.generated;
            self.runs
                .retain(|entry| (&entry.kind, entry.seed) != (&kind, seed));
            self.runs.push(Entry {
                kind,
                seed,
                steps: results.steps_done,
                error,
                obj_mc: score.obj_mc,
                fvd: score.fvd,
                fid: score.fid,
                psnr: score.psnr,
                psnr_inside: score.psnr_inside,
            });
            self.runs
                .sort_by(|a, b| (&a.kind, a.seed).cmp(&(&b.kind, b.seed)));
            self.write(path)?;
        }
        Ok(())
    }

    /// Table 1, 2 or 3, of the seeds that all of its rows have.
    ///
    /// # Errors
    /// [`Error::Job`] for another number, or where there is nothing to compare.
    pub fn table(&self, number: u8) -> Result<Table> {
        let rows = rows_of(number)?;
        let steps = self.runs.iter().map(|entry| entry.steps).max().unwrap_or(0);
        let of = |kind: &Kind, seed: u64| {
            let name = kind.name();
            let mut runs = self.runs.iter();
            // Of equal budgets only.
            runs.find(|entry| entry.kind == name && entry.seed == seed && entry.steps == steps)
        };
        let mut seeds: Vec<u64> = self.runs.iter().map(|entry| entry.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.retain(|&seed| rows.iter().all(|row| of(&row.kind, seed).is_some()));
        if seeds.is_empty() {
            return Err(Error::Job(format!(
                "table {number}: no seed has all rows in the ledger; `dragentity-lab train table --table {number}` trains \
                 them, `dragentity-lab eval --table {number} --runs DIR` measures them"
            )));
        }
        let lines = rows
            .iter()
            .map(|row| {
                let entries: Vec<&Entry> = seeds
                    .iter()
                    .filter_map(|&seed| of(&row.kind, seed))
                    .collect();
                let spread = |figure: fn(&Entry) -> f64| {
                    Spread::of(entries.iter().map(|entry| figure(entry)).collect())
                };
                let of_all = |figure: fn(&Entry) -> Option<f64>| {
                    let values = entries.iter().map(|entry| figure(entry));
                    values.collect::<Option<Vec<_>>>().map(Spread::of)
                };
                Line {
                    title: row.title,
                    obj_mc: spread(|entry| entry.obj_mc),
                    fvd: of_all(|entry| entry.fvd),
                    fid: of_all(|entry| entry.fid),
                    psnr_inside: spread(|entry| entry.psnr_inside),
                    error: spread(|entry| entry.error),
                    paper: row.paper,
                }
            })
            .collect();
        Ok(Table {
            number,
            seeds,
            steps,
            clips: self.clips,
            fvd_features: self.fvd_features.clone(),
            fid_features: self.fid_features.clone(),
            lines,
        })
    }
}

/// The runs of a table's rows, of the first seed that has them all.
///
/// # Errors
/// [`Error::Job`] for a number that is no table of runs, or where no seed has all of its runs.
pub fn methods_of(number: u8, runs: &Path) -> Result<Vec<Method>> {
    let rows = rows_of(number)?;
    let found = finished(runs)?;
    let mut seeds: Vec<u64> = found.iter().map(|run| run.2).collect();
    seeds.dedup();
    let of = |row: &Row, seed: u64| {
        let run = found
            .iter()
            .find(|(_, kind, of, _)| *kind == row.kind.name() && *of == seed)?;
        Some(Method {
            name: row.title.into(),
            model: model_dir(&run.0).display().to_string(),
        })
    };
    let all = |seed: u64| rows.iter().map(|row| of(row, seed)).collect::<Option<_>>();
    seeds.into_iter().find_map(all).ok_or_else(|| {
        Error::Job(format!(
            "{}: no seed has all finished runs of table {number}; `dragentity-lab train table --table {number} --run {0}` \
             trains them",
            runs.display()
        ))
    })
}

/// A table's rows.
fn rows_of(number: u8) -> Result<Vec<Row>> {
    let rows = rows(number);
    if rows.is_empty() {
        return Err(Error::Job(format!(
            "there is no table {number}: the paper's that are measured here are 1, 2 and 3, and 4 is what people picked"
        )));
    }
    Ok(rows)
}

/// Finished runs: their directories, kinds, seeds and results, in order.
fn finished(runs: &Path) -> Result<Vec<(PathBuf, String, u64, Results)>> {
    let mut found = Vec::new();
    for kind in kinds(&[1, 2, 3]) {
        let kind = kind.name();
        let Ok(entries) = std::fs::read_dir(runs.join(&kind)) else {
            continue;
        };
        for dir in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = dir.file_name().and_then(|name| name.to_str());
            let seed = name.and_then(|name| name.strip_prefix("seed-")?.parse().ok());
            let (Some(seed), Some(results)) = (seed, Results::read(&dir)?) else {
                continue;
            };
            if results.steps_done == results.record.steps {
                found.push((dir, kind.clone(), seed, results));
            }
        }
    }
    found.sort_by(|a, b| (a.2, &a.1).cmp(&(b.2, &b.1)));
    Ok(found)
}

/// Figures of several seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n - 1); `None` of one.
    pub deviation: Option<f64>,
    /// They themselves, in the order of seeds.
    pub values: Vec<f64>,
}

impl Spread {
    fn of(values: Vec<f64>) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self {
            mean,
            deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
            values,
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Three digits that mean something, whatever the figure's size.
        let places = if self.mean.abs() >= 10.0 { 2 } else { 4 };
        write!(f, "{:.places$}", self.mean)?;
        match self.deviation {
            Some(deviation) => write!(f, " ± {deviation:.places$}"),
            None => Ok(()),
        }
    }
}

/// A row of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What the table calls it.
    pub title: &'static str,
    /// Pixels, lower is better; as the next two.
    pub obj_mc: Spread,
    /// Frechet distance of videos, where all runs have it.
    pub fvd: Option<Spread>,
    /// Frechet distance of frames, where all runs have it.
    pub fid: Option<Spread>,
    /// dB inside entities, higher is better; no column of the paper, as the next.
    pub psnr_inside: Spread,
    /// [`HELD_OUT_ERROR`], lower is better.
    pub error: Spread,
    /// The paper's ObjMC, FVD and FID.
    pub paper: Option<PaperFigures>,
}

/// One of the paper's tables, measured here.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// 1, 2 or 3.
    pub number: u8,
    /// Seeds behind each figure.
    pub seeds: Vec<u64>,
    /// Optimiser steps of each run.
    pub steps: u64,
    /// Clips that each run was measured on.
    pub clips: u64,
    /// What FVD was measured with, where it was.
    pub fvd_features: Option<String>,
    /// What FID was measured with, where it was.
    pub fid_features: Option<String>,
    /// In the paper's order.
    pub lines: Vec<Line>,
}

impl Table {
    /// The rows by their error. Rows of a seed see the same clips and noise, so that they can be compared seed by seed where
    /// seeds differ by more than rows do.
    fn order(&self) -> String {
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by(|a, b| a.error.mean.total_cmp(&b.error.mean));
        let mut said = format!("By the error, best first: \"{}\"", lines[0].title);
        for pair in lines.windows(2) {
            let (better, worse) = (&pair[0].error.values, &pair[1].error.values);
            let seeds = better.iter().zip(worse).filter(|(a, b)| a < b).count();
            said += &format!(
                ", \"{}\" (worse in {seeds} of {} seeds)",
                pair[1].title,
                worse.len()
            );
        }
        said
    }

    /// Pairs of rows that a figure of ours orders otherwise than the paper's, as sentences.
    fn disagreements(&self) -> Vec<String> {
        type Column = (&'static str, fn(&Line) -> Option<&Spread>);
        let figures: [Column; 3] = [
            ("ObjMC", |line| Some(&line.obj_mc)),
            ("FVD", |line| line.fvd.as_ref()),
            ("FID", |line| line.fid.as_ref()),
        ];
        let mut said = Vec::new();
        for (at, (figure, ours)) in figures.into_iter().enumerate() {
            for (i, a) in self.lines.iter().enumerate() {
                for b in &self.lines[i + 1..] {
                    let (Some(paper_a), Some(paper_b)) = (a.paper, b.paper) else {
                        continue;
                    };
                    let (Some(our_a), Some(our_b)) = (ours(a), ours(b)) else {
                        continue;
                    };
                    let (here, there) = (our_a.mean - our_b.mean, paper_a[at] - paper_b[at]);
                    if here * there < 0.0 {
                        let (better, worse) = if here < 0.0 { (a, b) } else { (b, a) };
                        let apart = our_a.deviation.zip(our_b.deviation).map(|(a, b)| {
                            if here.abs() > a + b {
                                ""
                            } else {
                                ", within the spread of seeds"
                            }
                        });
                        said.push(format!(
                            "{figure}: \"{}\" is better than \"{}\" here{}; in the paper it is the other way round",
                            better.title,
                            worse.title,
                            apart.unwrap_or_default()
                        ));
                    }
                }
            }
        }
        said
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "Table {} of the paper, at this project's size: {} steps of training, {} clips, {} seed{}\n",
            self.number,
            self.steps,
            self.clips,
            self.seeds.len(),
            if self.seeds.len() == 1 { "" } else { "s" }
        )?;
        let [fvd, fid] = [&self.fvd_features, &self.fid_features].map(Option::is_some);
        let heads = [(fvd, " FVD |", "---|"), (fid, " FID |", "---|")];
        let heads = heads.iter().filter(|(shown, ..)| *shown);
        let (names, lines): (String, String) = heads.map(|(_, name, line)| (*name, *line)).unzip();
        writeln!(
            f,
            "| | error | ObjMC px |{names} inside dB | paper: ObjMC | FVD | FID |\n|---|---|---|{lines}---|---|---|---|"
        )?;
        for line in &self.lines {
            let paper = match line.paper {
                Some([obj_mc, fvd, fid]) => format!("{obj_mc} | {fvd} | {fid}"),
                None => "- | - | -".into(),
            };
            write!(f, "| {} | {} | {} |", line.title, line.error, line.obj_mc)?;
            for (shown, figure) in [(fvd, &line.fvd), (fid, &line.fid)] {
                match figure {
                    Some(figure) if shown => write!(f, " {figure} |")?,
                    None if shown => write!(f, " - |")?,
                    _ => {}
                }
            }
            writeln!(f, " {} | {paper} |", line.psnr_inside)?;
        }
        write!(
            f,
            "\nMean ± standard deviation over the seeds. Error: what denoising leaves, on held-out clips with the same noise \
             in every row of a seed."
        )?;
        for (figure, features) in [("FVD", &self.fvd_features), ("FID", &self.fid_features)] {
            if let Some(features) = features {
                write!(f, " {figure} by {features}.")?;
            }
        }
        writeln!(
            f,
            " Compare rows, not with the paper's columns, which are of other data, sizes and networks."
        )?;
        writeln!(f, "{}.", self.order())?;
        for sentence in self.disagreements() {
            writeln!(f, "- {sentence}.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, seed: u64, obj_mc: f64) -> Entry {
        Entry {
            kind: kind.name(),
            seed,
            steps: 100,
            error: 0.5,
            obj_mc,
            fvd: Some(1.0),
            fid: None,
            psnr: 20.0,
            psnr_inside: 20.0,
        }
    }

    fn ledger(figures: &[[f64; 2]]) -> Ledger {
        let mut runs = Vec::new();
        for (row, figures) in rows(3).iter().zip(figures) {
            for (seed, &figure) in (1..).zip(figures) {
                runs.push(entry(row.kind, seed, figure));
            }
        }
        Ledger {
            clips: 10,
            fvd_features: Some("a network".into()),
            runs,
            ..Ledger::default()
        }
    }

    #[test]
    fn a_table_is_of_the_seeds_that_all_rows_have() {
        let mut ledger = ledger(&[[4.0, 6.0], [1.0, 2.0]]);
        ledger.runs.push(entry(Kind::FULL, 3, 50.0));
        ledger.runs[0].error = 0.8;
        ledger.runs[1].error = 0.4;
        let table = ledger.table(3).unwrap();
        assert_eq!(table.seeds, [1, 2]);
        assert_eq!(table.lines[0].obj_mc.mean, 5.0);
        assert!((table.lines[0].obj_mc.deviation.unwrap() - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(table.lines[1].obj_mc.mean, 1.5);
        let text = table.to_string();
        assert!(
            text.contains(
                "without loss mask | 0.6000 ± 0.2828 | 5.0000 ± 1.4142 | 1.0000 ± 0.0000 | 20.00"
            ),
            "{text}"
        );
        assert!(text.contains("316.1 | 516.2 | 36.3"), "{text}");
        let order = "best first: \"with loss mask\", \"without loss mask\" (worse in 1 of 2 seeds)";
        assert!(text.contains(order), "{text}");
        assert!(!text.contains("other way round"), "{text}");
        // A run of another budget is no row of it.
        ledger.runs.retain(|entry| entry.seed == 1);
        ledger.runs[0].steps = 99;
        assert!(ledger.table(3).is_err());
    }

    #[test]
    fn what_the_paper_orders_otherwise_is_said() {
        let text = ledger(&[[1.0, 2.0], [1.6, 1.9]])
            .table(3)
            .unwrap()
            .to_string();
        let expected = "ObjMC: \"without loss mask\" is better than \"with loss mask\" here, within the spread of seeds";
        assert!(text.contains(expected), "{text}");
        let text = ledger(&[[1.0, 1.1], [9.0, 9.1]])
            .table(3)
            .unwrap()
            .to_string();
        assert!(text.contains("here; in the paper"), "{text}");
    }

    #[test]
    fn an_empty_ledger_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tables.json");
        let mut ledger = Ledger::read(&path).unwrap();
        let text = ledger.table(1).unwrap_err().to_string();
        assert!(text.contains("train table --table 1"), "{text}");
        assert!(
            ledger
                .table(9)
                .unwrap_err()
                .to_string()
                .contains("no table 9")
        );
        let options = MeasureOptions {
            runs: dir.path().to_owned(),
            data: "x".into(),
            clips: 2,
            extractors: Extractors::default(),
        };
        let measured = ledger.measure(&path, &options, Device::CPU, &mut |_| {});
        assert!(
            measured
                .unwrap_err()
                .to_string()
                .contains("no finished runs")
        );
        std::fs::write(&path, "{\"clips\": 3}").unwrap();
        let text = Ledger::read(&path).unwrap_err().to_string();
        assert!(
            text.contains("tables.json") && text.contains("line 1"),
            "{text}"
        );
    }
}
