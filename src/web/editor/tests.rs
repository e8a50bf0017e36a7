mod layers;
mod paths;
mod poses;

use super::*;
use dragentity_core::scene::skeleton::Joint;
use dragentity_core::scene::{Order, Part, Shadow, Skeleton};

fn disc(x: f32, y: f32, r: f32) -> Mask {
    let mut mask = Mask::empty(96, 64);
    mask.brush([x, y], [x, y], r, true);
    mask
}

/// Clicks at a place and answers with a disc.
fn click(editor: &mut Editor, x: f32, y: f32) {
    editor.press([x, y], 0.0, Held::default());
    let Outcome::Segment(request) = editor.release([x, y]) else {
        panic!("no request")
    };
    assert!(matches!(
        editor.answer(request.number, Some(disc(x, y, 0.1))),
        Outcome::Changed
    ));
}

fn drag(editor: &mut Editor, path: &[[f32; 2]]) -> Outcome {
    editor.press(path[0], 0.0, Held::default());
    for (i, p) in path.iter().enumerate().skip(1) {
        editor.drag(*p, 100.0 * i as f64, 40.0);
    }
    editor.release(path[path.len() - 1])
}

fn new_editor() -> Editor {
    let mut editor = Editor::default();
    editor.set_picture(Picture {
        width: 96,
        height: 64,
        rgb: vec![128; 96 * 64 * 3].into(),
    });
    editor
}

#[test]
fn click_drag_and_the_hints_on_the_way() {
    let mut e = new_editor();
    let status = Status {
        ready: true,
        ..Status::default()
    };
    assert_eq!(e.hint(status).0, 1);
    click(&mut e, 0.3, 0.5);
    assert_eq!(e.hint(status).0, 2);
    assert!(!e.can_generate());
    drag(&mut e, &[[0.3, 0.5], [0.4, 0.5], [0.7, 0.4]]);
    assert_eq!(e.hint(status).0, 3);
    assert!(e.can_generate());
    let path = e.scene().entities[0].trajectory.clone().unwrap();
    assert_eq!(
        (path.points[0].x, path.points[0].y, path.points[0].t),
        (0.3, 0.5, 0.0)
    );
    let end = path.points.last().unwrap();
    assert_eq!((end.x, end.y, end.t), (0.7, 0.4, 1.0));
}

#[test]
fn timing_is_that_of_the_drag() {
    let mut e = new_editor();
    click(&mut e, 0.2, 0.5);
    e.press([0.2, 0.5], 0.0, Held::default());
    // A long rest before the motion does not count.
    e.drag([0.3, 0.5], 5000.0, 30.0);
    e.drag([0.4, 0.5], 5900.0, 60.0);
    e.drag([0.8, 0.5], 6000.0, 90.0);
    e.release([0.8, 0.5]);
    let path = e.scene().entities[0].trajectory.clone().unwrap();
    assert!(
        (path.position(0.9)[0] - 0.4).abs() < 0.01,
        "{:?}",
        path.points
    );
}

#[test]
fn a_second_click_refines_until_there_is_a_path_and_then_adds_an_entity() {
    let mut e = new_editor();
    click(&mut e, 0.3, 0.5);
    click(&mut e, 0.6, 0.5);
    assert_eq!(e.scene().entities.len(), 1);
    assert_eq!(e.clicks.len(), 2);
    drag(&mut e, &[[0.6, 0.5], [0.9, 0.5]]);
    click(&mut e, 0.1, 0.1);
    assert_eq!(e.scene().entities.len(), 2);
    assert_eq!(e.scene().entities[1].name, "Entity 2");
    // Alt-click takes away from what is selected.
    let away = Held {
        negative: true,
        ..Held::default()
    };
    e.press([0.1, 0.1], 0.0, away);
    let Outcome::Segment(request) = e.release([0.1, 0.1]) else {
        panic!("no request")
    };
    assert_eq!(request.target, Some(1));
    assert!(!request.clicks[1].positive && request.previous.is_some());
    // Shift-click adds to it, even what has a path or belongs to another entity already.
    let add = Held {
        add: true,
        ..Held::default()
    };
    drag(&mut e, &[[0.1, 0.1], [0.3, 0.1]]);
    e.press([0.6, 0.5], 0.0, add);
    let Outcome::Segment(request) = e.release([0.6, 0.5]) else {
        panic!("no request")
    };
    assert_eq!(request.target, Some(1));
    assert!(request.clicks.last().unwrap().positive && request.previous.is_some());
    // With nothing selected there is nothing to add to: it selects, as a plain click does.
    e.cancel();
    e.select(None);
    e.press([0.6, 0.5], 0.0, add);
    e.release([0.6, 0.5]);
    assert_eq!(e.selected(), Some(0));
}

#[test]
fn a_person_becomes_a_group_of_parts_in_one_step() {
    let mut e = new_editor();
    assert!(matches!(e.split(None), Outcome::Say(_)));
    click(&mut e, 0.1, 0.1);
    drag(&mut e, &[[0.1, 0.1], [0.2, 0.1]]);
    click(&mut e, 0.5, 0.5);
    drag(&mut e, &[[0.5, 0.5], [0.7, 0.5]]);
    let request = |outcome: Outcome| match outcome {
        Outcome::Split(request) => request,
        _ => panic!("no request"),
    };
    let old = request(e.split(e.selected()));
    let new = request(e.split(e.selected()));
    let parts = |count: usize| {
        let first = Part::ALL.into_iter().take(count);
        Some(first.map(|part| (part, disc(0.5, 0.5, 0.1))).collect())
    };
    // Late, or none.
    assert!(matches!(
        e.answer_parts(old.number, parts(3)),
        Outcome::Nothing
    ));
    assert!(matches!(e.answer_parts(new.number, None), Outcome::Changed));
    assert_eq!(e.scene().entities.len(), 2);
    // No room.
    let again = request(e.split(Some(1)));
    assert!(matches!(
        e.answer_parts(again.number, parts(12)),
        Outcome::Say(_)
    ));
    assert_eq!(e.scene().entities.len(), 2);
    let again = request(e.split(Some(1)));
    assert!(matches!(
        e.answer_parts(again.number, parts(11)),
        Outcome::Changed
    ));
    let made = &e.scene().entities[1..];
    assert_eq!(made.len(), 11);
    // What the person did, its parts do.
    assert!(
        made.iter()
            .all(|p| p.group == Some(1) && p.trajectory.is_some())
    );
    assert!(made.iter().any(|p| p.name == "torso"));
    assert!(matches!(e.split(Some(4)), Outcome::Say(_)));
    assert_eq!(e.undo_label(), Some("split into parts"));
    e.undo();
    assert_eq!(e.scene().entities.len(), 2);
    assert_eq!(e.scene().entities[1].name, "Entity 2");
    e.redo();
    assert_eq!(e.scene().entities.len(), 12);
}

/// The names of the entities as they are listed, and the position of the selected one.
fn listed(editor: &Editor) -> (Vec<&str>, Option<usize>) {
    let entities = editor.scene().entities.iter();
    (
        entities.map(|e| e.name.as_str()).collect(),
        editor.selected(),
    )
}

#[test]
fn an_entity_is_brought_forward_and_sent_back_and_that_is_undone_and_redone() {
    let mut e = new_editor();
    for (i, name) in ["car", "ground", "bird"].into_iter().enumerate() {
        e.select(None);
        let x = 0.2 + 0.3 * i as f32;
        click(&mut e, x, 0.5);
        if name == "ground" {
            e.toggle_pin(i);
        } else {
            drag(&mut e, &[[x, 0.5], [x, 0.3]]);
        }
        e.rename(i, name);
    }
    assert_eq!(listed(&e), (vec!["car", "ground", "bird"], Some(2)));
    // Nobody has set an order: the ground lies behind the car, which is no change of the list.
    assert_eq!(e.scene().layers(), [1, 0, 2]);

    e.select(Some(0));
    assert!(matches!(e.step(0, Step::Back), Outcome::Changed));
    // From now on the list is the order, and what was selected still is.
    assert_eq!(listed(&e), (vec!["car", "ground", "bird"], Some(0)));
    assert_eq!(
        (e.scene().order, e.scene().layers()),
        (Order::AsListed, vec![0, 1, 2])
    );
    assert!(matches!(e.step(0, Step::Back), Outcome::Say(_)));
    assert!(matches!(e.step(7, Step::Back), Outcome::Nothing));
    assert!(matches!(e.step(0, Step::Forward), Outcome::Changed));
    assert_eq!(listed(&e), (vec!["ground", "car", "bird"], Some(1)));
    e.step(1, Step::Forward);
    assert_eq!(listed(&e), (vec!["ground", "bird", "car"], Some(2)));
    assert!(matches!(e.step(2, Step::Forward), Outcome::Say(_)));

    assert_eq!(e.undo_label(), Some("reorder"));
    e.undo();
    assert_eq!(listed(&e), (vec!["ground", "car", "bird"], Some(1)));
    e.undo();
    e.undo();
    assert_eq!(listed(&e), (vec!["car", "ground", "bird"], Some(0)));
    assert_eq!(e.scene().order, Order::Automatic);
    for _ in 0..3 {
        e.redo();
    }
    assert_eq!(listed(&e), (vec!["ground", "bird", "car"], Some(2)));
    assert_eq!(e.scene().order, Order::AsListed);
    // What is made after an order was set lies in front.
    e.select(None);
    click(&mut e, 0.1, 0.1);
    assert_eq!(e.scene().layers(), [0, 1, 2, 3]);
    assert_eq!(listed(&e).0[3], "Entity 1");
}

#[test]
fn a_mask_that_is_waited_for_is_not_put_on_what_took_its_entitys_place() {
    let mut e = new_editor();
    click(&mut e, 0.2, 0.5);
    e.select(None);
    click(&mut e, 0.8, 0.5);
    e.press(
        [0.5, 0.9],
        0.0,
        Held {
            add: true,
            ..Held::default()
        },
    );
    let Outcome::Segment(request) = e.release([0.5, 0.9]) else {
        panic!("no request")
    };
    assert_eq!(request.target, Some(1));
    e.step(1, Step::Back);
    let late = e.answer(request.number, Some(disc(0.5, 0.9, 0.3)));
    assert!(matches!(late, Outcome::Nothing));
    assert_eq!(listed(&e), (vec!["Entity 2", "Entity 1"], Some(0)));
}

#[test]
fn late_answers_change_nothing() {
    let mut e = new_editor();
    e.press([0.5, 0.5], 0.0, Held::default());
    let Outcome::Segment(old) = e.release([0.5, 0.5]) else {
        panic!()
    };
    e.press([0.2, 0.2], 0.0, Held::default());
    let Outcome::Segment(new) = e.release([0.2, 0.2]) else {
        panic!()
    };
    assert!(matches!(
        e.answer(old.number, Some(disc(0.5, 0.5, 0.1))),
        Outcome::Nothing
    ));
    assert!(e.scene().entities.is_empty());
    e.answer(new.number, Some(disc(0.2, 0.2, 0.1)));
    assert_eq!(e.scene().entities.len(), 1);
    // An empty mask is no entity, and says so.
    e.select(None);
    e.press([0.9, 0.9], 0.0, Held::default());
    let Outcome::Segment(empty) = e.release([0.9, 0.9]) else {
        panic!()
    };
    assert!(matches!(
        e.answer(empty.number, Some(Mask::empty(96, 64))),
        Outcome::Say(_)
    ));
    assert_eq!(e.scene().entities.len(), 1);
    // Nor does the answer for a picture that is gone.
    e.press([0.9, 0.9], 0.0, Held::default());
    let Outcome::Segment(gone) = e.release([0.9, 0.9]) else {
        panic!()
    };
    e.set_picture(Picture {
        width: 8,
        height: 8,
        rgb: vec![0; 192].into(),
    });
    assert!(matches!(
        e.answer(gone.number, Some(disc(0.9, 0.9, 0.1))),
        Outcome::Nothing
    ));
    assert!(e.scene().entities.is_empty());
}

#[test]
fn undo_and_redo_go_through_everything() {
    let mut e = new_editor();
    click(&mut e, 0.3, 0.5);
    drag(&mut e, &[[0.3, 0.5], [0.7, 0.5]]);
    let id = 0;
    e.rename(id, "  Cat ");
    e.toggle_pin(id);
    e.set_background(Some(Trajectory::line([0.5, 0.5], [0.4, 0.5])));
    e.delete(id);
    let mut steps = 0;
    while e.undo_label().is_some() {
        e.undo();
        steps += 1;
    }
    assert_eq!(steps, 6);
    assert!(e.scene().entities.is_empty() && e.scene().background.is_none());
    for _ in 0..3 {
        e.redo();
    }
    assert_eq!(e.scene().entities[0].name, "Cat");
    assert!(!e.scene().entities[0].trajectory.as_ref().unwrap().is_pin());
    e.redo();
    assert!(e.scene().entities[0].trajectory.as_ref().unwrap().is_pin());
    // A new edit forgets what was undone.
    e.rename(id, "Dog");
    assert!(e.redo_label().is_none());
}

#[test]
fn the_brush_makes_mends_and_erases() {
    let mut e = new_editor();
    e.set_tool(Tool::Erase);
    assert!(matches!(
        e.press([0.5, 0.5], 0.0, Held::default()),
        Outcome::Say(_)
    ));
    e.set_tool(Tool::Brush);
    drag(&mut e, &[[0.4, 0.5], [0.6, 0.5]]);
    assert_eq!(e.scene().entities.len(), 1);
    let before = e.scene().entities[0].mask.area();
    drag(&mut e, &[[0.5, 0.3], [0.5, 0.7]]);
    assert_eq!(e.scene().entities.len(), 1);
    assert!(e.scene().entities[0].mask.area() > before);
    // Erasing all of it removes it; undo brings it back.
    e.set_tool(Tool::Erase);
    e.brush_radius = 0.8;
    drag(&mut e, &[[0.5, 0.5], [0.6, 0.5]]);
    assert!(e.scene().entities.is_empty());
    e.undo();
    assert_eq!(e.scene().entities.len(), 1);
}

#[test]
fn escape_undoes_a_gesture_before_it_deselects() {
    let mut e = new_editor();
    click(&mut e, 0.3, 0.5);
    e.press([0.3, 0.5], 0.0, Held::default());
    e.drag([0.6, 0.5], 10.0, 50.0);
    assert!(matches!(e.gesture(), Gesture::Path { .. }));
    e.cancel();
    assert!(e.scene().entities[0].trajectory.is_none() && e.selected().is_some());
    e.cancel();
    assert!(e.selected().is_none());
    assert!(matches!(e.cancel(), Outcome::Nothing));
}

#[test]
fn a_drag_from_nowhere_says_what_to_do_and_the_camera_is_a_tool() {
    let mut e = new_editor();
    assert!(matches!(
        drag(&mut e, &[[0.3, 0.5], [0.7, 0.5]]),
        Outcome::Say(_)
    ));
    assert!(e.scene().background.is_none());
    e.set_tool(Tool::Camera);
    drag(&mut e, &[[0.3, 0.5], [0.4, 0.5], [0.7, 0.5]]);
    assert!(e.scene().background.is_some() && e.can_generate());
}

#[test]
fn the_keyboard_can_do_it_all() {
    let mut e = new_editor();
    e.nudge(-0.2, 0.0, 0.0);
    let Outcome::Segment(request) = e.enter() else {
        panic!("no request")
    };
    e.answer(request.number, Some(disc(0.3, 0.5, 0.1)));
    e.lead(0.0);
    for i in 1..=10 {
        e.nudge(0.05, 0.0, 100.0 * f64::from(i));
    }
    e.enter();
    let path = e.scene().entities[0].trajectory.clone().unwrap();
    assert!((path.position(1.0)[0] - 0.8).abs() < 1e-3);
}

#[test]
fn a_ring_is_pinned_on_the_ring() {
    let mut ring = disc(0.5, 0.5, 0.3);
    ring.brush([0.5, 0.5], [0.5, 0.5], 0.15, false);
    let [x, y] = anchor(&ring);
    assert!(ring.contains(x, y));
}

/// Presses and releases at a place; the request that comes of it.
fn asked(editor: &mut Editor, at: [f32; 2], held: Held) -> Option<SegmentRequest> {
    editor.press(at, 0.0, held);
    match editor.release(at) {
        Outcome::Segment(request) => Some(request),
        _ => None,
    }
}

#[test]
fn clicking_again_at_the_same_place_asks_for_the_other_things_it_may_mean() {
    let mut e = new_editor();
    let plain = Held::default();
    click(&mut e, 0.3, 0.5);
    let part = e.scene().entities[0].mask.clone();
    for (candidate, radius) in [(1, 0.2), (2, 0.3)] {
        let request = asked(&mut e, [0.31, 0.505], plain).unwrap();
        assert_eq!((request.target, request.candidate), (Some(0), candidate));
        // Of the click that made it, not refined by another one.
        assert!(request.previous.is_none());
        assert_eq!(request.clicks.len(), 1);
        assert_eq!((request.clicks[0].x, request.clicks[0].y), (0.3, 0.5));
        e.answer(request.number, Some(disc(0.3, 0.5, radius)));
        assert_eq!(e.scene().entities.len(), 1);
    }
    e.undo();
    assert!(e.scene().entities[0].mask == disc(0.3, 0.5, 0.2));
    e.undo();
    assert!(e.scene().entities[0].mask == part);
    e.redo();

    // Elsewhere in it a click selects; with Shift it adds; once it has a path nothing is asked.
    let mut e = new_editor();
    click(&mut e, 0.3, 0.5);
    assert!(asked(&mut e, [0.36, 0.5], plain).is_none());
    let add = Held {
        add: true,
        ..Held::default()
    };
    let request = asked(&mut e, [0.3, 0.5], add).unwrap();
    assert!(request.previous.is_some() && request.candidate == 0);
    e.cancel();
    drag(&mut e, &[[0.3, 0.5], [0.4, 0.5], [0.7, 0.4]]);
    assert!(asked(&mut e, [0.3, 0.5], plain).is_none());
}

#[test]
fn the_same_mask_again_is_no_step() {
    let mut e = new_editor();
    click(&mut e, 0.3, 0.5);
    let revision = e.revision();
    let request = asked(&mut e, [0.3, 0.5], Held::default()).unwrap();
    let same = e.answer(request.number, Some(disc(0.3, 0.5, 0.1)));
    assert!(matches!(same, Outcome::Say(_)));
    assert_eq!(e.revision(), revision);
}

/// Rests at a place; the number of the request that comes of it.
fn rested(editor: &mut Editor, at: [f32; 2]) -> Option<u64> {
    match editor.rest(at) {
        Outcome::Suggest { number, .. } => Some(number),
        _ => None,
    }
}

#[test]
fn what_is_under_the_pointer_is_suggested_and_a_click_takes_it() {
    let mut e = new_editor();
    let late = rested(&mut e, [0.2, 0.2]).unwrap();
    let number = rested(&mut e, [0.3, 0.5]).unwrap();
    e.suggest(late, disc(0.2, 0.2, 0.1));
    assert!(e.suggestion().is_none(), "the pointer has moved on");
    e.suggest(number, disc(0.3, 0.5, 0.1));
    // It stays while the pointer is on it.
    e.wander(Some([0.35, 0.5]));
    assert!(e.suggestion().is_some());
    assert!(asked(&mut e, [0.3, 0.51], Held::default()).is_none());
    assert!(e.scene().entities[0].mask == disc(0.3, 0.5, 0.1));
    assert!(e.suggestion().is_none());
    let request = asked(&mut e, [0.3, 0.5], Held::default()).unwrap();
    assert_eq!(request.candidate, 1, "a click again is for another");
    e.cancel();

    // A click would add to what has no path yet, and is not begun with a suggestion.
    assert!(rested(&mut e, [0.8, 0.5]).is_none());
    drag(&mut e, &[[0.3, 0.5], [0.4, 0.5], [0.7, 0.4]]);
    assert!(rested(&mut e, [0.3, 0.5]).is_none(), "an entity is there");
    let number = rested(&mut e, [0.8, 0.5]).unwrap();
    e.suggest(number, disc(0.8, 0.5, 0.05));
    // Far from where it was asked for a click asks anew; beyond it the suggestion goes.
    assert!(asked(&mut e, [0.83, 0.53], Held::default()).is_some());
    e.cancel();
    let number = rested(&mut e, [0.8, 0.5]).unwrap();
    e.suggest(number, disc(0.8, 0.5, 0.05));
    assert!(matches!(e.wander(Some([0.1, 0.1])), Outcome::Draw));
    assert!(e.suggestion().is_none());
    e.set_tool(Tool::Brush);
    assert!(rested(&mut e, [0.8, 0.5]).is_none());
}

#[test]
fn boxes_ask_for_what_they_are_around() {
    let mut e = new_editor();
    e.set_tool(Tool::Box);
    let tiny = drag(&mut e, &[[0.3, 0.3], [0.305, 0.305]]);
    assert!(matches!(tiny, Outcome::Say(_)));
    let Outcome::Segment(request) = drag(&mut e, &[[0.6, 0.7], [0.2, -0.1]]) else {
        panic!("no request")
    };
    assert_eq!(request.bounds, Some([0.2, 0.0, 0.6, 0.7]));
    assert!(request.clicks.is_empty() && request.target.is_none());
    e.answer(request.number, Some(disc(0.4, 0.4, 0.1)));
    assert_eq!(e.scene().entities.len(), 1);
    // Now it can be dragged.
    drag(&mut e, &[[0.4, 0.4], [0.5, 0.4], [0.7, 0.4]]);
    assert!(e.can_generate());
}

#[test]
fn outlines_make_masks_add_to_them_and_take_away() {
    let around = |[x, y]: [f32; 2], r: f32| {
        [
            [x - r, y - r],
            [x + r, y - r],
            [x + r, y + r],
            [x - r, y + r],
        ]
    };
    let draw = |e: &mut Editor, path: &[[f32; 2]], held: Held| {
        e.set_tool(Tool::Lasso);
        e.press(path[0], 0.0, held);
        for p in &path[1..] {
            e.drag(*p, 0.0, 40.0);
        }
        e.release(path[path.len() - 1])
    };
    let inside = |e: &Editor, x: f32, y: f32| e.scene().entities[0].mask.contains(x, y);
    let [add, negative] =
        [(true, false), (false, true)].map(|(add, negative)| Held { add, negative });
    let mut e = new_editor();
    assert!(matches!(
        draw(&mut e, &around([0.3, 0.5], 0.1), add),
        Outcome::Say(_)
    ));
    assert!(matches!(
        draw(&mut e, &[[0.3, 0.5], [0.4, 0.5]], Held::default()),
        Outcome::Say(_)
    ));
    draw(&mut e, &around([0.3, 0.5], 0.1), Held::default());
    assert!(inside(&e, 0.3, 0.5) && !inside(&e, 0.6, 0.5));
    draw(&mut e, &around([0.6, 0.5], 0.1), add);
    assert!(inside(&e, 0.3, 0.5) && inside(&e, 0.6, 0.5));
    draw(&mut e, &around([0.3, 0.5], 0.05), negative);
    assert!(!inside(&e, 0.3, 0.5) && inside(&e, 0.22, 0.5));
    assert_eq!(e.scene().entities.len(), 1);
    // All of it taken away is nothing.
    draw(&mut e, &around([0.5, 0.5], 0.6), negative);
    assert!(e.scene().entities.is_empty());
    e.undo();
    assert!(inside(&e, 0.6, 0.5));
}

/// A click with the Bend tool.
fn hold(editor: &mut Editor, at: [f32; 2]) -> Outcome {
    editor.press(at, 0.0, Held::default());
    editor.release(at)
}

fn handles(editor: &Editor) -> Vec<[f32; 2]> {
    let paths = editor.scene().entities[0].held_by();
    paths.map(|path| path.position(1.0)).collect()
}

#[test]
fn the_bend_tool_holds_places_leads_others_and_lets_them_go() {
    let mut e = new_editor();
    click(&mut e, 0.4, 0.5);
    e.set_tool(Tool::Bend);
    let status = Status::default();
    assert!(e.hint(status).1.contains("stay where it is"));
    // The first one is the entity's own path.
    hold(&mut e, [0.36, 0.5]);
    assert_eq!(
        e.scene().entities[0].trajectory,
        Some(Trajectory::pin(0.36, 0.5))
    );
    assert!(e.can_generate() && e.scene().entities[0].is_pinned());
    hold(&mut e, [0.4, 0.56]);
    drag(&mut e, &[[0.45, 0.5], [0.5, 0.45], [0.6, 0.4]]);
    assert_eq!(handles(&e), [[0.36, 0.5], [0.4, 0.56], [0.6, 0.4]]);
    assert_eq!(e.touched(), Some(2));
    // Beside its beginning it is taken up again, and what it does begins where it is.
    drag(&mut e, &[[0.46, 0.51], [0.5, 0.5], [0.56, 0.31]]);
    let path = &e.scene().entities[0].handles[1];
    assert_eq!(path.start(), [0.45, 0.5]);
    let end = path.position(1.0);
    assert!((end[0] - 0.55).hypot(end[1] - 0.3) < 1e-5, "{end:?}");
    // A click on it takes it up, and Delete does away with it; a click on a pin does so at once.
    hold(&mut e, [0.36, 0.5]);
    assert_eq!(handles(&e)[0], [0.4, 0.56], "the next one is the first now");
    hold(&mut e, [0.45, 0.5]);
    assert_eq!((e.touched(), handles(&e).len()), (Some(1), 2));
    e.delete_selected();
    assert_eq!((e.touched(), handles(&e)), (None, vec![[0.4, 0.56]]));
    assert_eq!(e.scene().entities.len(), 1);
    for count in [2, 3, 3, 2, 1, 0] {
        e.undo();
        assert_eq!(handles(&e).len(), count);
    }
    for _ in 0..6 {
        e.redo();
    }
    assert_eq!(handles(&e), [[0.4, 0.56]]);
    // With none touched Delete means the entity.
    e.delete_selected();
    assert!(e.scene().entities.is_empty());
    assert!(matches!(hold(&mut e, [0.4, 0.5]), Outcome::Say(_)));
    assert!(matches!(
        drag(&mut e, &[[0.4, 0.5], [0.7, 0.7]]),
        Outcome::Say(_)
    ));
}

#[test]
fn what_is_led_is_told_while_it_is_and_there_is_a_most() {
    let mut e = new_editor();
    click(&mut e, 0.4, 0.5);
    e.set_tool(Tool::Bend);
    hold(&mut e, [0.36, 0.5]);
    assert!(e.led().is_none());
    e.press([0.45, 0.5], 0.0, Held::default());
    e.drag([0.5, 0.4], 10.0, 40.0);
    let led = e.led().unwrap();
    assert_eq!((led.index, led.handles.len()), (0, 2));
    assert_eq!(led.handles[0], [[0.36, 0.5]; 2]);
    assert_eq!(led.handles[1], [[0.45, 0.5], [0.5, 0.4]]);
    e.cancel();
    assert_eq!(handles(&e).len(), 1, "what was cancelled has not happened");
    e.grasp = [1e-4; 2];
    for i in 0..30 {
        hold(&mut e, [0.38 + i as f32 * 0.002, 0.52]);
    }
    assert_eq!(handles(&e).len(), 25);
    assert!(matches!(hold(&mut e, [0.4, 0.47]), Outcome::Say(_)));
    assert!(matches!(
        drag(&mut e, &[[0.4, 0.47], [0.7, 0.7]]),
        Outcome::Say(_) | Outcome::Nothing
    ));
    assert_eq!(handles(&e).len(), 25);
    assert!(e.scene().check().is_ok());
    // The pin in its row holds all of it, and lets all of it go.
    e.toggle_pin(0);
    assert!(e.scene().entities[0].trajectory.is_none());
    e.toggle_pin(0);
    assert_eq!(handles(&e).len(), 1);
}

#[test]
fn move_takes_along_what_is_led_and_pins_hold() {
    let mut e = new_editor();
    click(&mut e, 0.4, 0.5);
    e.set_tool(Tool::Bend);
    drag(&mut e, &[[0.36, 0.5], [0.46, 0.5]]);
    drag(&mut e, &[[0.44, 0.5], [0.54, 0.4]]);
    hold(&mut e, [0.4, 0.56]);
    e.set_tool(Tool::Move);
    drag(&mut e, &[[0.4, 0.5], [0.4, 0.7]]);
    let at = handles(&e);
    // The whole goes down by 0.2 instead of right by 0.1; the second still goes up by 0.1 beside it; the pin stays.
    let wanted = [[0.4, 0.7], [0.44, 0.6], [0.4, 0.56]];
    for (at, wanted) in at.iter().zip(wanted) {
        assert!(
            (at[0] - wanted[0]).hypot(at[1] - wanted[1]) < 0.01,
            "{at:?} for {wanted:?}"
        );
    }
    // What is only held is led, too: by one more.
    let mut e = new_editor();
    click(&mut e, 0.4, 0.5);
    e.set_tool(Tool::Bend);
    hold(&mut e, [0.36, 0.5]);
    hold(&mut e, [0.44, 0.5]);
    e.set_tool(Tool::Move);
    drag(&mut e, &[[0.4, 0.55], [0.5, 0.7]]);
    assert_eq!(handles(&e), [[0.5, 0.7], [0.36, 0.5], [0.44, 0.5]]);
}

#[test]
fn handles_are_made_with_the_keyboard() {
    let mut e = new_editor();
    click(&mut e, 0.4, 0.5);
    e.set_tool(Tool::Bend);
    e.crosshair = Some([0.36, 0.5]);
    e.enter();
    e.crosshair = Some([0.44, 0.5]);
    e.lead(0.0);
    e.nudge(0.05, 0.0, 10.0);
    e.nudge(0.05, 0.0, 20.0);
    e.lead(30.0);
    let at = handles(&e);
    assert_eq!(at[0], [0.36, 0.5]);
    assert!((at[1][0] - 0.54).abs() < 1e-4 && e.touched() == Some(1));
}

/// Somebody who stands in the middle, all joints of whom can be seen.
fn skeleton() -> Skeleton {
    let half = |x: f32| {
        let arm = [
            [x, 0.3],
            [x * 1.2 - 0.1, 0.42],
            [x * 1.3 - 0.15, 0.52],
            [x * 1.3 - 0.15, 0.56],
        ];
        let leg = [
            [x * 0.6 + 0.2, 0.6],
            [x * 0.6 + 0.2, 0.74],
            [x * 0.6 + 0.2, 0.88],
            [x * 0.7 + 0.15, 0.9],
        ];
        (arm, leg)
    };
    let ((left_arm, left_leg), (right_arm, right_leg)) = (half(0.58), half(0.42));
    let trunk = [[0.5, 0.2], [0.5, 0.3], [0.5, 0.6]];
    let places = [&trunk[..], &left_arm, &right_arm, &left_leg, &right_leg].concat();
    let list: Vec<[f32; 3]> = places.iter().map(|[x, y]| [*x, *y, 1.0]).collect();
    Skeleton::of_list(&list).unwrap()
}

#[test]
fn a_person_is_asked_about_once_and_its_joints_are_led() {
    let mut e = new_editor();
    click(&mut e, 0.5, 0.5);
    assert!(e.ask_joints().is_none(), "only who is to be bent");
    e.set_tool(Tool::Bend);
    let request = e.ask_joints().unwrap();
    assert!(e.ask_joints().is_none(), "it is asked already");
    assert!(matches!(
        e.answer_joints(request.number + 1, None),
        Outcome::Nothing
    ));
    e.answer_joints(request.number, Some(skeleton()));
    assert!(e.ask_joints().is_none() && e.joints().is_some());
    assert_eq!(e.undo_label(), Some("add entity"), "an answer is no step");
    // Close to the hand, beside the mask: the hand.
    let hand = skeleton().place(Joint::LeftHand);
    let near = [hand[0] + 0.01, hand[1] - 0.01];
    drag(&mut e, &[near, [0.7, 0.5], [0.8, 0.3]]);
    let entity = &e.scene().entities[0];
    assert_eq!(entity.skeleton, Some(skeleton()));
    assert_eq!(entity.trajectory.as_ref().unwrap().start(), hand);
    assert_eq!(entity.handles.len(), 0);
    // Led by Move, all of it goes along: the hand beside pelvis and feet.
    e.set_tool(Tool::Move);
    drag(&mut e, &[[0.5, 0.5], [0.45, 0.5], [0.3, 0.5]]);
    let entity = e.scene().entities[0].clone();
    let ends: Vec<[f32; 2]> = entity
        .held_by()
        .map(|path| {
            let ([x, y], [to_x, to_y]) = (path.start(), path.position(1.0));
            [to_x - x, to_y - y]
        })
        .collect();
    assert_eq!(ends.len(), 4);
    assert!(
        ends[..3]
            .iter()
            .all(|[x, y]| (x + 0.2).abs() < 0.01 && y.abs() < 0.01),
        "{ends:?}"
    );
    assert!(
        (ends[3][0] - (0.8 - near[0] - 0.2)).abs() < 0.02,
        "{ends:?}"
    );
    // Once more: nothing is led twice.
    drag(&mut e, &[[0.5, 0.5], [0.55, 0.5], [0.6, 0.5]]);
    assert_eq!(e.scene().entities[0].held_by().count(), 4);
    e.undo();
    assert_eq!(e.scene().entities[0], entity);
    // Without a path there are no joints to be led, and who it is stays known.
    e.clear_motion(0);
    assert_eq!(e.scene().entities[0].skeleton, None);
    e.set_tool(Tool::Bend);
    assert!(e.joints().is_some());
    e.set_picture(Picture {
        width: 8,
        height: 8,
        rgb: vec![0; 192].into(),
    });
    assert!(e.joints().is_none());
}

/// An editor with a bright thing on grey ground, selected, and its shadow, from above it to its left.
fn with_a_shadow() -> Editor {
    let (width, height) = (96, 64);
    let mut rgb = Vec::new();
    let mut mask = Mask::empty(width, height);
    for at in 0..width * height {
        let (x, y) = (at % width, at / width);
        let thing = (40..64).contains(&x) && (28..52).contains(&y);
        let shadow = (30..56).contains(&x) && (18..44).contains(&y);
        let light = 140 + (x * 7 + y * 13) % 9;
        let light = if shadow { light / 2 } else { light } as u8;
        rgb.extend(if thing { [200, 30, 20] } else { [light; 3] });
        mask.alpha[at as usize] = u8::from(thing) * 255;
    }
    let mut e = Editor::default();
    e.set_picture(Picture::from_rgb(width, height, rgb).unwrap());
    e.add(mask);
    e
}

#[test]
fn a_shadow_is_shown_taken_along_and_left() {
    let mut e = with_a_shadow();
    let shadow = |e: &Editor| e.scene().entities[0].shadow.clone();
    e.set_tool(Tool::Shadow);
    assert!(e.shadow().is_some_and(|mask| mask.contains(0.36, 0.4)));
    // A click with Alt on it leaves it, one without takes it.
    let alt = Held {
        negative: true,
        ..Held::default()
    };
    e.press([0.36, 0.4], 0.0, alt);
    e.release([0.36, 0.4]);
    assert!(e.shadow().is_none_or(|mask| !mask.contains(0.36, 0.4)));
    e.press([0.36, 0.4], 0.0, Held::default());
    e.release([0.36, 0.4]);
    let Shadow::Marked(mask) = shadow(&e) else {
        panic!("{:?}", shadow(&e))
    };
    assert!(mask.contains(0.36, 0.4) && !mask.contains(0.1, 0.9));
    // A drag paints, whatever is there.
    drag(&mut e, &[[0.1, 0.9], [0.3, 0.9]]);
    assert!(e.shadow().unwrap().contains(0.2, 0.9));
    // The switch, and the way back.
    e.toggle_shadow(0);
    assert_eq!(shadow(&e), Shadow::None);
    e.toggle_shadow(0);
    assert_eq!(shadow(&e), Shadow::Found);
    for _ in 0..5 {
        assert!(matches!(e.undo(), Outcome::Changed));
    }
    assert_eq!(shadow(&e), Shadow::Found);
    // Nothing dark is there, or nothing is selected.
    e.press([0.9, 0.9], 0.0, Held::default());
    assert!(matches!(e.release([0.9, 0.9]), Outcome::Say(_)));
    e.select(None);
    assert!(matches!(
        e.press([0.36, 0.4], 0.0, Held::default()),
        Outcome::Say(_)
    ));
}

#[test]
fn what_is_behind_is_said_and_undone() {
    let mut e = with_a_shadow();
    e.set_tool(Tool::From);
    drag(&mut e, &[[0.1, 0.9], [0.3, 0.9]]);
    let from = e.scene().behind.from.clone().unwrap();
    assert!(from.contains(0.2, 0.9) && !from.contains(0.8, 0.2));
    let plate = e.scene().picture.clone();
    e.set_plate(Some(plate.clone()));
    assert_eq!(e.scene().behind.plate, Some(plate));
    assert_eq!(e.scene().behind.from, Some(from));
    e.undo();
    assert_eq!(e.scene().behind.plate, None);
    e.fill_from_all();
    assert_eq!(e.scene().behind.from, None);
}
