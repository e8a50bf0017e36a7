//! The limits of what can be asked for.

use super::Settings;
use crate::error::{Error, Result};

/// Most frames of one video.
pub const MAX_FRAMES: u32 = 128;
/// Most denoising steps.
pub const MAX_STEPS: u32 = 200;

impl Settings {
    /// Whether a job can be run with these settings; the error names the first that is out of its range.
    pub fn check(&self) -> Result<()> {
        let range = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::Job(format!(
                    "{name} is {value}; choose a value from {low} to {high}"
                )))
            }
        };
        range(
            "the number of frames",
            self.frames as f64,
            2.0,
            MAX_FRAMES as f64,
        )?;
        range("the frames a second", self.fps as f64, 1.0, 60.0)?;
        range(
            "the number of steps",
            self.steps as f64,
            1.0,
            MAX_STEPS as f64,
        )?;
        range(
            "the guidance at the first frame",
            self.min_guidance as f64,
            0.0,
            20.0,
        )?;
        range(
            "the guidance at the last frame",
            self.max_guidance as f64,
            0.0,
            20.0,
        )?;
        range("the motion bucket", self.motion_bucket as f64, 1.0, 255.0)?;
        range(
            "the noise augmentation",
            self.noise_augmentation as f64,
            0.0,
            10.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_nonsense_is_named() {
        assert!(Settings::default().check().is_ok());
        let said = |s: Settings| s.check().unwrap_err().to_string();
        assert!(
            said(Settings {
                frames: 0,
                ..Default::default()
            })
            .contains("number of frames is 0")
        );
        assert!(
            said(Settings {
                frames: u32::MAX,
                ..Default::default()
            })
            .contains("2 to 128")
        );
        assert!(
            said(Settings {
                steps: 0,
                ..Default::default()
            })
            .contains("steps")
        );
        assert!(
            said(Settings {
                max_guidance: f32::NAN,
                ..Default::default()
            })
            .contains("guidance")
        );
    }
}
