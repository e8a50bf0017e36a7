//! The directory layout of diffusers: `<dir>/<part>/config.json` beside
//! `<dir>/<part>/diffusion_pytorch_model.safetensors`.

use super::load::Weights;
use crate::error::{Error, Result};
use crate::platform;
use serde::de::DeserializeOwned;

/// Names under which the parts of a published model keep their weights, most common first. The
/// transformers parts (`image_encoder`) say `model`, half-precision copies say `fp16`.
const WEIGHT_FILES: [&str; 4] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.safetensors",
    "model.fp16.safetensors",
];

/// A model in the directory layout of diffusers: a directory, or a URL (in the page: relative to it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDir {
    location: String,
}

impl ModelDir {
    /// A model at `location`, with or without a slash at the end.
    pub fn new(location: impl Into<String>) -> Self {
        let location: String = location.into();
        Self {
            location: location.trim_end_matches('/').to_owned(),
        }
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
        let name = self.file(part, file);
        let bytes = match platform::read_bytes(&name, &mut |_, _| {}).await {
            Err(e) if is_not_found(&e) => {
                return Err(Error::Model {
                    name,
                    reason: "there is no such file; is this the directory of a model?".into(),
                });
            }
            other => other?,
        };
        serde_json::from_slice(&bytes).map_err(|e| Error::Model {
            name,
            reason: format!("cannot be read: {e}"),
        })
    }

    /// Reads the weights of `part`, with `progress(bytes read, bytes in all or 0)`.
    ///
    /// # Errors
    /// [`Error::Model`] if there are none, or what is there is damaged.
    pub async fn read_weights(
        &self,
        part: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Weights> {
        for file in WEIGHT_FILES {
            let name = self.file(part, file);
            match platform::read_bytes(&name, progress).await {
                Err(e) if is_not_found(&e) => {}
                Err(e) => return Err(e),
                Ok(bytes) => return Weights::from_bytes(name, bytes),
            }
        }
        Err(Error::Model {
            name: self.file(part, ""),
            reason: format!(
                "there are no weights here (looked for {})",
                WEIGHT_FILES.join(", ")
            ),
        })
    }
}

fn is_not_found(e: &Error) -> bool {
    matches!(e, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}
