//! Trajectories and masks drawn over frames, anti-aliased: for `--overlay`, contact sheets and saved results.

use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::view::Seen;
use dragentity_core::scene::{Entity, Mask, Scene, Trajectory};
use tiny_skia::{FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Stroke, Transform};

/// Colours of entities by their position in the scene, RGB; after the last they begin again. Told apart also without
/// red-green vision (after Okabe and Ito, lightened to stand out on photographs).
pub const COLOURS: [[u8; 3]; 8] = [
    [255, 176, 0],
    [64, 180, 255],
    [0, 220, 150],
    [255, 96, 64],
    [250, 240, 80],
    [230, 130, 210],
    [90, 120, 255],
    [240, 240, 240],
];

/// The colour of entity `index`.
pub fn colour(index: usize) -> [u8; 3] {
    COLOURS[index % COLOURS.len()]
}

/// The colour of an entity at a position of its scene: its own, or that of the position.
pub fn colour_of(entity: &Entity, index: usize) -> [u8; 3] {
    colour(entity.look.colour.map_or(index, usize::from))
}

/// Below lines and dots, so that light ones show on a light picture.
const DARK: [u8; 3] = [20, 20, 20];

/// A frame that can be drawn on. Places are fractions of the frame, widths are pixels.
pub struct Canvas {
    pixmap: Pixmap,
    /// How the camera looks at what is drawn.
    seen: Seen,
}

impl Canvas {
    /// From `width * height * 3` bytes of RGB.
    ///
    /// # Errors
    /// [`Error::Job`] when a side is zero or too long, or the number of bytes is another.
    pub fn new(width: u32, height: u32, rgb: &[u8]) -> Result<Self> {
        let wrong = || {
            Error::Job(format!(
                "a frame of {width} x {height} pixels cannot be drawn on"
            ))
        };
        let mut pixmap = Pixmap::new(width, height).ok_or_else(wrong)?;
        if rgb.len() != pixmap.pixels().len() * 3 {
            return Err(wrong());
        }
        for (to, from) in pixmap
            .data_mut()
            .chunks_exact_mut(4)
            .zip(rgb.chunks_exact(3))
        {
            to.copy_from_slice(&[from[0], from[1], from[2], 255]);
        }
        Ok(Self {
            pixmap,
            seen: Seen::default(),
        })
    }

    /// The frame's RGB bytes.
    pub fn into_rgb(self) -> Vec<u8> {
        self.pixmap
            .data()
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect()
    }

    fn place(&self, p: [f32; 2]) -> (f32, f32) {
        let aspect = self.pixmap.width() as f32 / self.pixmap.height().max(1) as f32;
        let p = self.seen.apply(p, aspect);
        (
            p[0] * self.pixmap.width() as f32,
            p[1] * self.pixmap.height() as f32,
        )
    }

    /// A line through `points`.
    pub fn line(&mut self, points: &[[f32; 2]], colour: [u8; 3], opacity: f32, width: f32) {
        let mut path = PathBuilder::new();
        for (i, &p) in points.iter().enumerate() {
            let (x, y) = self.place(p);
            if i == 0 {
                path.move_to(x, y);
            } else {
                path.line_to(x, y);
            }
        }
        // No path: fewer than two points, or numbers that are none.
        let Some(path) = path.finish() else { return };
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        self.pixmap.stroke_path(
            &path,
            &paint(colour, opacity),
            &stroke,
            Transform::identity(),
            None,
        );
    }

    /// A filled disc.
    pub fn dot(&mut self, at: [f32; 2], colour: [u8; 3], opacity: f32, radius: f32) {
        let (x, y) = self.place(at);
        if let Some(path) = PathBuilder::from_circle(x, y, radius) {
            self.pixmap.fill_path(
                &path,
                &paint(colour, opacity),
                FillRule::Winding,
                Transform::identity(),
                None,
            );
        }
    }

    /// Tints what is inside a mask and draws its edge one pixel wide.
    pub fn mask(&mut self, mask: &Mask, colour: [u8; 3], opacity: f32) {
        let (w, h) = (self.pixmap.width(), self.pixmap.height());
        let mask = mask.resized(w, h);
        let inside = |x: i64, y: i64| {
            x >= 0
                && y >= 0
                && x < w as i64
                && y < h as i64
                && mask.alpha[y as usize * w as usize + x as usize] >= 128
        };
        let data = self.pixmap.data_mut();
        for y in 0..h as i64 {
            for x in 0..w as i64 {
                if !inside(x, y) {
                    continue;
                }
                let rim =
                    !(inside(x - 1, y) && inside(x + 1, y) && inside(x, y - 1) && inside(x, y + 1));
                let a = if rim { 1.0 } else { opacity.clamp(0.0, 1.0) };
                let at = (y as usize * w as usize + x as usize) * 4;
                for c in 0..3 {
                    data[at + c] =
                        (data[at + c] as f32 * (1.0 - a) + colour[c] as f32 * a).round() as u8;
                }
            }
        }
    }

    /// Width of a line in keeping with the frame: 2 pixels at 256.
    fn line_width(&self) -> f32 {
        (self.pixmap.width().max(self.pixmap.height()) as f32 / 128.0).max(1.0)
    }

    /// A trajectory at time `t` (fraction of the video): the way to come thin, the way behind thick, a dot where it is.
    pub fn trajectory(&mut self, trajectory: &Trajectory, t: f32, colour: [u8; 3]) {
        let width = self.line_width();
        const PIECES: usize = 48;
        let way = trajectory.polyline(16);
        let behind: Vec<[f32; 2]> = (0..=PIECES)
            .map(|i| trajectory.position(t.clamp(0.0, 1.0) * i as f32 / PIECES as f32))
            .collect();
        let here = trajectory.position(t);
        // Dark below, so that a light line shows on a light picture.
        self.line(&way, DARK, 0.35, width * 1.6);
        self.line(&way, colour, 0.75, width * 0.7);
        self.line(&behind, colour, 1.0, width * 1.4);
        self.dot(here, DARK, 0.6, width * 2.6);
        self.dot(here, [255; 3], 1.0, width * 2.1);
        self.dot(here, colour, 1.0, width * 1.5);
    }
}

fn paint(colour: [u8; 3], opacity: f32) -> Paint<'static> {
    let mut paint = Paint {
        anti_alias: true,
        ..Paint::default()
    };
    let alpha = (opacity.clamp(0.0, 1.0) * 255.0).round() as u8;
    paint.set_color_rgba8(colour[0], colour[1], colour[2], alpha);
    paint
}

/// The video with the trajectories of a scene drawn over each frame.
///
/// # Errors
/// Those of [`Canvas::new`].
pub fn with_trajectories(video: &Video, scene: &Scene) -> Result<Video> {
    let last = video.frames.len().max(2) - 1;
    let size = [video.width, video.height];
    let frames = video.frames.iter().enumerate();
    let drawn = frames
        .map(|(i, frame)| frame_with_trajectories(size, frame, scene, i as f32 / last as f32));
    Ok(Video {
        frames: drawn.collect::<Result<_>>()?,
        ..*video
    })
}

/// A frame of this width and height with the trajectories of a scene drawn over it, at time `t`, a fraction of the video.
///
/// # Errors
/// Those of [`Canvas::new`].
pub fn frame_with_trajectories(
    [width, height]: [u32; 2],
    frame: &[u8],
    scene: &Scene,
    t: f32,
) -> Result<Vec<u8>> {
    let mut canvas = Canvas::new(width, height, frame)?;
    canvas.seen = scene.view.cleaned().at(t);
    for (k, entity) in scene.entities.iter().enumerate() {
        for trajectory in entity.held_by() {
            canvas.trajectory(trajectory, t, colour_of(entity, k));
        }
    }
    Ok(canvas.into_rgb())
}

/// The video with the tracks of its entities drawn over each frame: the way so far, a dot where an entity is seen, a
/// ring where it is hidden; over the first frame their masks, too.
///
/// # Errors
/// [`Error::Job`] when the tracks are shorter than the video.
#[cfg(not(target_family = "wasm"))]
pub fn with_tracks(video: &Video, tracks: &crate::track::Tracks, masks: &[Mask]) -> Result<Video> {
    let tracks = tracks.clone().cut(video.frames.len())?;
    let size = [tracks.width as f32, tracks.height as f32];
    let mut frames = Vec::with_capacity(video.frames.len());
    for (i, frame) in video.frames.iter().enumerate() {
        let mut canvas = Canvas::new(video.width, video.height, frame)?;
        let width = canvas.line_width();
        for (k, mask) in masks.iter().enumerate().filter(|_| i == 0) {
            canvas.mask(mask, colour(k), 0.35);
        }
        for (k, entity) in tracks.entities.iter().enumerate() {
            let way: Vec<[f32; 2]> = entity.points[..=i]
                .iter()
                .map(|p| [p[0] / size[0], p[1] / size[1]])
                .collect();
            canvas.line(&way, DARK, 0.5, width * 1.8);
            canvas.line(&way, colour(k), 1.0, width);
            canvas.dot(way[i], DARK, 0.6, width * 2.6);
            canvas.dot(way[i], colour(k), 1.0, width * 2.1);
            if !entity.visible[i] {
                canvas.dot(way[i], DARK, 1.0, width * 1.3);
            }
        }
        frames.push(canvas.into_rgb());
    }
    Ok(Video { frames, ..*video })
}

/// Frames of several videos as one picture: a row for each video, its frames side by side, `gap` pixels of white
/// between. All videos must have one size. For contact sheets.
///
/// # Errors
/// [`Error::Job`] when there is no video, one without frames, or videos of different sizes.
pub fn contact_sheet(rows: &[&Video], gap: u32) -> Result<dragentity_core::scene::Picture> {
    let Some(first) = rows.first() else {
        return Err(Error::Job(
            "a contact sheet needs at least one video".into(),
        ));
    };
    for video in rows {
        super::check(video)?;
        if (video.width, video.height) != (first.width, first.height) {
            return Err(Error::Job(
                "the videos of a contact sheet must have one size".into(),
            ));
        }
    }
    let columns = rows
        .iter()
        .map(|v| v.frames.len() as u32)
        .max()
        .unwrap_or(1);
    let span = |n: u32, side: u32| n * (side + gap) + gap;
    let (width, height) = (
        span(columns, first.width),
        span(rows.len() as u32, first.height),
    );
    let mut rgb = vec![255u8; width as usize * height as usize * 3];
    for (r, video) in rows.iter().enumerate() {
        for (c, frame) in video.frames.iter().enumerate() {
            let (left, top) = (
                gap + c as u32 * (first.width + gap),
                gap + r as u32 * (first.height + gap),
            );
            for (y, line) in frame.chunks_exact(first.width as usize * 3).enumerate() {
                let at = ((top as usize + y) * width as usize + left as usize) * 3;
                rgb[at..at + line.len()].copy_from_slice(line);
            }
        }
    }
    dragentity_core::scene::Picture::from_rgb(width, height, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_core::scene::{Entity, Picture};

    fn grey(frames: usize) -> Video {
        Video {
            width: 100,
            height: 50,
            fps: 8,
            frames: vec![vec![120; 100 * 50 * 3]; frames],
        }
    }

    fn pixel(rgb: &[u8], x: usize, y: usize) -> [u8; 3] {
        let at = (y * 100 + x) * 3;
        [rgb[at], rgb[at + 1], rgb[at + 2]]
    }

    #[test]
    fn dots_follow_the_trajectory() {
        let entity = |t| Entity {
            name: "a".into(),
            mask: Mask::empty(4, 4),
            trajectory: t,
            ..Entity::default()
        };
        let line = Trajectory::line([0.1, 0.5], [0.9, 0.5]);
        let scene = Scene {
            picture: Picture::default(),
            entities: vec![entity(Some(line)), entity(None)],
            ..Scene::default()
        };
        let video = with_trajectories(&grey(5), &scene).unwrap();
        assert_eq!(video.frames.len(), 5);
        for (i, x) in [10, 30, 50, 70, 90].into_iter().enumerate() {
            assert_eq!(pixel(&video.frames[i], x, 25), COLOURS[0], "frame {i}");
            assert_eq!(
                pixel(&video.frames[i], x, 5),
                [120; 3],
                "far from the line, frame {i}"
            );
        }
        let untouched = with_trajectories(&grey(2), &Scene::default()).unwrap();
        assert!(untouched == grey(2));
    }

    #[test]
    fn tracks_are_drawn_where_they_are_and_hidden_ones_as_rings() {
        let tracks = crate::track::Tracks {
            width: 50,
            height: 25,
            frames: 2,
            entities: vec![crate::track::EntityTrack {
                name: "a".into(),
                radius: 4.0,
                points: vec![[10.25, 12.75], [40.25, 12.75]],
                visible: vec![true, false],
            }],
        };
        let drawn = with_tracks(&grey(2), &tracks, &[]).unwrap();
        assert_eq!(pixel(&drawn.frames[0], 20, 25), COLOURS[0]);
        assert_eq!(pixel(&drawn.frames[0], 80, 25), [120; 3]);
        assert_eq!(pixel(&drawn.frames[1], 50, 25), COLOURS[0]);
        assert_eq!(pixel(&drawn.frames[1], 80, 25), DARK);
        let error = with_tracks(&grey(3), &tracks, &[])
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("2 positions and the video 3 frames"),
            "{error}"
        );
    }

    #[test]
    fn wild_trajectories_do_no_harm() {
        let mut canvas = Canvas::new(100, 50, &grey(1).frames[0]).unwrap();
        for far in [f32::NAN, f32::INFINITY, 1e30, -10.0] {
            canvas.trajectory(&Trajectory::line([far, far], [0.5, far]), far, COLOURS[1]);
            canvas.line(&[[far, far], [0.5, 0.5]], COLOURS[1], 1.0, 1.0);
            canvas.dot([far, 0.5], COLOURS[1], 1.0, far);
        }
        assert_eq!(canvas.into_rgb().len(), 100 * 50 * 3);
        assert!(Canvas::new(0, 5, &[]).is_err() && Canvas::new(2, 2, &[0; 5]).is_err());
    }

    #[test]
    fn masks_are_tinted_inside_only() {
        let mut mask = Mask::empty(50, 25);
        mask.brush([0.5, 0.5], [0.5, 0.5], 0.1, true);
        let mut canvas = Canvas::new(100, 50, &grey(1).frames[0]).unwrap();
        canvas.mask(&mask, [255, 0, 0], 0.5);
        let rgb = canvas.into_rgb();
        assert_eq!(pixel(&rgb, 50, 25), [188, 60, 60]);
        assert_eq!(pixel(&rgb, 5, 5), [120; 3]);
        assert!(
            (0..100).any(|x| pixel(&rgb, x, 25) == [255, 0, 0]),
            "no edge"
        );
    }

    #[test]
    fn sheets_hold_every_frame() {
        let sheet = contact_sheet(&[&grey(3), &grey(2)], 4).unwrap();
        assert_eq!((sheet.width, sheet.height), (3 * 104 + 4, 2 * 54 + 4));
        let greys = sheet.rgb.iter().filter(|&&v| v == 120).count();
        assert_eq!(greys, 5 * 100 * 50 * 3);
        assert!(contact_sheet(&[], 4).is_err());
        assert!(
            contact_sheet(
                &[
                    &grey(1),
                    &Video {
                        width: 50,
                        height: 100,
                        ..grey(1)
                    }
                ],
                4
            )
            .is_err()
        );
    }
}
