//! Draws the picture to edit: masks, paths, what a drag is carrying along, the crosshair.

use super::canvas::{context, from_rgb, painted};
use super::dom;
use super::ground;
use super::live_gpu::LiveGpu;
use super::live_view::{LiveView, Moment};
use crate::web::editor::view::View;
use crate::web::editor::{
    Editor, Gesture, Grip, Knob, Painted, PathOf, PoseHandles, PosePart, Tool, anchor,
};
use dragentity_core::scene::settings::MAX_FRAMES;
use dragentity_core::scene::skeleton::Joint;
use dragentity_core::scene::view::Seen;
use dragentity_core::scene::{Mask, Picture, Scene, Skeleton, Trajectory, parts};
use dragentity_media::overlay::{colour, colour_of};
use web_sys::{CanvasRenderingContext2d, CanvasWindingRule, HtmlCanvasElement};

/// The camera's colour.
pub const CAMERA: [u8; 3] = [240, 242, 245];
/// The camera's colour beside the picture, where it is seen on light and on dark.
pub const CAMERA_CSS: &str = "var(--dim)";
/// That of shadows, and of where holes are filled from.
const GROUND: [u8; 3] = [120, 190, 255];
/// Longest side, in pixels, of what is drawn from a mask.
const TINT_SIDE: u32 = 1024;

/// When an entity is shown along its path, and how strongly.
const GHOSTS: [f32; 4] = [0.25, 0.5, 0.75, 1.0];
const GHOST: f64 = 0.45;

/// How strongly an entity is tinted.
const FILL: f32 = 0.34;

/// A colour for CSS.
pub fn css(c: [u8; 3], alpha: f32) -> String {
    format!("rgb({} {} {} / {alpha})", c[0], c[1], c[2])
}

/// The stage's canvas and what it keeps between drawings.
pub struct Stage {
    /// The canvas.
    pub canvas: HtmlCanvasElement,
    ctx: CanvasRenderingContext2d,
    picture: Option<HtmlCanvasElement>,
    /// The mask tints, the cut-outs and the order in which they are drawn, for the revision and size they were made for.
    made_for: (u64, u32),
    layers: Vec<usize>,
    tints: Vec<HtmlCanvasElement>,
    cutouts: Vec<Option<HtmlCanvasElement>>,
    stroke: Option<HtmlCanvasElement>,
    /// The selected entity's shadow, or from where holes are filled, while its tool is taken up.
    ground: Option<HtmlCanvasElement>,
    /// The outline of what is suggested, for which request and width it was made.
    suggestion: Option<((u64, u32), HtmlCanvasElement)>,
    /// What moves over what while paths are drawn, once it is known.
    pub live: Option<LiveView>,
    /// What draws that, where there is a GPU worth using; else the canvas does.
    pub gpu: Option<LiveGpu>,
    /// Whether it did last.
    by_gpu: Option<bool>,
    /// Whether the selected entity is shown all along its path.
    pub onion: bool,
    /// The pointer, for the brush's ring; fractions of the picture.
    pub hover: Option<[f32; 2]>,
}

impl Stage {
    /// The stage of `index.html`.
    pub fn new() -> Self {
        let canvas: HtmlCanvasElement = dom::by_id("stage");
        let ctx = context(&canvas);
        Self {
            canvas,
            ctx,
            picture: None,
            made_for: (u64::MAX, 0),
            layers: Vec::new(),
            tints: Vec::new(),
            cutouts: Vec::new(),
            stroke: None,
            ground: None,
            suggestion: None,
            live: None,
            gpu: None,
            by_gpu: None,
            onion: false,
            hover: None,
        }
    }

    /// Another picture.
    pub fn set_picture(&mut self, picture: &Picture) {
        self.picture = Some(from_rgb(picture.width, picture.height, &picture.rgb));
        self.live = None;
        self.made_for = (u64::MAX, 0);
    }

    /// Shows this part of the picture.
    pub fn look(&self, view: View) {
        let [left, top] = view.corner();
        let percent = |name: &str, value: f64| {
            let _ = self
                .canvas
                .style()
                .set_property(name, &format!("{:.4}%", 100.0 * value));
        };
        percent("width", view.zoom());
        percent("height", view.zoom());
        percent("left", -left);
        percent("top", -top);
    }

    /// Where an event is, in fractions of the picture.
    pub fn place(&self, client_x: f64, client_y: f64) -> [f32; 2] {
        let r = self.canvas.get_bounding_client_rect();
        [
            ((client_x - r.left()) / r.width().max(1.0)) as f32,
            ((client_y - r.top()) / r.height().max(1.0)) as f32,
        ]
    }

    /// So many pixels of the page, as fractions of the picture's width and height.
    pub fn fraction(&self, pixels: f64) -> [f32; 2] {
        let size = [self.canvas.client_width(), self.canvas.client_height()];
        size.map(|side| (pixels / f64::from(side.max(1))) as f32)
    }

    /// Draws everything. `carry` is the time (fraction of the video) of a preview of the paths, which are drawn over it unless they
    /// are `playing`; `now` is the clock in milliseconds, for what pulses.
    pub fn draw(&mut self, editor: &Editor, carry: Option<f32>, playing: bool, now: f64) {
        let (w, h) = fit(&self.canvas);
        let scene = editor.scene();
        self.prepare(editor, w as u32);
        let Some(picture) = &self.picture else { return };
        let ctx = &self.ctx;
        smooth(ctx);
        let _ = ctx.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);
        let place = |image: &HtmlCanvasElement, at: [f32; 2]| {
            let (x, y) = (f64::from(at[0]) * w, f64::from(at[1]) * h);
            let _ = ctx.draw_image_with_html_canvas_element_and_dw_and_dh(image, x, y, w, h);
        };
        // What plays is seen as the camera sees it; what is worked on, as a whole, with the frame that the camera sees.
        let view = carry.filter(|_| playing).map(|t| scene.view.at(t));
        if let Some(seen) = view {
            look(ctx, &seen, [w, h]);
        }
        // The camera's drag carries the whole picture along, the rest stays dark.
        let led_camera = editor.led_camera();
        let shift = match (editor.gesture(), carry, &scene.background) {
            (Gesture::Camera { points }, ..) => points
                .first()
                .zip(points.last())
                .map(|(a, b)| [b.x - a.x, b.y - a.y]),
            _ if led_camera.is_some() => led_camera,
            (_, Some(t), Some(path)) => Some(offset(path, t)),
            _ => None,
        };
        match shift {
            Some(shift) => {
                ctx.set_fill_style_str("#0a0b0c");
                ctx.fill_rect(0.0, 0.0, w, h);
                ground::led(ctx, picture, [w, h], shift, scene.view.ground());
            }
            None => place(picture, [0.0, 0.0]),
        }

        // Entities: tinted where they are, or carried along.
        let led = editor.led();
        let live = self
            .live
            .as_mut()
            .filter(|_| led.is_some() || carry.is_some());
        let shown = live.is_some();
        let mut by_gpu = false;
        if let Some(live) = live {
            let moment = match (&led, carry) {
                (None, Some(t)) => Moment::Time(t, editor.revision()),
                _ => Moment::Led(led.as_ref()),
            };
            let camera = shift.unwrap_or_default();
            let gpu = self.gpu.as_mut();
            by_gpu = live.draw((ctx, [w, h]), gpu, scene, camera, moment, editor.posed());
        }
        if self.by_gpu.replace(by_gpu) != Some(by_gpu) {
            // For tests, and for who looks at how fast it is.
            dom::set(
                &self.canvas,
                "data-drawn",
                if by_gpu { "gpu" } else { "canvas" },
            );
        }
        // Until there is a plate nothing is bent, only moved.
        let carried = |i: usize| match (&led, carry) {
            (Some(led), _) if led.index == i || parts::is_tied(&scene.entities, i, led.index) => {
                let by = |[from, to]: &[[f32; 2]; 2]| [to[0] - from[0], to[1] - from[1]];
                led.handles.first().map(by)
            }
            (None, Some(t)) => {
                let path = scene.entities[i].held_by().next();
                let along = || {
                    let leader = parts::leader(&scene.entities, i)?;
                    scene.entities[leader].held_by().next()
                };
                let past = || {
                    let entity = &scene.entities[i];
                    let ground = scene.view.ground().filter(|_| !entity.look.hidden)?;
                    let path = ground.past(entity, scene.background.as_ref()?)?;
                    Some(offset(&path, t))
                };
                let own = path.or_else(along).map(|path| offset(path, t));
                own.or_else(past).or(shift)
            }
            _ => None,
        };
        for &i in self.layers.iter().filter(|_| !shown) {
            let carried = carried(i);
            let stroked = matches!(editor.gesture(), Gesture::Stroke { index: Some(s), of: Painted::Entity, .. } if *s == i);
            match (carried, &self.cutouts[i], &self.tints[i]) {
                (Some(by), Some(cutout), tint) => {
                    ctx.set_global_alpha(0.35);
                    place(tint, [0.0, 0.0]);
                    ctx.set_global_alpha(1.0);
                    place(cutout, by);
                }
                (_, _, tint) if !stroked => {
                    let strong = editor.selected() == Some(i) || editor.selected().is_none();
                    ctx.set_global_alpha(if strong { 1.0 } else { 0.55 });
                    place(tint, [0.0, 0.0]);
                    ctx.set_global_alpha(1.0);
                }
                _ => {}
            }
        }
        let _ = ctx.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);
        let ghost = editor.selected().filter(|&i| {
            let still = led.is_none() && carry.is_none();
            self.onion && still && editor.is_shown(i) && scene.entities[i].moves()
        });
        if let (Some(index), Some(live)) = (ghost, &mut self.live) {
            ctx.set_global_alpha(GHOST);
            let revision = editor.revision();
            live.ghosts(ctx, [w, h], scene, index, &GHOSTS, revision);
            ctx.set_global_alpha(1.0);
        }
        if let Some(ground) = &self.ground {
            place(ground, [0.0, 0.0]);
        }
        if let (Gesture::Stroke { .. }, Some(stroke)) = (editor.gesture(), &self.stroke) {
            place(stroke, [0.0, 0.0]);
        }

        if let Some((_, outline)) = &self.suggestion {
            place(outline, [0.0, 0.0]);
        }

        let frames = editor.settings.frames.clamp(2, MAX_FRAMES) as usize;
        let pen = Pen::new(ctx, w, h);
        if carry.is_none()
            && let Some(skeleton) = editor.joints().filter(|_| led.is_none())
        {
            joints(&pen, skeleton);
        }
        if !playing {
            paths(&pen, scene, frames, editor.selected(), &editor.in_hand());
            self.knobs(&pen, editor);
            if let Some(corners) = editor.camera_frame() {
                pen.frame(corners);
            }
            let ground = scene
                .view
                .ground()
                .filter(|_| editor.tool() == Tool::Camera);
            if let Some(ground) = ground {
                // The horizon, and where the camera's path leaves everything.
                for (row, alpha) in [(ground.horizon(), 0.9), (ground.stands(), 0.5)] {
                    pen.line([[0.0, row], [1.0, row]].into_iter(), CAMERA, alpha);
                }
            }
            if let Some(handles) = editor.pose_handles() {
                let own = editor.selected().filter(|_| editor.tool() != Tool::Camera);
                let tint = own.map(|i| own_colour(scene, i));
                let under = self.hover.and_then(|at| editor.pose_part_at(at));
                pen.pose(&handles, tint.unwrap_or(CAMERA), under);
            }
            let touched = editor.selected_entity().zip(editor.touched());
            if let Some(path) = touched.and_then(|(e, handle)| e.held_by().nth(handle)) {
                pen.ring(path.start(), 13.0, [255; 3], 0.9);
            }
        }
        match editor.gesture() {
            Gesture::Path { index, points, .. } => {
                let own = own_colour(scene, *index);
                pen.line(points.iter().map(|p| [p.x, p.y]), own, 1.0);
            }
            Gesture::Camera { points } => pen.line(points.iter().map(|p| [p.x, p.y]), CAMERA, 1.0),
            Gesture::Frame { from, to } => {
                let ([x0, y0], [x1, y1]) = (*from, *to);
                let corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]];
                pen.line(corners.into_iter(), [255; 3], 1.0);
            }
            Gesture::Lasso { points, .. } => {
                pen.line(points.iter().chain(points.first()).copied(), [255; 3], 1.0);
            }
            _ => {}
        }
        if carry.is_none() && scene.entities.len() > 1 {
            names(&pen, scene);
        }
        let asked = editor.pending().and_then(|request| {
            let middle = |[left, top, right, bottom]: [f32; 4]| [left + right, top + bottom];
            let click = request.clicks.last().map(|click| [click.x, click.y]);
            click.or(request.bounds.map(|bounds| middle(bounds).map(|v| v / 2.0)))
        });
        if let Some(at) = asked {
            let phase = (now / 900.0).fract() as f32;
            pen.ring(at, 4.0, [255; 3], 1.0);
            pen.ring(at, 4.0 + 16.0 * phase, [255; 3], 1.0 - phase);
        }
        if let Some(at) = self.hover.filter(|_| editor.tool().paints()) {
            let radius = editor.brush_radius * w.max(h) as f32 / pen.unit as f32;
            pen.ring(at, radius, [255; 3], 1.0);
        }
        if let Some([x, y]) = editor.crosshair {
            pen.cross([x, y]);
        }
    }

    /// What of the paths can be taken hold of.
    fn knobs(&self, pen: &Pen, editor: &Editor) {
        let tint = |of: PathOf| match of {
            PathOf::Camera => CAMERA,
            PathOf::Handle { index, .. } => own_colour(editor.scene(), index),
        };
        let hover = self.hover.and_then(|at| editor.grip_at(at));
        for knob in editor.knobs() {
            let under = matches!(hover, Some(Grip::Knob { of, point })
                if of == knob.of && point == knob.point);
            pen.knob(&knob, tint(knob.of), under);
        }
        if let Some(Grip::Line { of, at, .. }) = hover {
            pen.ghost(at, tint(of));
        }
    }

    /// Makes what is drawn from masks, where the document has changed.
    fn prepare(&mut self, editor: &Editor, width: u32) {
        let scene = editor.scene();
        let Picture {
            width: pw,
            height: ph,
            ..
        } = scene.picture;
        let long = width.clamp(64, TINT_SIDE);
        let size = if pw >= ph {
            (long, (long * ph / pw.max(1)).max(1))
        } else {
            ((long * pw / ph.max(1)).max(1), long)
        };
        if self.made_for != (editor.revision(), width) {
            self.made_for = (editor.revision(), width);
            self.layers = scene.layers();
            self.layers.retain(|&i| editor.is_shown(i));
            self.tints = scene
                .entities
                .iter()
                .enumerate()
                .map(|(i, e)| tint(&e.mask, size, colour_of(e, i), FILL))
                .collect();
            // Only what moves is cut out.
            self.cutouts = vec![None; scene.entities.len()];
        }
        for (i, entity) in scene.entities.iter().enumerate() {
            let led = matches!(editor.gesture(), Gesture::Path { index, .. } if *index == i);
            if (led || entity.has_motion()) && self.cutouts[i].is_none() {
                self.cutouts[i] = Some(cutout(&scene.picture, &entity.mask));
            }
        }
        let mask = match (editor.gesture(), editor.tool()) {
            (Gesture::Stroke { .. }, _) => None,
            (_, Tool::Shadow) => editor.shown_shadow(),
            (_, Tool::From) => scene.behind.from.as_ref(),
            _ => None,
        };
        self.ground = mask.map(|mask| tint(mask, size, GROUND, FILL));
        self.stroke = match editor.gesture() {
            Gesture::Stroke {
                mask,
                of: Painted::Shadow | Painted::From,
                ..
            } => Some(tint(mask, size, GROUND, FILL)),
            Gesture::Stroke { index, mask, .. } => Some(tint(
                mask,
                size,
                index.map_or_else(
                    || colour(editor.free_colour().into()),
                    |index| own_colour(scene, index),
                ),
                FILL,
            )),
            _ => None,
        };
        let shown = editor.suggestion();
        let wanted = shown.map(|shown| (shown.number, width));
        if self.suggestion.as_ref().map(|(made_for, _)| *made_for) != wanted {
            self.suggestion = wanted
                .zip(shown)
                .map(|(wanted, shown)| (wanted, tint(&shown.mask, size, [255; 3], 0.1)));
        }
    }
}

/// Most pixels of a canvas along a side: pictures have no more, however near they are looked at.
const FINEST: f64 = 2560.0;

/// Pixels of the screen for one of the page.
fn fineness() -> f64 {
    dom::window().device_pixel_ratio().clamp(1.0, 3.0)
}

/// Makes the canvas as fine as the screen; its size in pixels.
pub fn fit(canvas: &HtmlCanvasElement) -> (f64, f64) {
    let longer = canvas.client_width().max(canvas.client_height()).max(1);
    let scale = fineness().min((FINEST / f64::from(longer)).max(1.0 / 3.0));
    let w = (f64::from(canvas.client_width()) * scale).round().max(1.0) as u32;
    let h = (f64::from(canvas.client_height()) * scale).round().max(1.0) as u32;
    // Setting a size clears the canvas, even if it is the same.
    if canvas.width() != w {
        canvas.set_width(w);
    }
    if canvas.height() != h {
        canvas.set_height(h);
    }
    (f64::from(w), f64::from(h))
}

/// Scales pictures as well as the browser can.
pub fn smooth(ctx: &CanvasRenderingContext2d) {
    ctx.set_image_smoothing_enabled(true);
    // Not among the properties that web-sys knows.
    let _ = js_sys::Reflect::set(ctx, &"imageSmoothingQuality".into(), &"high".into());
}

/// The colour of a scene's entity.
pub fn own_colour(scene: &Scene, index: usize) -> [u8; 3] {
    let entity = scene.entities.get(index);
    entity.map_or_else(|| colour(index), |entity| colour_of(entity, index))
}

fn offset(path: &Trajectory, t: f32) -> [f32; 2] {
    let (a, b) = (path.start(), path.position(t));
    [b[0] - a[0], b[1] - a[1]]
}

/// The joints of a person that can be taken hold of, and the bones between them.
fn joints(pen: &Pen, skeleton: &Skeleton) {
    const BONE: [u8; 3] = [255; 3];
    for joint in skeleton.bones() {
        let from = joint.parent().unwrap_or(joint);
        pen.line(
            [from, joint].map(|joint| skeleton.place(joint)).into_iter(),
            BONE,
            0.35,
        );
    }
    for joint in Joint::ALL.into_iter().filter(|joint| skeleton.sees(*joint)) {
        pen.ring(skeleton.place(joint), 5.0, BONE, 0.9);
    }
}

/// A mask's tint, as strong as `inner`, with its edge drawn.
fn tint(mask: &Mask, (w, h): (u32, u32), c: [u8; 3], inner: f32) -> HtmlCanvasElement {
    let fine = mask.resized(w, h);
    let (wi, hi) = (w as usize, h as usize);
    let at = |x: usize, y: usize| f32::from(fine.alpha[y.min(hi - 1) * wi + x.min(wi - 1)]) / 255.0;
    let mut rgba = vec![0u8; wi * hi * 4];
    for y in 0..hi {
        for x in 0..wi {
            let m = at(x, y);
            let around = [
                at(x.saturating_sub(2), y),
                at(x + 2, y),
                at(x, y.saturating_sub(2)),
                at(x, y + 2),
            ];
            let low = around.iter().copied().fold(m, f32::min);
            let high = around.iter().copied().fold(m, f32::max);
            // Where the contour at one half passes within two pixels.
            let edge = if low < 0.5 && high >= 0.5 {
                1.0 - (m - 0.5).abs() * 0.5
            } else {
                0.0
            };
            let fill = if m >= 0.5 { inner } else { 0.0 };
            let alpha = f32::max(edge, fill);
            if alpha > 0.0 {
                let i = (y * wi + x) * 4;
                rgba[i..i + 3].copy_from_slice(&c);
                rgba[i + 3] = (alpha * 255.0) as u8;
            }
        }
    }
    painted(w, h, &rgba)
}

/// The part of the picture inside the mask.
fn cutout(picture: &Picture, mask: &Mask) -> HtmlCanvasElement {
    let fine = mask.resized(picture.width, picture.height);
    let rgba: Vec<u8> = picture
        .rgb
        .chunks_exact(3)
        .zip(&fine.alpha)
        .flat_map(|(p, a)| [p[0], p[1], p[2], *a])
        .collect();
    painted(picture.width, picture.height, &rgba)
}

/// Draws with lines as wide on every screen.
pub struct Pen<'a> {
    /// Where to.
    pub ctx: &'a CanvasRenderingContext2d,
    /// Width of the canvas.
    pub w: f64,
    /// Height of the canvas.
    pub h: f64,
    /// Canvas pixels of a pixel of the page.
    pub unit: f64,
}

impl<'a> Pen<'a> {
    /// A pen for a canvas of this size.
    pub fn new(ctx: &'a CanvasRenderingContext2d, w: f64, h: f64) -> Self {
        Self {
            ctx,
            w,
            h,
            unit: match ctx.canvas().map_or(0, |canvas| canvas.client_width()) {
                0 => fineness(),
                side => w / f64::from(side),
            },
        }
    }

    fn at(&self, p: [f32; 2]) -> (f64, f64) {
        (f64::from(p[0]) * self.w, f64::from(p[1]) * self.h)
    }

    /// A line over a dark casing, so that it shows on any picture.
    pub fn line(&self, points: impl Iterator<Item = [f32; 2]>, c: [u8; 3], alpha: f32) {
        let ctx = self.ctx;
        ctx.begin_path();
        for (i, p) in points.enumerate() {
            let (x, y) = self.at(p);
            if i == 0 {
                ctx.move_to(x, y);
            } else {
                ctx.line_to(x, y);
            }
        }
        ctx.set_line_cap("round");
        ctx.set_line_join("round");
        for (width, colour) in [(5.5, css([8, 9, 10], 0.6 * alpha)), (2.6, css(c, alpha))] {
            ctx.set_line_width(width * self.unit);
            ctx.set_stroke_style_str(&colour);
            ctx.stroke();
        }
    }

    /// A dot.
    pub fn dot(&self, p: [f32; 2], radius: f32, c: [u8; 3], alpha: f32) {
        let (x, y) = self.at(p);
        let ctx = self.ctx;
        for (grow, colour) in [(1.3, css([8, 9, 10], 0.7 * alpha)), (0.0, css(c, alpha))] {
            ctx.begin_path();
            let _ = ctx.arc(
                x,
                y,
                (f64::from(radius) + grow) * self.unit,
                0.0,
                std::f64::consts::TAU,
            );
            ctx.set_fill_style_str(&colour);
            ctx.fill();
        }
    }

    /// A ring.
    pub fn ring(&self, p: [f32; 2], radius: f32, c: [u8; 3], alpha: f32) {
        let (x, y) = self.at(p);
        let ctx = self.ctx;
        for (width, colour) in [(3.6, css([8, 9, 10], 0.55 * alpha)), (1.7, css(c, alpha))] {
            ctx.begin_path();
            let _ = ctx.arc(
                x,
                y,
                f64::from(radius) * self.unit,
                0.0,
                std::f64::consts::TAU,
            );
            ctx.set_line_width(width * self.unit);
            ctx.set_stroke_style_str(&colour);
            ctx.stroke();
        }
    }

    /// A knob of a path, square where that has a corner: white, or, when it is the one that was taken up, of the path's colour; larger under the pointer.
    fn knob(&self, knob: &Knob, c: [u8; 3], under: bool) {
        let (p, chosen) = (knob.at, knob.chosen);
        let radius = if under || chosen { 6.0 } else { 4.6 };
        let (inner, rim) = if chosen { (c, [255; 3]) } else { ([255; 3], c) };
        if knob.corner {
            self.square(p, f64::from(radius), rim, 1.0);
            self.square(p, f64::from(radius) - 2.0, inner, 1.0);
            return;
        }
        self.dot(p, radius, inner, 1.0);
        self.ring(p, radius, rim, 1.0);
    }

    /// What an entity is turned and scaled by; larger under the pointer.
    fn pose(&self, handles: &PoseHandles, c: [u8; 3], under: Option<PosePart>) {
        let grown = |part: PosePart| if under == Some(part) { 1.5 } else { 0.0 };
        for end in [handles.turn, handles.scale] {
            self.line([handles.pivot, end].into_iter(), c, 0.6);
        }
        self.dot(handles.pivot, 3.0 + grown(PosePart::Place), [255; 3], 1.0);
        let radius = 6.0 + grown(PosePart::Turn);
        self.dot(handles.turn, radius, [255; 3], 1.0);
        self.ring(handles.turn, radius, c, 1.0);
        let half = 5.5 + f64::from(grown(PosePart::Scale));
        self.square(handles.scale, half, c, 1.0);
        self.square(handles.scale, half - 2.0, [255; 3], 1.0);
    }

    /// Where a knob would be put in.
    fn ghost(&self, p: [f32; 2], c: [u8; 3]) {
        self.dot(p, 3.8, [255; 3], 0.75);
        self.ring(p, 6.0, c, 0.9);
    }

    fn cross(&self, p: [f32; 2]) {
        let reach = |pixels: f64, side: f64| (pixels * self.unit / side) as f32;
        let (dx, dy) = (reach(14.0, self.w), reach(14.0, self.h));
        self.line(
            [[p[0] - dx, p[1]], [p[0] + dx, p[1]]].into_iter(),
            [255; 3],
            1.0,
        );
        self.line(
            [[p[0], p[1] - dy], [p[0], p[1] + dy]].into_iter(),
            [255; 3],
            1.0,
        );
    }

    fn arrow(&self, from: [f32; 2], to: [f32; 2], c: [u8; 3], alpha: f32) {
        let ((x0, y0), (x, y)) = (self.at(from), self.at(to));
        let angle = (y - y0).atan2(x - x0);
        let ctx = self.ctx;
        ctx.begin_path();
        for (i, turn) in [0.0, 2.55, -2.55].into_iter().enumerate() {
            // Mostly beyond the end, so that a knob there does not hide it.
            let reach = if i == 0 { 13.0 } else { 8.0 } * self.unit;
            let (px, py) = (
                x + reach * (angle + turn).cos(),
                y + reach * (angle + turn).sin(),
            );
            if i == 0 {
                ctx.move_to(px, py);
            } else {
                ctx.line_to(px, py);
            }
        }
        ctx.close_path();
        ctx.set_line_width(2.5 * self.unit);
        ctx.set_stroke_style_str(&css([8, 9, 10], 0.6 * alpha));
        ctx.stroke();
        ctx.set_fill_style_str(&css(c, alpha));
        ctx.fill();
    }

    /// The frame that the camera sees; what is outside of it is darker.
    fn frame(&self, corners: [[f32; 2]; 4]) {
        let ctx = self.ctx;
        ctx.begin_path();
        ctx.rect(0.0, 0.0, self.w, self.h);
        for (i, corner) in corners.into_iter().enumerate() {
            let (x, y) = self.at(corner);
            match i {
                0 => ctx.move_to(x, y),
                _ => ctx.line_to(x, y),
            }
        }
        ctx.close_path();
        ctx.set_fill_style_str(&css([8, 9, 10], 0.45));
        ctx.fill_with_canvas_winding_rule(CanvasWindingRule::Evenodd);
        let [a, ..] = corners;
        self.line(corners.into_iter().chain([a]), CAMERA, 1.0);
    }

    /// A square.
    fn square(&self, p: [f32; 2], half: f64, c: [u8; 3], alpha: f32) {
        let (x, y) = self.at(p);
        let ctx = self.ctx;
        for (grow, colour) in [(1.5, css([8, 9, 10], 0.7 * alpha)), (0.0, css(c, alpha))] {
            let reach = (half + grow) * self.unit;
            ctx.set_fill_style_str(&colour);
            ctx.fill_rect(x - reach, y - reach, 2.0 * reach, 2.0 * reach);
        }
    }

    /// A path with an arrow at its end and a dot for each frame, round where it begins; a square pin for a path that stays.
    pub fn path(&self, path: &Trajectory, frames: usize, c: [u8; 3], alpha: f32) {
        if path.is_pin() {
            self.square(path.start(), 5.0, c, alpha);
            self.square(path.start(), 1.6, [255; 3], alpha);
            return;
        }
        let line = path.polyline(12);
        self.line(line.iter().copied(), c, alpha);
        for p in path.sample(frames) {
            self.dot(p, 1.6, [255; 3], alpha);
        }
        self.ring(line[0], 5.0, c, alpha);
        // The arrow's direction is that of the last stretch that is long enough to have one.
        let end = line[line.len() - 1];
        let (ex, ey) = self.at(end);
        let far = line.iter().rev().find(|p| {
            let (x, y) = self.at(**p);
            (x - ex).hypot(y - ey) > 10.0 * self.unit
        });
        self.arrow(*far.unwrap_or(&line[0]), end, c, alpha);
    }
}

/// Has what is drawn from now on be seen as the camera sees it, on a canvas of this size.
pub fn look(ctx: &CanvasRenderingContext2d, seen: &Seen, [w, h]: [f64; 2]) {
    let (sin, cos) = f64::from(seen.angle).sin_cos();
    let scale = f64::from(seen.scale);
    let (x, y) = (f64::from(seen.about[0]) * w, f64::from(seen.about[1]) * h);
    let (a, b) = (scale * cos, scale * sin);
    let _ = ctx.set_transform(a, b, -b, a, x - a * x + b * y, y - b * x - a * y);
}

/// All paths of a scene, those that are being changed as they are now.
pub fn paths(
    pen: &Pen,
    scene: &Scene,
    frames: usize,
    selected: Option<usize>,
    in_hand: &[(PathOf, Trajectory)],
) {
    let now = |of: PathOf, path| {
        let changed = in_hand.iter().find(|(own, _)| *own == of);
        changed.map_or(path, |(_, path)| path)
    };
    if let Some(path) = &scene.background {
        pen.path(now(PathOf::Camera, path), frames, CAMERA, 0.9);
    }
    let entities = scene.entities.iter().enumerate();
    for (i, entity) in entities.filter(|(_, entity)| !entity.look.hidden) {
        let alpha = if selected.is_none() || selected == Some(i) {
            1.0
        } else {
            0.7
        };
        for (handle, path) in entity.held_by().enumerate() {
            let path = now(PathOf::Handle { index: i, handle }, path);
            pen.path(path, frames, colour_of(entity, i), alpha);
        }
    }
}

fn names(pen: &Pen, scene: &Scene) {
    let ctx = pen.ctx;
    ctx.set_font(&format!("600 {}px system-ui, sans-serif", 12.0 * pen.unit));
    ctx.set_text_align("center");
    ctx.set_text_baseline("middle");
    let entities = scene.entities.iter().enumerate();
    for (i, entity) in entities.filter(|(_, entity)| !entity.look.hidden) {
        let top = entity
            .mask
            .bounding_box()
            .map(|b| b.y0 as f32 / entity.mask.height.max(1) as f32);
        let (x, _) = pen.at(anchor(&entity.mask));
        let y = (f64::from(top.unwrap_or(0.0)) * pen.h - 11.0 * pen.unit).max(11.0 * pen.unit);
        let width = ctx.measure_text(&entity.name).map_or(0.0, |m| m.width()) + 12.0 * pen.unit;
        let x = x.clamp(width / 2.0, (pen.w - width / 2.0).max(width / 2.0));
        ctx.set_fill_style_str(&css([14, 15, 17], 0.8));
        ctx.begin_path();
        let _ = ctx.round_rect_with_f64(
            x - width / 2.0,
            y - 9.0 * pen.unit,
            width,
            18.0 * pen.unit,
            6.0 * pen.unit,
        );
        ctx.fill();
        ctx.set_fill_style_str(&css(colour_of(entity, i), 1.0));
        let _ = ctx.fill_text(&entity.name, x, y);
    }
}
