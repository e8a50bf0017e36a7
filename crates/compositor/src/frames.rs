//! The frames: what moves is laid over the clean plate, back to front.
//!
//! The first frame is the picture itself, and so is every frame in which nothing has moved yet. In all others a pixel that
//! no cut-out and no hole touches is the picture's own.

use super::cutout::{Cutout, Reach, Sprite};
use super::matte::{doubt, matte};
use super::place::{At, Place, offset, offsets};
use super::resample;
use super::shadow::{self, Shade};
use super::warp::{Bent, Sampling, Warped, warp};
use dragentity_core::scene::bend::Motion;
use dragentity_core::scene::ground::Ground;
use dragentity_core::scene::view::Seen;
use dragentity_core::scene::{Mask, Picture, Shadow};
use rayon::prelude::*;

/// What covers more of the picture than this is ground or backdrop, from which others may be filled.
const BACKDROP: f32 = 0.25;

/// The least alpha, of 255, at which a mask holds it for possible that something belongs to the thing.
const PERHAPS: u8 = 20;
/// How far from the thing that counts, by the width of the band in which its edge is in doubt.
const PERHAPS_WITHIN: f32 = 6.0;

/// A thing in the picture, and where it goes.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it is, over the whole picture; of any size.
    pub mask: Mask,
    /// Where it is in each frame, in pixels of the picture.
    pub motion: Motion,
    /// How near it is in each frame: what is nearer lies in front, and of equals what was given later. Those that are missing are
    /// zero.
    pub depths: Vec<f32>,
    /// What goes along with it as its shadow.
    pub shadow: Shadow,
}

/// A layer that is cut out.
struct Moving {
    /// Which of the layers that were given it is.
    index: usize,
    cutout: Cutout,
    motion: Motion,
    depths: Vec<f32>,
    /// Where its shadow is, and what it covers itself; until there is a plate to tell how dark the shadow is.
    shadow: Option<(Vec<bool>, Vec<f32>)>,
    shade: Option<Shade>,
    /// Whether it was made up, and lies beneath the layer whose `index` it has.
    beneath: bool,
}

/// What a canvas draws of a layer.
#[derive(Clone, Debug)]
pub struct Sprites {
    /// Which of those given it is.
    pub layer: usize,
    /// Whether it was made up, and lies beneath that layer.
    pub beneath: bool,
    /// Its shadow, if it has one.
    pub shade: Option<Sprite>,
    /// Itself.
    pub thing: Sprite,
}

/// A picture whose things are being cut out, one after another; then its frames.
pub struct Composition {
    picture: Picture,
    plate: Option<Picture>,
    /// Those that are part of their background.
    held: Vec<Mask>,
    /// Those that are still to be cut out, the hindmost last.
    waiting: Vec<(usize, Layer)>,
    cutouts: Vec<Moving>,
    camera: Vec<[f32; 2]>,
    /// What it goes past, where it goes round something.
    ground: Option<Ground>,
    /// How the camera looks at each frame; those that are missing are seen as a whole.
    view: Vec<Seen>,
    /// How closely each layer that was given is followed, 0 to 1; 1 for those that are missing.
    strengths: Vec<f32>,
    /// How much of each pixel is hidden by what moves away.
    hidden: Vec<f32>,
    /// How many layers hide it.
    hiding: Vec<u8>,
    /// How much of the ground's light is missing softly around what moves away, as logarithms; empty while nothing is.
    missing: Vec<[f32; 3]>,
    /// The picture with that light, where any is missing.
    lit: Option<Picture>,
    /// Which pixels belong to something in front, be it moving or not.
    things: Vec<bool>,
    /// The masks of all layers.
    masks: Vec<Mask>,
    /// From where alone holes are filled, in the picture's size; `None` is everywhere.
    from: Option<Mask>,
}

impl Composition {
    /// Of layers that lie back to front over a picture, whose camera moves by `camera` pixels in each frame.
    pub fn new(picture: Picture, layers: Vec<Layer>, camera: Vec<[f32; 2]>) -> Self {
        // What stays in its background is part of it, unless something may pass behind it.
        let ordered = layers
            .iter()
            .all(|layer| layer.depths.iter().all(|d| *d == 0.0));
        let first = layers.iter().position(|l| !ordered || moves(l, &camera));
        let masks = layers.iter().map(|layer| layer.mask.clone()).collect();
        let mut layers: Vec<(usize, Layer)> = layers.into_iter().enumerate().collect();
        let mut waiting = layers.split_off(first.unwrap_or(layers.len()));
        waiting.reverse();
        Self {
            hidden: vec![0.0; picture.width as usize * picture.height as usize],
            hiding: vec![0; picture.width as usize * picture.height as usize],
            things: vec![false; picture.width as usize * picture.height as usize],
            missing: Vec::new(),
            lit: None,
            picture,
            plate: None,
            held: layers.into_iter().map(|(_, layer)| layer.mask).collect(),
            waiting,
            cutouts: Vec::new(),
            camera,
            ground: None,
            view: Vec::new(),
            strengths: Vec::new(),
            masks,
            from: None,
        }
    }

    /// With ground past which the camera goes, where it goes round something.
    pub fn over(mut self, ground: Option<Ground>) -> Self {
        self.ground = ground;
        self
    }

    /// Seen as the camera looks at each frame.
    pub fn seen(mut self, view: Vec<Seen>) -> Self {
        self.view = view;
        self
    }

    /// With how closely each layer is followed, 0 to 1, as they were given.
    pub fn weighed(mut self, strengths: Vec<f32>) -> Self {
        self.strengths = strengths;
        self
    }

    /// Has holes filled from what a mask marks alone (over the whole picture, of any size).
    pub fn filled_from(mut self, from: &Mask) -> Self {
        self.from = Some(from.resized(self.picture.width, self.picture.height));
        self
    }

    /// Cuts out the next layer; whether there are more.
    pub fn advance(&mut self) -> bool {
        if let Some((index, layer)) = self.waiting.pop()
            && let Some(matte) = matte(&self.picture, &layer.mask)
        {
            let (width, height) = self.size();
            let cutout = Cutout::new(&matte, width, height, Reach::of(&offsets(&layer.motion)));
            let covered = cutout.coverage(width, height);
            let thing = covered.iter().sum::<f32>() < BACKDROP * covered.len() as f32;
            for (is, covered) in self.things.iter_mut().zip(&covered) {
                *is |= thing && *covered > 0.02;
            }
            let mut shadow = None;
            if moves(&layer, &self.camera) {
                let mut going = self.perhaps(&layer.mask, &covered);
                shadow = match &layer.shadow {
                    Shadow::Found => shadow::found(&self.picture, &covered, &self.others(index)),
                    Shadow::None => None,
                    Shadow::Marked(mask) => shadow::marked(mask, &self.picture, &covered),
                };
                if let Some(shadow) = &shadow {
                    for (going, &shadow) in going.iter_mut().zip(shadow) {
                        if shadow {
                            *going = 1.0;
                        }
                    }
                }
                if layer.shadow == Shadow::Found {
                    shadow = self.with_soft(shadow, &covered, index);
                }
                let margin = self.margin();
                let mut grown = grown(&going, width, height, margin);
                close_islands(&mut grown, width, height, (4.0 * margin * margin) as usize);
                for (at, covered) in grown.into_iter().enumerate() {
                    self.hidden[at] = self.hidden[at].max(covered);
                    self.hiding[at] = self.hiding[at].saturating_add(u8::from(covered > 0.0));
                }
            } else {
                for (hidden, covered) in self.hidden.iter_mut().zip(&covered) {
                    *hidden *= 1.0 - covered;
                }
            }
            self.cutouts.push(Moving {
                index,
                cutout,
                motion: layer.motion,
                depths: layer.depths,
                shadow: shadow.map(|shadow| (shadow, covered)),
                shade: None,
                beneath: false,
            });
        }
        !self.waiting.is_empty()
    }

    /// A shadow with what of the ground's light is missing softly around a layer, which is not hidden but lit for the plate.
    fn with_soft(
        &mut self,
        shadow: Option<Vec<bool>>,
        covered: &[f32],
        layer: usize,
    ) -> Option<Vec<bool>> {
        let (picture, others) = (&self.picture, self.others(layer));
        let Some(soft) = shadow::soft(picture, covered, shadow.as_deref(), &others) else {
            return shadow;
        };
        self.missing.resize(soft.len(), [0.0; 3]);
        // Where two things darken the same ground, each was seen with all that is missing.
        for (missing, soft) in self
            .missing
            .as_flattened_mut()
            .iter_mut()
            .zip(soft.as_flattened())
        {
            *missing = missing.max(*soft);
        }
        self.lit = Some(shadow::lit(&self.picture, &self.missing));
        let mut shadow = shadow.unwrap_or_else(|| vec![false; soft.len()]);
        for ((shadow, soft), covered) in shadow.iter_mut().zip(soft).zip(covered) {
            *shadow |= soft != [0.0; 3] && *covered <= 0.02;
        }
        Some(shadow)
    }

    /// The picture without the soft shadows of what moves away: from it the plate is made.
    pub fn lit(&self) -> &Picture {
        self.lit.as_ref().unwrap_or(&self.picture)
    }

    /// Whether somebody has said from where holes are filled.
    pub fn is_filled_from_part(&self) -> bool {
        self.from.is_some()
    }

    /// What else is in the picture than a layer, but for grounds and backdrops.
    fn others(&self, layer: usize) -> Vec<Mask> {
        let other = |(index, mask): &(usize, &Mask)| *index != layer && mask.coverage() < BACKDROP;
        let others = self.masks.iter().enumerate().filter(other);
        others.map(|(_, mask)| mask.clone()).collect()
    }

    /// Lays beneath a layer that was cut out what it hides of itself, made up: what `mask` covers of `picture`, which is of the same
    /// size as the composition's. It uncovers nothing and has no shadow.
    pub fn lay_beneath(&mut self, layer: usize, picture: &Picture, mask: &Mask, motion: Motion) {
        let Some(place) = self.cutouts.iter().position(|own| own.index == layer) else {
            return;
        };
        let same = (picture.width, picture.height) == (self.picture.width, self.picture.height);
        let Some(matte) = matte(picture, mask).filter(|_| same) else {
            return;
        };
        let (width, height) = self.size();
        let cutout = Cutout::new(&matte, width, height, Reach::of(&offsets(&motion)));
        let depths = self.cutouts[place].depths.clone();
        self.cutouts.insert(
            place,
            Moving {
                index: layer,
                cutout,
                motion,
                depths,
                shadow: None,
                shade: None,
                beneath: true,
            },
        );
    }

    /// Width and height of the frames in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.picture.width as usize, self.picture.height as usize)
    }

    /// The picture.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// How far around a thing its colours are still found in the picture, in pixels: blur, compression, an edge that is wrong.
    fn margin(&self) -> f32 {
        1.5 * doubt(self.picture.width, self.picture.height) + 1.0
    }

    /// What a layer covers, and what beside it its mask holds for possible: a blurred tail, the tip of an ear. That must not
    /// stay behind, though it is too little of the thing to go along.
    fn perhaps(&self, mask: &Mask, covered: &[f32]) -> Vec<f32> {
        let (width, height) = self.size();
        let reach = PERHAPS_WITHIN * doubt(self.picture.width, self.picture.height);
        let near = grown(covered, width, height, reach);
        let mask = mask.resized(self.picture.width, self.picture.height);
        let both = covered.iter().zip(&near).zip(&mask.alpha);
        both.map(|((&covered, &near), &alpha)| match alpha >= PERHAPS {
            true => covered.max(near),
            false => covered,
        })
        .collect()
    }

    /// What has to be filled, once all layers are cut out; `None` when nothing is uncovered.
    pub fn hole(&self) -> Option<Mask> {
        let alpha: Vec<u8> = self
            .hidden
            .iter()
            .map(|&hidden| if hidden > 0.02 { 255 } else { 0 })
            .collect();
        alpha.contains(&255).then_some(Mask {
            width: self.picture.width,
            height: self.picture.height,
            alpha,
        })
    }

    /// What a hole may be filled from: neither the hole itself nor other things in the picture; of that, where it is said from
    /// where, what is there.
    pub fn source(&self) -> Mask {
        let open = self.hidden.iter().zip(&self.things).enumerate();
        let from = |at: usize| self.from.as_ref().is_none_or(|from| from.alpha[at] >= 128);
        Mask {
            width: self.picture.width,
            height: self.picture.height,
            alpha: open
                .map(
                    |(at, (&hidden, &thing))| match hidden > 0.02 || thing || !from(at) {
                        true => 0,
                        false => 255,
                    },
                )
                .collect(),
        }
    }

    /// Takes what somebody brings along as the clean plate, of any size: where something is uncovered it is seen, elsewhere the picture.
    pub fn set_own_plate(&mut self, plate: &Picture) {
        let plate = plate.resized(self.picture.width, self.picture.height);
        let mut merged = self.lit().clone();
        let rgb = std::sync::Arc::make_mut(&mut merged.rgb);
        let pixels = rgb.chunks_exact_mut(3).zip(plate.rgb.chunks_exact(3));
        for ((own, plate), &hidden) in pixels.zip(&self.hidden) {
            if hidden > 0.02 {
                own.copy_from_slice(plate);
            }
        }
        self.set_plate(merged);
    }

    /// Takes the clean plate, of the picture's size: what is seen where things were. Another size is no plate.
    pub fn set_plate(&mut self, plate: Picture) {
        let fits = (plate.width, plate.height) == (self.picture.width, self.picture.height);
        if fits {
            for layer in &mut self.cutouts {
                layer.shade = layer.shadow.as_ref().and_then(|(shadow, covered)| {
                    Shade::new(&self.picture, &plate, shadow, covered)
                });
            }
            self.plate = Some(plate);
        }
    }

    /// What a canvas draws over the plate, back to front: for each layer that was cut out, which one of those given it is,
    /// its shadow if it has one, and itself.
    pub fn sprites(&self) -> Vec<Sprites> {
        let sprites = |layer: &Moving| Sprites {
            layer: layer.index,
            beneath: layer.beneath,
            shade: layer.shade.as_ref().map(Shade::sprite),
            thing: layer.cutout.sprite(),
        };
        self.cutouts.iter().map(sprites).collect()
    }

    /// The plate, or, where there is none, the picture.
    pub fn plate(&self) -> &Picture {
        self.plate.as_ref().unwrap_or(&self.picture)
    }

    /// Frame `index`, `width * height * 3` bytes.
    pub fn frame(&self, index: usize) -> Vec<u8> {
        let whole = self.whole_frame(index);
        let (width, height) = self.size();
        match self.view.get(index).filter(|view| !view.is_still()) {
            Some(view) => resample::seen(&whole, width, height, view),
            None => whole,
        }
    }

    /// The frame before the camera looks at it.
    fn whole_frame(&self, index: usize) -> Vec<u8> {
        let camera = offset(&self.camera, index);
        let camera_still = At::Shift(camera).is_still();
        let mut layers: Vec<(f32, &Moving, At)> = self
            .cutouts
            .iter()
            .map(|layer| (layer.depth(index), layer, At::of(&layer.motion, index)))
            .collect();
        if camera_still && layers.iter().all(|(.., at)| at.is_still()) {
            return self.picture.rgb.to_vec();
        }
        // Equals stay as they are.
        layers.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
        let (width, height) = self.size();
        let plate = self.plate();
        let mut frame = if camera_still {
            plate.rgb.to_vec()
        } else {
            match self.ground {
                Some(ground) => resample::passed(&plate.rgb, width, height, camera, ground),
                None => resample::moved(&plate.rgb, width, height, camera),
            }
        };
        for (_, layer, at) in layers {
            match at {
                At::Shift(offset) => {
                    if let Some(shade) = &layer.shade {
                        shade.lay_over(&mut frame, width, height, offset);
                    }
                    layer.cutout.lay_over(&mut frame, width, height, offset);
                }
                At::Bent(mesh, vertices) => {
                    if let Some(shade) = &layer.shade {
                        let place = Place::of_shadow(shade.bounds(), mesh, vertices);
                        match place.shift() {
                            Some(offset) => shade.lay_over(&mut frame, width, height, offset),
                            None => shade.lay_over_scaled(&mut frame, width, height, &place),
                        }
                    }
                    let bent = Bent { mesh, vertices };
                    let source = layer.cutout.source();
                    let warped = warp(source, bent, [width, height], Sampling::Cubic);
                    if let Some(warped) = warped {
                        self.lay_bent(&mut frame, &warped, camera_still && !layer.beneath);
                    }
                }
            }
        }
        frame
    }

    /// Lays a thing that is bent over a frame. What of it has not moved stays as the picture shows it, edges and all, where
    /// nothing else has come or gone, if it `may_stay`: a body that is held does not change when its head begins to turn.
    fn lay_bent(&self, frame: &mut [u8], warped: &Warped, may_stay: bool) {
        let width = self.picture.width as usize;
        let plate = &self.plate().rgb;
        for (at, (pixel, &still)) in warped.pixels.iter().zip(&warped.still).enumerate() {
            let (x, y) = (warped.x + at % warped.width, warped.y + at / warped.width);
            let at = y * width + x;
            let out = &mut frame[at * 3..at * 3 + 3];
            let alpha = pixel[3];
            let untouched = still > 0.0
                && may_stay
                && self.hiding[at] <= 1
                && out == &plate[at * 3..at * 3 + 3];
            let still = if untouched { still } else { 0.0 };
            if alpha < 1.0 / 512.0 && still == 0.0 {
                continue;
            }
            let own = &self.picture.rgb[at * 3..at * 3 + 3];
            for ((out, value), own) in out.iter_mut().zip(pixel).zip(own) {
                let laid = value + f32::from(*out) * (1.0 - alpha);
                *out = (laid + (f32::from(*own) - laid) * still).round() as u8;
            }
        }
    }

    /// Where it is said what a frame shows: at things that move or are held, everywhere in the first frame and where the camera
    /// moves. Not where something was uncovered, which is a guess. Outside is 0; inside is from 128, what is followed in none of the
    /// steps in which things are, to 255, what is followed in all of them.
    pub fn followed(&self, index: usize) -> Mask {
        let (width, height) = self.size();
        let [w, h] = [self.picture.width, self.picture.height];
        let camera_still = |&offset: &[f32; 2]| At::Shift(offset).is_still();
        let views = self.view.iter().all(Seen::is_still);
        if index == 0 || !views || !self.camera.iter().all(camera_still) {
            return Mask {
                width: w,
                height: h,
                alpha: vec![255; width * height],
            };
        }
        let mut followed = Mask::empty(w, h);
        // Those that are held were given first.
        for (layer, mask) in self.held.iter().enumerate() {
            let level = self.level(layer);
            for (out, alpha) in followed.alpha.iter_mut().zip(mask.resized(w, h).alpha) {
                if alpha >= 128 {
                    *out = level.max(*out);
                }
            }
        }
        // What was made up is a guess, too.
        for layer in self.cutouts.iter().filter(|layer| !layer.beneath) {
            let coverage = layer.covered(index, [width, height]);
            let level = self.level(layer.index);
            for (out, covered) in followed.alpha.iter_mut().zip(coverage) {
                if covered >= 0.5 {
                    *out = level.max(*out);
                }
            }
        }
        followed
    }

    /// How closely a layer is followed, as [`followed`](Self::followed) has it.
    fn level(&self, layer: usize) -> u8 {
        let strength = self.strengths.get(layer).copied().unwrap_or(1.0);
        128 + (127.0 * strength.clamp(0.0, 1.0)).round() as u8
    }

    /// Several frames, on all threads.
    pub fn frames(&self, which: impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
        let which: Vec<usize> = which.collect();
        which.into_par_iter().map(|i| self.frame(i)).collect()
    }
}

impl Moving {
    /// How much of each pixel of a frame of this width and height it covers, 0..1, to the next whole pixel.
    fn covered(&self, frame: usize, [width, height]: [usize; 2]) -> Vec<f32> {
        let mut out = vec![0.0; width * height];
        match At::of(&self.motion, frame) {
            At::Shift(offset) => {
                let rest = self.cutout.coverage(width, height);
                let [dx, dy] = offset.map(|o| o.round() as i64);
                for (at, covered) in rest.into_iter().enumerate() {
                    let (x, y) = ((at % width) as i64 + dx, (at / width) as i64 + dy);
                    let inside = (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
                    if inside {
                        out[y as usize * width + x as usize] = covered;
                    }
                }
            }
            At::Bent(mesh, vertices) => {
                let bent = Bent { mesh, vertices };
                let source = self.cutout.source();
                if let Some(warped) = warp(source, bent, [width, height], Sampling::Linear) {
                    for (at, pixel) in warped.pixels.iter().enumerate() {
                        let (x, y) = (warped.x + at % warped.width, warped.y + at / warped.width);
                        out[y * width + x] = pixel[3];
                    }
                }
            }
        }
        out
    }

    /// How near it is in a frame.
    fn depth(&self, frame: usize) -> f32 {
        let depth = self.depths.get(frame).copied().unwrap_or_default();
        if depth.is_finite() { depth } else { 0.0 }
    }
}

/// Whether a layer goes another way than the camera, in any frame.
fn moves(layer: &Layer, camera: &[[f32; 2]]) -> bool {
    let frames = match &layer.motion {
        Motion::Shift(offsets) => offsets.len(),
        Motion::Mesh { frames, .. } => frames.len(),
    };
    (0..frames.max(camera.len())).any(|frame| {
        let of_all = offset(camera, frame);
        match At::of(&layer.motion, frame) {
            At::Shift(own) => (own[0] - of_all[0]).abs() + (own[1] - of_all[1]).abs() > 1e-3,
            At::Bent(..) => true,
        }
    })
}

/// What is covered, and everything within `margin` pixels of it.
fn grown(covered: &[f32], width: usize, height: usize, margin: f32) -> Vec<f32> {
    use dragentity_core::scene::raster::squared_distances_within;

    // The distance of what is not covered from what is.
    let open = Mask {
        width: width as u32,
        height: height as u32,
        alpha: covered
            .iter()
            .map(|&c| if c > 0.02 { 0 } else { 255 })
            .collect(),
    };
    let distances = squared_distances_within(&open);
    let near = |d: f32| if d <= margin * margin { 1.0 } else { 0.0 };
    distances.into_iter().map(near).collect()
}

/// Covers islands of at most `largest` pixels in what is covered: nothing can be told from so little, and it would be continued.
fn close_islands(covered: &mut [f32], width: usize, height: usize, largest: usize) {
    let mut seen = vec![false; covered.len()];
    for first in 0..covered.len() {
        if seen[first] || covered[first] > 0.0 {
            continue;
        }
        let mut island = vec![first];
        seen[first] = true;
        let mut next = 0;
        while let Some(&at) = island.get(next) {
            next += 1;
            let (x, y) = (at % width, at / width);
            let around = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then(|| at + 1),
                (y > 0).then(|| at - width),
                (y + 1 < height).then(|| at + width),
            ];
            for beside in around.into_iter().flatten() {
                if !seen[beside] && covered[beside] == 0.0 {
                    seen[beside] = true;
                    island.push(beside);
                }
            }
        }
        if island.len() <= largest {
            for at in island {
                covered[at] = 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 64;
    const HEIGHT: usize = 48;

    /// Noise with a bright square at 20,16, 12 pixels wide, and the square's mask.
    fn scene() -> (Picture, Mask) {
        let mut rgb = Vec::new();
        let mut alpha = Vec::new();
        for at in 0..WIDTH * HEIGHT {
            let (x, y) = (at % WIDTH, at / WIDTH);
            let inside = (20..32).contains(&x) && (16..28).contains(&y);
            let noise = (at * 7919 % 61) as u8;
            rgb.extend(if inside {
                [200 + noise % 32, 180, 240]
            } else {
                [noise, 90 - noise, 40]
            });
            alpha.push(if inside { 255 } else { 0 });
        }
        let (w, h) = (WIDTH as u32, HEIGHT as u32);
        (
            Picture::from_rgb(w, h, rgb).unwrap(),
            Mask::from_alpha(w, h, alpha).unwrap(),
        )
    }

    fn shifted(mask: Mask, offsets: Vec<[f32; 2]>) -> Layer {
        Layer {
            mask,
            motion: Motion::Shift(offsets),
            depths: Vec::new(),
            shadow: Shadow::Found,
        }
    }

    fn composed(layers: Vec<Layer>, camera: Vec<[f32; 2]>) -> Composition {
        let (picture, _) = scene();
        let mut made = Composition::new(picture, layers, camera);
        while made.advance() {}
        if made.hole().is_some() {
            let green = vec![[0, 255, 0]; WIDTH * HEIGHT].concat();
            made.set_plate(Picture::from_rgb(WIDTH as u32, HEIGHT as u32, green).unwrap());
        }
        made
    }

    fn pixel(frame: &[u8], x: usize, y: usize) -> [u8; 3] {
        let at = (y * WIDTH + x) * 3;
        [frame[at], frame[at + 1], frame[at + 2]]
    }

    #[test]
    fn what_is_followed_is_where_it_is_known_what_is_seen() {
        let (picture, mask) = scene();
        let mut pin = Mask::empty(WIDTH as u32, HEIGHT as u32);
        pin.alpha[..WIDTH * 4].fill(255);
        let layers = vec![
            shifted(pin, vec![[0.0; 2]; 2]),
            shifted(mask, vec![[0.0; 2], [14.0, 0.0]]),
        ];
        let mut made = Composition::new(picture.clone(), layers.clone(), Vec::new());
        while made.advance() {}
        assert!(made.followed(0).alpha.iter().all(|&alpha| alpha == 255));
        let later = made.followed(1);
        let at = |x: usize, y: usize| later.alpha[y * WIDTH + x];
        assert!(at(40, 22) == 255 && at(60, 1) == 255);
        assert!(
            at(23, 22) == 0 && at(60, 40) == 0,
            "uncovered, and never touched"
        );
        let mut weighed =
            Composition::new(picture.clone(), layers.clone(), Vec::new()).weighed(vec![0.0, 0.5]);
        while weighed.advance() {}
        let later = weighed.followed(1);
        let at = |x: usize, y: usize| later.alpha[y * WIDTH + x];
        assert_eq!([at(40, 22), at(60, 1), at(60, 40)], [192, 128, 0]);
        let mut panned = Composition::new(picture, layers, vec![[0.0; 2], [2.0, 0.0]]);
        while panned.advance() {}
        assert!(panned.followed(1).alpha.iter().all(|&alpha| alpha == 255));
    }

    #[test]
    fn the_first_frame_is_the_picture_and_what_nothing_touches_stays_in_all() {
        let (picture, mask) = scene();
        let way: Vec<[f32; 2]> = (0..5).map(|i| [3.3 * i as f32, 1.7 * i as f32]).collect();
        let mut made = Composition::new(
            picture.clone(),
            vec![Layer {
                mask: mask.clone(),
                motion: Motion::Shift(way.clone()),
                depths: Vec::new(),
                shadow: Shadow::Found,
            }],
            Vec::new(),
        );
        while made.advance() {}
        let hole = made.hole().unwrap();
        // A plate is the picture's own outside the hole.
        let mut plate = picture.rgb.to_vec();
        for (pixel, &hidden) in plate.chunks_exact_mut(3).zip(&hole.alpha) {
            if hidden > 0 {
                pixel.copy_from_slice(&[0, 255, 0]);
            }
        }
        made.set_plate(Picture::from_rgb(WIDTH as u32, HEIGHT as u32, plate).unwrap());
        assert_eq!(made.frame(0), *picture.rgb);
        for (index, by) in way.iter().enumerate() {
            let frame = made.frame(index);
            for y in 0..HEIGHT {
                for x in 0..WIDTH {
                    // Three pixels of soft edge and taps around the square, where it is and where it was.
                    let near = |by: &[f32; 2]| {
                        let (dx, dy) = (x as f32 - 25.5 - by[0], y as f32 - 21.5 - by[1]);
                        dx.abs().max(dy.abs()) < 6.0 + 4.0
                    };
                    if !near(by) && hole.alpha[y * WIDTH + x] == 0 {
                        let own = pixel(&picture.rgb, x, y);
                        assert_eq!(pixel(&frame, x, y), own, "{index}: {x},{y}");
                    }
                }
            }
        }
        // Nothing of the square is left at its old place.
        let last = made.frame(4);
        assert_eq!(pixel(&last, 21, 17), [0, 255, 0]);
        for y in 12..32 {
            for x in 16..28 {
                assert!(pixel(&last, x, y)[2] <= 40, "a ghost at {x},{y}");
            }
        }
    }

    #[test]
    fn whole_pixels_are_copied_and_broken_offsets_are_none() {
        let (picture, mask) = scene();
        let offsets = vec![[0.0; 2], [9.0, -4.0], [f32::NAN, 1.0]];
        let made = composed(vec![shifted(mask, offsets)], Vec::new());
        let frame = made.frame(1);
        for y in 18..26 {
            for x in 22..30 {
                let own = pixel(&picture.rgb, x, y);
                assert_eq!(pixel(&frame, x + 9, y - 4), own, "{x},{y}");
            }
        }
        for still in [0, 2, 3, 99] {
            assert_eq!(made.frame(still), *picture.rgb, "{still}");
        }
    }

    #[test]
    fn what_lies_in_front_hides_what_passes_behind_it() {
        let (picture, mask) = scene();
        let mut wall = Mask::empty(WIDTH as u32, HEIGHT as u32);
        for (at, alpha) in wall.alpha.iter_mut().enumerate() {
            *alpha = if at % WIDTH >= 40 { 255 } else { 0 };
        }
        let moved = Layer {
            mask,
            motion: Motion::Shift(vec![[0.0; 2], [22.0, 0.0]]),
            depths: Vec::new(),
            shadow: Shadow::Found,
        };
        let still = Layer {
            mask: wall,
            motion: Motion::Shift(vec![[0.0; 2]; 2]),
            depths: Vec::new(),
            shadow: Shadow::Found,
        };
        let behind = composed(vec![moved.clone(), still.clone()], Vec::new()).frame(1);
        let before = composed(vec![still, moved], Vec::new()).frame(1);
        assert_eq!(pixel(&behind, 48, 22), pixel(&picture.rgb, 48, 22));
        assert_eq!(pixel(&before, 48, 22), pixel(&picture.rgb, 26, 22));
    }

    #[test]
    fn a_camera_that_comes_nearer_enlarges_things_and_ground_alike() {
        let near = Seen {
            about: [0.0; 2],
            angle: 0.0,
            scale: 2.0,
        };
        let seen = composed(vec![], Vec::new()).seen(vec![Seen::default(), near]);
        assert_eq!(seen.frame(0), *scene().0.rgb);
        // The square is twice as far away and twice as large.
        let frame = seen.frame(1);
        for (x, y, inside) in [
            (43, 35, true),
            (60, 46, true),
            (37, 40, false),
            (50, 28, false),
        ] {
            assert_eq!(pixel(&frame, x, y)[2] > 200, inside, "{x} {y}");
        }
        assert!(seen.followed(1).alpha.iter().all(|a| *a == 255));
    }

    #[test]
    fn a_camera_that_goes_round_something_leads_far_and_near_past_it() {
        let (picture, _) = scene();
        let ground = Ground::new(0.25, 0.75);
        let made = composed(vec![], vec![[0.0; 2], [8.0, 0.0]]).over(Some(ground));
        assert_eq!(made.frame(0), *picture.rgb);
        let frame = made.frame(1);
        // Above the horizon all of the way.
        for x in 20..40 {
            assert_eq!(pixel(&frame, x, 4), pixel(&picture.rgb, x - 8, 4), "{x}");
        }
        // Where it stays, between two rows' middles, hardly anything; in front of that, the other way.
        let apart = |y: usize, by: f32| -> f32 {
            let row = |x: usize| {
                let at = x as f32 - by;
                let (low, share) = (at.floor() as usize, at - at.floor());
                let [a, b] = [low, low + 1].map(|x| f32::from(pixel(&picture.rgb, x, y)[0]));
                (f32::from(pixel(&frame, x, y)[0]) - a - share * (b - a)).abs()
            };
            (20..40).map(row).sum::<f32>() / 20.0
        };
        for (y, by) in [(35, 0.17), (36, -0.17), (47, -3.83), (23, 4.17)] {
            assert!(apart(y, by) < 8.0, "{y}: {}", apart(y, by));
            assert!(apart(y, -2.0 * by - 4.0) > 2.0 * apart(y, by), "{y}");
        }
    }

    #[test]
    fn the_camera_takes_everything_along_and_what_is_pinned_stays() {
        let (picture, mask) = scene();
        let pinned = Layer {
            mask,
            motion: Motion::Shift(vec![[0.0; 2]; 2]),
            depths: Vec::new(),
            shadow: Shadow::Found,
        };
        let made = composed(vec![pinned], vec![[0.0; 2], [5.0, 0.0]]);
        let frame = made.frame(1);
        assert_eq!(pixel(&frame, 26, 22), pixel(&picture.rgb, 26, 22));
        assert_eq!(pixel(&frame, 60, 40), [0, 255, 0], "the plate has moved");
        let alone = composed(Vec::new(), vec![[0.0; 2], [5.0, 0.0]]);
        assert!(alone.hole().is_none());
        let frame = alone.frame(1);
        assert_eq!(pixel(&frame, 30, 30), pixel(&picture.rgb, 25, 30));
    }

    #[test]
    fn what_a_mask_holds_for_possible_is_filled_and_does_not_go_along() {
        let (_, mut mask) = scene();
        let at = |x: usize, y: usize| y * WIDTH + x;
        // A tail, three pixels long, and as little of something far away.
        for x in 32..35 {
            mask.alpha[at(x, 20)] = 40;
        }
        mask.alpha[at(60, 44)] = 40;
        let offsets = vec![[0.0; 2], [0.0, -12.0]];
        let made = composed(vec![shifted(mask, offsets)], Vec::new());
        let hole = made.hole().unwrap();
        assert_eq!(hole.alpha[at(34, 20)], 255);
        assert_eq!(hole.alpha[at(60, 44)], 0);
        let (picture, _) = scene();
        let frame = made.frame(1);
        // Where the tail would have gone there is the plate; the square itself has moved.
        assert_eq!(pixel(&frame, 34, 8), [0, 255, 0]);
        assert_eq!(pixel(&frame, 25, 8), pixel(&picture.rgb, 25, 20));
    }

    #[test]
    fn what_the_border_cuts_off_goes_on_beyond_it() {
        let (picture, _) = scene();
        let mut cut = Mask::empty(WIDTH as u32, HEIGHT as u32);
        for (at, alpha) in cut.alpha.iter_mut().enumerate() {
            let (x, y) = (at % WIDTH, at / WIDTH);
            *alpha = if x < 12 && (10..30).contains(&y) {
                255
            } else {
                0
            };
        }
        let layer = Layer {
            mask: cut,
            motion: Motion::Shift(vec![[0.0; 2], [6.0, 0.0]]),
            depths: Vec::new(),
            shadow: Shadow::Found,
        };
        let frame = composed(vec![layer], Vec::new()).frame(1);
        // Column 6 is the first one, column 5 its mirror image.
        assert_eq!(pixel(&frame, 6, 20), pixel(&picture.rgb, 0, 20));
        assert_eq!(pixel(&frame, 5, 20), pixel(&picture.rgb, 0, 20));
        assert_eq!(pixel(&frame, 0, 20), pixel(&picture.rgb, 5, 20));
        assert_eq!(pixel(&frame, 0, 40), [0, 255, 0]);
    }

    #[test]
    fn a_mask_over_everything_moves_everything() {
        let (picture, _) = scene();
        let all = Mask::from_alpha(1, 1, vec![255]).unwrap();
        let layer = Layer {
            mask: all,
            motion: Motion::Shift(vec![[0.0; 2], [8.0, 0.0]]),
            depths: Vec::new(),
            shadow: Shadow::Found,
        };
        let made = composed(vec![layer], Vec::new());
        let hole = made.hole().unwrap();
        assert!(hole.alpha.iter().all(|&a| a == 255));
        assert_eq!(pixel(&made.frame(1), 30, 30), pixel(&picture.rgb, 22, 30));
        let dot = Picture::from_rgb(1, 1, vec![9; 3]).unwrap();
        let layer = Layer {
            mask: Mask::from_alpha(1, 1, vec![255]).unwrap(),
            motion: Motion::Shift(vec![[0.0; 2], [0.4, 0.0]]),
            depths: Vec::new(),
            shadow: Shadow::Found,
        };
        let mut tiny = Composition::new(dot, vec![layer], Vec::new());
        while tiny.advance() {}
        assert_eq!(tiny.frame(1).len(), 3);
    }

    #[test]
    fn what_a_thing_hid_of_itself_lies_beneath_it_and_uncovers_nothing() {
        let (picture, mask) = scene();
        let layer = |way: Vec<[f32; 2]>| shifted(mask.clone(), way);
        let still = vec![[0.0; 2]; 2];
        let mut composition = Composition::new(
            picture.clone(),
            vec![layer(vec![[0.0; 2], [30.0, 0.0]])],
            Vec::new(),
        );
        while composition.advance() {}
        let hole = composition.hole();
        let green = Picture::from_rgb(
            picture.width,
            picture.height,
            [0, 200, 0].repeat(picture.rgb.len() / 3),
        )
        .unwrap();
        composition.lay_beneath(0, &green, &mask, Motion::Shift(still.clone()));
        // Of no layer that is there, and of another size: nothing.
        composition.lay_beneath(7, &green, &mask, Motion::Shift(still.clone()));
        composition.lay_beneath(0, &green.resized(8, 8), &mask, Motion::Shift(still));
        assert_eq!(composition.hole(), hole);
        let beneath = composition.sprites().into_iter().map(|own| own.beneath);
        assert!(beneath.eq([true, false]));
        assert_eq!(composition.frame(0), *picture.rgb);
        let frame = composition.frame(1);
        let [x, y] = mask.centroid().unwrap();
        let at = (y * picture.height as f32) as usize * picture.width as usize
            + (x * picture.width as f32) as usize;
        assert_eq!(frame[3 * at..3 * at + 3], [0, 200, 0]);
    }
}
