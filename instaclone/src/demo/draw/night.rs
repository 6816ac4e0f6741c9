//! Night: cities, northern lights, the moon over hills, lights behind a wet window.

use std::f32::consts::TAU;

use tiny_skia::{BlendMode, Color};

use super::canvas::{Canvas, below, circle, ellipse, faded, hex, line, mix, rect, shade};
use super::random::{Random, Wander};

const DARK: [[u32; 4]; 4] = [
    [0x070B1E, 0x101A3C, 0x24305E, 0x4A4A7C],
    [0x050A18, 0x0B1C33, 0x14395A, 0x2E6278],
    [0x0D0820, 0x201340, 0x45235E, 0x8A4068],
    [0x06101A, 0x0C2230, 0x1A3D48, 0x3F6B66],
];

fn night_sky(canvas: &mut Canvas, horizon: f32, random: &mut Random) -> [Color; 4] {
    let sky = random.pick(&DARK).map(hex);
    let end = horizon / canvas.height;
    canvas.sky(&[(0.0, sky[0]), (end * 0.45, sky[1]), (end * 0.8, sky[2]), (end, sky[3]), (1.0, sky[3])]);
    sky
}

fn stars(canvas: &mut Canvas, count: usize, bottom: f32, random: &mut Random) {
    for _ in 0..count {
        let part = random.unit();
        let (x, y) = (random.unit() * canvas.width, part * bottom);
        let bright = random.unit().powi(3);
        let color = mix(hex(0xFFFFFF), hex(*random.pick(&[0xFFD9B0, 0xB8CCFF, 0xFFFFFF])), 0.6);
        canvas
            .fill(circle(x, y, 0.8 + 1.9 * bright), faded(color, (0.25 + 0.7 * bright) * (1.0 - 0.6 * part)));
        if bright > 0.86 {
            canvas.glow((x, y), 15.0, faded(color, 0.5), BlendMode::Screen);
        }
    }
}

/// A skyline with lit windows, reflected in water.
pub fn city(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let shore = h * random.within(0.66, 0.74);
    let sky = night_sky(canvas, shore, random);
    stars(canvas, 90, shore * 0.6, random);
    let lamp = hex(*random.pick(&[0xFFB35C, 0xFF8E6E, 0xFFC98A, 0xF59BC0]));
    canvas.glow((w * random.within(0.25, 0.75), shore), w * 0.75, faded(lamp, 0.40), BlendMode::Screen);
    for layer in 0..3 {
        let near = layer as f32 / 2.0;
        let color = mix(mix(sky[3], lamp, 0.15), sky[0], 0.30 + 0.62 * near);
        let mut x = -random.within(0.0, 60.0);
        let center = w * random.within(0.3, 0.7);
        while x < w {
            let width = random.within(44.0, 105.0) * (0.7 + 0.4 * near);
            let middle = (-((x - center) / (w * 0.30)).powi(2)).exp();
            let tall = h
                * (0.07
                    + (0.34 - 0.14 * near) * middle * random.within(0.55, 1.0)
                    + random.within(0.0, 0.09));
            let top = shore - tall;
            canvas.fill_down(rect(x, top, width, tall + 1.0), (top, color), (shore, mix(color, lamp, 0.14)));
            if random.chance(0.22) {
                canvas.stroke(
                    line(&[(x + width / 2.0, top), (x + width / 2.0, top - tall * 0.22)]),
                    2.5,
                    color,
                );
                canvas.glow(
                    (x + width / 2.0, top - tall * 0.22),
                    13.0,
                    faded(hex(0xFF5A4A), 0.9),
                    BlendMode::Screen,
                );
            }
            windows(canvas, (x, top, width, tall), near, lamp, random);
            x += width + random.within(-6.0, 12.0);
        }
    }
    canvas.mirror(shore, 1.0, 0.75);
    let deep = sky[0];
    canvas.veil(shore, h, &[(0.0, faded(deep, 0.15)), (1.0, faded(deep, 0.80))], BlendMode::SourceOver);
    for _ in 0..170 {
        let part = random.unit();
        let y = shore + 3.0 + (h - shore) * part;
        let color = if random.chance(0.45) { mix(lamp, hex(0xFFFFFF), 0.2) } else { deep };
        let alpha = if color == deep { 0.30 } else { 0.16 };
        canvas.fill(
            ellipse(random.unit() * w, y, random.within(20.0, 130.0) * (0.4 + part), 0.8 + 2.2 * part),
            faded(color, alpha),
        );
    }
}

fn windows(
    canvas: &mut Canvas,
    (x, top, width, tall): (f32, f32, f32, f32),
    near: f32,
    lamp: Color,
    random: &mut Random,
) {
    let (step_x, step_y) = (9.0 + 4.0 * near, 13.0 + 5.0 * near);
    let lit = 0.16 + 0.20 * random.unit();
    let mut y = top + 9.0;
    while y < top + tall - 8.0 {
        let mut at = x + 6.0;
        while at < x + width - 8.0 {
            if random.chance(lit) {
                let color =
                    mix(lamp, hex(*random.pick(&[0xFFF2CC, 0xFFE2A8, 0xCFE6FF])), random.unit() * 0.8);
                canvas
                    .fill(rect(at, y, step_x * 0.5, step_y * 0.48), faded(color, 0.35 + 0.6 * random.unit()));
            }
            at += step_x;
        }
        y += step_y;
    }
}

/// Curtains of green and violet light over a dark land.
pub fn aurora(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let horizon = h * random.within(0.76, 0.84);
    canvas.sky(&[(0.0, hex(0x050818)), (0.5, hex(0x0A1A32)), (0.85, hex(0x153A4A)), (1.0, hex(0x1A4550))]);
    stars(canvas, 260, horizon, random);
    let mut soft = Canvas::new((w / 3.0) as u32, (h / 3.0) as u32);
    let hues = *random.pick(&[[0x4DFFB0_u32, 0x8A6BFF], [0x62F5C0, 0xE06BD8], [0x9BFF8A, 0x4FB8FF]]);
    for curtain in 0..3 {
        let wander = Wander::new(random, 3, 0.45);
        let flicker = Wander::new(random, 4, 0.7);
        let base = soft.height * (0.62 - 0.15 * curtain as f32 + random.within(-0.05, 0.05));
        let bends = random.within(1.2, 2.2);
        let mut x = -4.0;
        while x < soft.width + 4.0 {
            let u = x / soft.width;
            let foot = base + soft.height * 0.16 * wander.at(u * bends);
            let strength =
                (0.55 + 0.6 * flicker.at(u * 13.0)).clamp(0.05, 1.0) * (0.75 - 0.18 * curtain as f32);
            let tall = soft.height * (0.30 + 0.22 * flicker.at(u * 5.0 + 40.0)).max(0.12);
            let (low, high) = (hex(hues[0]), hex(hues[1]));
            let stops = [
                (0.0, faded(high, 0.0)),
                (0.45, faded(high, 0.16 * strength)),
                (0.86, faded(low, 0.42 * strength)),
                (1.0, faded(low, 0.0)),
            ];
            soft.column(x, 5.0, foot - tall, foot, &stops);
            x += 2.5;
        }
    }
    let wide = soft.blurred(3);
    canvas.overlay(&wide, 1.0, BlendMode::Screen);
    canvas.overlay(&soft, 0.85, BlendMode::Screen);
    for layer in 0..3 {
        let near = layer as f32 / 2.0;
        let wander = Wander::new(random, 6, 0.5);
        let base = horizon + h * 0.07 * near;
        let edge = |x: f32| base - h * (0.10 - 0.07 * near) * (wander.at(x / w * (2.0 + 3.0 * near)) + 0.3);
        canvas.fill_down(
            below(w, h, 3.0, edge),
            (base - h * 0.1, mix(hex(0x1D4A52), hex(0x040A14), 0.45 + 0.55 * near)),
            (h, hex(0x03070F)),
        );
    }
}

/// A large moon over hills, with stars.
pub fn moon(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let horizon = h * random.within(0.70, 0.80);
    let sky = night_sky(canvas, horizon, random);
    stars(canvas, 230, horizon, random);
    let haze = mix(sky[2], sky[3], 0.5);
    let mut nebula = Canvas::noise(
        (w / 5.0) as u32,
        (h / 5.0) as u32,
        (3.0, 4.0),
        0.5,
        mix(sky[3], hex(0xFFFFFF), 0.15),
        random,
    );
    nebula.fade(0.0, 0.2, 0.5, 0.8);
    canvas.overlay(&nebula, 0.22, BlendMode::Screen);
    let radius = h.min(w) * random.within(0.09, 0.16);
    let at = (w * random.within(0.28, 0.72), horizon * random.within(0.32, 0.58));
    let pale = mix(hex(0xFFF6E2), hex(*random.pick(&[0xFFC58A, 0xFFFFFF, 0xFFE3B8])), 0.6);
    canvas.glow(at, radius * 4.4, faded(pale, 0.55), BlendMode::Screen);
    canvas.fill_round(
        circle(at.0, at.1, radius),
        (at.0 - radius * 0.2, at.1 - radius * 0.2),
        radius * 1.4,
        &[(0.0, pale), (0.7, shade(pale, -0.06)), (1.0, shade(pale, -0.24))],
    );
    for _ in 0..16 {
        let (turn, out) = (random.within(0.0, TAU), random.unit().sqrt() * 0.74);
        let size = radius * random.within(0.04, 0.22) * (1.1 - out);
        let spot = (at.0 + turn.cos() * out * radius, at.1 + turn.sin() * out * radius);
        canvas.fill(ellipse(spot.0, spot.1, size * 1.15, size), faded(shade(pale, -0.45), 0.16));
    }
    for layer in 0..4 {
        let near = layer as f32 / 3.0;
        let wander = Wander::new(random, 4, 0.45);
        let base = horizon + h * 0.22 * near;
        let edge = |x: f32| base - h * 0.08 * wander.at(x / w * (1.8 + near));
        let color = mix(haze, sky[0], 0.38 + 0.6 * near);
        canvas.fill_down(
            below(w, h, 3.0, edge),
            (base - h * 0.06, color),
            (base + h * 0.2, mix(color, haze, 0.32 * (1.0 - near))),
        );
    }
}

/// Street lights out of focus, and drops on the window in front of them.
pub fn rain(canvas: &mut Canvas, random: &mut Random) {
    let (w, h) = (canvas.width, canvas.height);
    let sky = random.pick(&DARK).map(hex);
    canvas.sky(&[(0.0, sky[0]), (0.5, sky[1]), (0.8, mix(sky[2], hex(0x3A2A30), 0.3)), (1.0, sky[0])]);
    let hues = *random.pick(&[
        [0xFFB04D_u32, 0xFF6B4A, 0xFFD98A, 0x6FC3FF],
        [0xFF8FB1, 0xFFB86B, 0x8F9BFF, 0xFFE0B0],
        [0x7DE0C8, 0xFFC36B, 0xFF7A59, 0xB5D6FF],
    ]);
    for _ in 0..70 {
        let color = hex(*random.pick(&hues));
        let (x, y) = (random.unit() * w, h * (0.5 + (random.unit() + random.unit() - 1.0) * 0.42));
        let radius = random.within(18.0, 74.0);
        let strong = random.within(0.10, 0.42);
        canvas.fill_round(
            circle(x, y, radius),
            (x, y),
            radius,
            &[
                (0.0, faded(color, strong)),
                (0.82, faded(color, strong * 1.1)),
                (0.95, faded(color, strong * 1.5)),
                (1.0, faded(color, strong * 0.5)),
            ],
        );
    }
    let far = canvas.blurred(2);
    canvas.overlay(&far, 1.0, BlendMode::SourceOver);
    for _ in 0..230 {
        let (x, y) = (random.unit() * w, random.unit() * h);
        let size = 1.6 + 9.0 * random.unit().powi(3);
        let light = hex(*random.pick(&hues));
        canvas.fill(ellipse(x, y, size, size * 1.25), faded(sky[0], 0.40));
        canvas.fill(ellipse(x, y + size * 0.45, size * 0.72, size * 0.62), faded(light, 0.40));
        canvas.fill(circle(x - size * 0.3, y - size * 0.55, size * 0.22), faded(Color::WHITE, 0.75));
    }
    for _ in 0..7 {
        let (x, top, long) = (random.unit() * w, random.unit() * h * 0.5, h * random.within(0.15, 0.4));
        let wander = Wander::new(random, 2, 0.5);
        let points: Vec<(f32, f32)> = (0..24)
            .map(|n| n as f32 / 23.0)
            .map(|part| (x + 7.0 * wander.at(part * 4.0), top + long * part))
            .collect();
        canvas.stroke(line(&points), 4.0, faded(hex(0xDCE6F2), 0.10));
        let end = points[points.len() - 1];
        canvas.fill(ellipse(end.0, end.1, 6.0, 9.0), faded(hex(0xE8EEF6), 0.38));
    }
}
