//! Layers and ready motions.

use super::{click, drag, new_editor};
use crate::web::editor::{Editor, Held, Lane, MAX_ENTITIES, Outcome, PathOf, Tool};
use dragentity_core::scene::trajectory::Figure;
use dragentity_core::scene::{Order, Trajectory, parts};

/// Two things that lie apart, each with a path; the second one is selected.
fn two() -> Editor {
    let mut e = new_editor();
    for x in [0.2, 0.7] {
        click(&mut e, x, 0.5);
        drag(&mut e, &[[x, 0.5], [x + 0.1, 0.5], [x + 0.2, 0.5]]);
        e.select(None);
    }
    e.select(Some(1));
    e
}

fn names(e: &Editor) -> Vec<&str> {
    e.scene().entities.iter().map(|e| e.name.as_str()).collect()
}

fn path(e: &Editor, index: usize) -> &Trajectory {
    e.scene().entities[index].trajectory.as_ref().unwrap()
}

#[test]
fn what_is_hidden_is_part_of_the_picture() {
    let mut e = two();
    e.toggle_hidden(1, false);
    assert_eq!(e.hit([0.7, 0.5]), None);
    assert!(e.knobs().is_empty(), "its path is not seen");
    assert_eq!(e.lanes(), [Lane::Entity(0)]);
    assert!(e.can_generate());
    e.toggle_hidden(0, false);
    assert!(!e.can_generate(), "nothing else moves");
    assert_eq!(e.undo_label(), Some("layer"));
    e.undo();
    e.undo();
    assert!(e.is_shown(0) && e.is_shown(1));
    assert_eq!(e.hit([0.7, 0.5]), Some(1));
}

#[test]
fn clicks_and_drags_pass_what_is_locked() {
    let mut e = two();
    e.toggle_locked(1, false);
    let before = path(&e, 1).clone();
    assert!(matches!(
        drag(&mut e, &[[0.7, 0.5], [0.7, 0.7], [0.7, 0.9]]),
        Outcome::Say(_)
    ));
    assert_eq!(path(&e, 1), &before);
    // It still moves in the video, and has its lane.
    assert_eq!(e.lanes().len(), 2);
    // Painting would change it.
    e.set_tool(Tool::Brush);
    assert!(matches!(
        e.press([0.5, 0.5], 0.0, Held::default()),
        Outcome::Say(_)
    ));
    // A click on it is one on what lies there: another thing.
    e.set_tool(Tool::Move);
    click(&mut e, 0.7, 0.5);
    assert_eq!(e.scene().entities.len(), 3);
    e.toggle_locked(1, false);
    e.select(Some(1));
    assert_eq!(e.hit([0.7, 0.5]), Some(1));
}

#[test]
fn what_is_locked_is_not_deleted_by_a_key() {
    let mut e = two();
    e.toggle_locked(1, false);
    assert!(matches!(e.delete_selected(), Outcome::Say(_)));
    assert_eq!(e.scene().entities.len(), 2);
    e.delete(1);
    assert_eq!(e.scene().entities.len(), 1);
}

#[test]
fn a_thing_twice_in_one_step() {
    let mut e = two();
    e.duplicate(1);
    assert_eq!(names(&e), ["Entity 1", "Entity 2", "Entity 3"]);
    assert_eq!(e.selected(), Some(2));
    assert_eq!(e.scene().entities[1].mask, e.scene().entities[2].mask);
    assert_eq!(path(&e, 1).start(), path(&e, 2).start());
    assert_ne!(path(&e, 1).position(1.0), path(&e, 2).position(1.0));
    let colours: Vec<_> = e.scene().entities.iter().map(|e| e.look.colour).collect();
    assert_eq!(colours, [Some(0), Some(1), Some(2)]);
    assert_eq!(e.undo_label(), Some("duplicate"));
    e.undo();
    assert_eq!(names(&e), ["Entity 1", "Entity 2"]);
    // What does not move is held where its copy is led away.
    e.clear_motion(0);
    e.duplicate(0);
    assert!(e.scene().entities[0].is_pinned() && !e.scene().entities[1].has_motion());
    while e.scene().entities.len() < MAX_ENTITIES {
        e.duplicate(0);
    }
    assert!(matches!(e.duplicate(0), Outcome::Say(_)));
}

#[test]
fn a_row_goes_elsewhere_and_keeps_its_colour() {
    let mut e = two();
    e.duplicate(1);
    e.select(Some(0));
    e.place(0, 2);
    assert_eq!(names(&e), ["Entity 2", "Entity 3", "Entity 1"]);
    assert_eq!((e.scene().order, e.selected()), (Order::AsListed, Some(2)));
    assert_eq!(e.scene().entities[2].look.colour, Some(0));
    e.set_colour(2, 5);
    assert_eq!(e.scene().entities[2].look.colour, Some(5));
    e.undo();
    e.undo();
    assert_eq!(names(&e), ["Entity 1", "Entity 2", "Entity 3"]);
    assert!(matches!(e.place(0, 9), Outcome::Nothing));
}

#[test]
fn a_ready_motion_in_one_step_and_larger_with_each_press() {
    let mut e = new_editor();
    assert!(matches!(e.take_figure(Figure::Arc), Outcome::Say(_)));
    click(&mut e, 0.2, 0.5);
    let far = |e: &Editor| path(e, 0).position(1.0)[0] - path(e, 0).start()[0];
    let mut reached = Vec::new();
    for _ in 0..4 {
        e.take_figure(Figure::Arc);
        reached.push(far(&e));
    }
    assert!(reached[1] > reached[0] && reached[2] < reached[0] && reached[3] == reached[0]);
    let [x, y] = path(&e, 0).start();
    assert!(e.scene().entities[0].mask.contains(x, y));
    // Another one begins in the middle size.
    e.take_figure(Figure::Circle);
    assert_eq!(path(&e, 0).position(1.0), path(&e, 0).start());
    for _ in 0..5 {
        e.undo();
    }
    assert!(!e.scene().entities[0].has_motion());

    e.take_camera_figure(Figure::Sway);
    assert!(e.scene().background.is_some());
    e.undo();
    assert!(e.scene().background.is_none());
}

#[test]
fn the_camera_goes_round_what_is_selected() {
    let mut e = two();
    let foot = e.scene().entities[1].foot().unwrap();
    e.take_orbit();
    let ground = e.scene().view.ground.unwrap();
    assert_eq!(ground.stands(), foot);
    assert!(ground.share(foot).abs() < 1e-6);
    let far = |e: &Editor| {
        let ways = e.scene().background.as_ref().unwrap().offsets(33);
        ways.iter().map(|way| way[0]).fold(0.0, f32::max)
    };
    let usual = far(&e);
    e.take_orbit();
    assert!(far(&e) > usual);
    e.undo();
    e.undo();
    assert!(e.scene().is_camera_still() && e.scene().view.ground.is_none());
    // By numbers; what is not said is found, or stays.
    e.set_ground(Some([Some(0.3), None]));
    e.set_ground(Some([None, Some(0.7)]));
    let ground = e.scene().view.ground.unwrap();
    assert_eq!([ground.horizon(), ground.stands()], [0.3, 0.7]);
    assert!(matches!(e.set_ground(Some([None, None])), Outcome::Changed));
    e.set_ground(None);
    assert_eq!(e.scene().view.ground, None);
}

#[test]
fn things_are_tied_to_each_other_and_let_go() {
    let mut e = new_editor();
    for x in [0.2, 0.5, 0.8] {
        click(&mut e, x, 0.5);
        e.select(None);
    }
    assert_eq!(e.scene().entities.len(), 3);
    assert_eq!((e.ties(0), e.tied_to(0)), (vec![1, 2], None));
    e.tie(1, Some(0));
    assert_eq!(
        (e.tied_to(0), e.tied_to(1), e.tied_to(2)),
        (Some(1), Some(0), None)
    );
    assert_eq!(e.undo_label(), Some("group"));
    e.tie(2, Some(1));
    assert_eq!(e.tied_to(2), Some(0));
    // What is led takes the others along.
    e.set_path(
        PathOf::Handle {
            index: 2,
            handle: 0,
        },
        Trajectory::line([0.8, 0.5], [0.8, 0.2]),
    );
    let held = parts::held_together(&e.scene().entities, 9);
    for (held, entity) in held.iter().zip(&e.scene().entities) {
        let path = held.trajectory.as_ref().unwrap();
        let ([x, y], end) = (path.start(), path.position(1.0));
        assert!(entity.mask.contains(x, y));
        assert!((end[1] - y + 0.3).abs() < 1e-4, "{end:?}");
    }
    e.tie(2, None);
    assert_eq!((e.tied_to(2), e.tied_to(0)), (None, Some(1)));
    assert!(matches!(e.tie(0, Some(0)), Outcome::Nothing));
    assert!(matches!(e.tie(7, None), Outcome::Nothing));
}

#[test]
fn what_is_tied_is_hidden_locked_and_put_elsewhere_as_one() {
    let mut e = new_editor();
    for x in [0.15, 0.4, 0.6, 0.85] {
        click(&mut e, x, 0.5);
        e.select(None);
    }
    e.tie(2, Some(0));
    assert_eq!((e.together(2), e.together(1)), (vec![0, 2], vec![]));
    let shown = |e: &Editor| [0, 1, 2, 3].map(|i| e.is_shown(i));
    e.toggle_hidden(2, false);
    assert_eq!(shown(&e), [false, true, false, true]);
    e.undo();
    assert_eq!(shown(&e), [true; 4]);
    // One alone; then both are as the one that was pressed.
    e.toggle_hidden(2, true);
    assert_eq!(shown(&e), [true, true, false, true]);
    e.toggle_hidden(0, false);
    assert_eq!(shown(&e), [false, true, false, true]);
    e.toggle_hidden(2, false);
    assert_eq!(shown(&e), [true; 4]);
    e.toggle_locked(0, false);
    let locked: Vec<bool> = e.scene().entities.iter().map(|e| e.look.locked).collect();
    assert_eq!(locked, [true, false, true, false]);
    e.undo();

    // Both go behind the last one, the other side by side from then on.
    e.select(Some(1));
    e.place(2, 3);
    assert_eq!(names(&e), ["Entity 2", "Entity 4", "Entity 1", "Entity 3"]);
    assert_eq!(e.selected(), Some(0));
    // Within what is tied one goes alone, past its end all of it.
    e.place(2, 3);
    assert_eq!(names(&e), ["Entity 2", "Entity 4", "Entity 3", "Entity 1"]);
    e.place(3, 0);
    assert_eq!(names(&e), ["Entity 3", "Entity 1", "Entity 2", "Entity 4"]);
}
