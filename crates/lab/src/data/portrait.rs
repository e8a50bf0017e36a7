//! Crops around rendered people, with the truth about their parts, for the human parser.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::appearance::{Appearance, Limb, Texture, Tint, Worn};
use super::motion::Pose;
use super::pack::Pack;
use super::person::{Cloth, Outfit, Person};
use super::render::{Body, Choice, ClipSpec, Part, Plan, View, draw, thing};
use dragentity_core::scene::parts::{CLASSES, Part as BodyPart};

/// A crop around somebody (or something that is nobody), as the parser is shown it.
#[derive(Clone, Debug, PartialEq)]
pub struct Portrait {
    /// Width and height in pixels.
    pub side: usize,
    /// `[side, side, 3]`, -1..1; 0 beyond the picture's border.
    pub rgb: Vec<f32>,
    /// Who or what is asked about, as a click might give it: not exactly. `[side, side]`, 0..1.
    pub mask: Vec<f32>,
    /// How much of each pixel each class has, `[CLASSES, side, side]`; they add up to 1.
    pub shares: Vec<f32>,
}

/// Words in the paths of pictures that may show people, or what looks like them.
const PEOPLE: &[&str] = &[
    "people", "person", "human", "child", "girl", "boy", "woman", "man_", "men_", "king", "queen",
    "doll", "statue", "santa", "angel", "snowman", "robot", "clown", "baby", "elf", "monkey",
];

/// Whether a picture of that name may show a person.
pub(super) fn is_a_person(name: &str) -> bool {
    let name = name.to_lowercase();
    PEOPLE.iter().any(|word| name.contains(word))
}

/// Share of portraits that ask about something that is nobody.
const NOBODY: f64 = 0.12;

/// Renders one.
pub(super) fn portrait(
    rng: &mut ChaCha8Rng,
    pack: &Pack,
    choice: &Choice,
    side: usize,
) -> Portrait {
    let size = side as f32;
    let spec = ClipSpec {
        width: side,
        height: side,
        frames: 1,
        ..ClipSpec::default()
    };
    let mut plan = Plan {
        view: View::random(rng, pack, choice, (side, side), 0.2, 0.0),
        camera: vec![([0.0, 0.0], 1.0)],
        parts: Vec::new(),
        bodies: Vec::new(),
    };
    let is_nobody = rng.random_bool(NOBODY);
    clutter(rng, &mut plan, pack, choice, &spec, 2);
    let placed = Placed::random(rng, pack, choice, size);
    if rng.random_bool(0.2) {
        let other = Placed::random(rng, pack, choice, size);
        let aside = rng.random_range(0.2..0.6) * if rng.random_bool(0.5) { size } else { -size };
        other.add_to(&mut plan, [aside, 0.0], false);
    }
    let about = plan.bodies.len();
    let mut border = size;
    let asked = if is_nobody {
        let at = [0, 1].map(|_| rng.random_range(0.45..0.55) * size);
        let large = rng.random_range(0.6..1.0) * size;
        thing(
            rng,
            &mut plan,
            pack,
            choice,
            &spec,
            &[Pose::new(at, 0.0, 1.0)],
            large,
        );
        vec![(about, None)]
    } else {
        placed.add_to(&mut plan, [0.0, 0.0], true);
        border = placed.border;
        let parts = BodyPart::ALL.map(Some);
        (about..).zip(parts).collect()
    };
    // Something in front, now and then.
    if rng.random_bool(0.2) {
        clutter(rng, &mut plan, pack, choice, &spec, 1);
    }
    if rng.random_bool(0.06) {
        let other = Placed::random(rng, pack, choice, size);
        let aside = rng.random_range(0.35..0.6) * if rng.random_bool(0.5) { size } else { -size };
        other.add_to(&mut plan, [aside, 0.0], false);
    }
    let canvas = draw(&plan, &spec, 0, None);

    let area = side * side;
    let within = |at: usize| ((at / side) as f32) < border;
    let mut shares = vec![0.0f32; CLASSES * area];
    let mut whole = vec![0.0f32; area];
    for (body, part) in asked {
        for (at, &seen) in canvas.seen[body]
            .iter()
            .enumerate()
            .filter(|(at, _)| within(*at))
        {
            whole[at] = (whole[at] + seen).min(1.0);
            if let Some(part) = part {
                shares[part.class() * area + at] = seen;
            }
        }
    }
    for at in 0..area {
        let parts: f32 = (1..CLASSES).map(|class| shares[class * area + at]).sum();
        shares[at] = (1.0 - parts).max(0.0);
    }
    let seen_as = Seen::random(rng);
    let mut rgb = seen_as.picture(rng, &canvas.rgb, side);
    for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        if !within(at) {
            pixel.fill(0.0);
        }
    }
    Portrait {
        side,
        rgb,
        mask: rough(rng, &whole, side, border),
        shares,
    }
}

/// Adds some things, anywhere.
fn clutter<'a>(
    rng: &mut ChaCha8Rng,
    plan: &mut Plan<'a>,
    pack: &'a Pack,
    choice: &Choice,
    spec: &ClipSpec,
    most: usize,
) {
    for _ in 0..rng.random_range(0..=most) {
        let size = spec.width as f32;
        let at = [0, 1].map(|_| rng.random_range(0.0..size));
        let large = rng.random_range(0.15..0.6) * size;
        thing(
            rng,
            plan,
            pack,
            choice,
            spec,
            &[Pose::new(at, 0.0, 1.0)],
            large,
        );
    }
}

/// A person and where it stands in the crop.
struct Placed<'a> {
    person: Person<'a>,
    tint: Tint,
    /// Pixels a height.
    scale: f32,
    /// Where the person's origin is.
    origin: [f32; 2],
    /// Row at which the picture ends.
    border: f32,
}

impl<'a> Placed<'a> {
    fn random(rng: &mut ChaCha8Rng, pack: &'a Pack, choice: &Choice, size: f32) -> Self {
        let outfit = outfit(rng, pack, choice);
        let person = Person::random(rng, &outfit);
        let [left, top, right, mut bottom] = person.bounds();
        // Many pictures show no more than half of somebody.
        let cut = match rng.random_range(0..20) {
            0..11 => None,
            11..14 => Some(person.cuts[0]),
            14..17 => Some(person.cuts[1]),
            _ => Some(person.cuts[2]),
        };
        let cut = cut
            .map(|cut| cut + rng.random_range(-0.06..0.08))
            .filter(|&cut| cut > top + 0.25 && cut < bottom);
        bottom = cut.unwrap_or(bottom);
        let longer = (right - left).max(bottom - top);
        let scale = size * rng.random_range(0.72..0.95) / longer;
        let middle = [(left + right) / 2.0, (top + bottom) / 2.0];
        let origin = middle.map(|m| size * rng.random_range(0.46..0.54) - m * scale);
        Self {
            border: cut.map_or(size, |cut| origin[1] + cut * scale),
            person,
            tint: Tint::random(rng),
            scale,
            origin,
        }
    }

    /// Draws it, its parts as bodies of their own if `parts` says so.
    fn add_to(&self, plan: &mut Plan<'a>, aside: [f32; 2], parts: bool) {
        let first = plan.parts.len();
        for shape in &self.person.shapes {
            let at = [0, 1].map(|i| self.origin[i] + aside[i] + shape.at[i] * self.scale);
            plan.parts.push(Part {
                look: Appearance::Worn(shape.look.clone()),
                tint: self.tint,
                poses: vec![Pose::new(at, 0.0, self.scale)],
                shadow: None,
            });
        }
        if !parts {
            return;
        }
        for part in BodyPart::ALL {
            let shapes = self.person.shapes.iter().enumerate();
            let own = shapes
                .filter(|(_, s)| s.part == part)
                .map(|(i, _)| first + i);
            plan.bodies.push(Body {
                parts: own.collect(),
                lead: first,
                group: None,
                photo: true,
                offered: true,
            });
        }
    }
}

/// Some clothes, cut from photographs or in colours.
fn outfit<'a>(rng: &mut ChaCha8Rng, pack: &'a Pack, choice: &Choice) -> Outfit<'a> {
    let bright = if rng.random_bool(0.2) {
        0.0
    } else {
        rng.random_range(0.05..0.4f32)
    };
    let angle = rng.random_range(0.0..std::f32::consts::TAU);
    let light = [bright * angle.cos(), bright * angle.sin()];
    let tone: f32 = rng.random_range(0.0..1.0);
    let skin = [0.97 - 0.66 * tone, 0.80 - 0.58 * tone, 0.69 - 0.53 * tone]
        .map(|c| c * rng.random_range(0.93..1.07f32));
    let plain = |colour: [f32; 3]| cloth([colour, colour], 1.0, None, light);
    let hair = match rng.random_range(0..8) {
        0..5 => [0.16, 0.11, 0.08].map(|c| c * rng.random_range(0.2..2.2)),
        5 => [0.75, 0.6, 0.35],
        6 => [0.7; 3].map(|c: f32| c * rng.random_range(0.7..1.2)),
        _ => [0, 1, 2].map(|_| rng.random_range(0.05..0.9)),
    };
    let shirt = anything(rng, pack, choice, light);
    Outfit {
        skin: plain(skin),
        hair: plain(hair),
        trousers: anything(rng, pack, choice, light),
        shoes: anything(rng, pack, choice, light),
        other: anything(rng, pack, choice, light),
        shirt,
    }
}

/// A cloth of any kind.
fn anything<'a>(
    rng: &mut ChaCha8Rng,
    pack: &'a Pack,
    choice: &Choice,
    light: [f32; 2],
) -> Cloth<'a> {
    let mut colour = [0, 1, 2].map(|_| rng.random_range(0.03..0.97f32));
    // Most clothes are nearly grey, black, white or blue.
    let grey = rng.random_range(0.0..1.0f32).sqrt();
    let mean = colour.iter().sum::<f32>() / 3.0;
    colour = colour.map(|c| c + grey * (mean - c));
    let second = if rng.random_bool(0.3) {
        [0, 1, 2].map(|_| rng.random_range(0.03..0.97f32))
    } else {
        colour
    };
    let width: f32 = rng.random_range(0.012..0.05);
    let stripe = if rng.random_bool(0.3) { -width } else { width };
    let texture = rng.random_bool(0.5).then(|| {
        let index = *choice
            .backgrounds
            .choose(rng)
            .expect("a data set has backgrounds");
        let surface = pack.background(index);
        let short = surface.width().min(surface.height()) as f32;
        Texture {
            surface,
            centre: [0.0, 0.0],
            scale: short * rng.random_range(0.4..2.0f32),
        }
    });
    cloth([colour, second], stripe, texture, light)
}

fn cloth<'a>(
    [colour, second]: [[f32; 3]; 2],
    stripe: f32,
    texture: Option<Texture<'a>>,
    light: [f32; 2],
) -> Cloth<'a> {
    Box::new(move |rng, limb| {
        let texture = texture.map(|texture| {
            let sides = [texture.surface.width(), texture.surface.height()];
            Texture {
                centre: sides.map(|side| side as f32 * rng.random_range(0.15..0.85)),
                ..texture
            }
        });
        Worn {
            limb: Limb {
                colour,
                second,
                stripe,
                ..limb
            },
            texture,
            light,
        }
    })
}

/// How a camera and a file format change a picture.
struct Seen {
    gain: [f32; 3],
    gamma: f32,
    grey: bool,
    noise: f32,
    /// Blur over this many pixels each way.
    blur: usize,
    /// How uneven the light is over the picture, and from where.
    shade: [f32; 2],
}

impl Seen {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let bright = rng.random_range(0.7..1.25f32);
        Self {
            gain: [0; 3].map(|_| bright * rng.random_range(0.88..1.12f32)),
            gamma: rng.random_range(-0.4..0.4f32).exp(),
            grey: rng.random_bool(0.08),
            noise: if rng.random_bool(0.5) {
                rng.random_range(0.0..0.06)
            } else {
                0.0
            },
            blur: usize::from(rng.random_bool(0.25)),
            shade: [0; 2].map(|_| rng.random_range(-0.25..0.25f32)),
        }
    }

    /// As `[side, side, 3]` in -1..1.
    fn picture(&self, rng: &mut ChaCha8Rng, rgb: &[[f32; 3]], side: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(rgb.len() * 3);
        for (at, pixel) in rgb.iter().enumerate() {
            let [x, y] = [at % side, at / side].map(|v| v as f32 / side as f32 - 0.5);
            let light = 1.0 + self.shade[0] * x + self.shade[1] * y;
            let mut pixel: [f32; 3] =
                std::array::from_fn(|c| pixel[c].powf(self.gamma) * self.gain[c] * light);
            if self.grey {
                pixel = [(pixel[0] + pixel[1] + pixel[2]) / 3.0; 3];
            }
            values.extend(pixel);
        }
        if self.blur > 0 {
            values = blurred(&values, side, 3, self.blur);
        }
        for value in &mut values {
            *value += self.noise * rng.random_range(-1.7..1.7f32);
            *value = value.clamp(0.0, 1.0) * 2.0 - 1.0;
        }
        values
    }
}

/// Means over squares of `2 * reach + 1` pixels, cut off at the border.
fn blurred(values: &[f32], side: usize, channels: usize, reach: usize) -> Vec<f32> {
    let along = |values: &[f32], step: usize| -> Vec<f32> {
        let mut out = vec![0.0; values.len()];
        for (at, out) in out.iter_mut().enumerate() {
            let place = at / step % side;
            let (from, to) = (place.saturating_sub(reach), (place + reach).min(side - 1));
            let start = at - place * step;
            let sum: f32 = (from..=to).map(|k| values[start + k * step]).sum();
            *out = sum / (to - from + 1) as f32;
        }
        out
    };
    along(&along(values, channels), channels * side)
}

/// A mask as clicks give it: its outline moved in and out, corners lost. Nothing is beyond the picture's border.
fn rough(rng: &mut ChaCha8Rng, whole: &[f32], side: usize, border: f32) -> Vec<f32> {
    if rng.random_bool(0.25) {
        return whole.to_vec();
    }
    const CELLS: usize = 9;
    let strength = rng.random_range(0.0..0.5f32);
    let bias = rng.random_range(-0.12..0.12f32);
    let grid: Vec<f32> = (0..CELLS * CELLS)
        .map(|_| bias + strength * rng.random_range(-1.0..1.0f32))
        .collect();
    let reach = rng.random_range(1..=3);
    let soft = blurred(whole, side, 1, reach);
    (0..side * side)
        .map(|at| {
            let [x, y] = [at % side, at / side];
            if y as f32 >= border {
                return 0.0;
            }
            let cell = |v: usize| {
                let at = v as f32 / side as f32 * (CELLS - 1) as f32;
                (at as usize, at.fract())
            };
            let ((i, u), (j, v)) = (cell(x), cell(y));
            let row = |j: usize| grid[j * CELLS + i] * (1.0 - u) + grid[j * CELLS + i + 1] * u;
            let moved = row(j) * (1.0 - v) + row(j + 1) * v;
            // The outline is a pixel soft, as that of a mask that was scaled down.
            ((soft[at] + moved - 0.5) * 2.0 * reach as f32 + 0.5).clamp(0.0, 1.0)
        })
        .collect()
}
