//! From a picture and the mask of a person to the person's joints, by BlazePose.
//!
//! MediaPipe finds people first; here the mask says where to look. The network is asked twice, as MediaPipe does it from frame to frame:
//! about a square around the mask, and about the square that its own answer asks for, which is centred at the hips and upright.

use super::parts::nobody;
use super::transfer::read;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::skeleton::{Areas, Skeleton};
use dragentity_core::scene::{Mask, Part, Picture};
use dragentity_networks::blaze_pose::{ABOVE, BlazePose, Body, CENTRE, LANDMARKS, Landmark, SIDE};
use dragentity_networks::weights::Weights;

/// Side of the square, by the longer side of the mask's box, and by the circle that the network means (MediaPipe's own number).
const AROUND: f32 = 1.25;
/// Turns of the square that are tried, in quarters: people stand, and lie or hang otherwise.
const QUARTERS: [u8; 4] = [0, 1, 3, 2];
/// The least score of somebody who stands, and of somebody who was turned: four-legged animals look like people who are turned.
const STANDING: f32 = 0.75;
const TURNED: f32 = 0.8;
/// Joints that are at least this likely to be seen have to lie on the mask, this share of them when somebody stands: arms may be
/// missing from a mask.
const SEEN: f32 = 0.5;
const LEAST_ON: f32 = 0.25;
/// The least share of the mask that the bones of somebody who stands explain: people hold things, a dog has its neck beyond them.
const LEAST_EXPLAINED: f32 = 0.6;
/// And of somebody who was turned.
const TURNED_EXPLAINED: f32 = 0.8;
/// How far from the mask a joint may lie, by the longer side of the mask's box.
const BESIDE: f32 = 0.03;
/// Samples of the picture for each of the crop's pixels, each way, at most.
const MOST_SAMPLES: usize = 6;

/// What finds people's joints.
pub struct PoseFinder<B: Backend> {
    network: BlazePose<B>,
    device: B::Device,
}

/// A square of a picture, turned.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Square {
    /// Its middle, in pixels of the picture.
    middle: [f32; 2],
    /// Its side in pixels of the picture.
    side: f32,
    /// The direction of its rows in the picture: cosine and sine.
    across: [f32; 2],
}

impl Square {
    /// Around the mask's box, turned by quarters.
    fn around(mask: &Mask, picture: &Picture, quarters: u8) -> Option<Self> {
        let found = mask.bounding_box().filter(|_| !picture.is_empty())?;
        let scale = [
            picture.width as f32 / mask.width as f32,
            picture.height as f32 / mask.height as f32,
        ];
        let [x0, x1] = [found.x0, found.x1].map(|x| x as f32 * scale[0]);
        let [y0, y1] = [found.y0, found.y1].map(|y| y as f32 * scale[1]);
        Some(Self {
            middle: [(x0 + x1) / 2.0, (y0 + y1) / 2.0],
            side: AROUND * (x1 - x0).max(y1 - y0),
            across: match quarters {
                0 => [1.0, 0.0],
                1 => [0.0, 1.0],
                2 => [-1.0, 0.0],
                _ => [0.0, -1.0],
            },
        })
    }

    /// Upright around what the network found in this one.
    fn upright(self, body: &Body) -> Option<Self> {
        let [centre, above] = [CENTRE, ABOVE].map(|at| body.landmarks.get(at));
        let [centre, above] = [self.place(centre?.at), self.place(above?.at)];
        let up = [above[0] - centre[0], above[1] - centre[1]];
        let radius = up[0].hypot(up[1]);
        // Down to what is still a body, and no larger than a hundred of this.
        let plausible =
            radius.is_finite() && radius > self.side / 100.0 && radius < self.side * 10.0;
        plausible.then(|| Self {
            middle: centre,
            side: 2.0 * AROUND * radius,
            across: [-up[1] / radius, up[0] / radius],
        })
    }

    /// Where a place in fractions of the square is, in pixels of the picture.
    fn place(self, at: [f32; 2]) -> [f32; 2] {
        let [x, y] = at.map(|v| (v - 0.5) * self.side);
        let [cosine, sine] = self.across;
        [
            self.middle[0] + cosine * x - sine * y,
            self.middle[1] + sine * x + cosine * y,
        ]
    }

    /// The picture in it as the network takes it: `[3, SIDE, SIDE]`, 0..1, black beyond the picture. Means of samples, so that what is
    /// made smaller is not made rough.
    fn planes(self, picture: &Picture) -> Vec<f32> {
        let samples = ((self.side / SIDE as f32).ceil() as usize).clamp(1, MOST_SAMPLES);
        let share = 1.0 / (samples * samples) as f32 / 255.0;
        let mut planes = vec![0.0; 3 * SIDE * SIDE];
        for at in 0..SIDE * SIDE {
            for sample in 0..samples * samples {
                let offset = |v: usize| (v as f32 + 0.5) / samples as f32;
                let place = [
                    ((at % SIDE) as f32 + offset(sample % samples)) / SIDE as f32,
                    ((at / SIDE) as f32 + offset(sample / samples)) / SIDE as f32,
                ];
                let rgb = bilinear(picture, self.place(place));
                for (channel, value) in rgb.into_iter().enumerate() {
                    planes[channel * SIDE * SIDE + at] += share * value;
                }
            }
        }
        planes
    }
}

/// A colour between pixels, 0..255; black beyond the picture.
fn bilinear(picture: &Picture, [x, y]: [f32; 2]) -> [f32; 3] {
    let (width, height) = (picture.width as usize, picture.height as usize);
    if !(x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32) {
        return [0.0; 3];
    }
    let ends = |v: f32, length: usize| {
        let v = (v - 0.5).clamp(0.0, (length - 1) as f32);
        (v as usize, (v as usize + 1).min(length - 1), v.fract())
    };
    let ((x0, x1, u), (y0, y1, v)) = (ends(x, width), ends(y, height));
    std::array::from_fn(|channel| {
        let of = |x: usize, y: usize| f32::from(picture.rgb[3 * (y * width + x) + channel]);
        let row = |y: usize| of(x0, y) * (1.0 - u) + of(x1, y) * u;
        row(y0) * (1.0 - v) + row(y1) * v
    })
}

/// An answer of the network.
struct Answer {
    body: Body,
    /// Logits of the person's mask. `[SIDE, SIDE]`
    mask: Vec<f32>,
    square: Square,
}

/// What an answer says of the person under the mask.
struct Found {
    /// In fractions of the picture.
    landmarks: Vec<Landmark>,
    /// How likely it is that somebody is there, times the share of the mask that the network takes for that person. The network calls
    /// dogs and cups people, too, but not all of a dog. 0..1
    score: f32,
    /// The share of the joints that lie on the mask. 0..1
    on: f32,
    /// What of the mask the bones explain, and nothing where they hang from no trunk. 0..1
    explained: f32,
    /// Whether arms and legs go away from the trunk to one side of it.
    on_all_fours: bool,
}

impl Found {
    fn new(answer: &Answer, picture: &Picture, mask: &Mask) -> Self {
        let Answer { body, square, .. } = answer;
        let fraction = |[x, y]: [f32; 2]| [x / picture.width as f32, y / picture.height as f32];
        let places = body.landmarks.iter().take(LANDMARKS);
        let landmarks: Vec<Landmark> = places
            .map(|landmark| Landmark {
                at: fraction(square.place(landmark.at)),
                ..*landmark
            })
            .collect();
        let (mut own, mut taken) = (0.0f32, 0.0);
        for (at, logit) in answer.mask.iter().enumerate() {
            let place = [at % SIDE, at / SIDE].map(|v| (v as f32 + 0.5) / SIDE as f32);
            let [x, y] = fraction(square.place(place));
            if mask.contains(x, y) {
                own += 1.0;
                taken += if *logit > 0.0 { 1.0 } else { 0.0 };
            }
        }
        let aspect = picture.width as f32 / picture.height as f32;
        let skeleton = skeleton(&landmarks).filter(|skeleton| skeleton.has_a_trunk(aspect));
        Self {
            score: body.flag * taken / own.max(1.0),
            on: on_the_mask(&landmarks, mask),
            explained: (skeleton.as_ref()).map_or(0.0, |skeleton| skeleton.explains(mask, aspect)),
            on_all_fours: skeleton.is_some_and(|skeleton| skeleton.is_on_all_fours(aspect)),
            landmarks,
        }
    }

    /// Whether it is a person who stands.
    fn stands(&self) -> bool {
        self.score >= STANDING && self.on >= LEAST_ON && self.explained >= LEAST_EXPLAINED
    }

    /// How likely it is a person who lies or hangs.
    fn turned(&self) -> f32 {
        match self.explained >= TURNED_EXPLAINED && !self.on_all_fours {
            true => self.score * self.on,
            false => 0.0,
        }
    }
}

/// The share of the joints that are seen within the picture which lie on the mask, or close beside it. 0 when there are none.
fn on_the_mask(landmarks: &[Landmark], mask: &Mask) -> f32 {
    let Some(found) = mask.bounding_box() else {
        return 0.0;
    };
    let longer = (found.x1 - found.x0).max(found.y1 - found.y0) as f32;
    let beside = BESIDE * longer;
    let near = |at: [f32; 2]| {
        let around = [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        around.into_iter().any(|[x, y]| {
            let x = at[0] + x * beside / mask.width as f32;
            mask.contains(x, at[1] + y * beside / mask.height as f32)
        })
    };
    let (mut on, mut all) = (0.0, 0.0);
    for landmark in landmarks {
        let within = landmark.at.iter().all(|v| (0.0..1.0).contains(v));
        if within && landmark.visibility >= SEEN {
            all += landmark.visibility;
            on += if near(landmark.at) {
                landmark.visibility
            } else {
                0.0
            };
        }
    }
    if all > 0.0 { on / all } else { 0.0 }
}

impl<B: Backend> PoseFinder<B> {
    /// Opens the weights that `scripts/fetch-pose` made.
    ///
    /// # Errors
    /// [`Error::Model`] for other or damaged weights.
    pub async fn load(weights: &Weights, device: &B::Device) -> Result<Self> {
        Ok(Self {
            network: BlazePose::load(weights, device).await?,
            device: device.clone(),
        })
    }

    /// The joints of the person under a mask, standing, lying or hanging.
    ///
    /// # Errors
    /// [`Error::Job`] when nobody is found there, [`Error::Device`] when the device fails.
    pub async fn find(&self, picture: &Picture, mask: &Mask) -> Result<Skeleton> {
        let mut best: Option<Found> = None;
        for quarters in QUARTERS {
            let square = Square::around(mask, picture, quarters).ok_or_else(|| {
                Error::Job("there is nothing to look at: click a person first".into())
            })?;
            let found = self.look_twice(picture, mask, square).await?;
            if quarters == 0 && found.stands() {
                return joints(&found);
            }
            if best
                .as_ref()
                .is_none_or(|best| found.turned() > best.turned())
            {
                best = Some(found);
            }
        }
        match best.filter(|best| best.turned() >= TURNED) {
            Some(best) => joints(&best),
            None => Err(nobody()),
        }
    }

    /// The parts of the person under a mask by its bones, each with its own mask, as
    /// [`PersonParser::parts`](super::parts::PersonParser::parts) gives them.
    ///
    /// # Errors
    /// Those of [`find`](Self::find), and [`Error::Job`] when only one part is to be seen.
    pub async fn parts(&self, picture: &Picture, mask: &Mask) -> Result<Vec<(Part, Mask)>> {
        let skeleton = self.find(picture, mask).await?;
        let aspect = picture.width as f32 / picture.height as f32;
        let areas = Areas::new(&skeleton, mask, picture, aspect).ok_or_else(nobody)?;
        areas.masks(mask)
    }

    async fn look_twice(&self, picture: &Picture, mask: &Mask, first: Square) -> Result<Found> {
        let mut answer = self.answer(picture, first).await?;
        if let Some(second) = first.upright(&answer.body) {
            answer = self.answer(picture, second).await?;
        }
        Ok(Found::new(&answer, picture, mask))
    }

    async fn answer(&self, picture: &Picture, square: Square) -> Result<Answer> {
        let data = TensorData::new(square.planes(picture), [1, 3, SIDE, SIDE]);
        let found = self.network.forward(Tensor::from_data(data, &self.device));
        let places = read(found.places).await?;
        let heat = read(found.heat).await?;
        let flag = read(found.flag).await?;
        let flag = flag.first().copied().unwrap_or(f32::NEG_INFINITY);
        Ok(Answer {
            body: Body::decoded(&places, &heat, flag),
            mask: read(found.mask).await?,
            square,
        })
    }
}

fn joints(found: &Found) -> Result<Skeleton> {
    skeleton(&found.landmarks).ok_or_else(nobody)
}

fn skeleton(landmarks: &[Landmark]) -> Option<Skeleton> {
    let landmarks: Vec<_> = landmarks.iter().map(|l| (l.at, l.visibility)).collect();
    Skeleton::of_landmarks(&landmarks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let rgb = (0..60 * 40 * 3).map(|i| (i % 251) as u8).collect();
        Picture::from_rgb(60, 40, rgb).unwrap()
    }

    #[test]
    fn squares_turn_and_lead_back_to_the_picture() {
        let picture = picture();
        let mut mask = Mask::empty(60, 40);
        for y in 10..30 {
            mask.alpha[y * 60 + 20..y * 60 + 24].fill(255);
        }
        let straight = Square::around(&mask, &picture, 0).unwrap();
        assert_eq!((straight.middle, straight.side), ([22.0, 20.0], 25.0));
        assert_eq!(straight.place([0.0, 0.0]), [9.5, 7.5]);
        // A quarter: its rows go down the picture, its top is at the right.
        let lying = Square::around(&mask, &picture, 1).unwrap();
        assert_eq!(lying.place([0.5, 0.0]), [34.5, 20.0]);
        let body = Body {
            landmarks: {
                let mut landmarks = vec![Landmark::default(); ABOVE + 1];
                landmarks[CENTRE].at = [0.5, 0.6];
                landmarks[ABOVE].at = [0.5, 0.2];
                landmarks
            },
            flag: 1.0,
        };
        // What is upright in a square stays as that square is.
        for square in [straight, lying] {
            let upright = square.upright(&body).unwrap();
            for axis in [0, 1] {
                assert!((upright.across[axis] - square.across[axis]).abs() < 1e-5);
            }
            assert!((upright.side - 2.0 * AROUND * 0.4 * 25.0).abs() < 1e-3);
        }
        assert!(Square::around(&Mask::empty(60, 40), &picture, 0).is_none());
    }

    #[test]
    fn crops_are_the_pictures_pixels_and_black_beyond() {
        let picture = picture();
        let square = Square {
            middle: [0.0, 20.0],
            side: SIDE as f32,
            across: [1.0, 0.0],
        };
        let planes = square.planes(&picture);
        let of = |x: usize, y: usize| planes[y * SIDE + x] * 255.0;
        assert_eq!(of(SIDE / 2 - 1, SIDE / 2), 0.0);
        let first = f32::from(picture.rgb[60 * 20 * 3]);
        assert!((of(SIDE / 2, SIDE / 2) - first).abs() < 0.01);
    }

    #[test]
    fn joints_beside_the_mask_speak_against_a_person() {
        let mut mask = Mask::empty(100, 100);
        for y in 20..80 {
            mask.alpha[y * 100 + 40..y * 100 + 60].fill(255);
        }
        let joint = |x: f32, visibility: f32| Landmark {
            at: [x, 0.5],
            visibility,
            presence: 1.0,
        };
        // 1.8 pixels beside is close, hidden ones and those beyond the picture do not count.
        let on = [
            joint(0.5, 1.0),
            joint(0.61, 1.0),
            joint(0.9, 0.2),
            joint(1.4, 0.9),
        ];
        assert_eq!(on_the_mask(&on, &mask), 1.0);
        assert_eq!(
            on_the_mask(&[joint(0.5, 0.5), joint(0.8, 1.0)], &mask),
            1.0 / 3.0
        );
        assert_eq!(on_the_mask(&on, &Mask::empty(9, 9)), 0.0);
        assert_eq!(on_the_mask(&[], &mask), 0.0);
    }
}
