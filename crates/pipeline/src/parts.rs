//! From the mask of a person to the masks of its parts, by the human parser.
//!
//! The parser sees a square crop around the mask, and its mirror image, in which left and right are swapped; the mean of
//! both answers is taken. Every pixel of the mask becomes one part's: what is left over would stay behind when the
//! parts move.

use super::transfer::{pictures, read};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::scene::parts::{CLASSES, Part, share_out};
use dragentity_core::scene::picture::resize_rgb;
use dragentity_core::scene::{Mask, Picture, raster};
use dragentity_networks::dragentity::human_parser::{HumanParser, HumanParserConfig};
use dragentity_networks::weights::ModelDir;

/// Share of the crop's side that the longer side of the mask's box takes.
const FILLED: f32 = 0.84;
/// Somebody is there when the parser gives less than this share of the mask to no part at all.
const NOBODY: f32 = 0.6;

/// What the parser says of a crop: the probabilities of the classes.
pub struct Parsed {
    /// `[CLASSES, side, side]`
    probabilities: Vec<f32>,
    side: usize,
}

/// Asks the parser about a crop.
///
/// # Shapes
/// - `rgb`: `[side, side, 3]`, -1..1
/// - `mask`: `[side, side]`, 0..1
///
/// # Errors
/// [`Error::Device`] when the device fails.
pub async fn parse<B: Backend>(
    parser: &HumanParser<B>,
    rgb: &[f32],
    mask: &[f32],
    side: usize,
    device: &B::Device,
) -> Result<Parsed> {
    let picture = pictures::<B>(&[rgb.to_vec()], side, side, device);
    let mask = Tensor::from_data(TensorData::new(mask.to_vec(), [1, 1, side, side]), device);
    let both = |x: Tensor<B, 4>| Tensor::cat(vec![x.clone(), x.flip([3])], 0);
    let logits = parser.forward(both(picture), both(mask));
    let [_, _, _, half] = logits.dims();
    let logits = read(logits).await?;
    let area = half * half;
    let (own, mirror) = logits.split_at(CLASSES * area);
    let mut probabilities = vec![0.0; CLASSES * area];
    for at in 0..area {
        let opposite = at / half * half + half - 1 - at % half;
        let mean: [f32; CLASSES] = std::array::from_fn(|class| {
            let part = Part::of_class(class);
            let swapped = part.map_or(0, |part| part.mirrored().class());
            (own[class * area + at] + mirror[swapped * area + opposite]) / 2.0
        });
        let most = mean.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps = mean.map(|v| (v - most).exp());
        let sum: f32 = exps.iter().sum();
        for (class, exp) in exps.into_iter().enumerate() {
            probabilities[class * area + at] = exp / sum;
        }
    }
    Ok(Parsed {
        probabilities,
        side: half,
    })
}

impl Parsed {
    /// The probability of each class at a place of the crop, in fractions of it.
    fn at(&self, place: [f32; 2]) -> [f32; CLASSES] {
        let side = self.side;
        let [(x0, x1, u), (y0, y1, v)] = place.map(|p| {
            let p = (p * side as f32 - 0.5).clamp(0.0, (side - 1) as f32);
            let low = p as usize;
            (low, (low + 1).min(side - 1), p.fract())
        });
        std::array::from_fn(|class| {
            let of = |x: usize, y: usize| self.probabilities[(class * side + y) * side + x];
            let row = |y: usize| of(x0, y) * (1.0 - u) + of(x1, y) * u;
            row(y0) * (1.0 - v) + row(y1) * v
        })
    }

    /// The likeliest part at a place of the crop, in fractions of it.
    pub fn part(&self, place: [f32; 2]) -> Part {
        let probabilities = self.at(place);
        let of = |part: &Part| probabilities[part.class()];
        let parts = Part::ALL.into_iter();
        // There always is one; the head is the first of them.
        parts
            .max_by(|a, b| of(a).total_cmp(&of(b)))
            .unwrap_or(Part::Head)
    }

    /// Whether what is at these places, the mask's, is a person.
    pub fn is_somebody(&self, places: impl Iterator<Item = [f32; 2]>) -> bool {
        let (mut none, mut count) = (0.0, 0);
        for place in places {
            none += self.at(place)[0];
            count += 1;
        }
        count > 0 && none < NOBODY * count as f32
    }
}

/// A square around a mask, in pixels of the picture; may reach beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crop {
    left: f32,
    top: f32,
    side: f32,
}

impl Crop {
    /// # Errors
    /// [`Error::Job`] for an empty mask or picture.
    pub(super) fn around(mask: &Mask, picture: &Picture) -> Result<Self> {
        let found = mask.bounding_box().filter(|_| !picture.is_empty());
        let found = found
            .ok_or_else(|| Error::Job("there is nothing to split: click a person first".into()))?;
        let scale = [
            picture.width as f32 / mask.width as f32,
            picture.height as f32 / mask.height as f32,
        ];
        let [x0, x1] = [found.x0, found.x1].map(|x| x as f32 * scale[0]);
        let [y0, y1] = [found.y0, found.y1].map(|y| y as f32 * scale[1]);
        let side = ((x1 - x0).max(y1 - y0) / FILLED).max(2.0);
        Ok(Self {
            left: (x0 + x1 - side) / 2.0,
            top: (y0 + y1 - side) / 2.0,
            side,
        })
    }

    /// This crop of a raster whose pixels are `scale` times as many each way as the picture's: where each of its
    /// pixels is, `None` beyond the raster.
    fn pixels(self, scale: [f32; 2], size: [u32; 2]) -> (u32, impl Iterator<Item = Option<usize>>) {
        let side = (self.side * scale[0].max(scale[1])).ceil().max(1.0) as u32;
        let index = move |at: u32| {
            let [x, y] = [at % side, at / side].map(|v| (v as f32 + 0.5) / side as f32 * self.side);
            let x = ((self.left + x) * scale[0]).floor();
            let y = ((self.top + y) * scale[1]).floor();
            let inside = x >= 0.0 && y >= 0.0 && x < size[0] as f32 && y < size[1] as f32;
            inside.then(|| y as usize * size[0] as usize + x as usize)
        };
        (side, (0..side * side).map(index))
    }

    /// The picture in it, `[side, side, 3]`; `beyond` the picture's border.
    pub(super) fn picture(self, picture: &Picture, side: usize, beyond: u8) -> Vec<u8> {
        let (own, pixels) = self.pixels([1.0; 2], [picture.width, picture.height]);
        let rgb: Vec<u8> = pixels
            .flat_map(|at| match at {
                Some(at) => [0, 1, 2].map(|c| picture.rgb[at * 3 + c]),
                None => [beyond; 3],
            })
            .collect();
        resize_rgb(&rgb, (own, own), (side as u32, side as u32))
    }

    /// Where a pixel of the mask is, in fractions of the crop.
    pub(super) fn place(self, mask: &Mask, picture: &Picture, at: usize) -> [f32; 2] {
        let x = (at % mask.width as usize) as f32 + 0.5;
        let y = (at / mask.width as usize) as f32 + 0.5;
        [
            (x * picture.width as f32 / mask.width as f32 - self.left) / self.side,
            (y * picture.height as f32 / mask.height as f32 - self.top) / self.side,
        ]
    }

    /// How much of each of `side` x `side` cells the mask covers.
    pub(super) fn mask(self, mask: &Mask, picture: &Picture, side: usize) -> Vec<f32> {
        let scale = [
            mask.width as f32 / picture.width as f32,
            mask.height as f32 / picture.height as f32,
        ];
        let (own, pixels) = self.pixels(scale, [mask.width, mask.height]);
        let alpha = pixels.map(|at| at.map_or(0, |at| mask.alpha[at])).collect();
        let cropped = Mask {
            width: own,
            height: own,
            alpha,
        };
        raster::coverage(&cropped, side, side)
    }
}

/// What knows a person's parts: the model's own human parser.
pub struct PersonParser<B: Backend> {
    config: HumanParserConfig,
    network: HumanParser<B>,
}

impl<B: Backend> PersonParser<B> {
    /// Loads the human parser of a model.
    ///
    /// # Errors
    /// [`Error::Model`] when the model has none, or it is damaged.
    pub async fn load(dir: &ModelDir, device: &B::Device) -> Result<Self> {
        const PART: &str = "human_parser";
        let config: HumanParserConfig = dir.read_config(PART).await?;
        config.validate(&dir.file(PART, "config.json"))?;
        let network = config.init(device)?;
        let (network, _) = dir.load(PART, network, &mut |_, _| {}).await?;
        Ok(Self { config, network })
    }

    /// The parts of the person under a mask, each with its own mask: of the same size as the whole, whose pixels they
    /// share out among them. Parts that cannot be seen are left out.
    ///
    /// # Errors
    /// [`Error::Job`] when there is nothing under the mask, when it is not a person, or only one part of it;
    /// [`Error::Device`] when the device fails.
    pub async fn parts(
        &self,
        picture: &Picture,
        mask: &Mask,
        device: &B::Device,
    ) -> Result<Vec<(Part, Mask)>> {
        let crop = Crop::around(mask, picture)?;
        let side = self.config.crop_side;
        let rgb = crop.picture(picture, side, 128);
        let rgb: Vec<f32> = rgb.iter().map(|&b| f32::from(b) / 127.5 - 1.0).collect();
        let covered = crop.mask(mask, picture, side);
        let parsed = parse(&self.network, &rgb, &covered, side, device).await?;
        let inside = (0..mask.alpha.len()).filter(|&at| mask.alpha[at] >= 128);
        if !parsed.is_somebody(inside.map(|at| crop.place(mask, picture, at))) {
            return Err(nobody());
        }
        let labels: Vec<Option<Part>> = (0..mask.alpha.len())
            .map(|at| (mask.alpha[at] > 0).then(|| parsed.part(crop.place(mask, picture, at))))
            .collect();
        share_out(mask, &labels)
    }
}

/// What is said of a mask that no person is under.
pub(super) fn nobody() -> Error {
    Error::Job(
        "this does not look like a person, and only people have parts: click the whole of one, or paint its mask with \
         the brush"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    fn picture() -> Picture {
        let rgb = (0..60 * 40 * 3).map(|i| (i % 251) as u8).collect();
        Picture::from_rgb(60, 40, rgb).unwrap()
    }

    #[test]
    fn crops_are_around_the_mask_and_grey_beyond_the_picture() {
        let picture = picture();
        // Twice as fine as the picture; a tall thing at its left border.
        let mut mask = Mask::empty(120, 80);
        for y in 0..80 {
            mask.alpha[y * 120..y * 120 + 20].fill(255);
        }
        let crop = Crop::around(&mask, &picture).unwrap();
        assert!((crop.side - 40.0 / FILLED).abs() < 1e-3);
        assert!((crop.left + crop.side / 2.0 - 5.0).abs() < 1e-3);
        let side = 48;
        let rgb = crop.picture(&picture, side, 128);
        assert_eq!(rgb.len(), side * side * 3);
        assert_eq!(rgb[(24 * side + 2) * 3], 128, "left of the picture");
        let covered = crop.mask(&mask, &picture, side);
        let at = |x: f32, y: f32| {
            let cell = |v: f32, from: f32| ((v - from) / crop.side * side as f32) as usize;
            covered[cell(y, crop.top) * side + cell(x, crop.left)]
        };
        assert!(at(5.0, 20.0) > 0.99 && at(15.0, 20.0) < 0.01 && covered[24 * side] == 0.0);
        // The middle of the mask is in the middle of the crop.
        let [x, y] = crop.place(&mask, &picture, 40 * 120 + 10);
        assert!((x - 0.5).abs() < 0.02 && (y - 0.5).abs() < 0.02, "{x} {y}");
        assert!(Crop::around(&Mask::empty(4, 4), &picture).is_err());
    }

    #[test]
    fn the_mirror_image_has_the_mirrored_parts() {
        let device = Default::default();
        let side = 32;
        let network = HumanParserConfig::default().init::<Flex>(&device).unwrap();
        let rgb: Vec<f32> = (0..side * side * 3)
            .map(|i| (i * 7 % 23) as f32 / 12.0 - 0.9)
            .collect();
        let mask: Vec<f32> = (0..side * side).map(|i| (i % 5) as f32 / 4.0).collect();
        let flipped = |values: &[f32], channels: usize| -> Vec<f32> {
            let rows = values.chunks_exact(side * channels);
            rows.flat_map(|row| row.chunks_exact(channels).rev().flatten().copied())
                .collect()
        };
        let ask = |rgb: &[f32], mask: &[f32]| {
            pollster::block_on(parse(&network, rgb, mask, side, &device)).unwrap()
        };
        let (own, other) = (ask(&rgb, &mask), ask(&flipped(&rgb, 3), &flipped(&mask, 1)));
        for x in [0.1, 0.34, 0.77] {
            let (a, b) = (own.at([x, 0.4]), other.at([1.0 - x, 0.4]));
            assert!((a.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            assert!((a[0] - b[0]).abs() < 1e-4);
            for part in Part::ALL {
                assert!(
                    (a[part.class()] - b[part.mirrored().class()]).abs() < 1e-4,
                    "{part}"
                );
            }
        }
    }
}
