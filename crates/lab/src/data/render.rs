//! Renders one clip: a background under a camera, things that move over it, and the truth about them.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::appearance::{Appearance, Outline, Texture, Tint};
use super::figure::{Figure, PARTS, TORSO};
use super::motion::{Motion, Pose};
use super::pack::Pack;
use super::sprite::Surface;
use dragentity_core::scene::Mask;
use dragentity_core::scene::raster::inscribed_circle;

/// What clips are to be like.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipSpec {
    /// Width of a frame in pixels.
    pub width: usize,
    /// Height of a frame in pixels.
    pub height: usize,
    /// Frames of a clip.
    pub frames: usize,
    /// Entities of a clip at most; of a figure in parts no more than these are offered.
    pub max_entities: usize,
    /// Share of clips in which the camera moves.
    pub camera_share: f64,
    /// Share of things that cast a shadow.
    pub shadow_share: f64,
    /// Share of clips with a jointed figure.
    pub figure_share: f64,
}

impl Default for ClipSpec {
    fn default() -> Self {
        Self {
            width: 64,
            height: 64,
            frames: 8,
            max_entities: 12,
            camera_share: 0.2,
            shadow_share: 0.25,
            figure_share: 0.1,
        }
    }
}

/// An entity of a clip and where it really is. Masks are 0 to 255, inside from 128 on.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipEntity {
    /// What is seen of it, `[frames, height, width]`.
    pub visible: Vec<u8>,
    /// All of it in the first frame, hidden or not, `[height, width]`.
    pub full: Vec<u8>,
    /// Where its anchor is in each frame, in pixels (pixel centres at halves). The anchor is the centre of the
    /// largest circle inside what is seen of it in the first frame, and moves with it as one body.
    pub track: Vec<[f32; 2]>,
    /// Left, top, right, bottom of what is seen of it in each frame, in pixels; `None` when nothing is.
    pub boxes: Vec<Option<[f32; 4]>>,
    /// Entities of one group are parts of one body.
    pub group: Option<u32>,
    /// Whether its texture is photographic.
    pub photo: bool,
}

/// A clip and the truth about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Width of a frame in pixels.
    pub width: usize,
    /// Height of a frame in pixels.
    pub height: usize,
    /// Frames.
    pub frames: usize,
    /// RGB, `[frames, height, width, 3]`.
    pub rgb: Vec<u8>,
    /// The things that can be dragged, back to front.
    pub entities: Vec<ClipEntity>,
    /// How far the background has moved since the first frame, in pixels, at the middle of the frame.
    pub camera: Vec<[f32; 2]>,
}

impl Clip {
    /// The bytes of frame `index`, `[height, width, 3]`.
    pub fn frame(&self, index: usize) -> &[u8] {
        let length = self.width * self.height * 3;
        &self.rgb[index * length..(index + 1) * length]
    }

    /// What is seen of an entity in frame `index`, `[height, width]`.
    pub fn visible(&self, entity: usize, index: usize) -> &[u8] {
        let length = self.width * self.height;
        &self.entities[entity].visible[index * length..(index + 1) * length]
    }

    /// Whether the camera stands still.
    pub fn camera_is_still(&self) -> bool {
        self.camera.iter().all(|offset| *offset == [0.0, 0.0])
    }
}

/// Pictures of one side of the split, sorted for choosing.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) photos: Vec<usize>,
    pub(crate) drawings: Vec<usize>,
    pub(crate) backgrounds: Vec<usize>,
}

/// The view of a background: maps pixels of the first frame to pixels of the photograph.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    surface: &'a Surface,
    index: usize,
    origin: [f32; 2],
    scale: f32,
    mirrored: bool,
    tint: Tint,
}

impl<'a> View<'a> {
    /// A crop with the frame's aspect; `margin` pixels of the frame are kept free around it where possible.
    pub(crate) fn random(
        rng: &mut ChaCha8Rng,
        pack: &'a Pack,
        choice: &Choice,
        size: (usize, usize),
        closest: f32,
        margin: f32,
    ) -> Self {
        let index = *choice
            .backgrounds
            .choose(rng)
            .expect("a data set has backgrounds");
        let surface = pack.background(index);
        let (width, height) = (size.0 as f32, size.1 as f32);
        let widest = (surface.width() as f32 / (width + 2.0 * margin))
            .min(surface.height() as f32 / (height + 2.0 * margin));
        let scale = widest * rng.random_range(closest..=1.0f32);
        let slack = |all: usize, side: f32| (all as f32 - scale * (side + 2.0 * margin)).max(0.0);
        let origin = [
            scale * margin + rng.random_range(0.0..=1.0f32) * slack(surface.width(), width),
            scale * margin + rng.random_range(0.0..=1.0f32) * slack(surface.height(), height),
        ];
        let mirrored = rng.random_bool(0.5);
        Self {
            surface,
            index,
            origin,
            scale,
            mirrored,
            tint: Tint::random(rng),
        }
    }

    /// Colour at a place of the first frame, `size` being the frame's; `zoom` is how much the camera enlarges.
    fn at(&self, p: [f32; 2], width: f32, zoom: f32) -> [f32; 3] {
        let x = if self.mirrored { width - p[0] } else { p[0] };
        let level = self.surface.level(self.scale / zoom);
        let [r, g, b] = self.surface.sample(
            level,
            self.origin[0] + x * self.scale,
            self.origin[1] + p[1] * self.scale,
        );
        [r * self.tint.0[0], g * self.tint.0[1], b * self.tint.0[2]].map(|c| c.min(1.0))
    }

    /// The whole view as a frame.
    pub(crate) fn picture(&self, size: (usize, usize)) -> Vec<u8> {
        let mut rgb = Vec::with_capacity(size.0 * size.1 * 3);
        for y in 0..size.1 {
            for x in 0..size.0 {
                let colour = self.at([x as f32 + 0.5, y as f32 + 0.5], size.0 as f32, 1.0);
                rgb.extend(colour.map(to_byte));
            }
        }
        rgb
    }
}

fn to_byte(value: f32) -> u8 {
    (value * 255.0 + 0.5) as u8
}

/// A shadow: where it falls and how dark.
#[derive(Clone, Copy)]
pub(super) struct Shadow {
    offset: [f32; 2],
    strength: f32,
    /// Blur, in pixels of the frame.
    soft: f32,
}

/// One thing to draw, its pose in every frame known.
pub(super) struct Part<'a> {
    pub(super) look: Appearance<'a>,
    pub(super) tint: Tint,
    pub(super) poses: Vec<Pose>,
    pub(super) shadow: Option<Shadow>,
}

/// Some parts that are dragged as one.
pub(super) struct Body {
    /// Which parts, as indices.
    pub(super) parts: Vec<usize>,
    /// The part that the anchor moves with.
    pub(super) lead: usize,
    pub(super) group: Option<u32>,
    pub(super) photo: bool,
    /// Whether it is offered as an entity; what is not is drawn all the same.
    pub(super) offered: bool,
}

/// A clip before it is drawn.
pub(super) struct Plan<'a> {
    pub(super) view: View<'a>,
    /// Offset and zoom of the background in each frame.
    pub(super) camera: Vec<([f32; 2], f32)>,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) bodies: Vec<Body>,
}

/// The drawing surface of one frame.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pub(super) rgb: Vec<[f32; 3]>,
    /// What is seen of each body, `[bodies, height * width]`.
    pub(super) seen: Vec<Vec<f32>>,
    /// All of each body.
    full: Vec<Vec<f32>>,
}

/// Samples along each side of a pixel.
const SAMPLES: usize = 2;

/// Renders a clip with the given random numbers.
pub(crate) fn clip(rng: &mut ChaCha8Rng, pack: &Pack, choice: &Choice, spec: &ClipSpec) -> Clip {
    let mut plan = plan(rng, pack, choice, spec);
    let mut first = draw(&plan, spec, 0, None);
    // A thing that is hardly seen in the first frame cannot be pointed at: without a path to follow its motion
    // would teach that things move by themselves. It is left out, and the frame drawn anew.
    loop {
        let hidden: Vec<usize> = (0..plan.bodies.len())
            .filter(|&body| !is_seen(&first, body, spec))
            .collect();
        let Some(&body) = hidden
            .iter()
            .find(|&&body| plan.bodies[body].group.is_none())
        else {
            for &body in &hidden {
                plan.bodies[body].offered = false;
            }
            break;
        };
        plan.remove(body);
        first = draw(&plan, spec, 0, None);
    }
    let pixels = spec.width * spec.height;
    let mut rgb = Vec::with_capacity(spec.frames * pixels * 3);
    let mut entities: Vec<ClipEntity> = Vec::new();
    let mut slots: Vec<(usize, [f32; 2])> = Vec::new();
    for (index, body) in plan
        .bodies
        .iter()
        .enumerate()
        .filter(|(_, body)| body.offered)
    {
        let alpha = first.seen[index]
            .iter()
            .map(|&value| to_byte(value))
            .collect();
        let mask = Mask {
            width: spec.width as u32,
            height: spec.height as u32,
            alpha,
        };
        let Some(anchor) = inscribed_circle(&mask).map(|circle| circle.center) else {
            continue;
        };
        let full = first.full[index]
            .iter()
            .map(|&value| to_byte(value))
            .collect();
        slots.push((index, plan.parts[body.lead].poses[0].to_thing(anchor)));
        entities.push(ClipEntity {
            visible: Vec::with_capacity(spec.frames * pixels),
            full,
            track: Vec::with_capacity(spec.frames),
            boxes: Vec::with_capacity(spec.frames),
            group: body.group,
            photo: body.photo,
        });
    }
    let still = plan.camera.iter().all(|camera| *camera == plan.camera[0]);
    let background = still.then(|| plan.background(spec, 0));
    for frame in 0..spec.frames {
        let canvas = if frame == 0 {
            std::mem::replace(&mut first, Canvas::empty())
        } else {
            draw(&plan, spec, frame, background.as_deref())
        };
        rgb.extend(canvas.rgb.iter().flat_map(|colour| colour.map(to_byte)));
        for (entity, (index, anchor)) in entities.iter_mut().zip(&slots) {
            let visible = canvas.seen[*index].iter().map(|&value| to_byte(value));
            let start = entity.visible.len();
            entity.visible.extend(visible);
            entity
                .boxes
                .push(bounds(&entity.visible[start..], spec.width));
            entity
                .track
                .push(plan.parts[plan.bodies[*index].lead].poses[frame].to_frame(*anchor));
        }
    }
    let camera = plan.camera.iter().map(|(offset, _)| *offset).collect();
    Clip {
        width: spec.width,
        height: spec.height,
        frames: spec.frames,
        rgb,
        entities,
        camera,
    }
}

fn is_seen(canvas: &Canvas, body: usize, spec: &ClipSpec) -> bool {
    let seen: f32 = canvas.seen[body].iter().sum();
    let full: f32 = canvas.full[body].iter().sum();
    let solid = canvas.seen[body].iter().any(|&value| value >= 0.5);
    solid && seen >= (0.003 * (spec.width * spec.height) as f32).max(6.0) && seen >= 0.35 * full
}

pub(crate) fn bounds(mask: &[u8], width: usize) -> Option<[f32; 4]> {
    let mut found: Option<[usize; 4]> = None;
    for (index, _) in mask.iter().enumerate().filter(|(_, value)| **value >= 128) {
        let (x, y) = (index % width, index / width);
        let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
        found = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
    }
    found.map(|[left, top, right, bottom]| {
        [left, top, right + 1, bottom + 1].map(|side| side as f32)
    })
}

impl Canvas {
    fn empty() -> Self {
        Self {
            width: 0,
            height: 0,
            rgb: Vec::new(),
            seen: Vec::new(),
            full: Vec::new(),
        }
    }
}

impl Plan<'_> {
    /// Takes a body of one part out.
    fn remove(&mut self, body: usize) {
        let gone = self.bodies.remove(body);
        let mut kept = Vec::with_capacity(self.parts.len());
        let mut places = Vec::with_capacity(self.parts.len());
        for (index, part) in self.parts.drain(..).enumerate() {
            places.push(kept.len());
            if !gone.parts.contains(&index) {
                kept.push(part);
            }
        }
        self.parts = kept;
        for body in &mut self.bodies {
            body.lead = places[body.lead];
            body.parts.iter_mut().for_each(|part| *part = places[*part]);
        }
    }

    fn background(&self, spec: &ClipSpec, frame: usize) -> Vec<[f32; 3]> {
        let (offset, zoom) = self.camera[frame];
        let (width, height) = (spec.width as f32, spec.height as f32);
        let mut rgb = Vec::with_capacity(spec.width * spec.height);
        for y in 0..spec.height {
            for x in 0..spec.width {
                let back =
                    |p: f32, middle: f32, offset: f32| middle + (p + 0.5 - middle - offset) / zoom;
                let p = [
                    back(x as f32, width / 2.0, offset[0]),
                    back(y as f32, height / 2.0, offset[1]),
                ];
                rgb.push(self.view.at(p, width, zoom));
            }
        }
        rgb
    }
}

/// Draws one frame. A still background is drawn once and handed in.
pub(super) fn draw(
    plan: &Plan,
    spec: &ClipSpec,
    frame: usize,
    background: Option<&[[f32; 3]]>,
) -> Canvas {
    let pixels = spec.width * spec.height;
    let rgb = background.map_or_else(|| plan.background(spec, frame), <[_]>::to_vec);
    let bodies = plan.bodies.len();
    let mut canvas = Canvas {
        width: spec.width,
        height: spec.height,
        rgb,
        seen: vec![vec![0.0; pixels]; bodies],
        // Needed in the first frame only.
        full: if frame == 0 {
            vec![vec![0.0; pixels]; bodies]
        } else {
            Vec::new()
        },
    };
    let mut owners = vec![None; plan.parts.len()];
    for (index, body) in plan.bodies.iter().enumerate() {
        body.parts
            .iter()
            .for_each(|&part| owners[part] = Some(index));
    }
    for (part, owner) in plan.parts.iter().zip(owners) {
        canvas.draw(part, &part.poses[frame], owner);
    }
    canvas
}

impl Canvas {
    /// The pixels that a circle may touch.
    fn window(
        &self,
        centre: [f32; 2],
        radius: f32,
    ) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let range = |centre: f32, side: usize| {
            let from = (centre - radius).floor().clamp(0.0, side as f32) as usize;
            let to = (centre + radius).ceil().clamp(0.0, side as f32) as usize;
            from..to.max(from)
        };
        (range(centre[0], self.width), range(centre[1], self.height))
    }

    fn draw(&mut self, part: &Part, pose: &Pose, owner: Option<usize>) {
        let reach = part.look.reach() * pose.scale + 1.0;
        if let Some(shadow) = part.shadow {
            let centre = [
                pose.place[0] + shadow.offset[0],
                pose.place[1] + shadow.offset[1],
            ];
            let (columns, rows) = self.window(centre, reach + 2.0 * shadow.soft);
            for y in rows {
                for x in columns.clone() {
                    let p = [
                        x as f32 + 0.5 - shadow.offset[0],
                        y as f32 + 0.5 - shadow.offset[1],
                    ];
                    let shade = part.look.shade(pose.to_thing(p), shadow.soft / pose.scale);
                    let light = 1.0 - shadow.strength * shade;
                    self.rgb[y * self.width + x]
                        .iter_mut()
                        .for_each(|c| *c *= light);
                }
            }
        }
        let sample = 1.0 / (SAMPLES as f32 * pose.scale);
        let (columns, rows) = self.window(pose.place, reach);
        for y in rows {
            for x in columns.clone() {
                let mut sum = [0.0f32; 4];
                for step in 0..SAMPLES * SAMPLES {
                    let inside = |step: usize| (step as f32 + 0.5) / SAMPLES as f32;
                    let p = [
                        x as f32 + inside(step % SAMPLES),
                        y as f32 + inside(step / SAMPLES),
                    ];
                    let colour = part.look.at(pose.to_thing(p), sample, part.tint);
                    sum.iter_mut()
                        .zip(colour)
                        .for_each(|(sum, value)| *sum += value);
                }
                if sum[3] <= 0.0 {
                    continue;
                }
                let [r, g, b, alpha] = sum.map(|value| value / (SAMPLES * SAMPLES) as f32);
                let rest = (1.0 - alpha).max(0.0);
                let at = y * self.width + x;
                for (under, over) in self.rgb[at].iter_mut().zip([r, g, b]) {
                    *under = (*under * rest + over).min(1.0);
                }
                self.seen.iter_mut().for_each(|seen| seen[at] *= rest);
                if let Some(owner) = owner {
                    self.seen[owner][at] = (self.seen[owner][at] + alpha).min(1.0);
                    if let Some(full) = self.full.get_mut(owner) {
                        full[at] = (full[at] * rest + alpha).min(1.0);
                    }
                }
            }
        }
    }
}

/// Decides everything about a clip.
fn plan<'a>(rng: &mut ChaCha8Rng, pack: &'a Pack, choice: &Choice, spec: &ClipSpec) -> Plan<'a> {
    let side = spec.width.min(spec.height) as f32;
    let (camera, margin) = camera(rng, spec);
    let view = View::random(rng, pack, choice, (spec.width, spec.height), 0.35, margin);
    let mut plan = Plan {
        view,
        camera,
        parts: Vec::new(),
        bodies: Vec::new(),
    };
    let mut count = match rng.random_range(0..20) {
        0..8 => 1,
        8..15 => 2,
        15..18 => 3,
        _ => 4,
    };
    count = count.min(spec.max_entities.max(1));
    // In front of or behind the others, as it comes.
    let mut figure_at = rng
        .random_bool(spec.figure_share)
        .then(|| rng.random_range(0..count));
    let in_parts = figure_at.is_some() && spec.max_entities > 1 && rng.random_bool(0.6);
    if in_parts {
        count = count.min(2);
        figure_at = figure_at.map(|at| at.min(count - 1));
    }
    let mut taken: Vec<([f32; 2], f32)> = Vec::new();
    for index in 0..count {
        let is_figure = figure_at == Some(index);
        // Small things are as common as large ones; a figure is tall and thin and may be larger.
        let size = if is_figure {
            rng.random_range(0.45..0.85)
        } else {
            rng.random_range(0.15..0.55f32)
        } * side;
        let from = place(rng, spec, size, &taken);
        taken.push((from, size));
        let motion = motion(rng, spec, from, size, index == 0);
        let carried = rng.random_bool(0.5);
        let poses: Vec<Pose> = (0..spec.frames)
            .map(|frame| {
                let mut pose = motion.at(time(frame, spec.frames));
                // Half of the things are part of the world that the camera passes, the others are followed by it.
                if carried {
                    pose.place[0] += plan.camera[frame].0[0];
                    pose.place[1] += plan.camera[frame].0[1];
                }
                pose
            })
            .collect();
        if is_figure {
            let offered = if in_parts {
                spec.max_entities.saturating_sub(count - 1).max(1)
            } else {
                0
            };
            figure(rng, &mut plan, &poses, size, offered);
        } else {
            thing(rng, &mut plan, pack, choice, spec, &poses, size);
        }
    }
    plan
}

/// Time of a frame, 0 for the first, 1 for the last.
fn time(frame: usize, frames: usize) -> f32 {
    if frames > 1 {
        frame as f32 / (frames - 1) as f32
    } else {
        0.0
    }
}

/// Offsets and zooms of the background, and the margin that they need, in pixels of the frame.
fn camera(rng: &mut ChaCha8Rng, spec: &ClipSpec) -> (Vec<([f32; 2], f32)>, f32) {
    let side = spec.width.min(spec.height) as f32;
    if !rng.random_bool(spec.camera_share) {
        return (vec![([0.0, 0.0], 1.0); spec.frames], 0.0);
    }
    let angle: f32 = rng.random_range(0.0..std::f32::consts::TAU);
    let length = rng.random_range(0.05..0.22) * side;
    let mut motion = Motion::random(
        rng,
        [0.0, 0.0],
        [length * angle.cos(), length * angle.sin()],
    );
    motion.turn = 0.0;
    motion.growth = if rng.random_bool(0.25) {
        rng.random_range(0.95..1.08)
    } else {
        1.0
    };
    let camera: Vec<_> = (0..spec.frames)
        .map(|frame| {
            let pose = motion.at(time(frame, spec.frames));
            (pose.place, pose.scale)
        })
        .collect();
    // Of the whole path, not of the frames: a clip of one frame must show the same first one.
    let furthest = motion
        .path
        .iter()
        .map(|[x, y]| x.abs().max(y.abs()))
        .fold(0.0, f32::max);
    (camera, furthest + 0.05 * spec.width.max(spec.height) as f32)
}

/// A place for a thing of a size: well inside the frame, not on top of another unless there is no room.
fn place(rng: &mut ChaCha8Rng, spec: &ClipSpec, size: f32, taken: &[([f32; 2], f32)]) -> [f32; 2] {
    let mut coordinate = |side: usize| {
        let margin = (0.32 * size).min(0.45 * side as f32);
        rng.random_range(margin..=side as f32 - margin)
    };
    let mut best = [coordinate(spec.width), coordinate(spec.height)];
    let room = |p: [f32; 2]| {
        let gap = |(q, other): &([f32; 2], f32)| (p[0] - q[0]).hypot(p[1] - q[1]) / (size + other);
        taken.iter().map(gap).fold(f32::INFINITY, f32::min)
    };
    for _ in 0..8 {
        if room(best) > 0.38 {
            break;
        }
        let other = [coordinate(spec.width), coordinate(spec.height)];
        if room(other) > room(best) {
            best = other;
        }
    }
    best
}

/// Where a thing goes from its place: mostly within the frame, one in eight may leave it, one in six stays.
fn motion(rng: &mut ChaCha8Rng, spec: &ClipSpec, from: [f32; 2], size: f32, first: bool) -> Motion {
    if rng.random_bool(if first { 0.06 } else { 0.22 }) {
        return Motion::pin(from);
    }
    let side = spec.width.min(spec.height) as f32;
    let leaves = rng.random_bool(0.12);
    let inside = |p: [f32; 2]| {
        let margin = if leaves { -0.3 * size } else { 0.25 * size };
        (margin..=spec.width as f32 - margin).contains(&p[0])
            && (margin..=spec.height as f32 - margin).contains(&p[1])
    };
    let mut length = rng.random_range(0.12..0.7f32) * side;
    for _ in 0..24 {
        let angle: f32 = rng.random_range(0.0..std::f32::consts::TAU);
        let to = [
            from[0] + length * angle.cos(),
            from[1] + length * angle.sin(),
        ];
        if inside(to) {
            return Motion::random(rng, from, to);
        }
        length *= 0.93;
    }
    Motion::pin(from)
}

/// Adds a cut-out, a filled outline or a blob.
pub(super) fn thing<'a>(
    rng: &mut ChaCha8Rng,
    plan: &mut Plan<'a>,
    pack: &'a Pack,
    choice: &Choice,
    spec: &ClipSpec,
    poses: &[Pose],
    size: f32,
) {
    let kind = rng.random_range(0..20);
    // A side without photographs gives drawings instead, and the other way round.
    let list = |photo: bool| {
        let (first, second) = if photo {
            (&choice.photos, &choice.drawings)
        } else {
            (&choice.drawings, &choice.photos)
        };
        if first.is_empty() { second } else { first }
    };
    let (look, photo) = match kind {
        0..13 => {
            let index = *list(kind < 8).choose(rng).expect("a data set has cut-outs");
            (
                Appearance::Cutout {
                    sprite: pack.cutout(index),
                    mirrored: rng.random_bool(0.5),
                },
                pack.header.items[index].photo,
            )
        }
        13..16 => {
            let index = *list(rng.random_bool(0.5))
                .choose(rng)
                .expect("a data set has cut-outs");
            let sprite = pack.cutout(index);
            let units = sprite.width().max(sprite.height()) as f32;
            (
                Appearance::Filled {
                    sprite,
                    texture: texture(rng, plan, pack, choice, spec, poses[0].place, units, size),
                },
                true,
            )
        }
        _ => {
            let outline = Outline::random(rng);
            let texture = texture(rng, plan, pack, choice, spec, poses[0].place, 2.0, size);
            let relief = if rng.random_bool(0.6) {
                rng.random_range(0.3..1.0)
            } else {
                0.0
            };
            (
                Appearance::Blob {
                    outline,
                    texture,
                    relief,
                },
                true,
            )
        }
    };
    let unit = size / look.size();
    let poses = poses.iter().map(|pose| pose.scaled(unit)).collect();
    let shadow = rng.random_bool(spec.shadow_share).then(|| Shadow {
        offset: [
            rng.random_range(-0.12..0.12) * size,
            rng.random_range(0.04..0.14) * size,
        ],
        strength: rng.random_range(0.2..0.45),
        soft: rng.random_range(0.04..0.10) * size,
    });
    plan.bodies.push(Body {
        parts: vec![plan.parts.len()],
        lead: plan.parts.len(),
        group: None,
        photo,
        offered: true,
    });
    plan.parts.push(Part {
        look,
        tint: Tint::random(rng),
        poses,
        shadow,
    });
}

/// A piece of a photograph to fill a thing that is `units` wide in its own units and `size` pixels in the frame.
/// Mostly of another photograph than the background; always one that stands out a little from what it lies on.
#[allow(
    clippy::too_many_arguments,
    reason = "no few of them belong together under a name"
)]
fn texture<'a>(
    rng: &mut ChaCha8Rng,
    plan: &Plan<'a>,
    pack: &'a Pack,
    choice: &Choice,
    spec: &ClipSpec,
    at: [f32; 2],
    units: f32,
    size: f32,
) -> Texture<'a> {
    let mut best: Option<(f32, Texture)> = None;
    for _ in 0..4 {
        let own = rng.random_bool(0.25);
        let index = if own {
            plan.view.index
        } else {
            *choice.backgrounds.choose(rng).expect("backgrounds")
        };
        let surface = pack.background(index);
        let (width, height) = (surface.width() as f32, surface.height() as f32);
        // At least a pixel of the photograph for a pixel of the frame, at most most of the photograph.
        let piece = (width.min(height) * rng.random_range(0.15..0.6))
            .max(size)
            .min(0.9 * width.min(height));
        let inside =
            |rng: &mut ChaCha8Rng, side: f32| rng.random_range(piece / 2.0..=(side - piece / 2.0));
        let centre = [inside(rng, width), inside(rng, height)];
        let texture = Texture {
            surface,
            centre,
            scale: piece / units,
        };
        let difference = contrast(&plan.view, &texture, spec, at, units, size);
        if best.as_ref().is_none_or(|(most, _)| difference > *most) {
            best = Some((difference, texture));
        }
        if difference > 0.12 {
            break;
        }
    }
    best.expect("at least one try").1
}

/// Mean difference of colour between a texture and the background around a place.
fn contrast(
    view: &View,
    texture: &Texture,
    spec: &ClipSpec,
    at: [f32; 2],
    units: f32,
    size: f32,
) -> f32 {
    let mut sum = 0.0;
    for step in 0..9 {
        let grid = [(step % 3) as f32 - 1.0, (step / 3) as f32 - 1.0];
        let p = [at[0] + 0.45 * size * grid[0], at[1] + 0.45 * size * grid[1]];
        let under = view.at(p, spec.width as f32, 1.0);
        let q = grid.map(|g| 0.3 * units * g * texture.scale);
        let level = texture.surface.level(units * texture.scale / size);
        let over =
            texture
                .surface
                .sample(level, texture.centre[0] + q[0], texture.centre[1] + q[1]);
        sum += under
            .iter()
            .zip(over)
            .map(|(a, b)| (a - b).abs())
            .sum::<f32>()
            / 27.0;
    }
    sum
}

/// Adds a figure, `offered` of its parts as entities of one group, or all of it as one entity when 0.
fn figure(rng: &mut ChaCha8Rng, plan: &mut Plan, poses: &[Pose], size: f32, offered: usize) {
    let figure = Figure::random(rng);
    let (first, tint) = (plan.parts.len(), Tint::random(rng));
    // It is 2.2 units tall, from the crown to the soles.
    let unit = size / 2.2;
    let mut tracks: Vec<Vec<Pose>> = vec![Vec::new(); PARTS];
    for (frame, pose) in poses.iter().enumerate() {
        let whole = pose.scaled(unit);
        for (track, part) in tracks
            .iter_mut()
            .zip(figure.poses(time(frame, poses.len())))
        {
            track.push(whole.after(&part));
        }
    }
    for (part, poses) in figure.parts.iter().zip(tracks) {
        plan.parts.push(Part {
            look: Appearance::Limb(part.limb),
            tint,
            poses,
            shadow: None,
        });
    }
    if offered == 0 {
        let torso = first + TORSO;
        let parts = (first..first + PARTS).collect();
        plan.bodies.push(Body {
            parts,
            lead: torso,
            group: None,
            photo: false,
            offered: true,
        });
        return;
    }
    let mut order: Vec<usize> = (0..PARTS).collect();
    order.shuffle(rng);
    let group = Some(first as u32);
    for part in 0..PARTS {
        let offered = order[..offered.min(PARTS)].contains(&part);
        let part = first + part;
        plan.bodies.push(Body {
            parts: vec![part],
            lead: part,
            group,
            photo: false,
            offered,
        });
    }
}
