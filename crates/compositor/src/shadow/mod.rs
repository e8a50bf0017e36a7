//! Shadows: what is dark on the ground because of a thing. They go along with it, and nothing of them may stay behind as a blot.
//!
//! Two are looked for: what the thing casts (`cast.rs`), and what is dark where it stands (`contact.rs`). A person may mark one instead.

mod cast;
mod contact;
mod shade;

pub use shade::Shade;

use cast::Ground;
use dragentity_core::scene::{Mask, Picture};

/// Which pixels of a picture are the shadow of a thing that covers `covered` (0..1) of each; `None` when there is none to be told.
/// Where `others` are, over the whole picture and of any size, there is none.
pub fn found(picture: &Picture, covered: &[f32], others: &[Mask]) -> Option<Vec<bool>> {
    let (width, height) = (picture.width, picture.height);
    let thing = Mask {
        width,
        height,
        alpha: covered.iter().map(|c| (c * 255.0).round() as u8).collect(),
    };
    let near = contact::found(picture, covered);
    let Some(cast) = Ground::new(picture, &thing, others).and_then(|ground| ground.shadow()) else {
        return near;
    };
    let mut shadow = marked(&cast, picture, covered)?;
    for (all, near) in shadow.iter_mut().zip(near.into_iter().flatten()) {
        *all |= near;
    }
    Some(shadow)
}

/// Which pixels of a picture somebody has marked, over the whole of it and of any size, as the shadow of a thing that covers
/// `covered` (0..1) of each; `None` when none is.
pub fn marked(mask: &Mask, picture: &Picture, covered: &[f32]) -> Option<Vec<bool>> {
    let mask = mask.resized(picture.width, picture.height);
    let shadow: Vec<bool> = mask
        .alpha
        .iter()
        .zip(covered)
        .map(|(&alpha, &covered)| alpha >= 128 && covered <= 0.02)
        .collect();
    shadow.contains(&true).then_some(shadow)
}

/// What is dark and hangs together at a place (fractions of the picture's width and height) beside a `thing`: what somebody means who
/// says that there is its shadow. Of the size at which it was looked at; `None` where nothing is darker than what is around it.
pub fn at(picture: &Picture, thing: &Mask, place: [f32; 2]) -> Option<Mask> {
    Ground::new(picture, thing, &[])?.at(place)
}

#[cfg(test)]
mod tests;
