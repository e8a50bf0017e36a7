//! What a thing looks like, at any point of its own coordinates.

use rand::Rng;

use super::sprite::{Sprite, Surface};

/// Colours changed by a gain for each channel.
#[derive(Clone, Copy, Debug)]
pub struct Tint(pub [f32; 3]);

impl Tint {
    /// A little brighter or darker, warmer or cooler.
    pub fn random(rng: &mut impl Rng) -> Self {
        let bright: f32 = rng.random_range(0.82..1.12);
        let warm: f32 = rng.random_range(-0.07..0.07);
        Self([bright * (1.0 + warm), bright, bright * (1.0 - warm)])
    }

    fn apply(self, colour: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|c| (colour[c] * self.0[c]).min(1.0))
    }
}

/// Where in a photograph a texture is taken, and how large.
#[derive(Clone, Copy)]
pub struct Texture<'a> {
    /// The photograph.
    pub surface: &'a Surface,
    /// The point that lies at the thing's origin, in pixels of the photograph.
    pub centre: [f32; 2],
    /// Pixels of the photograph a unit of the thing.
    pub scale: f32,
}

impl Texture<'_> {
    fn at(&self, p: [f32; 2], pixel: f32) -> [f32; 3] {
        let level = self.surface.level(self.scale * pixel);
        self.surface.sample(
            level,
            self.centre[0] + p[0] * self.scale,
            self.centre[1] + p[1] * self.scale,
        )
    }
}

/// The outline of a blob: a circle of radius 1 with a few waves, stretched.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// Stretch along the thing's x and y.
    pub stretch: [f32; 2],
    /// Height and phase of waves 2, 3, 4 and 5.
    pub waves: [[f32; 2]; 4],
}

impl Outline {
    /// A smooth closed outline, from nearly an ellipse to a bean or a leaf.
    pub fn random(rng: &mut impl Rng) -> Self {
        let thin: f32 = rng.random_range(0.55..1.0);
        let stretch = if rng.random_bool(0.5) {
            [1.0, thin]
        } else {
            [thin, 1.0]
        };
        let rough: f32 = rng.random_range(0.0..1.0);
        let waves = [0.14, 0.10, 0.06, 0.04].map(|height| {
            [
                rng.random_range(0.0..height) * rough,
                rng.random_range(0.0..std::f32::consts::TAU),
            ]
        });
        Self { stretch, waves }
    }

    /// Distance to the outline, negative inside; good near it, which is where it matters.
    fn distance(&self, p: [f32; 2]) -> f32 {
        let q = [p[0] / self.stretch[0], p[1] / self.stretch[1]];
        let length = q[0].hypot(q[1]);
        if length < 1e-4 {
            return -self.stretch[0].min(self.stretch[1]) * 0.5;
        }
        // Cosines of multiples of the angle by the Chebyshev recurrence: cheaper than one call each.
        let (cos, sin) = (q[0] / length, q[1] / length);
        let (mut c, mut s) = (cos, sin);
        let mut radius = 1.0;
        for [height, phase] in self.waves {
            (c, s) = (c * cos - s * sin, s * cos + c * sin);
            radius += height * (c * phase.cos() - s * phase.sin());
        }
        // Back from the stretched distance to a plain one, by the slope of the stretch in this direction.
        let slope = (cos / self.stretch[0]).hypot(sin / self.stretch[1]);
        (length - 0.88 * radius) / slope
    }
}

/// A part of a figure: a bone with a thickness at each end, in its clothes.
#[derive(Clone, Copy, Debug)]
pub struct Limb {
    /// From the thing's origin to here.
    pub end: [f32; 2],
    /// Radius at the origin and at the end.
    pub radii: [f32; 2],
    /// Colour.
    pub colour: [f32; 3],
    /// Second colour of stripes or checks; the same as the first for plain cloth.
    pub second: [f32; 3],
    /// Width of a stripe; checks when negative.
    pub stripe: f32,
}

impl Limb {
    /// Distance to the surface (negative inside) and how far along the bone (0..1).
    fn distance(&self, p: [f32; 2]) -> (f32, f32) {
        let [ex, ey] = self.end;
        let along = ((p[0] * ex + p[1] * ey) / (ex * ex + ey * ey).max(1e-6)).clamp(0.0, 1.0);
        let radius = self.radii[0] + (self.radii[1] - self.radii[0]) * along;
        ((p[0] - along * ex).hypot(p[1] - along * ey) - radius, along)
    }

    /// Its colours, unlit.
    fn pattern_at(&self, p: [f32; 2]) -> [f32; 3] {
        let width = self.stripe.abs().max(1e-3);
        let band = |x: f32| (x / width).floor() as i32;
        let odd = if self.stripe < 0.0 {
            (band(p[0]) + band(p[1])) & 1
        } else {
            band(p[1]) & 1
        };
        if odd == 1 { self.second } else { self.colour }
    }

    fn colour_at(&self, p: [f32; 2], distance: f32) -> [f32; 3] {
        let colour = self.pattern_at(p);
        // Round things are lit from above left and darker towards their outline.
        let radius = self.radii[0].max(self.radii[1]);
        let depth = (-distance / radius).clamp(0.0, 1.0);
        let light = 0.72 + 0.34 * depth.sqrt() - 0.06 * ((p[0] + p[1]) / radius).clamp(-1.0, 1.0);
        colour.map(|c| (c * light).clamp(0.0, 1.0))
    }
}

/// A part of a person: a bone with a thickness, in its cloth, hair or skin, lit from some side.
#[derive(Clone)]
pub struct Worn<'a> {
    /// Its shape, and its colours where it has no texture.
    pub limb: Limb,
    /// What it is cut from.
    pub texture: Option<Texture<'a>>,
    /// Where light comes from; the longer, the stronger. Zero lights all of it alike.
    pub light: [f32; 2],
}

impl Worn<'_> {
    fn colour_at(&self, p: [f32; 2], along: f32, pixel: f32) -> [f32; 3] {
        let limb = &self.limb;
        let colour = match &self.texture {
            Some(texture) => texture.at(p, pixel),
            None => limb.pattern_at(p),
        };
        let radius = (limb.radii[0] + (limb.radii[1] - limb.radii[0]) * along).max(1e-4);
        let normal =
            [0, 1].map(|axis| ((p[axis] - along * limb.end[axis]) / radius).clamp(-1.0, 1.0));
        let light = 1.0 + self.light[0] * normal[0] + self.light[1] * normal[1];
        colour.map(|c| (c * light).clamp(0.0, 1.0))
    }
}

/// What a thing looks like.
#[derive(Clone)]
pub enum Appearance<'a> {
    /// A cut-out; a unit is a pixel of it, its centre the origin.
    Cutout {
        /// The picture.
        sprite: &'a Sprite,
        /// Mirrored left to right.
        mirrored: bool,
    },
    /// The outline of a cut-out filled from a photograph; units as for a cut-out.
    Filled {
        /// The outline.
        sprite: &'a Sprite,
        /// What fills it.
        texture: Texture<'a>,
    },
    /// A blob cut from a photograph; the unit is its largest radius.
    Blob {
        /// The outline.
        outline: Outline,
        /// What fills it.
        texture: Texture<'a>,
        /// How strongly light from above shapes it, 0 for a flat cut.
        relief: f32,
    },
    /// A part of a figure.
    Limb(Limb),
    /// A part of a person.
    Worn(Worn<'a>),
}

/// Coverage of a pixel of width `pixel` by a shape whose outline is `distance` away.
fn coverage(distance: f32, pixel: f32) -> f32 {
    (0.5 - distance / pixel).clamp(0.0, 1.0)
}

impl Appearance<'_> {
    /// Premultiplied RGBA at a point; `pixel` is the width of a sample in the thing's units.
    pub fn at(&self, p: [f32; 2], pixel: f32, tint: Tint) -> [f32; 4] {
        let (colour, alpha) = match self {
            Self::Cutout { sprite, mirrored } => {
                let x = if *mirrored { -p[0] } else { p[0] };
                let half = [sprite.width() as f32 / 2.0, sprite.height() as f32 / 2.0];
                let [r, g, b, alpha] =
                    sprite.sample(sprite.level(pixel), x + half[0], p[1] + half[1]);
                let tinted = [r * tint.0[0], g * tint.0[1], b * tint.0[2]].map(|c| c.min(alpha));
                return [tinted[0], tinted[1], tinted[2], alpha];
            }
            Self::Filled { sprite, texture } => {
                let half = [sprite.width() as f32 / 2.0, sprite.height() as f32 / 2.0];
                let alpha = sprite.sample(sprite.level(pixel), p[0] + half[0], p[1] + half[1])[3];
                if alpha <= 0.0 {
                    return [0.0; 4];
                }
                (texture.at(p, pixel), alpha)
            }
            Self::Blob {
                outline,
                texture,
                relief,
            } => {
                let distance = outline.distance(p);
                let alpha = coverage(distance, pixel);
                if alpha <= 0.0 {
                    return [0.0; 4];
                }
                let light = 1.0
                    + relief
                        * (0.25 - 0.35 * (p[0] * 0.5 + p[1]) - 0.5 * (distance + 0.35).max(0.0));
                (texture.at(p, pixel).map(|c| c * light), alpha)
            }
            Self::Limb(limb) => {
                let (distance, _) = limb.distance(p);
                let alpha = coverage(distance, pixel);
                if alpha <= 0.0 {
                    return [0.0; 4];
                }
                (limb.colour_at(p, distance), alpha)
            }
            Self::Worn(worn) => {
                let (distance, along) = worn.limb.distance(p);
                let alpha = coverage(distance, pixel);
                if alpha <= 0.0 {
                    return [0.0; 4];
                }
                (worn.colour_at(p, along, pixel), alpha)
            }
        };
        let colour = tint.apply(colour);
        [
            colour[0] * alpha,
            colour[1] * alpha,
            colour[2] * alpha,
            alpha,
        ]
    }

    /// Alpha alone, blurred over about `soft` units: for shadows.
    pub fn shade(&self, p: [f32; 2], soft: f32) -> f32 {
        match self {
            Self::Cutout { sprite, .. } | Self::Filled { sprite, .. } => {
                let x = if matches!(self, Self::Cutout { mirrored: true, .. }) {
                    -p[0]
                } else {
                    p[0]
                };
                let half = [sprite.width() as f32 / 2.0, sprite.height() as f32 / 2.0];
                sprite.sample(sprite.level(soft), x + half[0], p[1] + half[1])[3]
            }
            Self::Blob { outline, .. } => coverage(outline.distance(p), 2.0 * soft),
            Self::Limb(limb) | Self::Worn(Worn { limb, .. }) => {
                coverage(limb.distance(p).0, 2.0 * soft)
            }
        }
    }

    /// Radius of a circle around the origin that holds all of it, in its units.
    pub fn reach(&self) -> f32 {
        match self {
            Self::Cutout { sprite, .. } | Self::Filled { sprite, .. } => {
                0.5 * (sprite.width() as f32).hypot(sprite.height() as f32)
            }
            // Waves of 0.34 in all on a radius of 0.88.
            Self::Blob { .. } => 1.2,
            Self::Limb(limb) | Self::Worn(Worn { limb, .. }) => {
                limb.end[0].hypot(limb.end[1]) + limb.radii[0].max(limb.radii[1])
            }
        }
    }

    /// Its longer side, in its units.
    pub fn size(&self) -> f32 {
        match self {
            Self::Cutout { sprite, .. } | Self::Filled { sprite, .. } => {
                sprite.width().max(sprite.height()) as f32
            }
            Self::Blob { .. } => 1.8,
            Self::Limb(limb) | Self::Worn(Worn { limb, .. }) => {
                limb.end[0].hypot(limb.end[1]) + limb.radii[0] + limb.radii[1]
            }
        }
    }
}
