//! SAM in place of the click head, for who brings its weights: clicks to a mask.
//!
//! The prompts are those of the published predictor: one click may mean a thing, its part or what it is part of, so that the
//! best of three masks is taken; further clicks refine the mask so far, whose logits are kept.

use super::clicks::obey;
use super::segment::clickable;
use super::transfer::{pause, read};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::Click;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, JobEvent};
use dragentity_networks::sam::{Framing, Prediction, Prompt, Sam, SamConfig};
use dragentity_networks::weights::Weights;

/// Logits of a mask whose own are not known: painted, or made elsewhere. SAM's own are about as large.
const SURE: f32 = 8.0;

/// SAM on a device, and the picture that was clicked last, encoded once for all its clicks.
pub struct Segmenter<B: Backend> {
    sam: Sam<B>,
    device: B::Device,
    seen: Option<Seen<B>>,
}

struct Seen<B: Backend> {
    picture: Picture,
    framing: Framing,
    embedding: Tensor<B, 4>,
    /// The last answer, and its logits before they were enlarged.
    last: Option<(Mask, Tensor<B, 4>)>,
}

impl<B: Backend> Segmenter<B> {
    /// Loads the weights of SAM or MobileSAM, whichever they are.
    ///
    /// # Errors
    /// [`Error::Model`] for other or damaged weights.
    pub async fn load(
        weights: &Weights,
        device: &B::Device,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Self> {
        let config = SamConfig::of(weights)?;
        let part = config.name();
        let mut progress = |done, total| {
            observer(JobEvent::Loading {
                part: part.clone(),
                done,
                total,
            });
        };
        Ok(Self::new(
            Sam::load(weights, config, device, &mut progress).await?,
            device,
        ))
    }

    /// Around networks that are loaded already.
    pub fn new(sam: Sam<B>, device: &B::Device) -> Self {
        Self {
            sam,
            device: device.clone(),
            seen: None,
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.sam.config.name()
    }

    /// The mask of what was clicked, of the picture's size; `previous` is the mask so far, refined by further clicks.
    /// Places that were clicked are in it or out of it as the clicks say. While a picture that is new is encoded,
    /// `observer` is told the stages as [`JobEvent::Step`]s.
    ///
    /// # Errors
    /// [`Error::Job`] without a picture or a positive click, [`Error::Cancelled`], [`Error::Device`] when the device
    /// fails.
    pub async fn segment(
        &mut self,
        picture: &Picture,
        clicks: &[Click],
        previous: Option<&Mask>,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Mask> {
        clickable(picture, clicks)?;
        let seen = self.seen.take_if(|seen| seen.picture == *picture);
        let mut seen = match seen {
            Some(seen) => seen,
            None => {
                // The old one's memory first.
                self.seen = None;
                self.see(picture, cancel, observer).await?
            }
        };
        let mask = self.answer(&mut seen, clicks, previous).await;
        self.seen = Some(seen);
        mask
    }

    /// Encodes a picture.
    async fn see(
        &self,
        picture: &Picture,
        cancel: &Cancel,
        observer: &mut dyn FnMut(JobEvent),
    ) -> Result<Seen<B>> {
        let framing = Framing::new(picture.width, picture.height, self.sam.config.img_size());
        let mut encoding = self.sam.encoding(framing.input(picture, &self.device));
        loop {
            let (done, total) = encoding.progress();
            observer(JobEvent::Step {
                step: done as u32,
                steps: total as u32,
            });
            pause(cancel).await?;
            if done == total {
                break;
            }
            encoding.advance();
        }
        Ok(Seen {
            picture: picture.clone(),
            framing,
            embedding: encoding.finish(),
            last: None,
        })
    }

    async fn answer(
        &self,
        seen: &mut Seen<B>,
        clicks: &[Click],
        previous: Option<&Mask>,
    ) -> Result<Mask> {
        let finite = clicks.iter().filter(|c| c.x.is_finite() && c.y.is_finite());
        let inside = |v: f32| v.clamp(0.0, 1.0);
        let place = |c: &Click| (seen.framing.place([inside(c.x), inside(c.y)]), c.positive);
        let prompt = Prompt {
            points: finite.map(place).collect(),
            bounds: None,
        };
        let ambiguous = prompt.points.len() == 1 && previous.is_none();
        let kept = previous.and_then(|mask| {
            let (last, logits) = seen.last.as_ref()?;
            (last == mask).then(|| logits.clone())
        });
        let previous = match (kept, previous) {
            (Some(logits), _) => Some(logits),
            (None, Some(mask)) => Some(self.logits_of(mask, seen.framing)),
            (None, None) => None,
        };
        let prediction = self
            .sam
            .predict(seen.embedding.clone(), &prompt, previous, ambiguous);
        let logits = best(prediction).await?;
        let (width, height) = (seen.picture.width, seen.picture.height);
        let mut large = read(seen.framing.enlarged(logits.clone())).await?;
        obey(clicks, width as usize, height as usize, &mut large);
        let alpha = |logit: f32| (255.0 / (1.0 + (-logit).exp())).round() as u8;
        let mask = Mask {
            width,
            height,
            alpha: large.into_iter().map(alpha).collect(),
        };
        seen.last = Some((mask.clone(), logits));
        Ok(mask)
    }

    /// A mask as the network's own low resolution has it, where the picture is in its square; outside elsewhere.
    fn logits_of(&self, mask: &Mask, framing: Framing) -> Tensor<B, 4> {
        let side = 4 * self.sam.config.grid();
        let [width, height] = framing
            .inner()
            .map(|n| n as f32 / self.sam.config.img_size() as f32);
        let logits = (0..side * side).map(|at| {
            let [x, y] = [at % side, at / side].map(|n| (n as f32 + 0.5) / side as f32);
            match mask.contains(x / width, y / height) {
                true => SURE,
                false => -SURE,
            }
        });
        let data = TensorData::new(logits.collect::<Vec<f32>>(), [1, 1, side, side]);
        Tensor::from_data(data, &self.device)
    }
}

/// The mask that is thought to be best.
async fn best<B: Backend>(prediction: Prediction<B>) -> Result<Tensor<B, 4>> {
    let scores = read(prediction.scores).await?;
    let first = (0..scores.len())
        .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
        .ok_or_else(|| Error::Device("no mask came back; try again".into()))?;
    Ok(prediction.masks.narrow(1, first, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use dragentity_networks::sam::image_encoder::ViTConfig;
    use dragentity_networks::sam::mask_decoder::MaskDecoderConfig;
    use dragentity_networks::sam::{ImageEncoderConfig, SamConfig};
    use dragentity_networks::weights::{Precision, save_bytes};

    /// A network of random weights, as a file.
    fn segmenter() -> Segmenter<Flex> {
        let device = Default::default();
        let vit = ViTConfig {
            img_size: 64,
            patch_size: 16,
            embed_dim: 16,
            num_heads: 2,
            mlp_dim: 16,
            windows: vec![2, 4],
            out_chans: 16,
        };
        let config = SamConfig {
            image_encoder: ImageEncoderConfig::Vit(vit.clone()),
            mask_in_chans: 4,
            mask_decoder: MaskDecoderConfig {
                transformer_dim: 16,
                mlp_dim: 16,
                iou_head_hidden_dim: 8,
                ..MaskDecoderConfig::default()
            },
        };
        let networks = config
            .networks::<Flex, _>(vit.init(&device).unwrap(), &device)
            .unwrap();
        let bytes = save_bytes("sam", &networks, Precision::F32).unwrap();
        let weights = Weights::from_bytes("sam", bytes).unwrap();
        pollster::block_on(Segmenter::load(&weights, &device, &mut |_| {})).unwrap()
    }

    fn picture(width: u32, height: u32) -> Picture {
        let rgb = (0..width * height * 3).map(|i| (i * 7 % 251) as u8);
        Picture::from_rgb(width, height, rgb.collect()).unwrap()
    }

    fn click(x: f32, y: f32, positive: bool) -> Click {
        Click { x, y, positive }
    }

    #[test]
    fn a_picture_is_encoded_once_and_the_clicks_hold() {
        let mut segmenter = segmenter();
        let picture = picture(40, 24);
        let mut steps = Vec::new();
        let mut ask = |clicks: &[Click], previous: Option<&Mask>, picture: &Picture| {
            let mut hear = |event: JobEvent| {
                if let JobEvent::Step { step, .. } = event {
                    steps.push(step);
                }
            };
            let cancel = Cancel::new();
            let asked = segmenter.segment(picture, clicks, previous, &cancel, &mut hear);
            let mask = pollster::block_on(asked).unwrap();
            (mask, std::mem::take(&mut steps))
        };
        let inside = click(0.3, 0.4, true);
        let outside = click(0.8, 0.7, false);
        let (first, stages) = ask(&[inside], None, &picture);
        assert_eq!(stages, [0, 1, 2]);
        assert_eq!((first.width, first.height), (40, 24));
        let (second, stages) = ask(&[inside, outside], Some(&first), &picture);
        assert_eq!(stages, [0; 0], "known already");
        assert!(first.contains(0.3, 0.4) && second.contains(0.3, 0.4));
        assert!(!second.contains(0.8, 0.7));
        // A mask from elsewhere is no obstacle, and neither are clicks beyond the picture.
        let mut painted = Mask::empty(17, 9);
        painted.brush([0.5, 0.5], [0.6, 0.5], 0.2, true);
        let (third, _) = ask(
            &[inside, click(f32::NAN, 9.0, true)],
            Some(&painted),
            &picture,
        );
        assert!(third.contains(0.3, 0.4) && third != second);
        let (_, stages) = ask(&[inside], None, &super::tests::picture(24, 24));
        assert_eq!(stages, [0, 1, 2], "another picture");
    }

    #[test]
    fn what_cannot_be_segmented_is_said_and_cancelling_works() {
        let mut segmenter = segmenter();
        let mut ask = |picture: &Picture, clicks: &[Click], cancel: &Cancel| {
            let mut hear = |_| {};
            let asked = segmenter.segment(picture, clicks, None, cancel, &mut hear);
            pollster::block_on(asked)
        };
        let cancel = Cancel::new();
        let inside = click(0.5, 0.5, true);
        for (picture, clicks, why) in [
            (Picture::default(), inside, "no picture"),
            (picture(9, 9), click(0.5, 0.5, false), "thing itself"),
        ] {
            let error = ask(&picture, &[clicks], &cancel).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        cancel.cancel();
        let cancelled = ask(&picture(9, 9), &[inside], &cancel);
        assert!(matches!(cancelled, Err(Error::Cancelled)));
        assert!(ask(&picture(9, 9), &[inside], &Cancel::new()).is_ok());
    }
}
