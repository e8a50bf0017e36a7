//! What is seen while paths are drawn and played: things over the plate, moved as they are or bent by their handles.

use super::canvas::{context_in_memory, from_rgb, painted};
use super::dom;
use super::ground;
use super::live_gpu::{LiveGpu, Part, Seen, Shown};
use crate::web::editor::Led;
use crate::web::protocol::{LayerData, SpriteData};
use dragentity_compositor::cutout::Sprite;
use dragentity_compositor::place::Place;
use dragentity_compositor::warp::Bendable;
use dragentity_core::scene::bend::{Mesh, Rig};
use dragentity_core::scene::parts::{self, Held as Does};
use dragentity_core::scene::{Entity, Picture, Pose, Scene, Skeleton, Trajectory};
use std::sync::Arc;
use wasm_bindgen::Clamped;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// What of the scene is shown.
#[derive(Clone, Copy)]
pub enum Moment<'a> {
    /// All is where it is, but for what is being led, if anything is.
    Led(Option<&'a Led>),
    /// The paths at a time, a fraction of the video, of this revision of the scene.
    Time(f32, u64),
}

/// The plate behind what may move, and what moves over it.
pub struct LiveView {
    plate: HtmlCanvasElement,
    /// Size of the plate in pixels.
    size: [u32; 2],
    /// Back to front.
    layers: Vec<Layer>,
    /// The entities that go along with others, with what they do, as of this revision of the scene.
    along: (u64, Vec<(usize, Entity)>),
    /// What the plate was painted from.
    picture: Picture,
    /// All of it on the GPU, since that has drawn it first; `None` within where there is no room for it.
    on_gpu: Option<Option<Shown>>,
}

/// Something that is drawn over the plate.
struct Placed {
    /// Where in the plate, in its pixels.
    at: [f64; 2],
    canvas: HtmlCanvasElement,
}

/// An entity, or what its arms hide of it.
struct Layer {
    /// Which.
    entity: usize,
    /// Whether it is what arms hide: seen only where they are led.
    beneath: bool,
    shade: Option<(Placed, Sprite)>,
    thing: Placed,
    sprite: Sprite,
    /// Made when it is first bent.
    bendable: Option<Bendable>,
    /// What leads it by hand.
    held: Option<Held>,
    /// Its motion as of this revision of the scene, and when it was looked at last; none where it is moved as it is.
    rig: Option<(u64, f32, Option<Rig>)>,
    /// Its motion while it is turned and scaled by hand.
    posed: Option<Rig>,
    /// Where the bent thing is drawn before it is placed.
    bent: HtmlCanvasElement,
}

/// Something that was taken hold of.
struct Held {
    /// Of a person whose joints are led.
    skeleton: Option<Skeleton>,
    /// Where its handles are at rest.
    rests: Vec<[f32; 2]>,
    /// None where it is moved as it is.
    rig: Option<Rig>,
}

/// Where a layer is.
enum Where {
    /// Moved, by fractions of the picture.
    By([f32; 2]),
    /// Bent: where the vertices are, in pixels of the plate.
    Bent(Arc<Mesh>, Vec<[f32; 2]>),
}

impl Where {
    /// That layer, for the GPU.
    fn of(&self, layer: usize) -> Part<'_> {
        match self {
            Self::By(by) => Part::Moved { layer, by: *by },
            Self::Bent(mesh, vertices) => Part::Bent {
                layer,
                mesh,
                vertices,
            },
        }
    }
}

impl Layer {
    /// Its shadow, if it has one, and itself.
    fn sprites(&self) -> [Option<&Sprite>; 2] {
        let shade = self.shade.as_ref().map(|(_, shade)| shade);
        [shade, Some(&self.sprite)]
    }

    fn new(layer: LayerData) -> Self {
        let LayerData {
            entity,
            beneath,
            shade,
            thing,
        } = layer;
        let placed = |sprite: &SpriteData| Placed {
            at: [f64::from(sprite.x), f64::from(sprite.y)],
            canvas: painted(sprite.width, sprite.height, &sprite.rgba),
        };
        let sprite = |sprite: SpriteData| Sprite {
            x: sprite.x,
            y: sprite.y,
            width: sprite.width,
            height: sprite.height,
            rgba: sprite.rgba.into_vec(),
        };
        Self {
            entity: entity as usize,
            beneath,
            shade: shade.map(|shade| (placed(&shade), sprite(shade))),
            thing: placed(&thing),
            sprite: sprite(thing),
            bendable: None,
            held: None,
            rig: None,
            posed: None,
            bent: dom::canvas(1, 1),
        }
    }

    /// Where it is when its handles are led; `None` where it is hidden.
    fn led(
        &mut self,
        (entity, picture): (&Entity, &Picture),
        size: [u32; 2],
        led: &Led,
    ) -> Option<Where> {
        let (rests, to): (Vec<_>, Vec<_>) =
            led.handles.iter().map(|[rest, to]| (*rest, *to)).unzip();
        let same = |held: &&mut Held| held.skeleton == led.skeleton && held.rests == rests;
        let first = rests.first().zip(to.first());
        let first = first.map_or([0.0; 2], |(from, to)| [to[0] - from[0], to[1] - from[1]]);
        let held = match self.held.as_mut().filter(same) {
            Some(held) => held,
            None => {
                let (mask, skeleton) = (&entity.mask, led.skeleton.clone());
                let rig = match (self.beneath, &skeleton) {
                    (false, skeleton) => Rig::held(mask, skeleton.as_ref(), picture, size, &rests),
                    (true, Some(skeleton)) => {
                        let pins = rests.iter().map(|[x, y]| Trajectory::pin(*x, *y));
                        Rig::behind_arms(mask, skeleton, picture, size, pins.collect())
                    }
                    (true, None) => None,
                };
                self.held.insert(Held {
                    skeleton,
                    rests,
                    rig,
                })
            }
        };
        let bent = held.rig.as_mut().and_then(|rig| {
            let vertices = rig.lead(&to)?;
            Some(Where::Bent(rig.mesh().clone(), vertices))
        });
        bent.or((!self.beneath).then_some(Where::By(first)))
    }

    /// Where it is at a time; `camera` for what has no motion of its own. `None` where it is hidden.
    fn at(
        &mut self,
        (entity, picture): (&Entity, &Picture),
        size: [u32; 2],
        t: f32,
        revision: u64,
        camera: [f32; 2],
    ) -> Option<Where> {
        if !entity.has_motion() || entity.look.hidden {
            return (!self.beneath).then_some(Where::By(camera));
        }
        if self
            .rig
            .as_ref()
            .is_none_or(|(made_for, ..)| *made_for != revision)
        {
            let rig = match (self.beneath, &entity.skeleton) {
                (false, _) => Rig::of(entity, picture, size),
                (true, Some(skeleton)) if entity.moves() => {
                    let paths = entity.held_by().cloned().collect();
                    Rig::behind_arms(&entity.mask, skeleton, picture, size, paths)
                }
                (true, _) => None,
            };
            self.rig = Some((revision, t, rig));
        }
        if let Some((_, last, Some(rig))) = &mut self.rig {
            // From the beginning again.
            if t < *last {
                rig.reset();
            }
            *last = t;
            return Some(Where::Bent(rig.mesh().clone(), rig.at(t)));
        }
        let path = entity.held_by().next();
        let by = path.map_or([0.0; 2], |path| {
            let (from, to) = (path.start(), path.position(t));
            [to[0] - from[0], to[1] - from[1]]
        });
        (!self.beneath).then_some(Where::By(by))
    }

    /// Where it is at a time while it is turned and scaled by hand; `None` where that is as it was.
    fn posed(
        &mut self,
        (entity, picture): (&Entity, &Picture),
        size: [u32; 2],
        t: f32,
        poses: &[Pose],
    ) -> Option<Where> {
        if self.posed.is_none() {
            let turned = Entity {
                poses: poses.to_vec(),
                ..entity.clone()
            };
            self.posed = Rig::of(&turned, picture, size);
        }
        let rig = self.posed.as_mut()?;
        rig.pose(poses);
        rig.reset();
        Some(Where::Bent(rig.mesh().clone(), rig.at(t)))
    }

    /// Draws it where it is, on a canvas of this size.
    fn draw(
        &mut self,
        ctx: &CanvasRenderingContext2d,
        [w, h]: [f64; 2],
        size: [u32; 2],
        found: Where,
    ) {
        let scale = [w / f64::from(size[0]), h / f64::from(size[1])];
        let place = |placed: &Placed, by: [f32; 2]| {
            let _ = ctx.draw_image_with_html_canvas_element_and_dw_and_dh(
                &placed.canvas,
                placed.at[0] * scale[0] + f64::from(by[0]) * w,
                placed.at[1] * scale[1] + f64::from(by[1]) * h,
                f64::from(placed.canvas.width()) * scale[0],
                f64::from(placed.canvas.height()) * scale[1],
            );
        };
        match found {
            Where::By(by) => {
                if let Some((shade, _)) = &self.shade {
                    place(shade, by);
                }
                place(&self.thing, by);
            }
            Where::Bent(mesh, vertices) => {
                self.draw_bent(ctx, scale, size, &mesh, &vertices);
            }
        }
    }

    /// Draws it bent, in pixels of the canvas that is `scale` times the plate.
    fn draw_bent(
        &mut self,
        ctx: &CanvasRenderingContext2d,
        scale: [f64; 2],
        size: [u32; 2],
        mesh: &Mesh,
        vertices: &[[f32; 2]],
    ) {
        if let Some((shade, sprite)) = &self.shade {
            let (x, y) = (sprite.x as f32, sprite.y as f32);
            let bounds = [x, y, x + sprite.width as f32, y + sprite.height as f32];
            let place = Place::of_shadow(bounds, mesh, vertices);
            let [x0, y0] = place.apply([bounds[0], bounds[1]]).map(f64::from);
            let [x1, y1] = place.apply([bounds[2], bounds[3]]).map(f64::from);
            let _ = ctx.draw_image_with_html_canvas_element_and_dw_and_dh(
                &shade.canvas,
                x0 * scale[0],
                y0 * scale[1],
                (x1 - x0) * scale[0],
                (y1 - y0) * scale[1],
            );
        }
        // No finer than it is seen, in steps: a stage that grows by a pixel needs no other pixels.
        let seen = scale[0].max(scale[1]) as f32;
        let fine = [0.25, 0.35, 0.5, 0.7]
            .into_iter()
            .find(|step| seen <= *step)
            .unwrap_or(1.0);
        if self
            .bendable
            .as_ref()
            .is_none_or(|made| made.scale() != fine)
        {
            self.bendable = Some(Bendable::new(&self.sprite, fine));
        }
        let Some(bendable) = &self.bendable else {
            return;
        };
        let vertices: Vec<[f32; 2]> = vertices.iter().map(|p| p.map(|v| v * fine)).collect();
        let frame = size.map(|side| (side as f32 * fine).ceil() as usize);
        let Some(sprite) = bendable.bent(mesh, &vertices, frame) else {
            return;
        };
        let (w, h) = (sprite.width, sprite.height);
        let Ok(data) = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&sprite.rgba), w, h)
        else {
            return;
        };
        // A canvas that only grows is not made anew for every frame.
        if self.bent.width() < w || self.bent.height() < h {
            self.bent.set_width(w.max(self.bent.width()));
            self.bent.set_height(h.max(self.bent.height()));
        }
        let _ = context_in_memory(&self.bent).put_image_data(&data, 0.0, 0.0);
        let [x, y] = [sprite.x, sprite.y].map(f64::from);
        let back = 1.0 / f64::from(fine);
        let [across, down] = scale.map(|s| s * back);
        let (w, h) = (f64::from(w), f64::from(h));
        let _ = ctx.draw_image_with_html_canvas_element_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
            &self.bent,
            0.0,
            0.0,
            w,
            h,
            x * across,
            y * down,
            w * across,
            h * down,
        );
    }
}

/// The entities that go along with others, or past a camera, with what they do.
fn going_along(scene: &Scene) -> Vec<(usize, Entity)> {
    let along = |(i, (entity, held)): (usize, (&Entity, Does))| {
        let led = Entity {
            trajectory: held.trajectory,
            poses: held.poses,
            ..entity.clone()
        };
        let own = entity.has_motion() || entity.look.hidden;
        (!own && led.has_motion()).then_some((i, led))
    };
    let held = scene.held(scene.entities.len());
    let entities = scene.entities.iter().zip(held).enumerate();
    entities.filter_map(along).collect()
}

impl LiveView {
    /// Of what the worker has made.
    pub fn new(plate: &Picture, layers: Vec<LayerData>) -> Self {
        let layers = layers.into_iter().map(Layer::new);
        Self {
            plate: from_rgb(plate.width, plate.height, &plate.rgb),
            size: [plate.width, plate.height],
            layers: layers.collect(),
            along: (u64::MAX, Vec::new()),
            picture: plate.clone(),
            on_gpu: None,
        }
    }

    /// Draws a moment of a scene over a canvas of this size, its camera moved by fractions of the picture; `posed` are the poses of an
    /// entity that are being changed. By the GPU, if there is one and it can: whether it did.
    pub fn draw(
        &mut self,
        (ctx, [w, h]): (&CanvasRenderingContext2d, [f64; 2]),
        gpu: Option<&mut LiveGpu>,
        scene: &Scene,
        camera: [f32; 2],
        moment: Moment,
        posed: Option<(usize, &[Pose])>,
    ) -> bool {
        let found = self.found(scene, camera, moment, posed);
        let ground = scene.view.ground();
        if let Some(gpu) = gpu {
            let plate = Part::Plate { by: camera, ground };
            if self.draw_by(gpu, ctx, [w, h], plate, &found).is_some() {
                return true;
            }
        }
        ground::led(ctx, &self.plate, [w, h], camera, ground);
        for (layer, place) in found {
            self.layers[layer].draw(ctx, [w, h], self.size, place);
        }
        false
    }

    /// Has the GPU draw the plate and layers where they are; `None` where it cannot.
    fn draw_by(
        &mut self,
        gpu: &mut LiveGpu,
        ctx: &CanvasRenderingContext2d,
        [w, h]: [f64; 2],
        plate: Part,
        found: &[(usize, Where)],
    ) -> Option<()> {
        let shown = self.on_gpu.get_or_insert_with(|| {
            let layers: Vec<_> = self.layers.iter().map(Layer::sprites).collect();
            gpu.show(&self.picture, &layers)
        });
        let seen = ctx.get_transform().ok()?;
        let seen = Seen {
            canvas: [w as u32, h as u32],
            transform: [seen.a(), seen.b(), seen.c(), seen.d(), seen.e(), seen.f()]
                .map(|v| v as f32),
        };
        let parts = found.iter().map(|(layer, place)| place.of(*layer));
        let parts: Vec<Part> = std::iter::once(plate).chain(parts).collect();
        let drawn = gpu.draw(shown.as_mut()?, &seen, &parts)?;
        // It is as large as this one, and has been looked at as the camera does already.
        ctx.save();
        let _ = ctx.reset_transform();
        let laid = ctx.draw_image_with_image_bitmap(&drawn, 0.0, 0.0);
        ctx.restore();
        drawn.close();
        laid.ok()
    }

    /// Which layers are where in a moment, back to front.
    fn found(
        &mut self,
        scene: &Scene,
        camera: [f32; 2],
        moment: Moment,
        posed: Option<(usize, &[Pose])>,
    ) -> Vec<(usize, Where)> {
        if let Moment::Time(_, revision) = moment
            && self.along.0 != revision
        {
            self.along = (revision, going_along(scene));
        }
        let depth = |layer: &Layer| match (moment, scene.entities.get(layer.entity)) {
            (Moment::Time(t, _), Some(entity)) if !entity.poses.is_empty() => {
                Pose::at(&entity.poses, t).depth
            }
            _ => 0.0,
        };
        // What is nearer lies in front; equals stay as they are.
        let mut order: Vec<(f32, usize)> = self.layers.iter().map(depth).zip(0..).collect();
        order.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut all = Vec::with_capacity(order.len());
        for (_, at) in order {
            let layer = &mut self.layers[at];
            let Some(entity) = scene.entities.get(layer.entity) else {
                continue;
            };
            let along = self.along.1.iter().find(|(i, _)| *i == layer.entity);
            let found = match moment {
                Moment::Led(Some(led)) if led.index == layer.entity => {
                    layer.led((entity, &scene.picture), self.size, led)
                }
                Moment::Led(Some(led))
                    if parts::is_tied(&scene.entities, layer.entity, led.index) =>
                {
                    let first = led.handles.first();
                    let by = |[from, to]: &[[f32; 2]; 2]| [to[0] - from[0], to[1] - from[1]];
                    (!layer.beneath).then_some(Where::By(first.map_or([0.0; 2], by)))
                }
                Moment::Led(_) => (!layer.beneath).then_some(Where::By([0.0; 2])),
                Moment::Time(t, revision) => {
                    let entity = along.map_or(entity, |(_, entity)| entity);
                    let entity = (entity, &scene.picture);
                    let posed = posed.filter(|(index, _)| *index == layer.entity);
                    // Who is led by the joints is not turned.
                    let posed = posed.filter(|_| !layer.beneath);
                    let turned =
                        posed.and_then(|(_, poses)| layer.posed(entity, self.size, t, poses));
                    if posed.is_none() {
                        layer.posed = None;
                    }
                    turned.or_else(|| layer.at(entity, self.size, t, revision, camera))
                }
            };
            all.extend(found.map(|found| (at, found)));
        }
        all
    }

    /// Draws where an entity is at these times, rising, over what is there, of this revision of the scene.
    pub fn ghosts(
        &mut self,
        ctx: &CanvasRenderingContext2d,
        canvas: [f64; 2],
        scene: &Scene,
        index: usize,
        times: &[f32],
        revision: u64,
    ) {
        let own = |layer: &&mut Layer| layer.entity == index && !layer.beneath;
        let layer = self.layers.iter_mut().find(own);
        let Some((layer, entity)) = layer.zip(scene.entities.get(index)) else {
            return;
        };
        for t in times {
            let found = layer.at(
                (entity, &scene.picture),
                self.size,
                *t,
                revision,
                Default::default(),
            );
            if let Some(found) = found {
                layer.draw(ctx, canvas, self.size, found);
            }
        }
    }
}
