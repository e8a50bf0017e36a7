//! A picture filled, giving way to others meanwhile.

use super::transfer::pause;
use dragentity_compositor::plate::Filling;
use dragentity_core::error::Result;
use dragentity_core::scene::Picture;
use dragentity_core::{Cancel, JobEvent};

/// What comes of a filling that has begun.
///
/// # Errors
/// [`Error::Cancelled`](dragentity_core::Error::Cancelled).
pub(super) async fn filled(
    mut filling: Filling,
    cancel: &Cancel,
    observer: &mut dyn FnMut(JobEvent),
) -> Result<Picture> {
    let mut more = true;
    while more {
        let (done, total) = filling.progress();
        observer(JobEvent::Filling { done, total });
        pause(cancel).await?;
        more = filling.advance();
    }
    Ok(filling.finish())
}
