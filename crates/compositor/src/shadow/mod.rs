//! Shadows: what is dark on the ground because of a thing. They go along with it, and nothing of them may stay behind as a blot.
//!
//! Three are looked for: what the thing casts (`cast.rs`), what is dark where it stands (`contact.rs`), and how the ground around gets
//! darker towards it without an edge (`soft.rs`). A person may mark one instead.

mod cast;
mod contact;
mod shade;
mod soft;

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

/// What of the ground's light is missing softly around a thing that covers `covered` (0..1) of each pixel of a picture, as the natural
/// logarithm of how many times lighter the ground is without the thing: for each pixel of red, green and blue, 0 where nothing is missing. Neither where
/// `hard` says that there is another shadow, nor where `others` are. `None` where nothing is missing anywhere.
pub fn soft(
    picture: &Picture,
    covered: &[f32],
    hard: Option<&[bool]>,
    others: &[Mask],
) -> Option<Vec<[f32; 3]>> {
    let (width, height) = (picture.width, picture.height);
    let mask = |alpha: Vec<u8>| Mask {
        width,
        height,
        alpha,
    };
    let thing = mask(covered.iter().map(|c| (c * 255.0).round() as u8).collect());
    let hard = hard.map(|hard| mask(hard.iter().map(|&h| 255 * u8::from(h)).collect()));
    Ground::new(picture, &thing, others)?.soft(hard.as_ref(), [width, height])
}

/// The picture with the light that is missing, as [`soft`] tells it, where nothing is hidden.
pub fn lit(picture: &Picture, missing: &[[f32; 3]]) -> Picture {
    let mut lit = picture.clone();
    let channels = std::sync::Arc::make_mut(&mut lit.rgb).iter_mut();
    let missing = missing.as_flattened().iter();
    for (channel, &missing) in channels
        .zip(missing)
        .filter(|(_, missing)| **missing != 0.0)
    {
        *channel = cast::lighter(f32::from(*channel), missing).round() as u8;
    }
    lit
}

/// What is dark and hangs together at a place (fractions of the picture's width and height) beside a `thing`: what somebody means who
/// says that there is its shadow. Of the size at which it was looked at; `None` where nothing is darker than what is around it.
pub fn at(picture: &Picture, thing: &Mask, place: [f32; 2]) -> Option<Mask> {
    Ground::new(picture, thing, &[])?.at(place)
}

#[cfg(test)]
mod tests;
