//! A picture filled, giving way to others meanwhile.

use super::transfer::pause;
use dragentity_compositor::plate::Filling;
use dragentity_core::error::Result;
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, JobEvent};

/// `picture` with what `hole` marks filled from what `source` marks.
///
/// # Errors
/// Those of [`Filling::new`], and [`Error::Cancelled`](dragentity_core::Error::Cancelled).
pub(super) async fn filled(
    picture: &Picture,
    hole: &Mask,
    source: &Mask,
    cancel: &Cancel,
    observer: &mut dyn FnMut(JobEvent),
) -> Result<Picture> {
    let mut filling = Filling::new(picture, hole, Some(source))?;
    let mut more = true;
    while more {
        let (done, total) = filling.progress();
        observer(JobEvent::Filling { done, total });
        pause(cancel).await?;
        more = filling.advance();
    }
    Ok(filling.finish())
}
