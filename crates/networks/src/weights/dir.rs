//! The directory layout of diffusers: `<dir>/<part>/config.json` beside
//! `<dir>/<part>/diffusion_pytorch_model.safetensors`, or several such files and their index.

use super::file::{Weights, is_not_found, read_json_bytes};
use super::header::refused;
use super::{LoadReport, WeightType};
use burn::module::Module;
use burn::tensor::backend::Backend;
use dragentity_core::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Names under which the parts of a published model keep their weights, most common first. The
/// transformers parts (`image_encoder`) say `model`, half-precision copies say `fp16`; an index stands where
/// there are several files.
const WEIGHT_FILES: [&str; 8] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model.fp16.safetensors",
    "model.safetensors.index.fp16.json",
];

/// Longest configuration, in bytes, that is searched for the field which is wrong: it is read once for each of its fields. Real
/// ones are a hundredth of that.
const MAX_SEARCHED: usize = 100_000;

/// A model in the directory layout of diffusers: a directory, or a URL (in the page: relative to it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDir {
    location: String,
    dtype: WeightType,
}

impl ModelDir {
    /// A model at `location`, with or without a slash at the end.
    pub fn new(location: impl Into<String>) -> Self {
        let location: String = location.into();
        Self {
            location: location.trim_end_matches('/').to_owned(),
            dtype: WeightType::default(),
        }
    }

    /// Networks that are loaded from here hold their weights in `dtype`; else in `f32`.
    pub fn with_dtype(self, dtype: impl Into<WeightType>) -> Self {
        let dtype = dtype.into();
        Self { dtype, ..self }
    }

    /// Where the model is.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Where `file` of `part` is; an empty `part` is the directory itself (as DragAnything's ControlNet).
    pub fn file(&self, part: &str, file: &str) -> String {
        if part.is_empty() {
            format!("{}/{file}", self.location)
        } else {
            format!("{}/{part}/{file}", self.location)
        }
    }

    /// Where this project writes the weights of `part`.
    pub fn weights_file(&self, part: &str) -> String {
        self.file(part, WEIGHT_FILES[0])
    }

    /// Reads `<part>/config.json`.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing or is no such configuration.
    pub async fn read_config<T: DeserializeOwned>(&self, part: &str) -> Result<T> {
        self.read_json(part, "config.json").await
    }

    /// Reads a JSON file of `part`, such as `scheduler/scheduler_config.json`.
    ///
    /// # Errors
    /// [`Error::Model`] if it is missing or is not what is expected.
    pub async fn read_json<T: DeserializeOwned>(&self, part: &str, file: &str) -> Result<T> {
        let found = self.find_json(part, file).await?;
        found.ok_or_else(|| Error::Model {
            name: self.file(part, file),
            reason: "there is no such file; is this the directory of a model?".into(),
        })
    }

    /// As [`ModelDir::read_json`], but having none is no error.
    ///
    /// # Errors
    /// [`Error::Model`] if it is there and is not what is expected.
    pub async fn find_json<T: DeserializeOwned>(
        &self,
        part: &str,
        file: &str,
    ) -> Result<Option<T>> {
        let name = self.file(part, file);
        match read_json_bytes(&name).await {
            Err(e) if is_not_found(&e) => Ok(None),
            other => parse_config(&name, &other?).map(Some),
        }
    }

    /// Opens the weights of `part`, in one file or in several under an index. Where they have to be fetched,
    /// `progress(bytes read, bytes in all or 0)` is told.
    ///
    /// # Errors
    /// [`Error::Model`] if there are none, or what is there is damaged.
    pub async fn read_weights(
        &self,
        part: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Weights> {
        let found = self.find_weights(part, progress).await?;
        found.ok_or_else(|| Error::Model {
            name: self.file(part, ""),
            reason: format!(
                "there are no weights here (looked for {}); weights in PyTorch's own format have to be saved as safetensors first",
                WEIGHT_FILES.join(", ")
            ),
        })
    }

    /// As [`ModelDir::read_weights`], but having none is no error.
    ///
    /// # Errors
    /// As [`ModelDir::read_weights`].
    pub async fn find_weights(
        &self,
        part: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<Weights>> {
        for file in WEIGHT_FILES {
            match Weights::open(&self.file(part, file), progress).await {
                Err(e) if is_not_found(&e) => {}
                other => return other.map(Some),
            }
        }
        Ok(None)
    }

    /// Reads the weights of `part` into `module`, with `progress(bytes read, bytes in all or 0)`.
    ///
    /// # Errors
    /// Those of [`ModelDir::read_weights`] and [`Weights::load`].
    pub async fn load<B: Backend, M: Module<B>>(
        &self,
        part: &str,
        module: M,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(M, LoadReport)> {
        let same = |name: &str| Some(name.to_owned());
        self.load_renamed(part, module, same, progress).await
    }

    /// As [`ModelDir::load`], of those tensors to which `rename` gives a name ([`Weights::renamed`]).
    ///
    /// # Errors
    /// As [`ModelDir::load`].
    pub async fn load_renamed<B: Backend, M: Module<B>>(
        &self,
        part: &str,
        module: M,
        rename: impl Fn(&str) -> Option<String>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(M, LoadReport)> {
        let weights = self.read_weights(part, progress).await?;
        let weights = weights.renamed(rename);
        weights.load_with(module, self.dtype, progress).await
    }
}

/// Reads the configuration `name` with the contents `bytes`.
///
/// # Errors
/// [`Error::Model`] that names the field for which it is not what is expected.
pub fn parse_config<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice::<T>(bytes).map_err(|e| {
        let field = garbled_field::<T>(bytes);
        let field = field.map_or_else(String::new, |field| format!("{field}: "));
        let reason = format!("cannot be read: {field}{e}; is it of another model?");
        refused(name, reason)
    })
}

/// The field for which a configuration cannot be read: the first without which there is another error, or none. Serde does
/// not say it of fields that are numbers or lists, and of those of a flattened part.
fn garbled_field<T: DeserializeOwned>(bytes: &[u8]) -> Option<String> {
    if bytes.len() > MAX_SEARCHED {
        return None;
    }
    let fields: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    garbled_within(&fields, &|fields| {
        let read = serde_json::from_value::<T>(Value::Object(fields));
        read.err().map(|e| e.to_string())
    })
}

/// The same of the fields of a part, where `why` says what is wrong with the whole.
fn garbled_within(
    fields: &Map<String, Value>,
    why: &dyn Fn(Map<String, Value>) -> Option<String>,
) -> Option<String> {
    let whole = why(fields.clone())?;
    let differs = |name: &&String| {
        let mut others = fields.clone();
        others.remove(*name);
        why(others).as_ref() != Some(&whole)
    };
    let name = fields.keys().find(differs)?;
    let within = fields[name].as_object().and_then(|part| {
        garbled_within(part, &|part| {
            let mut fields = fields.clone();
            fields.insert(name.clone(), Value::Object(part));
            why(fields)
        })
    });
    Some(within.map_or_else(|| name.clone(), |within| format!("{name}.{within}")))
}
