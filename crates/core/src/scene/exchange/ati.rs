//! ATI's nodes read what KJNodes' editor gives, and look at 121 positions, whatever number of frames is made of them: of a shorter
//! track the rest counts as hidden. So there are 121 of each, in pixels of the picture, and lists even of a single track.

use super::track::Track;
use super::{Target, kjnodes};

/// Positions of each track.
pub(super) const FRAMES: usize = 121;

pub(super) fn write(tracks: &[Track<'_>], target: Target) -> (String, Vec<u8>) {
    let lists = kjnodes::lists(tracks, FRAMES, target.size);
    // Numbers always have a JSON form.
    (
        "tracks.json".into(),
        serde_json::to_vec(&lists).unwrap_or_default(),
    )
}
