use super::plane::{Plane, distance};
use super::*;
use crate::scene::bend::{BehindArms, Mesh, Motion, Rig};
use crate::scene::parts::Part;
use crate::scene::{Entity, Mask, Picture, Trajectory};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Of the pictures here.
const ASPECT: f32 = 0.75;

/// Somebody who stands and faces the viewer, one arm bent in front of the trunk.
fn person() -> Skeleton {
    let mut person = Skeleton {
        places: [[0.0; 2]; JOINTS],
        visibility: [1.0; JOINTS],
    };
    for (joint, at) in [
        (Joint::Head, [0.5, 0.12]),
        (Joint::Neck, [0.5, 0.22]),
        (Joint::Pelvis, [0.5, 0.5]),
        (Joint::LeftShoulder, [0.62, 0.22]),
        (Joint::LeftElbow, [0.68, 0.36]),
        (Joint::LeftWrist, [0.7, 0.48]),
        (Joint::LeftHand, [0.7, 0.52]),
        (Joint::RightShoulder, [0.38, 0.22]),
        (Joint::RightElbow, [0.33, 0.36]),
        (Joint::RightWrist, [0.47, 0.38]),
        (Joint::RightHand, [0.52, 0.38]),
        (Joint::LeftHip, [0.56, 0.5]),
        (Joint::LeftKnee, [0.58, 0.7]),
        (Joint::LeftAnkle, [0.58, 0.88]),
        (Joint::LeftFoot, [0.62, 0.92]),
        (Joint::RightHip, [0.44, 0.5]),
        (Joint::RightKnee, [0.42, 0.7]),
        (Joint::RightAnkle, [0.42, 0.88]),
        (Joint::RightFoot, [0.38, 0.92]),
    ] {
        person.places[joint as usize] = at;
    }
    person
}

fn apart(a: [f32; 2], b: [f32; 2]) -> f32 {
    let plane = Plane::of(ASPECT);
    distance(plane.enter(a), plane.enter(b))
}

fn drag(joint: Joint, to: [f32; 2]) -> Drag {
    Drag {
        grip: Grip::joint(joint),
        to,
    }
}

fn length(skeleton: &Skeleton, bone: Joint) -> f32 {
    apart(skeleton.place(bone), skeleton.place(bone.parent().unwrap()))
}

/// To which side a limb bends, as the sine of the angle at its root.
fn bend(skeleton: &Skeleton, limb: [Joint; 4]) -> f32 {
    let plane = Plane::of(ASPECT);
    let [root, middle, end] = [0, 1, 2].map(|at| plane.enter(skeleton.place(limb[at])));
    let (whole, upper) = (plane::minus(end, root), plane::minus(middle, root));
    plane::cross(whole, upper) / (plane::length(whole) * plane::length(upper)).max(1e-6)
}

fn limbs() -> [[Joint; 4]; 4] {
    Joint::limbs()
}

/// Bones no longer than a tenth more, and within a tenth where nothing is turned towards the viewer.
fn assert_whole(before: &Skeleton, after: &Skeleton) {
    for joint in Joint::ALL {
        assert!(after.place(joint).iter().all(|v| v.is_finite()));
        if joint.parent().is_some() {
            let (was, is) = (length(before, joint), length(after, joint));
            assert!(is <= 1.1 * was + 1e-4, "{joint:?} was {was} and is {is}");
        }
    }
    for limb in limbs() {
        let (was, is) = (bend(before, limb), bend(after, limb));
        // An arm that is nearly straight bends as it is lifted.
        let flipped = was.abs() > 0.21 && is * was.signum() < -0.1;
        assert!(!flipped, "{limb:?} bends to the other side: {was}, {is}");
    }
}

#[test]
fn an_arm_that_hangs_down_is_lifted_with_its_elbow_below() {
    let before = person();
    let [shoulder, hand] = [Joint::LeftShoulder, Joint::LeftHand].map(|joint| before.place(joint));
    let reach = apart(shoulder, hand);
    let plane = Plane::of(ASPECT);
    // The hand at an angle outwards from hanging down, and at this share of its reach: how far the elbow is below the line to it, and
    // outside of it.
    let elbow = |angle: f32, share: f32| {
        let [x, y] = plane.enter(shoulder);
        let (sin, cos) = angle.to_radians().sin_cos();
        let to = plane.leave([x + share * reach * sin, y + share * reach * cos]);
        let after = before.posed(ASPECT, &[drag(Joint::LeftHand, to)], &before.standing());
        assert_whole(&before, &after);
        let elbow = plane.enter(after.place(Joint::LeftElbow));
        let [root, end] = [shoulder, to].map(|at| plane.enter(at));
        let middle = plane::between(root, end, 0.5);
        plane::minus(elbow, middle)
    };
    let [aside, _] = elbow(0.0, 0.8);
    assert!(aside > 0.03, "hanging: outside, {aside}");
    let [_, below] = elbow(90.0, 0.8);
    assert!(below > 0.03, "lifted: below, {below}");
    let [aside, _] = elbow(175.0, 0.8);
    assert!(aside > 0.03, "above the head: outside, {aside}");
    // On its way it leaps nowhere.
    let mut last = elbow(-170.0, 0.85);
    for angle in (-169..=180).map(|angle| angle as f32) {
        let next = elbow(angle, 0.85);
        let leap = plane::distance(last, next);
        assert!(leap < 0.04 * reach, "{leap} at {angle}");
        last = next;
    }
}

#[test]
fn a_hand_bends_elbow_and_shoulder_and_nothing_else() {
    let before = person();
    let after = before.posed(
        ASPECT,
        &[drag(Joint::LeftHand, [0.9, 0.24])],
        &before.standing(),
    );
    assert!(apart(after.place(Joint::LeftHand), [0.9, 0.24]) < 5e-3);
    assert!(
        apart(
            after.place(Joint::LeftElbow),
            before.place(Joint::LeftElbow)
        ) > 0.05
    );
    for joint in Joint::ALL {
        if !Joint::arm(Side::Left).contains(&joint) {
            let moved = apart(after.place(joint), before.place(joint));
            assert!(moved < 1e-3, "{joint:?} moved by {moved}");
        }
    }
    for bone in [Joint::LeftElbow, Joint::LeftWrist, Joint::LeftHand] {
        let ratio = length(&after, bone) / length(&before, bone);
        assert!((0.9..1.001).contains(&ratio), "{bone:?}: {ratio}");
    }
    assert_whole(&before, &after);
}

#[test]
fn what_is_out_of_reach_stretches_the_arm_and_leans_the_trunk() {
    let before = person();
    let to = [1.3, 0.1];
    let after = before.posed(ASPECT, &[drag(Joint::LeftWrist, to)], &before.standing());
    let arm = [Joint::LeftShoulder, Joint::LeftElbow, Joint::LeftWrist].map(|j| after.place(j));
    let straight = apart(arm[0], arm[2]) / (apart(arm[0], arm[1]) + apart(arm[1], arm[2]));
    assert!(straight > 0.999, "{straight}");
    // Towards the target, and nearer than without leaning.
    assert!(after.place(Joint::Neck)[0] > before.place(Joint::Neck)[0] + 0.02);
    let plane = Plane::of(ASPECT);
    let [shoulder, hand, to] = [arm[0], arm[2], to].map(|at| plane.enter(at));
    let away = plane::cross(plane::minus(hand, shoulder), plane::minus(to, shoulder));
    assert!(away.abs() < 1e-3);
    for joint in [Joint::LeftAnkle, Joint::RightAnkle, Joint::LeftFoot] {
        assert!(apart(after.place(joint), before.place(joint)) < 1e-3);
    }
    assert!(apart(after.place(Joint::Pelvis), before.place(Joint::Pelvis)) < 0.05);
    assert_whole(&before, &after);
}

#[test]
fn hips_move_the_body_over_feet_that_stand_and_bend_the_knees() {
    let before = person();
    let drags = [drag(Joint::Pelvis, [0.54, 0.64])];
    let after = before.posed(ASPECT, &drags, &before.standing());
    assert!(apart(after.place(Joint::Pelvis), drags[0].to) < 0.01);
    for side in Side::BOTH {
        let [_, knee, ankle, foot] = Joint::leg(side);
        for still in [ankle, foot] {
            assert!(apart(after.place(still), before.place(still)) < 1e-3);
        }
        assert!(bend(&after, Joint::leg(side)).abs() > 3.0 * bend(&before, Joint::leg(side)).abs());
        assert!(apart(after.place(knee), before.place(knee)) > 0.02);
    }
    // What is above moves along.
    let [neck, head] = [Joint::Neck, Joint::Head].map(|joint| after.place(joint));
    assert!((neck[1] - before.place(Joint::Neck)[1] - 0.14).abs() < 0.02);
    assert!((head[1] - before.place(Joint::Head)[1] - 0.14).abs() < 0.02);
    assert_whole(&before, &after);
    // Upwards there is no room.
    let after = before.posed(
        ASPECT,
        &[drag(Joint::Pelvis, [0.5, 0.2])],
        &before.standing(),
    );
    assert!(after.place(Joint::Pelvis)[1] > 0.45);
    assert_whole(&before, &after);
    // Feet that do not stand go along.
    let after = before.posed(ASPECT, &[drag(Joint::Pelvis, [0.5, 0.2])], &[]);
    assert!((after.place(Joint::LeftAnkle)[1] - 0.58).abs() < 0.02);
}

#[test]
fn the_head_leans_the_trunk() {
    let before = person();
    let after = before.posed(
        ASPECT,
        &[drag(Joint::Head, [0.65, 0.15])],
        &before.standing(),
    );
    assert!(after.place(Joint::Neck)[0] > before.place(Joint::Neck)[0] + 0.04);
    assert!(apart(after.place(Joint::Head), [0.65, 0.15]) < 0.03);
    assert!(apart(after.place(Joint::LeftHip), before.place(Joint::LeftHip)) < 0.01);
    assert_whole(&before, &after);
}

#[test]
fn a_place_on_a_bone_is_held_and_goes_where_it_is_dragged() {
    let before = person();
    // On the forearm in front of the trunk: not the trunk.
    let grip = before.grip([0.42, 0.37], ASPECT).unwrap();
    assert_eq!(grip.joint, Joint::RightWrist);
    assert!((0.4..0.8).contains(&grip.along));
    let held = before.place_of(grip);
    let to = [held[0] - 0.02, held[1] - 0.06];
    let after = before.posed(ASPECT, &[Drag { grip, to }], &before.standing());
    assert!(apart(after.place_of(grip), to) < 1e-3);
    assert_whole(&before, &after);
    // Near a joint it is the joint, whichever bone is nearer.
    for joint in [Joint::RightElbow, Joint::LeftKnee, Joint::LeftShoulder] {
        let [x, y] = before.place(joint);
        let grip = before.grip([x + 0.005, y + 0.005], ASPECT).unwrap();
        assert_eq!(grip.as_joint(), Some(joint));
    }
    assert_eq!(
        before.grip([0.5, 0.36], ASPECT).map(|grip| grip.joint),
        Some(Joint::Neck)
    );
    let hidden = Skeleton {
        visibility: [0.0; JOINTS],
        ..before
    };
    assert_eq!(hidden.grip([0.5, 0.4], ASPECT), None);
}

#[test]
fn joints_that_are_pinned_stay_and_contradictions_are_borne() {
    let before = person();
    let pinned = [Joint::LeftWrist, Joint::LeftAnkle, Joint::RightAnkle];
    let after = before.posed(ASPECT, &[drag(Joint::Pelvis, [0.55, 0.55])], &pinned);
    assert!(
        apart(
            after.place(Joint::LeftWrist),
            before.place(Joint::LeftWrist)
        ) < 1e-3
    );
    let drags = [
        drag(Joint::LeftHand, [-3.0, 0.5]),
        drag(Joint::RightHand, [4.0, 0.5]),
        drag(Joint::LeftElbow, [0.5, 9.0]),
        drag(Joint::Head, [0.5, 2.0]),
        drag(Joint::LeftHip, [0.0, 0.0]),
        drag(Joint::RightHip, [1.0, 1.0]),
        drag(Joint::LeftAnkle, [0.0, -1.0]),
        drag(Joint::LeftHand, [f32::NAN, 0.0]),
    ];
    assert_whole(&before, &before.posed(ASPECT, &drags, &Joint::ALL));
}

#[test]
fn landmarks_that_are_too_few_or_no_numbers_make_no_skeleton() {
    let mut landmarks: Vec<_> = (0..33).map(|at| ([at as f32 / 33.0, 0.5], 0.9)).collect();
    let made = Skeleton::of_landmarks(&landmarks).unwrap();
    assert_eq!(made.place(Joint::RightKnee), landmarks[26].0);
    assert!((made.place(Joint::Neck)[0] - 11.5 / 33.0).abs() < 1e-6);
    assert!(Skeleton::of_landmarks(&landmarks[..32]).is_none());
    landmarks[4].0[1] = f32::NAN;
    assert!(Skeleton::of_landmarks(&landmarks).is_none());
}

/// The person's mask: everything near its bones, and the trunk.
fn mask(person: &Skeleton) -> Mask {
    let mut mask = Mask::empty(150, 200);
    let scale = person.scale(ASPECT).unwrap();
    let plane = Plane::of(ASPECT);
    for index in 0..mask.alpha.len() {
        let place = [(index % 150) as f32 / 150.0, (index / 150) as f32 / 200.0];
        let inside = person.bones().any(|joint| {
            let ends = [person.place(joint.parent().unwrap()), person.place(joint)];
            let [from, to] = ends.map(|at| plane.enter(at));
            let half = match joint {
                Joint::Neck => 0.35,
                _ => half_width(joint),
            };
            plane::from_segment(plane.enter(place), from, to).0 < scale * half
        });
        mask.alpha[index] = if inside { 255 } else { 0 };
    }
    mask
}

#[test]
fn an_arm_in_front_of_the_trunk_hangs_together_with_it_at_the_shoulder_only() {
    let person = person();
    let areas = Areas::new(&person, &mask(&person), &Picture::default(), ASPECT).unwrap();
    for (at, part) in [
        ([0.5, 0.1], Part::Head),
        ([0.5, 0.3], Part::Torso),
        ([0.45, 0.375], Part::RightLowerArm),
        ([0.35, 0.3], Part::RightUpperArm),
        ([0.57, 0.6], Part::LeftUpperLeg),
        ([0.42, 0.8], Part::RightLowerLeg),
        ([0.61, 0.915], Part::LeftFoot),
    ] {
        assert_eq!(areas.part(at), Some(part), "{at:?}");
    }
    // Beside the person it is the nearest part.
    assert_eq!(areas.part([0.05, 0.05]), Some(Part::Head));
    assert_eq!(areas.part([f32::NAN, 2.0]), None);
    assert!(areas.front([0.45, 0.375]) > areas.front([0.5, 0.3]));
    let masks = areas.masks(&mask(&person)).unwrap();
    assert_eq!(masks.len(), Part::ALL.len());
    // Down from the forearm to the trunk: apart. Along the elbow: together.
    let edge = (0..40).map(|step| [0.48, 0.38 + 0.0025 * step as f32]);
    let edge: Vec<_> = edge.collect();
    let torn = edge
        .windows(2)
        .filter(|pair| !areas.joined(pair[0], pair[1]));
    assert_eq!(torn.count(), 1);
    let arm = [Joint::RightShoulder, Joint::RightElbow, Joint::RightWrist].map(|j| person.place(j));
    for pair in arm.windows(2) {
        let place = |step: usize| {
            [0, 1].map(|axis| pair[0][axis] + step as f32 / 20.0 * (pair[1][axis] - pair[0][axis]))
        };
        for step in 0..20 {
            assert!(
                areas.joined(place(step), place(step + 1)),
                "{step} of {pair:?}"
            );
        }
    }
}

#[test]
fn a_mesh_is_held_where_bones_can_be_seen_within_the_mask() {
    let mut before = person();
    before.visibility[Joint::LeftHand as usize] = 0.1;
    let mask = mask(&before);
    // Close to the hand is the hand; and a place that is led nowhere is held.
    let [x, y] = before.place(Joint::RightHand);
    let puppet = Puppet::new(
        &before,
        &mask,
        ASPECT,
        &[[x + 0.005, y], before.place(Joint::Head)],
    );
    let rests = puppet.rests();
    assert!(rests.len() > 30);
    assert!(rests.iter().all(|[x, y]| mask.contains(*x, *y)));
    let offsets = [[-0.3, -0.2], [0.0; 2]];
    let posed = puppet.posed(&offsets);
    let targets = puppet.targets(&posed);
    let of = |joint: Joint| rests.iter().position(|rest| *rest == before.place(joint));
    assert_eq!(of(Joint::LeftHand), None);
    assert_eq!(
        targets[of(Joint::RightHand).unwrap()],
        posed.place(Joint::RightHand)
    );
    assert!(apart(posed.place(Joint::RightHand), [x - 0.3, y - 0.2]) < 0.01);
    assert!(apart(posed.place(Joint::Head), before.place(Joint::Head)) < 0.01);
}

#[test]
fn lists_of_joints_lead_back_and_wrong_ones_to_none() {
    let person = person();
    let list = person.to_list();
    assert_eq!(Skeleton::of_list(&list), Some(person));
    assert_eq!(Skeleton::of_list(&list[1..]), None);
    for wrong in [[f32::NAN, 0.0, 1.0], [0.0, 1e9, 1.0], [0.0, 0.0, 1.5]] {
        let mut list = list.clone();
        list[3] = wrong;
        assert_eq!(Skeleton::of_list(&list), None);
    }
}

fn any_joint() -> impl Strategy<Value = Joint> {
    (0..JOINTS).prop_map(|at| Joint::ALL[at])
}

fn any_drag() -> impl Strategy<Value = Drag> {
    (any_joint(), 0f32..=1.0, -1f32..2.0, -1f32..2.0).prop_map(|(joint, along, x, y)| Drag {
        grip: Grip { joint, along },
        to: [x, y],
    })
}

proptest! {
    // The same cases everywhere.
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(5),
        ..ProptestConfig::default()
    })]

    #[test]
    fn bones_keep_their_lengths_whatever_is_dragged(
        drags in prop::collection::vec(any_drag(), 1..4),
        stands in any::<bool>(),
        shakes in prop::collection::vec(-0.04f32..0.04, 2 * JOINTS),
    ) {
        let mut before = person();
        for (at, place) in before.places.iter_mut().enumerate() {
            *place = [place[0] + shakes[2 * at], place[1] + shakes[2 * at + 1]];
        }
        let pinned = if stands { before.standing() } else { Vec::new() };
        let after = before.posed(ASPECT, &drags, &pinned);
        assert_whole(&before, &after);
    }

    #[test]
    fn nothing_moves_when_what_is_dragged_stays(joint in any_joint(), along in 0f32..=1.0) {
        let before = person();
        let grip = Grip { joint, along };
        let after = before.posed(ASPECT, &[Drag { grip, to: before.place_of(grip) }], &before.standing());
        for joint in Joint::ALL {
            let moved = apart(after.place(joint), before.place(joint));
            prop_assert!(moved < 2e-3, "{:?} moved by {}", joint, moved);
        }
        prop_assert_eq!(before.posed(ASPECT, &[], &before.standing()), before);
    }

    /// But near a limb's root, where its direction turns round.
    #[test]
    fn small_steps_of_the_pointer_are_small_steps_of_the_body(
        joint in any_joint(), x in 0f32..1.0, y in 0f32..1.0, angle in 0f32..6.3,
    ) {
        let before = person();
        let root = limbs().into_iter().find(|limb| limb.contains(&joint)).map_or(Joint::Neck, |limb| limb[0]);
        prop_assume!(apart([x, y], before.place(root)) > 0.12);
        let near = [x + 1e-4 * angle.cos(), y + 1e-4 * angle.sin()];
        let [one, other] = [[x, y], near].map(|to| before.posed(ASPECT, &[drag(joint, to)], &before.standing()));
        for joint in Joint::ALL {
            let step = apart(one.place(joint), other.place(joint));
            prop_assert!(step < 0.02, "{:?} jumped by {}", joint, step);
        }
    }
}

/// The person as an entity, whose right hand goes to the upper left.
fn led(person: &Skeleton) -> Entity {
    let hand = person.place(Joint::RightHand);
    Entity {
        mask: mask(person),
        trajectory: Some(Trajectory::line(hand, [0.15, 0.2])),
        skeleton: Some(person.clone()),
        ..Entity::default()
    }
}

const SIZE: [u32; 2] = [300, 400];

/// Where a place of a mesh goes, in fractions of the picture.
fn follows(mesh: &Mesh, vertices: &[[f32; 2]], at: [f32; 2]) -> [f32; 2] {
    let size = SIZE.map(|side| side as f32);
    let anchor = mesh.anchor([at[0] * size[0], at[1] * size[1]]);
    let corners = anchor.vertices.map(|v| vertices[v as usize]);
    [0, 1].map(|axis| {
        let pairs = corners.iter().zip(anchor.weights);
        pairs
            .map(|(corner, weight)| corner[axis] * weight)
            .sum::<f32>()
            / size[axis]
    })
}

#[test]
fn one_handle_bends_an_entity_that_has_joints() {
    let person = person();
    let entity = led(&person);
    let mut rig = Rig::of(&entity, &Picture::default(), SIZE).unwrap();
    let end = rig.at(1.0);
    let mesh = rig.mesh();
    let moved = |joint: Joint| {
        apart(
            follows(mesh, &end, person.place(joint)),
            person.place(joint),
        )
    };
    assert!(
        apart(
            follows(mesh, &end, person.place(Joint::RightHand)),
            [0.15, 0.2]
        ) < 0.03
    );
    for joint in [
        Joint::LeftAnkle,
        Joint::RightAnkle,
        Joint::Pelvis,
        Joint::LeftHand,
    ] {
        assert!(moved(joint) < 0.01, "{joint:?} moved by {}", moved(joint));
    }
    // What was behind the forearm does not go along with it.
    let behind = [0.45, 0.43];
    assert!(apart(follows(mesh, &end, behind), behind) < 0.03);
    // Without joints the same path moves it as it is; pins alone hold it.
    let rigid = Entity {
        skeleton: None,
        ..entity.clone()
    };
    assert!(Rig::of(&rigid, &Picture::default(), SIZE).is_none());
    let [x, y] = person.place(Joint::RightHand);
    let held = Entity {
        trajectory: Some(Trajectory::pin(x, y)),
        ..entity
    };
    assert!(Rig::of(&held, &Picture::default(), SIZE).is_none());
}

#[test]
fn what_an_arm_hides_of_the_body_moves_with_the_body() {
    let person = person();
    let entity = led(&person);
    let (behind, motion) = BehindArms::of(&entity, &Picture::default(), 5, SIZE).unwrap();
    assert!(behind.hidden.contains(0.46, 0.38) && !behind.hidden.contains(0.5, 0.3));
    assert!(behind.body.contains(0.46, 0.38) && behind.body.contains(0.5, 0.3));
    assert!(
        !behind.body.contains(0.32, 0.35),
        "the upper arm hides nothing"
    );
    let Motion::Mesh { mesh, frames } = &motion else {
        panic!("it bends with the body")
    };
    let place = [0.46, 0.38];
    assert!(apart(follows(mesh, &frames[4], place), place) < 0.03);
    // The same as it is shown while the arm is dragged, whichever arm that will be.
    let (mask, nothing) = (&entity.mask, Picture::default());
    let whichever = BehindArms::whichever_is_led(mask, &person, &nothing, SIZE).unwrap();
    let all = |of: &Mask, within: &Mask| (of.alpha.iter().zip(&within.alpha)).all(|(a, b)| a <= b);
    assert!(all(&behind.hidden, &whichever.hidden));
    let paths: Vec<_> = entity.held_by().cloned().collect();
    let mut rig = Rig::behind_arms(mask, &person, &nothing, SIZE, paths).unwrap();
    assert_eq!(rig.at(1.0), frames[4]);
    assert!(
        BehindArms::of(
            &Entity {
                skeleton: None,
                ..entity
            },
            &Picture::default(),
            5,
            SIZE
        )
        .is_none()
    );
}

#[test]
fn arms_that_nobody_leads_are_not_cut_from_the_trunk() {
    let person = person();
    let leads = |joint: Joint| {
        let [x, y] = person.place(joint);
        Entity {
            trajectory: Some(Trajectory::line([x, y], [x + 0.1, y])),
            ..led(&person)
        }
    };
    // Who leans takes a forearm in front of the trunk along, and there is nothing behind it that is seen.
    let leaning = leads(Joint::Head);
    assert!(BehindArms::of(&leaning, &Picture::default(), 5, SIZE).is_none());
    let mut rig = Rig::of(&leaning, &Picture::default(), SIZE).unwrap();
    let end = rig.at(1.0);
    let away = |rig: &Rig, end: &[[f32; 2]]| {
        let [arm, trunk] = [[0.45, 0.375], [0.45, 0.43]].map(|at| {
            let to = follows(rig.mesh(), end, at);
            [to[0] - at[0], to[1] - at[1]]
        });
        apart(arm, trunk)
    };
    assert!(away(&rig, &end) < 0.02, "{}", away(&rig, &end));
    // One whose hand is led leaves it.
    let mut rig = Rig::of(&led(&person), &Picture::default(), SIZE).unwrap();
    let end = rig.at(1.0);
    assert!(away(&rig, &end) > 0.1);
    // Nothing at all is cut there, which a crack would show.
    let mask = mask(&person);
    let areas = Areas::new(&person, &mask, &Picture::default(), ASPECT).unwrap();
    assert!(!areas.joined([0.48, 0.4], [0.48, 0.46]));
    let edge: Vec<_> = (0..40)
        .map(|step| [0.48, 0.38 + 0.0025 * step as f32])
        .collect();
    let stiff = areas.led(|_| false);
    assert!(edge.windows(2).all(|pair| stiff.joined(pair[0], pair[1])));
    assert!(stiff.behind_arms(&mask).is_none());
}

#[test]
fn animals_that_were_taken_for_people_have_no_trunk_or_reach_beyond_their_bones() {
    let person = person();
    let own = mask(&person);
    assert!(person.has_a_trunk(ASPECT));
    assert!(person.explains(&own, ASPECT) > 0.95);
    assert_eq!(person.explains(&Mask::empty(9, 9), ASPECT), 0.0);
    // A bag, or a skirt, is explained as well; as much again as the person is not.
    let mut wide = own.clone();
    for (at, alpha) in wide.alpha.iter_mut().enumerate() {
        if at % 150 > 115 {
            *alpha = 255;
        }
    }
    assert!(person.explains(&wide, ASPECT) < 0.7);
    // Long legs beneath shoulders and hips in one place, as a horse has them.
    let mut horse = person.clone();
    for joint in [Joint::Neck, Joint::LeftShoulder, Joint::RightShoulder] {
        horse.places[joint as usize][1] = 0.46;
    }
    assert!(!horse.has_a_trunk(ASPECT));
    // Or a trunk that lies, and all that hangs from it goes down; a person who lies has limbs along it.
    let turned = |skeleton: &Skeleton| Skeleton {
        places: skeleton.places.map(|[x, y]| [y, x]),
        ..skeleton.clone()
    };
    let lying = turned(&person);
    assert!(!person.is_on_all_fours(ASPECT) && !lying.is_on_all_fours(ASPECT));
    let mut dog = lying;
    for limb in limbs() {
        let [x, y] = dog.place(limb[0]);
        for (step, joint) in limb.into_iter().enumerate().skip(1) {
            dog.places[joint as usize] = [x - 0.02, y + 0.15 * step as f32];
        }
    }
    assert!(dog.is_on_all_fours(ASPECT));
    assert!(
        turned(&dog).is_on_all_fours(ASPECT),
        "whichever way it is turned"
    );
    // Nobody knows of who hides all arms.
    for joint in Side::BOTH.map(|side| Joint::arm(side)[2]) {
        dog.visibility[joint as usize] = 0.1;
    }
    assert!(!dog.is_on_all_fours(ASPECT));
}
