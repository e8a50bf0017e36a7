//! Attention without its matrix: each unit goes through the keys for one query, with the sum of what it has seen and the
//! greatest score so far (Milakov and Gimelshein 2018; Dao et al. 2022, FlashAttention).

use super::Four;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Keys whose scores are compared at once.
const AT_ONCE: usize = 4;
/// Numbers of keys, and of values, that are in shared memory at once: 4 KiB of each.
const SHARED: usize = 1024;
/// The widest head: queries and sums are in registers.
const MAX_DIM: usize = 128;

/// Lower than any score.
const LOWEST: f32 = -1.0e30;

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Heads {
    /// Fours of a head's numbers.
    fours: usize,
    /// Units of a cube.
    units: usize,
    /// Keys in shared memory at once, a multiple of [`AT_ONCE`].
    tile: usize,
}

/// `softmax(q kᵀ / sqrt(dim)) v` along axis 1; `None` where a head is too wide, or its width no multiple of four.
///
/// # Shapes
/// - `q` and output: `[outer, queries, inner, dim]`
/// - `k`, `v`: `[outer, keys, inner, dim]`
pub(in super::super) fn attention<R: CubeRuntime>(
    q: CubeTensor<R>,
    k: CubeTensor<R>,
    v: CubeTensor<R>,
) -> Option<CubeTensor<R>> {
    let shape = q.meta.shape().clone();
    let [outer, queries, inner, dim] = [shape[0], shape[1], shape[2], shape[3]];
    let keys = k.meta.shape()[1];
    if dim % 4 != 0 || dim > MAX_DIM || keys == 0 || queries == 0 {
        return None;
    }
    let (q, k, v) = (into_contiguous(q), into_contiguous(k), into_contiguous(v));
    let y = super::empty(&q, shape);
    let client = q.client.clone();
    let dtype = q.dtype.into();
    let fours = dim / 4;
    let scale = 1.0 / (dim as f32).sqrt();
    let (args, sizes) = (
        (
            q.into_array_arg(),
            k.into_array_arg(),
            v.into_array_arg(),
            y.clone().into_array_arg(),
        ),
        (queries as u32, keys as u32, inner as u32),
    );
    if queries < 32 {
        let all = outer * queries * inner;
        // SAFETY: a unit beyond the last query ends at once; the others read and write rows of their own head.
        #[allow(unsafe_code, reason = "every read is within its tensor")]
        unsafe {
            attend_alone::launch_unchecked(
                &client,
                super::count_1d(all.div_ceil(64)),
                CubeDim::new_1d(64),
                args.0,
                args.1,
                args.2,
                args.3,
                sizes.0,
                sizes.1,
                sizes.2,
                all as u32,
                scale,
                fours,
                dtype,
            );
        }
        return Some(y);
    }
    let heads = Heads {
        fours,
        units: if queries > 64 { 128 } else { 64 },
        tile: (SHARED / dim / AT_ONCE * AT_ONCE).clamp(AT_ONCE, 32),
    };
    let pieces = queries.div_ceil(heads.units);
    // SAFETY: rows beyond the last query are neither read nor written, keys beyond the last one not read.
    #[allow(unsafe_code, reason = "every read is within its tensor")]
    unsafe {
        attend_together::launch_unchecked(
            &client,
            super::count(pieces, outer * inner),
            CubeDim::new_1d(heads.units as u32),
            args.0,
            args.1,
            args.2,
            args.3,
            sizes.0,
            sizes.1,
            sizes.2,
            (outer * inner) as u32,
            scale,
            heads,
            dtype,
        );
    }
    Some(y)
}

/// Queries of one head of one element of the outer axis, a unit each. The keys come by way of shared memory.
#[cube(launch_unchecked)]
fn attend_together<F: Float>(
    q: &Array<Vector<F, Const<4>>>,
    k: &Array<Vector<F, Const<4>>>,
    v: &Array<Vector<F, Const<4>>>,
    y: &mut Array<Vector<F, Const<4>>>,
    queries: u32,
    keys: u32,
    inner: u32,
    heads_in_all: u32,
    scale: f32,
    #[comptime] heads: Heads,
    #[define(F)] _dtype: StorageType,
) {
    let fours = comptime!(heads.fours);
    let width = comptime!(heads.fours as u32);
    let tile = comptime!(heads.tile as u32);
    let units = comptime!(heads.units as u32);

    let head = CUBE_POS_Y + CUBE_POS_Z * CUBE_COUNT_Y;
    if head >= heads_in_all {
        terminate!();
    }
    let outer = head / inner;
    let lane = head % inner;
    let row = CUBE_POS_X * units + UNIT_POS;
    let mine = ((outer * queries + row) * inner + lane) * width;

    let mut shared_keys = SharedMemory::<Four>::new(comptime!(heads.tile * heads.fours));
    let mut shared_values = SharedMemory::<Four>::new(comptime!(heads.tile * heads.fours));

    let mut query = Array::<Four>::new(fours);
    let mut sums = Array::<Four>::new(fours);
    #[unroll]
    for i in 0..fours {
        query[i] = Four::new(0.0);
        sums[i] = Four::new(0.0);
    }
    if row < queries {
        #[unroll]
        for i in 0..fours {
            query[i] = Four::cast_from(q[mine as usize + i]) * Four::new(scale);
        }
    }
    let mut most = f32::new(LOWEST);
    let mut total = 0.0f32;
    let mut scores = Array::<f32>::new(comptime!(AT_ONCE));

    let mut start = 0u32;
    while start < keys {
        let mut at = UNIT_POS;
        while at < comptime!((heads.tile * heads.fours) as u32) {
            let key = start + at / width;
            let mut one = Four::new(0.0);
            let mut other = Four::new(0.0);
            if key < keys {
                let from = ((outer * keys + key) * inner + lane) * width + at % width;
                one = Four::cast_from(k[from as usize]);
                other = Four::cast_from(v[from as usize]);
            }
            shared_keys[at as usize] = one;
            shared_values[at as usize] = other;
            at += units;
        }
        sync_cube();

        for group in 0..comptime!((heads.tile / AT_ONCE) as u32) {
            let first = group * comptime!(AT_ONCE as u32);
            let mut greatest = most;
            #[unroll]
            for j in 0..comptime!(AT_ONCE) {
                let key = first + j as u32;
                let mut products = Four::new(0.0);
                #[unroll]
                for i in 0..fours {
                    products = fma(query[i], shared_keys[(key * width) as usize + i], products);
                }
                let score = products[0] + products[1] + (products[2] + products[3]);
                scores[j] = select(start + key < keys, score, f32::new(LOWEST));
                greatest = max(greatest, scores[j]);
            }
            // Seldom after the first keys.
            if greatest > most {
                let fade = (most - greatest).exp();
                most = greatest;
                total *= fade;
                let fade = Four::new(fade);
                #[unroll]
                for i in 0..fours {
                    sums[i] = sums[i] * fade;
                }
            }
            #[unroll]
            for j in 0..comptime!(AT_ONCE) {
                let key = first + j as u32;
                let share = (scores[j] - most).exp();
                total += share;
                let share = Four::new(share);
                #[unroll]
                for i in 0..fours {
                    sums[i] = fma(share, shared_values[(key * width) as usize + i], sums[i]);
                }
            }
        }
        sync_cube();
        start += tile;
    }

    if row < queries {
        let share = Four::new(1.0 / total);
        #[unroll]
        for i in 0..fours {
            y[mine as usize + i] = Vector::cast_from(sums[i] * share);
        }
    }
}

/// Few queries with few keys, in many places: a unit for each query of each place. Neighbouring units have the same keys.
#[cube(launch_unchecked)]
fn attend_alone<F: Float>(
    q: &Array<Vector<F, Const<4>>>,
    k: &Array<Vector<F, Const<4>>>,
    v: &Array<Vector<F, Const<4>>>,
    y: &mut Array<Vector<F, Const<4>>>,
    queries: u32,
    keys: u32,
    inner: u32,
    all: u32,
    scale: f32,
    #[comptime] fours: usize,
    #[define(F)] _dtype: StorageType,
) {
    let unit = ABSOLUTE_POS as u32;
    if unit >= all {
        terminate!();
    }
    let width = comptime!(fours as u32);
    let row = unit % queries;
    let lane = unit / queries % inner;
    let outer = unit / queries / inner;
    let mine = ((outer * queries + row) * inner + lane) * width;

    let mut query = Array::<Four>::new(fours);
    let mut sums = Array::<Four>::new(fours);
    #[unroll]
    for i in 0..fours {
        query[i] = Four::cast_from(q[mine as usize + i]) * Four::new(scale);
        sums[i] = Four::new(0.0);
    }
    let mut most = f32::new(LOWEST);
    let mut total = 0.0f32;
    for key in 0..keys {
        let from = ((outer * keys + key) * inner + lane) * width;
        let mut products = Four::new(0.0);
        #[unroll]
        for i in 0..fours {
            products = fma(query[i], Four::cast_from(k[from as usize + i]), products);
        }
        let score = products[0] + products[1] + (products[2] + products[3]);
        let greatest = max(most, score);
        let fade = (most - greatest).exp();
        let share = (score - greatest).exp();
        most = greatest;
        total = total * fade + share;
        let (fade, share) = (Four::new(fade), Four::new(share));
        #[unroll]
        for i in 0..fours {
            sums[i] = fma(share, Four::cast_from(v[from as usize + i]), sums[i] * fade);
        }
    }
    let share = Four::new(1.0 / total);
    #[unroll]
    for i in 0..fours {
        y[mine as usize + i] = Vector::cast_from(sums[i] * share);
    }
}
