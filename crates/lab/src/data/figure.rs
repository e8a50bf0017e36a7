//! Jointed figures of twelve parts: head, torso, upper and lower arms, upper and lower legs, hands or feet.

use rand::Rng;

use super::appearance::Limb;
use super::motion::Pose;

/// Parts of a figure.
pub const PARTS: usize = 12;

/// Index of the torso, which leads the others.
pub const TORSO: usize = 8;

/// One part: where it is joined to the figure, how it hangs and swings there.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its look.
    pub limb: Limb,
    /// The part it hangs from; `None` for the torso.
    parent: Option<usize>,
    /// The joint, in the parent's coordinates.
    joint: [f32; 2],
    /// Angle at the joint at the start, in radians.
    angle: f32,
    /// How far the angle swings.
    swing: f32,
}

/// A figure, about 2 units tall, its origin in the middle of the torso. Parts are in drawing order.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its parts, back to front; a part may hang from a later one.
    pub parts: [Part; PARTS],
    /// Where in its stride it starts, and how many radians of it a clip shows; 0 when it moves as one stiff body.
    stride: [f32; 2],
}

fn hsv(hue: f32, saturation: f32, value: f32) -> [f32; 3] {
    [5.0, 3.0, 1.0].map(|n| {
        let k: f32 = (n + hue * 6.0) % 6.0;
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

impl Figure {
    /// Someone in some clothes. Two of five walk a little as they go.
    pub fn random(rng: &mut impl Rng) -> Self {
        let tone: f32 = rng.random_range(0.0..1.0);
        let skin = [0.95 - 0.60 * tone, 0.78 - 0.54 * tone, 0.66 - 0.50 * tone];
        let cloth = |rng: &mut dyn rand::RngCore| {
            let plain = hsv(
                rng.random_range(0.0..1.0),
                rng.random_range(0.1..0.9),
                rng.random_range(0.15..0.95),
            );
            let patterned = rng.random_bool(0.35);
            let second = if patterned {
                plain.map(|c| 0.45 * c + 0.5 * rng.random_range(0.0..1.0f32))
            } else {
                plain
            };
            let width: f32 = rng.random_range(0.05..0.14);
            (
                plain,
                second,
                if rng.random_bool(0.3) { -width } else { width },
            )
        };
        let shirt = cloth(rng);
        let trousers = cloth(rng);
        let shoe = hsv(rng.random_range(0.0..1.0), 0.4, rng.random_range(0.1..0.6));
        let short_sleeves = rng.random_bool(0.5);
        let bare_legs = rng.random_bool(0.25);
        let bulk: f32 = rng.random_range(0.85..1.3);
        let limb = |end: [f32; 2],
                    radii: [f32; 2],
                    (colour, second, stripe): ([f32; 3], [f32; 3], f32)| Limb {
            end,
            radii,
            colour,
            second,
            stripe,
        };
        let bare = (skin, skin, 1.0);
        let shoes = (shoe, shoe, 1.0);
        let sleeve = if short_sleeves { bare } else { shirt };
        let leg = if bare_legs { bare } else { trousers };
        // Arms hang between straight down and outstretched; y points down.
        let lift = [rng.random_range(0.1..1.0f32), rng.random_range(0.1..1.0f32)];
        let elbow = [
            rng.random_range(-0.2..0.9f32),
            rng.random_range(-0.2..0.9f32),
        ];
        let spread = [
            rng.random_range(0.02..0.3f32),
            rng.random_range(0.02..0.3f32),
        ];
        let (shoulder, hip) = (0.24 * bulk, 0.12 * bulk);
        let torso = TORSO;
        let part = |limb, parent, joint, angle, swing| Part {
            limb,
            parent,
            joint,
            angle,
            swing,
        };
        let parts = [
            // 0, 1: left arm; 2, 3: left leg and 4: foot; 5, 6: right leg and 7: foot; 8: torso; 9: head; 10, 11: right arm.
            part(
                limb([0.0, 0.34], [0.085 * bulk, 0.07], shirt),
                Some(torso),
                [-shoulder, -0.30],
                lift[0],
                0.5,
            ),
            part(
                limb([0.0, 0.36], [0.07, 0.06], sleeve),
                Some(0),
                [0.0, 0.34],
                elbow[0],
                0.15,
            ),
            part(
                limb([0.0, 0.42], [0.12 * bulk, 0.09], trousers),
                Some(torso),
                [-hip, 0.34],
                spread[0],
                -0.4,
            ),
            part(
                limb([0.0, 0.42], [0.09, 0.065], leg),
                Some(2),
                [0.0, 0.42],
                -0.5 * spread[0],
                0.25,
            ),
            part(
                limb([-0.10, 0.03], [0.07, 0.06], shoes),
                Some(3),
                [0.0, 0.44],
                0.0,
                0.0,
            ),
            part(
                limb([0.0, 0.42], [0.12 * bulk, 0.09], trousers),
                Some(torso),
                [hip, 0.34],
                -spread[1],
                0.4,
            ),
            part(
                limb([0.0, 0.42], [0.09, 0.065], leg),
                Some(5),
                [0.0, 0.42],
                0.5 * spread[1],
                -0.25,
            ),
            part(
                limb([0.10, 0.03], [0.07, 0.06], shoes),
                Some(6),
                [0.0, 0.44],
                0.0,
                0.0,
            ),
            part(
                limb([0.0, 0.56], [0.23 * bulk, 0.18 * bulk], shirt),
                None,
                [0.0, -0.26],
                0.0,
                0.0,
            ),
            part(
                limb([0.0, -0.10], [0.15, 0.17], bare),
                Some(torso),
                [0.0, -0.36],
                0.0,
                0.05,
            ),
            part(
                limb([0.0, 0.34], [0.085 * bulk, 0.07], shirt),
                Some(torso),
                [shoulder, -0.30],
                -lift[1],
                -0.5,
            ),
            part(
                limb([0.0, 0.36], [0.07, 0.06], sleeve),
                Some(10),
                [0.0, 0.34],
                -elbow[1],
                -0.15,
            ),
        ];
        let stride = if rng.random_bool(0.4) {
            [
                rng.random_range(0.0..std::f32::consts::TAU),
                rng.random_range(1.5..5.0),
            ]
        } else {
            [0.0, 0.0]
        };
        Self { parts, stride }
    }

    /// Pose of each part at a time (0..1), in the figure's coordinates.
    pub fn poses(&self, t: f32) -> [Pose; PARTS] {
        std::array::from_fn(|index| self.pose(index, t))
    }

    fn pose(&self, index: usize, t: f32) -> Pose {
        let part = &self.parts[index];
        let [start, length] = self.stride;
        let swing = if length > 0.0 {
            part.swing * (start + length * t).sin()
        } else {
            0.0
        };
        let own = Pose::new(part.joint, part.angle + swing, 1.0);
        match part.parent {
            Some(parent) => self.pose(parent, t).after(&own),
            None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn parts_hang_together() {
        for seed in 0..20 {
            let figure = Figure::random(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
            for t in [0.0, 0.4, 1.0] {
                let poses = figure.poses(t);
                for (index, part) in figure.parts.iter().enumerate() {
                    if let Some(parent) = part.parent {
                        let joint = poses[parent].to_frame(part.joint);
                        let own = poses[index].place;
                        assert!(
                            (joint[0] - own[0]).hypot(joint[1] - own[1]) < 1e-4,
                            "part {index} came off"
                        );
                    }
                }
            }
        }
    }
}
