//! What moves things along paths in a published video model, which has no such thing of its own.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A kind of control over Stable Video Diffusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The frames that are made without a network are followed, closely where things move and roughly elsewhere
    /// (Time-to-Move). Needs no weights beside the model's.
    Reference,
    /// A ControlNet that was trained for it.
    Controlnet,
    /// Both.
    Both,
    /// Nothing: paths are left out of account.
    None,
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reference, Self::Controlnet, Self::Both, Self::None];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Controlnet => "controlnet",
            Self::Both => "both",
            Self::None => "none",
        }
    }

    /// Whether frames are followed.
    pub fn has_reference(self) -> bool {
        matches!(self, Self::Reference | Self::Both)
    }

    /// Whether a ControlNet steers.
    pub fn has_controlnet(self) -> bool {
        matches!(self, Self::Controlnet | Self::Both)
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Control {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|control| control.name() == name);
        named.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{name:?} is no kind of control; there are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files() {
        for control in Control::ALL {
            assert_eq!(control.name().parse(), Ok(control));
            let json = serde_json::to_string(&control).unwrap();
            assert_eq!(json, format!("\"{control}\""));
        }
        assert!(
            "remote"
                .parse::<Control>()
                .unwrap_err()
                .contains("reference")
        );
    }
}
