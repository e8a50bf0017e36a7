//! People for the human parser to learn from: a skeleton in space, posed and turned, seen as shapes one in front of the
//! other. [`super::figure`]'s figures are flat and face the viewer; these know front from back, and so left from right.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::appearance::{Limb, Worn};
use dragentity_core::scene::parts::{Part, Side};

pub(super) type Vector = [f32; 3];

/// Something to wear, or skin, or hair: gives the look of a shape.
pub(super) type Cloth<'a> = Box<dyn Fn(&mut ChaCha8Rng, Limb) -> Worn<'a> + 'a>;

/// What a person wears.
pub(super) struct Outfit<'a> {
    pub skin: Cloth<'a>,
    pub hair: Cloth<'a>,
    pub shirt: Cloth<'a>,
    pub trousers: Cloth<'a>,
    pub shoes: Cloth<'a>,
    /// Hat, scarf or skirt.
    pub other: Cloth<'a>,
}

/// One shape of a person.
pub(super) struct Shape<'a> {
    /// The part it belongs to.
    pub part: Part,
    /// Where its origin is, in heights of the person, y down.
    pub at: [f32; 2],
    /// What it looks like, in the same unit.
    pub look: Worn<'a>,
    depth: f32,
}

/// A person, its shapes back to front.
pub(super) struct Person<'a> {
    pub shapes: Vec<Shape<'a>>,
    /// How far down its knees, hips and chest are: where pictures end that do not show all of it.
    pub cuts: [f32; 3],
}

pub(super) fn add(a: Vector, b: Vector) -> Vector {
    [0, 1, 2].map(|i| a[i] + b[i])
}

pub(super) fn times(a: Vector, factor: f32) -> Vector {
    a.map(|v| v * factor)
}

fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// A unit vector turned by an angle towards another vector.
pub(super) fn bent(direction: Vector, towards: Vector, angle: f32) -> Vector {
    let aside = add(towards, times(direction, -dot(towards, direction)));
    let length = dot(aside, aside).sqrt();
    if length < 1e-3 {
        return direction;
    }
    add(
        times(direction, angle.cos()),
        times(aside, angle.sin() / length),
    )
}

/// Turned about the upright axis, then tipped towards the viewer, then turned in the picture.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub yaw: f32,
    pub pitch: f32,
    pub roll: f32,
}

impl Turn {
    pub(super) fn of(self, [x, y, z]: Vector) -> Vector {
        let (s, c) = self.yaw.sin_cos();
        let (x, z) = (x * c - z * s, x * s + z * c);
        let (s, c) = self.pitch.sin_cos();
        let (y, z) = (y * c - z * s, y * s + z * c);
        let (s, c) = self.roll.sin_cos();
        [x * c - y * s, x * s + y * c, z]
    }
}

/// What somebody is doing.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Standing,
    Walking,
    Sitting,
    Anything,
}

/// In the person's own coordinates x is its left, y down, z forward; origin between the hips.
pub(super) const DOWN: Vector = [0.0, 1.0, 0.0];
pub(super) const FORWARD: Vector = [0.0, 0.0, 1.0];

struct Builder<'a, 'o> {
    rng: &'o mut ChaCha8Rng,
    outfit: &'o Outfit<'a>,
    turn: Turn,
    bulk: f32,
    shapes: Vec<Shape<'a>>,
}

impl<'a> Builder<'a, '_> {
    fn range(&mut self, from: f32, to: f32) -> f32 {
        self.rng.random_range(from..to)
    }

    /// A shape between two places, nearer by `nearer` than it is.
    fn shape(
        &mut self,
        part: Part,
        [from, to]: [Vector; 2],
        radii: [f32; 2],
        cloth: &Cloth<'a>,
        nearer: f32,
    ) {
        let (a, b) = (self.turn.of(from), self.turn.of(to));
        let limb = Limb {
            end: [b[0] - a[0], b[1] - a[1]],
            radii: radii.map(|r| r * self.bulk),
            colour: [0.5; 3],
            second: [0.5; 3],
            stripe: 1.0,
        };
        let look = cloth(self.rng, limb);
        self.shapes.push(Shape {
            part,
            at: [a[0], a[1]],
            look,
            depth: (a[2] + b[2]) / 2.0 + nearer,
        });
    }

    /// Arm of a side, from its shoulder.
    fn arm(&mut self, side: Side, shoulder: Vector, doing: Doing) {
        let outfit = self.outfit;
        let out = [if side == Side::Left { 1.0 } else { -1.0 }, 0.0, 0.0];
        let lifted = self.rng.random_bool(0.2);
        let aside = match doing {
            _ if lifted => self.range(0.3, 2.8),
            Doing::Anything => self.range(0.0, 2.6),
            _ => self.range(0.02, 0.45),
        };
        let forward = match doing {
            Doing::Anything => self.range(-0.7, 2.2),
            Doing::Walking => self.range(-0.7, 0.8),
            _ if lifted => self.range(-0.3, 1.8),
            _ => self.range(-0.25, 0.4),
        };
        let upper = bent(bent(DOWN, out, aside), FORWARD, forward);
        let crook = if self.rng.random_bool(0.5) {
            self.range(0.0, 0.5)
        } else {
            self.range(0.3, 2.3)
        };
        let inward = self.range(-1.2, 0.4);
        let raised = self.range(-0.9, 0.3);
        let lower = bent(
            upper,
            add(FORWARD, add(times(out, inward), [0.0, raised, 0.0])),
            crook,
        );
        let [u, l] = side.arm();
        let elbow = add(shoulder, times(upper, 0.17));
        let wrist = add(elbow, times(lower, 0.145));
        let tip = add(wrist, times(lower, 0.05));
        let loose = self.range(0.9, 1.35);
        let [long, bare] = [self.rng.random_bool(0.5), self.rng.random_bool(0.12)];
        let near = self.range(-0.03, 0.04);
        let sleeve = if bare { &outfit.skin } else { &outfit.shirt };
        self.shape(
            u,
            [shoulder, elbow],
            [0.036 * loose, 0.031 * loose],
            sleeve,
            near,
        );
        let under = if long { &outfit.shirt } else { &outfit.skin };
        self.shape(
            l,
            [elbow, wrist],
            [0.03 * if long { loose } else { 1.0 }, 0.022],
            under,
            near + 0.004,
        );
        let gloved = self.rng.random_bool(0.06);
        let hand = if gloved { &outfit.other } else { &outfit.skin };
        let size = self.range(0.019, 0.028);
        self.shape(l, [wrist, tip], [size, 0.018], hand, near + 0.008);
    }

    /// Leg of a side, from its hip; returns the knee.
    fn leg(
        &mut self,
        side: Side,
        hip: Vector,
        doing: Doing,
        lengths: [f32; 2],
        bare: bool,
    ) -> Vector {
        let outfit = self.outfit;
        let out = [if side == Side::Left { 1.0 } else { -1.0 }, 0.0, 0.0];
        let (aside, forward, crook) = match doing {
            Doing::Standing => (
                self.range(-0.04, 0.22),
                self.range(-0.1, 0.15),
                self.range(0.0, 0.15),
            ),
            Doing::Walking => (
                self.range(-0.04, 0.1),
                self.range(-0.45, 0.55),
                self.range(0.0, 0.7),
            ),
            Doing::Sitting => (
                self.range(-0.1, 0.45),
                self.range(1.1, 1.6),
                self.range(0.9, 1.8),
            ),
            Doing::Anything => (
                self.range(-0.1, 0.9),
                self.range(-0.6, 1.6),
                self.range(0.0, 1.8),
            ),
        };
        let upper = bent(bent(DOWN, out, aside), FORWARD, forward);
        let lower = bent(upper, times(FORWARD, -1.0), crook);
        let [u, l, f] = side.leg();
        let knee = add(hip, times(upper, lengths[0]));
        let ankle = add(knee, times(lower, lengths[1]));
        let splay = self.range(-0.1, 0.7);
        let ahead = bent(lower, add(FORWARD, times(out, splay)), 1.35);
        let toe = add(ankle, times(ahead, 0.085));
        let loose = self.range(0.9, 1.35);
        // What is worn hides where the legs begin.
        let behind = -0.06;
        self.shape(
            u,
            [hip, knee],
            [0.062 * loose, 0.046 * loose],
            &outfit.trousers,
            behind,
        );
        let under = if bare { &outfit.skin } else { &outfit.trousers };
        let loose = if bare { 1.0 } else { loose };
        self.shape(
            l,
            [knee, ankle],
            [0.044 * loose, 0.029 * loose],
            under,
            behind - 0.004,
        );
        let heel = add(ankle, add(times(ahead, -0.012), times(lower, 0.012)));
        let barefoot = self.rng.random_bool(0.1);
        let shoe = if barefoot {
            &outfit.skin
        } else {
            &outfit.shoes
        };
        self.shape(f, [heel, toe], [0.032, 0.022], shoe, behind + 0.01);
        knee
    }

    /// Head and neck on the neck's base.
    fn head(&mut self, base: Vector, size: f32) {
        let outfit = self.outfit;
        let radius = 0.064 * size / self.bulk;
        let real = 0.064 * size;
        let yaw = self.range(-0.7, 0.7);
        let nod = self.range(-0.3, 0.35);
        let tilt = self.range(-0.2, 0.2);
        let own = Turn {
            yaw,
            pitch: nod,
            roll: tilt,
        };
        let up = own.of([0.0, -1.0, 0.0]);
        let ahead = own.of(FORWARD);
        let left = own.of([1.0, 0.0, 0.0]);
        let place = |u: f32, f: f32, l: f32| {
            let aside = add(times(up, u), add(times(ahead, f), times(left, l)));
            add(base, times(aside, real))
        };
        let middle = 1.0 + 0.45 / size;
        self.shape(
            Part::Head,
            [base, place(middle, 0.1, 0.0)],
            [0.55 * radius, 0.5 * radius],
            &outfit.skin,
            0.01,
        );
        // Everything on the head is nearer than neck and trunk, in an order that hangs on where it looks.
        let near = 0.06;
        let shows = self.turn.of(ahead)[2];
        let [bald, long] = [self.rng.random_bool(0.07), self.rng.random_bool(0.4)];
        if !bald {
            let mass = self.range(1.03, 1.22);
            let order = if shows > 0.0 {
                near - 0.03
            } else {
                near + 0.03
            };
            let crown = [
                place(middle + 0.2, -0.25, 0.0),
                place(middle - 0.1, -0.3, 0.0),
            ];
            self.shape(
                Part::Head,
                crown,
                [mass * radius, 0.95 * mass * radius],
                &outfit.hair,
                order,
            );
            if long {
                let to = self.range(-1.6, 0.3);
                let fall = [place(middle, -0.4, 0.0), place(to, -0.5, 0.0)];
                let order = if shows > 0.0 { -0.03 } else { near + 0.02 };
                self.shape(
                    Part::Head,
                    fall,
                    [radius, 0.7 * radius],
                    &outfit.hair,
                    order,
                );
            }
        }
        let face = [
            place(middle + 0.1, 0.15, 0.0),
            place(middle - 0.45, 0.25, 0.0),
        ];
        self.shape(
            Part::Head,
            face,
            [0.95 * radius, 0.72 * radius],
            &outfit.skin,
            near,
        );
        if !bald {
            let fringe = self.range(0.55, 0.85);
            let top = place(middle + 0.62, -0.05, 0.0);
            self.shape(
                Part::Head,
                [top, top],
                [fringe * radius; 2],
                &outfit.hair,
                near + 0.002,
            );
        }
        if shows > -0.15 {
            let brows = self.range(0.06, 0.16);
            for l in [-0.36, 0.36] {
                let eye = place(middle + 0.05, 0.85, l);
                // One that is turned away is behind the face.
                if self.turn.of(add(eye, times(base, -1.0)))[2] > 0.2 * real {
                    self.shape(
                        Part::Head,
                        [eye, eye],
                        [brows * radius; 2],
                        &outfit.hair,
                        near + 0.01,
                    );
                }
            }
            let mouth = [
                place(middle - 0.45, 0.85, -0.2),
                place(middle - 0.45, 0.85, 0.2),
            ];
            self.shape(
                Part::Head,
                mouth,
                [0.07 * radius; 2],
                &outfit.other,
                near + 0.01,
            );
        }
        if self.rng.random_bool(0.16) {
            let brim = self.range(0.9, 1.5);
            let hat = [
                place(middle + 0.75, 0.0, -brim * 0.6),
                place(middle + 0.75, 0.0, brim * 0.6),
            ];
            let crown = place(middle + 0.9, -0.1, 0.0);
            self.shape(
                Part::Head,
                hat,
                [0.3 * radius; 2],
                &outfit.other,
                near + 0.04,
            );
            self.shape(
                Part::Head,
                [crown, crown],
                [0.85 * radius; 2],
                &outfit.other,
                near + 0.041,
            );
        }
    }
}

impl<'a> Person<'a> {
    /// Somebody, somehow.
    pub(super) fn random(rng: &mut ChaCha8Rng, outfit: &Outfit<'a>) -> Self {
        let doing = match rng.random_range(0..20) {
            0..8 => Doing::Standing,
            8..13 => Doing::Walking,
            13..16 => Doing::Sitting,
            _ => Doing::Anything,
        };
        let tau = std::f32::consts::TAU;
        // Most pictures are of people who face them.
        let yaw = match rng.random_range(0..10) {
            0..6 => rng.random_range(-0.7..0.7),
            6..8 => rng.random_range(0.0..tau),
            _ => tau / 2.0 + rng.random_range(-0.8..0.8f32),
        };
        let roll = match rng.random_range(0..20) {
            0..17 => rng.random_range(-0.15..0.15),
            17..19 => rng.random_range(-0.8..0.8),
            _ => rng.random_range(0.0..tau),
        };
        let turn = Turn {
            yaw,
            pitch: rng.random_range(-0.3..0.3),
            roll,
        };
        // Children, dolls and drawings have large heads and short legs.
        let young = if rng.random_bool(0.25) {
            rng.random_range(0.3..1.0)
        } else {
            0.0f32
        };
        let bulk = rng.random_range(0.8..1.4);
        let mut builder = Builder {
            rng,
            outfit,
            turn,
            bulk,
            shapes: Vec::new(),
        };
        let b = &mut builder;
        let lean = match doing {
            Doing::Anything => b.range(-0.3, 0.9),
            _ => b.range(-0.1, 0.25),
        };
        let sideways = b.range(-0.12, 0.12);
        let spine = bent(
            bent([0.0, -1.0, 0.0], FORWARD, lean),
            [1.0, 0.0, 0.0],
            sideways,
        );
        let length = b.range(0.25, 0.31);
        let neck = times(spine, length);
        let across = b.range(0.085, 0.12);
        let shoulders = [-across, across].map(|x| add(times(spine, length - 0.025), [x, 0.0, 0.0]));
        let hips = [-0.05, 0.05].map(|x| [x * b.bulk.sqrt(), 0.015, 0.0]);
        let front = turn.yaw.cos().abs();
        let (chest, waist) = (0.062 + 0.022 * front, 0.058 + 0.018 * front);

        // Trunk, shoulders and hips are one part.
        b.shape(
            Part::Torso,
            [times(spine, length - 0.06), times(spine, 0.03)],
            [chest, waist],
            &outfit.shirt,
            0.0,
        );
        b.shape(Part::Torso, shoulders, [0.042; 2], &outfit.shirt, 0.002);
        let tucked = b.rng.random_bool(0.6);
        let below = if tucked {
            &outfit.trousers
        } else {
            &outfit.shirt
        };
        let order = if tucked { -0.01 } else { 0.004 };
        b.shape(Part::Torso, hips, [0.062; 2], below, order);
        if b.rng.random_bool(0.3) {
            // An open collar or a scarf.
            let open = add(neck, times(FORWARD, 0.04));
            let cloth = if b.rng.random_bool(0.5) {
                &outfit.skin
            } else {
                &outfit.other
            };
            b.shape(
                Part::Torso,
                [add(open, [0.0, 0.01, 0.0]), add(open, [0.0, 0.05, 0.0])],
                [0.035, 0.012],
                cloth,
                0.003,
            );
        }

        for (side, shoulder) in [(Side::Right, shoulders[0]), (Side::Left, shoulders[1])] {
            b.arm(side, shoulder, doing);
        }
        let legs = [b.range(0.21, 0.255), b.range(0.21, 0.25)].map(|l| l * (1.0 - 0.35 * young));
        let skirt = b.rng.random_bool(0.18);
        let bare = skirt || b.rng.random_bool(0.25);
        let knees = [(Side::Right, hips[0]), (Side::Left, hips[1])]
            .map(|(side, hip)| b.leg(side, hip, doing, legs, bare));
        if skirt {
            let hem = times(add(knees[0], knees[1]), b.range(0.3, 0.6));
            let flare = b.range(0.07, 0.13);
            let dress = b.rng.random_bool(0.5);
            let cloth = if dress { &outfit.shirt } else { &outfit.other };
            b.shape(
                Part::Torso,
                [[0.0, 0.0, 0.0], hem],
                [0.07, flare],
                cloth,
                0.05,
            );
        }
        b.head(neck, 1.0 + 0.8 * young);

        let low = |places: &[Vector]| {
            let sum: f32 = places.iter().map(|p| turn.of(*p)[1]).sum();
            sum / places.len() as f32
        };
        let cuts = [low(&knees), low(&hips), low(&[times(spine, 0.6 * length)])];
        let mut shapes = builder.shapes;
        shapes.sort_by(|a, b| a.depth.total_cmp(&b.depth));
        Self { shapes, cuts }
    }

    /// Left, top, right and bottom of all of it.
    pub(super) fn bounds(&self) -> [f32; 4] {
        let mut all = [
            f32::INFINITY,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NEG_INFINITY,
        ];
        for shape in &self.shapes {
            let limb = &shape.look.limb;
            for (along, radius) in [(0.0, limb.radii[0]), (1.0, limb.radii[1])] {
                for axis in 0..2 {
                    let at = shape.at[axis] + along * limb.end[axis];
                    all[axis] = all[axis].min(at - radius);
                    all[axis + 2] = all[axis + 2].max(at + radius);
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn outfit() -> Outfit<'static> {
        fn cloth() -> Cloth<'static> {
            Box::new(|_, limb| Worn {
                limb,
                texture: None,
                light: [0.0; 2],
            })
        }
        Outfit {
            skin: cloth(),
            hair: cloth(),
            shirt: cloth(),
            trousers: cloth(),
            shoes: cloth(),
            other: cloth(),
        }
    }

    #[test]
    fn people_have_all_parts_and_stand_on_their_feet() {
        for seed in 0..40 {
            let person = Person::random(&mut ChaCha8Rng::seed_from_u64(seed), &outfit());
            for part in Part::ALL {
                assert!(
                    person.shapes.iter().any(|s| s.part == part),
                    "{seed}: {part}"
                );
            }
            let [left, top, right, bottom] = person.bounds();
            assert!(
                (0.4..1.6).contains(&(right - left).max(bottom - top)),
                "{seed}"
            );
            let depths: Vec<f32> = person.shapes.iter().map(|s| s.depth).collect();
            assert!(depths.is_sorted());
        }
    }

    #[test]
    fn who_faces_the_viewer_has_its_left_to_the_right() {
        let facing = |yaw| Turn {
            yaw,
            pitch: 0.0,
            roll: 0.0,
        };
        let left = [1.0, 0.0, 0.0];
        assert!(facing(0.0).of(left)[0] > 0.9 && facing(std::f32::consts::PI).of(left)[0] < -0.9);
        // Who looks to the left of the picture shows the viewer its left side.
        let turned = facing(std::f32::consts::FRAC_PI_2);
        assert!(turned.of(FORWARD)[0] < -0.9 && turned.of(left)[2] > 0.9);
    }
}
