//! What people's arms hide of trunk and thighs: made up from these, and laid beneath the person.

use super::fill::filled;
use dragentity_compositor::frames::Composition;
use dragentity_compositor::matte::doubt;
use dragentity_compositor::plate::Filling;
use dragentity_core::error::Result;
use dragentity_core::scene::bend::{BehindArms, Motion};
use dragentity_core::scene::raster::squared_distances_within;
use dragentity_core::scene::{Entity, Mask, Picture};
use dragentity_core::{Cancel, Job, JobEvent};

/// For each of the `moving` entities of a job, which are the layers of a composition that is cut out.
///
/// # Errors
/// [`Error::Cancelled`](dragentity_core::Error::Cancelled).
pub(super) async fn lay_behind_arms(
    composition: &mut Composition,
    moving: &[Entity],
    job: &Job,
    cancel: &Cancel,
    observer: &mut dyn FnMut(JobEvent),
) -> Result<()> {
    let frames = job.settings.frames as usize;
    for (layer, entity) in moving.iter().enumerate() {
        let picture = composition.picture();
        let size = [picture.width, picture.height];
        if let Some((behind, motion)) = BehindArms::of(entity, picture, frames, size) {
            lay(composition, layer, &behind, motion, cancel, observer).await?;
        }
    }
    Ok(())
}

/// The same for a layer that is shown while paths are drawn, whichever arm of the person in it will be led; what moves it draws it.
///
/// # Errors
/// [`Error::Cancelled`](dragentity_core::Error::Cancelled).
pub(super) async fn lay_behind_any_arms(
    composition: &mut Composition,
    (layer, entity): (usize, &Entity),
    cancel: &Cancel,
    observer: &mut dyn FnMut(JobEvent),
) -> Result<()> {
    let picture = composition.picture();
    let size = [picture.width, picture.height];
    let Some(skeleton) = &entity.skeleton else {
        return Ok(());
    };
    match BehindArms::whichever_is_led(&entity.mask, skeleton, picture, size) {
        Some(behind) => {
            let still = Motion::Shift(Vec::new());
            lay(composition, layer, &behind, still, cancel, observer).await
        }
        None => Ok(()),
    }
}

/// Fills what is behind arms, and lays it beneath a layer.
async fn lay(
    composition: &mut Composition,
    layer: usize,
    behind: &BehindArms,
    motion: Motion,
    cancel: &Cancel,
    observer: &mut dyn FnMut(JobEvent),
) -> Result<()> {
    let picture = composition.picture();
    if let Some(Filled {
        hole,
        source,
        shown,
    }) = Filled::of(behind, picture)
    {
        let begun = Filling::new(picture, &hole, Some(&source))?;
        let made = filled(begun, cancel, observer).await?;
        composition.lay_beneath(layer, &made, &shown, motion);
    }
    Ok(())
}

/// Masks of the picture's size.
struct Filled {
    hole: Mask,
    source: Mask,
    /// What is laid beneath: what was hidden, and as much around it that no seam is seen.
    shown: Mask,
}

impl Filled {
    /// `None` where nothing of the body is left to fill from.
    fn of(behind: &BehindArms, picture: &Picture) -> Option<Self> {
        let sized = |mask: &Mask| mask.resized(picture.width, picture.height);
        let (hidden, body) = (sized(&behind.hidden), sized(&behind.body));
        let outside = Mask {
            alpha: hidden.alpha.iter().map(|a| 255 - a).collect(),
            ..hidden
        };
        let away = squared_distances_within(&outside);
        let inner = squared_distances_within(&body);
        // The rim of an arm is blurred into what is behind it.
        let rim = doubt(picture.width, picture.height) + 2.0;
        let within = |squared: f32, rims: f32| squared <= (rims * rim).powi(2);
        let on = |at: usize| body.alpha[at] >= 128;
        let made = |inside: &dyn Fn(usize) -> bool| Mask {
            alpha: (0..away.len())
                .map(|at| if inside(at) { 255 } else { 0 })
                .collect(),
            ..body
        };
        let source = made(&|at| on(at) && !within(away[at], 1.0) && !within(inner[at], 1.0));
        (!source.is_empty()).then(|| Self {
            hole: made(&|at| within(away[at], 1.0)),
            source,
            shown: made(&|at| on(at) && within(away[at], 3.0)),
        })
    }
}
