//! How far it is to something marked.

/// How many steps, also diagonal ones, it is to the next marked pixel.
pub(super) fn distance_to(width: usize, height: usize, marked: &[bool]) -> Vec<u32> {
    const FAR: u32 = u32::MAX / 2;
    let mut far: Vec<u32> = marked.iter().map(|&m| if m { 0 } else { FAR }).collect();
    let mut take = |x: usize, y: usize, neighbours: [(i32, i32); 4]| {
        for (dx, dy) in neighbours {
            let (nx, ny) = (x as i32 + dx, y as i32 + dy);
            if nx >= 0 && ny >= 0 && nx < width as i32 && ny < height as i32 {
                let theirs = far[ny as usize * width + nx as usize] + 1;
                let own = &mut far[y * width + x];
                *own = theirs.min(*own);
            }
        }
    };
    for y in 0..height {
        for x in 0..width {
            take(x, y, [(-1, 0), (-1, -1), (0, -1), (1, -1)]);
        }
    }
    for y in (0..height).rev() {
        for x in (0..width).rev() {
            take(x, y, [(1, 0), (1, 1), (0, 1), (-1, 1)]);
        }
    }
    far
}
