//! What can be said of a training run: on the command line, in a file, or both.

use clap::ValueEnum;
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::Representation;
use dragentity_networks::device::Device;
use dragentity_pipeline::dtype::parse_dtype;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// VAE and preview decoder
    Vae,
    /// Human parser: the parts of people
    Parser,
    /// The structure of plates: what may lie behind a thing, roughly
    Plate,
    /// How joints that nobody leads follow those that are led; on movements that are made up, without --data
    Parts,
    /// UNet, ControlNet and relation module
    Denoiser,
    /// A ControlNet and a relation module for Stable Video Diffusion, whose folder is --model and stays as it is
    Controlnet,
    /// The small denoisers of the paper's tables, one after another, from one base and with equal budgets; --model
    /// gives VAE and entity encoder and is not changed
    Table,
}

/// Options of `dragentity-lab train`. A file has the same names, with underscores.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What to train; the denoiser needs the VAE
    #[arg(required_unless_present = "config")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Model directory: configurations are read from it, weights written into it [default: models/mini; models/plate for
    /// plate, runs/parts-model for parts]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Folder for a ControlNet for Stable Video Diffusion
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controlnet: Option<PathBuf>,
    /// Frames of a clip for Stable Video Diffusion [default: those of its UNet]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
    /// Pack of cut-outs and backgrounds (scripts/fetch-assets makes it), or a data set of videos: a folder, or a WebVid
    /// list (models/TRAINING.md says which layouts) [default: assets/clips.pack]
    #[arg(long, visible_alias = "clips")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Folders of photographs that plates are learned from, beside the pack if it is there; of a folder of DAVIS the masks are holes
    #[arg(long, value_name = "FOLDER", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub photos: Vec<PathBuf>,
    /// Where checkpoints, curves and samples go; a checkpoint there is resumed
    #[arg(long, required_unless_present = "config")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<PathBuf>,
    /// auto, cpu, wgpu, cuda or tch [default: auto]
    #[arg(long)]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Clips in a batch [default: 8; 4 for tables, 16 for plate, 64 for
    /// parts]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Batches of one optimiser step, whose gradients are added up [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<usize>,
    /// GPUs that share out a step's batches: the one of --device and those after it; --accumulate is a multiple of it
    /// [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<usize>,
    /// Largest norm of a step's gradients, all together; 0 switches clipping off [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// What the denoiser's forward and backward pass compute in: f32, bf16 or f16; weights stay f32 [default: f32]
    #[arg(long, value_name = "TYPE", value_parser = dtype_text)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// Compute the denoiser's cheap intermediate results again instead of keeping them: less memory, more time
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute: Option<bool>,
    /// Optimiser steps of the whole run [default: 100000; 250 for each run of a table, 4000 for parts]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Minutes of the whole run, over all its sessions; it ends with whichever comes first
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Minutes of this session; the run can be resumed after it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_minutes: Option<f64>,
    /// Steps of this session
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_steps: Option<u64>,
    /// Peak learning rate [default: 4e-4; 1.5e-3 for tables; 1e-3 for plate, 2e-3 for parts]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Decay of the average of the weights [default: 0.999; 0.99 for tables, 0.998 for plate and parts]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Frame sizes, WIDTHxHEIGHT, that batches take turns with [default: 64x64; 576x320 for controlnet;
    /// 64x64, 64x48 and 48x64 for plate]
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<FrameSize>,
    /// Seed of clips, noise and first weights [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Start from the weights in the model directory
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<bool>,
    /// How the denoiser is shown trajectories: point, graph (MotionCtrl's vector field), gaussian, box, entity or flow
    /// (DragNUWA's dense flow) [default: as the model says]
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub representation: Option<Representation>,
    /// Whether entity embeddings say what an entity is, or only where it lies [default: as the model says]
    #[arg(long, value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_features: Option<bool>,
    /// Whether entity embeddings know of each other by position [default: as the model says]
    #[arg(long, value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_relation: Option<bool>,
    /// Whether errors inside entities count twice [default: as the model says]
    #[arg(long, value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_mask: Option<bool>,
    /// Which of the paper's tables to train for [default: all three]
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub table: Vec<u8>,
    /// Channels of the tables' UNets at each level, multiples of 32 [default: 32,64]
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<usize>,
    /// Steps of what the tables' runs start from: one denoiser, shown all that they are shown in turns; 0: they start from
    /// scratch [default: 4000]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_steps: Option<u64>,
    /// How many runs each row of a table gets [default: 3]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<u64>,
    /// Minutes between checkpoints [default: 3]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_minutes: Option<f64>,
    /// Minutes between pictures of samples [default: 5; tables: at the end]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_minutes: Option<f64>,
}

fn dtype_text(text: &str) -> std::result::Result<String, String> {
    parse_dtype(text).map(|_| text.to_owned())
}

impl Options {
    /// Reads a file; relative paths in it are relative to it.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Job`] naming file, line and what is wrong there.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            path: path.display().to_string(),
            source,
        })?;
        let mut options = Self::parse(&text, &path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = [
            &mut options.model,
            &mut options.controlnet,
            &mut options.data,
            &mut options.run,
        ];
        for path in paths.into_iter().flatten().chain(&mut options.photos) {
            *path = folder.join(&path);
        }
        Ok(options)
    }

    fn parse(text: &str, name: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].matches('\n').count();
            let content = text.lines().nth(line).unwrap_or_default().trim();
            Error::Job(format!(
                "{name}, line {}, {content:?}: {}; correct the line or take it away (names and values are those of \
                 `dragentity-lab train --help`, with underscores in names, and quotes around texts)",
                line + 1,
                error.message()
            ))
        })
    }

    /// These, and where they say nothing, what `others` say.
    ///
    /// # Errors
    /// None that is known: both were read by the same rules.
    pub fn or(&self, others: &Self) -> Result<Self> {
        let failed =
            |e: serde_json::Error| Error::Job(format!("the options do not fit together: {e}"));
        let mut all = serde_json::to_value(others).map_err(failed)?;
        let own = serde_json::to_value(self).map_err(failed)?;
        if let (Some(all), serde_json::Value::Object(own)) = (all.as_object_mut(), own) {
            all.extend(own);
        }
        serde_json::from_value(all).map_err(failed)
    }

    /// Refuses numbers that nothing can be trained with.
    ///
    /// # Errors
    /// [`Error::Job`] naming the option.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, value: &dyn fmt::Display, range: &str| {
            Err(Error::Job(format!("{name} is {value}: it must be {range}")))
        };
        let counts = [
            ("batch", self.batch.map(|v| v as u64)),
            ("accumulate", self.accumulate.map(|v| v as u64)),
            ("gpus", self.gpus.map(|v| v as u64)),
            ("steps", self.steps),
            ("session-steps", self.session_steps),
            ("seeds", self.seeds),
            ("frames", self.frames.map(|v| v as u64)),
        ];
        for (name, value) in counts {
            if value == Some(0) {
                return refuse(name, &0, "1 or more");
            }
        }
        let positive = [
            ("learning-rate", self.learning_rate),
            ("minutes", self.minutes),
            ("session-minutes", self.session_minutes),
            ("checkpoint-minutes", self.checkpoint_minutes),
            ("sample-minutes", self.sample_minutes),
        ];
        for (name, value) in positive {
            if let Some(value) = value
                && (value.is_nan() || value <= 0.0)
            {
                return refuse(name, &value, "a number above 0");
            }
        }
        match (self.learning_rate, self.ema, self.clip_norm) {
            (Some(rate), _, _) if rate > 1.0 => refuse("learning-rate", &rate, "at most 1"),
            (_, _, Some(norm)) if !(0.0..f64::INFINITY).contains(&norm) => {
                refuse("clip-norm", &norm, "0 (for no clipping) or more")
            }
            (_, Some(ema), _) if !(0.0..1.0).contains(&ema) => {
                refuse("ema", &ema, "0 or more, and below 1")
            }
            _ => Ok(()),
        }
    }
}

/// Width and height in pixels, written 64x64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FrameSize(pub usize, pub usize);

impl FromStr for FrameSize {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (width, height) = text
            .split_once('x')
            .ok_or("write sizes as WIDTHxHEIGHT, for example 64x64")?;
        let side = |text: &str| match text.parse::<usize>() {
            Ok(side) if side % 16 == 0 && (16..=2048).contains(&side) => Ok(side),
            _ => Err(format!("{text}: sides are multiples of 16, 16 to 2048")),
        };
        Ok(Self(side(width)?, side(height)?))
    }
}

impl TryFrom<String> for FrameSize {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<FrameSize> for String {
    fn from(size: FrameSize) -> Self {
        format!("{}x{}", size.0, size.1)
    }
}

/// A value as the text that the command line takes for it.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    #[allow(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        Options::parse(text, "a.toml")
    }

    #[test]
    fn a_file_says_what_the_options_say_and_they_come_first() {
        let file = parse(
            "network = \"denoiser\"\n# twice a day\nlearning_rate = 1e-3\nsizes = [\"64x48\", \"96x96\"]\n\
             device = \"cuda:1\"\nrepresentation = \"flow\"\nwarm = true\ndtype = \"bf16\"\nclip_norm = 0.5\n",
        )
        .unwrap();
        assert_eq!(file.network, Some(Network::Denoiser));
        assert_eq!(file.device, Some(Device::Cuda { index: 1 }));
        assert_eq!(file.sizes, [FrameSize(64, 48), FrameSize(96, 96)]);
        assert_eq!(file.clip_norm, Some(0.5));
        let flags = Options {
            learning_rate: Some(2e-3),
            batch: Some(3),
            ..Options::default()
        };
        let both = flags.or(&file).unwrap();
        assert_eq!((both.learning_rate, both.batch), (Some(2e-3), Some(3)));
        assert_eq!(both.representation, Some(Representation::Flow));
        assert_eq!(both.sizes, file.sizes);
        assert_eq!(both.warm, Some(true));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, parts) in [
            (
                "batch = 8\nbatchsize = 4\n",
                2,
                ["batchsize", "unknown field"],
            ),
            (
                "steps = 9\n\nbatch = \"many\"",
                3,
                ["batch = ", "invalid type"],
            ),
            (
                "learning-rate = 1e-3",
                1,
                ["learning-rate", "learning_rate"],
            ),
            ("device = \"abacus\"", 1, ["abacus", "use auto"]),
            ("sizes = [\"64\"]", 1, ["sizes", "WIDTHxHEIGHT"]),
            ("representation = \"disc\"", 1, ["disc", "gaussian"]),
            ("network = denoiser", 1, ["network", "denoiser"]),
            ("batch = 8\nbatch = 9", 2, ["batch", "duplicate"]),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(
                said.starts_with(&format!("a.toml, line {line}, ")),
                "{said}"
            );
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
            assert!(said.contains("correct the line or take it away"), "{said}");
        }
    }

    #[test]
    fn numbers_that_train_nothing_are_refused() {
        for (text, part) in [
            ("batch = 0", "batch is 0"),
            ("learning_rate = nan", "learning-rate is NaN"),
            ("learning_rate = 7", "at most 1"),
            ("ema = 1.0", "ema is 1"),
            ("session_minutes = -3", "session-minutes is -3"),
            ("clip_norm = inf", "clip-norm is inf"),
            ("accumulate = 0", "accumulate is 0"),
        ] {
            let said = parse(text).unwrap().check().unwrap_err().to_string();
            assert!(said.contains(part), "{said}");
        }
        assert!(Options::default().check().is_ok());
    }
}
