//! What the camera leads, on a canvas: the picture or the plate, as something flat, or past the ground.

use dragentity_core::scene::ground::Ground;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// Draws an image over a canvas of this size, led by the camera by fractions of it: as something flat, or past the ground.
pub fn led(
    ctx: &CanvasRenderingContext2d,
    image: &HtmlCanvasElement,
    [w, h]: [f64; 2],
    by: [f32; 2],
    ground: Option<Ground>,
) {
    let rows = f64::from(image.height());
    let part = |from: f64, to: f64, x: f64, y: f64| {
        let _ = ctx.draw_image_with_html_canvas_element_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
            image,
            0.0,
            from,
            f64::from(image.width()),
            to - from,
            x,
            y + from / rows * h,
            w,
            (to - from) / rows * h,
        );
    };
    let Some(ground) = ground else {
        let [dx, dy] = [f64::from(by[0]) * w, f64::from(by[1]) * h];
        return part(0.0, rows, dx, dy);
    };
    let by = ground.led(by);
    let [dx, dy] = [f64::from(by[0]) * w, f64::from(by[1]) * h];
    let (horizon, slope) = (f64::from(ground.horizon()), f64::from(ground.slope()));
    let seam = (horizon.clamp(0.0, 1.0) * rows).floor();
    if seam > 0.0 {
        // A row more, or there would be a line between both.
        part(0.0, (seam + 1.0).min(rows), dx, dy);
    }
    ctx.save();
    let (per_pixel, at_top) = (slope / h, 1.0 - slope * horizon);
    let _ = ctx.transform(
        1.0,
        0.0,
        dx * per_pixel,
        1.0 + dy * per_pixel,
        dx * at_top,
        dy * at_top,
    );
    part(seam, rows, 0.0, 0.0);
    ctx.restore();
}
