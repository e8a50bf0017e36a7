//! What a server tells of itself.

use dragentity_pipeline::model::{About as Model, ModelOptions};
use serde_json::{Value, json};

/// Devices and model.
pub struct About {
    /// The devices that run jobs, in words.
    pub devices: Vec<String>,
    /// The model, or why it cannot be used.
    pub model: Result<Model, String>,
}

impl About {
    /// With the model of `options`. What it says of itself is read; whether its weights can be is seen at the
    /// first job.
    pub fn new(devices: Vec<String>, options: &ModelOptions) -> Self {
        Self {
            devices,
            model: pollster::block_on(Model::read(options)).map_err(|e| e.to_string()),
        }
    }

    /// The model as clients are told of it; null when it cannot be used.
    pub fn model_json(&self) -> Value {
        let Ok(model) = &self.model else {
            return Value::Null;
        };
        json!({
            "name": model.name, "frames": model.settings.frames,
            "steps": model.settings.steps, "fps": model.settings.fps,
        })
    }
}
