//! Points as files and links list them: `[x, y, t]`, and `[x, y, t, 1]` where the path has a corner.

use crate::scene::TrajectoryPoint;
use serde::{Deserialize, Serialize};

/// A point in a list of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Listed(TrajectoryPoint);

impl From<TrajectoryPoint> for Listed {
    fn from(point: TrajectoryPoint) -> Self {
        Self(point)
    }
}

impl From<Listed> for TrajectoryPoint {
    fn from(listed: Listed) -> Self {
        listed.0
    }
}

impl From<Listed> for Vec<f32> {
    fn from(Listed(TrajectoryPoint { x, y, t, corner }): Listed) -> Self {
        match corner {
            true => vec![x, y, t, 1.0],
            false => vec![x, y, t],
        }
    }
}

impl TryFrom<Vec<f32>> for Listed {
    type Error = String;

    fn try_from(numbers: Vec<f32>) -> Result<Self, String> {
        let ([x, y, t] | [x, y, t, _]) = numbers[..] else {
            return Err(format!(
                "a point is x, y and t, and 1 behind these at a corner; here it is {} numbers",
                numbers.len()
            ));
        };
        let corner = numbers.get(3).is_some_and(|corner| *corner != 0.0);
        Ok(Self(TrajectoryPoint { x, y, t, corner }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_listed_and_nothing_else_is_a_point() {
        let text = "[[0.5,0.25,0.0],[0.5,0.25,1.0,1.0]]";
        let points: Vec<Listed> = serde_json::from_str(text).unwrap();
        let corners: Vec<bool> = points.iter().map(|point| point.0.corner).collect();
        assert_eq!(corners, [false, true]);
        assert_eq!(serde_json::to_string(&points).unwrap(), text);
        let smooth: Listed = serde_json::from_str("[0, 0, 0, 0]").unwrap();
        assert!(!smooth.0.corner);
        for odd in ["[0.1, 0.2]", "[1, 2, 3, 1, 5]", "[]", "[\"a\", 1, 2]"] {
            assert!(serde_json::from_str::<Listed>(odd).is_err(), "{odd}");
        }
    }
}
