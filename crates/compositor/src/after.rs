//! Where things are when a video has ended: what the next one begins with.

use super::cutout::Sprite;
use super::place::At;
use super::warp::Bendable;
use dragentity_core::scene::bend::Motion;
use dragentity_core::scene::view::Seen;
use dragentity_core::scene::{Entity, Mask, Scene, Shadow};

/// The things of a scene where its last frame has them, without their motion: paths, poses and joints are those of the picture that
/// was. What has left the picture, or lies in pixels too few to be told, is left out. `frames` is how many the video has: what bends
/// goes from one to the next.
pub fn after(scene: &Scene, frames: usize) -> Vec<Entity> {
    let last = frames.max(2) - 1;
    // What is hidden was part of the picture, whatever it would do, and whatever it hangs from.
    let as_shown = |entity: &Entity| match entity.look.hidden {
        true => Entity {
            mask: entity.mask.clone(),
            ..Entity::default()
        },
        false => entity.clone(),
    };
    let shown = Scene {
        entities: scene.entities.iter().map(as_shown).collect(),
        ..scene.clone()
    };
    let held = shown.held(shown.entities.len());
    let camera = scene.background.as_ref().map(|path| {
        let [from, to] = [0.0, 1.0].map(|t| path.position(t));
        [to[0] - from[0], to[1] - from[1]]
    });
    let view = scene.view.cleaned().at(1.0);
    let things = scene
        .entities
        .iter()
        .zip(shown.entities.into_iter().zip(held));
    let moved = things.map(|(entity, (shown, held))| {
        let size = [entity.mask.width, entity.mask.height];
        let led = Entity {
            trajectory: held.trajectory,
            poses: held.poses,
            ..shown
        };
        let motion = match camera {
            Some([x, y]) if !led.has_motion() => {
                let offset = [x * size[0] as f32, y * size[1] as f32];
                Motion::Shift(vec![offset; last + 1])
            }
            _ => Motion::of(&led, &scene.picture, last + 1, size),
        };
        Entity {
            name: entity.name.clone(),
            mask: seen(moved(&entity.mask, &motion, last), &view),
            group: entity.group,
            part: entity.part,
            shadow: match &entity.shadow {
                Shadow::None => Shadow::None,
                _ => Shadow::Found,
            },
            look: entity.look,
            strength: entity.strength,
            ..Entity::default()
        }
    });
    moved.filter(|entity| entity.mask.area() > 8).collect()
}

/// A mask as the camera sees it, to the next pixel.
fn seen(mask: Mask, view: &Seen) -> Mask {
    if view.is_still() {
        return mask;
    }
    let (width, height) = (mask.width as usize, mask.height as usize);
    let aspect = width as f32 / height.max(1) as f32;
    let mut out = Mask::empty(mask.width, mask.height);
    for (at, alpha) in out.alpha.iter_mut().enumerate() {
        let middle = |at: usize, side: usize| (at as f32 + 0.5) / side as f32;
        let place = [middle(at % width, width), middle(at / width, height)];
        let [x, y] = view.undo(place, aspect);
        if (0.0..1.0).contains(&x) && (0.0..1.0).contains(&y) {
            let (x, y) = ((x * width as f32) as usize, (y * height as f32) as usize);
            *alpha = mask.alpha[y.min(height - 1) * width + x.min(width - 1)];
        }
    }
    out
}

/// A mask where a motion has it in a frame. The motion is in the mask's own pixels.
fn moved(mask: &Mask, motion: &Motion, frame: usize) -> Mask {
    let (width, height) = (mask.width as usize, mask.height as usize);
    let mut out = Mask::empty(mask.width, mask.height);
    match At::of(motion, frame) {
        At::Shift(offset) => {
            let [dx, dy] = offset.map(|o| o.round() as i64);
            for y in 0..height {
                for x in 0..width {
                    let (to_x, to_y) = (x as i64 + dx, y as i64 + dy);
                    if (0..width as i64).contains(&to_x) && (0..height as i64).contains(&to_y) {
                        out.alpha[to_y as usize * width + to_x as usize] =
                            mask.alpha[y * width + x];
                    }
                }
            }
        }
        At::Bent(mesh, vertices) => {
            let flat = Sprite {
                x: 0,
                y: 0,
                width: mask.width,
                height: mask.height,
                rgba: mask.alpha.iter().flat_map(|&a| [0, 0, 0, a]).collect(),
            };
            let Some(bent) = Bendable::new(&flat, 1.0).bent(mesh, vertices, [width, height]) else {
                return out;
            };
            let (left, top) = (bent.x.max(0) as usize, bent.y.max(0) as usize);
            for (row, pixels) in bent.rgba.chunks_exact(4 * bent.width as usize).enumerate() {
                let from = (top + row) * width + left;
                for (out, pixel) in out.alpha[from..].iter_mut().zip(pixels.chunks_exact(4)) {
                    *out = pixel[3];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_core::scene::ground::Ground;
    use dragentity_core::scene::{Look, Picture, Pose, Trajectory, View};

    fn disc(at: [f32; 2]) -> Mask {
        let mut mask = Mask::empty(100, 80);
        mask.brush(at, at, 0.1, true);
        mask
    }

    fn scene(entities: Vec<Entity>) -> Scene {
        Scene {
            picture: Picture::from_rgb(100, 80, vec![90; 100 * 80 * 3]).unwrap(),
            entities,
            ..Scene::default()
        }
    }

    fn centre(entity: &Entity) -> [f32; 2] {
        entity.mask.centroid().unwrap()
    }

    #[test]
    fn things_are_where_they_went_and_have_no_path_any_more() {
        let gone = Entity {
            mask: disc([0.3, 0.4]),
            trajectory: Some(Trajectory::line([0.3, 0.4], [0.6, 0.5])),
            name: "ball".into(),
            ..Entity::default()
        };
        let stays = Entity {
            mask: disc([0.8, 0.2]),
            ..Entity::default()
        };
        let mut scene = scene(vec![gone, stays]);
        let ended = after(&scene, 12);
        assert_eq!(ended[0].name, "ball");
        assert!(!ended[0].has_motion());
        let [x, y] = centre(&ended[0]);
        assert!((x - 0.6).abs() < 0.01 && (y - 0.5).abs() < 0.01, "{x} {y}");
        assert_eq!(ended[1].mask, scene.entities[1].mask);
        // The camera comes nearer, and everything is larger and elsewhere.
        scene.view = View {
            about: [0.5; 2],
            poses: vec![Pose {
                t: 1.0,
                scale: 1.5,
                ..Pose::default()
            }],
            ground: None,
        };
        let nearer = after(&scene, 12);
        let [x, y] = centre(&nearer[0]);
        assert!(
            (x - 0.65).abs() < 0.015 && (y - 0.5).abs() < 0.015,
            "{x} {y}"
        );
        let areas = [&nearer, &ended].map(|things| things[0].mask.area() as f32);
        assert!((areas[0] / areas[1] - 2.25).abs() < 0.1, "{areas:?}");
        scene.view = View::default();
        // What nobody leads goes with the camera.
        scene.background = Some(Trajectory::line([0.5, 0.5], [0.4, 0.5]));
        let ended = after(&scene, 12);
        let [x, _] = centre(&ended[1]);
        assert!((x - 0.7).abs() < 0.01, "{x}");
        // Round what stands as far down as this does, it stays.
        let foot = scene.entities[1].foot().unwrap();
        scene.view = View {
            ground: Some(Ground::new(foot - 0.2, foot)),
            ..View::default()
        };
        let [x, _] = centre(&after(&scene, 12)[1]);
        assert!((x - 0.8).abs() < 0.01, "{x}");
    }

    #[test]
    fn what_is_hidden_stays_with_the_picture() {
        let hidden = Entity {
            mask: disc([0.3, 0.4]),
            trajectory: Some(Trajectory::line([0.3, 0.4], [0.6, 0.5])),
            look: Look {
                hidden: true,
                ..Look::default()
            },
            ..Entity::default()
        };
        let scene = scene(vec![hidden]);
        let ended = after(&scene, 12);
        assert_eq!(ended[0].mask, scene.entities[0].mask);
        assert!(ended[0].look.hidden);
    }

    #[test]
    fn what_is_turned_by_two_handles_has_its_mask_turned() {
        let mut mask = Mask::empty(100, 100);
        mask.brush([0.3, 0.5], [0.7, 0.5], 0.05, true);
        let bar = Entity {
            mask,
            trajectory: Some(Trajectory::line([0.3, 0.5], [0.5, 0.3])),
            handles: vec![Trajectory::line([0.7, 0.5], [0.5, 0.7])],
            ..Entity::default()
        };
        let mut scene = scene(vec![bar]);
        scene.picture = Picture::from_rgb(100, 100, vec![90; 100 * 100 * 3]).unwrap();
        let ended = after(&scene, 12);
        let bounds = ended[0].mask.bounding_box().unwrap();
        let (before, now) = (scene.entities[0].mask.area(), ended[0].mask.area());
        let (wide, high) = (bounds.x1 - bounds.x0, bounds.y1 - bounds.y0);
        assert!(high > 3 * wide, "{bounds:?}");
        assert!(now.abs_diff(before) < before / 8, "{before} {now}");
    }

    #[test]
    fn what_has_left_is_left_out() {
        let entity = Entity {
            mask: disc([0.5, 0.5]),
            trajectory: Some(Trajectory::line([0.5, 0.5], [1.9, 0.5])),
            ..Entity::default()
        };
        assert_eq!(after(&scene(vec![entity]), 12), []);
    }
}
