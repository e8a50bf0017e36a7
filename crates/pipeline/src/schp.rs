//! SCHP as what knows a person's parts, for who brings its weights: see `docs/src/parts.md`.

use super::parts::{Crop, nobody};
use super::transfer::{pictures, read};
use burn::tensor::backend::Backend;
use dragentity_core::Result;
use dragentity_core::scene::lip::{LABELS, parts_of};
use dragentity_core::scene::parts::{Part, share_out};
use dragentity_core::scene::{Mask, Picture};
use dragentity_networks::schp::{DEVIATION, MEAN, SIDE, Schp, SchpConfig};

/// Somebody is there when LIP has a label for this share of the mask.
const SOMEBODY: f32 = 0.3;

/// The network, loaded.
pub struct SchpParser<B: Backend>(Schp<B>);

impl<B: Backend> SchpParser<B> {
    /// Opens the public weights: the checkpoint itself, or safetensors.
    ///
    /// # Errors
    /// As [`SchpConfig::load`].
    pub async fn load(location: &str, device: &B::Device) -> Result<Self> {
        Ok(Self(SchpConfig::load(location, device).await?))
    }

    /// As [`PersonParser::parts`](super::parts::PersonParser::parts).
    ///
    /// # Errors
    /// The same.
    pub async fn parts(
        &self,
        picture: &Picture,
        mask: &Mask,
        device: &B::Device,
    ) -> Result<Vec<(Part, Mask)>> {
        let crop = Crop::around(mask, picture)?;
        let rgb = crop.picture(picture, SIDE, 0);
        let bgr: Vec<f32> = rgb
            .chunks_exact(3)
            .flat_map(|p| [0, 1, 2].map(|c| (f32::from(p[2 - c]) / 255.0 - MEAN[c]) / DEVIATION[c]))
            .collect();
        let logits = self.0.labels(pictures::<B>(&[bgr], SIDE, SIDE, device));
        let logits = read(logits).await?;
        let covered = crop.mask(mask, picture, SIDE);
        let labels = labels(&logits, &covered);
        let inside = covered.iter().filter(|c| **c >= 0.5).count();
        let named = labels.iter().filter(|label| **label > 0).count();
        if (named as f32) < SOMEBODY * inside as f32 {
            return Err(nobody());
        }
        let parts = parts_of(&labels, SIDE);
        let of = |at: usize| {
            let place = crop.place(mask, picture, at);
            let [x, y] = place.map(|p| ((p * SIDE as f32) as usize).min(SIDE - 1));
            parts[y * SIDE + x]
        };
        let own = |at: usize| if mask.alpha[at] > 0 { of(at) } else { None };
        let labels: Vec<_> = (0..mask.alpha.len()).map(own).collect();
        share_out(mask, &labels)
    }
}

/// The likeliest label of each pixel under the mask.
fn labels(logits: &[f32], covered: &[f32]) -> Vec<u8> {
    let area = covered.len();
    (0..area)
        .map(|at| {
            let of = |label: &usize| logits[label * area + at];
            let best = (0..LABELS).max_by(|a, b| of(a).total_cmp(&of(b)));
            best.filter(|_| covered[at] >= 0.5).unwrap_or(0) as u8
        })
        .collect()
}
