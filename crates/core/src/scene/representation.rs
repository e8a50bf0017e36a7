//! How trajectories are shown to a denoiser: the kinds of Fig. 1 of the paper, and dense flow.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A kind of control. A model is trained with one of them and run with the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Representation {
    /// A dot at each trajectory's point (Fig. 1 a).
    Point,
    /// How far each trajectory goes from one frame to the next, around its point: MotionCtrl's vector field (Fig. 1 b).
    Graph,
    /// A heat map around each trajectory's point, as large as the entity (Fig. 1 c).
    Gaussian,
    /// Each entity's bounding box, moved along its trajectory (Fig. 1 d).
    Box,
    /// Each entity's embedding, over a disc that moves along its trajectory, and the heat map (Fig. 1 e, the paper's own).
    #[default]
    Entity,
    /// How far every pixel of the first frame has gone, spread from the trajectories: DragNUWA's dense flow.
    Flow,
}

impl Representation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Point,
        Self::Graph,
        Self::Gaussian,
        Self::Box,
        Self::Entity,
        Self::Flow,
    ];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Graph => "graph",
            Self::Gaussian => "gaussian",
            Self::Box => "box",
            Self::Entity => "entity",
            Self::Flow => "flow",
        }
    }

    /// Channels of the maps that are drawn without any features; 0 if there are none.
    pub fn channels(self) -> usize {
        match self {
            Self::Point | Self::Box => 1,
            Self::Graph | Self::Flow => 2,
            Self::Gaussian | Self::Entity => 0,
        }
    }

    /// Whether the heat map of the entities is shown as well.
    pub fn has_heat_map(self) -> bool {
        matches!(self, Self::Gaussian | Self::Entity)
    }
}

impl fmt::Display for Representation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Representation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown representation {text:?}: use one of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for kind in Representation::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(
                serde_json::to_value(kind).unwrap(),
                serde_json::Value::from(kind.name())
            );
        }
        let said = "disc".parse::<Representation>().unwrap_err();
        assert!(
            said.contains("\"disc\"") && said.contains("point, graph"),
            "{said}"
        );
    }
}
