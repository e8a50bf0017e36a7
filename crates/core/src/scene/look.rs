//! How an entity is treated as a layer, whatever it does.

use serde::{Deserialize, Serialize};

/// How an entity is treated as a layer, whatever it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// It is part of the picture for now: jobs leave it out, and its pixels stay where they are.
    pub hidden: bool,
    /// Clicks and drags on the picture pass it.
    pub locked: bool,
    /// By its number, the colour that it is drawn in; `None` is by its position in the scene.
    pub colour: Option<u8>,
}
